"""Pictures as a backbone expects them, for a training that moves the backbone too (`train.features: pixels`).

Every clip of every step costs the decoding of a picture. Which pixels they are is decided by the code that makes a
feature store (ves.models.features.squares), so a backbone that has not moved yet makes the tokens of the store, but for
their rounding to bfloat16.

Dimension key
    V images    S side of the square
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ves.config.experiment import VisionConfig
from ves.config.fields import read
from ves.media.normalisation import from_attributes
from ves.models.features import attributes, listed, squares


class IngestedPictures:
    """The pictures of a corpus, row by row of images.parquet, as a backbone expects them.

    It has what a FeatureStore has (`grid`, `patches`, `width`, `attrs`, a length) but for `read`.
    """

    def __init__(self, settings: Path, images: Path) -> None:
        """`settings` is the VisionConfig as JSON; the pictures are beside images.parquet.

        Raises ValueError when they are not there, or when the settings are not valid.
        """
        self.path, self.vision = settings, read(VisionConfig, settings)
        self.images, self.pictures = listed(images), images.with_suffix("")
        if not self.pictures.is_dir():
            raise ValueError(
                f"{self.pictures}: no ingested pictures here, which `train.features: live` and `pixels` read; ingest "
                "the corpus"
            )
        self.attrs: dict[str, Any] = attributes(self.vision)
        self._normalisation = from_attributes(self.attrs["normalisation"])
        self.grid: tuple[int, int] = tuple(self.attrs["grid"])
        self.patches, self.width = self.grid[0] * self.grid[1], int(self.attrs["width"])
        self.row_shape = (3, self.vision.image_size, self.vision.image_size)

    def __len__(self) -> int:
        return len(self.images)

    def distinct(self, rows: Sequence[int] | np.ndarray) -> tuple[np.ndarray, Tensor]:
        """The rows that occur, each once, and the place of every row among them. Raises IndexError for a row that
        images.parquet does not have."""
        distinct, place = np.unique(np.asarray(rows, dtype=np.int64), return_inverse=True)
        if outside := [row for row in distinct.tolist() if not 0 <= row < len(self)]:
            raise IndexError(f"{self.pictures}: no row {outside[0]}, images.parquet has {len(self)}")
        return distinct, torch.from_numpy(place.reshape(-1))

    def square(self, row: int) -> Float[Tensor, "3 S S"]:
        """The pixels of one row. Raises ValueError that names a picture which is not the one in images.parquet."""
        return torch.from_numpy(squares(self.images[[row]], self.pictures, self.vision, self._normalisation)[0])


class Pixels(IngestedPictures):
    """Reads pixels where a FeatureStore reads tokens."""

    def __init__(self, settings: Path, images: Path) -> None:
        """See IngestedPictures."""
        super().__init__(settings, images)
        self._pool = ThreadPoolExecutor(
            2, thread_name_prefix="ves-pixels", initializer=torch.set_num_threads, initargs=(1,)
        )

    def read(self, rows: Sequence[int] | np.ndarray, out: Tensor | None = None) -> Float[Tensor, "V 3 S S"]:
        """Pixels of these rows, in their order; a row that occurs twice is decoded once. Raises as `distinct` and
        `square` do."""
        distinct, place = self.distinct(rows)
        whole: Float[Tensor, "V 3 S S"] = torch.empty(len(distinct), *self.row_shape)
        for at, square in enumerate(self._pool.map(self.square, distinct.tolist())):
            whole[at] = square
        pixels = whole[place]
        return pixels if out is None else out.copy_(pixels)
