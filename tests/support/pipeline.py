"""A corpus in Vaani's layout acquired stage by stage, as the rules of the workflow do it, but in seconds.

`Pipeline.steps` is what workflow/rules/*.smk say: which stage, of what, to where. `run` does what Snakemake does about
it: a step is done when it was finished with the same command and nothing that it reads is newer; the declared outputs
of one that is not are deleted before it runs again; raw shards go when they are ingested.
"""

import hashlib
import json
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snakemake.utils import update_config

from tests.support.loopback import COMMIT, REPOSITORY
from tests.support.warm import Order, Warm
from ves.base.files import read_json
from ves.config import slices
from ves.config.check import read_yaml, validate
from ves.config.experiment import features_name
from ves.sources.kinds import settings_files

ROOT = Path(__file__).parents[2]
TOKEN = "hf_not_a_real_token"
QUICK = {
    "ves.sources.hub.retry:FIRST_WAIT": 0.002,
    "ves.sources.hub.download:CHUNK": 2**14,
}  # of a shard of 600 kB, not 500 MB
LABELS = "config/labels.yaml"  # seen from the repository, where stages run
STAND_IN = {"backbone": "ves/standins/dinov2-scenes", "revision": None, "image_size": 200}
SMALL = {"val": 8, "tune": 4, "held_out_speakers": 0.3}


class Failed(Exception):
    """A stage ended with an error; `said` is all it printed."""

    def __init__(self, step: "Step", said: str) -> None:
        super().__init__(f"{step.name}: {said}")
        self.step, self.said = step, said

    @property
    def message(self) -> str:
        """What it said of the error: the lines that begin with the stage, but for bars of its progress."""
        stage = f"{self.step.stage}: "
        return "\n".join(line for line in self.said.splitlines() if line.startswith(stage) and "%|" not in line)


class Killed(Exception):
    """A stage was killed, as it was asked for."""

    def __init__(self, step: "Step") -> None:
        super().__init__(step.name)
        self.step = step


@dataclass(frozen=True)
class Step:
    """One job of the workflow."""

    name: str
    arguments: list[str]
    outputs: list[Path]
    inputs: list[Path] = field(default_factory=list)  # but for those that the rules call ancient
    kept: list[Path] = field(default_factory=list)  # outputs that stay in place while they are made anew
    origin: str = ""  # what else decides its result

    @property
    def stage(self) -> str:
        return self.arguments[0]


def _options(**values: Path | str) -> list[str]:
    return [text for name, value in values.items() for text in (f"--{name}", str(value))]


def settings(**changes: Mapping[str, Any]) -> dict[str, str]:
    """Settings files, by name: config.yaml with config/vaani.yaml and changes of it, of one commit, laid over it."""
    files = [ROOT / "config.yaml", ROOT / "config/vaani.yaml"]
    content = read_yaml(files[0])
    update_config(content, read_yaml(files[1]))
    block = {"repository": REPOSITORY, "revision": COMMIT, "shards_per_district": None}
    own = {"corpus": {"name": "v", "keep_seconds": 0.5, "vaani": block}, "audio": {"seconds": 0.5}, "split": SMALL}
    update_config(content, own | {"vision": STAND_IN})
    update_config(content, changes)
    config = validate(content, files)
    features = features_name(config.vision)
    found = slices.files(config, features) | settings_files(config, features, downloads=1)
    names = ("corpus", "split", "survey_config", "plan_settings")
    return {name: found[f"data/v/{name}.json"].model_dump_json() for name in names}


class Pipeline:
    """The folder of one run, with the stages that make it; data and logs may lie on a disk of their own."""

    def __init__(self, folder: Path, processes: Warm, endpoint: str, disk: Path | None = None) -> None:
        self.folder = folder
        self.data, self.results, self.logs = ((disk or folder) / name for name in ("data", "results", "logs"))
        self.processes = processes
        self.environment = {"HF_ENDPOINT": endpoint, "HF_TOKEN": TOKEN}
        self.finished: list[tuple[str, float]] = []  # steps, as often as they were, and their seconds
        self.configure()

    def configure(self, **changes: Mapping[str, Any]) -> None:
        """Write the settings files whose text changes."""
        self.data.mkdir(parents=True, exist_ok=True)
        for name, text in settings(**changes).items():
            path = self.data / f"{name}.json"
            if not path.exists() or path.read_text() != text:
                path.write_text(text)

    def steps(self) -> Iterator[Step]:
        """The steps that are to be done, in order; those of the shards are known once these are listed."""
        data, corpus, listing = self.data, self.data / "corpus.json", self.data / "shards.json"
        survey, plan, chosen = data / "survey.json", data / "plan.json", data / "survey_config.json"
        yield Step(
            "survey", ["survey", *_options(settings=chosen, folder=data / "survey", out=survey)], [survey], [chosen]
        )
        options = _options(corpus=corpus, survey=survey, folder=data / "survey", chosen=data / "chosen", out=listing)
        yield Step("choose", ["choose", *options], [listing], [corpus, survey])
        inputs = {"settings": data / "plan_settings.json", "survey": survey, "listing": listing}
        options = _options(**inputs, data=data, page=self.results / "plan.md", out=plan)
        yield Step("plan", ["plan", *options], [plan], [*inputs.values()])
        yield Step("check-disk-space", ["check-disk-space", *_options(plan=plan, data=data)], [], [plan])
        shards = read_json(listing)["shards"]
        for shard in shards:
            yield from self._shard(shard)
        parts = [data / f"parts/{shard['name']}.parquet" for shard in shards]
        manifest, refused, images = (data / f"{name}.parquet" for name in ("manifest", "refused", "images"))
        options = _options(listing=listing, parts=data / "parts", manifest=manifest, refused=refused, images=images)
        options += _options(labels=LABELS)
        yield Step("merge", ["merge", *options], [manifest, refused, images], [listing, *parts], [images])
        store, clips = data / "audio.zarr", [path for path in parts if "parts/audio/" in str(path)]
        sealed = data / "audio.zarr.manifest.json"
        yield Step("seal-audio", ["seal-audio", *_options(listing=listing, store=store)], [sealed], [listing, *clips])
        inputs = {"manifest": manifest, "images": images, "split": data / "split.json"}
        out = {
            "out": data / "splits.parquet",
            "summary": self.results / "splits.md",
            "plot": self.results / "splits.png",
        }
        options = _options(**inputs, **out)
        yield Step("split", ["split", *options], [*out.values()], [*inputs.values()], [out["out"]])

    def _shard(self, shard: dict[str, Any]) -> Iterator[Step]:
        """Fetch and ingest one shard, and delete its source."""
        data, name, origin = self.data, shard["name"], json.dumps(shard)
        corpus, source = data / "corpus.json", data / f"source/{name}.parquet"
        part, pictures = data / f"parts/{name}.parquet", data / f"images/{name}.parquet"
        options = _options(corpus=corpus, listing=data / "shards.json", shard=name, source=source, part=part)
        if shard["part"] == "audio":
            arguments, outputs = ["ingest-audio", *options, *_options(store=data / "audio.zarr")], [part]
        else:
            arguments, outputs = ["ingest-images", *options, *_options(pictures=pictures)], [part, pictures]
        ingest = Step(f"{arguments[0]} {name}", arguments, outputs, origin=origin)
        if not self.done(ingest):
            fetch = _options(corpus=corpus, listing=data / "shards.json", shard=name, out=source)
            yield Step(f"fetch {name}", ["fetch", *fetch], [source], origin=origin)
            yield ingest
        source.unlink(missing_ok=True)

    def _mark(self, name: str) -> Path:
        return self.folder / "steps" / name.replace("/", "-")

    def done(self, step: Step) -> bool:
        """Whether a step was finished as it would be now."""
        mark = self._mark(step.name)
        if not mark.exists() or not all(path.exists() for path in step.outputs):
            return False
        same = mark.read_text() == json.dumps([step.arguments, step.origin])
        return same and all(path.stat().st_mtime_ns <= mark.stat().st_mtime_ns for path in step.inputs)

    def run(
        self,
        *,
        until: str | None = None,
        kill_after: Callable[[Step], float | Callable[[], bool] | None] = lambda step: None,
        constants: Mapping[str, float] = QUICK,
        writes: Callable[[Step], int | None] = lambda step: None,
    ) -> list[str]:
        """Do what is not done, up to the step called `until`, and return the names of the steps that this took.

        `kill_after` gives the seconds after which a step is killed, or what must have come true; `writes` the number of
        writes after which the disk is full for it. Raises Failed and Killed.
        """
        took, last = [], None
        for step in self.steps():
            if last is not None and last == until:
                break
            if not self.done(step):
                self._do(step, kill_after(step), {**QUICK, **constants}, writes(step))
                took.append(step.name)
            last = step.name
        return took

    def _do(
        self,
        step: Step,
        kill_after: float | Callable[[], bool] | None,
        constants: Mapping[str, float],
        writes: int | None,
    ) -> None:
        mark, name = self._mark(step.name), step.name.replace("/", "-")
        for path in (mark, *(path for path in step.outputs if path not in step.kept)):
            path.unlink(missing_ok=True)
        for folder in (mark.parent, self.folder / "output"):
            folder.mkdir(parents=True, exist_ok=True)
        output = self.folder / "output" / name
        arguments = [*step.arguments, "--log", str(self.logs / name)]
        start = time.monotonic()
        order = Order(arguments, str(output), self.environment, dict(constants), writes)
        code = self.processes.run(order, kill_after=kill_after)
        if code == -signal.SIGKILL:
            raise Killed(step)
        if code != 0:
            raise Failed(step, output.read_text())
        self.finished.append((step.name, time.monotonic() - start))
        mark.write_text(json.dumps([step.arguments, step.origin]))

    def forget(self, name: str) -> None:
        """Have a step done again; of a fetch, the ingest too, without which nobody asks for the shard."""
        stage, _, shard = name.partition(" ")
        others = [f"ingest-{part} {shard}" for part in ("audio", "images")] if stage == "fetch" else []
        for step in (name, *others):
            self._mark(step).unlink(missing_ok=True)

    def contents(self) -> dict[str, str]:
        """Path -> sha256 of everything that the stages made or left, but for locks."""
        return contents(self.data)


def contents(folder: Path) -> dict[str, str]:
    """Path -> sha256 of every file below a folder, but for locks."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".lock"]
    return {path.relative_to(folder).as_posix(): sha256(path.read_bytes()) for path in files}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def assert_nothing_half_written(run: Pipeline, final: Mapping[str, str], files: Mapping[str, bytes]) -> None:
    """Whatever bears its final name in an interrupted run has the bytes that it has in the end, shards those of the
    hub, and a group of samples is all there, as it is wherever its part is."""
    found = {
        path: digest
        for path, digest in run.contents().items()
        if ".partial/" not in path and not path.endswith(".part")  # what a killed process, or a download, was writing
    }
    expected = {**final, **{f"source/{path}": sha256(content) for path, content in files.items()}}
    for path, digest in found.items():
        assert digest == expected.get(path), f"{path} is not what it is in the end"
    shards = [path.removesuffix(".parquet") for path in files if path.startswith("audio/")]
    for shard in shards:
        group = {path for path in final if path.startswith(f"audio.zarr/{shard}/")}
        if group & set(found) or f"parts/{shard}.parquet" in found:
            assert group <= set(found), f"the group of {shard} is not whole"
