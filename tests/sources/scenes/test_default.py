"""The corpus of the committed config.yaml, planned and split but neither drawn nor spoken: it is large enough.

What is planned decides who speaks, in which language, about which picture, and which rows are broken; pictures and
sound are not needed to count what is left of it. Perceptual hashes are drawn at random, so no two pictures look alike
here but those that are planned to: a picture stored a second time as another JPEG.
"""

import hashlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ves.base import ids
from ves.config.check import load
from ves.config.corpus import ScenesConfig
from ves.config.experiment import Config
from ves.corpus.splits import assign, compact
from ves.sources.scenes.assignment import Plan
from ves.sources.scenes.faults import CLIP_FAULTS, IMAGE_FAULTS, clip_defects, image_defects
from ves.sources.scenes.layout import scene

ROOT = Path(__file__).parents[3]


def committed(*files: str) -> tuple[Config, ScenesConfig]:
    config = load(ROOT / "config.yaml", [ROOT / file for file in files])
    assert config.corpus.scenes is not None
    return config, config.corpus.scenes


def planned(settings: ScenesConfig) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Manifest and images as ingest and merge leave them: without what is broken, of whatever kind."""
    plan, clip_is, image_is = Plan(settings), clip_defects(settings), image_defects(settings)
    scenes = [scene(settings, image) for image in range(settings.images)]
    clips = []
    for clip in range(settings.clips):
        image, defect = int(plan.image[clip]), clip_is.get(clip)
        if defect in CLIP_FAULTS or defect == "no_language" or image_is.get(image) in IMAGE_FAULTS:
            continue
        again = image_is.get(image) == "reencoded" and clip % 2  # the second JPEG is a content of its own
        unknown = defect == "unknown_speaker" or plan.old_schema(int(plan.district[clip]))
        clips.append(
            {
                "clip_id": hashlib.sha256(str(clip).encode()).hexdigest()[:32],  # chance is drawn from the digits
                "image_id": f"{2 * image + bool(again):064x}",
                "language": settings.languages[plan.language[clip]],
                "speaker": None if unknown else f"S{plan.speaker[clip]}",
                "given_split": None if scenes[image].seen else "held_out",
            }
        )
    manifest = pl.DataFrame(clips, schema_overrides={"speaker": pl.String, "given_split": pl.String})
    names = manifest["image_id"].unique().sort()
    hashes = np.random.default_rng(0).integers(0, 1 << 63, settings.images, dtype=np.uint64)
    phash = [hashes[int(name, 16) // 2] for name in names]
    return manifest, pl.DataFrame({"image_id": names, "phash": np.array(phash, np.uint64)})


def split_of(config: Config, settings: ScenesConfig) -> pl.DataFrame:
    """The split of every clip that is left, with its image, language and speaker."""
    manifest, images = planned(settings)
    clips = assign(compact(manifest.lazy(), images, config.split.near_duplicate_bits), config.split)
    return clips.select("split", "stratum", ids.text("clip_id")).join(manifest, on="clip_id", how="inner")


@pytest.fixture(scope="module")
def split() -> pl.DataFrame:
    return split_of(*committed())


def test_one_language_leaves_enough_to_train_on_and_as_many_pairs():
    clips = split_of(*committed("config/hindi.yaml"))
    counts = dict(clips["split"].cast(pl.String).value_counts().iter_rows())
    assert (counts["val"], counts["tune"]) == (1_000, 300)
    assert counts["train"] >= 4_300


def test_twelve_languages_are_configured():
    _, settings = committed()
    assert len(set(settings.languages)) == 12


def test_little_is_lost_to_broken_rows(split):
    _, settings = committed()
    assert 0.96 * settings.clips < len(split) < 0.99 * settings.clips


def test_enough_is_left_to_train_on(split):
    """At least 8,000 clips about 2,500 pictures, and 350 in each of twelve languages."""
    train = split.filter(pl.col("split") == "train")
    assert len(train) >= 8_000
    assert train["image_id"].n_unique() >= 2_500
    languages = train["language"].value_counts()
    assert len(languages) == 12
    assert min(languages["count"]) >= 350


@pytest.mark.parametrize(("name", "pairs"), [("val", 1_000), ("tune", 300)])
def test_pairs_are_as_many_as_reported_and_in_every_language(split, name, pairs):
    chosen = split.filter(pl.col("split") == name)
    assert len(chosen) == chosen["image_id"].n_unique() == pairs
    assert chosen["language"].n_unique() == 12
    train = split.filter(pl.col("split") == "train")
    assert not set(chosen["speaker"]) & set(train["speaker"].drop_nulls())
    assert not set(chosen["image_id"]) & set(train["image_id"])


def test_things_that_no_training_sees_are_in_val_and_not_in_train(split):
    """Enough of them that a rate of nouns about them means something."""
    kept = split.filter(pl.col("given_split") == "held_out")
    assert kept.filter(pl.col("split") == "train").is_empty()
    assert len(kept.filter(pl.col("split") == "val")) >= 50


def test_languages_of_every_stratum_are_reported(split):
    reported = split.filter(pl.col("split") == "val").group_by("stratum").agg(pl.col("language").n_unique())
    assert dict(reported.iter_rows()) == {"high": 6, "mid": 4, "low": 2}
