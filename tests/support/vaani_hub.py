"""What tests of surveys and checks give the loopback hub, and the settings that name it."""

import io
from typing import Any

import polars as pl

from tests.support.loopback import COMMIT, REPOSITORY
from ves.config.corpus import VaaniConfig


def parquet_bytes(frame: pl.DataFrame, **options: Any) -> bytes:
    """A parquet file; `options` are those of polars' writer."""
    frame.write_parquet(buffer := io.BytesIO(), **options)
    return buffer.getvalue()


def settings(**changes: Any) -> VaaniConfig:
    """`corpus.vaani` for shards audio/* and images/* of the loopback hub, without the checks of a configuration."""
    block = {"repository": REPOSITORY, "revision": COMMIT, "audio": ["audio/*"], "images": ["images/*"]}
    return VaaniConfig.model_construct(**(block | {"shards_per_district": None} | changes))
