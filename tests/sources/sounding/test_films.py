"""What happens in films, what is written of it, and that sound, pictures and truth belong together."""

import csv
import io
import wave
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from pydantic import ValidationError

from tests.support.sounding import settings
from ves.evaluation.truth import decode_mask
from ves.sources.scenes.recording import SAMPLE_RATE
from ves.sources.sounding import fetch, list_shards, origins
from ves.sources.sounding.films import OFF_SCREEN, SHARES, Plan
from ves.sources.sounding.mp4 import write
from ves.sources.sounding.pictures import Pictures
from ves.sources.sounding.sounds import SOUNDING


def made(folder: Path, **changes) -> dict[str, pl.DataFrame]:
    """All shards of a corpus: rows and truth of sound and of pictures."""
    config = settings(**changes)
    for shard in list_shards(config):
        name = shard["name"]
        fetch(config, name, folder / "source" / f"{name}.parquet", folder / "truth" / f"{name}.parquet")
    parts = [(kind, part) for kind in ("source", "truth") for part in ("audio", "images")]
    return {
        f"{kind} {part}": pl.concat(map(pl.read_parquet, sorted((folder / kind / part).glob("*.parquet"))))
        for kind, part in parts
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, pl.DataFrame]:
    """A clip a film."""
    return made(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def cut(tmp_path_factory) -> dict[str, pl.DataFrame]:
    """The same films, a clip a second."""
    return made(tmp_path_factory.mktemp("cut"), segment_s=1.0)


def samples(row: dict) -> np.ndarray:
    with wave.open(io.BytesIO(row["audio"]["bytes"])) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def test_the_shares_of_films_are_exact_and_everybody_makes_some(whole):
    plan = Plan(settings(films=200))
    kinds = Counter(plan.film(number).kind for number in range(200))
    assert kinds == {kind: 200 * share for kind, share in SHARES.items()}
    assert set(Counter(plan.person.tolist()).values()) <= {33, 34}


def test_another_folder_has_the_same_bytes_and_another_seed_has_not(whole, tmp_path):
    assert all(table.equals(whole[name]) for name, table in made(tmp_path / "again").items())
    other = made(tmp_path / "other", seed=9)
    assert not other["source audio"].equals(whole["source audio"])
    assert origins(settings()) == origins(settings()) != origins(settings(seed=9))


def test_segments_are_their_film_in_pieces(whole, cut):
    films = {row["recordingID"]: row for row in whole["source audio"].iter_rows(named=True)}
    pieces = cut["source audio"].partition_by("recordingID", as_dict=True)
    assert len(pieces) == len(films) == 60
    for (recording,), rows in pieces.items():
        film, parts = films[recording], list(rows.iter_rows(named=True))
        assert [row["segment"] for row in parts] == [0, 1, 2, 3]
        assert np.array_equal(np.concatenate([samples(row) for row in parts]), samples(film))
        assert [row["frames"] for row in parts] == [[frame] for frame in film["frames"]]
        assert all(row["referenceImage"] in row["frames"] for row in (film, *parts))
    assert cut["source images"].equals(whole["source images"])


def test_every_frame_is_a_picture_and_every_object_of_it_has_a_mask(whole):
    named = set(whole["source audio"]["frames"].explode())
    pictures = {row["image"]["path"]: row["image"]["bytes"] for row in whole["source images"].iter_rows(named=True)}
    assert named == set(pictures)
    truth = whole["truth images"]
    assert set(truth["image_path"]) == named and truth["visible_pixels"].min() >= 1
    for row in truth.sample(40, seed=0).iter_rows(named=True):
        with Image.open(io.BytesIO(pictures[row["image_path"]])) as picture:
            assert decode_mask(row["mask"]).shape == (picture.height, picture.width)
        assert decode_mask(row["mask"]).sum() == row["visible_pixels"]


def test_what_sounds_is_louder_than_what_does_not(whole):
    """The power within events against that outside them, in films without speech."""
    events = whole["truth audio"].filter(pl.col("role") == "sound", pl.col("clip_kind") == "sound")
    rows = {row["audio"]["path"]: row for row in whole["source audio"].iter_rows(named=True)}
    for (path,), of_film in events.partition_by("source_path", as_dict=True).items():
        sound = samples(rows[path]).astype(float)
        inside = np.zeros(len(sound), bool)
        for start, end in of_film.select("start_s", "end_s").iter_rows():
            inside[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)] = True
        assert np.square(sound[inside]).mean() > 20 * np.square(sound[~inside]).mean()
        assert rows[path]["language"] == "No speech"


def test_things_move_and_shine_where_they_sound_and_only_there():
    plan, moved = Plan(settings()), 0
    for number in range(60):
        film = plan.film(number)
        pictures = Pictures(film)
        for second in range(4):
            scene, picture = pictures.drawn(second)
            for place, (now, still) in enumerate(zip(scene.things, film.scene.things, strict=True)):
                jump = np.hypot(now.x - still.x, now.y - still.y) / np.hypot(scene.width, scene.height)
                if place in pictures.sounding(second):
                    assert jump == 0 or 0.039 < jump < 0.081
                    moved += jump > 0
                else:
                    assert jump == 0
            if pictures.sounding(second):
                assert all((picture.owner == i).sum() >= 1 for i in range(len(scene.things)))
    assert moved > 40


def test_what_is_said_and_what_sounds_at_once_are_about_different_things(whole):
    both = whole["truth audio"].filter(clip_kind="both")
    assert len(both) > 0
    for (_,), rows in both.partition_by("source_path", as_dict=True).items():
        said = set(rows.filter(pl.col("role") != "sound", pl.col("object") >= 0)["object"])
        assert said.isdisjoint(rows.filter(role="sound")["object"])


def test_off_screen_sounds_are_of_kinds_that_are_not_shown_and_silence_has_no_truth(whole):
    plan, truth = Plan(settings()), whole["truth audio"]
    hidden = truth.filter(clip_kind="off_screen")
    assert set(hidden["object"]) == {OFF_SCREEN} and set(hidden["english"]) <= set(SOUNDING)
    for path, kind in hidden.select("source_path", "english").iter_rows():
        assert kind not in {thing.kind for thing in plan.film(int(path.split("-")[1])).scene.things}
    silent = [number for number in range(60) if plan.film(number).kind == "silence"]
    assert silent and truth.filter(pl.col("source_path").is_in([f"film-{n:06d}-0.wav" for n in silent])).is_empty()
    quiet = samples(whole["source audio"].row(silent[0], named=True))
    assert 200 < np.abs(quiet).max() < 2000


def test_times_lie_within_clips_and_words_are_cut_at_most_by_half(whole, cut):
    for tables, length in ((whole, 4.0), (cut, 1.0)):
        truth = tables["truth audio"]
        assert truth["start_s"].min() >= 0 and truth["end_s"].max() <= length
        assert (truth["end_s"] > truth["start_s"]).all()
    words = [tables["truth audio"].filter(pl.col("role") != "sound") for tables in (whole, cut)]
    assert 0.9 * len(words[0]) < len(words[1]) <= len(words[0]) + 60


def test_segments_as_files_are_kept_and_made_again_alone(tmp_path):
    config = settings(films=4, speakers=4, shards=2)
    for part in range(2):
        write(config, part, tmp_path, tmp_path / f"segments-{part}.csv")
    files = sorted(path.name for path in tmp_path.glob("*.mp4"))
    assert files == sorted(f"{vid}_{seg}.mp4" for vid in range(4) for seg in range(4))
    with (tmp_path / "segments-1.csv").open() as table:
        first = next(csv.DictReader(table))
    assert (first["vid"], first["seg"], first["start_s"]) == ("2", "0", "0.0")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.glob("*.mp4")}
    (gone := tmp_path / "3_2.mp4").unlink()
    write(config, 1, tmp_path, tmp_path / "segments-1.csv")
    assert gone.read_bytes() == before[gone][0]
    kept = [path for path in before if path != gone]
    assert all(path.stat().st_mtime_ns == before[path][1] for path in kept)
    with pytest.raises(ValueError, match="part: 2 is not one of the 2 shards"):
        write(config, 2, tmp_path, tmp_path / "x.csv")


def test_segments_of_other_settings_are_not_kept(tmp_path):
    few = {"films": 3, "speakers": 3, "shards": 1}
    write(settings(**few), 0, tmp_path, tmp_path / "segments-0.csv")
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.mp4")}
    changed = settings(**few | {"films": 2, "seed": 9})
    write(changed, 0, tmp_path, tmp_path / "segments-0.csv")
    after = {path.name: path.read_bytes() for path in tmp_path.glob("*.mp4")}
    assert set(after) == {f"{vid}_{seg}.mp4" for vid in range(2) for seg in range(4)}
    assert all(after[name] != before[name] for name in after)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seconds": 3.5}, "seconds: 3.5 is no whole number"),
        ({"segment_s": 3.0}, "segment_s: 3 is no whole number of seconds that divides 4"),
        ({"shards": 61}, "shards: 61, but there are 60 films"),
        ({"speakers": 1}, "speakers: 1, but each language"),
        ({"mentions": [3, 3]}, "mentions: at least 3, but some pictures show 2 objects"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        settings(**changes)


def test_a_shard_that_is_not_listed_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no shard 'audio/x' in Sounding Scenes"):
        fetch(settings(), "audio/x", tmp_path / "a", tmp_path / "b")
