"""One split through one trained model: embeddings of its clips and of their distinct images, written once per run.

Batches have one fixed size, the last filled up with copies, so that a clip's tokens do not depend on how many others
are embedded with it. On a CPU each batch has one core (ves.base.cpu), so they do not depend on the number of threads
either; the workflow gives a stage one thread, since other jobs run meanwhile. The forward pass is fp32; the store has
float16, which keeps a cosine to three decimals.

The images of val_more are embedded with val and not twice; where every picture has one clip, val_more has none.
"""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from jaxtyping import Bool, Float16
from torch import Tensor

from ves.base.checksums import file_sha256
from ves.base.cpu import run_on_cores
from ves.base.files import lock
from ves.base.progress import track
from ves.config.experiment import RunConfig, run_config
from ves.models import towers
from ves.models.image_tower import plain_attention
from ves.models.vision import VISION
from ves.store.embeddings import Embeddings, write
from ves.training.dataset import PairReader, clips

log = logging.getLogger(__name__)
BATCH = 32  # rows in a forward pass
MORE = "val_more"  # further clips of the images of val


def fixed_batches(rows: int) -> Iterator[tuple[int, np.ndarray]]:
    """(how many are new, BATCH row indices): the last batch repeats the last row until it is full."""
    for start in range(0, rows, BATCH):
        stop = min(start + BATCH, rows)
        yield stop - start, np.minimum(np.arange(start, start + BATCH), rows - 1)


def _each(embed_some: Callable[[int, int, np.ndarray], None], rows: int, label: str, threads: int) -> None:
    """embed_some(first row, how many are new, rows of the batch) for every batch, `threads` of them at a time."""
    work = list(zip(range(0, rows, BATCH), fixed_batches(rows), strict=True))

    @torch.inference_mode()  # a mode of the thread, not of the process
    def one(item: tuple[int, tuple[int, np.ndarray]]) -> None:
        start, (new, batch) = item
        embed_some(start, new, batch)

    for first in track(range(0, len(work), threads), label=label, unit="batch"):
        run_on_cores(one, work[first : first + threads], threads)


def _clips(
    ves: towers.VeS, frame: pl.DataFrame, reader: PairReader, dim: int, device: torch.device, threads: int
) -> tuple[Float16[Tensor, "A T D"], Bool[Tensor, "A T"]]:
    """Tokens and masks of the clips, on the CPU."""
    length = ves.grid.tokens(round(reader.seconds * 16_000))
    tokens = torch.empty(len(frame), length, dim, dtype=torch.float16)
    masks = torch.empty(len(frame), length, dtype=torch.bool)

    def embed_some(start: int, new: int, batch: np.ndarray) -> None:
        waveforms, valid = reader.waveforms(frame[batch])
        embedded, mask = ves.audio_tokens(waveforms.to(device), valid.to(device))
        tokens[start : start + new], masks[start : start + new] = embedded[:new].half().cpu(), mask[:new].cpu()

    _each(embed_some, len(frame), "embed clips", threads)
    return tokens, masks


def _images(
    ves: towers.VeS, image_rows: np.ndarray, reader: PairReader, dim: int, device: torch.device, threads: int
) -> tuple[Float16[Tensor, "V P D"], Bool[Tensor, "V P"]]:
    """Tokens of the images and the patches that show some of their picture (all, but for padding), on the CPU."""
    rows, columns = reader.features.grid
    tokens = torch.empty(len(image_rows), rows * columns, dim, dtype=torch.float16)
    masks = torch.ones(len(image_rows), rows * columns, dtype=torch.bool)

    def embed_some(start: int, new: int, batch: np.ndarray) -> None:
        patches, mask = reader.patches(image_rows[batch])
        embedded = ves.image_tokens(patches.to(device), None if mask is None else mask.to(device))
        tokens[start : start + new] = embedded[:new].half().cpu()
        if mask is not None:
            masks[start : start + new] = mask[:new]

    with plain_attention(device):  # a switch of the whole process: not one for each thread to turn
        _each(embed_some, len(image_rows), "embed images", threads)
    return tokens, masks


def _attributes(weights: Path, config: RunConfig, split: str, ves: towers.VeS, reader: PairReader) -> dict[str, Any]:
    """What else metrics and figures must know: whose embeddings these are, and their grids in time and space."""
    return {
        "run": config.run,
        "split": split,
        "objective": config.train.objective,
        "model_sha256": file_sha256(weights),
        "log_scale": float(ves.log_scale),
        "seconds": config.audio.seconds,
        "hop_s": ves.grid.hop_s,
        "frames": ves.grid.attrs,
        "grid": list(reader.features.grid),
        "vision": {key: reader.features.attrs[key] for key in VISION},
        "image_size": reader.features.attrs["image_size"],
        "fit": reader.features.attrs["fit"],
    }


def _mean_length(tokens: Float16[Tensor, "N T D"], mask: Bool[Tensor, "N T"]) -> float:
    """Of the tokens that count; 0 where there are none."""
    lengths = tokens[mask].float().norm(dim=-1)
    return float(lengths.mean()) if len(lengths) else 0.0


def embed(run: Path, split: str, out: Path) -> None:
    """Embed `split` with the model of a run directory into the store `out`; see `embed_weights`."""
    embed_weights(run / "model.safetensors", run_config(run), split, out, threads=1)


@torch.inference_mode()
def embed_weights(weights: Path, config: RunConfig, split: str, out: Path, *, threads: int) -> None:
    """Embed `split` with these weights of a run's model into the store `out`; its manifest is written last.

    On a CPU `threads` batches at a time.

    Images are in the order of their ids, clips in that of theirs; of MORE, the tokens of images are left out. Raises
    ValueError when any other split is empty.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    ves = towers.restore(config, weights).to(device)
    threads = threads if device.type == "cpu" else 1
    torch.set_num_threads(1)
    frame = clips(config.data, split, may_be_empty=split == MORE)
    images = frame.select("image_id", "image_row").unique().sort("image_id")
    row_of = {image: row for row, image in enumerate(images["image_id"])}
    reader = PairReader(config.data, config.audio.seconds)
    rows = images["image_row"].to_numpy().astype(np.int64)[: 0 if split == MORE else None]
    log.info("embedding %d clips and %d images of %s on %s", len(frame), len(rows), split, device)
    audio_tokens, audio_mask = _clips(ves, frame, reader, config.model.dim, device, threads)
    image_tokens, image_mask = _images(ves, rows, reader, config.model.dim, device, threads)
    attrs = _attributes(weights, config, split, ves, reader)
    if config.train.normalise == "none":  # the unit in which figures show similarities
        attrs["token_lengths"] = [_mean_length(audio_tokens, audio_mask), _mean_length(image_tokens, image_mask)]
    embeddings = Embeddings(
        audio_tokens=audio_tokens,
        audio_mask=audio_mask,
        clip_image=torch.tensor([row_of[image] for image in frame["image_id"]], dtype=torch.int32),
        image_tokens=image_tokens,
        image_mask=image_mask,
        clip_id=frame["clip_id"].to_list(),
        image_id=images["image_id"].to_list(),
        attrs=attrs,
    )
    with lock(out):
        write(out, embeddings)
