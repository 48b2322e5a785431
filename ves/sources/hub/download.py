"""Dataset files of a Hugging Face hub: what a commit holds, and downloads that resume and are verified.

In every new process, huggingface_hub starts a download from byte 0, and it checks the size only. So this module fetches
the bytes itself, by range, into `<destination>.part`, which survives a kill. The file gets its final name once its size
and sha256 are those of the listing. The listing is requested here too, because the library waits for ever if it stalls.
The library provides the token (from its standard places), offline mode, and a session that removes the token from a
request that is redirected to another host.
"""

import errno
import logging
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2
from huggingface_hub import constants, get_session, hf_hub_url
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status, validate_repo_id

from ves.base.checksums import file_sha256
from ves.base.files import lock, sync_tree
from ves.base.progress import meter
from ves.sources.hub.errors import HubError, endpoint, explained
from ves.sources.hub.retry import RETRIED, Retries, with_retries

log = logging.getLogger(__name__)
logging.getLogger("httpx2").setLevel(logging.WARNING)  # it logs every request, with signed URLs

CHUNK = 2**20  # bytes that are read and written at a time; a broken connection loses at most this many
FULL = (errno.ENOSPC, errno.EDQUOT)


def address(repository: str, revision: str, path: str) -> str:
    """The URL of a file of a dataset repository at a commit."""
    return hf_hub_url(repository, path, repo_type="dataset", revision=revision, endpoint=endpoint())


@contextmanager
def answer(url: str, headers: dict[str, str] | None = None, *, token: bool = True) -> Iterator[httpx2.Response]:
    """The response to a GET request, with the user's token or without; its body is not read yet.

    Raises HfHubHTTPError if the hub refuses. Raises httpx2.TransportError if there is no response, if its status is
    neither 200 nor 206, or if it is an HTML page (of a proxy, or of a network that requires a login).
    """
    sent = build_hf_headers(token=None if token else False)
    sent |= {"Accept-Encoding": "identity"} | (headers or {})  # ranges are in bytes of the file itself
    with get_session().stream("GET", url, headers=sent, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT) as response:
        hf_raise_for_status(response)
        if response.status_code not in (200, 206):
            raise httpx2.RemoteProtocolError(f"a response with status {response.status_code}")
        if response.headers.get("Content-Type", "").startswith("text/html"):  # its status is 200 all the same
            raise httpx2.RemoteProtocolError("the response is an HTML page; does this network require a login?")
        yield response


def content_range(response: httpx2.Response) -> tuple[int, int, int | None]:
    """First byte, byte after the last, and size of the file (None if unknown) of a response with status 206.

    Raises httpx2.RemoteProtocolError without a valid Content-Range.
    """
    header = response.headers.get("Content-Range", "")
    if not (match := re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", header.strip())):
        raise httpx2.RemoteProtocolError(f"a partial response with Content-Range {header!r}")
    return int(match[1]), int(match[2]) + 1, None if match[3] == "*" else int(match[3])


def _page(url: str) -> tuple[list[dict[str, Any]], str]:
    """One page of a listing, and the query string of the next ("" after the last). Raises as `answer` does."""
    with answer(url) as response:
        response.read()
        try:
            entries, following = response.json(), response.links.get("next", {}).get("url", "")
        except ValueError as error:
            raise httpx2.RemoteProtocolError("the listing is not JSON, or is cut off") from error
        if not isinstance(entries, list):
            raise httpx2.RemoteProtocolError("the listing is not a list")
        return entries, urlsplit(following).query


def _safe(path: str) -> bool:
    """Whether a path stays inside its folder and is one line."""
    return path.isprintable() and "\\" not in path and not {"", ".", ".."} & set(path.split("/"))


def list_files(repository: str, revision: str) -> list[RepoFile]:
    """Every file of a dataset repository at one commit, sorted by path.

    Raises HubError, also if the listing has a path that would leave the folder of the corpus.
    """
    validate_repo_id(repository)
    tree = f"{endpoint()}/api/datasets/{repository}/tree/{quote(revision, safe='')}"
    entries: list[dict[str, Any]] = []
    query, requested = "recursive=true&expand=false", set()
    with explained(repository, revision):
        while query and query not in requested:
            requested.add(query)  # only the query of the next page's link: the token never goes to another host
            url = f"{tree}?{query}"
            page, query = with_retries(f"listing of {repository}", lambda: _page(url))  # noqa: B023 - called at once
            entries += page
    if query:
        raise HubError(f"{repository}: the pages of the listing form a loop; report it to the hub")
    try:
        files = [_file(entry) for entry in entries if entry["type"] == "file"]
    except (KeyError, TypeError) as error:
        raise HubError(f"{repository}: the hub's listing has an entry without path, type or size ({error})") from error
    paths: set[str] = set()
    for file in files:
        if not _safe(file.path):
            raise HubError(
                f"{repository}: the listing of commit {revision} names {file.path!r}, which would leave the folder of "
                "the corpus; nothing is downloaded from it"
            )
        if file.path in paths:
            raise HubError(f"{repository}: the listing of commit {revision} names {file.path} twice; run again later")
        paths.add(file.path)
    return sorted(files, key=lambda file: file.path)


def _file(entry: dict[str, Any]) -> RepoFile:
    """An entry of the listing. Raises KeyError or TypeError if it is not one; the library does not check."""
    file = RepoFile(**entry)
    if not isinstance(file.path, str) or type(file.size) is not int or file.size < 0:
        raise TypeError(f"path {file.path!r}, size {file.size!r}")
    return file


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@contextmanager
def _disk_space(part: Path, size: int) -> Iterator[None]:
    """Raise HubError, with the number of missing bytes, if the disk is full while `part` is written."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        needed, free = max(size - _length(part), 0), shutil.disk_usage(part.parent).free
        raise HubError(
            f"{part}: the disk (or your quota on it) is full: this file needs {needed} bytes more, {free} are free; "
            "free some space and run again; the download resumes"
        ) from error


def _begins(response: httpx2.Response, start: int, size: int) -> int:
    """The byte at which a response begins: `start`, or 0 if the server ignores ranges.

    Raises httpx2.RemoteProtocolError for any other byte, and for a complete response of another size that would replace
    a partial download. Raises HubError if the file at the hub does not have `size` bytes.
    """
    if response.status_code == 200:
        if start and (length := response.headers.get("Content-Length", str(size))) != str(size):
            raise httpx2.RemoteProtocolError(f"the response has {length} bytes instead of the file's {size}")
        return 0
    begin, _, total = content_range(response)
    if begin not in (0, start):
        raise httpx2.RemoteProtocolError(f"the response begins at byte {begin} instead of {start}")
    if total not in (None, size):
        raise HubError(f"{response.url.path}: {total} bytes at the hub, {size} in the listing; list the shards again")
    return begin


def _append(url: str, part: Path, size: int) -> None:
    """Make one request for the missing bytes of `part`, or for all if the server ignores ranges.

    Raises HfHubHTTPError if the hub refuses, httpx2.TransportError if the response is incomplete or wrong.
    """
    start = _length(part)
    with answer(url, {"Range": f"bytes={start}-"} if start else None) as response:
        begin = _begins(response, start, size)
        bar = meter(label=part.stem, total=size, done=begin)
        with _disk_space(part, size), bar as count, open(part, "ab" if begin else "wb") as handle:
            for chunk in response.iter_raw(CHUNK):
                handle.write(chunk)
                count(len(chunk))
                if handle.tell() > size:  # not the listed file: do not fill the disk with it
                    return
    if _length(part) < size:
        raise httpx2.RemoteProtocolError(f"the response ended at byte {_length(part)} of {size}")


def _fill(url: str, part: Path, size: int) -> None:
    """Append to `part` until it has `size` bytes. After a broken connection, wait and resume.

    Raises as `_append` does: at once if no retry can help, else after many attempts in a row without a new byte.
    """
    part.touch()
    most, retries = _length(part), Retries(part.stem)
    while _length(part) < size:
        try:
            _append(url, part, size)
        except RETRIED as error:
            length = _length(part)
            retries.wait(error, progress=length > most)
            most = max(most, length)


def download(repository: str, revision: str, path: str, destination: Path, *, size: int, sha256: str) -> None:
    """Download the file `path` of a dataset repository to `destination` and verify it; resume an earlier download.

    `size` (bytes) and `sha256` are those of the listing at the same commit. Raises HubError, also if the content has
    another hash; then nothing is left behind.
    """
    url, part = address(repository, revision, path), destination.with_name(f"{destination.name}.part")
    with lock(part), explained(repository, revision, path):
        if destination.exists() and file_sha256(destination) == sha256:
            return  # another process was faster
        resumed = _length(part) > 0
        if resumed:
            log.info("%s: resuming at byte %d of %d", path, _length(part), size)
        _fill(url, part, size)
        while (digest := file_sha256(part)) != sha256:
            length = _length(part)
            part.unlink()
            if not resumed:
                raise HubError(
                    f"{repository}: {path}: received {length} bytes with sha256 {digest}, but commit {revision} has "
                    f"{size} bytes with sha256 {sha256}; deleted; run again; if it happens again, report it to the hub"
                )
            log.warning("%s: the partial download of an earlier process is not from this file; starting over", path)
            resumed = False  # it is from another commit, or a power cut damaged it: the hub may be right
            _fill(url, part, size)
        with _disk_space(part, size):
            sync_tree(part)
        part.replace(destination)
