"""Errors of the hub, in words that say what to do about them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
from huggingface_hub import constants, get_token
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

LOG_IN = "log in with `hf auth login` or set HF_TOKEN"
BUSY = "the hub is busy or limits the rate of requests; run again later, or with fewer downloads at a time"


class HubError(OSError):
    """A request to the hub failed; the message says why and what to do."""


def endpoint() -> str:
    """The URL of the hub: the current HF_ENDPOINT, which huggingface_hub reads only when it is imported."""
    return os.environ.get("HF_ENDPOINT", constants.ENDPOINT).rstrip("/")


@contextmanager
def explained(repository: str, revision: str, path: str = "") -> Iterator[None]:
    """Turn errors of the library and the network into HubError, which says what to do."""
    page = f"{endpoint()}/datasets/{repository}"
    item = f"{repository}{path and f': {path}'}"
    try:
        yield
    except OfflineModeIsEnabled as error:
        raise HubError(f"{item}: not fetched, because HF_HUB_OFFLINE is set; unset it and run again") from error
    except GatedRepoError as error:  # a subclass of the next
        advice = LOG_IN if get_token() is None else "do so as the owner of this token (`hf auth whoami`)"
        raise HubError(f"{item}: the repository is gated; accept its conditions at {page}, and {advice}") from error
    except RepositoryNotFoundError as error:
        advice = f"check the name; if it is private, {LOG_IN}"
        raise HubError(f"{item}: no such dataset at {endpoint()}, or your token may not see it; {advice}") from error
    except RevisionNotFoundError as error:
        raise HubError(f"{item}: no commit {revision}; its commits are listed at {page}/commits/main") from error
    except RemoteEntryNotFoundError as error:
        raise HubError(f"{item}: no such file in commit {revision}; list the shards again") from error
    except HfHubHTTPError as error:
        advice = _advice(error.response.status_code)
        raise HubError(f"{item}: {' '.join(str(error).split())}{advice and f'; {advice}'}") from error
    except (httpx2.RequestError, httpx2.InvalidURL) as error:
        reason = str(error) or type(error).__name__
        advice = "is this machine online? " if isinstance(error, httpx2.ConnectError) else ""
        raise HubError(f"{item}: no complete response from {endpoint()} ({reason}); {advice}run again later") from error


def _advice(status: int) -> str:
    """What to do about a status that the hub does not explain."""
    if status == 401 and get_token() is None:
        return f"it requires a token: {LOG_IN}"
    if status == 401:
        return "the token is invalid or expired: `hf auth login`"
    if status == 403:
        return "the token does not allow reading it; a fine-grained token needs access to public gated repositories"
    if status == 416:
        return "the hub's file is shorter than the listing says; list the shards again"
    return BUSY if status == 429 or status >= 500 else ""
