"""Things and their pictures: all there, small, distinct, and as many kinds as the configuration allows."""

from itertools import combinations

import numpy as np
import pytest

from ves.config.corpus import MOST_KINDS
from ves.sources.scenes import things
from ves.sources.scenes.things import HERE, SIDE, kinds, picture

NAMES = [name for kind in kinds() for name in (*kind.pictures, *kind.unseen)]


def test_there_are_as_many_kinds_as_may_be_asked_for():
    assert len(kinds()) == len({kind.name for kind in kinds()}) == MOST_KINDS


def test_every_picture_is_of_one_kind_and_every_file_is_a_picture_of_the_table():
    assert len(set(NAMES)) == len(NAMES)
    assert {file.stem for file in HERE.glob("[!.]*.webp")} == set(NAMES)


def test_a_kind_has_a_picture_to_train_on_and_many_have_another_that_no_training_sees():
    assert all(kind.pictures for kind in kinds())
    assert sum(bool(kind.unseen) for kind in kinds()) >= 20


def test_all_pictures_together_are_small():
    assert sum((HERE / f"{name}.webp").stat().st_size for name in NAMES) < 2_000_000


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_cut_out_and_as_large_as_it_says(name):
    cut = picture(name)
    alpha = np.asarray(cut)[..., 3]
    assert cut.mode == "RGBA"
    assert max(cut.size) == SIDE
    assert (alpha > 127).mean() > 0.15
    assert (alpha < 128).any(), "corners at least"
    assert min((alpha > 15).any(axis).mean() for axis in (0, 1)) > 0.95, "cropped to what is seen"


def colours(name: str) -> np.ndarray:
    """Share of each of 125 coarse colours on the thing."""
    pixels = np.asarray(picture(name))
    level = pixels[..., :3].astype(int) * 5 // 256
    count = np.bincount((level @ np.array([25, 5, 1])).ravel(), pixels[..., 3].ravel(), 125)
    return count / count.sum()


def shape(name: str) -> np.ndarray:
    """Which pixels of a square the thing covers."""
    square = np.zeros((SIDE, SIDE), bool)
    alpha = np.asarray(picture(name))[..., 3] > 127
    top, left = (SIDE - alpha.shape[0]) // 2, (SIDE - alpha.shape[1]) // 2
    square[top : top + alpha.shape[0], left : left + alpha.shape[1]] = alpha
    return square


def test_no_two_kinds_look_alike():
    """Things of two kinds share neither most colours and the outline: a word could not be tied to one of them."""
    seen = [(kind.name, name) for kind in kinds() for name in kind.pictures]
    of = {name: (colours(name), shape(name)) for _, name in seen}
    for (one, first), (other, second) in combinations(seen, 2):
        common = np.minimum(of[first][0], of[second][0]).sum()
        outline = (of[first][1] & of[second][1]).sum() / (of[first][1] | of[second][1]).sum()
        assert one == other or common * outline < 0.6, (first, second, common, outline)


def test_licences_stand_beside_what_they_cover():
    assert "Copyright (c) Microsoft Corporation" in (HERE / "FLUENT-EMOJI.txt").read_text("utf-8")
    assert "Unicode" in (HERE.parent / "lexicon/UNICODE.txt").read_text("utf-8")


def test_another_picture_is_another_digest(tmp_path, monkeypatch):
    before = things.digest()
    for file in HERE.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(things, "HERE", tmp_path)
    assert things.digest() == before
    (tmp_path / "kite.webp").write_bytes((tmp_path / "kite.webp").read_bytes() + b" ")
    assert things.digest() != before
