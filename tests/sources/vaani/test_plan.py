"""What a plan foresees is what the stages would make: counts by loops, sizes by writing the stores."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.support.surveys import NO_TABLE, clip_rows, random_corpus, settings, write
from ves.config.check import load
from ves.config.experiment import PlanSettings, features_name
from ves.media.audio import RATE
from ves.sources.labels import strata
from ves.sources.vaani import settings as vaani_settings
from ves.sources.vaani.choice import choose
from ves.sources.vaani.plan import audio_bytes, backbone_sizes, expected, feature_bytes
from ves.store.audio import write_group

ROOT = Path(__file__).parents[3]
CONFIG = load(ROOT / "config.yaml", [ROOT / "config/vaani.yaml"])


def plan_settings(**corpus: Any) -> PlanSettings:
    """Those of config/vaani.yaml, without a table of spellings, and with changes to its block `corpus`."""
    block = CONFIG.corpus.model_copy(update={"labels": None} | corpus)
    return vaani_settings.plan(CONFIG.model_copy(update={"corpus": block}), features_name(CONFIG.vision), downloads=4)


def make_plan(folder: Path, survey: Path, choice: dict[str, Any], **corpus: Any) -> dict[str, Any]:
    """plan.json of a surveyed corpus after a choice."""
    listing, chosen = folder / "shards.json", folder / "chosen"
    choose(settings(**choice), NO_TABLE, survey, folder / "survey", chosen, listing)
    plan = expected(plan_settings(**corpus), survey, listing, folder / "survey", chosen)
    assert json.loads(json.dumps(plan)) == plan
    return plan


def rows_of(folder: Path, clips: dict[str, pl.DataFrame]) -> Iterator[dict[str, Any]]:
    """The rows that the listing takes."""
    for shard in json.loads((folder / "shards.json").read_text())["shards"]:
        if shard["part"] == "audio":
            path = folder / "chosen" / f"{shard['name']}.parquet"
            chosen = (
                pl.read_parquet(path)["source_row"].to_list() if shard["chosen"] else range(len(clips[shard["name"]]))
            )
            yield from (clips[shard["name"]].row(row, named=True) | {"shard": shard["name"]} for row in chosen)


@pytest.mark.parametrize("choice", [{}, {"clips": 60, "clips_per_image": 9}, {"districts": ["D1"]}])
def test_counts_are_those_of_counting_row_by_row(choice: dict[str, Any], tmp_path: Path) -> None:
    clips, there = random_corpus(3, shards=6)
    name = next(iter(clips))
    clips[name] = clips[name].with_columns(duration_s=pl.lit(None, pl.Float64))  # of an era without durations
    plan = make_plan(tmp_path, write(tmp_path, clips, there), choice)
    rows = list(rows_of(tmp_path, clips))
    seconds = [np.float32(row["estimated_s"] if row["duration_s"] is None else row["duration_s"]) for row in rows]
    assert plan["clips"] == len(rows)
    assert plan["seconds"] == pytest.approx(sum(map(float, seconds)), abs=0.01)
    estimated = {row["language"] for row in rows if row["duration_s"] is None}
    assert plan["exact"] == (not estimated)
    counts = Counter(row["language"] for row in rows)
    assert {row["language"]: row["clips"] for row in plan["languages"]} == counts
    assert [row["clips"] for row in plan["languages"]] == sorted(counts.values(), reverse=True)
    assert {row["language"] for row in plan["languages"] if not row["exact"]} == estimated
    frame = pl.DataFrame(
        {"language": list(counts), "clips": list(counts.values())}, schema_overrides={"clips": pl.UInt32}
    )
    assert {r["language"]: r["stratum"] for r in plan["languages"]} == dict(strata(frame, CONFIG.split).iter_rows())
    assert {row["district"]: row["clips"] for row in plan["districts"]} == Counter(row["district"] for row in rows)
    references = Counter(str(row["image_reference"] or "") for row in rows)
    found = plan["references"]
    assert found["empty"]["clips"] == references.pop("", 0)
    assert found["distinct"] == len(references)
    groups = [*found["levels"].values(), found["ambiguous"], found["missing"]]
    assert sum(group["references"] for group in groups) == len(references)
    assert sum(group["clips"] for group in groups) == references.total()
    lost = {name: n for name, n in references.items() if "nowhere" in name.lower()}
    assert found["missing"] == {"references": len(lost), "clips": sum(lost.values())}
    vague = {name: n for name, n in references.items() if name == "A0.JPG"}
    assert found["ambiguous"] == {"references": len(vague), "clips": sum(vague.values())}
    spoken = {name.rsplit("/")[-1].lower() for name in references if name not in lost and name not in vague}
    assert found["images"] == len(spoken) + len(vague)


def test_shards_and_bytes_are_those_of_the_listing_and_what_it_leaves_out(tmp_path: Path) -> None:
    clips, there = random_corpus(3, shards=6)
    survey = write(tmp_path, clips, there)
    plan = make_plan(tmp_path, survey, {"districts": ["D1"]})
    files = {file["name"]: file for file in json.loads(survey.read_text())["files"]}
    listed = {shard["name"] for shard in plan["shards"]}
    assert all(shard["bytes"] == files[shard["name"]]["bytes"] for shard in plan["shards"])
    for part in ("audio", "images"):
        left = [file["bytes"] for name, file in files.items() if file["part"] == part and name not in listed]
        assert plan["left_out"][part] == {"shards": len(left), "bytes": sum(left)}
        assert left
    pictures = [file["media_bytes"] for name, file in files.items() if name in listed and file["part"] == "images"]
    assert plan["stores"]["images"] == sum(pictures)
    assert (plan["revision"], plan["downloads"], plan["keep_source"]) == (settings().revision, 4, False)


def test_the_same_survey_gives_the_same_plan_in_any_order(tmp_path: Path) -> None:
    clips, there = random_corpus(3, shards=6)
    survey = write(tmp_path, clips, there)
    before = make_plan(tmp_path, survey, {"clips": 100})
    listed = json.loads(survey.read_text())
    survey.write_text(json.dumps(listed | {"files": listed["files"][::-1]}))
    assert make_plan(tmp_path, survey, {"clips": 100}) == before


@pytest.mark.parametrize("keep", [None, 2.0])
def test_the_size_of_the_samples_is_that_of_the_store_that_holds_them(keep: float | None, tmp_path: Path) -> None:
    draws, size = np.random.default_rng(0), 0
    seconds = [draws.integers(1, 120_000, clips) / RATE for clips in (1, 7, 300)]  # the last fills more than one file
    for number, of_group in enumerate(seconds):
        kept = [min(length, keep or length) for length in of_group]
        clips = [np.zeros(round(length * RATE), np.int16) for length in kept]
        write_group(tmp_path / str(number), iter(clips), [f"{n:032x}" for n in range(len(clips))])
        chunks = [file for file in (tmp_path / str(number)).rglob("*") if file.is_file() and file.name != "zarr.json"]
        size += sum(file.stat().st_size for file in chunks)
    file = np.repeat(range(3), [len(of_group) for of_group in seconds])
    every = pl.DataFrame({"file": file, "seconds": np.concatenate(seconds)})
    checksums = 3 * 3 * 4  # of offset, length and clip_id, one chunk each
    assert audio_bytes(every, keep) == size - checksums


def test_the_size_of_the_features_is_that_of_the_store_that_holds_them(tmp_path: Path) -> None:
    import torch

    from ves.store.features_layout import SHARD_ROWS
    from ves.store.features_writer import create_features, write_shard

    vision = CONFIG.vision.model_copy(update={"backbone": str(ROOT / "ves/standins/dinov2-scenes"), "image_size": 40})
    width, _ = backbone_sizes(vision.backbone) or (0, 0)
    create_features(tmp_path / "f.zarr", SHARD_ROWS, 4, width, {})
    tokens = torch.zeros(SHARD_ROWS, 4, width, dtype=torch.bfloat16)
    write_shard(tmp_path / "f.zarr", 0, tokens, [f"{n:064x}" for n in range(SHARD_ROWS)])
    files = [file for file in (tmp_path / "f.zarr").rglob("*") if file.is_file() and file.name != "zarr.json"]
    beside = 64 + 2 * 4  # the header; checksums of the index and the ids
    assert (
        feature_bytes(vision.backbone, vision.image_size, SHARD_ROWS)
        == sum(file.stat().st_size for file in files) - beside
    )


@pytest.mark.parametrize(
    ("backbone", "sizes"),
    [
        ("facebook/dinov2-small", (384, 14)),
        ("facebook/dinov2-with-registers-large", (1024, 14)),
        ("facebook/dinov2-giant", (1536, 14)),
        ("ves/standins/dinov2-scenes", (192, 20)),  # as its own configuration says
    ],
)
def test_the_width_of_a_backbone_is_known(backbone: str, sizes: tuple[int, int]) -> None:
    assert backbone_sizes(backbone) == sizes


def test_the_features_of_an_unknown_backbone_have_no_size() -> None:
    assert backbone_sizes("someone/clip-large") is None
    assert feature_bytes("someone/clip-large", 224, 10) is None


def test_the_design_s_figure_for_all_photographs(tmp_path: Path) -> None:
    """design.md: 290,000 rows of 512 KiB are 152 GB."""
    assert feature_bytes(CONFIG.vision.backbone, CONFIG.vision.image_size, 290_000) == pytest.approx(152e9, rel=0.001)


def test_durations_that_are_none_are_estimated(tmp_path: Path) -> None:
    frame = clip_rows(np.random.default_rng(0), "D", 6, ["Images/a.jpg"])
    frame = frame.with_columns(
        duration_s=pl.Series([1.0, float("nan"), -3.0, float("inf"), 0.0, 1e300]), language=pl.lit("Tulu")
    )
    plan = make_plan(
        tmp_path, write(tmp_path, {"audio/d": frame}, {"images/i": ["Images/a.jpg"]}), {}, keep_seconds=None
    )
    assert plan["seconds"] == 1.0 + 5 * 6.0
    assert not plan["exact"]
