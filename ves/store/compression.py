"""How a feature store may be compressed, by names in the configuration. Each row is compressed by itself.

numcodecs compresses, and every Zarr v3 reader can read the result by the codec that zarr.json names. The two blosc
codecs put the higher bytes of all numbers, which are much alike, before the lower ones. benchmarks/reading.py measures
the ratio and the cost of reading.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import batched
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numcodecs.blosc import SHUFFLE, Blosc
from numcodecs.zstd import Zstd

THREADS = 2
AHEAD = 16  # rows compressed before the first of them is written

_SHUFFLED = {"shuffle": "shuffle", "blocksize": 0}
CODECS = {
    "zstd": {"name": "zstd", "configuration": {"level": 3, "checksum": False}},
    "blosc-lz4": {"name": "blosc", "configuration": {"typesize": 2, "cname": "lz4", "clevel": 5, **_SHUFFLED}},
    "blosc-zstd": {"name": "blosc", "configuration": {"typesize": 2, "cname": "zstd", "clevel": 3, **_SHUFFLED}},
}  # as zarr.json spells them


def codec(name: str) -> Any:
    """The codec of numcodecs for a name in CODECS."""
    settings: dict[str, Any] = CODECS[name]["configuration"]
    if CODECS[name]["name"] == "zstd":
        return Zstd(**settings)
    return Blosc(settings["cname"], settings["clevel"], SHUFFLE, settings["blocksize"])


def packed(rows: Iterable[UInt8[np.ndarray, " n"]], name: str) -> Iterator[bytes]:
    """The rows, compressed, in order.

    Always in threads of a pool: in the main thread blosc uses threads of its own, and the bytes depend on their number.
    """
    pack = codec(name).encode
    with ThreadPoolExecutor(THREADS) as pool:
        for some in batched(rows, AHEAD):
            yield from pool.map(lambda row: bytes(pack(row.view(np.uint16))), some)


def unpacker(name: str | None) -> Callable[[memoryview], bytes] | None:
    """A function that decompresses a row and raises RuntimeError for damage; None for no compression."""
    return None if name is None else codec(name).decode
