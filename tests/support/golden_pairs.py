"""A corpus that is the same to the bit on every machine: clips and tokens are bytes of hashes.

It lies in real stores, as the workflow leaves them, so that a training reads it as any other. Two clips show each
picture, clips end where they please, and pictures were padded to the square: all masks have something to do.
"""

import hashlib
import io
from pathlib import Path

import numpy as np
import polars as pl
import torch
from PIL import Image

from ves.base.checksums import file_sha256
from ves.base.files import write_json
from ves.config.experiment import DataPaths, VisionConfig
from ves.media.audio import RATE
from ves.store import audio as audio_store
from ves.store.features_writer import create_features, set_complete, shard_path, write_shard

PICTURES, CLIPS, TUNE = 24, 48, 6  # the last pictures, with their clips, are those of tune
ROWS, COLUMNS, WIDTH, PATCH = 4, 4, 24, 14
SHARD = "golden-0"
SIDE = 40  # of the pictures of films: two patches of the small DINOv2


def _bytes(what: str, count: int) -> bytes:
    return hashlib.shake_128(what.encode()).digest(count)


def _clip(number: int) -> np.ndarray:
    """int16 [n]: half a second to a second, of a few hundred samples again and again, and of noise."""
    length, period = RATE // 2 + 157 * number, 80 + 7 * number
    voice = np.frombuffer(_bytes(f"voice {number}", 2 * period), "<i2") // 2
    noise = np.frombuffer(_bytes(f"noise {number}", 2 * length), "<i2") // 8
    return (np.resize(voice, length) + noise).astype(np.int16)


def _size(number: int) -> tuple[int, int]:
    """Width and height of a picture: upright, level and square ones."""
    return [(56, 56), (56, 28), (28, 56), (56, 40)][number % 4]


def _tokens() -> torch.Tensor:
    """bfloat16 [PICTURES, P, WIDTH]: whole sixteenths from -8 to 8, which bfloat16 holds."""
    shape = (PICTURES, ROWS * COLUMNS, WIDTH)
    whole = np.frombuffer(_bytes("tokens", int(np.prod(shape))), np.int8).reshape(shape)
    return (torch.from_numpy(whole.astype(np.float32)) / 16).to(torch.bfloat16)


def write(folder: Path) -> DataPaths:
    """Write manifest, splits and both stores into a folder."""
    image_ids = sorted(hashlib.sha256(f"picture {n}".encode()).hexdigest() for n in range(PICTURES))
    clip_ids = [hashlib.sha256(f"clip {n}".encode()).hexdigest()[:32] for n in range(CLIPS)]
    shown = [n % PICTURES for n in range(CLIPS)]
    pl.DataFrame(
        {"clip_id": clip_ids, "image_id": [image_ids[n] for n in shown], "shard": SHARD, "row": range(CLIPS)}
    ).write_parquet(folder / "manifest.parquet")
    split = ["tune" if n >= PICTURES - TUNE else "train" for n in shown]
    pl.DataFrame({"clip_id": clip_ids, "split": split}).write_parquet(folder / "splits.parquet")
    width, height = zip(*map(_size, range(PICTURES)), strict=True)
    pl.DataFrame({"image_id": image_ids, "row": range(PICTURES), "width": width, "height": height}).write_parquet(
        folder / "images.parquet"
    )
    audio_store.write_group(folder / "audio.zarr" / SHARD, map(_clip, range(CLIPS)), clip_ids)
    audio_store.seal(folder / "audio.zarr", [SHARD])
    store = folder / "features.zarr"
    attrs = {"backbone": "none", "revision": None, "weight_hash": "0" * 64, "image_size": ROWS * PATCH, "fit": "pad"}
    create_features(store, PICTURES, ROWS * COLUMNS, WIDTH, attrs | {"grid": [ROWS, COLUMNS], "width": WIDTH})
    write_shard(store, 0, _tokens(), image_ids)
    set_complete(store, True)
    write_json(Path(f"{store}.manifest.json"), {"rows": PICTURES, "sha256": file_sha256(shard_path(store, 0))})
    return DataPaths(
        corpus="golden",
        manifest=str(folder / "manifest.parquet"),
        splits=str(folder / "splits.parquet"),
        images=str(folder / "images.parquet"),
        audio=str(folder / "audio.zarr"),
        features=str(store),
        input="store",
    )


def write_films(folder: Path, vision: VisionConfig) -> DataPaths:
    """The same clips as segments of films, each with three pictures, in a folder; `vision` is written beside them.

    A film has two or three segments. Pictures have the size that the backbone takes, so nothing is resized.
    """
    data = write(folder)
    encoded = [_picture(number) for number in range(3 * CLIPS)]
    image_ids = [hashlib.sha256(content).hexdigest() for content in encoded]
    films = [5 * n % 17 for n in range(CLIPS)]  # of the clips
    manifest = pl.read_parquet(data.manifest).with_columns(
        image_id=pl.Series([image_ids[3 * n + 1] for n in range(CLIPS)]),
        recording_id=pl.Series([f"film {film}" for film in films]),
        segment=pl.Series([films[:n].count(film) for n, film in enumerate(films)], dtype=pl.UInt32),
        frame_ids=pl.Series([image_ids[3 * n : 3 * n + 3] for n in range(CLIPS)]),
    )
    manifest.write_parquet(data.manifest)
    of_tune = [film in films[:TUNE] for film in films]
    pl.DataFrame(
        {"clip_id": manifest["clip_id"], "split": ["tune" if held else "train" for held in of_tune]}
    ).write_parquet(data.splits)
    order = sorted(range(len(encoded)), key=image_ids.__getitem__)
    (folder / "images").mkdir()
    pl.DataFrame({"image_id": [image_ids[n] for n in order], "bytes": [encoded[n] for n in order]}).write_parquet(
        folder / "images" / f"{SHARD}.parquet"
    )
    rows = range(len(order))
    table = {"image_id": [image_ids[n] for n in order], "row": rows, "width": SIDE, "height": SIDE, "shard": SHARD}
    pl.DataFrame(table | {"row_in_shard": rows}).write_parquet(data.images)
    settings = folder / "vision.json"
    settings.write_text(vision.model_dump_json())
    return data.model_copy(update={"features": str(settings), "input": "pixels"})


def _picture(number: int) -> bytes:
    """A PNG, of blocks and noise."""
    blocks = np.frombuffer(_bytes(f"blocks {number}", 48), np.uint8).reshape(4, 4, 3)
    noise = np.frombuffer(_bytes(f"grain {number}", SIDE * SIDE * 3), np.uint8).reshape(SIDE, SIDE, 3)
    pixels = blocks.repeat(SIDE // 4, 0).repeat(SIDE // 4, 1) // 2 + noise // 4
    with io.BytesIO() as encoded:
        Image.fromarray(pixels).save(encoded, "png")
        return encoded.getvalue()


def trained(data: DataPaths) -> int:
    """How many clips are trained on."""
    return int((pl.read_parquet(data.splits)["split"] == "train").sum())
