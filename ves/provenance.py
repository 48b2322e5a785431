"""Whether embeddings are of the model and of the split that are here now: what measures them must not mix two makings.

The workflow remakes what is out of date; these catch what it cannot see: folders copied together by hand, a model that
was trained anew beside old embeddings, a split drawn anew.
"""

import hashlib
from pathlib import Path

import polars as pl

from ves import parquet
from ves.config import DataPaths, RunConfig
from ves.embeddings import Embeddings, manifest_path
from ves.files import read_json


def refuse_other_model(embeddings: Path, run: Path, config: RunConfig) -> None:
    """Raise ValueError unless the store was embedded by the run, with the weights that the run has now (if any)."""
    about = read_json(manifest_path(embeddings))
    split = about["split"]
    again = f"embed it again: ves embed {run} --split {split} --out {run}/embeddings/{split}.zarr"
    if about["run"] != config.run:
        raise ValueError(f"{embeddings}: embedded by {about['run']}, but {run} is {config.run}; {again}")
    weights = run / "model.safetensors"
    if weights.is_file() and hashlib.sha256(weights.read_bytes()).hexdigest() != about["model_sha256"]:
        raise ValueError(f"{embeddings}: embedded by another model than {weights} is now; {again}")


def refuse_other_split(embeddings: Embeddings, data: DataPaths) -> None:
    """Raise ValueError unless the embedded clips are those that the split has now."""
    split = embeddings.attrs["split"]
    splits = parquet.read(data.splits, columns=["clip_id", "split"])
    now = set(splits.filter(pl.col("split") == split)["clip_id"])
    if now != set(embeddings.clip_id):
        raise ValueError(
            f"{data.splits}: {split} has {len(now)} clips, and {len(now & set(embeddings.clip_id))} of the "
            f"{len(embeddings.clip_id)} that {embeddings.attrs['run']} embedded; embed {split} of that run again"
        )
