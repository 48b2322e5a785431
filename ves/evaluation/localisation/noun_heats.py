"""Spoken nouns that can be judged, and the heatmaps that are compared on them: the model's and the baselines'.

`wrong_clip` is the image-only baseline: the heat in this picture of a noun of another kind, from another clip about
another picture. What a metric still reaches with it does not come from the speech. The other baselines:
ves.evaluation.localisation.baselines.

Dimension key
    N nouns    T audio tokens    P image patches    S pixels of the grid
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Bool, Float

from ves.base import parquet
from ves.base.progress import track
from ves.config.experiment import DataPaths
from ves.evaluation.localisation import baselines, denseav
from ves.evaluation.localisation.pixel_grid import PixelGrid
from ves.evaluation.truth import decode_mask, objects, phrases, with_seen_picture
from ves.media.audio import FrameGrid
from ves.media.geometry import Geometry
from ves.similarity.pairwise import word_heat
from ves.store.embeddings import Embeddings

Noun = dict[str, Any]  # a row of `spoken_nouns`
pixel_grids = lru_cache(maxsize=4)(PixelGrid)  # each noun asks for its own many times, and it keeps what it computes


class Heats(NamedTuple):
    """The heat of all nouns of one kind: over the tokens of the word, and over those of its widened time (DenseAV)."""

    word: Float[np.ndarray, "N P"]
    widened: Float[np.ndarray, "N P"]


@dataclass(frozen=True, eq=False)
class NounHeats:
    """Nouns (in the order of `nouns`) with the tokens of each, as one model embeds them."""

    embeddings: Embeddings
    nouns: list[Noun]
    tokens: list[np.ndarray]  # bool [T] each: tokens of the word
    wide_tokens: list[np.ndarray]  # and of its widened time

    @cached_property
    def kinds(self) -> list[str]:
        return [noun["kind"] for noun in self.nouns]

    @cached_property
    def images(self) -> np.ndarray:
        """int [N]: the picture of each noun, by the rank of its id, whatever the order of the embeddings."""
        return np.unique([noun["image_id"] for noun in self.nouns], return_inverse=True)[1]

    @cached_property
    def shown(self) -> Bool[np.ndarray, "N P"]:
        """Patches that show some of the picture."""
        return self.embeddings.image_mask.numpy()[[noun["image_row"] for noun in self.nouns]]

    def pixel_grid(self, noun: int) -> PixelGrid:
        about = self.nouns[noun]
        attrs = self.embeddings.attrs
        rows, columns = attrs["grid"]
        return pixel_grids(Geometry(about["width"], about["height"], attrs["image_size"], attrs["fit"]), rows, columns)

    def mask(self, noun: int) -> np.ndarray:
        """bool [H, W]: pixels of the named object. Raises ValueError when the mask is of another picture's size."""
        return self._decoded(self.nouns[noun]["mask"], noun)

    def objects(self, noun: int) -> list[Bool[np.ndarray, " S"]]:
        """Pixels, in the grid, of each object of the noun's kind."""
        grid = self.pixel_grid(noun)
        return [grid.mask(self._decoded(mask, noun)) for mask in self.nouns[noun]["masks_of_kind"]]

    def _decoded(self, encoded: bytes, noun: int) -> np.ndarray:
        about, mask = self.nouns[noun], decode_mask(encoded)
        if mask.shape != (size := (about["height"], about["width"])):
            raise ValueError(f"image {about['image_id']}: mask of {about['kind']} is {mask.shape}, not {size}")
        return mask

    @cached_property
    def coverage(self) -> tuple[Float[np.ndarray, "N P"], Float[np.ndarray, "N P"]]:
        """Share of each patch that the named object covers, and that all objects of its kind cover."""
        named, of_kind = [], []
        for i in range(len(self.nouns)):
            grid = self.pixel_grid(i)
            named.append(grid.coverage(grid.mask(self.mask(i))))
            of_kind.append(grid.coverage(np.logical_or.reduce(self.objects(i))))
        return np.stack(named), np.stack(of_kind)

    def _heats_of(self, words: list[int]) -> Heats:
        """The heat, in the picture of each noun, of the noun whose index `words` has in its place; NaN for -1."""
        audio, image = self.embeddings.audio_tokens.float(), self.embeddings.image_tokens.float()
        heats = np.full((2, *self.shown.shape), np.nan, np.float32)
        for i, j in enumerate(track(words, label="heats", unit="noun")):
            if j >= 0:
                clip, patches = audio[self.nouns[j]["clip_row"]], image[self.nouns[i]["image_row"]]
                heats[:, i] = [word_heat(clip, tokens[j], patches) for tokens in (self.tokens, self.wide_tokens)]
        return Heats(heats[0], heats[1])

    @cached_property
    def heats(self) -> dict[str, Heats]:
        """Every kind of heat by its name, the model's first."""
        model = self._heats_of(list(range(len(self.nouns))))
        names = [f"{noun['clip_id']} {noun['word']}" for noun in self.nouns]
        order = baselines.shuffle_order(self.shown, names)
        of_kind = self.coverage[1]
        mean = baselines.mean_mask(of_kind, self.images)
        oracle = baselines.oracle(of_kind, self.embeddings.attrs["grid"][1])
        return {
            "model": model,
            "wrong_clip": self._heats_of(partners(self.kinds, self.images.tolist())),
            "shuffled": Heats(*(np.take_along_axis(one, order, axis=1) for one in model)),
            "mean_mask": Heats(mean, mean),
            "oracle": Heats(oracle, oracle),
        }


def partners(kinds: list[str], images: list[int]) -> list[int]:
    """For each noun the index of a noun of another kind in another picture; -1 if there is none.

    The search begins half the list further on, and goes round from the end of the list to its beginning.
    """
    count, others = len(kinds), []
    for i in range(count):
        ahead = ((i + count // 2 + step) % count for step in range(count))
        others.append(next((j for j in ahead if kinds[j] != kinds[i] and images[j] != images[i]), -1))
    return others


def audible(embeddings: Embeddings, nouns: list[Noun]) -> tuple[NounHeats, dict[str, int]]:
    """The nouns that the model can hear and the picture shows, and how many were left out for each reason."""
    grid, seconds = FrameGrid.from_attrs(embeddings.attrs["frames"]), embeddings.attrs["seconds"]
    mask = embeddings.audio_mask.numpy()
    skipped = {"hidden": 0, "beyond_window": 0, "no_valid_token": 0}
    kept = NounHeats(embeddings, [], [], [])
    for noun in nouns:
        valid = mask[noun["clip_row"]]
        tokens = grid.within(noun["start_s"], noun["end_s"], len(valid)) & valid
        if noun["visible_pixels"] == 0:
            skipped["hidden"] += 1
        elif noun["end_s"] > seconds:
            skipped["beyond_window"] += 1
        elif not tokens.any():
            skipped["no_valid_token"] += 1
        else:
            wider = np.zeros_like(valid)
            wider[denseav.window(noun["start_s"], noun["end_s"], seconds, len(valid))] = True
            kept.nouns.append(noun)
            kept.tokens.append(tokens)
            kept.wide_tokens.append(wider & valid | tokens)
    return kept, skipped


def _located(embeddings: Embeddings, data: DataPaths) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Clips and images of the embeddings, with their rows there (clip_row, image_row) and where the corpus has them."""
    clips = pl.DataFrame({"clip_id": embeddings.clip_id, "image_row": embeddings.clip_image.tolist()})
    images = pl.DataFrame({"image_id": embeddings.image_id})
    manifest = parquet.read(data.manifest, columns=["clip_id", "shard", "source_path", "language"])
    pictures = parquet.read(data.images, columns=["image_id", "shard", "width", "height"])
    clips = clips.with_row_index("clip_row").join(manifest, on="clip_id", how="inner").sort("clip_id")
    images = images.with_row_index("image_row").cast({"image_row": pl.Int64}).join(pictures, on="image_id", how="inner")
    if (len(clips), len(images)) != (len(embeddings.clip_id), len(embeddings.image_id)):
        raise ValueError(
            f"{data.manifest}: lacks clips of the embeddings of {embeddings.attrs['run']}; embed them again"
        )
    return clips, images


def spoken_nouns(embeddings: Embeddings, data: DataPaths, truth: Path, role: str = "noun") -> pl.DataFrame:
    """Every spoken noun that names an object, with that object, in the order of clip_id, then as spoken.

    A noun of several words that follow each other is one noun (ves.evaluation.truth.phrases). With the role `sound` it
    is every sound that comes from an object of the picture: an event is measured as a noun is, its time being that in
    which the object sounds, and `colour_said` is false.
    Columns: those of WORDS and OBJECTS, the clip's language, clip_row and image_row (rows of the embeddings), width and
    height of the picture, `masks_of_kind`: of all objects of this kind in the picture, the named one included,
    `colour_said`: whether the clip says a colour of the object, and `seen_picture`.
    Raises NoTruth, or ValueError when the files do not belong together.
    """
    clips, images = _located(embeddings, data)
    told = phrases(truth, clips).filter(pl.col("object") >= 0)
    coloured = told.filter(role="colour").select("clip_row", "object", colour_said=True).unique()
    spoken = told.filter(role=role).join(coloured, on=["clip_row", "object"], how="left", maintain_order="left")
    spoken = spoken.with_columns(pl.col("colour_said").fill_null(False))
    things = with_seen_picture(truth, images, objects(truth, images)).sort("image_id", "object")
    of_kind = things.group_by("image_id", "kind", maintain_order=True).agg(masks_of_kind="mask")
    things = things.join(of_kind, on=["image_id", "kind"], how="left")
    of_image = images.drop("shard").join(things, on="image_id", how="left")
    table = spoken.join(of_image, on=["image_row", "object"], how="left", maintain_order="left")
    if table["kind"].null_count():
        row = table.filter(pl.col("kind").is_null()).row(0, named=True)
        raise ValueError(f"{truth}: {row['source_path']} names object {row['object']}, which its picture does not have")
    return table
