"""A Hugging Face hub on 127.0.0.1 that holds one dataset repository and misbehaves when told to.

It speaks what listing and downloading need: `GET /api/datasets/{id}/tree/{commit}` with pages, `GET
/datasets/{id}/resolve/{commit}/{path}` with ranges, and the error headers by which the client library tells a missing
repository, commit or file and a gated repository apart.
"""

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "ARTPARK-IISc/Vaani"
PIECE = 2**14  # bytes that a paced hub sends at a time


@dataclass
class Request:
    """What a client asked."""

    path: str
    headers: Message

    @property
    def range(self) -> str | None:
        return self.headers["Range"]


@dataclass
class Hub:
    """One repository and how it is served. Faults are used up one a request: see `Handler._file`."""

    files: dict[str, bytes]
    address: str = ""
    gated: bool = False
    page: int = 1000
    faults: list[str] = field(default_factory=list)
    page_faults: list[str] = field(default_factory=list)  # of pages of the listing: see `Handler._tree`
    extra_entries: list[dict] = field(default_factory=list)  # of the listing, as a hub that lies has them
    retry_after: str = ""  # of the faults that are a status
    cut: int = 0  # bytes of a body before the fault "reset", "stall" or "end"
    elsewhere: str = ""  # the address of the fault "redirect"
    requests: list[Request] = field(default_factory=list)
    sent: int = 0  # bytes of files
    pace: float = 0.0  # seconds before each PIECE of a body; 0 sends it whole
    released: threading.Event = field(default_factory=threading.Event)  # ends a stall
    stalls: int = 0  # that have ended

    def sha256(self, path: str) -> str:
        return hashlib.sha256(self.files[path]).hexdigest()

    def downloads(self) -> list[Request]:
        return [request for request in self.requests if "/resolve/" in request.path]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, format: str, *args: object) -> None:
        """Be quiet."""

    def do_GET(self) -> None:
        self.hub.requests.append(Request(self.path, self.headers))
        url = urlsplit(self.path)
        match = re.fullmatch(r"(?:/api)?/datasets/([^/]+/[^/]+)/(tree|resolve)/([^/]+)(?:/(.*))?", unquote(url.path))
        if not match or match[1] != REPOSITORY:
            self._refuse(404, "RepoNotFound")
        elif self.hub.gated:
            self._refuse(403, "GatedRepo")
        elif match[3] != COMMIT:
            self._refuse(404, "RevisionNotFound")
        elif match[2] == "tree":
            self._tree(int(parse_qs(url.query).get("cursor", ["0"])[0]))
        elif match[4] not in self.hub.files:
            self._refuse(404, "EntryNotFound")
        else:
            self._file(match[4])

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, b"{}", {"X-Error-Code": code})

    def _answer(self, status: int, body: bytes, headers: dict[str, str], fault: str = "") -> None:
        """An answer, or only its head before the connection breaks ("reset") or nothing more comes ("stall")."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault not in ("reset", "stall"):
            self.wfile.write(body)
            return
        self.close_connection = True
        if fault == "stall":
            self._stall()

    def _tree(self, start: int) -> None:
        """One page: directories, files in git (README) and large files, which alone have a sha256, as the hub does."""
        fault = self.hub.page_faults.pop(0) if self.hub.page_faults else ""
        if fault.isdigit():
            return self._answer(int(fault), b"{}", self._retry_after())
        directories = {path.rsplit("/", 1)[0] for path in self.hub.files if "/" in path}
        entries = [{"type": "directory", "path": path, "oid": "0" * 40} for path in sorted(directories)]
        for path, content in self.hub.files.items():
            entry = {"type": "file", "path": path, "size": len(content), "oid": "1" * 40}
            if path.endswith(".parquet"):
                entry["lfs"] = {"oid": self.hub.sha256(path), "size": len(content), "pointerSize": 134}
            entries.append(entry)
        entries += self.hub.extra_entries
        after = start + self.hub.page
        next_page = f"{self.hub.address}{urlsplit(self.path).path}?recursive=true&cursor={after}"
        headers = {"Link": f'<{next_page}>; rel="next"'} if after < len(entries) else {}
        if fault == "circle":
            headers = {"Link": f'<{self.hub.address}{self.path}>; rel="next"'}
        body = b"null" if fault == "no list" else json.dumps(entries[start:after]).encode()
        return self._answer(200, body[:9] if fault == "torn" else body, headers, fault)

    def _stall(self) -> None:
        self.hub.released.wait()
        self.hub.stalls += 1

    def _retry_after(self) -> dict[str, str]:
        return {"Retry-After": self.hub.retry_after} if self.hub.retry_after else {}

    def _file(self, path: str) -> None:
        content = self.hub.files[path]
        fault = self.hub.faults.pop(0) if self.hub.faults else ""
        if fault == "page":  # of a network that wants a login
            return self._answer(200, b"<html>" + bytes(900), {"Content-Type": "text/html; charset=utf-8"})
        if fault == "other":  # whatever it is, the head says that it is not this file
            return self._answer(200, bytes(900), {})
        if fault == "redirect":
            return self._answer(302, b"", {"Location": f"{self.hub.elsewhere}{self.path}"})
        if fault.isdigit():
            return self._answer(int(fault), b"{}", self._retry_after())
        if fault == "corrupt":
            content = bytes([content[0] ^ 1]) + content[1:]
        if fault == "longer":
            content *= 20
        start, end, status = 0, len(content), 200
        if (wanted := self.headers["Range"]) and fault != "no ranges":
            first, last = wanted.removeprefix("bytes=").split("-")
            start, end, status = int(first), min(int(last or len(content)) + 1, len(content)), 206
        if start >= len(content):
            return self._answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        self.send_response(status)
        if status == 206:
            self._tell_range(start, end, len(content), fault)
        body = content[start:end]
        if fault in ("end", "empty"):  # a shorter answer that says so itself
            body = body[: self.hub.cut if fault == "end" else 0]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self._send(body[: self.hub.cut] if fault in ("reset", "stall") else body)
        if fault == "stall":
            self._stall()
        if fault in ("reset", "stall"):
            self.close_connection = True
        return None

    def _tell_range(self, start: int, end: int, total: int, fault: str) -> None:
        """Content-Range, or a lie: "shifted" begins elsewhere, "grown" is of a larger file, "untold" says nothing."""
        start, end = (start + 1, end + 1) if fault == "shifted" else (start, end)
        if fault != "untold":
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{total + (fault == 'grown')}")

    def _send(self, body: bytes) -> None:
        step = PIECE if self.hub.pace else max(len(body), 1)
        for start in range(0, len(body), step):
            piece = body[start : start + step]
            if self.hub.pace:  # a test may count who sleeps
                time.sleep(self.hub.pace)
            try:
                self.wfile.write(piece)
                self.wfile.flush()
            except OSError:  # the client has gone
                self.close_connection = True
                return
            self.hub.sent += len(piece)


@contextmanager
def serve(files: dict[str, bytes]) -> Iterator[Hub]:
    """Run a hub of these files in a thread; its address is in `.address`."""
    hub = Hub(files)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        hub.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
