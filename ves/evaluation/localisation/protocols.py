"""All protocols of localisation, on all heats of all nouns: the score of each noun, and of each class as one pool.

A result is named by protocol, metric and heat. Protocols: `denseav` (ves.evaluation.localisation.denseav, pooled by
class), `denseav_per_image` (the same of each picture alone), `vggss` and `vggss_adaptive`
(ves.evaluation.localisation.vggss; the truth is the box of each object of the noun's kind), `sharpness`
(ves.evaluation.localisation.sharpness, on the named object). Heats: those of ves.evaluation.localisation.noun_heats,
and
    centre      heat that falls with the distance from the centre; its hotter half is the centre disc
    uniform     the same heat everywhere; where a rule must keep pixels, it keeps all of them
    ceiling     what no heat exceeds under the rule of `vggss`; under the other rules a heat of pixels can reach 100 %
All numbers are shares, from 0 to 1; NaN where undefined.

Dimension key
    N nouns    S pixels of the grid
"""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float32

from ves.base.progress import track
from ves.evaluation.localisation import denseav, sharpness, vggss
from ves.evaluation.localisation.noun_heats import NounHeats

RATES = {"cIoU": vggss.success, "AUC": vggss.area}  # of the protocols of VGG-SS, from the cIoU of each noun
Key = tuple[str, str, str]  # protocol, metric, heat
Scores = dict[tuple[str, str], float]  # of one noun and heat, by protocol and metric


def _boxes(heats: NounHeats, noun: int, objects: list[Bool[np.ndarray, " S"]]) -> Bool[np.ndarray, " S"]:
    """The boxes of some objects, as one."""
    grid = heats.pixel_grid(noun)
    return np.logical_or.reduce([grid.box(one) for one in objects])


def _of_boxes(word: Float32[np.ndarray, " S"], boxes: Bool[np.ndarray, " S"]) -> Scores:
    kept = {"vggss": vggss.top_half(word), "vggss_adaptive": vggss.size_adaptive(word, int(np.count_nonzero(boxes)))}
    return _of_rates({protocol: vggss.ciou(pixels, boxes) for protocol, pixels in kept.items()})


def _of_rates(cious: dict[str, float]) -> Scores:
    """The cIoU itself under each of RATES, which are computed from all nouns at once."""
    return {(protocol, metric): value for protocol, value in cious.items() for metric in RATES}


def _per_image(pixels: denseav.SortedPixels) -> Scores:
    precision, iou = denseav.average_precision(pixels), denseav.best_iou(pixels)
    return {("denseav_per_image", "mAP"): precision, ("denseav_per_image", "mIoU"): iou}


def _without_map(truth: Bool[np.ndarray, " S"], boxes: Bool[np.ndarray, " S"]) -> Iterator[tuple[str, Scores]]:
    """Scores that need no heatmap: of uniform, and the ceiling."""
    share = np.count_nonzero(truth) / len(truth) if truth.any() else float("nan")
    everything = vggss.ciou(np.ones_like(boxes), boxes)
    same = {("denseav_per_image", "mAP"): share, ("denseav_per_image", "mIoU"): share}
    yield "uniform", same | _of_rates({"vggss": everything, "vggss_adaptive": everything})
    yield "ceiling", _of_rates({"vggss": vggss.ceiling(int(np.count_nonzero(boxes)), len(boxes))})


def _maps(heats: NounHeats, noun: int) -> Iterator[tuple[str, Float32[np.ndarray, " S"], Float32[np.ndarray, " S"]]]:
    """Each heat that this noun has, on the pixels of the grid: its name, that of the word, that of the widened time."""
    grid = heats.pixel_grid(noun)
    for name, of_kind in heats.heats.items():
        word, widened = of_kind.word[noun], of_kind.widened[noun]
        if not np.isnan(word).any():
            pixels = grid.lay(word)
            yield name, pixels, pixels if of_kind.word is of_kind.widened else grid.lay(widened)
    centre = grid.from_centre()
    yield "centre", centre, centre


def _pool_scores(pixels: list[denseav.SortedPixels]) -> Scores:
    pool = denseav.pool(pixels)
    precision, iou = denseav.average_precision(pool), denseav.best_iou(pool)
    return {("denseav", "mAP"): precision, ("denseav", "mIoU"): iou}


def measure(heats: NounHeats) -> tuple[dict[Key, np.ndarray], dict[Key, dict[str, float]]]:
    """The scores of each protocol, metric and heat: float [N] where nouns are scored, the value by class where they are
    pooled."""
    count = len(heats.nouns)
    nouns: dict[Key, np.ndarray] = defaultdict(lambda: np.full(count, np.nan))
    pools: dict[Key, dict[str, float]] = defaultdict(dict)
    for kind in track(sorted(set(heats.kinds)), label="protocols", unit="class"):
        members = [i for i in range(count) if heats.kinds[i] == kind]
        pixels: dict[str, list[denseav.SortedPixels]] = defaultdict(list)
        shares = []
        for i in members:
            objects = heats.objects(i)
            truth, boxes = np.logical_or.reduce(objects), _boxes(heats, i, objects)
            shares.append((np.count_nonzero(truth), len(truth)))
            scored = list(_without_map(truth, boxes))
            for name, word, widened in _maps(heats, i):
                of_picture = denseav.sort_pixels(widened, truth)
                pixels[name].append(of_picture)
                scored.append((name, _per_image(of_picture) | _of_boxes(word, boxes)))
            for name, scores in scored:
                for (protocol, metric), value in scores.items():
                    nouns[protocol, metric, name][i] = value
        scored = [(name, _pool_scores(pictures)) for name, pictures in pixels.items()]
        inside, everywhere = np.sum(shares, axis=0)
        share = float(inside / everywhere) if inside else float("nan")
        scored.append(("uniform", {("denseav", "mAP"): share, ("denseav", "mIoU"): share}))
        for name, scores in scored:
            for (protocol, metric), value in scores.items():
                pools[protocol, metric, name][kind] = value
    rated = {key: RATES[key[1]](values) if key[1] in RATES else values for key, values in nouns.items()}
    return rated | _sharpness(heats), dict(pools)


def _sharpness(heats: NounHeats) -> dict[Key, np.ndarray]:
    """Mass on the named object and entropy, of each heat of the patches."""
    result = {}
    for name, of_kind in heats.heats.items():
        inside, entropy = [], []
        for one, shown, coverage in zip(of_kind.word, heats.shown, heats.coverage[0], strict=True):
            mass = sharpness.patch_mass(one, shown)
            inside.append(sharpness.inside(mass, coverage))
            entropy.append(sharpness.entropy(mass, shown))
        result["sharpness", "mass_inside", name] = np.array(inside)
        result["sharpness", "entropy", name] = np.array(entropy)
    return result
