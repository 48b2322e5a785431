"""Several runs on the same validation clips: what each model hears in a word and sees in the patches, side by side."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32

from ves.config.experiment import run_config
from ves.evaluation.provenance import load_of
from ves.media.audio import FrameGrid
from ves.report.clips.spoken import Spoken
from ves.similarity.pairwise import token_similarity, word_heat
from ves.store.embeddings import Embeddings

SAME = ("seconds", "frames", "grid", "image_size", "fit")  # of all runs, or a word and a patch would not be the same


@dataclass(frozen=True, eq=False)
class Comparison:
    """Embeddings of the same clips and images by each run, by name; a clip is named by its row there."""

    runs: Mapping[str, Embeddings]

    @property
    def first(self) -> Embeddings:
        """Stands for all of them in whatever does not depend on the model: ids, masks, attrs."""
        return next(iter(self.runs.values()))

    @property
    def attrs(self) -> dict[str, Any]:
        return self.first.attrs

    def by_locality(self) -> "Comparison":
        """The same runs, from the one whose objective looks for the best patch the most (`max_mean`) to the one that
        does least; those that do equally stay in their order."""

        def local(run: str) -> float:
            objective = self.runs[run].attrs["objective"]
            return objective.get("max_mean", 0.0) / sum(objective.values())

        return Comparison({run: self.runs[run] for run in sorted(self.runs, key=local, reverse=True)})

    @property
    def frames(self) -> FrameGrid:
        return FrameGrid.from_attrs(self.attrs["frames"])

    def tokens(self, clip: int, word: Spoken) -> Bool[np.ndarray, " T"]:
        """Valid tokens of a word."""
        mask = self.first.audio_mask[clip].numpy()
        return mask & self.frames.within(word.start_s, word.end_s, len(mask))

    def heard(self, clip: int, word: Spoken) -> bool:
        """Whether all of a word lies in the seconds that the models hear."""
        return word.end_s <= self.attrs["seconds"] and bool(self.tokens(clip, word).any())

    def heats(self, clip: int, spoken: Iterable[Spoken]) -> dict[str, list[Float[np.ndarray, "rows columns"]]]:
        """For each run the heatmap of each word: the mean over its tokens of their similarity to each patch."""
        chosen = [self.tokens(clip, word) for word in spoken]
        heats = {}
        for run, stored in self.runs.items():
            tokens, patches = stored.audio_tokens[clip].float(), stored.image_tokens[stored.clip_image[clip]].float()
            heats[run] = [word_heat(tokens, one, patches).reshape(self.attrs["grid"]) for one in chosen]
        return heats

    def similarity(self, run: str, clip: int) -> Float32[np.ndarray, "T rows columns"]:
        """Cosine of each audio token of a clip to each patch of its picture; padding and pauses are in it too."""
        stored = self.runs[run]
        patches = stored.image_tokens[stored.clip_image[clip]].float()
        found = token_similarity(stored.audio_tokens[clip][None].float(), patches[None])
        return found[0, 0].numpy().reshape(-1, *self.attrs["grid"])


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
