"""Runs whose heat is planted, and the corpus that they are of: in each picture one patch for each word, by hand."""

import io
from pathlib import Path

import numpy as np
import polars as pl
import torch
from PIL import Image

from tests.support.embeddings import embeddings
from tests.support.run_folders import run_settings
from ves.base.files import write_json
from ves.config.experiment import DataPaths
from ves.store.audio import write_group
from ves.store.embeddings import Embeddings, write

SIZES = ((320, 160), (150, 300), (200, 200))  # wide, tall, square
GRID = 4  # patches a side
PLANTED = ((1, 2), (2, 1))  # row and column of the patch of object 0, of object 1
SPOKEN = (("गेंद", "ball", 0.1, 0.4), ("कमीज़", "shirt", 0.5, 0.8))  # tokens 1-3 and 5-7 of 0.1 s
RUNS = {"dense-s0": 1.0, "global-s0": 0.4, "hybrid-s0": 0.7}  # cosine of word and patch


def png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def patch_box(size: tuple[int, int], place: tuple[int, int], fit: str = "stretch") -> np.ndarray:
    """x0, y0, x1, y1 of a patch, by arithmetic of its own; pad and crop for the wide picture only."""
    (width, height), (row, column) = size, place
    if fit == "crop":  # the middle square of the wide picture
        return np.array([80 + column * 40, row * 40, 120 + column * 40, 40 + row * 40])
    if fit == "pad":  # patches are 80 x 80, bars above and below
        return np.array([column * 80, row * 80 - 80, column * 80 + 80, row * 80])
    return np.array([column * width, row * height, (column + 1) * width, (row + 1) * height]) // GRID


def write_run(folder: Path, name: str, cosine: float, **attrs) -> Path:
    """Unit tokens: patch k of an image and word k of its clip have this cosine, all else has 0."""
    audio, image = torch.zeros(3, 10, 8), torch.zeros(3, GRID * GRID, 8)
    image[:, :, 7] = 1
    audio[:, :, 6] = 1
    for k, ((row, column), (_, _, start, _)) in enumerate(zip(PLANTED, SPOKEN, strict=True)):
        image[:, row * GRID + column] = torch.eye(8)[k]
        token = round(start * 10)
        audio[:, token : token + 3] = torch.eye(8)[k] * cosine + torch.eye(8)[6] * (1 - cosine**2) ** 0.5
    stored = embeddings(audio, image, [0, 1, 2], **{"run": name, "grid": [GRID, GRID], "image_size": 56} | attrs)
    return write_embedded(folder / name, stored)


def data_paths(folder: Path) -> DataPaths:
    """The tables of a corpus that lies in this folder, as `write_corpus` writes it."""
    tables = {name: str(folder / f"{name}.parquet") for name in ("manifest", "images", "splits")}
    return DataPaths(corpus="c", audio=str(folder / "audio.zarr"), features="", input="store", **tables)


def write_embedded(run: Path, stored: Embeddings) -> Path:
    """A run directory with embeddings of val, and the split that they are of."""
    write(run / "embeddings" / "val.zarr", stored)
    pl.DataFrame({"clip_id": stored.clip_id, "split": "val"}).write_parquet(run / "splits.parquet")
    write_json(run / "config.json", run_settings(run.name, data_paths(run)).model_dump(mode="json"))
    return run


def write_corpus(folder: Path, text: str = "और") -> tuple[DataPaths, Path, Path]:
    """(paths, pictures, truth) of three clips of three pictures; every clip says three words."""
    ids = [(f"{i + 1:032x}", f"{i + 1:064x}") for i in range(3)]
    languages, sources = ["Hindi", "Tamil", "Urdu"], [f"c{i}" for i in range(3)]
    noise = np.random.default_rng(0)
    pictures = [Image.fromarray(noise.integers(90, 166, (h, w, 3), np.uint8)) for w, h in SIZES]
    said = [(word, english, "noun", k, start, end) for k, (word, english, start, end) in enumerate(SPOKEN)]
    said.insert(1, (text, "and", "other", -1, 0.41, 0.49))
    words = [
        {"source_path": source, "word": n, "text": t, "english": e, "role": r, "object": o, "start_s": a, "end_s": b}
        for source in sources
        for n, (t, e, r, o, a, b) in enumerate(said)
    ]
    objects = []
    for (_, image), size in zip(ids, SIZES, strict=True):
        for k, place in enumerate(PLANTED):
            x0, y0, x1, y1 = patch_box(size, place)
            mask = np.zeros(size[::-1], bool)
            mask[y0:y1, x0:x1] = True
            seen = {"kind": SPOKEN[k][1], "colour": "red", "visible_pixels": int(mask.sum())}
            objects.append({"image_id": image, "object": k, "mask": png(Image.fromarray(mask))} | seen)
    clips = [c for c, _ in ids]
    write_group(folder / "audio.zarr/audio/a", [np.arange(4800, dtype=np.int16)] * 3, clips)  # 0.3 s: short films
    where = {"shard": "audio/a", "row": [0, 1, 2], "source_path": sources}
    tables = {
        "manifest": {"clip_id": clips, "language": languages} | where,
        "images": {"image_id": [i for _, i in ids], "shard": "images/a", "row_in_shard": [0, 1, 2]},
        "pictures/images/a": {"image_id": [i for _, i in ids], "bytes": [png(picture) for picture in pictures]},
        "truth/audio/a": words,
        "truth/images/a": objects,
    }
    for name, table in tables.items():
        (path := folder / f"{name}.parquet").parent.mkdir(parents=True, exist_ok=True)
        pl.DataFrame(table).write_parquet(path)
    return data_paths(folder), folder / "pictures", folder / "truth"
