"""How long to wait for a hub in trouble, and what waiting cannot mend."""

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

ATTEMPTS = 6  # in a row that bring nothing new, before it is given up
FIRST_WAIT = 1.0  # seconds, doubled after each such attempt
LONGEST_WAIT = 600.0  # seconds; what the hub asks for beyond that is not waited for
TRANSIENT = {408, 429, 500, 502, 503, 504}
PASSING = (httpx2.TransportError, HfHubHTTPError)  # may pass; a HfHubHTTPError only with a status of TRANSIENT


def asked_wait(headers: httpx2.Headers) -> float:
    """Seconds that an answer asks to wait, at most LONGEST_WAIT; 0 if it does not say so in a way that can be read.

    `Retry-After` says it in seconds or as a date, the hub's own `RateLimit` by its reset when nothing remains.
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


class Patience:
    """The waits between the attempts at one thing; `barren` of them in a row have brought nothing."""

    def __init__(self, name: str) -> None:
        self.name, self.barren = name, 0

    def wait(self, error: Exception, *, progress: bool = False) -> None:
        """Sleep before another attempt: longer each time, by chance, so that many jobs do not come back at once, and
        never less than the hub asks for. Raises `error` at once if waiting cannot mend it, or after ATTEMPTS."""
        if isinstance(error, httpx2.UnsupportedProtocol):
            raise error
        if isinstance(error, HfHubHTTPError) and error.response.status_code not in TRANSIENT:
            raise error
        self.barren = 0 if progress else self.barren + 1
        if self.barren == ATTEMPTS:
            raise error
        wait = FIRST_WAIT * 2**self.barren * random.uniform(0.5, 1.0)
        if isinstance(error, HfHubHTTPError):
            wait += asked_wait(error.response.headers)
        log.warning("%s: %s; asking again in %.0f s", self.name, _brief(error), wait)
        time.sleep(wait)


def _brief(error: Exception) -> str:
    """A word or two about an error, for a log: HfHubHTTPError's text is four lines with the address in it."""
    if isinstance(error, HfHubHTTPError):
        return f"status {error.response.status_code}"
    return f"{type(error).__name__} {error!s}".strip()


def patiently[T](name: str, ask: Callable[[], T]) -> T:
    """What `ask` returns, asked again while its trouble may pass. Raises what it raises."""
    patience = Patience(name)
    while True:
        try:
            return ask()
        except PASSING as error:
            patience.wait(error)
