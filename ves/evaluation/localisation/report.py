"""How well spoken nouns are localised: one report of every protocol, beside what its numbers mean.

The pointing game (ves.evaluation.localisation.pointing): a hit is strict, on the object that the noun names.
`pointing_overlap` is the lenient variant. Beside it `centre` and `random`, the same rule for the central patches and
for all patches (exact expectations, nothing is sampled), and `wrong_clip` (ves.evaluation.localisation.noun_heats). The
published protocols: ves.evaluation.localisation.protocols.

Dimension key
    N nouns    P image patches
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from ves.base.files import write_json
from ves.config.experiment import DataPaths
from ves.evaluation.localisation import protocols as localisation_protocols
from ves.evaluation.localisation import rows as localisation_rows
from ves.evaluation.localisation.noun_heats import NounHeats, audible, nouns
from ves.evaluation.localisation.pointing import central, centres_inside, hottest, overlaps
from ves.evaluation.localisation.rows import mean, percent
from ves.evaluation.provenance import refuse_other_split
from ves.evaluation.truth import NoTruth
from ves.store.embeddings import Embeddings, load

RATES = ("pointing", "pointing_overlap", "centre", "random", "wrong_clip")
# metric and heat of each outcome, where protocols stand side by side
AS_PROTOCOL = {
    "pointing": ("hit", "model"),
    "pointing_overlap": ("overlap", "model"),
    "centre": ("hit", "centre"),
    "random": ("hit", "chance"),
    "wrong_clip": ("hit", "wrong_clip"),
    "mean_mask": ("hit", "mean_mask"),
    "oracle": ("hit", "oracle"),
}


def outcomes(found: NounHeats) -> dict[str, np.ndarray]:
    """float [N] by name: whether each noun hits, and whether the baselines do; NaN where a noun has no such heat.

    `oracle`: whether the centre of any patch lies on the object, without which none can hit.
    """
    rows, columns = found.stored.attrs["grid"]
    result = {name: np.full(len(found.nouns), np.nan) for name in AS_PROTOCOL}
    for i, noun in enumerate(found.nouns):
        boxes = found.square(i).geometry.patch_boxes(rows, columns)
        mask, shown = found.mask(i), found.shown[i]
        inside = centres_inside(boxes, mask)
        best = hottest(found.heats["model"].word[i], shown)
        result["pointing"][i] = inside[best]
        result["pointing_overlap"][i] = overlaps(boxes[best], mask)
        result["centre"][i] = inside[central(boxes, noun["width"], noun["height"])].mean()
        result["random"][i] = inside[shown].mean()
        result["oracle"][i] = inside[shown].any()
        for name in ("wrong_clip", "mean_mask"):
            heat = found.heats[name].word[i]
            if not np.isnan(heat).any():
                result[name][i] = inside[hottest(heat, shown)]
    return result


def rates(outcomes: dict[str, np.ndarray]) -> dict[str, float | int | None]:
    """Mean of each outcome in percent (None where no noun has it), and the number of nouns."""
    return {name: percent(mean(outcomes[name])) for name in RATES} | {"n": len(outcomes[RATES[0]])}


def _by(outcomes: dict[str, np.ndarray], names: list[str | None]) -> dict[str, dict[str, float | int | None]]:
    groups = sorted({name for name in names if name is not None})
    members = {group: np.array([name == group for name in names]) for group in groups}
    return {group: rates({name: one[members[group]] for name, one in outcomes.items()}) for group in groups}


def digest(found: NounHeats) -> str:
    """Names the set of nouns and what they name: two reports are comparable when it agrees."""
    said = [(noun["clip_id"], noun["word"], noun["image_id"], noun["object"], noun["kind"]) for noun in found.nouns]
    return hashlib.sha256(repr(said).encode()).hexdigest()


def measure(stored: Embeddings, data: DataPaths, truth: Path) -> dict[str, Any]:
    """The content of localisation.json. Raises NoTruth when the corpus does not say which noun is where, or when."""
    found, skipped = audible(stored, nouns(stored, data, truth).to_dicts())
    if not found.nouns:
        raise NoTruth(f"no noun that names a visible object is spoken within the {stored.attrs['seconds']} s heard")
    pointed = outcomes(found)
    of_nouns, pools = localisation_protocols.measure(found)
    of_nouns = {("pointing", *AS_PROTOCOL[name]): one for name, one in pointed.items()} | of_nouns
    names = {"language": [noun["language"] for noun in found.nouns], "kind": found.kinds}
    return rates(pointed) | {
        "nouns": digest(found),
        "skipped": skipped,
        "by_language": _by(pointed, names["language"]),
        "by_kind": _by(pointed, names["kind"]),
        "protocols": localisation_rows.overall(of_nouns, pools, found.images, found.kinds),
        "protocols_by": localisation_rows.by_group(of_nouns, pools, found.images, names),
    }


def evaluate(embeddings: Path, data: DataPaths, truth: Path, out: Path) -> None:
    """Write localisation.json; on a corpus without word timings or masks it says so, and why.

    Raises ValueError when embeddings, split, manifest or truth are not of one making.
    """
    stored = load(embeddings)
    refuse_other_split(stored, embeddings, data.splits)
    about: dict[str, Any] = {key: stored.attrs[key] for key in ("run", "split", "model_sha256")}
    try:
        result = {"available": True} | measure(stored, data, truth)
    except NoTruth as reason:
        result = {"available": False, "why": str(reason)}
    write_json(out, about | result)
