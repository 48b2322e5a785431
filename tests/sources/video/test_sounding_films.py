"""The video source on films that it has not made: segments of Sounding Scenes, written as MP4."""

import io

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tests.support.sounding import settings as sounding
from tests.support.video import settings
from ves.media import decoding
from ves.sources.scenes.recording import SAMPLE_RATE
from ves.sources.sounding import mp4
from ves.sources.sounding.films import Plan
from ves.sources.sounding.pictures import Pictures
from ves.sources.video import shards

FILMS = 3


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> tuple[pl.DataFrame, dict[str, bytes]]:
    """Rows of the clips that the video source makes of the files, and the pictures by their names."""
    folder = tmp_path_factory.mktemp("films")
    made = sounding(films=FILMS, speakers=2, shards=1)
    mp4.write(made, 0, folder, folder / "segments.csv")
    block = settings(folder, layout="segments", frames=1, files_per_shard=100)
    (group,) = shards.groups(block)
    out = tmp_path_factory.mktemp("shards")
    paths = [out / f"{name}.parquet" for name in ("audio", "images", "truth")]
    shards.fetch(block, group, *paths)
    audio, images = (pl.read_parquet(path) for path in paths[:2])
    return audio, {row["path"]: row["bytes"] for row in images["image"]}


def test_every_segment_is_a_clip_of_its_film(clips):
    audio, _ = clips
    assert audio["refused"].null_count() == len(audio) == 4 * FILMS
    assert sorted(audio.select("recordingID", "segment").rows()) == [
        (str(f), s) for f in range(FILMS) for s in range(4)
    ]


def test_sound_and_picture_are_those_that_were_drawn(clips):
    """To what AAC and H.264 leave of them: the sound correlates, at no delay, and pixels differ by little."""
    audio, pictures = clips
    plan = Plan(sounding(films=FILMS, speakers=2, shards=1))
    for row in audio.iter_rows(named=True):
        film, second = plan.film(int(row["recordingID"])), row["segment"]
        drawn = film.track.samples[second * SAMPLE_RATE : (second + 1) * SAMPLE_RATE].astype(float)
        heard = decoding.decode(row["audio"]["bytes"]).astype(float)
        assert len(heard) == SAMPLE_RATE
        if film.kind == "sound":
            assert np.corrcoef(drawn, heard)[0, 1] > 0.8
        shown = Pictures(film).drawn(second)[1].image
        with Image.open(io.BytesIO(pictures[row["referenceImage"]])) as picture:
            assert abs(picture.width - shown.width) <= 1 and abs(picture.height - shown.height) <= 1
            seen = np.asarray(picture.convert("RGB")).astype(float)
        wanted = np.asarray(shown).astype(float)[: seen.shape[0], : seen.shape[1]]
        assert np.abs(seen - wanted).mean() < 8
