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

import numpy as np
import torch
from jaxtyping import BFloat16, Float
from torch import Tensor, nn

from ves.models.pixels import IngestedPictures
from ves.models.vision import load_backbone, patch_tokens

log = logging.getLogger(__name__)


class LiveFeatures(IngestedPictures):
    """Has what a FeatureStore has: `read`, `grid`, `patches`, `width`, `attrs` and a length. Threads take turns."""

    def __init__(self, settings: Path, images: Path) -> None:
        """See IngestedPictures."""
        super().__init__(settings, images)
        self._time_logged, self._turn = False, threading.Lock()

    @cached_property
    def _backbone(self) -> nn.Module:
        return load_backbone(self.vision)

    def read(self, rows: Sequence[int] | np.ndarray, out: Tensor | None = None) -> BFloat16[Tensor, "V P W"]:
        """Patch tokens of these rows, in their order; a row that occurs twice is computed once.

        Raises as `distinct` and `square` do.
        """
        started = time.perf_counter()
        distinct, place = self.distinct(rows)
        step = self.vision.batch_size
        with self._turn:
            batches = [self._tokens(distinct[at : at + step]) for at in range(0, len(distinct), step)]
        whole = torch.cat(batches) if batches else torch.empty(0, self.patches, self.width, dtype=torch.bfloat16)
        tokens = whole[place]
        if not self._time_logged:
            self._time_logged, seconds = True, time.perf_counter() - started
            log.info("features: live: %d pictures in %.1f s, as every step will take", len(distinct), seconds)
        return tokens if out is None else out.copy_(tokens)

    def _tokens(self, rows: np.ndarray) -> BFloat16[Tensor, "V P W"]:
        """One pass of the backbone, with the batch shape of the store."""
        size = self.vision.image_size
        batch: Float[Tensor, "V 3 S S"] = torch.zeros(self.vision.batch_size, 3, size, size)
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:  # one by one: the rows of a batch do not lie together
            for place, square in enumerate(pool.map(self.square, rows.tolist())):
                batch[place] = square
        return patch_tokens(self._backbone, batch)[: len(rows)]
