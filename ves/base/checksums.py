"""sha256 of files and of the weights of a model. Apart from ves.base.hashing: that loads polars, this is for all."""

import hashlib
from pathlib import Path


def file_sha256(path: Path) -> str:
    """64 hexadecimal digits. Raises OSError that names the file when it cannot be read."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def weight_hash(folder: Path) -> str:
    """sha256 of the safetensors file; of several, the sha256 of their names and hashes."""
    hashes = {path.name: file_sha256(path) for path in sorted(folder.glob("[!.]*.safetensors"))}
    if len(hashes) == 1:
        return next(iter(hashes.values()))
    return hashlib.sha256("".join(f"{name} {digest}\n" for name, digest in hashes.items()).encode()).hexdigest()
