"""Compressions that a feature store may have, by their names in the configuration: each row packed by itself.

What numcodecs packs, every Zarr v3 reader unpacks by the codec that zarr.json names. The two of blosc
put the higher bytes of all numbers, which are much alike, before the lower ones. benchmarks/reading.py measures ratio
and cost of reading.
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
AHEAD = 16  # rows packed before the first of them is written

_SHUFFLED = {"shuffle": "shuffle", "blocksize": 0}
CODECS = {
    "zstd": {"name": "zstd", "configuration": {"level": 3, "checksum": False}},
    "blosc-lz4": {"name": "blosc", "configuration": {"typesize": 2, "cname": "lz4", "clevel": 5, **_SHUFFLED}},
    "blosc-zstd": {"name": "blosc", "configuration": {"typesize": 2, "cname": "zstd", "clevel": 3, **_SHUFFLED}},
}  # as zarr.json spells them


def codec(name: str) -> Any:
    """The codec of numcodecs that packs and unpacks as the one of that name in CODECS."""
    settings: dict[str, Any] = CODECS[name]["configuration"]
    if CODECS[name]["name"] == "zstd":
        return Zstd(**settings)
    return Blosc(settings["cname"], settings["clevel"], SHUFFLE, settings["blocksize"])


def packed(rows: Iterable[UInt8[np.ndarray, " n"]], name: str) -> Iterator[bytes]:
    """Each row packed, in order.

    In threads also where there is one: in the main one, blosc uses threads of its own, on whose number bytes depend.
    """
    pack = codec(name).encode
    with ThreadPoolExecutor(THREADS) as pool:
        for some in batched(rows, AHEAD):
            yield from pool.map(lambda row: bytes(pack(row.view(np.uint16))), some)


def unpacker(name: str | None) -> Callable[[memoryview], bytes] | None:
    """What makes of a packed row the row; None for no compression. It raises RuntimeError for what is damaged."""
    return None if name is None else codec(name).decode
