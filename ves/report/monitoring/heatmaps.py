"""Heatmaps while a model trains: the same few clips of `tune` again and again, so that one sees what it has learnt.

A hash chooses the clips, spread over the languages (ves.report.clips.spoken.choose), from those that name two objects
of their picture if the corpus has word timings and masks. If it has none, each clip shows three moments, the middles of
equal parts of its speech: moments of sharpest similarity would be others at every step. Nothing that trains can open
the truth: the trainer does not import this module, it is given a `Watching` (ves.training.hooks).

Tokens are those of the step, in fp32 and without dropout; no random number is drawn, and the model trains on as it was.
"""

import logging
from dataclasses import replace
from pathlib import Path

import polars as pl
import torch
from PIL import Image

from ves.config.experiment import RunConfig
from ves.models.towers import VeS
from ves.report.clips.comparison import Comparison
from ves.report.clips.lookup import Corpus
from ves.report.clips.plate import compose, plate_of
from ves.report.clips.spoken import choose, spaced
from ves.report.clips.viewing import Viewing
from ves.report.clips.views import view, words_to_show
from ves.store.embeddings import Embeddings
from ves.training.dataset import PairReader, clips

log = logging.getLogger(__name__)

CANDIDATES = 8  # clips that are looked through for each one that is drawn: not every one names two objects


@torch.no_grad()
def embeddings(model: VeS, reader: PairReader, frame: pl.DataFrame, config: RunConfig) -> Embeddings:
    """Some clips, each with its image, through the model as it is; image i is that of clip i."""
    training, device = model.training, model.log_scale.device
    model.eval()
    try:
        waveform, valid = reader.waveforms(frame)
        patches, mask = reader.patches(frame["image_row"].to_numpy())
        audio, audible = model.audio_tokens(waveform.to(device), valid.to(device))
        image = model.image_tokens(patches.to(device), None if mask is None else mask.to(device))
    finally:
        model.train(training)
    about = {"run": config.run, "seconds": config.audio.seconds, "frames": model.grid.attrs}
    about |= {"grid": list(reader.features.grid)}
    return Embeddings(
        audio_tokens=audio.half().cpu(),
        audio_mask=audible.cpu(),
        clip_image=torch.arange(len(frame), dtype=torch.int32),
        image_tokens=image.half().cpu(),
        image_mask=torch.ones(image.shape[:2], dtype=torch.bool) if mask is None else mask,
        clip_id=frame["clip_id"].to_list(),
        image_id=frame["image_id"].to_list(),
        attrs=about | {key: reader.features.attrs[key] for key in ("image_size", "fit")},
    )


class Samples:
    """The clips of a run that are drawn while it trains; the first drawing settles which."""

    def __init__(self, config: RunConfig, count: int, pictures: Path, truth: Path) -> None:
        self.config, self.count, self.pictures, self.truth = config, count, pictures, truth
        self.frame: pl.DataFrame | None = None
        self.viewings: list[Viewing] = []

    def draw(self, step: int, model: VeS, reader: PairReader) -> dict[str, Image.Image]:
        """A page for each clip, by the beginning of its id. Raises ValueError or OSError for what cannot be read."""
        name = f"step {step}"
        if self.frame is None:
            candidates = self._candidates()
            comparison = Comparison({name: embeddings(model, reader, candidates, self.config)})
            self.viewings = self._choose(comparison)
            shown = [viewing.clip_id for viewing in self.viewings]
            order = pl.DataFrame({"clip_id": shown}, schema={"clip_id": pl.String})
            self.frame = order.join(candidates, on="clip_id", how="left", maintain_order="left")
        if not self.viewings:
            return {}
        comparison = Comparison({name: embeddings(model, reader, self.frame, self.config)})
        now = [
            replace(viewing, similarity={name: comparison.similarity(name, place)})
            for place, viewing in enumerate(self.viewings)
        ]
        return {viewing.clip_id[:8]: compose(plate_of(viewing))[0] for viewing in now}

    def _candidates(self) -> pl.DataFrame:
        """Clips of `tune`, in the order of the hash."""
        frame = clips(self.config.data, "tune")
        languages = {clip: str(language) for clip, language in frame.select("clip_id", "language").iter_rows()}
        order = pl.DataFrame({"clip_id": choose(languages, CANDIDATES * self.count)})
        return order.join(frame, on="clip_id", how="left", maintain_order="left")

    def _choose(self, comparison: Comparison) -> list[Viewing]:
        """The first of the candidates that have something to show."""
        corpus = Corpus(comparison.first, self.config.data, self.pictures, self.truth)
        words = words_to_show(comparison, corpus)
        chosen = [clip for clip in corpus.clips if clip in words][: self.count]
        if len(chosen) < self.count:
            log.warning("only %d of %d clips of tune have something to show", len(chosen), len(corpus.clips))
        viewings = [view(comparison, corpus, clip, words[clip]) for clip in chosen]
        if corpus.phrases:
            return viewings
        return [viewing.at_moments(spaced(viewing.valid, viewing.centres_s)) for viewing in viewings]
