"""Named-object pointing: does the hottest patch of a spoken noun lie on the object that it names?

The heat of a word is the mean, over its audio tokens, of their similarity to each patch. A hit is strict: the pixel of
the original picture under the centre of the hottest patch belongs to that object's mask (what hides it does not count).
`pointing_overlap` is the lenient variant: the patch touches any pixel of the mask.

Beside it, what a number means: `centre` and `random`, the same rule for the central patches and for all patches (exact
expectations, nothing is sampled), and `wrong_clip`: the hottest patch in this picture for a noun of another kind, from
another clip about another picture. What is left of `pointing` there does not come from the speech.

Dimension key
    N nouns    T audio tokens    P image patches    D embedding    H, W pixels of a picture
"""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Bool, Float
from torch import Tensor

from ves.audio import FrameGrid
from ves.config import DataPaths
from ves.embeddings import Embeddings, load
from ves.files import write_json
from ves.images import Geometry
from ves.progress import track
from ves.similarity import token_similarity
from ves.truth import NoTruth, decode_mask, nouns

RATES = ("pointing", "pointing_overlap", "centre", "random", "wrong_clip")


def word_heat(
    tokens: Float[Tensor, "T D"], chosen: Bool[np.ndarray, "T"], patches: Float[Tensor, "P D"]
) -> Float[np.ndarray, "P"]:
    """Similarity of each patch to a word: the mean over its tokens."""
    return token_similarity(tokens[chosen][None], patches[None])[0, 0].mean(0).numpy()


def hottest(heat: Float[np.ndarray, "P"], shown: Bool[np.ndarray, "P"]) -> int:
    """The hottest patch among those that show some of the picture; of equals, the one of lowest index.

    Raises ValueError for a heat that is not finite, or when no patch shows anything.
    """
    if not np.isfinite(heat).all() or not shown.any():
        finite, seen = np.isfinite(heat).sum(), shown.sum()
        raise ValueError(f"no hottest patch: of {len(heat)}, {finite} have a finite heat and {seen} show the picture")
    return int(np.where(shown, heat, -np.inf).argmax())


def centres_inside(boxes: Float[np.ndarray, "P 4"], mask: Bool[np.ndarray, "H W"]) -> Bool[np.ndarray, "P"]:
    """Whether the pixel under the centre of each patch belongs to the mask; a centre outside the picture does not."""
    x = np.floor((boxes[:, 0] + boxes[:, 2]) / 2).astype(int)
    y = np.floor((boxes[:, 1] + boxes[:, 3]) / 2).astype(int)
    height, width = mask.shape
    seen = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return seen & mask[y.clip(0, height - 1), x.clip(0, width - 1)]


def overlaps(box: Float[np.ndarray, "4"], mask: Bool[np.ndarray, "H W"]) -> bool:
    """Whether a patch touches any pixel of the mask, however little of that pixel it covers."""
    left, top = np.floor(box[:2]).clip(0).astype(int)
    right, bottom = np.ceil(box[2:]).clip(0).astype(int)
    return bool(mask[top:bottom, left:right].any())


def central(boxes: Float[np.ndarray, "P 4"], width: int, height: int) -> Bool[np.ndarray, "P"]:
    """The patch whose centre is nearest to that of the picture, in units of patches; of an even grid, all that tie."""
    offset = (boxes[:, :2] + boxes[:, 2:]) / 2 - np.array([width, height]) / 2
    distance = np.linalg.norm(offset / (boxes[:, 2:] - boxes[:, :2]), axis=1)
    return np.isclose(distance, distance.min(), atol=1e-6)


def partners(kinds: list[str], images: list[int]) -> list[int]:
    """For each noun another of another kind and picture: the first such from half the list onwards (cyclic), or -1."""
    count = len(kinds)
    found = []
    for i in range(count):
        ahead = ((i + count // 2 + step) % count for step in range(count))
        found.append(next((j for j in ahead if kinds[j] != kinds[i] and images[j] != images[i]), -1))
    return found


def _outcomes(stored: Embeddings, spoken: list[dict[str, Any]], chosen: list[np.ndarray]) -> pl.DataFrame:
    """One row per noun: where it points, and where the baselines do."""
    rows, columns = stored.attrs["grid"]
    audio, image, shown = stored.audio_tokens.float(), stored.image_tokens.float(), stored.image_mask.numpy()
    other = partners([noun["kind"] for noun in spoken], [noun["image_row"] for noun in spoken])

    def patch(speech: int, picture: int) -> int:
        """Where the noun number `speech` points in a picture."""
        heat = word_heat(audio[spoken[speech]["clip_row"]], chosen[speech], image[picture])
        return hottest(heat, shown[picture])

    outcomes = []
    for i, noun in enumerate(track(spoken, label="pointing", unit="noun")):
        picture, width, height = noun["image_row"], noun["width"], noun["height"]
        mask = decode_mask(noun["mask"])
        if mask.shape != (height, width):
            raise ValueError(f"image {noun['image_id']}: mask of {noun['kind']} is {mask.shape}, not {(height, width)}")
        boxes = Geometry(width, height, stored.attrs["image_size"], stored.attrs["fit"]).patch_boxes(rows, columns)
        inside = centres_inside(boxes, mask)
        best = patch(i, picture)
        outcomes.append(
            {
                "language": noun["language"],
                "kind": noun["kind"],
                "pointing": float(inside[best]),
                "pointing_overlap": float(overlaps(boxes[best], mask)),
                "centre": float(inside[central(boxes, width, height)].mean()),
                "random": float(inside[shown[picture]].mean()),
                "wrong_clip": None if other[i] < 0 else float(inside[patch(other[i], picture)]),
            }
        )
    return pl.DataFrame(outcomes, schema_overrides={"wrong_clip": pl.Float64})


def rates(outcomes: pl.DataFrame) -> dict[str, float | int | None]:
    """Mean of each outcome in percent (None where no noun has it), and the number of nouns."""
    known = {name: outcomes[name].drop_nulls().to_numpy() for name in RATES}
    means = {name: 100 * float(found.mean()) if len(found) else None for name, found in known.items()}
    return means | {"n": len(outcomes)}


def _by(outcomes: pl.DataFrame, column: str) -> dict[str, dict[str, float | int | None]]:
    keys = outcomes[column].drop_nulls().unique().sort().to_list()
    return {key: rates(outcomes.filter(pl.col(column) == key)) for key in keys}


def _audible(stored: Embeddings, spoken: pl.DataFrame) -> tuple[list[dict[str, Any]], list[np.ndarray], dict[str, int]]:
    """Nouns that the model could hear and the picture shows, the tokens of each, and how many were left out, by why."""
    frames, mask = stored.attrs["frames"], stored.audio_mask.numpy()
    grid = FrameGrid(tuple(frames["kernels"]), tuple(frames["strides"]), frames["pool"])
    skipped = {"hidden": 0, "beyond_window": 0, "no_valid_token": 0}
    kept, chosen = [], []
    for noun in spoken.iter_rows(named=True):
        tokens = grid.within(noun["start_s"], noun["end_s"], mask.shape[1]) & mask[noun["clip_row"]]
        if noun["visible_pixels"] == 0:
            skipped["hidden"] += 1
        elif noun["end_s"] > stored.attrs["seconds"]:
            skipped["beyond_window"] += 1
        elif not tokens.any():
            skipped["no_valid_token"] += 1
        else:
            kept.append(noun)
            chosen.append(tokens)
    return kept, chosen, skipped


def measure(stored: Embeddings, data: DataPaths, truth: Path) -> dict[str, Any]:
    """The content of localisation.json. Raises NoTruth when the corpus does not say which noun is where, or when."""
    kept, chosen, skipped = _audible(stored, nouns(stored, data, truth))
    if not kept:
        raise NoTruth(f"no noun that names a visible object is spoken within the {stored.attrs['seconds']} s heard")
    outcomes = _outcomes(stored, kept, chosen)
    breakdown = {"by_language": _by(outcomes, "language"), "by_kind": _by(outcomes, "kind")}
    return rates(outcomes) | {"skipped": skipped} | breakdown


def evaluate(embeddings: Path, data: DataPaths, truth: Path, out: Path) -> None:
    """Write localisation.json; on a corpus without word timings or masks it says so, and why."""
    stored = load(embeddings)
    about: dict[str, Any] = {key: stored.attrs[key] for key in ("run", "split", "model_sha256")}
    try:
        result = {"available": True} | measure(stored, data, truth)
    except NoTruth as reason:
        result = {"available": False, "why": str(reason)}
    write_json(out, about | result)
