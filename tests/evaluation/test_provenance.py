"""Embeddings beside another model or another split than they were made of: one line that says what to remake."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from tests.support.embeddings import random_embeddings
from tests.support.truth_corpus import Corpus
from ves.evaluation.localisation import measure as localisation
from ves.evaluation.provenance import refuse_other_model
from ves.store.embeddings import load, write

WEIGHTS = b"weights"


@pytest.fixture
def val_corpus(tmp_path) -> Corpus:
    made = random_embeddings(3, 3, model_sha256=hashlib.sha256(WEIGHTS).hexdigest())
    write(tmp_path / "val.zarr", made)
    (tmp_path / "model.safetensors").write_bytes(WEIGHTS)
    return Corpus(tmp_path, made, (8, 8))


def test_another_model_or_run(val_corpus: Corpus):
    folder = val_corpus.folder
    store = folder / "val.zarr"
    stored = load(store)
    refuse_other_model(stored, store, folder, "dense-s0")
    again = r"delete .*val\.zarr\.manifest\.json and embed again"
    with pytest.raises(ValueError, match=rf"val\.zarr: embeddings of dense-s0, but .* is global-s0; {again}"):
        refuse_other_model(stored, store, folder, "global-s0")
    (folder / "model.safetensors").write_bytes(b"trained anew")
    with pytest.raises(ValueError, match=rf"embeddings of another model than .*model\.safetensors; {again}"):
        refuse_other_model(stored, store, folder, "dense-s0")
    (folder / "model.safetensors").unlink()  # embeddings outlive the model
    refuse_other_model(stored, store, folder, "dense-s0")


def evaluate(corpus: Corpus) -> dict:
    folder = corpus.folder
    localisation.evaluate(folder / "val.zarr", corpus.data, folder / "truth", folder / "localisation.json")
    return json.loads((folder / "localisation.json").read_text())


def test_another_split(val_corpus: Corpus):
    assert evaluate(val_corpus)["available"] is False, "no truth is no fault"
    splits = pl.read_parquet(val_corpus.data.splits)
    moved = splits.with_columns(split=pl.Series(["train", "val", "val"]))
    for changed in (moved, pl.concat([splits, splits.with_columns(clip_id=pl.lit("f" * 32))])):
        changed.write_parquet(val_corpus.data.splits)
        with pytest.raises(
            ValueError, match=r"embeddings of other clips than .*splits\.parquet has in val: \d are there, of which \d"
        ):
            evaluate(val_corpus)
    Path(val_corpus.data.splits).unlink()
    with pytest.raises(FileNotFoundError, match="splits"):
        evaluate(val_corpus)


def test_a_stage_pasted_by_hand_has_one_core_as_in_the_workflow():
    """Whatever the machine's or the user's setting: bytes must not depend on who calls."""
    code = "from ves.base.cpu import one_core; one_core(); import torch; print(torch.get_num_threads())"
    process = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"OMP_NUM_THREADS": "2"}, capture_output=True, text=True
    )
    assert process.stdout.strip() == "1", process.stderr


def test_a_damaged_chunk_is_named(val_corpus: Corpus):
    (chunk,) = (val_corpus.folder / "val.zarr" / "audio_tokens").rglob("c/0/0/0")
    chunk.write_bytes(chunk.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"val\.zarr: damaged or missing .*; delete .* and embed again"):
        load(val_corpus.folder / "val.zarr")
