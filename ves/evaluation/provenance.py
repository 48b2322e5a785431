"""Whether embeddings belong to the model and to the split that are here now. Metrics and figures ask first.

The workflow remakes what is out of date; these checks catch what it cannot see: folders that were copied together by
hand, a model that was trained anew beside old embeddings, a new split.
"""

from pathlib import Path

import polars as pl

from ves.base import parquet
from ves.base.checksums import file_sha256
from ves.config.experiment import run_config
from ves.store.embeddings import Embeddings, load, manifest_path


def _again(store: Path) -> str:
    return f"delete {manifest_path(store)} and embed again"


def refuse_other_model(embeddings: Embeddings, store: Path, run: Path, name: str) -> None:
    """Raise ValueError unless the store was embedded by the run `name`, with the weights that it has now.

    Embeddings outlive a model: without model.safetensors nothing contradicts them.
    """
    if (by := embeddings.attrs["run"]) != name:
        raise ValueError(f"{store}: embeddings of {by}, but {run} is {name}; {_again(store)}")
    weights = run / "model.safetensors"
    if weights.is_file() and file_sha256(weights) != embeddings.attrs["model_sha256"]:
        raise ValueError(f"{store}: embeddings of another model than {weights}; {_again(store)}")


def refuse_other_split(embeddings: Embeddings, store: Path, splits: str | Path) -> None:
    """Raise ValueError unless the embedded clips are those that the split has now."""
    split = embeddings.attrs["split"]
    with parquet.naming(splits):
        now = pl.scan_parquet(splits).filter(pl.col("split") == split).select("clip_id").collect()
    if (there := set(now["clip_id"])) != set(embeddings.clip_id):
        raise ValueError(
            f"{store}: embeddings of other clips than {splits} has in {split}: {len(there)} are there, of which "
            f"{len(there & set(embeddings.clip_id))} of these {len(embeddings.clip_id)}; {_again(store)}"
        )


def load_of(run: Path, split: str) -> Embeddings:
    """The embeddings of a split by the model that a run directory has now, of the clips that the split has now.

    Raises FileNotFoundError or ValueError that names the file to remake, as `ves.store.embeddings.load` does, and also
    where embeddings are of another run, model or split, or splits.parquet has other clips now.
    """
    store, config = run / "embeddings" / f"{split}.zarr", run_config(run)
    embeddings = load(store)
    if (other := embeddings.attrs["split"]) != split:
        raise ValueError(f"{store}: embeddings of {other}, not of {split}; {_again(store)}")
    refuse_other_model(embeddings, store, run, config.run)
    refuse_other_split(embeddings, store, config.data.splits)
    return embeddings
