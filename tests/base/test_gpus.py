"""GPUs for the jobs of a machine, with a faked number of them: nobody is given another's."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

from ves.base import gpus

JOB = """
import json, os, sys, types
torch = sys.modules["torch"] = types.ModuleType("torch")  # the real one takes seconds to import
torch.cuda = types.SimpleNamespace(device_count=lambda: int(sys.argv[1]), is_initialized=lambda: False)
from ves.base import gpus
gpus.TIMEOUT = 0.2
try:
    own = gpus.take()
    print(json.dumps([own, os.environ.get("CUDA_VISIBLE_DEVICES")]), flush=True)
except ValueError as error:
    print(json.dumps(str(error)), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator["Machine"]:
    with ExitStack() as running:
        yield Machine(tmp_path, running)


class Machine:
    """Jobs that live until they are ended."""

    def __init__(self, temporary: Path, running: ExitStack) -> None:
        self.temporary, self.running = temporary, running

    def start(self, count: int, **environment: str) -> "subprocess.Popen[str]":
        kept = {key: value for key, value in os.environ.items() if key != "CUDA_VISIBLE_DEVICES"}
        return self.running.enter_context(
            subprocess.Popen(
                [sys.executable, "-c", JOB, str(count)],
                env=kept | {"TMPDIR": str(self.temporary)} | environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )

    def answer(self, job: "subprocess.Popen[str]") -> list | str:
        assert job.stdout is not None
        return json.loads(job.stdout.readline())

    def end(self, job: "subprocess.Popen[str]") -> str:
        """What it said on the way."""
        return job.communicate("")[1]


def test_jobs_that_start_at_once_have_a_gpu_each_and_the_next_gets_what_becomes_free(machine: Machine) -> None:
    jobs = [machine.start(3) for _ in range(3)]
    own = [machine.answer(job) for job in jobs]
    assert sorted(own) == [[0, "0"], [0, "1"], [0, "2"]]
    shares = machine.start(3)
    assert machine.answer(shares) == [0, "0"]
    said = machine.end(shares)
    assert "no GPU is free (GPU 0: process " in said and "sharing GPU 0; start fewer jobs at once" in said
    machine.end(jobs[1])
    assert machine.answer(machine.start(3)) == own[1]
    jobs[2].kill()
    jobs[2].wait()
    assert machine.answer(machine.start(3)) == own[2]


def test_only_what_the_environment_leaves_is_taken_by_its_name(machine: Machine) -> None:
    uuid = "GPU-5ebe9f43-ac33-420f-a6c2-1ba9f9f2b5c2"
    given = {"CUDA_VISIBLE_DEVICES": f"3, {uuid},MIG-GPU-1/2/0"}
    own = [machine.answer(machine.start(3, **given)) for _ in range(3)]
    assert own == [[0, "3"], [0, uuid], [0, "MIG-GPU-1/2/0"]]
    assert machine.answer(machine.start(4)) == [0, "0"]
    assert machine.answer(machine.start(1, CUDA_VISIBLE_DEVICES="1,-1,2")) == [0, "1"]
    assert machine.answer(machine.start(0, CUDA_VISIBLE_DEVICES="")) == [0, ""]


def test_processes_of_one_training_have_a_gpu_each_beside_other_jobs(machine: Machine) -> None:
    assert machine.answer(machine.start(4)) == [0, "0"]
    ranks = [machine.start(4, LOCAL_RANK=str(n), LOCAL_WORLD_SIZE="2") for n in range(2)]
    assert sorted(machine.answer(rank) for rank in ranks) == [[0, "1"], [0, "2"]]
    third, fourth = (machine.start(4, LOCAL_RANK=str(n), LOCAL_WORLD_SIZE="2") for n in range(2))
    told = sorted((machine.answer(third), machine.answer(fourth)), key=str)
    assert [0, "3"] in told
    (refused,) = [text for text in told if isinstance(text, str)]
    assert refused.startswith("--nproc_per_node: 2 processes, and too few GPUs are free: GPU 0: process ")
    assert machine.answer(machine.start(2, LOCAL_RANK="1", LOCAL_WORLD_SIZE="3")) == (
        "--nproc_per_node: more processes than the 2 GPUs of this machine"
    )


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """This process, as if it had not asked."""
    monkeypatch.setattr(gpus.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with ExitStack() as taken:
        monkeypatch.setattr(gpus, "_lock", taken)
        gpus.take.cache_clear()
        yield monkeypatch
    gpus.take.cache_clear()


def test_a_gpu_is_taken_once_and_kept(here: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert [gpus.take(), gpus.take()] == [0, 0]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0" and not caplog.text


def test_where_cuda_is_in_use_already_nothing_is_taken(here: pytest.MonkeyPatch) -> None:
    here.setattr(torch.cuda, "is_initialized", lambda: True)
    here.setenv("LOCAL_RANK", "1")
    assert gpus.take() == 1 and os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"


def test_a_folder_of_another_user_is_refused(here: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"ves-gpus-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="belongs to another user; delete it, or set TMPDIR"):
        gpus.take()
