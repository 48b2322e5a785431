"""Vaani from the hub to the splits by the real command, killed again and again: the same bytes in the end.

tests/workflow/test_acquire.py does the same in seconds, stage by stage and with every fault; here are Snakemake, its
rules, its retries and its deletions.
"""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.loopback import COMMIT, Hub, serve
from tests.support.pipeline import TOKEN, contents
from tests.support.vaani_repository import repository
from tests.support.waiting import until
from tests.support.workflow import SNAKEMAKE, copy_to

pytestmark = pytest.mark.slow

FILES = repository()
SIZE = sum(len(content) for path, content in FILES.items() if path.endswith(".parquet"))
CHUNK = 2**14  # in place of 2**20, as a shard of 600 kB is in place of one of 500 MB
AIMS = ("survey", "choose", *["fetch", ""] * 6, "merge", "merge", "seal-audio", "merge", "split", "split")  # "": any
OVERLAY = f"""
corpus: {{name: v, keep_seconds: 0.5, vaani: {{revision: {COMMIT}, shards_per_district: null}}}}
audio: {{seconds: 0.5}}
split: {{val: 8, tune: 4, held_out_speakers: 0.3}}
train: {{batch_size: 8, micro_batch: 4}}
"""
TARGETS = ("data/v/splits.parquet", "data/v/audio.zarr.manifest.json")


def new_copy(folder: Path) -> Path:
    """A copy of the workflow with the configuration of this test."""
    copy = copy_to(folder)
    (copy / "config/edited.yaml").write_text(OVERLAY)
    client = copy / "ves/sources/hub/download.py"
    before = client.read_text()
    client.write_text(before.replace("CHUNK = 2**20", f"CHUNK = {CHUNK}"))
    assert client.read_text() != before
    return copy


def start(copy: Path, hub: Hub) -> subprocess.Popen[bytes]:
    """The command of a user, in a copy; what it prints is added to `output`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_ENDPOINT": hub.address, "HF_TOKEN": TOKEN, "OMP_NUM_THREADS": "1"}
    command = [SNAKEMAKE, "--cores", "2", *TARGETS, "--configfile", "config/vaani.yaml", "config/edited.yaml"]
    with open(copy / "output", "ab") as output:
        return subprocess.Popen(
            command, cwd=copy, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )


def stages(copy: Path) -> dict[int, str]:
    """Process -> name of each stage that runs in a copy."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
            if arguments[1:3] == [b"-m", b"ves"] and (folder / "cwd").resolve() == copy.resolve():
                found[int(folder.name)] = arguments[3].decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve(dict(FILES)) as server:
        server.pace = 0.03  # a second for each shard
        yield server


def finish(copy: Path, hub: Hub) -> float:
    """Run to the end, and say how many seconds it took."""
    begin = time.monotonic()
    assert start(copy, hub).wait() == 0, (copy / "output").read_text()[-5000:]
    return time.monotonic() - begin


def kill_one(copy: Path, process: subprocess.Popen[bytes], rng: random.Random) -> str:
    """kill -9 of the workflow or of a stage that runs; its name."""
    running = stages(copy)
    if running and rng.random() < 0.5:
        victim = rng.choice(sorted(running))
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:  # it has just ended
            return ""
        return running[victim]
    process.kill()
    process.wait()
    until(lambda: not stages(copy))  # none is an orphan
    return f"snakemake during {', '.join(sorted(running.values())) or 'nothing'}"


def test_kill_9_at_twenty_random_moments_of_the_workflow(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each moment is drawn from when something runs, or the stage that it is aimed at, to some while after that; a run
    that ends before all were had is checked, and another begun."""
    reference = new_copy(tmp_path / "reference")
    undisturbed = finish(reference, hub)
    once = hub.sent  # the shards, and what the survey reads of them
    assert SIZE < once < 2 * SIZE
    expected, rng = contents(reference / "data"), random.Random(7)
    copies, kills, begin = [new_copy(tmp_path / "copy0")], Counter[str](), time.monotonic()
    process, started = start(copies[-1], hub), 1
    while (number := kills.total()) < len(AIMS):
        assert started <= 3 * len(AIMS), (copies[-1] / "output").read_text()[-5000:]  # it fails whenever it starts
        aim, ended = AIMS[number], lambda: process.poll() is not None  # noqa: B023 - called within this round
        until(lambda: ended() or any(aim in name for name in stages(copies[-1]).values()))  # noqa: B023
        time.sleep(rng.uniform(0, 2 if aim else undisturbed / 6))
        if not ended() and (victim := kill_one(copies[-1], process, rng)):
            kills[victim] += 1
        if process.poll() == 0:
            assert contents(copies[-1] / "data") == expected
            copies.append(new_copy(tmp_path / f"copy{len(copies)}"))
        if ended():
            process, started = start(copies[-1], hub), started + 1
    process.wait()
    finish(copies[-1], hub)
    seconds, again = time.monotonic() - begin, hub.sent - once * (1 + len(copies))
    with capsys.disabled():
        print(f"\n{kills.total()} kills ({dict(kills)}) in {len(copies)} runs, {seconds:.0f} s; undisturbed ", end="")
        print(f"{undisturbed:.0f} s; {again} bytes sent twice, of {once} for each run, in chunks of {CHUNK}")
    assert contents(copies[-1] / "data") == expected
    largest = max(map(len, FILES.values()))
    assert 0 <= again <= len(AIMS) * 2 * largest  # two jobs at once; a shard counts whole if it had come, unrecorded
