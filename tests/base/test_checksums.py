"""sha256 of files and of the weights in a folder."""

import hashlib
from pathlib import Path

import pytest

from ves.base.checksums import file_sha256, weight_hash


def test_a_file_has_the_sha256_of_its_bytes(tmp_path: Path) -> None:
    (path := tmp_path / "weights.bin").write_bytes(b"abc")
    assert file_sha256(path) == hashlib.sha256(b"abc").hexdigest()
    with pytest.raises(FileNotFoundError, match=r"absent\.bin"):
        file_sha256(tmp_path / "absent.bin")


def test_a_folder_of_weights_has_the_hash_of_its_one_file_or_of_all_their_names(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"1")
    (tmp_path / ".partial.safetensors").write_bytes(b"hidden")
    assert weight_hash(tmp_path) == hashlib.sha256(b"1").hexdigest()
    (tmp_path / "b.safetensors").write_bytes(b"2")
    lines = "".join(f"{n}.safetensors {hashlib.sha256(c).hexdigest()}\n" for n, c in (("a", b"1"), ("b", b"2")))
    assert weight_hash(tmp_path) == hashlib.sha256(lines.encode()).hexdigest()
