"""kill -9 at random moments of an extraction by several jobs at once: the same bytes in the end, no wrong row before.

Rounds follow each other until the kills are used up. Each begins with a store that is absent, damaged, sealed or cut
back, runs all jobs on two processes, one of them twice at once by mistake, kills them at random and starts them again,
seals, and compares. Of two that are at the same shards one fails, says so, and is given again later. All the while a
reader opens the store, and one reads that opened it long ago.
"""

import itertools
import random
import re
import shutil
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

from tests.support.backbones import vision_config
from tests.support.features import Corpus, save_backbone
from tests.support.waiting import until
from tests.support.warm import Order, Warm, warm
from ves.base.files import write_json
from ves.store.features_layout import shard_path
from ves.store.features_reader import FeatureStore, open_features
from ves.store.shard_format import BadStore

IMPORTS = ("ves.models.extraction", "transformers.models.dinov2.modeling_dinov2")
IN_A_ROW = 5
SHARD_ROWS, ROWS, JOBS = 4, 46, 3  # 12 shards, the last of two rows
CONSTANTS: dict[str, float] = {"ves.store.features_layout:SHARD_ROWS": SHARD_ROWS, "ves.models.extraction:GRACE": 0.1}


@pytest.fixture(scope="module")
def processes() -> Iterator[list[Warm]]:
    with ExitStack() as stack:
        yield [stack.enter_context(warm(imports=IMPORTS)) for _ in range(2)]


class Extraction:
    """The jobs of one store, as the workflow runs them: a record that is there is not made again."""

    def __init__(self, folder: Path, processes: list[Warm], rng: random.Random) -> None:
        self.corpus, self.processes, self.rng, self.folder = Corpus(folder), processes, rng, folder
        self.corpus.add("images/train-00000-of-00001", ROWS)
        save_backbone(folder / "backbone")
        vision = vision_config(folder / "backbone", batch_size=3)
        write_json(folder / "vision.json", vision.model_dump())
        self.records = [folder / "parts" / f"{number}-of-{JOBS}.json" for number in range(1, JOBS + 1)]
        self.kills, self.kills_left, self.refused = Counter[str](), 0, 0
        self.seconds: dict[str, float] = {}  # of each stage when nothing disturbed it, the shortest
        self._counting = threading.Lock()

    def stage(self, name: str, *arguments: str) -> list[str]:
        common = {"images": self.corpus.images, "store": self.corpus.store}
        return [name, *arguments, *(text for key, path in common.items() for text in (f"--{key}", str(path)))]

    def job(self, record: Path) -> list[str]:
        arguments = {"vision": self.folder / "vision.json", "pictures": self.corpus.pictures, "out": record}
        options = [text for key, path in arguments.items() for text in (f"--{key}", str(path))]
        return self.stage("features", *options, "--part", record.stem)

    def run(self, process: Warm, arguments: list[str]) -> bool:
        """A stage until it ends, killed on its way as long as there are kills left.

        Whether it ended well: it does not where another one is at its shards.
        Not more than IN_A_ROW times, so that extractions also end where the machine has become slower since it was
        seen how long they take.
        """
        output = self.folder / f"output-{process.pid}"
        for attempt in itertools.count():
            with self._counting:
                kill = self.kills_left > 0 and attempt < IN_A_ROW
                moment = self.rng.uniform(0, 1.3 * self.seconds[arguments[0]]) if kill else None
                self.kills_left -= moment is not None
            begin = time.monotonic()
            code = process.run(Order(arguments, str(output), constants=CONSTANTS), kill_after=moment)
            with self._counting:
                self.kills[arguments[0]] += code == -9
                self.kills_left += moment is not None and code != -9  # it was sooner
            messages = output.read_text()
            if code == 1 and re.search(r"f\.zarr: shard \d+ is being written by process \d+ on .*run again", messages):
                assert "Traceback" not in messages
                self.refused += 1
                return False
            assert code in (0, -9), messages[-3000:]
            if moment is None:
                taken = time.monotonic() - begin
                self.seconds[arguments[0]] = min(taken, self.seconds.get(arguments[0], taken))
            if code == 0:
                break
        return True

    def jobs(self, order: list[Path]) -> None:
        """All jobs, on as many processes as there are."""
        waiting = deque(order)

        def work(process: Warm) -> None:
            while waiting:
                record = waiting.popleft()
                if not self.run(process, self.job(record)):
                    waiting.append(record)

        with ThreadPoolExecutor(len(self.processes)) as pool:
            list(pool.map(work, self.processes))

    def seal(self) -> None:
        arguments = ["--parts", *map(str, self.records), "--manifest", str(self.corpus.manifest)]
        assert self.run(self.processes[0], self.stage("seal-features", *arguments))
        for record in self.records:
            record.unlink()

    def contents(self) -> dict[str, bytes]:
        """Every file of the store, and its manifest; what killed writers leave for the next one to remove aside."""
        found = {name: content for name, content in self.corpus.files().items() if ".partial/" not in name}
        return found | {"manifest": self.corpus.manifest.read_bytes()}

    def disturb(self) -> bool:
        """Begin anew in one of the ways in which an extraction begins. Whether readers must refuse the store now."""
        store, shard = self.corpus.store, self.rng.randrange(-(-ROWS // SHARD_ROWS))
        way = self.rng.choice(("nothing", "flipped", "gone", "without ids", "complete"))
        match way:
            case "nothing":
                shutil.rmtree(store)
            case "flipped":
                content = bytearray(shard_path(store, shard).read_bytes())
                content[self.rng.randrange(len(content))] ^= 1 << self.rng.randrange(8)
                shard_path(store, shard).write_bytes(content)
            case "gone":
                shard_path(store, shard).unlink()
            case "without ids":
                (store / f"image_id/c/{shard}/0").unlink()
        self.corpus.manifest.unlink()
        return way != "complete"


class Reader:
    """Reads some rows again and again, in a thread of its own; none is ever wrong, but an error is allowed."""

    def __init__(self, store: Path, expected: torch.Tensor, ids: list[str]) -> None:
        self.store, self.expected, self.ids, self.seen = store, expected, ids, Counter[str]()
        self._end, self._rng = threading.Event(), random.Random(1)
        self.between = threading.Lock()  # held while a test changes files of the store under the reader
        self._held: FeatureStore | None = None

    def __enter__(self) -> Callable[[], None]:
        self._pool = ThreadPoolExecutor(1)
        self._done = self._pool.submit(self._look)
        return lambda: self._done.result() if self._done.done() else None

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._pool.shutdown()
        self._done.result()

    def _look(self) -> None:
        while not self._end.wait(0.002):
            with self.between:
                self._read(lambda: open_features(self.store), "new")
                self._read(self._older, "old")

    def _older(self) -> FeatureStore:
        """A store that stays open until it is found damaged."""
        self._held = self._held or open_features(self.store)
        return self._held

    def _read(self, opened: Callable[[], FeatureStore], name: str) -> None:
        rows = [self._rng.randrange(ROWS) for _ in range(8)]
        try:
            store = opened()
            tokens, found = store.read(rows), store.rows([self.ids[row] for row in rows]).tolist()
        except BadStore:
            self.seen[f"{name} refused"] += 1
            self._held = None if name == "old" else self._held
            return
        assert torch.equal(tokens, self.expected[rows]) and found == rows
        self.seen[f"{name} read"] += 1


@pytest.mark.parametrize("kills", [50, pytest.param(1000, marks=pytest.mark.slow)])
def test_kill_9_at_random_moments(processes, tmp_path, monkeypatch, capsys, kills):
    for place, value in CONSTANTS.items():
        monkeypatch.setattr(place.replace(":", "."), value)
    rng = random.Random(kills)
    run = Extraction(tmp_path, processes, rng)
    run.jobs(run.records)  # for a start: later ones read pages that are in memory
    run.seal()
    expected = run.contents()
    rows = open_features(run.corpus.store).read(range(ROWS))
    run.kills_left, rounds = kills, 0
    reader = Reader(run.corpus.store, rows, [name for name, _, _ in run.corpus.rows])
    with reader as check:

        def sees(what: str, before: int) -> None:
            until(lambda: check() or reader.seen[what] > before)

        while run.kills.total() < kills:
            with reader.between:
                damaged, refused = run.disturb(), reader.seen["new refused"]
            if damaged:
                sees("new refused", refused)
            run.jobs([rng.choice(run.records), *rng.sample(run.records, JOBS)])
            run.seal()
            assert run.contents() == expected
            sees("new read", reader.seen["new read"])
            rounds += 1
    with capsys.disabled():
        refused = f"{run.refused} refused, since another was at their shards"
        print(f"\n{dict(run.kills)} killed in {rounds} extractions, {refused}; a reader meanwhile: {dict(reader.seen)}")
    assert run.kills.total() == kills and rounds > 1
    assert run.refused or kills < 1000, "of fifty kills it may be that none met a second writer"
    assert reader.seen["old read"]
