"""Surveys of random, skewed corpora, as the stage `survey` leaves them: survey.json and a table for each file."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ves.base.files import write_json
from ves.config.corpus import VaaniConfig

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CLIP_SCHEMA = {
    "source_row": pl.UInt32, "language": pl.String, "district": pl.String, "state": pl.String, "speaker": pl.String,
    "image_reference": pl.String, "duration_s": pl.Float64, "estimated_s": pl.Float64,
}  # fmt: skip
LANGUAGES = ["Hindi", "Bengali", "Odia", "Konkani", "Tulu", "Khortha"]
NO_TABLE = pl.DataFrame(schema=dict.fromkeys(("column", "old", "new", "state"), pl.String))


def settings(**changes: Any) -> VaaniConfig:
    """The block of a corpus that takes everything, with changes."""
    keys = ("shards_per_district", "languages", "districts", "clips", "clips_per_language", "clips_per_image")
    block: dict[str, Any] = dict.fromkeys(keys) | {"seed": 0, "audio": ["audio/*"], "images": ["images/*"]}
    return VaaniConfig(repository="a/b", revision=COMMIT, **(block | changes))


def entry(name: str, part: str, rows: int, **more: Any) -> dict[str, Any]:
    """One file of survey.json; its sizes follow from its name and rows, so that the order of files cannot matter."""
    size = 1000 * rows + len(name)
    media = {"media_bytes": 900 * rows, "media_bytes_stored": 800 * rows, "columns": {}, "row_groups": 1}
    sha = hashlib.sha256(name.encode()).hexdigest()
    return (
        {"name": name, "path": f"{name}.parquet", "part": part, "bytes": size, "sha256": sha, "rows": rows}
        | media
        | more
    )


def clip_rows(draws: np.random.Generator, district: str, rows: int, pictures: list[str]) -> pl.DataFrame:
    """Clips of one shard: few languages and few pictures have most of them; some references lead nowhere."""
    rank = 1 / np.arange(1, len(LANGUAGES) + 1)
    language = draws.choice(LANGUAGES, rows, p=rank / rank.sum()).tolist()
    popular = 1 / np.arange(1, len(pictures) + 1)
    reference: list[str | None] = draws.choice(pictures, rows, p=popular / popular.sum()).tolist()
    for row in np.flatnonzero(draws.random(rows) < 0.1).tolist():
        reference[row] = [None, "", "Images/nowhere.jpg"][row % 3]
    for row in np.flatnonzero(draws.random(rows) < 0.2).tolist():  # another spelling of the same name
        reference[row] = (reference[row] or "").upper().replace("IMAGES/", "")
    return pl.DataFrame(
        {
            "source_row": range(rows), "language": language, "district": [district] * rows, "state": ["Goa"] * rows,
            "speaker": [None] * rows, "image_reference": reference,
            "duration_s": draws.gamma(2, 3, rows).tolist(), "estimated_s": [6.0] * rows,
        },
        schema=CLIP_SCHEMA,
    )  # fmt: skip


def write(folder: Path, clips: dict[str, pl.DataFrame], pictures: dict[str, list[str | None]]) -> Path:
    """Write survey.json and the tables below `folder`/survey; returns survey.json."""
    files = [entry(name, "audio", len(frame)) for name, frame in clips.items()]
    files += [entry(name, "images", len(names)) for name, names in pictures.items()]
    tables = clips | {
        name: pl.DataFrame({"source_row": range(len(names)), "source_path": names}, schema_overrides=PICTURE_SCHEMA)
        for name, names in pictures.items()
    }
    for name, frame in tables.items():
        path = folder / "survey" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(path)
    survey = folder / "survey.json"
    write_json(survey, {"repository": "a/b", "revision": COMMIT, "files": files})
    return survey


PICTURE_SCHEMA = {"source_row": pl.UInt32, "source_path": pl.String}


def random_corpus(seed: int, shards: int = 4) -> tuple[dict[str, pl.DataFrame], dict[str, list[str | None]]]:
    """Shards of clips and of pictures; the last two shards of pictures hold what nobody speaks about, and a double."""
    draws = np.random.default_rng(seed)
    names = [f"Images/{chr(97 + n % 26)}{n}.jpg" for n in range(40)]
    clips = {
        f"audio/S/D{n % 3}/train-{n:05}-of-00009": clip_rows(draws, f"D{n % 3}", int(draws.integers(1, 90)), names)
        for n in range(shards)
    }
    pictures: dict[str, list[str | None]] = {
        "images/train-00000-of-00004": [*names[:20], None],
        "images/train-00001-of-00004": ["/" + name for name in names[20:]],
        "images/train-00002-of-00004": ["Images/unspoken.jpg", None, ""],
        "images/train-00003-of-00004": ["Other/a0.jpg", "Images/silent.jpg"],  # by its file name alone, a0 is ambiguous
    }
    return clips, pictures
