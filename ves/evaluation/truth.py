"""What only evaluation and figures may open: when each word is said and which pixels each object covers.

One parquet file per source shard (data/<corpus>/truth/<shard>.parquet): words for a shard of audio, objects for a shard
of images. A corpus whose kind has no truth need not have them (NoTruth); to have them for some shards only is an error.
"""

import io
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Bool
from PIL import Image

from ves.base import parquet
from ves.config.corpus import CorpusSettings
from ves.config.experiment import DataPaths
from ves.config.fields import read

WORDS = ["source_path", "word", "text", "english", "role", "object", "start_s", "end_s"]
TRANSCRIPTS = ["clip_id", "transcript"]
OBJECTS = ["image_id", "object", "kind", "colour", "visible_pixels", "mask"]


class NoTruth(LookupError):
    """This corpus does not say it, which is no error; the message names what is unknown."""


def folder_of(data: DataPaths, other: Path | None) -> Path:
    """The truth of the corpus of a run, or `other` in its place.

    The folder of the corpus need not be there if its kind has no truth, as corpus.json beside the manifest says. Raises
    ValueError when the corpus has one and it is gone, when `other` is not there, or lacks a shard of the corpus: a
    missing or misspelt folder must not look like a corpus without truth. `other` may be about the clips alone, or about
    the pictures alone, but then about all shards of these: corpora of one kind share names of shards.
    """
    own = Path(data.manifest).parent / "truth"
    if other is None or other.resolve() == own.resolve():
        _not_gone(own, own.parent / "corpus.json")
        return own
    if not other.is_dir():
        raise ValueError(f"{other}: no such folder; the truth of this corpus is {own}, unless --truth names another")
    parts = [parquet.read(table, columns=["shard"])["shard"].cast(pl.String) for table in (data.manifest, data.images)]
    shards = [sorted(part.unique()) for part in parts]
    missing = [[shard for shard in part if not (other / f"{shard}.parquet").is_file()] for part in shards]
    lacking = [shard for part, gone in zip(shards, missing, strict=True) if gone != part for shard in gone]
    if missing == shards or lacking:
        absent = lacking or [shard for part in shards for shard in part]
        raise ValueError(
            f"{other}: not the truth of this corpus: it has no {absent[0]}.parquet ({len(absent)} of the corpus's "
            f"{sum(map(len, shards))} shards are not there); the truth of this corpus is {own}, unless --truth names "
            "another"
        )
    return other


def _not_gone(truth: Path, settings: Path) -> None:
    """Raise ValueError where a corpus has no file of truth, though its kind has a truth. A corpus without settings was
    put together by hand, and says nothing of it."""
    if not settings.is_file() or next(truth.rglob("*.parquet"), None) is not None:
        return
    corpus = read(CorpusSettings, settings)
    if (what := corpus.block.truth) is not None:
        raise ValueError(
            f"{truth}: no truth, but {settings} says that its kind is {corpus.kind!r}, which has {what}; put "
            "the files back, make its shards again, or name another folder with --truth"
        )


def _read(truth: Path, shards: list[str], columns: list[str], what: str) -> pl.DataFrame:
    """The named columns of the shards' files, with the shard of each row."""
    files = {shard: truth / f"{shard}.parquet" for shard in sorted(set(shards))}
    missing = [file for file in files.values() if not file.is_file()]
    if len(missing) == len(files):
        raise NoTruth(f"this corpus has no {what}")
    if missing:
        raise FileNotFoundError(f"{missing[0]}: absent, while other shards have {what}; make that shard again")
    for file in files.values():
        with parquet.naming(file):
            there = pl.read_parquet_schema(file)
        if lacking := [name for name in columns if name not in there]:
            raise NoTruth(f"this corpus has no {what}: its truth has no column {', '.join(lacking)}")
    tables = [parquet.read(file, columns=columns).with_columns(shard=pl.lit(shard)) for shard, file in files.items()]
    return pl.concat(tables)


def _of_another_corpus(truth: Path, what: str) -> ValueError:
    return ValueError(f"{truth}: {what}; corpus and truth do not belong together; make both again")


def words(truth: Path, clips: pl.DataFrame) -> pl.DataFrame:
    """Words of the clips (columns shard, source_path; others are kept), in the order of the clips, then as spoken.

    Raises NoTruth when the corpus has no word timings, ValueError when it has, but none for these clips.
    """
    rows = _read(truth, clips["shard"].to_list(), WORDS, "word timings").sort("word", maintain_order=True)
    spoken = clips.join(rows, on=["shard", "source_path"], how="inner", maintain_order="left_right")
    if spoken.is_empty():
        raise _of_another_corpus(truth, f"no word of {len(clips)} clips")
    return spoken


def phrases(truth: Path, clips: pl.DataFrame) -> pl.DataFrame:
    """`words`, where words of one clip that follow each other and mean one thing are one row.

    One thing: words of one role about one object; words about no object, where their English is the same. The row has
    their text joined, the start of the first word and the end of the last. Raises as `words` does.
    """
    spoken = words(truth, clips)

    def as_before(column: str) -> pl.Expr:
        return pl.col(column).eq_missing(pl.col(column).shift(1))

    follows = (pl.col("word") == pl.col("word").shift(1) + 1) & as_before("shard") & as_before("source_path")
    follows &= pl.col("role") != "sound"  # each sound is an event of its own
    joined = follows & as_before("role") & as_before("object") & ((pl.col("object") >= 0) | as_before("english"))
    rows = spoken.with_columns(phrase=(~joined).fill_null(True).cum_sum()).group_by("phrase", maintain_order=True)
    return rows.agg(
        pl.exclude("text", "english", "end_s").first(),
        pl.col("text").str.join(" "),
        pl.col("english").unique(maintain_order=True).str.join(" "),
        pl.col("end_s").last(),
    ).drop("phrase")


def noise(truth: Path, clips: pl.DataFrame) -> pl.DataFrame:
    """The clips (columns shard, source_path; others are kept) with snr_db, how many dB speech is louder than noise.

    Null where that is unknown. Raises NoTruth when the corpus does not say it of any clip, ValueError when its truth is
    about none of these clips.
    """
    rows = _read(truth, clips["shard"].to_list(), ["source_path", "snr_db"], "noise levels")
    of_clip = rows.unique(["shard", "source_path"], keep="first", maintain_order=True)
    if clips.join(of_clip, on=["shard", "source_path"], how="semi").is_empty():
        raise _of_another_corpus(truth, f"no noise level of {len(clips)} clips")
    return clips.join(of_clip, on=["shard", "source_path"], how="left", maintain_order="left")


def why_not_located(truth: Path) -> str | None:
    """Why localisation cannot be measured on a corpus with this folder of truth; None where it can."""
    there = []
    for file in sorted(truth.rglob("*.parquet")):
        with parquet.naming(file):
            there.append(set(pl.read_parquet_schema(file)))
    known = {"when each word is said": WORDS, "which pixels each object covers": OBJECTS}
    unknown = [what for what, columns in known.items() if not any(names.issuperset(columns) for names in there)]
    return f"this corpus does not say {' or '.join(unknown)}" if unknown else None


def transcripts(truth: Path, clips: pl.DataFrame, manifest: Path) -> dict[str, str]:
    """Transcripts of the clips (columns shard, clip_id), by clip_id, of those that have one.

    Raises NoTruth when the corpus has no transcripts, ValueError when all of the truth's are of clips that `manifest`
    lacks. That none of these clips was written down is no error: of Vaani's, few are.
    """
    rows = _read(truth, clips["shard"].to_list(), TRANSCRIPTS, "transcripts")
    known = rows.join(clips, on="clip_id", how="semi")
    if known.is_empty() and not rows.is_empty():
        every = parquet.read(manifest, columns=["clip_id"])
        if rows.join(every, on="clip_id", how="semi").is_empty():
            raise _of_another_corpus(truth, f"its {len(rows)} transcripts are of no clip in {manifest}")
    return dict(known.select(TRANSCRIPTS).iter_rows())


def objects(truth: Path, images: pl.DataFrame) -> pl.DataFrame:
    """Objects of the images (columns shard, image_id), each once, though a picture may be in the source twice.

    Raises NoTruth when the corpus has no object masks, ValueError when it has, but none for these images.
    """
    rows = _read(truth, images["shard"].to_list(), OBJECTS, "object masks").drop("shard")
    wanted = rows.join(images.select("image_id"), on="image_id", how="semi", maintain_order="left")
    if wanted.is_empty():
        raise _of_another_corpus(truth, f"no object of {len(images)} pictures")
    return wanted.unique(["image_id", "object"], keep="first", maintain_order=True)


def with_seen_picture(truth: Path, images: pl.DataFrame, things: pl.DataFrame) -> pl.DataFrame:
    """Rows of `objects` with seen_picture: may training see things of this kind look like this one?

    Null throughout where the corpus does not say it.
    """
    keys = ["image_id", "object"]
    try:
        rows = _read(truth, images["shard"].to_list(), [*keys, "seen_picture"], "pictures kept from training")
    except NoTruth:
        return things.with_columns(seen_picture=pl.lit(None, pl.Boolean))
    known = rows.drop("shard").unique(keys, keep="first", maintain_order=True)
    return things.join(known, on=keys, how="left", maintain_order="left")


def decode_mask(encoded: bytes) -> Bool[np.ndarray, "H W"]:
    """Pixels of one object, at the picture's own resolution."""
    with Image.open(io.BytesIO(encoded)) as picture:
        return np.asarray(picture).astype(bool)
