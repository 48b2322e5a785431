"""Patch tokens without a store: computed from the pictures, by the frozen backbone, at every read.

`train.features: live` is for a corpus whose features do not fit on the disk (Vaani's are 0.15 TB), and for trying
another backbone for a few steps. Every clip of every step then costs the decoding of a picture and a forward pass of
the backbone; with a store each picture costs that once. The time of the first batch is logged.

The tokens are those of the store: the same code, the same batch shape (`vision.batch_size`, padded) and bfloat16. On
one machine they were equal to the last bit; on another device than the store's they differ by rounding.

Dimension key
    V images    P patches    W backbone width
"""

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import BFloat16, Float
from torch import Tensor, nn

from ves.config.experiment import VisionConfig
from ves.config.fields import read
from ves.media.normalisation import from_attributes
from ves.models.features import attributes, listed, squares
from ves.models.vision import load_backbone, patch_tokens

log = logging.getLogger(__name__)


class LiveFeatures:
    """Has what a FeatureStore has: `read`, `grid`, `patches`, `width`, `attrs` and a length. Threads take turns."""

    def __init__(self, settings: Path, images: Path) -> None:
        """`settings` is the VisionConfig as JSON; the pictures are beside images.parquet.

        Raises ValueError when they are not there, or when the settings are not valid.
        """
        self.path, self.vision = settings, read(VisionConfig, settings)
        self.images, self.pictures = listed(images), images.with_suffix("")
        if not self.pictures.is_dir():
            raise ValueError(
                f"{self.pictures}: no ingested pictures here, which `train.features: live` reads; ingest the corpus"
            )
        self.attrs: dict[str, Any] = attributes(self.vision)
        self._normalisation = from_attributes(self.attrs["normalisation"])
        self.grid: tuple[int, int] = tuple(self.attrs["grid"])
        self.patches, self.width = self.grid[0] * self.grid[1], int(self.attrs["width"])
        self._time_logged, self._turn = False, threading.Lock()

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def _backbone(self) -> nn.Module:
        return load_backbone(self.vision)

    def read(self, rows: Sequence[int] | np.ndarray, out: Tensor | None = None) -> BFloat16[Tensor, "V P W"]:
        """Patch tokens of these rows, in their order; a row that occurs twice is computed once.

        Raises IndexError for a row that images.parquet does not have, and ValueError that names a picture which is not
        the one in images.parquet.
        """
        started = time.perf_counter()
        distinct, place = np.unique(np.asarray(rows, dtype=np.int64), return_inverse=True)
        if outside := [row for row in distinct.tolist() if not 0 <= row < len(self)]:
            raise IndexError(f"{self.pictures}: no row {outside[0]}, images.parquet has {len(self)}")
        step = self.vision.batch_size
        with self._turn:
            batches = [self._tokens(distinct[at : at + step]) for at in range(0, len(distinct), step)]
        whole = torch.cat(batches) if batches else torch.empty(0, self.patches, self.width, dtype=torch.bfloat16)
        tokens = whole[torch.from_numpy(place.reshape(-1))]
        if not self._time_logged:
            self._time_logged, seconds = True, time.perf_counter() - started
            log.info("features: live: %d pictures in %.1f s, as every step will take", len(distinct), seconds)
        return tokens if out is None else out.copy_(tokens)

    def _square(self, row: int) -> Float[Tensor, "3 S S"]:
        return torch.from_numpy(squares(self.images[[row]], self.pictures, self.vision, self._normalisation)[0])

    def _tokens(self, rows: np.ndarray) -> BFloat16[Tensor, "V P W"]:
        """One pass of the backbone, with the batch shape of the store."""
        size = self.vision.image_size
        batch: Float[Tensor, "V 3 S S"] = torch.zeros(self.vision.batch_size, 3, size, size)
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:  # one by one: the rows of a batch do not lie together
            for place, square in enumerate(pool.map(self._square, rows.tolist())):
                batch[place] = square
        return patch_tokens(self._backbone, batch)[: len(rows)]
