"""How well spoken nouns are localised: one report by every protocol, with the baselines that its numbers need. Where
things sound, what they sound like is localised likewise, in a report of its own.

The pointing game (ves.evaluation.localisation.pointing): a hit is strict, on the object that the noun names.
`pointing_overlap` is the lenient variant. Beside it `centre` and `random`, the same rule for the central patches and
for all patches (exact expectations; nothing is sampled), and `wrong_clip` (ves.evaluation.localisation.noun_heats). The
published protocols: ves.evaluation.localisation.protocols.

Dimension key
    N nouns    P image patches
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ves.base.files import write_json
from ves.config.experiment import DataPaths
from ves.evaluation.localisation import protocols, rows
from ves.evaluation.localisation.noun_heats import NounHeats, audible, spoken_nouns
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
    "random": ("hit", "shuffled"),
    "wrong_clip": ("hit", "wrong_clip"),
    "mean_mask": ("hit", "mean_mask"),
    "oracle": ("hit", "oracle"),
}


def outcomes_of(noun_heats: NounHeats) -> dict[str, np.ndarray]:
    """float [N] by name: whether each noun is a hit, and whether its baselines are; NaN where a noun has no such heat.

    `oracle`: whether the centre of any patch lies on the object; where none does, no heat can hit.
    """
    grid = noun_heats.embeddings.attrs["grid"]
    result = {name: np.full(len(noun_heats.nouns), np.nan) for name in AS_PROTOCOL}
    for i, noun in enumerate(noun_heats.nouns):
        boxes = noun_heats.pixel_grid(i).geometry.patch_boxes(*grid)
        mask, shown = noun_heats.mask(i), noun_heats.shown[i]
        inside = centres_inside(boxes, mask)
        best = hottest(noun_heats.heats["model"].word[i], shown)
        result["pointing"][i] = inside[best]
        result["pointing_overlap"][i] = overlaps(boxes[best], mask)
        result["centre"][i] = inside[central(boxes, noun["width"], noun["height"])].mean()
        result["random"][i] = inside[shown].mean()
        result["oracle"][i] = inside[shown].any()
        for name in ("wrong_clip", "mean_mask"):
            heat = noun_heats.heats[name].word[i]
            if not np.isnan(heat).any():
                result[name][i] = inside[hottest(heat, shown)]
    return result


def rates(outcomes: dict[str, np.ndarray]) -> dict[str, float | int | None]:
    """Mean of each outcome in percent (None where no noun has it), and the number of nouns."""
    return {name: percent(mean(outcomes[name])) for name in RATES} | {"n": len(outcomes[RATES[0]])}


def _by(outcomes: dict[str, np.ndarray], names: Sequence[str | None]) -> dict[str, dict[str, float | int | None]]:
    groups = sorted({name for name in names if name is not None})
    members = {group: np.array([name == group for name in names]) for group in groups}
    return {group: rates({name: one[members[group]] for name, one in outcomes.items()}) for group in groups}


def _groups(noun_heats: NounHeats) -> dict[str, Sequence[str | None]]:
    """How nouns are grouped: name of the grouping -> the group of each noun, None for none.

    Whether a colour is said with the noun, and whether training may have seen the thing look like this, are left out
    where all nouns are alike in it.
    """
    groups: dict[str, Sequence[str | None]] = {
        "language": [noun["language"] for noun in noun_heats.nouns],
        "kind": noun_heats.kinds,
    }
    for by in ("colour_said", "seen_picture"):
        answers = [noun[by] for noun in noun_heats.nouns]
        if {True, False} <= set(answers):
            groups[by] = [None if answer is None else "yes" if answer else "no" for answer in answers]
    return groups


def digest(noun_heats: NounHeats) -> str:
    """A hash of the nouns and the objects that they name: two reports are comparable where it is the same."""
    nouns = [
        (noun["clip_id"], noun["word"], noun["image_id"], noun["object"], noun["kind"]) for noun in noun_heats.nouns
    ]
    return hashlib.sha256(repr(nouns).encode()).hexdigest()


def measure(embeddings: Embeddings, data: DataPaths, truth: Path) -> dict[str, Any]:
    """The content of localisation.json: of nouns and, under `sounds` if anything sounds, the same of sounds.

    Raises NoTruth when the corpus does not say when nouns are spoken, or what they name, and nothing sounds either.
    """
    reports = {role: _of_role(embeddings, data, truth, role) for role in ("noun", "sound")}
    if reports["noun"] is None and reports["sound"] is None:
        raise NoTruth(f"no noun that names a visible object is spoken within the {embeddings.attrs['seconds']} s heard")
    sounds = {} if reports["sound"] is None else {"sounds": reports["sound"]}
    return (reports["noun"] or {}) | sounds


def _of_role(embeddings: Embeddings, data: DataPaths, truth: Path, role: str) -> dict[str, Any] | None:
    """The report of all nouns, or of all sounds; None where there is none that can be heard and seen."""
    noun_heats, skipped = audible(embeddings, spoken_nouns(embeddings, data, truth, role).to_dicts())
    if not noun_heats.nouns:
        return None
    hits = outcomes_of(noun_heats)
    of_nouns, pools = protocols.measure(noun_heats)
    of_nouns = {("pointing", *AS_PROTOCOL[name]): one for name, one in hits.items()} | of_nouns
    names = _groups(noun_heats)
    return rates(hits) | {
        "nouns": digest(noun_heats),
        "skipped": skipped,
        **{f"by_{by}": _by(hits, column) for by, column in names.items()},
        "protocols": rows.overall(of_nouns, pools, noun_heats.images, noun_heats.kinds),
        "protocols_by": rows.by_group(of_nouns, pools, noun_heats.images, names),
    }


def evaluate(store: Path, data: DataPaths, truth: Path, out: Path) -> None:
    """Write localisation.json; for a corpus without word timings or masks it says that there is no measure, and why.

    Raises ValueError when embeddings, split, manifest and truth do not belong together.
    """
    embeddings = load(store)
    refuse_other_split(embeddings, store, data.splits)
    about: dict[str, Any] = {key: embeddings.attrs[key] for key in ("run", "split", "model_sha256")}
    try:
        result = {"available": True} | measure(embeddings, data, truth)
    except NoTruth as reason:
        result = {"available": False, "why": str(reason)}
    write_json(out, about | result)
