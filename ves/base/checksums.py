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
    """The files in a model's folder from which transformers loads weights, in order of name; empty if there are none.

    It prefers safetensors to .bin, and a single file to the parts that an index lists; other files are not loaded.
    Raises ValueError that names an index without a list of files.
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
    """sha256 of a model's weight file (`weight_files`); of several files, the sha256 of their names and hashes.

    Raises FileNotFoundError when there is none, OSError that names a file that cannot be read.
    """
    hashes = {path.name: file_sha256(path) for path in weight_files(folder)}
    if not hashes:
        raise FileNotFoundError(f"{folder}: no {' and no '.join(WEIGHTS)} here")
    if len(hashes) == 1:
        return next(iter(hashes.values()))
    return hashlib.sha256("".join(f"{name} {digest}\n" for name, digest in hashes.items()).encode()).hexdigest()
