"""Pointing: by hand on pictures of four patches, and against a slow reading of its definition on random ones."""

import io
import json

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

from tests.support.embeddings import FRAMES, embeddings, random_embeddings
from tests.support.truth_corpus import Corpus, png, rectangle
from ves.evaluation.localisation import measure as localisation
from ves.evaluation.localisation.measure import rates
from ves.evaluation.truth import NoTruth
from ves.store.embeddings import write

pytestmark = pytest.mark.numbers

TOP_LEFT, TOP_RIGHT, BOTTOM_LEFT = torch.eye(4)[:3]  # tokens that are hot in one patch of `corners`


def corners(images: int) -> torch.Tensor:
    """Image tokens [images, 4, 4]: patch p answers to unit vector p."""
    return torch.eye(4).expand(images, 4, 4)


@pytest.fixture
def two(tmp_path) -> Corpus:
    """Two clips about two pictures of 4 x 4 pixels, four patches each; one cup top left, one ball top right.

    Clip 0 points top left in its first half second and bottom left in its second; clip 1 always top right.
    """
    first = torch.cat([TOP_LEFT.expand(5, 4), BOTTOM_LEFT.expand(5, 4)])
    stored = embeddings(torch.stack([first, TOP_RIGHT.expand(10, 4)]), corners(2), [0, 1])
    corpus = Corpus(tmp_path, stored, (4, 4), ["hi", "bn"])
    corpus.show(0, 0, "cup", rectangle(4, 4, 0, 0, 2, 2))
    corpus.show(1, 0, "ball", rectangle(4, 4, 2, 0, 4, 2))
    return corpus


def test_pointing_by_hand(two):
    two.say(0, 0.0, 0.5, 0)  # the cup, while the clip points at it
    two.say(0, 0.5, 1.0, 0)  # the cup again, while the clip points below it
    two.say(1, 0.2, 0.4, 0)  # the ball
    two.say(1, 0.5, 0.7, -1)  # a noun that names nothing shown
    two.say(1, 0.5, 0.7, 0, role="colour")  # a colour is no noun
    report = two.evaluate()
    assert report["available"] is True
    assert report["n"] == 3
    assert report["pointing"] == pytest.approx(100 * 2 / 3)
    assert report["by_kind"]["cup"] == {
        "pointing": 50.0, "pointing_overlap": 50.0, "centre": 25.0, "random": 25.0, "wrong_clip": 0.0, "n": 2,
    }  # fmt: skip
    assert report["by_kind"]["ball"]["pointing"] == 100.0
    assert report["by_language"]["bn"] == report["by_kind"]["ball"]
    assert report["by_language"]["hi"] == report["by_kind"]["cup"]


def test_nouns_with_and_without_a_colour_are_told_apart(two):
    two.say(0, 0.0, 0.5, 0)
    two.say(1, 0.0, 0.5, 0)
    assert "by_colour_said" not in two.evaluate(), "where no colour is said, nothing is divided"
    two.say(1, 0.5, 0.7, 0, role="colour")
    two.show(0, 1, "hat", rectangle(4, 4, 0, 2, 2, 4))
    two.say(0, 0.5, 0.9, 1)
    two.say(0, 0.9, 1.0, 0, role="colour")  # of the cup, not of the hat
    report = two.evaluate()
    assert {group: row["n"] for group, row in report["by_colour_said"].items()} == {"no": 1, "yes": 2}
    rows = [row for row in report["protocols_by"] if row["by"] == "colour_said" and row["protocol"] == "pointing"]
    assert {row["group"] for row in rows} == {"no", "yes"}


def test_things_that_no_training_sees_are_told_apart(two):
    two.objects.clear()
    two.show(0, 0, "cup", rectangle(4, 4, 2, 2, 4, 4), seen_picture=False)
    two.show(1, 0, "ball", rectangle(4, 4, 2, 0, 4, 2), seen_picture=True)
    two.say(0, 0.0, 0.5, 0)  # points elsewhere
    two.say(1, 0.0, 0.5, 0)
    by = two.evaluate()["by_seen_picture"]
    assert {group: (row["n"], row["pointing"]) for group, row in by.items()} == {"no": (1, 0.0), "yes": (1, 100.0)}


def test_a_word_uses_its_own_tokens_alone(two):
    two.say(0, 0.0, 0.5, 0)
    assert two.evaluate()["pointing"] == 100.0
    two.words.clear()
    two.say(0, 0.1, 1.0, 0)  # four tokens say top left, five bottom left
    assert two.evaluate()["pointing"] == 0.0


def test_a_noun_of_two_words_is_one_noun(two):
    """Pooled over both: four tokens of the first say top left, five of the second bottom left."""
    two.say(0, 0.1, 0.5, 0)
    two.say(0, 0.5, 1.0, 0, follows=True)
    report = two.evaluate()
    assert (report["n"], report["pointing"]) == (1, 0.0)
    two.say(1, 0.0, 0.3, 0, follows=True)  # another clip, whatever its number
    two.say(1, 0.3, 0.6, 0, role="colour", follows=True)
    two.say(1, 0.6, 0.9, 0, follows=True)  # a word lies between: it is named twice
    report = two.evaluate()
    assert (report["n"], report["pointing"]) == (3, pytest.approx(100 * 2 / 3))
    two.show(1, 1, "hat", rectangle(4, 4, 0, 0, 2, 2))
    two.say(1, 0.9, 1.0, 1, follows=True)
    assert two.evaluate()["n"] == 4, "two objects, one after the other"


def test_the_wrong_clip_is_heard_in_this_picture(two):
    """What clip 1 says lies bottom right in picture 0; so does the cup. The wrong clip hits it and its own does not.

    So this much is not due to the speech. In its own picture clip 1 points top right, where picture 0 has nothing.
    """
    two.stored.image_tokens[0] = two.stored.image_tokens[0][[0, 3, 2, 1]]
    two.objects[0]["mask"] = png(rectangle(4, 4, 2, 2, 4, 4))
    two.say(0, 0.0, 0.5, 0)
    two.say(1, 0.0, 0.5, 0)
    report = two.evaluate()
    assert report["by_kind"]["cup"]["pointing"] == 0.0
    assert report["by_kind"]["cup"]["wrong_clip"] == 100.0
    assert report["by_kind"]["ball"]["wrong_clip"] == 0.0


def test_what_cannot_be_judged_is_left_out_and_counted(two):
    two.stored.audio_mask[1, 6:] = False
    two.say(0, 0.0, 0.5, 0)
    two.say(0, 0.9, 1.1, 0)  # ends after the window of 1 s
    two.say(1, 0.7, 0.9, 0)  # its tokens do not count
    two.show(0, 1, "hat", np.zeros((4, 4), bool))
    two.say(0, 0.0, 0.5, 1)  # wholly hidden
    report = two.evaluate()
    assert report["n"] == 1
    assert report["skipped"] == {"hidden": 1, "beyond_window": 1, "no_valid_token": 1}
    assert report["wrong_clip"] is None, "there is no noun of another kind: a missing value, not 0"


def test_tokens_that_do_not_count_are_not_averaged(two):
    two.stored.audio_mask[0, 5:] = False
    two.say(0, 0.1, 1.0, 0)
    assert two.evaluate()["pointing"] == 100.0


def test_padding_is_never_the_hottest_patch(tmp_path):
    """A picture twice as wide as high in a grid of 4 x 2: the first and the last row are padding."""
    image = torch.eye(8)[None].clone()
    stored = embeddings(torch.tensor([0.9, 0, 0.5, 0, 0, 0, 0, 0]).expand(1, 10, 8), image, [0], grid=[4, 2], fit="pad")
    stored.image_mask[0, [0, 1, 6, 7]] = False
    corpus = Corpus(tmp_path, stored, (40, 20))
    corpus.show(0, 0, "cup", rectangle(40, 20, 0, 0, 20, 10))
    corpus.say(0, 0.0, 0.5, 0)
    report = corpus.evaluate()
    assert report["pointing"] == 100.0
    assert report["random"] == 25.0, "of the four patches that show the picture, one"


def slow_pointing(corpus: Corpus) -> tuple[float, ...]:
    """Pointing, random, centre (of 3 x 4 patches two are central), read from their definitions pixel by pixel."""
    stored, hits, chances, middles = corpus.stored, [], [], []
    token_s = FRAMES["strides"][0] * FRAMES["pool"] / 16_000
    for word in corpus.words:
        clip = int(word["source_path"][4:-4])
        image = int(stored.clip_image[clip])
        thing = next(o for o in corpus.objects
                     if (o["image_id"], o["object"]) == (stored.image_id[image], word["object"]))  # fmt: skip
        mask = np.asarray(Image.open(io.BytesIO(thing["mask"])))
        tokens = [t for t in range(stored.audio_tokens.shape[1])
                  if word["start_s"] <= (t + 0.5) * token_s < word["end_s"] and stored.audio_mask[clip, t]]  # fmt: skip
        rows, columns = stored.attrs["grid"]
        height, width = mask.shape
        heats, inside = [], []
        for p in range(rows * columns):
            patch = stored.image_tokens[image, p].double()
            heats.append(sum(float(stored.audio_tokens[clip, t].double() @ patch) for t in tokens) / len(tokens))
            x, y = (p % columns + 0.5) * width / columns, (p // columns + 0.5) * height / rows
            inside.append(bool(mask[int(y), int(x)]))
        hits.append(inside[heats.index(max(heats))])
        chances.append(sum(inside) / len(inside))
        middles.append((inside[5] + inside[6]) / 2)
    return tuple(100 * sum(found) / len(found) for found in (hits, chances, middles))


@pytest.mark.parametrize("seed", range(4))
def test_random_corpora_equal_the_slow_reading(tmp_path, seed):
    rng = np.random.default_rng(seed)
    stored = random_embeddings(14, 14, seed=seed, patches=12, grid=[3, 4])
    stored.audio_mask[:] = True
    corpus = Corpus(tmp_path, stored, (53, 31))
    for image in range(14):
        for thing, kind in enumerate(rng.permutation(["cup", "ball", "hat"])):
            corpus.show(image, thing, str(kind), rng.random((31, 53)) < 0.5)
        for _ in range(3):
            start = rng.uniform(0, 0.6)
            corpus.say(image, start, start + rng.uniform(0.15, 0.4), int(rng.integers(3)))
    report = corpus.evaluate()
    assert (report["pointing"], report["random"], report["centre"]) == pytest.approx(slow_pointing(corpus), abs=1e-9)
    assert report["n"] == 42
    assert report["pointing_overlap"] >= report["pointing"]
    assert sum(kind["n"] for kind in report["by_kind"].values()) == 42


def test_speech_that_says_nothing_points_no_better_than_the_wrong_clip(tmp_path):
    """All clips have one and the same token: pointing and wrong_clip are then the same number, not chance."""
    stored = random_embeddings(12, 12, patches=4)
    stored.audio_tokens[:] = stored.audio_tokens[0, 0]
    corpus = Corpus(tmp_path, stored, (8, 8))
    for image in range(12):
        corpus.show(image, 0, "cup" if image % 2 else "ball", rectangle(8, 8, 0, 0, 4, 8))
        corpus.say(image, 0.0, 0.3, 0)
    stored.audio_mask[:] = True
    report = corpus.evaluate()
    assert report["pointing"] == report["wrong_clip"]
    assert report["random"] == 50.0


def test_the_order_of_rows_changes_nothing(tmp_path, two):
    for clip, start in ((0, 0.0), (0, 0.5), (1, 0.2)):
        two.say(clip, start, start + 0.3, 0)
    before = two.evaluate()
    two.words.reverse()
    two.objects.reverse()
    for table in (two.data.manifest, two.data.images):
        pl.read_parquet(table).reverse().write_parquet(table)
    assert two.evaluate() == before


def test_a_corpus_without_word_timings_is_no_error(two):
    write(two.folder / "val.zarr", two.stored)
    localisation.evaluate(two.folder / "val.zarr", two.data, two.folder / "truth", two.folder / "localisation.json")
    report = json.loads((two.folder / "localisation.json").read_text())
    assert report["available"] is False
    assert report["why"] == "this corpus has no word timings"
    assert report["run"] == "dense-s0"


def test_truth_of_other_pictures_or_sizes_is_an_error(two):
    two.say(0, 0.0, 0.5, 0)
    two.objects[0]["mask"] = png(rectangle(5, 4, 0, 0, 2, 2))
    with pytest.raises(ValueError, match=r"mask of cup is \(4, 5\), not \(4, 4\)"):
        two.evaluate()
    two.say(1, 0.0, 0.5, 3)
    with pytest.raises(ValueError, match=r"clip1\.wav names object 3, which its picture does not have"):
        two.evaluate()


def test_rates_of_nothing_are_missing():
    outcomes = {name: np.full(2, np.nan) for name in localisation.RATES}
    assert rates(outcomes) == dict.fromkeys(localisation.RATES) | {"n": 2}


def test_no_noun_in_the_window_says_so(two):
    two.say(0, 0.9, 1.4, 0)
    report = two.evaluate()
    assert report["available"] is False
    assert "spoken within the 1.0 s" in report["why"]
    assert issubclass(NoTruth, LookupError)


ABOUT = ("available", "run", "split", "model_sha256", "sounds")


def _measured(report: dict) -> dict:
    return {key: value for key, value in report.items() if key not in ABOUT}


def _made_twice(tmp_path, said: list[tuple], heard: list[tuple]) -> tuple[dict, dict]:
    """The report of a corpus with these nouns and sounds, and those of two where either are its nouns."""
    stored = random_embeddings(clips=6, images=6, seed=3)
    reports = []
    for name, rows in (
        ("both", [(*row, "noun") for row in said] + [(*row, "sound") for row in heard]),
        ("nouns", [(*row, "noun") for row in said]),
        ("sounds", [(*row, "noun") for row in heard]),
    ):
        (tmp_path / name).mkdir()
        corpus = Corpus(tmp_path / name, stored, (20, 20))
        for image in range(6):
            corpus.show(image, 0, "bell", rectangle(20, 20, image, 2, image + 8, 12))
            corpus.show(image, 1, "cup", rectangle(20, 20, 10, 10 + image % 3, 18, 19))
        for clip, start, end, thing, role in rows:
            corpus.say(clip, start, end, thing, role=role)
        reports.append(corpus.evaluate() if rows else {})
    both, *alone = reports
    return both, {"nouns": _measured(alone[0]), "sounds": _measured(alone[1])}


SAID = [(0, 0.1, 0.4, 1), (1, 0.2, 0.5, 1), (3, 0.0, 0.3, 0), (4, 0.5, 0.9, 1)]
HEARD = [(0, 0.3, 0.9, 0), (2, 0.0, 0.6, 0), (4, 0.1, 0.5, 0), (5, 0.2, 0.8, 1)]


def _without_words(report: dict) -> dict:
    """Numbers of words differ between the corpora, and with them the digest and the order of the shuffled baseline."""
    kept = {key: value for key, value in report.items() if key not in ("nouns", "protocols", "protocols_by")}
    rows = [row for part in ("protocols", "protocols_by") for row in report[part] if row["heat"] != "chance"]
    return kept | {"rows": rows}


def test_sounds_are_measured_as_nouns_are_and_apart_from_them(tmp_path):
    both, alone = _made_twice(tmp_path, SAID, HEARD)
    assert _without_words(both["sounds"]) == _without_words(alone["sounds"])
    assert _without_words(_measured(both)) == _without_words(alone["nouns"])
    assert both["sounds"]["n"] == both["n"] == 4


def test_a_corpus_without_sounds_has_no_report_of_them_and_one_of_sounds_alone_has_no_other(tmp_path):
    (tmp_path / "a").mkdir()
    both, alone = _made_twice(tmp_path / "a", SAID, [])
    assert "sounds" not in both and _measured(both) == alone["nouns"]
    (tmp_path / "b").mkdir()
    both, alone = _made_twice(tmp_path / "b", [], HEARD)
    assert both["available"] and _measured(both) == {} and both["sounds"]["n"] == 4


def test_what_sounds_off_screen_is_left_out(tmp_path):
    both, _ = _made_twice(tmp_path, SAID, [*HEARD, (3, 0.4, 0.9, -1)])
    assert both["sounds"]["n"] == 4


def test_two_sounds_of_one_thing_are_two_events(two):
    two.say(0, 0.0, 0.3, 0, role="sound")
    two.say(0, 0.6, 0.9, 0, role="sound", follows=True)
    assert two.evaluate()["sounds"]["n"] == 2
