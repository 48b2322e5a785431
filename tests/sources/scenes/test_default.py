"""The corpus of the committed config.yaml, planned and split but neither drawn nor spoken: it is large enough.

What is planned decides who speaks, in which language, about which picture, and which rows are broken; pictures and
sound are not needed to count what is left of it. Perceptual hashes are drawn at random, so no two pictures look alike
here but those that are planned to: a picture stored a second time as another JPEG.
"""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ves.base import ids
from ves.config.check import read_yaml, validate
from ves.config.corpus import ScenesConfig
from ves.config.experiment import Config
from ves.corpus.splits import assign, compact
from ves.sources.scenes.assignment import Plan
from ves.sources.scenes.faults import CLIP_FAULTS, IMAGE_FAULTS, clip_defects, image_defects

ROOT = Path(__file__).parents[3]


def committed() -> tuple[Config, ScenesConfig]:
    file = ROOT / "config.yaml"
    config = validate(read_yaml(file), [file])
    assert config.corpus.scenes is not None
    return config, config.corpus.scenes


def planned(settings: ScenesConfig) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Manifest and images as ingest and merge leave them: without what is broken, of whatever kind."""
    plan, clip_is, image_is = Plan(settings), clip_defects(settings), image_defects(settings)
    clips = []
    for clip in range(settings.clips):
        image, defect = int(plan.image[clip]), clip_is.get(clip)
        if defect in CLIP_FAULTS or defect == "no_language" or image_is.get(image) in IMAGE_FAULTS:
            continue
        again = image_is.get(image) == "reencoded" and clip % 2  # the second JPEG is a content of its own
        unknown = defect == "unknown_speaker" or plan.old_schema(int(plan.district[clip]))
        clips.append(
            {
                "clip_id": f"{clip:032x}",
                "image_id": f"{2 * image + bool(again):064x}",
                "language": settings.languages[plan.language[clip]],
                "speaker": None if unknown else f"S{plan.speaker[clip]}",
                "given_split": None,
            }
        )
    manifest = pl.DataFrame(clips, schema_overrides={"speaker": pl.String, "given_split": pl.String})
    names = manifest["image_id"].unique().sort()
    hashes = np.random.default_rng(0).integers(0, 1 << 63, settings.images, dtype=np.uint64)
    phash = [hashes[int(name, 16) // 2] for name in names]
    return manifest, pl.DataFrame({"image_id": names, "phash": np.array(phash, np.uint64)})


@pytest.fixture(scope="module")
def split() -> pl.DataFrame:
    """The split of every clip that is left, with its image, language and speaker."""
    config, settings = committed()
    manifest, images = planned(settings)
    clips = assign(compact(manifest.lazy(), images, config.split.near_duplicate_bits), config.split)
    return clips.select("split", ids.text("clip_id")).join(manifest, on="clip_id", how="inner")


def test_twelve_languages_are_configured():
    _, settings = committed()
    assert len(set(settings.languages)) == 12


def test_little_is_lost_to_broken_rows(split):
    _, settings = committed()
    assert 0.96 * settings.clips < len(split) < 0.99 * settings.clips


def test_enough_is_left_to_train_on(split):
    """At least 8,000 clips about 2,500 pictures, and 150 in each of twelve languages."""
    train = split.filter(pl.col("split") == "train")
    assert len(train) >= 8_000
    assert train["image_id"].n_unique() >= 2_500
    languages = train["language"].value_counts()
    assert len(languages) == 12
    assert min(languages["count"]) >= 150


@pytest.mark.parametrize(("name", "pairs"), [("val", 1_000), ("tune", 300)])
def test_pairs_are_as_many_as_reported_and_in_every_language(split, name, pairs):
    chosen = split.filter(pl.col("split") == name)
    assert len(chosen) == chosen["image_id"].n_unique() == pairs
    assert chosen["language"].n_unique() == 12
    train = split.filter(pl.col("split") == "train")
    assert not set(chosen["speaker"]) & set(train["speaker"].drop_nulls())
    assert not set(chosen["image_id"]) & set(train["image_id"])
