"""Atomic writes: whole or absent, whoever else writes the same path and whenever they die."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from polars.exceptions import ComputeError

from ves.base.files import DiskFull, atomic, read_json, write_json

SPAWN = multiprocessing.get_context("spawn")


def left(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


def put(path: Path, content: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(content)


def put_directory(path: Path, content: str) -> None:
    with atomic(path) as temporary:
        temporary.mkdir()
        for name in "ab":
            (temporary / name).write_text(content)


def test_what_is_written_appears_whole_or_not_at_all(tmp_path: Path):
    put(tmp_path / "new" / "file", "one")
    with pytest.raises(FileNotFoundError, match="absent"), atomic(tmp_path / "new" / "file") as temporary:
        temporary.write_text((tmp_path / "absent").read_text())
    assert (tmp_path / "new" / "file").read_text() == "one"
    assert left(tmp_path / "new") == ["file"]


@pytest.mark.parametrize("before", [put, put_directory])
@pytest.mark.parametrize("after", [put, put_directory])
def test_a_file_or_directory_takes_the_place_of_either(before, after, tmp_path: Path):
    before(tmp_path / "it", "old")
    after(tmp_path / "it", "new")
    found = tmp_path / "it" if after is put else tmp_path / "it" / "b"
    assert found.read_text() == "new"
    assert left(tmp_path) == ["it"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (ComputeError("underlying IO error: No space left on device (os error 28)"), True),  # as polars 2.1 has it
        (OSError(errno.EIO, "Input/output error"), False),
        (ComputeError("Input/output error (os error 5)"), False),
    ],
)
def test_a_full_disk_is_told_by_the_name_of_the_file_whoever_found_it(error: Exception, told: bool, tmp_path: Path):
    def write_half() -> None:
        with atomic(tmp_path / "new" / "file") as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(DiskFull if told else type(error)) as raised:
        write_half()
    assert (raised.value is error) != told
    assert not told or f"{tmp_path / 'new' / 'file'}: not written, because the disk" in str(raised.value)
    assert left(tmp_path / "new") == []


def test_a_link_is_replaced_and_not_followed(tmp_path: Path):
    put(tmp_path / "target", "old")
    (tmp_path / "link").symlink_to("target")
    put(tmp_path / "link", "new")
    assert (tmp_path / "target").read_text() == "old"
    assert not (tmp_path / "link").is_symlink()


def test_two_writers_of_one_path_do_not_meet(tmp_path: Path):
    """The second begins and ends while the first is half way. The last to finish wins, whole."""
    path = tmp_path / "file.json"
    with atomic(path) as first:
        first.write_text('{"half": ')
        write_json(path, {"writer": "second"})
        assert read_json(path) == {"writer": "second"}
        first.write_text('{"writer": "first"}')
    assert read_json(path) == {"writer": "first"}
    assert left(tmp_path) == ["file.json"]


def write_often(path: Path, content: str, times: int, together: Barrier) -> None:
    together.wait()  # to import takes longer than to write
    for _ in range(times):
        put_directory(path / "directory", content * 10_000)
        put(path / "file", content * 10_000)


def test_processes_that_write_one_path_leave_one_of_theirs(tmp_path: Path):
    together = SPAWN.Barrier(3)
    writers = [SPAWN.Process(target=write_often, args=(tmp_path, content, 40, together)) for content in "xyz"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert left(tmp_path) == ["directory", "file"]
    assert {(tmp_path / "directory" / name).read_text() for name in "ab"} <= {c * 10_000 for c in "xyz"}
    assert len({(tmp_path / "directory" / name).read_text() for name in "ab"}) == 1
    assert (tmp_path / "file").read_text() in {c * 10_000 for c in "xyz"}


HALF = """
import sys, time
from pathlib import Path
from ves.base.files import atomic
with atomic(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    print("half", flush=True)
    time.sleep(600)
"""


def test_what_a_killed_writer_left_is_removed_by_the_next_and_a_living_one_is_let_be(tmp_path: Path):
    path = tmp_path / "file"
    command = [sys.executable, "-c", HALF, str(path)]
    dying, living = (subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2))
    try:
        for process in (dying, living):
            assert process.stdout is not None
            assert process.stdout.readline() == b"half\n"
        assert len(left(tmp_path)) == 2
        os.kill(dying.pid, signal.SIGKILL)
        dying.wait()
        put(path, "whole")
        assert len(left(tmp_path)) == 2, "the file, and the folder of the one that still writes"
    finally:
        for process in (dying, living):
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
    put(path, "again")
    assert left(tmp_path) == ["file"]


@pytest.mark.parametrize("content", [b"{", b'{"a": "\xff"}', b""])
def test_damaged_json_is_named(tmp_path: Path, content: bytes):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match="a.json: not valid JSON"):
        read_json(tmp_path / "a.json")
