"""Dataset files of a Hugging Face hub: what a commit holds, and downloads that resume and are verified.

huggingface_hub starts a download from byte 0 in every new process and checks its size only. So the bytes are fetched
here, by range, into `<destination>.part`, a name that outlives a kill, and get their final name when size and sha256
are those of the listing. From the library come the token (from its standard places), offline mode, and a session that
takes the token off a request that is redirected to another host.
"""

import hashlib
import logging
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from huggingface_hub import HfApi, constants, get_session, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

from ves.files import lock, sync_tree
from ves.progress import track

log = logging.getLogger(__name__)

CHUNK = 2**20  # bytes from the network to the file at a time; what a broken connection costs at most
ATTEMPTS = 6  # in a row that bring no new byte, before a download gives up
FIRST_WAIT = 1.0  # seconds, doubled after each such attempt
TRANSIENT = {408, 429, 500, 502, 503, 504}


class HubError(OSError):
    """The hub did not give what was asked for; the message says why and what to do."""


def endpoint() -> str:
    """Address of the hub: HF_ENDPOINT as it is now; huggingface_hub reads it only when it is imported."""
    return os.environ.get("HF_ENDPOINT", constants.ENDPOINT).rstrip("/")


@contextmanager
def _explained(repository: str, revision: str, path: str = "") -> Iterator[None]:
    """Raise HubError, with what to do about it, for what the library and the network raise."""
    page = f"{endpoint()}/datasets/{repository}"
    item = f"{repository}{path and f': {path}'}"
    try:
        yield
    except OfflineModeIsEnabled as error:
        raise HubError(f"{item}: not fetched, because HF_HUB_OFFLINE is set; unset it and run again") from error
    except GatedRepoError as error:  # a subclass of the next
        advice = f"accept its conditions at {page}, then log in with `hf auth login` or set HF_TOKEN"
        raise HubError(f"{item}: the repository is gated; {advice}") from error
    except RepositoryNotFoundError as error:
        advice = "check the name; if it is private, log in with `hf auth login` or set HF_TOKEN"
        raise HubError(f"{item}: no such dataset at {endpoint()}, or your token may not see it; {advice}") from error
    except RevisionNotFoundError as error:
        raise HubError(f"{item}: no commit {revision}; its commits are listed at {page}/commits/main") from error
    except RemoteEntryNotFoundError as error:
        raise HubError(f"{item}: no such file in commit {revision}; list the shards again") from error
    except HfHubHTTPError as error:
        advice = "; the token is invalid or expired: `hf auth login`" if error.response.status_code == 401 else ""
        raise HubError(f"{item}: {' '.join(str(error).split())}{advice}") from error
    except httpx2.TransportError as error:
        reason = str(error) or type(error).__name__
        raise HubError(f"{item}: no (full) answer from {endpoint()} ({reason}); run again later") from error


def list_files(repository: str, revision: str) -> list[RepoFile]:
    """Every file of a dataset repository at one commit, by path. Raises HubError."""
    with _explained(repository, revision):
        tree = HfApi(endpoint=endpoint()).list_repo_tree(
            repository, recursive=True, revision=revision, repo_type="dataset"
        )
        return sorted((item for item in tree if isinstance(item, RepoFile)), key=lambda file: file.path)


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _sha256(path: Path) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _append(url: str, part: Path, size: int) -> None:
    """One request: what is missing of `part`, or all of it from a server that ignores ranges.

    Raises httpx2.TransportError when less came, HfHubHTTPError when the hub refused.
    """
    start = _length(part)
    headers = build_hf_headers() | {"Accept-Encoding": "identity"}  # a range counts bytes of the file itself
    if start:
        headers["Range"] = f"bytes={start}-"
    with get_session().stream("GET", url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT) as response:
        hf_raise_for_status(response)
        resumed = response.status_code == 206
        left = math.ceil((size - start * resumed) / CHUNK)
        with open(part, "ab" if resumed else "wb") as handle:
            for chunk in track(response.iter_raw(CHUNK), label=part.stem, total=left, unit="MiB"):
                handle.write(chunk)
                if handle.tell() > size:  # not the file that was listed: never fill the disk with it
                    return
    if _length(part) < size:
        raise httpx2.RemoteProtocolError(f"the answer ended at byte {_length(part)} of {size}")


def _fill(url: str, part: Path, size: int) -> None:
    """Append to `part` until it has `size` bytes; a broken connection costs a wait, then goes on where it broke.

    Raises as `_append`: at once what waiting cannot mend, else when ATTEMPTS in a row brought no new byte.
    """
    most, barren = _length(part), 0
    while _length(part) < size:
        try:
            _append(url, part, size)
        except (httpx2.TransportError, HfHubHTTPError) as error:
            if isinstance(error, HfHubHTTPError) and error.response.status_code not in TRANSIENT:
                raise
            have = _length(part)
            barren = 0 if have > most else barren + 1
            most = max(most, have)
            if barren == ATTEMPTS:
                raise
            wait = FIRST_WAIT * 2**barren
            log.warning("%s: %s; going on at byte %d in %.0f s", part.stem, type(error).__name__, have, wait)
            time.sleep(wait)


def download(repository: str, revision: str, path: str, destination: Path, *, size: int, sha256: str) -> None:
    """Put file `path` of a dataset repository at `destination`, verified; go on with what an earlier process left.

    `size` in bytes and `sha256` are those of the listing at the same commit. Raises HubError, also when the content is
    not that; then nothing is left behind.
    """
    url = hf_hub_url(repository, path, repo_type="dataset", revision=revision, endpoint=endpoint())
    part = destination.with_name(f"{destination.name}.part")
    with lock(part), _explained(repository, revision, path):
        if destination.exists() and _sha256(destination) == sha256:
            return  # another process was faster
        inherited = _length(part) > 0
        if inherited:
            log.info("%s: going on at byte %d of %d", path, _length(part), size)
        _fill(url, part, size)
        while (found := _sha256(part)) != sha256:
            length = _length(part)
            part.unlink()
            if not inherited:
                raise HubError(
                    f"{repository}: {path}: {length} bytes with sha256 {found} came, but commit {revision} has {size} "
                    f"bytes with sha256 {sha256}; deleted; run again, and if it stays so, report it to the hub"
                )
            log.warning("%s: what an earlier process left does not belong to this file; starting over", path)
            inherited = False  # of another commit, or torn by a power cut: no fault of the hub yet
            _fill(url, part, size)
        sync_tree(part)
        part.replace(destination)
