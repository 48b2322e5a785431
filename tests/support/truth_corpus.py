"""The files that localisation reads, made by hand for embeddings made by hand."""

import io
import json
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

from ves.config.experiment import DataPaths
from ves.evaluation.localisation import measure as localisation
from ves.store.embeddings import write


def png(mask: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(mask).convert("1").save(file, "PNG")
    return file.getvalue()


def rectangle(width: int, height: int, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[y0:y1, x0:x1] = True
    return mask


class Corpus:
    """The files that localisation reads, for the embeddings of tests.stored."""

    def __init__(self, folder: Path, stored, size: tuple[int, int], languages: list[str] | None = None) -> None:
        self.folder, self.stored, self.words, self.objects = folder, stored, [], []
        self.data = DataPaths(
            corpus="made",
            manifest=str(folder / "manifest.parquet"),
            splits=str(folder / "splits.parquet"),
            images=str(folder / "images.parquet"),
            audio="",
            features="",
            input="store",
        )
        clips = len(stored.clip_id)
        pl.DataFrame(
            {
                "clip_id": stored.clip_id,
                "shard": ["audio/a/train" if i % 2 else "audio/b/train" for i in range(clips)],
                "source_path": [f"clip{i}.wav" for i in range(clips)],
                "language": languages or ["hi"] * clips,
            }
        ).write_parquet(self.data.manifest)
        pl.DataFrame({"clip_id": stored.clip_id, "split": "val"}).write_parquet(self.data.splits)
        images = pl.DataFrame({"image_id": stored.image_id, "shard": "images/train"})
        images.with_columns(width=pl.lit(size[0]), height=pl.lit(size[1])).write_parquet(self.data.images)

    def say(
        self, clip: int, start: float, end: float, thing: int, role: str = "noun", *, follows: bool = False
    ) -> None:
        """Add a word; unless it follows the last one, another stands between the two."""
        word = self.words[-1]["word"] + (1 if follows else 2) if self.words else 0
        spoken = {"source_path": f"clip{clip}.wav", "word": word, "text": "x", "english": "x", "role": role}
        self.words.append(spoken | {"object": thing, "start_s": start, "end_s": end})

    def show(self, image: int, thing: int, kind: str, mask: np.ndarray, **more: bool) -> None:
        """Add an object; `more` may say that it is a `seen_picture`."""
        shown = {"image_id": self.stored.image_id[image], "object": thing, "kind": kind, "colour": "red"} | more
        self.objects.append(shown | {"visible_pixels": int(mask.sum()), "mask": png(mask)})

    def evaluate(self) -> dict:
        truth = self.folder / "truth"
        for shard, odd in (("audio/a/train", 1), ("audio/b/train", 0)):
            words = [word for word in self.words if int(word["source_path"][4:-4]) % 2 == odd]
            self._table(truth / f"{shard}.parquet", words, self.words)
        self._table(truth / "images/train.parquet", self.objects, self.objects)
        write(self.folder / "val.zarr", self.stored)
        localisation.evaluate(self.folder / "val.zarr", self.data, truth, self.folder / "localisation.json")
        return json.loads((self.folder / "localisation.json").read_text())

    @staticmethod
    def _table(path: Path, rows: list[dict], like: list[dict]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        pl.DataFrame(rows, pl.DataFrame(like).schema).write_parquet(path)
