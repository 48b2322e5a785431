"""sha256 of files and of the weights of a model. Apart from ves.base.hashing: that loads polars, this is for all."""

import hashlib
from pathlib import Path

from ves.base.files import read_json

WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # in the order in which transformers looks for them


def file_sha256(path: Path) -> str:
    """64 hexadecimal digits. Raises OSError that names the file when it cannot be read."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def weight_files(folder: Path) -> list[Path]:
    """The files from which transformers loads the weights of a model's folder, by name; empty where there are none.

    safetensors come before .bin, and one whole file before the parts that an index lists; whatever else lies there is
    not loaded. Raises ValueError that names an index which lists no files.
    """
    for name in WEIGHTS:
        if (whole := folder / name).is_file():
            return [whole]
        if (index := folder / f"{name}.index.json").is_file():
            try:
                return sorted(folder / part for part in set(read_json(index)["weight_map"].values()))
            except (LookupError, TypeError, AttributeError) as error:
                raise ValueError(f"{index}: not an index of weights ({error!r})") from error
    return []


def weight_hash(folder: Path) -> str:
    """sha256 of the one file of weights (`weight_files`); of several, the sha256 of their names and hashes.

    Raises FileNotFoundError where there are none, OSError that names one which cannot be read.
    """
    hashes = {path.name: file_sha256(path) for path in weight_files(folder)}
    if not hashes:
        raise FileNotFoundError(f"{folder}: neither of {' and '.join(WEIGHTS)} is here")
    if len(hashes) == 1:
        return next(iter(hashes.values()))
    return hashlib.sha256("".join(f"{name} {digest}\n" for name, digest in hashes.items()).encode()).hexdigest()
