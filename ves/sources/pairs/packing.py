"""Your own pairs: a folder of recordings and pictures, with tables that pair them (ves.sources.pairs.tables).

They are packed into shards of Vaani's layout, `rows_per_shard` rows each, in the order of the tables. So all steps from
ingest on are the same as for Vaani. Rows that are appended to a table make new shards; full shards do not change. A
row whose file is missing or outside the folder is packed as refused, and ingest keeps the reason. Links inside the
folder are followed, wherever they lead; a name that leaves it by `..` is refused.
"""

import hashlib
import io
import itertools
import os
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl
from PIL import Image
from polars.io.plugins import register_io_source

from ves.base.files import atomic
from ves.base.progress import track
from ves.config.corpus import PairsConfig
from ves.media import images
from ves.sources.pairs import tables as pair_tables

BATCH = 16  # files in memory, and rows of a row group
FILE = pl.Struct({"bytes": pl.Binary, "path": pl.String})
REFUSAL = {"refused": pl.String, "refusedDetail": pl.String}
TEXTS = dict.fromkeys(("language", "speakerID", "referenceImage", "givenSplit"), pl.String)
SCHEMAS = {"audio": {"audio": FILE, **TEXTS, **REFUSAL}, "images": {"image": FILE, **REFUSAL}}
UNSAFE = ("EPS",)  # Pillow runs Ghostscript on it


def list_shards(settings: PairsConfig) -> list[dict[str, Any]]:
    """Every shard, clips first. Raises ValueError as pair_tables.read does."""
    return [{"name": name, "part": name.split("/")[0], "bytes": None, "sha256": None} for name in _shards(settings)]


def origins(settings: PairsConfig) -> dict[str, str]:
    """What the content of each shard depends on, as a hash by name: its rows, the size and time of its files and, for
    clips, whether their pictures exist."""
    folder, hashes = Path(settings.folder), {}
    for name, rows in _shards(settings).items():
        digest = hashlib.sha256(f"{settings.language} {rows.write_json()}".encode())
        packed = "audio" if name.startswith("audio/") else "image"
        for file in rows[packed].drop_nulls():
            if _fault(folder, file) is None:
                status = _place(folder, file).stat()
                digest.update(f"{file} {status.st_size} {status.st_mtime_ns}\n".encode())
        if packed == "audio":
            digest.update(bytes(_fault(folder, file) is None for file in rows["image"].drop_nulls()))
        hashes[name] = digest.hexdigest()
    return hashes


def fetch(settings: PairsConfig, shard: str, destination: Path) -> None:
    """Pack one shard of the listing into `destination` (parquet, whole or not at all), with few files in memory.

    Raises ValueError if the tables do not make such a shard, OSError that names a file which cannot be read.
    """
    shards = _shards(settings)
    if shard not in shards:
        raise ValueError(f"no shard {shard!r}: the tables of {settings.folder} make {len(shards)}; list them again")
    part, rows = shard.split("/")[0], shards[shard].iter_rows(named=True)
    pack = {"audio": _clip, "images": _picture}[part]
    rows = track(rows, label=shard, total=len(shards[shard]), unit=" files")
    _write((pack(settings, row) for row in rows), SCHEMAS[part], destination)


def _shards(settings: PairsConfig) -> dict[str, pl.DataFrame]:
    """The rows of every shard, by its name; a picture is in the shard of the first row that names it."""
    rows, size = pair_tables.read(settings), settings.rows_per_shard
    pictures = rows.drop_nulls("image").unique("image", keep="first", maintain_order=True)
    if pictures.is_empty():
        raise ValueError(f"corpus.pairs.tables: no row of {', '.join(settings.tables)} names an image")
    parts = {"audio": rows, "images": pictures}
    return {
        f"{part}/rows-{start:08d}": frame.slice(start, size)
        for part, frame in parts.items()
        for start in range(0, len(frame), size)
    }


def _fault(folder: Path, name: str) -> tuple[str, str] | None:
    """Why a file cannot be packed, as reason and detail; None if it can."""
    if Path(name).parts[:1] == ("..",):
        return "outside", f"{name} leaves the folder of the corpus"
    try:
        exists = _place(folder, name).is_file()
    except OSError as error:  # the name is too long, or its folder may not be read
        return "missing_file", f"{name} cannot be looked for in the folder of the corpus ({error.strerror})"
    return None if exists else ("missing_file", f"there is no file {name} in the folder of the corpus")


def _place(folder: Path, name: str) -> Path:
    """The file that a name means: the one spelt so, else the only one whose name is the same text to Unicode.

    A table may be written where accents are letters' own (NFC), and files come from macOS, which takes them apart.
    """
    place = folder / name
    if name.isascii() or place.is_file():
        return place
    place = folder
    for part in Path(name).parts:
        if not (place / part).exists() and place.is_dir():
            part = _spellings(place, place.stat().st_mtime_ns).get(unicodedata.normalize("NFC", part)) or part
        place /= part
    return place


@lru_cache
def _spellings(folder: Path, _changed_ns: int) -> dict[str, str | None]:
    """The names of a folder by their form NFC; None for one that two names have."""
    names: dict[str, str | None] = {}
    for name in os.listdir(folder):
        key = unicodedata.normalize("NFC", name)
        names[key] = None if key in names else name
    return names


def _refusal(row: dict[str, Any], fault: tuple[str, str] | None) -> dict[str, str]:
    """The columns of a shard that refuse a row, with its place in the table."""
    if fault is None:
        return {}
    return {"refused": fault[0], "refusedDetail": f"{row['table']} row {row['row']}: {fault[1]}"}


def _clip(settings: PairsConfig, row: dict[str, Any]) -> dict[str, Any]:
    """One row of a shard of clips. Refusals: `no_audio`, `no_reference` (no name given), `missing_file`, `outside`."""
    folder, audio, image = Path(settings.folder), row["audio"], row["image"]
    fault = ("no_audio", "it names no audio") if audio is None else _fault(folder, audio)
    fault = fault or (("no_reference", "it names no image") if image is None else _fault(folder, image))
    content = None if fault or audio is None else _place(folder, audio).read_bytes()
    return {
        "audio": {"bytes": content, "path": audio},
        "language": row["language"] or settings.language,
        "speakerID": row["speaker"],
        "referenceImage": image,
        "givenSplit": row["split"],
    } | _refusal(row, fault)


def _picture(settings: PairsConfig, row: dict[str, Any]) -> dict[str, Any]:
    """One row of a shard of pictures. Refusals: `missing_file`, `outside`, `unsupported` (its white is unknown)."""
    folder, name = Path(settings.folder), row["image"]
    fault = _fault(folder, name)
    try:
        content = None if fault else as_known_format(_place(folder, name).read_bytes())
    except images.BadImage as refusal:
        content, fault = None, (refusal.reason, refusal.detail)
    return {"image": {"bytes": content, "path": name}} | _refusal(row, fault)


def as_known_format(encoded: bytes) -> bytes:
    """A picture in a format that ingest reads: unchanged, or as PNG if only Pillow reads its format (TIFF, AVIF, ...).

    A picture that Pillow cannot read or that is too large is returned unchanged; ingest refuses it and says why. Raises
    BadImage `unsupported` where no white is known: PNG could not keep such pixels.
    """
    try:
        Image.open(io.BytesIO(encoded), formats=images.FORMATS).close()
        return encoded
    except (*images.BOMB, *images.DAMAGE):
        Image.init()
    try:
        others = [name for name in Image.ID if name not in images.FORMATS + UNSAFE]
        with Image.open(io.BytesIO(encoded), formats=others) as picture:
            if picture.width * picture.height > images.MAX_PIXELS:
                return encoded
            picture.load()
            upright = images.with_alpha(picture)
        upright = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
        upright.save(file := io.BytesIO(), "PNG")
        return file.getvalue()
    except images.BadImage:
        raise
    except (*images.BOMB, *images.DAMAGE):
        return encoded


def _write(rows: Iterable[dict[str, Any]], schema: dict[str, Any], path: Path) -> None:
    """Stream rows to parquet, uncompressed: files of pictures and sound are already compressed."""

    # nothing is pushed down: all columns and rows are written
    def batches(*_pushed_down: object) -> Iterator[pl.DataFrame]:
        for batch in itertools.batched(rows, BATCH):
            yield pl.DataFrame(batch, schema, orient="row")

    with atomic(path) as temporary:
        register_io_source(batches, schema=schema).sink_parquet(
            temporary, row_group_size=BATCH, compression="uncompressed", statistics=False
        )
