"""Dataset files of a Hugging Face hub: what a commit holds, and downloads that resume and are verified.

huggingface_hub starts a download from byte 0 in every new process and checks its size only. So the bytes are fetched
here, by range, into `<destination>.part`, a name that outlives a kill, and get their final name when size and sha256
are those of the listing. The listing is asked for here too: the library waits for ever for one that stalls. From the
library come the token (from its standard places), offline mode, and a session that takes the token off a request that
is redirected to another host.
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
from ves.sources.hub.retry import PASSING, Patience, patiently

log = logging.getLogger(__name__)
logging.getLogger("httpx2").setLevel(logging.WARNING)  # it logs every request, with addresses that are signed

CHUNK = 2**20  # bytes from the network to the file at a time; what a broken connection costs at most
FULL = (errno.ENOSPC, errno.EDQUOT)


def address(repository: str, revision: str, path: str) -> str:
    """Where the hub serves a file of a dataset repository at a commit."""
    return hf_hub_url(repository, path, repo_type="dataset", revision=revision, endpoint=endpoint())


@contextmanager
def answer(url: str, headers: dict[str, str] | None = None, *, token: bool = True) -> Iterator[httpx2.Response]:
    """The answer to a GET with the user's token (or without), its body not yet read.

    Raises httpx2.TransportError without an answer, for one that is neither 200 nor 206 and for a page (of a proxy, or
    of a network that wants a login), HfHubHTTPError for a refusal.
    """
    sent = build_hf_headers(token=None if token else False)
    sent |= {"Accept-Encoding": "identity"} | (headers or {})  # a range counts bytes of the file itself
    with get_session().stream("GET", url, headers=sent, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT) as response:
        hf_raise_for_status(response)
        if response.status_code not in (200, 206):
            raise httpx2.RemoteProtocolError(f"an answer of status {response.status_code}")
        if response.headers.get("Content-Type", "").startswith("text/html"):  # of status 200, whatever it says
            raise httpx2.RemoteProtocolError("a page of HTML came; does the network want a login?")
        yield response


def content_range(response: httpx2.Response) -> tuple[int, int, int | None]:
    """First byte, byte after the last, and size of the file (None: not told) of an answer 206.

    Raises httpx2.RemoteProtocolError if it does not say.
    """
    header = response.headers.get("Content-Range", "")
    if not (match := re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", header.strip())):
        raise httpx2.RemoteProtocolError(f"an answer of part of a file with Content-Range {header!r}")
    return int(match[1]), int(match[2]) + 1, None if match[3] == "*" else int(match[3])


def _page(url: str) -> tuple[list[dict[str, Any]], str]:
    """One page of a listing and the query of the next, "" after the last. Raises as `answer` does."""
    with answer(url) as response:
        response.read()
        try:
            entries, following = response.json(), response.links.get("next", {}).get("url", "")
        except ValueError as error:
            raise httpx2.RemoteProtocolError("a listing that is not JSON, or not all of it") from error
        if not isinstance(entries, list):
            raise httpx2.RemoteProtocolError("a listing that is no list")
        return entries, urlsplit(following).query


def _safe(path: str) -> bool:
    """Whether a path stays in the folder that it is put in, and is one line."""
    return path.isprintable() and "\\" not in path and not {"", ".", ".."} & set(path.split("/"))


def list_files(repository: str, revision: str) -> list[RepoFile]:
    """Every file of a dataset repository at one commit, by path.

    Raises HubError, also for a listing that names a path which would leave the folder of the corpus.
    """
    validate_repo_id(repository)
    tree = f"{endpoint()}/api/datasets/{repository}/tree/{quote(revision, safe='')}"
    entries: list[dict[str, Any]] = []
    query, seen = "recursive=true&expand=false", set()
    with explained(repository, revision):
        while query and query not in seen:
            seen.add(query)  # of the link to the next page its query is enough: the token goes to no other host
            url = f"{tree}?{query}"
            page, query = patiently(f"listing of {repository}", lambda: _page(url))  # noqa: B023 - called at once
            entries += page
    if query:
        raise HubError(f"{repository}: the pages of the listing go in a circle; report it to the hub")
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
    """An entry of the listing. Raises KeyError or TypeError for what is none: the library takes whatever comes."""
    file = RepoFile(**entry)
    if not isinstance(file.path, str) or type(file.size) is not int or file.size < 0:
        raise TypeError(f"path {file.path!r}, size {file.size!r}")
    return file


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@contextmanager
def _room(part: Path, size: int) -> Iterator[None]:
    """Raise HubError, with what is needed, for a full disk while `part` is written."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        needed, free = max(size - _length(part), 0), shutil.disk_usage(part.parent).free
        raise HubError(
            f"{part}: the disk (or your share of it) is full: {needed} bytes of this file are still to come, {free} "
            "are free; make room and run again, it goes on from what is there"
        ) from error


def _begins(response: httpx2.Response, start: int, size: int) -> int:
    """The byte at which an answer begins: `start`, or 0 from a server that ignores ranges.

    Raises httpx2.RemoteProtocolError for any other, and for a whole answer of another size where a part would be lost
    to it; HubError if the file at the hub is not of `size` bytes.
    """
    if response.status_code == 200:
        if start and (told := response.headers.get("Content-Length", str(size))) != str(size):
            raise httpx2.RemoteProtocolError(f"{told} bytes came instead of the file of {size}")
        return 0
    begin, _, total = content_range(response)
    if begin not in (0, start):
        raise httpx2.RemoteProtocolError(f"the answer begins at byte {begin}, asked for was {start}")
    if total not in (None, size):
        raise HubError(f"{response.url.path}: {total} bytes at the hub, {size} in the listing; list the shards again")
    return begin


def _append(url: str, part: Path, size: int) -> None:
    """One request: what is missing of `part`, or all of it from a server that ignores ranges.

    Raises httpx2.TransportError when less came or something else, HfHubHTTPError when the hub refused.
    """
    start = _length(part)
    with answer(url, {"Range": f"bytes={start}-"} if start else None) as response:
        begin = _begins(response, start, size)
        bar = meter(label=part.stem, total=size, done=begin)
        with _room(part, size), bar as count, open(part, "ab" if begin else "wb") as handle:
            for chunk in response.iter_raw(CHUNK):
                handle.write(chunk)
                count(len(chunk))
                if handle.tell() > size:  # not the file that was listed: never fill the disk with it
                    return
    if _length(part) < size:
        raise httpx2.RemoteProtocolError(f"the answer ended at byte {_length(part)} of {size}")


def _fill(url: str, part: Path, size: int) -> None:
    """Append to `part` until it has `size` bytes; a broken connection costs a wait, then goes on where it broke.

    Raises as `_append`: at once what waiting cannot mend, else when many attempts in a row brought no new byte.
    """
    part.touch()
    most, patience = _length(part), Patience(part.stem)
    while _length(part) < size:
        try:
            _append(url, part, size)
        except PASSING as error:
            have = _length(part)
            patience.wait(error, progress=have > most)
            most = max(most, have)


def download(repository: str, revision: str, path: str, destination: Path, *, size: int, sha256: str) -> None:
    """Put file `path` of a dataset repository at `destination`, verified; go on with what an earlier process left.

    `size` in bytes and `sha256` are those of the listing at the same commit. Raises HubError, also when the content is
    not that; then nothing is left behind.
    """
    url, part = address(repository, revision, path), destination.with_name(f"{destination.name}.part")
    with lock(part), explained(repository, revision, path):
        if destination.exists() and file_sha256(destination) == sha256:
            return  # another process was faster
        inherited = _length(part) > 0
        if inherited:
            log.info("%s: going on at byte %d of %d", path, _length(part), size)
        _fill(url, part, size)
        while (found := file_sha256(part)) != sha256:
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
        with _room(part, size):
            sync_tree(part)
        part.replace(destination)
