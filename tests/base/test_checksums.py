"""sha256 of files and of the weights in a folder."""

import hashlib
from pathlib import Path

import pytest

from ves.base.checksums import file_sha256, weight_files, weight_hash


def test_a_file_has_the_sha256_of_its_bytes(tmp_path: Path) -> None:
    (path := tmp_path / "weights.bin").write_bytes(b"abc")
    assert file_sha256(path) == hashlib.sha256(b"abc").hexdigest()
    with pytest.raises(FileNotFoundError, match=r"absent\.bin"):
        file_sha256(tmp_path / "absent.bin")


def expected_sha256(**contents: bytes) -> str:
    """What is hashed of weights in several files."""
    lines = "".join(f"{name}.safetensors {hashlib.sha256(one).hexdigest()}\n" for name, one in contents.items())
    return hashlib.sha256(lines.encode()).hexdigest()


def test_the_weights_of_a_folder_are_the_files_that_transformers_loads(tmp_path: Path) -> None:
    """Each file that is added below goes before those above it."""
    with pytest.raises(FileNotFoundError, match=r"no model\.safetensors and no pytorch_model\.bin here"):
        weight_hash(tmp_path)
    for name in ("optimizer.bin", "adapter_model.safetensors", ".partial.safetensors", "a.bin", "b.safetensors"):
        (tmp_path / name).write_bytes(name.encode())
    assert weight_files(tmp_path) == []
    (tmp_path / "pytorch_model.bin.index.json").write_text('{"weight_map": {"x": "a.bin", "y": "a.bin"}}')
    assert weight_files(tmp_path) == [tmp_path / "a.bin"]
    (tmp_path / "pytorch_model.bin").write_bytes(b"whole")
    assert weight_hash(tmp_path) == hashlib.sha256(b"whole").hexdigest()
    (tmp_path / "a.safetensors").write_bytes(b"1")
    (tmp_path / "model.safetensors.index.json").write_text(
        '{"weight_map": {"y": "b.safetensors", "x": "a.safetensors"}}'
    )
    assert weight_hash(tmp_path) == expected_sha256(a=b"1", b=b"b.safetensors")
    (tmp_path / "model.safetensors").write_bytes(b"safe")
    assert weight_hash(tmp_path) == hashlib.sha256(b"safe").hexdigest()


def test_parts_that_are_missing_and_an_index_that_is_none_are_named(tmp_path: Path) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text('{"weight_map": {"x": "gone.safetensors"}}')
    with pytest.raises(FileNotFoundError, match=r"gone\.safetensors"):
        weight_hash(tmp_path)
    for content in ("[]", "{}", '{"weight_map": 3}'):
        index.write_text(content)
        with pytest.raises(ValueError, match=r"model\.safetensors\.index\.json: not an index of weights"):
            weight_files(tmp_path)
