"""A Hugging Face hub on 127.0.0.1 that holds one model, for what downloads it whole (huggingface_hub)."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

MODEL = "owner/model"


@dataclass
class ModelHub:
    """The files of the newest commit, and what was asked for, as "GET /path"."""

    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    @property
    def commit(self) -> str:
        return hashlib.sha1(repr(sorted(self.files.items())).encode()).hexdigest()

    def take(self, folder: Path) -> None:
        """Publish the files of a folder as the newest commit."""
        self.files = {path.name: path.read_bytes() for path in folder.iterdir()}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: ModelHub

    def log_message(self, format: str, *args: object) -> None:
        """Be quiet."""

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self) -> None:
        self.hub.requests.append(f"{self.command} {self.path}")
        path, commit = self.path.partition("?")[0], self.hub.commit
        if path.startswith(f"/api/models/{MODEL}/revision/"):
            siblings = [{"rfilename": name} for name in self.hub.files]
            return self._answer(200, json.dumps({"id": MODEL, "sha": commit, "siblings": siblings}).encode())
        if path == f"/api/models/{MODEL}/tree/{commit}":
            entries = [
                {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for name, content in self.hub.files.items()
            ]
            return self._answer(200, json.dumps(entries).encode())
        name = path.rpartition("/")[2]
        if path == f"/{MODEL}/resolve/{commit}/{name}" and name in self.hub.files:
            content = self.hub.files[name]
            return self._answer(200, content, ETag=f'"{hashlib.sha1(content).hexdigest()}"', X_Repo_Commit=commit)
        return self._answer(404, b"{}", X_Error_Code="EntryNotFound")

    do_HEAD = do_GET


@contextmanager
def model_hub(cache: Path, patched: pytest.MonkeyPatch) -> Iterator[ModelHub]:
    """Run the hub in a thread, with huggingface_hub looking there and keeping what it downloads in `cache`."""
    hub = ModelHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"hub": hub}))
    server.daemon_threads = True
    address = f"http://127.0.0.1:{server.server_address[1]}"
    for name, value in {
        "ENDPOINT": address,
        "HUGGINGFACE_CO_URL_TEMPLATE": address + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(cache),
        "HF_HUB_OFFLINE": False,
    }.items():
        patched.setattr(f"huggingface_hub.constants.{name}", value)
    patched.setattr("huggingface_hub.hf_api.api.endpoint", address)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
