"""Heatmaps while a model trains: the same few clips of `tune` again and again, so that one sees what it has learnt.

Clips are chosen by a hash, spread over the languages (ves.report.clips.spoken.choose), among those that name two
objects of their picture where the corpus knows words and objects. Where it does not, three moments that part the speech
evenly are shown: moments of sharpest similarity would be others at every look. Nothing that trains can open the truth:
the trainer does not import this, it is told of a `Watching` (ves.training.hooks).

Tokens are those of the step, in fp32 and without dropout; no random number is drawn, and the model trains on as it was.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import torch
from PIL import Image

from ves.config.experiment import RunConfig
from ves.evaluation import truth
from ves.models.towers import VeS
from ves.report.clips import lookup
from ves.report.clips.comparison import Comparison
from ves.report.clips.lookup import Row, Told
from ves.report.clips.plate import Plate, compose
from ves.report.clips.spoken import Spoken, choose, phrases, shown_words, spaced
from ves.store.embeddings import Embeddings
from ves.training.dataset import PairReader, clips

log = logging.getLogger(__name__)

CANDIDATES = 8  # clips that are looked at for each one that is shown: not every one names two objects


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


def _told(folder: Path, table: pl.DataFrame) -> Told:
    """What is said in each clip; empty where the corpus has no word timings."""
    try:
        rows = truth.words(folder, table)
    except truth.NoTruth as reason:
        log.info("%s: heatmaps of training show moments that part the speech evenly", reason)
        return {}
    return {str(clip): group.to_dicts() for (clip,), group in rows.group_by("clip_id", maintain_order=True)}


def _masks(folder: Path, table: pl.DataFrame) -> dict[tuple[str, int], np.ndarray]:
    """Objects of which anything can be seen, by image and number; empty where the corpus has no masks."""
    try:
        rows = truth.objects(folder, table.select("image_id", shard="image_shard").unique())
    except truth.NoTruth:
        return {}
    seen = rows.filter(pl.col("visible_pixels") > 0)
    return {(row["image_id"], row["object"]): truth.decode_mask(row["mask"]) for row in seen.iter_rows(named=True)}


class Samples:
    """The clips of a run that are looked at while it trains; which ones is settled at the first look."""

    def __init__(self, config: RunConfig, count: int, pictures: Path, truth: Path) -> None:
        self.config, self.count, self.pictures, self.truth = config, count, pictures, truth
        self.frame: pl.DataFrame | None = None
        self.plates: list[Plate] = []

    def look(self, step: int, model: VeS, reader: PairReader) -> dict[str, Image.Image]:
        """A page for each clip, by the beginning of its id. Raises ValueError or OSError for what cannot be read."""
        name = f"step {step}"
        if self.frame is None:
            candidates = self._candidates()
            comparison = Comparison({name: embeddings(model, reader, candidates, self.config)})
            self.plates = self._choose(comparison)
            order = pl.DataFrame({"clip_id": [plate.clip_id for plate in self.plates]})
            self.frame = order.join(candidates, on="clip_id", how="left", maintain_order="left")
        comparison = Comparison({name: embeddings(model, reader, self.frame, self.config)})
        heats = [comparison.heats(row, plate.spoken) for row, plate in enumerate(self.plates)]
        drawn = [replace(plate, heats=heat) for plate, heat in zip(self.plates, heats, strict=True)]
        return {plate.clip_id[:8]: compose(plate)[0] for plate in drawn}

    def _candidates(self) -> pl.DataFrame:
        """Clips of `tune`, in the order of the hash."""
        frame = clips(self.config.data, "tune")
        languages = {clip: str(language) for clip, language in frame.select("clip_id", "language").iter_rows()}
        order = pl.DataFrame({"clip_id": choose(languages, CANDIDATES * self.count)})
        return order.join(frame, on="clip_id", how="left", maintain_order="left")

    def _choose(self, comparison: Comparison) -> list[Plate]:
        """The first of the candidates that have something to show; their heats are of this step, and to be replaced."""
        table = lookup.located(comparison.first, self.config.data).sort("clip_row")
        told, masks = _told(self.truth, table), _masks(self.truth, table)
        shown = {row["clip_id"]: self._shown(comparison, row, told, masks) for row in table.iter_rows(named=True)}
        rows = [row for row in table.iter_rows(named=True) if shown[row["clip_id"]]][: self.count]
        if len(rows) < self.count:
            log.warning("only %d of %d clips of tune looked at have something to show", len(rows), len(table))
        return [
            self._plate(comparison, row, shown[row["clip_id"]], told.get(row["clip_id"], []), masks) for row in rows
        ]

    def _shown(
        self, comparison: Comparison, clip: Row, told: Told, masks: Mapping[tuple[str, int], np.ndarray]
    ) -> list[Spoken]:
        """Words that are heard and seen; none if they name fewer than two objects. Without timings, moments."""
        if not told:
            valid = comparison.first.audio_mask[clip["clip_row"]].numpy()
            return spaced(valid, np.array([sum(comparison.frames.span(token)) / 2 for token in range(len(valid))]))
        heard = (word for word in phrases(told.get(clip["clip_id"], [])) if comparison.heard(clip["clip_row"], word))
        shown = shown_words(word for word in heard if not masks or (clip["image_id"], word.object) in masks)
        return shown if len({word.object for word in shown}) >= 2 else []

    def _plate(
        self,
        comparison: Comparison,
        clip: Row,
        shown: list[Spoken],
        told: Sequence[Row],
        masks: Mapping[tuple[str, int], np.ndarray],
    ) -> Plate:
        return Plate(
            clip_id=clip["clip_id"],
            language=str(clip["language"]),
            description=" ".join(row["text"] for row in told),
            gloss=" · ".join(phrase.english for phrase in phrases(told)),
            picture=lookup.picture(self.pictures, clip),
            image_size=comparison.attrs["image_size"],
            fit=comparison.attrs["fit"],
            spoken=shown,
            masks=[masks.get((clip["image_id"], word.object)) for word in shown],
            heats=comparison.heats(clip["clip_row"], shown),
        )


def stacked(pages: Sequence[Image.Image]) -> Image.Image:
    """Pages below each other on one white page."""
    sheet = Image.new("RGB", (max(page.width for page in pages), sum(page.height for page in pages)), "white")
    top = 0
    for page in pages:
        sheet.paste(page, (0, top))
        top += page.height
    return sheet
