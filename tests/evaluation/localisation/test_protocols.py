"""All protocols on embeddings, end to end, against slow readings that share no code with them, and their rows."""

import io
import itertools
import math

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.denseav import reference_window
from tests.support.embeddings import FRAMES, random_embeddings
from tests.support.truth_corpus import Corpus, rectangle
from ves.evaluation.localisation.protocols import Key
from ves.evaluation.localisation.rows import by_group, of_nouns, overall

pytestmark = pytest.mark.numbers

SIZE = (40, 30)
KINDS = ("cup", "ball", "hat")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    """Twelve clips about as many pictures, in each a cup, a ball and a hat (of picture 0 two cups); two nouns each."""
    rng = np.random.default_rng(1)
    stored = random_embeddings(12, 12, patches=12, grid=[3, 4])
    stored.audio_mask[:] = True
    stored.audio_mask[5, 8:] = False
    made = Corpus(tmp_path_factory.mktemp("corpus"), stored, SIZE, ["hi", "bn", "ta"] * 4)
    for image in range(12):
        for thing, kind in enumerate((*KINDS, "cup")[: 4 if image == 0 else 3]):
            x, y = int(rng.integers(0, 30)), int(rng.integers(0, 20))
            made.show(image, thing, kind, rectangle(*SIZE, x, y, x + int(rng.integers(3, 11)), y + 9))
        for start in (0.0, 0.4):
            made.say(image, start, start + float(rng.uniform(0.11, 0.29)), int(rng.integers(3)) if image else 0)
    return made


@pytest.fixture(scope="module")
def report(corpus) -> dict:
    return corpus.evaluate()


def value(report: dict, protocol: str, metric: str, heat: str = "model") -> float:
    (found,) = [row for row in report["protocols"] if (row["protocol"], row["metric"], row["heat"]) == (
        protocol, metric, heat)]  # fmt: skip
    return found["value"]


def upsample(grid: np.ndarray) -> np.ndarray:
    """[224, 224] by torch, as the reference code does."""
    return torch.nn.functional.interpolate(torch.tensor(grid)[None, None], (224, 224), mode="bilinear")[0, 0].numpy()


def noun_readings(corpus: Corpus) -> list[dict]:
    """Every noun with what the slow readings need: kind, heats [224, 224] of word and widened time, truth, boxes."""
    found, stored = [], corpus.stored
    token_s = FRAMES["strides"][0] * FRAMES["pool"] / 16_000
    for word in corpus.words:
        clip = int(word["source_path"][4:-4])
        image = stored.image_id[int(stored.clip_image[clip])]
        things = {one["object"]: one for one in corpus.objects if one["image_id"] == image}
        kind = things[word["object"]]["kind"]
        valid = [t for t in range(10) if stored.audio_mask[clip, t]]
        near = [t for t in valid if word["start_s"] <= (t + 0.5) * token_s < word["end_s"]]
        wide = [t for t in reference_window(word["start_s"], word["end_s"], 1.0, 10) if t in valid]
        patches = stored.image_tokens[clip].double()
        heats = [
            upsample(
                np.mean([(patches @ stored.audio_tokens[clip, t].double()).numpy() for t in tokens], 0).reshape(3, 4)
            )
            for tokens in (near, wide)
        ]
        truth, boxes = np.zeros((224, 224), bool), np.zeros((224, 224), bool)
        for thing in things.values():
            if thing["kind"] == kind:
                nearest = Image.open(io.BytesIO(thing["mask"])).resize((224, 224), Image.Resampling.NEAREST)
                mask = np.asarray(nearest).astype(bool)
                truth |= mask
                ys, xs = np.nonzero(mask)
                boxes[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1] = True
        found.append({"kind": kind, "word": heats[0], "wide": heats[1], "truth": truth, "boxes": boxes})
    return found


def precision(heat: np.ndarray, truth: np.ndarray) -> float:
    """AP by a count of each distinct heat. The square's border repeats heats, so that there are many ties."""
    heats, place = np.unique(heat.ravel().round(9), return_inverse=True)
    kept = np.bincount(place, minlength=len(heats))[::-1].cumsum()
    gained = np.bincount(place, weights=truth.ravel(), minlength=len(heats))[::-1]
    return float((gained / truth.sum() * gained.cumsum() / kept).sum())


def iou(heat: np.ndarray, truth: np.ndarray) -> float:
    kept = [heat > threshold for threshold in np.linspace(heat.min(), heat.max(), 20)]
    return max((one & truth).sum() / (one | truth).sum() for one in kept)


def test_denseav_equals_a_slow_reading(corpus, report):
    """With the min-max over the set that is left out in ves.evaluation.localisation.denseav."""
    nouns = noun_readings(corpus)
    low, high = min(noun["wide"].min() for noun in nouns), max(noun["wide"].max() for noun in nouns)
    for metric, slow in (("mAP", precision), ("mIoU", iou)):
        classes, alone = [], []
        for kind in sorted({noun["kind"] for noun in nouns}):
            own = [noun for noun in nouns if noun["kind"] == kind]
            heat = np.stack([(noun["wide"] - low) / (high - low) for noun in own])
            classes.append(slow(heat, np.stack([noun["truth"] for noun in own])))
            alone.append(np.mean([slow(noun["wide"], noun["truth"]) for noun in own]))
        assert value(report, "denseav", metric) == pytest.approx(100 * np.mean(classes), abs=2e-3)
        assert value(report, "denseav_per_image", metric) == pytest.approx(100 * np.mean(alone), abs=2e-3)
        difference = value(report, "denseav_difference", metric)
        assert difference == pytest.approx(100 * (np.mean(alone) - np.mean(classes)), abs=4e-3)


def test_vggss_equals_a_slow_reading(corpus, report):
    cious, adaptive = [], []
    for noun in noun_readings(corpus):
        heat, boxes = noun["word"], noun["boxes"]
        scaled = np.sort(heat.ravel())
        for kept, into in (
            (heat > scaled[224 * 224 // 2], cious),
            (heat > scaled[224 * 224 - boxes.sum()], adaptive),
        ):
            into.append((kept & boxes).sum() / (kept | boxes).sum())
    for protocol, values in (("vggss", cious), ("vggss_adaptive", adaptive)):
        assert value(report, protocol, "cIoU") == pytest.approx(100 * np.mean(np.array(values) >= 0.5), abs=1e-6)
        rates = [np.mean(np.array(values) >= 0.05 * i) for i in range(21)]
        area = sum(0.05 * (a + b) / 2 for a, b in itertools.pairwise(rates))
        assert value(report, protocol, "AUC") == pytest.approx(100 * area, abs=1e-6)


def test_the_heats_stand_in_their_order(report):
    """Whatever the model: the oracle beats all; shuffled patches (`chance` in the files) are as sharp as its own."""
    for protocol, metric in (("denseav", "mAP"), ("denseav_per_image", "mAP"), ("denseav_per_image", "mIoU")):
        others = [value(report, protocol, metric, heat) for heat in ("model", "wrong_clip", "centre", "mean_mask")]
        assert value(report, protocol, metric, "oracle") > max(others)
    for metric in ("cIoU", "AUC"):
        assert value(report, "vggss", metric, "oracle") <= value(report, "vggss", metric, "ceiling")
    assert value(report, "sharpness", "entropy", "chance") == pytest.approx(value(report, "sharpness", "entropy"))
    assert value(report, "pointing", "hit", "chance") == report["random"]
    assert value(report, "pointing", "hit") == report["pointing"]


def test_by_language_and_by_kind(report):
    rows = report["protocols_by"]
    hits = [row for row in rows if (row["protocol"], row["metric"], row["heat"]) == ("pointing", "hit", "model")]
    assert [row["group"] for row in hits if row["by"] == "language"] == ["bn", "hi", "ta"]
    assert sum(row["n"] for row in hits if row["by"] == "kind") == report["n"] == 24
    for row in hits:
        assert row["value"] == report[f"by_{row['by']}"][row["group"]]["pointing"]
        assert row["low"] <= row["value"] <= row["high"]
    pooled = [row for row in rows if row["protocol"] == "denseav" and row["metric"] == "mAP" and row["heat"] == "model"]
    assert np.mean([row["value"] for row in pooled]) == pytest.approx(value(report, "denseav", "mAP"))


def test_twice_gives_the_same_bytes_and_order_does_not_matter(corpus, report, tmp_path):
    path = corpus.folder / "localisation.json"
    before = path.read_bytes()
    corpus.evaluate()
    assert path.read_bytes() == before
    stored = corpus.stored
    clips, images = torch.randperm(12), torch.randperm(12)
    back = images.argsort()
    turned = type(stored)(
        audio_tokens=stored.audio_tokens[clips],
        audio_mask=stored.audio_mask[clips],
        clip_image=back[stored.clip_image[clips].long()].int(),
        image_tokens=stored.image_tokens[images],
        image_mask=stored.image_mask[images],
        clip_id=[stored.clip_id[i] for i in clips],
        image_id=[stored.image_id[i] for i in images],
        attrs=stored.attrs,
    )
    corpus.stored = turned
    try:
        corpus.evaluate()
    finally:
        corpus.stored = stored
    assert path.read_bytes() == before


KEY: Key = ("pointing", "hit", "model")


def test_rows_by_hand():
    values = {KEY: np.array([1.0, 0.0, np.nan, 1.0])}
    (row,) = of_nouns(values, np.arange(4))
    assert row == row | {"protocol": "pointing", "value": pytest.approx(200 / 3), "n": 3}
    assert row["low"] is None, "of some draws, whose four pictures are all the third, nothing is known"
    (whole,) = of_nouns({KEY: np.array([1.0, 0.0, 0.0, 1.0])}, np.arange(4))
    assert 0 <= whole["low"] < whole["value"] < whole["high"] <= 100
    (row,) = of_nouns(values, np.arange(4), ["a", "a", "b", "c"])
    assert row["value"] == pytest.approx(75), "the mean of 1/2 and 1; b has no value"


def test_what_nobody_has_is_missing():
    values = {KEY: np.full(3, np.nan), ("denseav_per_image", "mAP", "model"): np.full(3, np.nan)}
    pools = {("denseav", "mAP", "model"): {"a": math.nan}}
    for row in overall(values, pools, np.arange(3), ["a"] * 3):
        assert (row["value"], row["low"], row["high"], row["n"]) == (None, None, None, 0)
    rows = by_group(values, pools, np.arange(3), {"kind": ["a"] * 3, "language": [None, "hi", None]})
    assert {(row["by"], row["group"]) for row in rows} == {("kind", "a"), ("language", "hi")}
    assert all(row["value"] is None for row in rows)
