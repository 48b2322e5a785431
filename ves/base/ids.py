"""Ids of clips as numbers of 16 bytes instead of texts of 32 hexadecimal digits; both sort alike."""

from binascii import hexlify

import numpy as np
import polars as pl
import pyarrow as pa
from jaxtyping import UInt64

HALF = pl.lit(1 << 64, pl.UInt128)
DIGITS = 32


def number(column: str) -> pl.Expr:
    """A column of ids as UInt128; null stays null."""
    return pl.col(column).str.decode("hex").bin.reinterpret(dtype=pl.UInt128, endianness="big")


def text(column: str) -> pl.Expr:
    """The inverse: a column of UInt128 without nulls as texts."""
    return pl.col(column).map_batches(_texts, return_dtype=pl.String, is_elementwise=True)


def heads(ids: pl.Series) -> UInt64[np.ndarray, " n"]:
    """The first half of each id (UInt128)."""
    return pl.select((pl.lit(ids) // HALF).cast(pl.UInt64)).to_series().to_numpy()


def _texts(ids: pl.Series) -> pl.Series:
    tails = pl.select((pl.lit(ids) % HALF).cast(pl.UInt64)).to_series().to_numpy()
    digits = hexlify(np.stack([heads(ids), tails], axis=1).astype(">u8").tobytes())
    ends = np.arange(len(ids) + 1, dtype=np.int64) * DIGITS
    texts = pa.LargeStringArray.from_buffers(len(ids), pa.py_buffer(ends), pa.py_buffer(digits))
    return pl.Series(ids.name, texts)
