"""The Zarr v3 data type `bfloat16` for zarr-python, which has none of its own.

zarr finds this class by the entry point group `zarr.data_type`, so `zarr.open(path)["patch_tokens"]` works in every
process of an environment in which ves is installed. Therefore this module imports nothing heavy. Specification:
zarr-extensions, data-types/bfloat16 (no configuration; codec `bytes` with a byte order; fill values as floats, or their
bits in hexadecimal). tensorstore has the type built in.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import ml_dtypes
import numpy as np
from zarr.core.dtype.common import HasEndianness, HasItemSize
from zarr.core.dtype.wrapper import ZDType
from zarr.errors import DataTypeValidationError

DTYPE = np.dtype(ml_dtypes.bfloat16)
SPECIAL = ("NaN", "Infinity", "-Infinity")  # as Zarr spells them, since JSON has no such numbers


@dataclass(frozen=True, kw_only=True)
class BFloat16(ZDType[Any, Any], HasEndianness, HasItemSize):
    """bfloat16 in memory is that of ml_dtypes.

    Without HasEndianness, zarr would leave `endian` out of the metadata, and tensorstore would refuse the array.
    """

    dtype_cls: ClassVar[Any] = type(DTYPE)
    _zarr_v3_name: ClassVar[str] = "bfloat16"

    @property
    def item_size(self) -> int:
        return 2

    @classmethod
    def from_native_dtype(cls, dtype: Any) -> Any:
        if cls._check_native_dtype(dtype):
            return cls()
        raise DataTypeValidationError(f"Invalid data type: {dtype}. Expected {DTYPE}")

    def to_native_dtype(self) -> Any:
        """The numpy type. ml_dtypes has none with swapped bytes; the wrong order would give wrong numbers."""
        if self.endianness != "little":
            raise NotImplementedError("bfloat16 in big-endian byte order: read it with tensorstore")
        return DTYPE

    @classmethod
    def _from_json_v2(cls, data: Any) -> Any:
        raise DataTypeValidationError("bfloat16 is not a data type of Zarr v2")

    @classmethod
    def _from_json_v3(cls, data: Any) -> Any:
        if data == cls._zarr_v3_name:
            return cls()
        raise DataTypeValidationError(f"Invalid JSON representation of bfloat16: {data!r}")

    def to_json(self, zarr_format: int) -> Any:
        if zarr_format != 3:
            raise ValueError("bfloat16 is not a data type of Zarr v2; use zarr_format=3")
        return self._zarr_v3_name

    def _check_scalar(self, data: object) -> bool:
        return isinstance(data, int | float | np.number | ml_dtypes.bfloat16)

    def cast_scalar(self, data: Any) -> Any:
        if not self._check_scalar(data):
            raise TypeError(f"Cannot convert {data!r} with type {type(data)} to bfloat16")
        return DTYPE.type(data)

    def default_scalar(self) -> Any:
        return DTYPE.type(0)

    def from_json_scalar(self, data: Any, *, zarr_format: int) -> Any:
        """A fill value: a number, one of SPECIAL, or bits such as "0x7fc0"."""
        if isinstance(data, str) and data.startswith("0x"):
            return np.array(int(data, 16), np.uint16).view(DTYPE)[()]
        if data in SPECIAL:
            return DTYPE.type(float(data))
        return self.cast_scalar(data)

    def to_json_scalar(self, data: Any, *, zarr_format: int) -> Any:
        value = float(self.cast_scalar(data))
        if np.isnan(value):
            return "NaN"
        return value if np.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")
