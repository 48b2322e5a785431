"""Vaani's part of the workflow by the real command, against a hub on this machine: surveyed, planned, chosen, ingested.

Nothing of sound is asked for before the plan; what does not fit is not begun; and another choice ingests anew the
shards in which it takes other rows, in the same run in which it was made.
"""

import io
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import polars as pl
import pytest
import soundfile
from PIL import Image

from tests.support.loopback import COMMIT, REPOSITORY, Hub, serve
from tests.support.stage_recorder import COMMAND_LINE, environment, files_of_stages
from tests.support.vaani_hub import parquet_bytes
from tests.support.workflow import copy_to
from ves.commands.digest import sources

SNAKEMAKE = str(Path(sys.executable).parent / "snakemake")
DISTRICT = "audio/Goa/Nor' th$(touch pwned)"  # names in a repository are a stranger's, and commands are made of them
SHARDS = [f"{DISTRICT}/train-0000{n}-of-00003.parquet" for n in range(3)]
CONFIG = f"""
corpus:
  name: t
  kind: vaani
  vaani:
    repository: {REPOSITORY}
    revision: {COMMIT}
    audio: ["audio/*"]
    images: ["images/*"]
    shards_per_district: null
    languages: null
    districts: null
    clips: null
    clips_per_language: null
    clips_per_image: null
    seed: 0
split: {{val: 4, tune: 2, held_out_speakers: 0.4}}
"""
TARGET = "data/t/splits.parquet"


def repository() -> dict[str, bytes]:
    """Three shards of 24 clips by 6 speakers about 20 pictures, which are in one shard; another shard has others."""
    draws, files = np.random.default_rng(0), {}
    for number, shard in enumerate(SHARDS):
        rows = []
        for row in range(24):
            soundfile.write(file := io.BytesIO(), draws.normal(0, 0.1, 8000), 16_000, format="WAV", subtype="PCM_16")
            clip = {"bytes": file.getvalue(), "path": f"{number}-{row}.wav"}
            language, speaker = ("Hindi", "Konkani")[row % 2], f"s{(row + number) % 6}"
            rows.append([clip, language, 0.5, speaker, f"Images/{(7 * row + number) % 20}.jpg"])
        names = ["audio", "language", "duration", "speakerID", "referenceImage"]
        files[shard] = parquet_bytes(pl.DataFrame(rows, schema=names, orient="row"), compression="uncompressed")
    for shard, first in (("images/a.parquet", 0), ("images/b.parquet", 100)):
        pictures = []
        for number in range(first, first + 20):
            noise = Image.fromarray(draws.integers(0, 255, (30, 40, 3), np.uint8))
            noise.save(file := io.BytesIO(), "PNG")
            pictures.append({"bytes": file.getvalue(), "path": f"Images/{number}.jpg"})
        files[shard] = parquet_bytes(pl.DataFrame({"image": pictures}), compression="uncompressed")
    return files


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with serve(repository()) as server:
        yield server


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy_to(tmp_path_factory.mktemp("vaani") / "copy")
    (folder / "config/t.yaml").write_text(CONFIG)
    return folder


def run(copy: Path, hub: Hub, *arguments: str, changes: str = "", fails: bool = False) -> tuple[Counter[str], str]:
    """How many jobs of each rule one Snakemake ran to their end, and its output."""
    (copy / "config/changes.yaml").write_text(changes or "corpus: {name: t}")
    there = os.environ | environment(copy) | {"HF_ENDPOINT": hub.address, "HF_HUB_OFFLINE": "0", "OMP_NUM_THREADS": "1"}
    command = [SNAKEMAKE, "--cores", "2", *arguments, "--configfile", "config/t.yaml", "config/changes.yaml"]
    ended = subprocess.run(command, cwd=copy, env=there, capture_output=True, text=True)
    output = ended.stdout + ended.stderr
    assert (ended.returncode != 0) == fails, output[-5000:]
    return Counter(re.findall(r"Finished jobid: \d+ \(Rule: (\w+)\)", output)), output


def downloads(hub: Hub) -> Counter[str]:
    """Which files were asked for whole, or from some byte on: those that were downloaded."""
    asked = [request for request in hub.requests if "/resolve/" in request.path]
    whole = [request.path for request in asked if not request.range or request.range.endswith("-")]
    return Counter(unquote(path.split(f"/{COMMIT}/")[1]) for path in whole)


@pytest.mark.slow
def test_from_the_plan_to_another_choice(copy: Path, hub: Hub) -> None:
    jobs, _ = run(copy, hub, "plan")
    assert jobs.keys() >= {"survey", "choose", "write_plan"}
    assert not jobs.keys() & {"check_disk_space", "list_shards", "fetch"}
    assert not downloads(hub)
    page = (copy / "results/t/plan.md").read_text()
    assert "72 clips of 72 in these shards, 0.0 hours, 2 languages" in page
    assert "| images | 1 | 0.0001 | 1 | 0.0001 |" in page  # the other shard holds nothing that is spoken about

    plan = copy / "data/t/plan.json"
    before = plan.read_text()
    plan.write_text(before.replace('"audio.zarr": ', '"audio.zarr": 99999999'))
    _, output = run(copy, hub, TARGET, fails=True)
    assert re.search(r"check-disk-space: data/t: the corpus needs [\d.]+ GB more on this disk", output)
    assert not downloads(hub)
    plan.write_text(before)

    jobs, _ = run(copy, hub, TARGET)
    assert (jobs["fetch"], jobs["ingest_audio"], jobs["ingest_images"]) == (4, 3, 1)
    assert downloads(hub) == Counter([*SHARDS, "images/a.parquet"])
    assert pl.read_parquet(copy / "data/t/manifest.parquet").height == 72
    assert not list(copy.rglob("pwned"))
    assert "Nothing to be done" in run(copy, hub, "-n", TARGET)[1]

    capped = "corpus: {vaani: {clips_per_language: 12}}"
    jobs, _ = run(copy, hub, TARGET, changes=capped)
    listed = {s["name"]: s["chosen"] for s in json.loads((copy / "data/t/shards.json").read_text())["shards"]}
    audio = {name: chosen for name, chosen in listed.items() if name.startswith("audio")}
    assert sum(chosen["rows"] for chosen in audio.values() if chosen) == 24
    assert (jobs["ingest_audio"], jobs["ingest_images"]) == (len(audio), 0)
    manifest = pl.read_parquet(copy / "data/t/manifest.parquet")
    assert sorted(manifest["language"].value_counts()["count"]) == [12, 12]

    hub.requests.clear()
    jobs, _ = run(copy, hub, TARGET, changes=f"{capped}\nsplit: {{seed: 7}}")  # and what has nothing to do with it
    assert jobs == Counter(write_settings=1, split=1)
    run(copy, hub, TARGET, changes="corpus: {max_refused: 0.5, vaani: {clips_per_language: 12}}")
    assert not hub.requests, "a setting that lists and chooses nothing else asks the hub nothing"

    found = files_of_stages(copy)
    for stage in ("choose", "plan"):
        assert found[stage]
        assert not found[stage] - found[COMMAND_LINE] - sources(stage).keys()
