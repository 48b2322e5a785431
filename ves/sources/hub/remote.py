"""A file of the hub that is read in pieces, without being downloaded: parquet footers, single columns, one row group.

Every answer is checked to be the piece that was asked for, of a file of the listed size: a server that ignores ranges
would send half a gigabyte instead. Where the hub redirects to another host, that address (it is signed, and lasts for
an hour or so) is asked for the next pieces directly: the hub limits how often it is asked.
"""

import bisect
import io
import os
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import httpx2
from huggingface_hub.errors import HfHubHTTPError

from ves.sources.hub.download import address, answer, content_range
from ves.sources.hub.errors import HubError, endpoint, explained
from ves.sources.hub.retry import patiently

TAIL = 2**16  # bytes; the end of a file is read in one piece, in which most footers lie whole
HOLE = 2**16  # bytes between two ranges up to which fetching them too is cheaper than another request
PIECE = 2**23  # bytes of one request at most; what a broken connection costs


class RemoteFile(io.RawIOBase):
    """One file of a dataset repository at a commit, `size` bytes by the listing; for one thread at a time.

    `fetched` bytes came in `requests` requests so far. One piece is kept, and the tail. Reading raises HubError.
    """

    def __init__(self, repository: str, revision: str, path: str, size: int) -> None:
        super().__init__()
        self.name, self.size, self.fetched, self.requests = path, size, 0, 0
        self._repository, self._revision = repository, revision
        self._position = 0
        self._expected: list[tuple[int, int]] = []  # ascending, none within another
        self._tail: tuple[int, bytes] | None = None  # the first byte and what follows
        self._piece = (0, b"")
        self._signed: str | None = None

    def expect(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Announce which bytes (first, one after the last) will be read: those near each other come in one request."""
        merged: list[tuple[int, int]] = []
        for start, end in sorted(ranges):
            if merged and start - merged[-1][1] <= HOLE and end - merged[-1][0] <= PIECE:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        self._expected = merged

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError(f"{self.name}: seek to byte {base + offset}")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        """Fill `buffer`, fully unless the file ends before."""
        view = memoryview(buffer).cast("B")
        done, wanted = 0, min(len(view), max(self.size - self._position, 0))
        while done < wanted:
            piece = self._holding(self._position, wanted - done)
            view[done : done + len(piece)] = piece
            done += len(piece)
            self._position += len(piece)
        return wanted

    def _holding(self, start: int, length: int) -> memoryview:
        """Bytes from `start` on, at least one and at most `length`: from what is kept, else fetched."""
        if self._tail is None or start < self._tail[0]:
            begin, kept = self._piece
            if not begin <= start < begin + len(kept):
                self._fetch_about(start, length)
        begin, kept = self._tail if self._tail and start >= self._tail[0] else self._piece
        return memoryview(kept)[start - begin :][:length]

    def _fetch_about(self, start: int, length: int) -> None:
        """Fetch the piece to keep: the tail, else the expected range that `start` is in, else what is asked for."""
        tail = max(self.size - TAIL, 0)
        if start >= tail:
            self._tail = (tail, self._get(tail, self.size))
            return
        begin, end = start, start + length
        place = bisect.bisect_right(self._expected, (start, self.size)) - 1
        if place >= 0 and self._expected[place][1] > start:
            begin, end = self._expected[place]
        if end - begin > PIECE:
            begin, end = start, min(end, start + PIECE)
        self._piece = (begin, self._get(begin, min(end, self.size)))

    def _get(self, start: int, end: int) -> bytes:
        """Bytes [start, end). Raises HubError."""
        with explained(self._repository, self._revision, self.name):
            return patiently(self.name, lambda: self._ask(start, end))

    def _ask(self, start: int, end: int) -> bytes:
        """One request. Raises httpx2.TransportError, HfHubHTTPError, and HubError for a server without ranges."""
        headers = {"Range": f"bytes={start}-{end - 1}"}
        self.requests += 1
        if self._signed is not None:
            try:
                with answer(self._signed, headers, token=False) as response:
                    return self._checked(response, start, end)
            except (httpx2.HTTPError, HfHubHTTPError):  # it may have expired
                self._signed = None
                self.requests += 1
        with answer(address(self._repository, self._revision, self.name), headers) as response:
            content = self._checked(response, start, end)
            elsewhere = response.url.host != urlsplit(endpoint()).hostname
            self._signed = str(response.url) if elsewhere else None
            return content

    def _checked(self, response: httpx2.Response, start: int, end: int) -> bytes:
        """The body of an answer that is the piece asked for."""
        if response.status_code != 206:
            raise HubError(
                f"{self.name}: {response.url.host} sends the whole file when asked for a part of it, so it cannot be "
                "read in pieces; if HF_ENDPOINT names a mirror, try the hub itself"
            )
        begin, stop, total = content_range(response)
        if total not in (None, self.size):
            raise HubError(f"{self.name}: {total} bytes at the hub, {self.size} in the listing; list the shards again")
        if (begin, stop) != (start, end):
            raise httpx2.RemoteProtocolError(f"bytes {begin} to {stop} came, asked for were {start} to {end}")
        content = bytearray()
        for chunk in response.iter_raw(2**20):
            content += chunk
            self.fetched += len(chunk)
            if len(content) > end - start:
                break
        if len(content) != end - start:
            raise httpx2.RemoteProtocolError(f"{len(content)} bytes came, asked for were {end - start}")
        return bytes(content)
