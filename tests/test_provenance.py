"""Embeddings beside another model or another split than they were made of: one line that says what to remake."""

import hashlib
import json
from pathlib import Path

import polars as pl
import pytest
from spoken_corpus import Corpus
from stored import random_embeddings

from ves import localisation
from ves.config import RunConfig
from ves.embeddings import write
from ves.provenance import refuse_other_model

WEIGHTS = b"weights"


@pytest.fixture
def embedded(tmp_path) -> Corpus:
    made = random_embeddings(3, 3, model_sha256=hashlib.sha256(WEIGHTS).hexdigest())
    write(tmp_path / "val.zarr", made)
    (tmp_path / "model.safetensors").write_bytes(WEIGHTS)
    return Corpus(tmp_path, made, (8, 8))


def settings(run: str) -> RunConfig:
    return RunConfig.model_construct(run=run)


def test_another_model_or_run(embedded: Corpus):
    folder = embedded.folder
    refuse_other_model(folder / "val.zarr", folder, settings("dense-s0"))
    with pytest.raises(ValueError, match=r"val\.zarr: embedded by dense-s0, but .* is global-s0; .*ves embed .* val"):
        refuse_other_model(folder / "val.zarr", folder, settings("global-s0"))
    (folder / "model.safetensors").write_bytes(b"trained anew")
    with pytest.raises(ValueError, match=r"embedded by another model than .*model\.safetensors is now; embed it again"):
        refuse_other_model(folder / "val.zarr", folder, settings("dense-s0"))
    (folder / "model.safetensors").unlink()  # embeddings outlive the model
    refuse_other_model(folder / "val.zarr", folder, settings("dense-s0"))


def evaluate(corpus: Corpus) -> dict:
    folder = corpus.folder
    localisation.evaluate(folder / "val.zarr", corpus.data, folder / "truth", folder / "localisation.json")
    return json.loads((folder / "localisation.json").read_text())


def test_another_split(embedded: Corpus):
    assert evaluate(embedded)["available"] is False, "no truth is no fault"
    splits = pl.read_parquet(embedded.data.splits)
    moved = splits.with_columns(split=pl.Series(["train", "val", "val"]))
    for changed in (moved, pl.concat([splits, splits.with_columns(clip_id=pl.lit("f" * 32))])):
        changed.write_parquet(embedded.data.splits)
        with pytest.raises(ValueError, match=r"splits\.parquet: val has \d clips, and \d of the 3 that dense-s0"):
            evaluate(embedded)
    Path(embedded.data.splits).unlink()
    with pytest.raises(FileNotFoundError, match="splits"):
        evaluate(embedded)
