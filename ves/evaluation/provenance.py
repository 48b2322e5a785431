"""Whether embeddings are of the model and of the split that are here now: what measures them must not mix two makings.

The workflow remakes what is out of date; these catch what it cannot see: folders copied together by hand, a model that
was trained anew beside old embeddings, a split drawn anew. Metrics and figures ask the same questions.
"""

from pathlib import Path

import polars as pl

from ves.base import parquet
from ves.base.checksums import file_sha256
from ves.base.files import read_json
from ves.store.embeddings import Embeddings, load, manifest_path


def _again(store: Path) -> str:
    return f"delete {manifest_path(store)} and embed again"


def refuse_other_model(stored: Embeddings, store: Path, run: Path, name: str) -> None:
    """Raise ValueError unless the store was embedded by the run `name`, with the weights that it has now.

    Embeddings outlive a model: without model.safetensors nothing contradicts them.
    """
    if (by := stored.attrs["run"]) != name:
        raise ValueError(f"{store}: embeddings of {by}, but {run} is {name}; {_again(store)}")
    weights = run / "model.safetensors"
    if weights.is_file() and file_sha256(weights) != stored.attrs["model_sha256"]:
        raise ValueError(f"{store}: embeddings of another model than {weights}; {_again(store)}")


def refuse_other_split(stored: Embeddings, store: Path, splits: str | Path) -> None:
    """Raise ValueError unless the embedded clips are those that the split has now."""
    split = stored.attrs["split"]
    with parquet.naming(splits):
        now = pl.scan_parquet(splits).filter(pl.col("split") == split).select("clip_id").collect()
    if (there := set(now["clip_id"])) != set(stored.clip_id):
        raise ValueError(
            f"{store}: embeddings of other clips than {splits} has in {split}: {len(there)} are there, of which "
            f"{len(there & set(stored.clip_id))} of these {len(stored.clip_id)}; {_again(store)}"
        )


def load_of(run: Path, split: str) -> Embeddings:
    """The embeddings of a split by the model of a run directory, as it is now, of the clips that the split has now.

    Raises FileNotFoundError or ValueError that names the file to remake: as `ves.store.embeddings.load` does; where
    they are of another run, model or split; where splits.parquet was made anew and has other clips.
    """
    store, about = run / "embeddings" / f"{split}.zarr", read_json(run / "config.json")
    stored = load(store)
    if (other := stored.attrs["split"]) != split:
        raise ValueError(f"{store}: embeddings of {other}, not of {split}; {_again(store)}")
    refuse_other_model(stored, store, run, about["run"])
    refuse_other_split(stored, store, about["data"]["splits"])
    return stored
