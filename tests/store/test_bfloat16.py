import json
import subprocess
import sys

import numpy as np
import pytest
import tensorstore
import zarr
from zarr.codecs import Crc32cCodec
from zarr.dtype import data_type_registry
from zarr.errors import DataTypeValidationError

from ves.store.bfloat16 import DTYPE, BFloat16

VALUES = np.random.default_rng(0).normal(size=(10, 3, 8)).astype(DTYPE)
OTHERS = np.random.default_rng(1).normal(size=(10, 3, 8)).astype(DTYPE)


def write(path, **options):
    group = zarr.create_group(path)
    sharding = {"chunks": (1, 3, 8), "shards": (4, 3, 8), "compressors": [Crc32cCodec()]} | options
    array = group.create_array("tokens", shape=VALUES.shape, dtype=BFloat16(), **sharding)
    array[:] = VALUES


def test_a_process_that_does_not_import_ves_reads_it(tmp_path):
    """Zarr finds the type through the entry point; neither a warning nor torch comes with it."""
    write(tmp_path / "a.zarr")
    code = (
        "import sys, zarr\n"
        f"row = zarr.open({str(tmp_path / 'a.zarr')!r}, mode='r')['tokens'][2]\n"
        "assert 'torch' not in sys.modules\n"
        "print(row.dtype, *row.astype('float32').ravel().tolist())"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stderr == ""
    name, *numbers = done.stdout.split()
    assert name == "bfloat16"
    assert [float(number) for number in numbers] == VALUES[2].astype(np.float32).ravel().tolist()


def test_tensorstore_reads_what_zarr_wrote_and_zarr_what_tensorstore_wrote(tmp_path):
    write(tmp_path / "a.zarr")
    spec = {"driver": "zarr3", "kvstore": f"file://{tmp_path}/a.zarr/tokens/"}
    opened = tensorstore.open(spec).result()
    np.testing.assert_array_equal(opened.read().result(), VALUES)
    opened.write(OTHERS).result()
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "a.zarr" / "tokens")[:], OTHERS)


def test_the_byte_order_is_in_the_metadata(tmp_path):
    write(tmp_path / "a.zarr", chunks=(4, 3, 8), shards=None)
    meta = json.loads((tmp_path / "a.zarr" / "tokens" / "zarr.json").read_text())
    assert meta["data_type"] == "bfloat16"
    assert meta["codecs"][0] == {"name": "bytes", "configuration": {"endian": "little"}}


def test_big_endian_is_refused_rather_than_misread(tmp_path):
    """Stores that others wrote with that byte order."""
    write(tmp_path / "a.zarr", chunks=(4, 3, 8), shards=None)
    meta = tmp_path / "a.zarr" / "tokens" / "zarr.json"
    meta.write_text(meta.read_text().replace('"little"', '"big"'))
    array = zarr.open_array(tmp_path / "a.zarr" / "tokens", mode="r")
    with pytest.raises(NotImplementedError, match="big-endian"):
        array[:]


@pytest.mark.parametrize("value", [0.0, 1.5, -2.0, float("inf"), float("-inf"), float("nan")])
def test_fill_values_survive_json(value):
    written = BFloat16().to_json_scalar(value, zarr_format=3)
    read = BFloat16().from_json_scalar(json.loads(json.dumps(written, allow_nan=False)), zarr_format=3)
    np.testing.assert_equal(float(read), value)


def test_fill_values_may_be_bits():
    assert float(BFloat16().from_json_scalar("0x3fc0", zarr_format=3)) == 1.5


def test_other_types_are_not_taken_for_it():
    for wrong in ("float16", {"name": "bfloat16"}):
        with pytest.raises(DataTypeValidationError):
            BFloat16.from_json(wrong, zarr_format=3)
    with pytest.raises(DataTypeValidationError):
        BFloat16.from_native_dtype(np.dtype("uint16"))
    with pytest.raises(TypeError):
        BFloat16().cast_scalar("much")
    with pytest.raises(ValueError, match="v2"):
        BFloat16().to_json(2)


def test_it_is_the_type_of_the_numpy_dtype():
    assert data_type_registry.match_dtype(DTYPE) == BFloat16()
    assert BFloat16().item_size == DTYPE.itemsize
