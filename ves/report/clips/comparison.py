"""Several runs on the same clips: how similar each model holds each moment of speech and each patch, side by side."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from ves.config.experiment import run_config
from ves.evaluation.provenance import load_of
from ves.media.audio import FrameGrid
from ves.report.clips.spoken import Spoken
from ves.report.clips.viewing import COSINE, PRODUCT
from ves.similarity.pairwise import token_similarity
from ves.store.embeddings import Embeddings

SAME = ("seconds", "frames", "grid", "image_size", "fit")  # of all runs, or a word and a patch would not be the same


@dataclass(frozen=True, eq=False)
class Comparison:
    """Embeddings of the same clips and images by each run, by name; a clip is named by its row there."""

    runs: Mapping[str, Embeddings]

    @property
    def first(self) -> Embeddings:
        """Stands for all of them in what does not depend on the model: ids, masks, attrs."""
        return next(iter(self.runs.values()))

    @property
    def attrs(self) -> dict[str, Any]:
        return self.first.attrs

    def by_locality(self) -> "Comparison":
        """The same runs in the order of the share that `max_mean`, which looks for the best patch, has in their
        objectives, the greatest first; equal ones stay in their order."""

        def local(run: str) -> float:
            objective = self.runs[run].attrs["objective"]
            return objective.get("max_mean", 0.0) / sum(objective.values())

        return Comparison({run: self.runs[run] for run in sorted(self.runs, key=local, reverse=True)})

    @property
    def frames(self) -> FrameGrid:
        return FrameGrid.from_attrs(self.attrs["frames"])

    def hears(self, clip: int, word: Spoken) -> bool:
        """Whether all of a word lies in the seconds that the models hear, and a token of it counts."""
        valid = self.first.audio_mask[clip].numpy()
        tokens = valid & self.frames.within(word.start_s, word.end_s, len(valid))
        return word.end_s <= self.attrs["seconds"] and bool(tokens.any())

    def similarity(self, run: str, clip: int) -> Float32[np.ndarray, "T rows columns"]:
        """Similarity of each audio token of a clip to each patch of its picture, tokens of padding and pauses included:
        the cosine or, for a run whose tokens keep their lengths, the inner product in units of their mean lengths, so
        that one scale does for both."""
        stored = self.runs[run]
        patches = stored.image_tokens[stored.clip_image[clip]].float()
        products = token_similarity(stored.audio_tokens[clip][None].float(), patches[None])[0, 0]
        products = products / prod(stored.attrs.get("token_lengths", ()))
        return products.numpy().reshape(-1, *self.attrs["grid"])

    @property
    def measure(self) -> str:
        """What `similarity` is, in words."""
        return PRODUCT if any("token_lengths" in run.attrs for run in self.runs.values()) else COSINE


def compare(runs: list[Path]) -> Comparison:
    """Runs (their directories) in this order, by name, without the seed where that leaves the names distinct.

    Raises ValueError when they do not have the same clips, images and grids, and as `ves.evaluation.provenance.load_of`
    does.
    """
    names = [run_config(run).run for run in runs]
    short = [name.rsplit("-s", 1)[0] for name in names]
    shown = short if len(set(short)) == len(short) else names
    comparison = Comparison({name: load_of(run, "val") for name, run in zip(shown, runs, strict=True)})
    first = comparison.first
    for name, other in comparison.runs.items():
        if (first.clip_id, first.image_id) != (other.clip_id, other.image_id):
            raise ValueError(f"{name}: embeddings of other validation clips than those of {names[0]}; embed both again")
        for key in SAME:
            if first.attrs[key] != other.attrs[key]:
                raise ValueError(f"{name}: {key} is {other.attrs[key]}, but {first.attrs[key]} in {names[0]}")
    return comparison
