"""Extraction of features into their store against the forward of the backbone alone, on the same batches.

    OMP_NUM_THREADS=2 python benchmarks/extraction.py [--pictures 768] [--side 640] [--repeats 3] [--folder DIR]

Writes JPEGs with sides of SIDE and 3/4 SIDE pixels, and a DINOv2 of the size of Small (22 M parameters, 12 layers of
384, patches of 14) with random weights. In one process, on two cores:

    bare, shared    the forward alone, batches one by one, each operation on two threads
    bare, apart     the forward alone, two batches at a time, each on one thread
    extraction      ves.models.extraction.extract and seal: hash and load the weights, read, hash, decode, resize,
                    forward, check, write, fsync, hash; into a store that is not there yet
    plain loop      what one writes without VeS: pictures decoded by Pillow and fitted by transformers' image processor,
                    batch by batch, the model called (bfloat16 autocast, inference mode), patch tokens kept in memory

On a GPU, where there is one: `bare, apart` then has nothing to say, the GPU takes turns. (No GPU has run this yet.)

The last three are repeated in turn, the other way round every second time; ratios are medians of those of each repeat.
The bare forward is given its batches decoded, in memory and on a model in memory, and throws its tokens away. It is the
function that extraction calls (bfloat16 autocast, inference mode).
"""

import hashlib
import io
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import harness
import numpy as np
import polars as pl
import torch
from PIL import Image
from transformers import BitImageProcessor, Dinov2Config, Dinov2Model

from ves.config.experiment import VisionConfig
from ves.media.normalisation import IMAGENET
from ves.models.extraction import extract, seal
from ves.models.features import listed, squares
from ves.models.vision import device_name, load_backbone, patch_tokens

THREADS = 2
SMALL: dict[str, Any] = {
    "hidden_size": 384,
    "num_hidden_layers": 12,
    "num_attention_heads": 6,
    "patch_size": 14,
    "image_size": 224,
}


def photographs(count: int, side: int) -> Iterator[bytes]:
    """JPEGs all different: a few are encoded, the others carry a comment of their own."""
    rng, base = np.random.default_rng(0), []
    for _ in range(8):
        noise = rng.integers(0, 255, (side // 16, side // 12, 3), dtype=np.uint8)
        picture = Image.fromarray(noise).resize((side, side * 3 // 4), Image.Resampling.BICUBIC)
        picture.save(file := io.BytesIO(), "JPEG", quality=90)
        base.append(file.getvalue())
    for number in range(count):
        content = base[number % len(base)]
        yield content[:2] + b"\xff\xfe\x00\x0a" + number.to_bytes(8, "big") + content[2:]


def prepare(folder: Path, count: int, side: int) -> VisionConfig:
    """Pictures and images.parquet as ingest and merge leave them, and a backbone."""
    contents = list(photographs(count, side))
    ids = [hashlib.sha256(content).hexdigest() for content in contents]
    (folder / "images").mkdir()
    pl.DataFrame({"image_id": ids, "bytes": contents}).write_parquet(folder / "images/x.parquet", row_group_size=64)
    rows = list(range(count))
    frame = pl.DataFrame({"image_id": ids, "row": rows, "shard": ["x"] * count, "row_in_shard": rows})
    frame.write_parquet(folder / "images.parquet")
    torch.manual_seed(0)
    Dinov2Model(Dinov2Config(**SMALL)).save_pretrained(folder / "backbone")
    return VisionConfig(
        backbone=str(folder / "backbone"),
        revision=None,
        image_size=224,
        fit="stretch",
        batch_size=32,
        compression=None,
        compile=False,
        class_token=False,
    )


def shared(model: torch.nn.Module, batches: list[torch.Tensor]) -> None:
    """Every operation on all threads."""
    torch.set_num_threads(THREADS)
    for batch in batches:
        patch_tokens(model, batch)


def apart(model: torch.nn.Module, batches: list[torch.Tensor]) -> None:
    """A batch to each thread."""
    with ThreadPoolExecutor(THREADS, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for _ in pool.map(lambda batch: patch_tokens(model, batch), batches):
            pass


def extraction(folder: Path, vision: VisionConfig) -> None:
    """The stages, into a store that is not there yet."""
    torch.set_num_threads(THREADS)
    store, record = folder / "f.zarr", folder / "1-of-1.json"
    extract(vision, folder / "images.parquet", folder / "images", store, "1-of-1", record)
    seal(folder / "images.parquet", store, [record], folder / "f.zarr.manifest.json")


@torch.inference_mode()
def plain(folder: Path, vision: VisionConfig) -> torch.Tensor:
    """Patch tokens of all pictures by the loop of transformers' documentation."""
    torch.set_num_threads(THREADS)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = Dinov2Model.from_pretrained(folder / "backbone").eval().to(device)  # pyright: ignore[reportArgumentType]
    size = {"height": vision.image_size, "width": vision.image_size}
    processor = BitImageProcessor(size=size, do_center_crop=False)
    contents = pl.read_parquet(folder / "images/x.parquet")["bytes"].to_list()
    tokens = []
    for at in range(0, len(contents), vision.batch_size):
        pictures = [Image.open(io.BytesIO(one)).convert("RGB") for one in contents[at : at + vision.batch_size]]
        inputs = processor(pictures, return_tensors="pt").to(device)
        with torch.autocast(device, torch.bfloat16):
            tokens.append(model(**inputs).last_hidden_state[:, 1:].to("cpu", torch.bfloat16))
    return torch.cat(tokens)


def timed(function: Callable[..., None], *arguments: object) -> tuple[float, float]:
    """Seconds by the clock, and of all threads on the processor: other work on the machine shows in the first alone."""
    begin, busy = time.perf_counter(), time.process_time()
    function(*arguments)
    return time.perf_counter() - begin, time.process_time() - busy


def measure(folder: Path, count: int, side: int, repeats: int) -> dict[str, list[tuple[float, float]]]:
    """What `timed` gives of each, in every repeat; once of the pictures alone, and of the slower way of the forward."""
    vision = prepare(folder, count, side)
    frame, model = listed(folder / "images.parquet"), load_backbone(vision)
    step = vision.batch_size
    parts = [frame[at : at + step] for at in range(0, count, step)]
    batches: list[torch.Tensor] = []
    taken = timed(
        lambda: batches.extend(torch.from_numpy(squares(p, folder / "images", vision, IMAGENET)) for p in parts)
    )
    times = {"pictures alone, one thread": [taken]}
    shared(model, batches[:2])  # what is set up once
    times["bare, shared"] = [timed(shared, model, batches)]
    for repeat in range(repeats):
        turn = [("bare, apart", apart, (model, batches)), ("extraction", extraction, (folder, vision))]
        turn.append(("plain loop", plain, (folder, vision)))
        for name, function, arguments in turn[:: 1 - 2 * (repeat % 2)]:
            shutil.rmtree(folder / "f.zarr", ignore_errors=True)
            times.setdefault(name, []).append(timed(function, *arguments))
    return times


def main() -> None:
    """Print the table."""
    parser = harness.arguments(__doc__)
    parser.add_argument("--pictures", type=int, default=768, help="a multiple of 32")
    parser.add_argument("--side", type=int, default=640)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="on the disk to be measured")
    settings = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=settings.folder) as folder:
        times = measure(Path(folder), settings.pictures, settings.side, settings.repeats)
    print(f"{harness.today()}, {platform.machine()}, {THREADS} threads, load {os.getloadavg()[0]:.1f}, ", end="")
    print(f"torch {torch.__version__} ({device_name()}), ", end="")
    print(f"{settings.pictures} JPEGs of {settings.side} x {settings.side * 3 // 4}, {settings.repeats} repeats")
    columns = ("wall, to bare, apart", "processor, to the same", "pictures a second", "wall seconds of each repeat")
    harness.header("", *columns)
    for name, of in times.items():
        pairs = list(zip(of, times["bare, apart"], strict=False))
        wall, busy = (statistics.median(own[n] / bare[n] for own, bare in pairs) for n in (0, 1))
        each = settings.pictures / statistics.median(own for own, _ in of)
        seconds = ", ".join(f"{own:.1f}" for own, _ in of)
        harness.row(name, f"{wall:.2f}", f"{busy:.2f}", f"{each:.1f}", seconds)


if __name__ == "__main__":
    main()
