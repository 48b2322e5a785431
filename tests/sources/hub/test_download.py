"""Downloads from a hub that misbehaves: the right bytes under the final name, or a message that says what to do."""

import errno
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest

from tests.support.loopback import COMMIT, REPOSITORY, Hub, serve
from tests.support.waiting import PATIENCE, until
from ves.sources.hub import download as client
from ves.sources.hub import errors as hub_errors
from ves.sources.hub import retry
from ves.sources.hub.download import HubError

MIB = 2**20
SHARD = "audio/Goa/North Goa/train-00000-of-00001.parquet"  # a space in a path must survive quoting
CONTENT = random.Random(0).randbytes(3 * MIB + 17)
TOKEN = "hf_not_a_real_token"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.001)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    files = {"README.md": b"# Vaani", SHARD: CONTENT, "images/train-00000-of-00001.parquet": b"PAR1"}
    with serve(files) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address + "/")
        yield server
    huggingface_hub.close_session()


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    return tmp_path / "source" / "shard.parquet"


def part_of(destination: Path) -> Path:
    return destination.with_name("shard.parquet.part")


def fetch(hub: Hub, destination: Path, **changes: str) -> None:
    call = {"repository": REPOSITORY, "revision": COMMIT, "path": SHARD} | changes
    client.download(destination=destination, size=len(CONTENT), sha256=hub.sha256(SHARD), **call)  # pyright: ignore


def ranges(hub: Hub) -> list[str | None]:
    return [request.range for request in hub.downloads()]


def test_a_listing_is_complete_sorted_and_read_in_pages(hub: Hub):
    hub.page = 2  # of 2 directories + 3 files
    files = client.list_files(REPOSITORY, COMMIT)
    assert [file.path for file in files] == ["README.md", SHARD, "images/train-00000-of-00001.parquet"]
    assert [file.lfs and file.lfs.sha256 for file in files[:2]] == [None, hub.sha256(SHARD)]
    assert [file.size for file in files] == [7, len(CONTENT), 4]
    assert len(hub.requests) == 3
    assert all(request.headers["Authorization"] == f"Bearer {TOKEN}" for request in hub.requests)


@pytest.mark.parametrize("fault", ["429", "503", "reset", "torn"])
def test_a_page_that_fails_is_asked_for_again_and_no_other(hub: Hub, fault: str):
    hub.page, hub.page_faults = 2, ["", fault, fault, fault]
    assert len(client.list_files(REPOSITORY, COMMIT)) == 3
    cursors = [request.path.partition("?")[2] for request in hub.requests]
    first, second, third = "recursive=true&expand=false", "recursive=true&cursor=2", "recursive=true&cursor=4"
    assert cursors == [first, *[second] * 4, third]


class Timeouts:
    """huggingface_hub's constants, where the first request alone is given up soon: it is the one that stalls."""

    def __init__(self) -> None:
        self.left = [2.0]  # seconds in which no byte comes

    def __getattr__(self, name: str) -> Any:
        if name != "HF_HUB_DOWNLOAD_TIMEOUT":
            return getattr(huggingface_hub.constants, name)
        return self.left.pop() if self.left else PATIENCE


def test_a_listing_that_stalls_is_left(hub: Hub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(client, "constants", Timeouts())
    hub.page_faults = ["stall"]
    assert len(client.list_files(REPOSITORY, COMMIT)) == 3
    assert len(hub.requests) == 2
    assert hub.stalls == 0  # the server waits until the test ends


def test_asking_for_a_page_has_an_end(hub: Hub):
    hub.page_faults = ["503"] * retry.ATTEMPTS
    with pytest.raises(HubError, match=r"503.*the hub is busy.*run again later"):
        client.list_files(REPOSITORY, COMMIT)
    assert len(hub.requests) == retry.ATTEMPTS


def test_pages_that_go_in_a_circle_end(hub: Hub):
    hub.page_faults = ["circle"] * 9
    with pytest.raises(HubError, match="form a loop"):
        client.list_files(REPOSITORY, COMMIT)


@pytest.mark.parametrize(
    "path",
    [
        *("/etc/a.parquet", "../a.parquet", "audio/../../a.parquet", "audio//a.parquet", "audio/./a.parquet", "audio/"),
        *("audio\\a.parquet", "audio/a\n.parquet", "audio/a\x00.parquet", "audio/\u202e.parquet", ""),
    ],
)
def test_a_path_that_would_leave_the_folder_is_refused_by_name(hub: Hub, path: str):
    hub.extra_entries = [{"type": "file", "path": path, "size": 4, "oid": "1" * 40}]
    with pytest.raises(HubError) as raised:
        client.list_files(REPOSITORY, COMMIT)
    assert repr(path) in str(raised.value)
    assert "would leave the folder" in str(raised.value)


@pytest.mark.parametrize("wrong", [{}, {"path": 4}, {"path": "a", "size": "4"}, {"path": "a", "size": -4}])
def test_an_entry_without_path_or_size_is_no_fault_of_ours(hub: Hub, wrong: dict[str, Any]):
    hub.extra_entries = [{"type": "file", "size": 4, "oid": "1" * 40} | wrong]
    with pytest.raises(HubError, match="an entry without path"):
        client.list_files(REPOSITORY, COMMIT)


def test_a_file_that_is_listed_twice_is_not_taken_twice(hub: Hub):
    hub.extra_entries = [{"type": "file", "path": SHARD, "size": len(CONTENT), "oid": "1" * 40}]
    with pytest.raises(HubError, match=f"names {SHARD} twice"):
        client.list_files(REPOSITORY, COMMIT)


def test_a_listing_that_is_no_list_is_asked_for_again(hub: Hub):
    hub.page_faults = ["no list"] * 2
    assert len(client.list_files(REPOSITORY, COMMIT)) == len(hub.files)
    assert len(hub.requests) == 3


def test_a_name_that_is_no_repository_is_not_asked_for(hub: Hub):
    with pytest.raises(ValueError, match="ARTPARK-IISc/../Vaani"):
        client.list_files("ARTPARK-IISc/../Vaani", COMMIT)
    assert not hub.requests


def test_a_download_is_the_file_and_leaves_no_part(hub: Hub, destination: Path):
    fetch(hub, destination)
    assert destination.read_bytes() == CONTENT
    assert not part_of(destination).exists()
    (request,) = hub.downloads()
    assert request.range is None
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    fetch(hub, destination)  # it is there and right: nothing to ask
    assert len(hub.downloads()) == 1


def test_a_reset_in_the_body_goes_on_where_it_broke(hub: Hub, destination: Path):
    hub.faults, hub.cut = ["reset", "reset"], MIB
    fetch(hub, destination)
    assert destination.read_bytes() == CONTENT
    assert ranges(hub) == [None, f"bytes={MIB}-", f"bytes={2 * MIB}-"]
    assert hub.sent == len(CONTENT)  # no byte twice


@pytest.mark.parametrize("fault", ["429", "503", "end"])
def test_passing_trouble_is_waited_out(hub: Hub, destination: Path, fault: str):
    hub.faults, hub.cut = [fault] * 3, MIB - 1
    fetch(hub, destination)
    assert destination.read_bytes() == CONTENT


@pytest.mark.parametrize("fault", ["page", "other"])
def test_another_answer_than_the_file_costs_nothing_of_what_came(hub: Hub, destination: Path, fault: str):
    hub.faults, hub.cut = ["reset", fault, fault], 2 * MIB
    fetch(hub, destination)
    assert destination.read_bytes() == CONTENT
    assert hub.sent == len(CONTENT)  # no byte twice


def test_a_page_is_not_the_beginning_of_a_file(hub: Hub, destination: Path):
    hub.faults = ["page"] * retry.ATTEMPTS
    with pytest.raises(HubError, match="the response is an HTML page"):
        fetch(hub, destination)
    assert part_of(destination).read_bytes() == b""
    fetch(hub, destination)
    assert destination.read_bytes() == CONTENT


@pytest.mark.parametrize("fault", ["503", "empty"])
def test_waiting_has_an_end_and_keeps_what_came(hub: Hub, destination: Path, fault: str):
    hub.faults, hub.cut = ["reset"] + [fault] * retry.ATTEMPTS, MIB
    with pytest.raises(HubError, match=r"503|the response ended at byte 1048576 of 3145745"):
        fetch(hub, destination)
    assert len(hub.downloads()) == 1 + retry.ATTEMPTS
    assert part_of(destination).read_bytes() == CONTENT[:MIB]
    fetch(hub, destination)
    assert destination.read_bytes() == CONTENT
    assert ranges(hub)[-1] == f"bytes={MIB}-"


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds of each wait before another attempt; nothing really waits."""
    seconds: list[float] = []
    monkeypatch.setattr(retry, "time", SimpleNamespace(sleep=seconds.append))  # of no other thread
    return seconds


def test_a_file_is_not_asked_for_before_the_time_that_the_hub_names(hub: Hub, destination: Path, waits: list[float]):
    hub.retry_after, hub.faults = "7", ["429", "503"]
    fetch(hub, destination)
    assert destination.read_bytes() == CONTENT
    assert [round(wait) for wait in waits] == [7, 7]
    assert min(waits) > 7


def test_a_listing_is_not_asked_for_before_the_time_that_the_hub_names(hub: Hub, waits: list[float]):
    hub.retry_after, hub.page_faults = "7", ["429", "503"]
    client.list_files(REPOSITORY, COMMIT)
    assert [round(wait) for wait in waits] == [7, 7]
    assert min(waits) > 7


def test_a_seek_that_the_server_gets_wrong_is_not_appended(hub: Hub, destination: Path):
    hub.faults, hub.cut = ["reset", "shifted", "untold"], MIB
    fetch(hub, destination)
    assert destination.read_bytes() == CONTENT
    assert ranges(hub) == [None] + [f"bytes={MIB}-"] * 3


def test_a_server_that_always_seeks_wrong_is_given_up(hub: Hub, destination: Path):
    hub.faults, hub.cut = ["reset"] + ["shifted"] * retry.ATTEMPTS, MIB
    with pytest.raises(HubError, match=f"begins at byte {MIB + 1} instead of {MIB}"):
        fetch(hub, destination)
    assert part_of(destination).read_bytes() == CONTENT[:MIB]


def test_a_file_that_has_grown_since_the_listing_is_named(hub: Hub, destination: Path):
    hub.faults, hub.cut = ["reset", "grown"], MIB
    with pytest.raises(HubError, match=f"{len(CONTENT) + 1} bytes at the hub, {len(CONTENT)} in the listing"):
        fetch(hub, destination)


class FullDisk:
    """A file on a disk that takes `room` bytes in all."""

    def __init__(self, path: Path, mode: str, room: int):
        self.file, self.room = path.open(mode), room

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def tell(self) -> int:
        return self.file.tell()

    def write(self, content: bytes) -> None:
        taken = content[: max(self.room - self.file.tell(), 0)]
        self.file.write(taken)
        if len(taken) < len(content):
            raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_explained_and_what_came_is_kept(hub: Hub, destination: Path, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:
        patch.setattr(client, "open", lambda path, mode: FullDisk(path, mode, MIB + 5), raising=False)
        with pytest.raises(HubError) as raised:
            fetch(hub, destination)
    assert str(part_of(destination)) in str(raised.value)
    assert f"this file needs {len(CONTENT) - MIB - 5} bytes more" in str(raised.value)
    assert not destination.exists()
    assert len(hub.downloads()) == 1  # waiting makes no room
    fetch(hub, destination)
    assert destination.read_bytes() == CONTENT
    assert ranges(hub)[-1] == f"bytes={MIB + 5}-"


def test_an_empty_file_is_a_file(hub: Hub, destination: Path):
    hub.files[SHARD] = b""
    client.download(REPOSITORY, COMMIT, SHARD, destination, size=0, sha256=hub.sha256(SHARD))
    assert destination.read_bytes() == b""


def test_a_resumed_download_shows_how_much_was_there(
    hub: Hub, destination: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "100")  # a narrow terminal has no room for all of it
    hub.faults, hub.cut = ["reset"], 2 * MIB
    fetch(hub, destination)
    bars = capfd.readouterr().err
    assert "2.10M/3.15M" in bars  # the second bar begins where the first broke
    assert "B/s" in bars


def test_a_stalled_server_is_left(hub: Hub, destination: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(client, "constants", Timeouts())
    hub.faults, hub.cut = ["stall"], 2 * MIB
    fetch(hub, destination)
    assert hub.stalls == 0  # the server waits until the test ends
    assert destination.read_bytes() == CONTENT
    assert ranges(hub) == [None, f"bytes={2 * MIB}-"]


def test_a_server_without_ranges_starts_the_file_over(hub: Hub, destination: Path):
    hub.faults, hub.cut = ["reset", "no ranges"], MIB
    fetch(hub, destination)
    assert destination.read_bytes() == CONTENT


def test_a_killed_process_is_resumed_by_the_next(hub: Hub, destination: Path):
    hub.faults, hub.cut = ["stall"], 2 * MIB
    script = (
        "import sys; from pathlib import Path; from ves.sources.hub import download as hub; "
        "hub.download(*sys.argv[1:4], Path(sys.argv[4]), size=int(sys.argv[5]), sha256=sys.argv[6])"
    )
    call = [REPOSITORY, COMMIT, SHARD, str(destination), str(len(CONTENT)), hub.sha256(SHARD)]
    process = subprocess.Popen([sys.executable, "-c", script, *call], stderr=subprocess.DEVNULL)

    def came() -> bool:
        assert process.poll() is None, "the download ended by itself"
        return part_of(destination).exists() and part_of(destination).stat().st_size == 2 * MIB

    until(came)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not destination.exists()
    hub.released.set()
    fetch(hub, destination)
    assert destination.read_bytes() == CONTENT
    assert ranges(hub) == [None, f"bytes={2 * MIB}-"]


@pytest.mark.parametrize("fault", ["corrupt", "longer"])
def test_wrong_content_never_gets_the_final_name(hub: Hub, destination: Path, fault: str):
    hub.faults = [fault]
    with pytest.raises(HubError) as raised:
        fetch(hub, destination)
    assert SHARD in str(raised.value)
    assert hub.sha256(SHARD) in str(raised.value)
    assert not destination.exists()
    assert not part_of(destination).exists()
    assert hub.sent <= len(CONTENT)  # of the longer file, which is 20 times that, no more was read than needed
    fetch(hub, destination)
    assert destination.read_bytes() == CONTENT


def test_a_part_of_another_commit_is_fetched_anew(hub: Hub, destination: Path):
    destination.parent.mkdir()
    part_of(destination).write_bytes(b"x" * MIB)
    fetch(hub, destination)
    assert destination.read_bytes() == CONTENT
    assert ranges(hub) == [f"bytes={MIB}-", None]


def test_a_file_that_is_shorter_than_listed_is_an_error(hub: Hub, destination: Path):
    sha256 = hub.sha256(SHARD)
    hub.files[SHARD] = CONTENT[:MIB]
    with pytest.raises(HubError, match="416"):  # what is missing is not there
        client.download(REPOSITORY, COMMIT, SHARD, destination, size=len(CONTENT), sha256=sha256)
    assert not destination.exists()


def test_the_token_stays_when_a_redirect_leaves(hub: Hub, destination: Path):
    with serve(dict(hub.files)) as elsewhere:
        hub.faults, hub.elsewhere = ["redirect"], elsewhere.address
        fetch(hub, destination)
        huggingface_hub.close_session()
    assert destination.read_bytes() == CONTENT
    assert hub.downloads()[0].headers["Authorization"] == f"Bearer {TOKEN}"
    assert [request.headers["Authorization"] for request in elsewhere.downloads()] == [None]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"repository": "ARTPARK-IISc/Vani"}, "ARTPARK-IISc/Vani.*no such dataset.*check the name"),
        ({"revision": "f" * 40}, f"no commit {'f' * 40}.*commits/main"),
        ({"path": "audio/Goa/none.parquet"}, f"audio/Goa/none.parquet: no such file in commit {COMMIT}"),
    ],
)
def test_what_is_missing_is_named(hub: Hub, destination: Path, changes: dict[str, str], words: str):
    with pytest.raises(HubError, match=words):
        fetch(hub, destination, **changes)
    assert len(hub.requests) == 1  # waiting cannot mend it


def test_a_gated_repository_says_where_to_accept_its_conditions(hub: Hub, destination: Path, monkeypatch):
    hub.gated = True
    for attempt in (lambda: client.list_files(REPOSITORY, COMMIT), lambda: fetch(hub, destination)):
        with pytest.raises(HubError, match=f"gated.*{hub.address}/datasets/{REPOSITORY}.*hf auth whoami"):
            attempt()
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(hub_errors, "get_token", lambda: None)  # nor one in a file of this machine
    with pytest.raises(HubError, match=f"gated.*{hub.address}/datasets/{REPOSITORY}.*HF_TOKEN"):
        fetch(hub, destination)


@pytest.mark.parametrize(
    ("status", "token", "words"),
    [
        ("401", TOKEN, "token is invalid or expired"),
        ("401", None, "requires a token: log in with `hf auth login`"),
        ("403", TOKEN, "a fine-grained token needs access to public gated repositories"),
        ("416", TOKEN, "shorter than the listing says"),
    ],
)
def test_a_bare_refusal_says_what_to_do(hub: Hub, destination: Path, monkeypatch, status: str, token, words: str):
    monkeypatch.setattr(hub_errors, "get_token", lambda: token)
    hub.faults, hub.page_faults = [status], [status]
    for attempt in (lambda: client.list_files(REPOSITORY, COMMIT), lambda: fetch(hub, destination)):
        with pytest.raises(HubError, match=words):
            attempt()
    assert len(hub.requests) == 2  # waiting cannot mend it


def test_an_address_that_is_none_is_explained(hub: Hub, destination: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_ENDPOINT", "hub.example")
    for attempt in (lambda: client.list_files(REPOSITORY, COMMIT), lambda: fetch(hub, destination)):
        with pytest.raises(HubError, match="no complete response from hub.example.*http"):
            attempt()


def test_offline_mode_and_a_dead_hub_are_told_apart(hub: Hub, destination: Path, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:
        patch.setattr(client.constants, "HF_HUB_OFFLINE", True)
        for attempt in (lambda: client.list_files(REPOSITORY, COMMIT), lambda: fetch(hub, destination)):
            with pytest.raises(HubError, match="HF_HUB_OFFLINE is set"):
                attempt()
    with serve({}) as gone:
        pass
    monkeypatch.setenv("HF_ENDPOINT", gone.address)
    for attempt in (lambda: client.list_files(REPOSITORY, COMMIT), lambda: fetch(hub, destination)):
        with pytest.raises(HubError, match=f"no complete response from {gone.address}"):
            attempt()
