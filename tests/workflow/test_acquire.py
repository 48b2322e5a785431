"""Vaani from the hub to the splits, with everything going wrong that can: the same bytes in the end, or a clear word.

Each run has a folder and a loopback hub of its own and goes through all stages (tests/support/pipeline.py).
`undisturbed` is the run that nothing happened to; all others must leave what it left, to the byte.
"""

import os
import random
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import polars as pl
import pytest

from tests.support.loopback import COMMIT, REPOSITORY, Hub, serve
from tests.support.pipeline import QUICK, TOKEN, Failed, Killed, Pipeline, Step, assert_nothing_half_written
from tests.support.vaani_repository import DISTRICTS, repository
from tests.support.warm import Warm, warm

FILES = repository()
SHARDS = {path: content for path, content in FILES.items() if path.endswith(".parquet")}
SIZE = sum(map(len, SHARDS.values()))
LAST_BEFORE = "check-disk-space"  # the last step before anything is downloaded
KIB = 1024
CHUNK = int(QUICK["ves.sources.hub.download:CHUNK"])


@dataclass
class Reference:
    """What a run leaves that nothing happened to, and how long its steps took."""

    contents: dict[str, str]
    seconds: dict[str, float]  # of each step, in order
    folder: Path


@pytest.fixture(scope="module")
def processes() -> Iterator[Warm]:
    with warm() as running:
        yield running


@pytest.fixture(scope="module")
def reference(processes: Warm, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    with serve(dict(FILES)) as hub:
        run = Pipeline(tmp_path_factory.mktemp("undisturbed"), processes, hub.address)
        run.run(until=LAST_BEFORE)
        surveyed = hub.sent
        run.run()
        assert hub.sent - surveyed == SIZE
        assert run.run() == []
    return Reference(run.contents(), dict(run.finished), run.folder)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve(dict(FILES)) as server:
        yield server


@pytest.fixture
def run(hub: Hub, processes: Warm, tmp_path: Path) -> Pipeline:
    return Pipeline(tmp_path, processes, hub.address)


@contextmanager
def stops(run: Pipeline, final: Reference, stage: str) -> Iterator[list[str]]:
    """A stage that ends with an error (its message is yielded once known): one line, and nothing half-written."""
    message: list[str] = []
    with pytest.raises(Failed) as raised:
        yield message
    message.append(raised.value.message)
    assert raised.value.step.stage == stage, raised.value.said
    assert "Traceback" not in raised.value.said, raised.value.said
    assert len(message[0].splitlines()) == 1, raised.value.said
    assert_nothing_half_written(run, final.contents, FILES)


def test_every_kind_of_row_is_taken_or_refused_and_no_raw_shard_is_left(reference: Reference):
    data = reference.folder / "data"
    refused, manifest = pl.read_parquet(data / "refused.parquet"), pl.read_parquet(data / "manifest.parquet")
    reasons = Counter(refused["reason"].to_list())
    assert set(reasons) >= {
        *("empty", "unreadable", "truncated", "silent", "zero_length", "no_reference", "no_language"),
        *("image_missing", "image_refused", "duplicate", "too_large", "unsafe_name"),
    }
    renamed = manifest.filter(state="AndhraPradesh")  # the district whose columns have other names
    assert len(renamed) > 30 and renamed["speaker"].null_count() < len(renamed) / 10
    assert (
        "MagadhiMagahi" in manifest["language_raw"].to_list() and "MagadhiMagahi" not in manifest["language"].to_list()
    )
    assert manifest.filter(state="Goa")["speaker"].null_count() == len(manifest.filter(state="Goa")) > 30
    clips = [pl.read_parquet(data / f"parts/{path}") for path in SHARDS if path.startswith("audio/")]
    assert len(manifest) + len(refused.filter(item="clip")) == sum(map(len, clips))
    assert not list((data / "source").rglob("*.parquet*.part")) and not list((data / "source").rglob("*.parquet"))
    splits = pl.read_parquet(data / "splits.parquet")
    assert set(splits["split"].unique()) == {"train", "tune", "val", "val_more", "dropped"}


def reset(hub: Hub) -> None:
    hub.faults, hub.cut = ["reset"] * 12, 100 * KIB


def too_many_requests(hub: Hub) -> None:
    hub.faults, hub.retry_after = ["429"] * 5 + [""] + ["429"] * 5, "0"


def unavailable(hub: Hub) -> None:
    hub.faults = ["503"] * 5 + ["", "500", "502", "504"]


def truncate(hub: Hub) -> None:
    hub.faults, hub.cut = ["end", "empty"] * 6, 50 * KIB


def stall(hub: Hub) -> None:
    hub.faults, hub.cut = ["stall", "", "stall"], 33 * KIB


def without_ranges(hub: Hub) -> None:
    hub.faults, hub.cut = ["reset", "no ranges", "reset", "no ranges"], 90 * KIB


@pytest.mark.parametrize("misbehave", [reset, too_many_requests, unavailable, truncate, stall, without_ranges])
def test_what_passes_is_waited_out(
    misbehave: Callable[[Hub], None], hub: Hub, run: Pipeline, reference: Reference
) -> None:
    took = run.run(until=LAST_BEFORE)
    surveyed = hub.sent, len(hub.downloads())
    misbehave(hub)
    patience = {"huggingface_hub.constants:HF_HUB_DOWNLOAD_TIMEOUT": 1.0} if misbehave is stall else {}
    assert took + run.run(constants=QUICK | patience) == list(reference.seconds)
    assert not hub.faults, "a fault was not met"
    assert run.contents() == reference.contents
    lost = hub.cut if misbehave is without_ranges else CHUNK  # by a break: a chunk that is not whole is not written
    assert hub.sent - surveyed[0] - SIZE <= lost * (len(hub.downloads()) - surveyed[1] - len(SHARDS))


def test_a_survey_in_pages_stands_the_same(hub: Hub, run: Pipeline, reference: Reference):
    hub.page, hub.cut = 3, 1000
    hub.page_faults, hub.faults = ["429", "", "503", "reset"], ["reset", "503", "", "end", "429", "empty", "500"]
    run.run(until="choose")
    assert not hub.faults and not hub.page_faults, "a fault was not met"
    assert run.contents().items() <= reference.contents.items()


def test_a_redirect_to_another_host_is_followed_without_the_token(
    hub: Hub, run: Pipeline, reference: Reference
) -> None:
    run.run(until=LAST_BEFORE)
    surveyed = hub.sent
    with serve(dict(FILES)) as elsewhere:
        hub.faults, hub.elsewhere = ["redirect"] * len(SHARDS), elsewhere.address
        run.run()
    assert hub.sent == surveyed and elsewhere.sent == SIZE
    assert {request.headers["Authorization"] for request in hub.requests} == {f"Bearer {TOKEN}"}
    assert {request.headers["Authorization"] for request in elsewhere.requests} == {None}
    assert run.contents() == reference.contents


def corrupt(hub: Hub) -> None:
    hub.faults = ["", "corrupt"]


def longer(hub: Hub) -> None:
    hub.faults = ["", "longer"]


def answer_401(hub: Hub) -> None:
    hub.faults = ["", "401"]


def gate(hub: Hub) -> None:
    hub.gated = True


def forbidden(hub: Hub) -> None:
    hub.faults = ["", "403"]


def out_of_order(hub: Hub) -> None:
    hub.faults = ["503"] * 6


@pytest.mark.parametrize(
    ("misbehave", "stage", "words"),
    [
        (corrupt, "fetch", f"{REPOSITORY}: audio/.*parquet: received .* with sha256 .*, but .*deleted; run again"),
        (longer, "fetch", f"{REPOSITORY}: audio/.*parquet: received .* with sha256 .*, but .*deleted; run again"),
        (answer_401, "fetch", "token is invalid or expired: `hf auth login`"),
        (gate, "fetch", "the repository is gated; accept its conditions at http.*whoami"),
        (forbidden, "fetch", f"{REPOSITORY}: audio/.*403"),
        (out_of_order, "fetch", f"{REPOSITORY}: audio/.*503"),
    ],
)
def test_what_does_not_pass_is_told_and_mended_by_another_run(
    misbehave: Callable[[Hub], None], stage: str, words: str, hub: Hub, run: Pipeline, reference: Reference
) -> None:
    run.run(until=LAST_BEFORE)
    misbehave(hub)
    with stops(run, reference, stage) as message:
        run.run()
    assert re.search(words, message[0]), message
    hub.gated = False
    run.run()
    assert run.contents() == reference.contents


def test_a_file_that_goes_between_listing_and_download_is_named(hub: Hub, run: Pipeline, reference: Reference):
    path = max(path for path in SHARDS if path.startswith("audio/Bihar"))
    run.run(until=LAST_BEFORE)
    content = hub.files.pop(path)
    with stops(run, reference, "fetch") as message:
        run.run()
    assert f"{path}: no such file in commit" in message[0]
    hub.files[path] = content
    run.run()
    assert run.contents() == reference.contents


def test_a_repository_that_is_gated_or_holds_half_a_shard_is_refused_before_any_download(
    hub: Hub, run: Pipeline, reference: Reference
):
    hub.gated = True
    with stops(run, reference, "survey") as message:
        run.run()
    assert "the repository is gated; accept its conditions" in message[0]
    hub.gated = False
    path = next(path for path in SHARDS if path.startswith("audio/Karnataka"))
    hub.files[path] = SHARDS[path][: len(SHARDS[path]) // 2]
    with stops(run, reference, "survey") as message:
        run.run()
    assert path in message[0]
    hub.files[path] = SHARDS[path]
    run.run()
    assert run.contents() == reference.contents


KILLS = {
    "survey": 1, "choose": 1, "fetch": 7, "ingest-audio": 4, "ingest-images": 1,
    "merge": 3, "seal-audio": 1, "split": 2,
}  # fmt: skip
PACE = 0.004  # seconds for a piece of a file


def part_of(step: Step) -> Path:
    """What a download has written of its file."""
    return Path(f"{step.outputs[0]}.part")


def length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def test_kill_9_at_twenty_random_moments(
    hub: Hub, run: Pipeline, reference: Reference, capsys: pytest.CaptureFixture[str]
):
    """Each is a random share of the time that a random step takes, or of the bytes that it fetches; where one comes too
    late, the step is done again."""
    rng, left, met = random.Random(3), Counter[str](), Counter[str]()
    kept = set[tuple[str, int]]()  # what was there of a shard when its download was killed
    for stage, number in KILLS.items():
        left.update(rng.choices([name for name in reference.seconds if name.split()[0] == stage], k=number))

    def moment(step: Step) -> float | Callable[[], bool] | None:
        if not left[step.name]:
            return None
        if step.stage != "fetch":
            return reference.seconds[step.name] * rng.random()
        there, size = part_of(step), len(SHARDS[f"{step.name.removeprefix('fetch ')}.parquet"])
        wanted = rng.uniform(length(there), size)
        return lambda: length(there) > wanted

    def complete(until: str | None) -> None:
        while True:
            try:
                run.run(kill_after=moment, until=until)
            except Killed as killed:
                left[killed.step.name] -= 1
                met[killed.step.stage] += 1
                if killed.step.stage == "fetch":
                    kept.add((killed.step.name.removeprefix("fetch "), length(part_of(killed.step))))
                assert_nothing_half_written(run, reference.contents, FILES)
                continue
            done = {name for name, _ in run.finished}
            if not (late := [name for name in +left if name in done]):
                break
            for name in late:
                run.forget(name)

    complete(LAST_BEFORE)
    surveyed, hub.pace = hub.sent, PACE
    complete(None)
    fetched = [name.removeprefix("fetch ") for name, _ in run.finished if name.startswith("fetch ")]
    again = hub.sent - surveyed - sum(len(SHARDS[f"{name}.parquet"]) for name in fetched)
    with capsys.disabled():
        print(f"\n{met.total()} kills ({dict(met)}): {again} bytes sent twice, of {SIZE}, in chunks of {CHUNK}")
    assert met == KILLS
    assert again >= 0 and len(kept) == KILLS["fetch"] and all(size > 0 for _, size in kept)
    asked = {(request.path.split(f"/{COMMIT}/")[1], request.range) for request in hub.downloads()}
    for name, size in kept:  # of what was there, nothing is asked for again
        whole = size == len(SHARDS[f"{name}.parquet"])  # it was killed behind its last byte
        assert whole or (f"{quote(name)}.parquet", f"bytes={size}-") in asked
    assert run.contents() == reference.contents


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Warm, Path]]:
    """A disk of 24 MB, and stages that see it: it is mounted for them alone, and gone with them."""
    folder = tmp_path_factory.mktemp("disk")
    mount = ["sh", "-c", 'mount -t tmpfs -o size=24m tmpfs "$0" && exec "$@"', str(folder)]
    for namespaces in (["-m"], ["-Urm"]):
        command = ["unshare", *namespaces, *mount]
        if shutil.which("unshare") and subprocess.run([*command, "true"], capture_output=True).returncode == 0:
            break
    else:
        pytest.skip("no disk can be mounted here, neither as root nor in a namespace of this user")
    with warm(command) as processes:
        yield processes, Path(f"/proc/{processes.pid}/root{folder}")


def fill(disk: Path, left: int) -> Path:
    """A file that leaves so many bytes of a disk."""
    filler, state = disk / "filler", os.statvfs(disk)
    with open(filler, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, state.f_bavail * state.f_bsize - left)
    return filler


ROOM = {  # KiB that are left for the first step of a stage, too few
    "survey": 8, "choose": 0, "plan": 0, "fetch": 100, "ingest-audio": 200, "ingest-images": 20, "merge": 8,
    "seal-audio": 0, "split": 4,
}  # fmt: skip


def test_a_full_disk_stops_each_stage_with_a_word_and_room_lets_it_go_on(
    hub: Hub, small_disk: tuple[Warm, Path], tmp_path: Path, reference: Reference
):
    processes, disk = small_disk
    run, steps = Pipeline(tmp_path, processes, hub.address, disk), list(reference.seconds)
    for stage, kib in ROOM.items():
        first = next(number for number, name in enumerate(steps) if name.split()[0] == stage)
        if first:
            run.run(until=steps[first - 1])
        filler = fill(disk, kib * KIB)
        try:
            with stops(run, reference, stage) as message:
                run.run()
        finally:
            filler.unlink()
        assert re.search(rf"{re.escape(str(run.data.parent))}/\S+: .*disk .*is full", message[0]), message
    run.run()
    assert run.contents() == reference.contents
    began, resumed = [request for request in hub.downloads() if re.fullmatch(r"|bytes=\d+-", request.range or "")][:2]
    assert began.path == resumed.path and began.range is None and resumed.range is not None, "what fitted is kept"


def failure_of(attempt: Callable[[], object]) -> Failed | None:
    try:
        attempt()
    except Failed as failed:
        return failed
    return None


def test_any_write_may_be_the_one_that_finds_the_disk_full(run: Pipeline, reference: Reference):
    """Where no disk can be mounted: what Python writes fails at the second, ninth, 28th ... write of each stage."""
    tries, met = Counter[str](), Counter[str]()

    def writes(step: Step) -> int | None:
        tries[step.name] += 1
        return tries[step.name] ** 3

    while failure := failure_of(lambda: run.run(writes=writes)):
        assert re.search(rf"{re.escape(str(run.data.parent))}/\S+: .*disk .*is full", failure.message), failure.said
        assert "Traceback" not in failure.said, failure.said
        assert_nothing_half_written(run, reference.contents, FILES)
        met[failure.step.stage] += 1
    assert {"fetch", "ingest-audio", "split"} <= set(met), met
    assert run.contents() == reference.contents


def test_a_district_more_leaves_what_is_there_alone(hub: Hub, run: Pipeline, reference: Reference, tmp_path: Path):
    first = [f"audio/{district.state}/*" for district in DISTRICTS if district.state != "Bihar"]
    run.configure(corpus={"vaani": {"audio": first}})
    run.run()
    before, rows = run.contents(), pl.read_parquet(run.data / "images.parquet")
    asked = len(hub.downloads())
    run.configure()
    took = run.run()
    shards = [f"audio/Bihar/Jamui/train-{number:05}-of-00002" for number in range(2)]
    new = [f"{stage} {shard}" for shard in shards for stage in ("fetch", "ingest-audio")]
    assert took == ["survey", "choose", "plan", "check-disk-space", *new, "merge", "seal-audio", "split"]
    assert all("/Bihar/" in request.path for request in hub.downloads()[asked:])
    images = pl.read_parquet(run.data / "images.parquet")
    assert images.head(len(rows)).select("image_id", "row").equals(rows.select("image_id", "row"))
    assert len(images) > len(rows)
    after = run.contents()
    assert {path: after[path] for path in before if path.startswith(("parts/", "images/", "audio.zarr/audio/"))} == {
        path: digest for path, digest in before.items() if path.startswith(("parts/", "images/", "audio.zarr/audio/"))
    }
    differing = {path for path in reference.contents if after.get(path) != reference.contents[path]}
    assert differing == {"images.parquet"}, "rows of images"
    whole = pl.read_parquet(reference.folder / "data/images.parquet")
    assert images.drop("row").sort("image_id").equals(whole.drop("row").sort("image_id"))
