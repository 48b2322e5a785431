"""Checks, before any job starts, of the configuration against the files: backbones, source, an existing split."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ves.base.files import read_json
from ves.config import slices
from ves.config.experiment import Config
from ves.models import preprocessing
from ves.models.backbone import CONVOLUTIONS, check_kind, token_cell, token_width
from ves.sources import kinds


def validate_backbones(config: Config) -> None:
    """Check that each backbone is an existing folder or a possible name on the hub and, of a folder, that VeS reads its
    kind of model and its preprocessing, and that sizes fit.

    A backbone of the hub is checked once it has been downloaded. Raises ValueError that begins with the key.
    """
    for key, backbone in (("vision", config.vision.backbone), ("audio", config.audio.backbone)):
        if not (Path(backbone).is_dir() or re.fullmatch(r"[\w.-]+/[\w.-]+", backbone)):
            raise ValueError(
                f"{key}.backbone: {backbone!r} is neither an existing folder nor <owner>/<name> on the hub"
            )
    if (vision := Path(config.vision.backbone)).is_dir():
        _fits_vision(config, check_kind("vision.backbone", vision))
        with _naming_key("vision.backbone"):
            preprocessing.of_pictures(vision)
    if (speech := Path(config.audio.backbone)).is_dir():
        _fits_speech(config, check_kind("audio.backbone", speech))
        with _naming_key("audio.backbone"):
            preprocessing.of_sound(speech)


@contextmanager
def _naming_key(key: str) -> Iterator[None]:
    """Put the key in front of errors that name a file."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from error


def _fits_vision(config: Config, backbone: dict[str, Any]) -> None:
    """The image size is a multiple of the patch size, the heads divide the width, and a class token is there if it is
    asked for."""
    if config.vision.class_token and backbone["model_type"] in CONVOLUTIONS:
        raise ValueError(
            f"vision.class_token: {config.vision.backbone} is of the type {backbone['model_type']}, which has "
            "no class token; "
            "set it to false"
        )
    size, width = config.vision.image_size, token_width(backbone)
    step = math.lcm(*token_cell(backbone))
    if size % step:
        near = [str(n) for n in (size // step * step, (size // step + 1) * step) if n]
        raise ValueError(
            f"vision.image_size: {size} is not a multiple of the patch size, {step}; take {' or '.join(near)}"
        )
    if width % (heads := config.model.visual_heads):
        divisors = ", ".join(str(n) for n in range(1, width + 1) if width % n == 0)
        raise ValueError(f"model.visual_heads: {heads} does not divide the backbone's width, {width}; take {divisors}")


def _fits_speech(config: Config, backbone: dict[str, Any]) -> None:
    """A window has at least one token."""
    from ves.media.audio import POOL, RATE, FrameGrid  # loads numpy: the workflow imports this module at every start

    pool = POOL if config.audio.pool == "mean_2" else 1
    grid = FrameGrid(tuple(backbone["conv_kernel"]), tuple(backbone["conv_stride"]), pool)
    if not grid.tokens(round((seconds := config.audio.seconds) * RATE)):
        raise ValueError(f"audio.seconds: {seconds} is shorter than one token, {grid.field / RATE:g}")


def validate_source(config: Config) -> None:
    """Check that the table of spellings exists, and the files of the corpus's kind of source.

    Raises ValueError that begins with the key.
    """
    if (labels := config.corpus.labels) is not None and not Path(labels).is_file():
        raise ValueError(f"corpus.labels: there is no file {labels!r}; null means no table")
    kinds.check(config)


def _changed_since(splits: Path, config: Config) -> bool:
    """Whether a file of the source is newer than the split; its new pairs are not in the split yet."""
    return any(file.stat().st_mtime_ns > splits.stat().st_mtime_ns for file in kinds.inputs(config))


def validate_batches(config: Config, data: Path) -> None:
    """Check every run's batch size against the numbers of training clips and of their recordings, if this corpus is
    already split.

    Nothing is checked if the settings of the corpus have changed since, because it will be made again. Raises
    ValueError that names the key.
    """
    settings = {data / "corpus.json": slices.corpus(config), data / "split.json": config.split}
    if not all(file.is_file() for file in [*settings, data / "splits.parquet"]):
        return
    changed = any(read_json(file) != block.model_dump(mode="json") for file, block in settings.items())
    if changed or _changed_since(data / "splits.parquet", config):
        return
    from ves.base import parquet  # loads polars, which most commands do not need

    splits = data / "splits.parquet"
    clips = parquet.read(splits, columns=["split"])["split"].eq("train").sum()
    recordings = _recordings(data)
    for run in config.runs:
        key, batch = config.key_of("batch_size", run), config.train_of(run).batch_size
        if batch > clips:
            raise ValueError(f"{key}: {batch} is more than the {clips} training clips of {splits}")
        if recordings is not None and batch > recordings:
            raise ValueError(
                f"{key}: {batch} is more than the {recordings} recordings of the training clips of {splits}; no two "
                "clips of a batch may be of one recording"
            )


def _recordings(data: Path) -> int | None:
    """How many recordings the training clips are of, a clip of none counted as one; None where no clip is of any."""
    import polars as pl

    from ves.base import parquet

    manifest, splits = data / "manifest.parquet", data / "splits.parquet"
    with parquet.naming(manifest):
        if not manifest.is_file() or "recording_id" not in pl.read_parquet_schema(manifest):
            return None
        trained = pl.scan_parquet(splits).filter(pl.col("split") == "train").select("clip_id")
        clips = pl.scan_parquet(manifest).select("clip_id", "recording_id").join(trained, on="clip_id", how="semi")
        known = clips.collect(engine="streaming")["recording_id"]
    return known.null_count() + known.drop_nulls().n_unique() if known.count() else None
