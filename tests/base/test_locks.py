"""Places of a lock file: each has one holder at a time, who is known by name and whose death frees it."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ves.base import locks
from ves.base.locks import InUse, hold

HOLD = """
import sys, time
from pathlib import Path
from ves.base.locks import hold
with hold(Path(sys.argv[1]), range(int(sys.argv[2]), int(sys.argv[3]))):
    print("held", flush=True)
    time.sleep(600)
"""


def holder(path: Path, first: int, stop: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", HOLD, str(path), str(first), str(stop)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def test_places_are_held_by_one_process_that_can_be_named_and_freed_by_its_death(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lock"
    with holder(path, 3, 6) as other:
        try:
            for asked, first in ((range(3, 6), 3), (range(10), 3), (range(4, 5), 4), (range(5, 9), 5)):
                with pytest.raises(InUse) as raised, hold(path, asked):
                    pass
                assert raised.value.place == first
                assert raised.value.holder == f"process {other.pid} on {socket.gethostname()}"
            with hold(path, range(3)), hold(path, range(6, 900)):  # its neighbours are free
                pass
        finally:
            os.kill(other.pid, signal.SIGKILL)
    with hold(path, range(10)):
        pass


def test_all_places_or_none(tmp_path: Path) -> None:
    with hold(tmp_path / "lock", range(4, 5)):
        with pytest.raises(InUse), hold(tmp_path / "lock", range(9)):
            pass
        with hold(tmp_path / "lock", range(4)):
            pass


def test_one_process_has_no_place_twice(tmp_path: Path) -> None:
    with hold(tmp_path / "lock", range(2)):
        with (
            pytest.raises(InUse, match=f"place 1 is that of process {os.getpid()} on "),
            hold(tmp_path / "lock", range(1, 3)),
        ):
            pass
        (tmp_path / "lock").read_bytes()  # opened and closed by someone: a lock of POSIX would be lost now
        with pytest.raises(InUse), hold(tmp_path / "lock", range(1)):
            pass


def test_no_places_are_never_taken(tmp_path: Path) -> None:
    with hold(tmp_path / "lock", range(9)):
        with hold(tmp_path / "lock", range(3, 3)):
            pass
        with pytest.raises(InUse, match="place 3 is that of process"), hold(tmp_path / "lock", range(3, 4)):
            pass


def test_who_is_patient_gets_what_becomes_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = hold(tmp_path / "lock", range(2))
    first.__enter__()
    monkeypatch.setattr(locks.time, "sleep", lambda _: first.__exit__(None, None, None))
    with hold(tmp_path / "lock", range(1, 2), timeout=60.0):
        with hold(tmp_path / "lock", range(1)):  # the first has given up both of its places
            pass
        with pytest.raises(InUse), hold(tmp_path / "lock", range(2)):
            pass
