"""Retries after errors of the hub: which errors are worth another attempt, and how long to wait before it.

tenacity does not do this: it would save six lines, but leaves to us the count of failures, which progress resets, and
takes 5.8 ms to import after the hub's own libraries.
"""

import logging
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx2
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import parse_ratelimit_headers

log = logging.getLogger(__name__)

ATTEMPTS = 6  # in a row without progress, before giving up
FIRST_WAIT = 1.0  # seconds, doubled after each such attempt
LONGEST_WAIT = 600.0  # seconds; no longer, whatever the hub asks for
TRANSIENT = {408, 429, 500, 502, 503, 504}
RETRIED = (httpx2.TransportError, HfHubHTTPError)  # the latter only if its status is in TRANSIENT


def asked_wait(headers: httpx2.Headers) -> float:
    """Seconds that a response asks to wait, at most LONGEST_WAIT; 0 if it has no readable request.

    `Retry-After` has seconds or a date. The hub's own `RateLimit` has the time of its reset once nothing remains.
    """
    asked, limit = headers.get("Retry-After", "").strip(), parse_ratelimit_headers(headers)
    seconds = 0.0
    if asked.isascii() and asked.isdigit():
        seconds = float(asked)
    elif asked:
        try:
            date = parsedate_to_datetime(asked)
        except ValueError:
            date = datetime.now(UTC)
        seconds = (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    elif limit is not None and limit.remaining == 0:
        seconds = float(limit.reset_in_seconds)
    return min(max(seconds, 0.0), LONGEST_WAIT)


class Retries:
    """The waits between attempts at one request; the last `failures` attempts made no progress."""

    def __init__(self, name: str) -> None:
        self.name, self.failures = name, 0

    def wait(self, error: Exception, *, progress: bool = False) -> None:
        """Sleep before another attempt: longer each time, never less than the hub asks for, and partly at random, so
        that many jobs do not return at once. Raises `error` at once if no retry can help, and after ATTEMPTS."""
        if isinstance(error, httpx2.UnsupportedProtocol):
            raise error
        if isinstance(error, HfHubHTTPError) and error.response.status_code not in TRANSIENT:
            raise error
        self.failures = 0 if progress else self.failures + 1
        if self.failures == ATTEMPTS:
            raise error
        wait = FIRST_WAIT * 2**self.failures * random.uniform(0.5, 1.0)
        if isinstance(error, HfHubHTTPError):
            wait += asked_wait(error.response.headers)
        log.warning("%s: %s; asking again in %.0f s", self.name, _brief(error), wait)
        time.sleep(wait)


def _brief(error: Exception) -> str:
    """An error in a few words, for a log line: the text of HfHubHTTPError has four lines and the URL."""
    if isinstance(error, HfHubHTTPError):
        return f"status {error.response.status_code}"
    return f"{type(error).__name__} {error!s}".strip()


def with_retries[T](name: str, ask: Callable[[], T]) -> T:
    """Call `ask` until it succeeds and return its result. Raises its error once no retry can help, and after
    ATTEMPTS."""
    retries = Retries(name)
    while True:
        try:
            return ask()
        except RETRIED as error:
            retries.wait(error)
