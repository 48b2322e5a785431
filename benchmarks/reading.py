"""Reading features: ves.store against numpy.memmap, zarr and raw pread, warm and cold; and what compression costs.

    OMP_NUM_THREADS=1 python benchmarks/reading.py [--repeats 15] [--folder DIR]

Writes two stores of random numbers (rows of 256 x 1,024 as DINOv2-Large gives, and of 100 x 192 as the stand-in does)
and the same rows as one flat file. Ways to read take turns, each with rows drawn anew, so that none finds in the
processor's cache what another has read; tables have medians. `memmap[rows]` is the fancy-index copy, which allocates
its result, as `read(rows)` does; `take(out)` is `numpy.take` into a given buffer, as `read(rows, out)`. Warm: memory
map and readers have touched every row before; first: none of them has, but the page cache has all. Cold: the page cache
is dropped for the files (posix_fadvise), then the same byte ranges are read by one thread of `pread`, or by us; partly
so, once it has nine rows in ten.
Codecs (those of ves.store.compression, and others by zarr) are measured on features of DINOv2-Small's architecture with
random weights, of rendered scenes.
"""

import ctypes
import gc
import mmap
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import harness
import numpy as np
import torch
import yaml
import zarr
from transformers import Dinov2Config, Dinov2Model
from zarr.codecs import BloscCodec, Crc32cCodec, GzipCodec

from ves.config.experiment import Config
from ves.media.geometry import Geometry
from ves.media.images import pixels
from ves.media.normalisation import IMAGENET
from ves.models.vision import patch_tokens
from ves.sources.scenes.drawing import draw
from ves.sources.scenes.layout import scene
from ves.store.compression import CODECS
from ves.store.features_layout import SHARD_ROWS, shard_path
from ves.store.features_reader import FeatureStore, open_features
from ves.store.features_writer import create_features, set_complete, write_shard
from ves.store.shard_format import HEADER

SHAPES = ((256, 1024, 8), (100, 192, 80))  # patches, width, shards
SCENES = 64
OTHERS: dict[str, Any] = {  # than those that VeS writes: read by zarr, also through open_features
    "blosc zstd 3, bits shuffled": BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle", typesize=2),
    "gzip 5": GzipCodec(level=5),
}


def make(folder: Path, patches: int, width: int, shards: int) -> tuple[Path, np.memmap]:
    """A store of random numbers, and a memory map of the same rows in one file. Both are left in the page cache."""
    store, flat = folder / f"{patches}x{width}.zarr", folder / f"{patches}x{width}.bin"
    with open(flat, "wb") as handle:

        def tokens() -> Iterator[torch.Tensor]:
            for _ in range(shards):
                yield (rows := torch.randn(SHARD_ROWS, patches, width).to(torch.bfloat16))
                handle.write(rows.view(torch.int16).numpy().tobytes())

        harness.write_store(store, patches, width, [f"{row:064x}" for row in range(shards * SHARD_ROWS)], tokens())
    memory = np.memmap(flat, np.int16, "r", shape=(shards * SHARD_ROWS, patches, width))
    memory.sum()
    open_features(store).read(range(len(memory)))
    return store, memory


def turns(
    ways: Mapping[str, Callable[[np.ndarray], object]], draw_rows: Callable[[], np.ndarray], repeats: int
) -> dict[str, float]:
    """Median seconds of each way; they take turns, each with rows of its own."""
    return harness.medians(harness.turns(ways, lambda: (draw_rows(),), repeats))


def warm(store: Path, memory: np.memmap, repeats: int) -> None:
    """Rows of a table for each batch and order."""
    checked, unchecked = open_features(store), open_features(store, check=False)
    for first in range(0, len(memory), SHARD_ROWS):
        for reader in (checked, unchecked):
            reader.read(range(first, first + SHARD_ROWS))
    array = zarr.open_array(store / "patch_tokens", mode="r")
    rng = np.random.default_rng(0)
    for batch in (92, 1024):
        out = torch.zeros(batch, *memory.shape[1:], dtype=torch.bfloat16)
        same = out.view(torch.int16).numpy()
        ways: dict[str, Callable[[np.ndarray], object]] = {
            "memmap": lambda rows: memory[rows],
            "take": lambda rows, same=same: np.take(memory, rows, axis=0, out=same, mode="clip"),
            "off": lambda rows, out=out: unchecked.read(rows, out),
            "on": lambda rows, out=out: checked.read(rows, out),
            "off, new": lambda rows: unchecked.read(rows),
            "on, new": lambda rows: checked.read(rows),
        }
        if batch == 92:  # of 1,024 rows it takes seconds
            ways["zarr"] = lambda rows: array.oindex[rows]
        for order in ("random", "sorted"):

            def rows(batch: int = batch, order: str = order) -> np.ndarray:
                drawn = rng.integers(0, len(memory), batch)  # with repeats
                return np.sort(drawn) if order == "sorted" else drawn

            spent = turns(ways, rows, repeats)
            cells = [f"{spent['memmap'] / spent[way]:.2f}" for way in ("off", "on", "off, new", "on, new")]
            cells += [f"{spent['take'] / spent[way]:.2f}" for way in ("off", "on")]
            cells.append(f"{spent['zarr'] / spent['on']:.1f}" if "zarr" in spent else "")
            speed = out.nbytes / spent["on"] / 1e9
            harness.row(f"{memory[0].nbytes:,}", batch, order, *cells, f"{speed:.1f}")


def first(store: Path, memory: np.memmap, repeats: int) -> None:
    """A row of a table: 92 rows that this process has not touched, by a new memory map and by new readers."""
    rng = np.random.default_rng(0)
    out = torch.zeros(92, *memory.shape[1:], dtype=torch.bfloat16)
    opened: dict[str, Any] = {}

    def rows() -> np.ndarray:
        opened.update(off=open_features(store, check=False), on=open_features(store))
        for reader in opened["off"], opened["on"]:
            reader.read(range(0, len(memory), SHARD_ROWS))  # its files are open
        opened["memmap"] = np.memmap(str(memory.filename), np.int16, "r", shape=memory.shape)
        return rng.choice(len(memory), 92, replace=False)

    ways: dict[str, Callable[[np.ndarray], object]] = {
        "memmap": lambda rows: opened["memmap"][rows],
        "off": lambda rows: opened["off"].read(rows, out),
        "on": lambda rows: opened["on"].read(rows, out),
    }
    spent = turns(ways, rows, repeats)
    ratios = [f"{spent['memmap'] / spent[way]:.2f}" for way in ("off", "on")]
    harness.row(f"{memory[0].nbytes:,}", *ratios, f"{1e6 * spent['memmap'] / 92:.1f}")


def drop(store: Path) -> None:
    """Drop a store's shards from the page cache; they are on disk already.

    Raises RuntimeError when some stay: what a process has mapped does, and then nothing after it would be cold.
    """
    gc.collect()  # a reader that nobody needs any more has its maps until then
    for shard in (store / "patch_tokens" / "c").glob("*/0/0"):
        with open(shard, "rb") as handle:
            os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            mapped = np.frombuffer(mmap.mmap(handle.fileno(), 0, prot=mmap.PROT_READ), np.uint8)
        pages = np.zeros(-(-len(mapped) // mmap.PAGESIZE), np.uint8)
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in (mapped, pages)]
        failed = ctypes.CDLL(None).mincore(pointers[0], ctypes.c_size_t(len(mapped)), pointers[1])
        if failed or (pages & 1).mean() > 0.01:
            raise RuntimeError(f"{shard}: {(pages & 1).sum()} of {len(pages)} pages stay in the page cache")


def cold(store: Path, memory: np.memmap, repeats: int, cached: int) -> None:
    """A row of a table: the same ranges by raw pread, and by the reader, with so many of 92 rows in the page cache."""
    size = memory[0].nbytes
    shards = [os.open(shard_path(store, n), os.O_RDONLY) for n in range(len(memory) // SHARD_ROWS)]
    alone = [os.open(shard_path(store, n), os.O_RDONLY) for n in range(len(shards))]
    for descriptor in alone:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)  # nothing is read ahead
    rng = np.random.default_rng(0)
    out = torch.zeros(92, *memory.shape[1:], dtype=torch.bfloat16)
    target = out.view(torch.int16).numpy().reshape(92, -1).view(np.uint8)
    opened: dict[str, FeatureStore] = {}

    def pread(rows: np.ndarray) -> None:
        for place, row in enumerate(np.sort(rows).tolist()):
            os.preadv(shards[row // SHARD_ROWS], [target[place]], HEADER + row % SHARD_ROWS * (size + 4))

    def rows() -> np.ndarray:
        """Rows of which no way has read any yet, by readers that have mapped nothing."""
        opened.clear()
        drop(store)
        opened.update(off=open_features(store, check=False), on=open_features(store))
        for reader in opened.values():
            reader.read(range(0, len(memory), SHARD_ROWS))  # its files are open, as those of pread are
            drop(store)
        drawn = rng.choice(len(memory), 92, replace=False)
        for row in drawn[:cached].tolist():
            os.pread(alone[row // SHARD_ROWS], size + 4, HEADER + row % SHARD_ROWS * (size + 4))
        return drawn

    ways = {"pread": pread, **{name: lambda rows, name=name: opened[name].read(rows, out) for name in ("off", "on")}}
    spent = turns(ways, rows, repeats)
    ratios = [f"{spent['pread'] / spent[way]:.2f}" for way in ("off", "on")]
    harness.row(f"{size:,}", cached, *ratios, f"{out.nbytes / spent['pread'] / 1e9:.2f}")
    for descriptor in shards + alone:
        os.close(descriptor)


def features() -> torch.Tensor:
    """Patch tokens bfloat16 [SCENES, 256, 384] of rendered scenes by DINOv2-Small with random weights."""
    torch.manual_seed(0)
    model = Dinov2Model(Dinov2Config(hidden_size=384, num_attention_heads=6, image_size=518, patch_size=14)).eval()
    config = yaml.safe_load((Path(__file__).resolve().parents[1] / "config.yaml").read_text("utf-8"))
    settings = Config.model_validate(config).corpus.scenes
    assert settings is not None, "config.yaml is of the embedded corpus"
    parts = []
    for index in range(SCENES):
        picture = draw(settings.seed, scene(settings, index)).image
        square = pixels(Geometry(*picture.size, 224, "stretch").square(picture), IMAGENET)
        parts.append(patch_tokens(model, torch.from_numpy(square)[None]))
    return torch.cat(parts)


def packed(store: Path, name: str, tokens: torch.Tensor) -> Path:
    """A store of these tokens, compressed by VeS where it has that codec, else by zarr."""
    chosen = {"compression": name} if name in CODECS else {}
    create_features(store, SCENES, tokens.shape[1], tokens.shape[2], {"grid": [16, 16], **chosen})
    write_shard(store, 0, tokens, [f"{row:064x}" for row in range(SCENES)])
    if name in OTHERS:
        array = zarr.open_array(store / "patch_tokens", mode="r")
        zarr.create_array(
            store / "patch_tokens", data=np.asarray(array[:]), chunks=(1, *tokens.shape[1:]), overwrite=True,
            shards=(SHARD_ROWS, *tokens.shape[1:]), compressors=[OTHERS[name], Crc32cCodec()],
        )  # fmt: skip
    set_complete(store, True)
    return store


def codecs(folder: Path, repeats: int) -> None:
    """Ratio and cost of reading of each codec, through open_features and by zarr."""
    tokens, names = features(), ["none", *CODECS, *OTHERS]
    stores = {name: packed(folder / f"codec{number}.zarr", name, tokens) for number, name in enumerate(names)}
    ways: dict[str, Callable[[np.ndarray], object]] = {}
    for name, store in stores.items():
        opened, array = open_features(store), zarr.open_array(store / "patch_tokens", mode="r")
        assert torch.equal(opened.read(range(SCENES)), tokens)
        ways[name] = lambda rows, opened=opened: opened.read(rows)
        ways[f"{name}, zarr"] = lambda rows, array=array: array.oindex[rows]
    rng = np.random.default_rng(0)
    spent = turns(ways, lambda: rng.permutation(SCENES)[:32], repeats)
    sizes = {name: shard_path(store, 0).stat().st_size for name, store in stores.items()}
    for name in names:
        ours, by_zarr = spent[name] / 32 * 1e3, spent[f"{name}, zarr"] / 32 * 1e3
        cells = (f"{sizes['none'] / sizes[name]:.2f}", f"{spent[name] / spent['none']:.1f}", f"{ours:.3f}")
        harness.row(name, *cells, f"{by_zarr:.3f}")


def main() -> None:
    """The command line."""
    parser = harness.arguments(__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--folder", type=Path, help="where to write 3 GB")
    settings = parser.parse_args()
    with harness.session(harness.machine()), tempfile.TemporaryDirectory(dir=settings.folder) as temporary:
        made = [make(Path(temporary), *shape) for shape in SHAPES]
        print("\nWarm, times as fast as memmap[rows] (columns 4 to 7) and as take(out), CRC32C off and on:")
        harness.header("row bytes", "rows", "order", "off", "on", "off, new memory", "on, new memory", "off / take",
                       "on / take", "on / zarr oindex", "on, GB/s")  # fmt: skip
        for store, memory in made:
            warm(store, memory, settings.repeats)
        print("\nFirst, 92 rows, times as fast as memmap[rows]:")
        harness.header("row bytes", "off", "on", "memmap, us a row")
        for store, memory in made:
            first(store, memory, settings.repeats)
        print("\nCold, 92 rows, times as fast as raw pread:")
        harness.header("row bytes", "of these in the page cache", "off", "on", "pread GB/s")
        for store, memory in made:
            for cached in (0, 83):
                cold(store, memory, settings.repeats, cached)
        print(f"\nCodecs, {SCENES} pictures, {256 * 384 * 2:,} bytes a row:")
        harness.header("codec", "ratio", "times as long as none", "ms a row", "by zarr")
        codecs(Path(temporary), settings.repeats)


if __name__ == "__main__":
    main()
