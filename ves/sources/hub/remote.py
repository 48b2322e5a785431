"""A file of the hub that is read in pieces without a download: parquet footers, single columns, one row group.

Every response is checked: it has to be the requested piece, of a file of the listed size. A server that ignores ranges
would send half a gigabyte instead. If the hub redirects to another host, the next pieces are requested there directly
(that URL is signed and lasts for about an hour), because the hub limits the rate of requests.
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
from ves.sources.hub.retry import with_retries

TAIL = 2**16  # bytes at the end of a file that are read in one piece; most footers fit
HOLE = 2**16  # bytes; a smaller gap between two ranges is fetched too, which is cheaper than another request
PIECE = 2**23  # bytes of one request at most, all lost if the connection breaks


class RemoteFile(io.RawIOBase):
    """One file of a dataset repository at a commit, of `size` bytes by the listing; for one thread at a time.

    `fetched` counts the bytes received so far, `requests` the requests. The tail and one other piece are kept in
    memory. Reading raises HubError.
    """

    def __init__(self, repository: str, revision: str, path: str, size: int) -> None:
        super().__init__()
        self.name, self.size, self.fetched, self.requests = path, size, 0, 0
        self._repository, self._revision = repository, revision
        self._position = 0
        self._expected: list[tuple[int, int]] = []  # ascending, none inside another
        self._tail: tuple[int, bytes] | None = None  # offset and content
        self._piece = (0, b"")
        self._signed: str | None = None

    def expect(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Announce which bytes (first, one after the last) will be read, so that close ranges share a request."""
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
        """Fill `buffer` completely, unless the file ends first."""
        view = memoryview(buffer).cast("B")
        done, wanted = 0, min(len(view), max(self.size - self._position, 0))
        while done < wanted:
            piece = self._bytes_at(self._position, wanted - done)
            view[done : done + len(piece)] = piece
            done += len(piece)
            self._position += len(piece)
        return wanted

    def _bytes_at(self, start: int, length: int) -> memoryview:
        """Bytes from `start` on, at least one and at most `length`, fetched unless they are in memory."""
        if self._tail is None or start < self._tail[0]:
            begin, content = self._piece
            if not begin <= start < begin + len(content):
                self._fetch_about(start, length)
        begin, content = self._tail if self._tail and start >= self._tail[0] else self._piece
        return memoryview(content)[start - begin :][:length]

    def _fetch_about(self, start: int, length: int) -> None:
        """Fetch the piece to keep: the tail, else the announced range around `start`, else the bytes themselves."""
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
            return with_retries(self.name, lambda: self._ask(start, end))

    def _ask(self, start: int, end: int) -> bytes:
        """Make one request. Raises httpx2.TransportError, HfHubHTTPError, and HubError if the server ignores ranges."""
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
        """The body of a response, after checking that it is the requested piece."""
        if response.status_code != 206:
            raise HubError(
                f"{self.name}: {response.url.host} sends the whole file instead of a part, so it cannot be read in "
                "pieces; if HF_ENDPOINT is a mirror, try the hub itself"
            )
        begin, stop, total = content_range(response)
        if total not in (None, self.size):
            raise HubError(f"{self.name}: {total} bytes at the hub, {self.size} in the listing; list the shards again")
        if (begin, stop) != (start, end):
            raise httpx2.RemoteProtocolError(f"received bytes {begin} to {stop} instead of {start} to {end}")
        content = bytearray()
        for chunk in response.iter_raw(2**20):
            content += chunk
            self.fetched += len(chunk)
            if len(content) > end - start:
                break
        if len(content) != end - start:
            raise httpx2.RemoteProtocolError(f"received {len(content)} bytes instead of {end - start}")
        return bytes(content)
