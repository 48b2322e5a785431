"""Parts of a corpus as ingest writes them, but drawn by chance, with the skew that Vaani is known to have.

105 languages (Zipf), 165 districts whose speakers speak three languages each, 158,000 speakers for 24 M clips, 290,000
photographs: a national pool and a pool for each district. Some rows are what merge has to deal with: refused by ingest,
the bytes of an earlier clip, a reference to no picture or to another spelling of its name, an old spelling of a
label, an unknown speaker. The same rows and seed give the same parts.
"""

import json
from pathlib import Path

import numpy as np
import polars as pl
import yaml

from ves.corpus import ingest

ROWS_PER_PART, IMAGE_PARTS, IMAGES = 15_000, 40, 290_000
LANGUAGES, DISTRICTS, SPEAKERS_PER_CLIP = 105, 165, 158_000 / 24e6
GENERIC = 40_000  # photographs that are shown in every district; the others belong to one
REFUSED, REPEATED, OLD_NAMES, UNKNOWN = 0.005, 0.005, 0.05, 0.03  # shares of the rows
DRIFTING = 8  # languages, and districts, that have an old spelling


def write(folder: Path, rows: int) -> None:
    """Write parts/, shards.json and labels.yaml for so many clips; shards.json last: it says that all is there."""
    clip_parts = [f"audio/S{i % 30:02d}/D{i:05d}" for i in range(max(1, round(rows / ROWS_PER_PART)))]
    image_parts = [f"images/train-{i:05d}" for i in range(IMAGE_PARTS)]
    names = _pictures(folder, image_parts)
    repeated: list[str] = []
    for number, shard in enumerate(clip_parts):
        low, high = (rows * n // len(clip_parts) for n in (number, number + 1))
        clips = _clips(number, shard, number / len(clip_parts), low, high, rows, names)
        clips = _with_repeats(clips, repeated)
        path = folder / f"parts/{shard}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        clips.write_parquet(path)
    labels = [
        {"column": column, "old": f"{column} {i} (old)", "new": f"{column} {i}", "source": "made up"}
        for column in ("language", "district")
        for i in range(DRIFTING)
    ]
    (folder / "labels.yaml").write_text(yaml.safe_dump(labels), "utf-8")
    shards = [{"name": n, "part": "audio"} for n in clip_parts] + [{"name": n, "part": "images"} for n in image_parts]
    (folder / "shards.json").write_text(json.dumps({"revision": None, "shards": shards}), "utf-8")


def hashes(images: int, seed: int = 0) -> np.ndarray:
    """uint64 [images]: perceptual hashes as photographs give them, a fiftieth of them re-encodings of another.

    Each is 64 low frequencies above their median or not (ves.media.images.phash). Frequencies of photographs are not
    centred on 0 (the sky is above): so some bits are nearly always set, and hashes are closer to one another than
    chance.
    """
    rng = np.random.default_rng([2, seed])
    centre = rng.normal(0, 0.5, 64)
    waves = rng.standard_normal((images, 64), np.float32) + centre.astype(np.float32)
    bits = np.packbits(waves > np.median(waves, axis=1, keepdims=True), axis=1).view(">u8").ravel().astype(np.uint64)
    first = rng.choice(images // 2, images // 50)  # some pictures have several copies
    copies = images // 2 + rng.choice(images - images // 2, images // 50, replace=False)
    flip = np.uint64(1) << rng.integers(0, 64, (2, images // 50)).astype(np.uint64)
    bits[copies] = bits[first] ^ flip[0] ^ np.where(rng.random(images // 50) < 0.5, flip[1], np.uint64(0))
    return bits


def _hex(rng: np.random.Generator, n: int, size: int) -> pl.Series:
    return pl.Series(np.frombuffer(rng.bytes(n * size), f"V{size}").tolist(), dtype=pl.Binary).bin.encode("hex")


def _pictures(folder: Path, parts: list[str]) -> pl.Series:
    """Write the parts of pictures; returns the names, generic ones first, then district by district."""
    rng = np.random.default_rng(0)
    own = np.arange(IMAGES - GENERIC)
    names = [f"Images/IISc_VaaniProject_GENERIC_{i:05d}.jpg" for i in range(GENERIC)]
    names += [f"Images/IISc_VaaniProject_District{i * DISTRICTS // len(own):03d}-SPECIFIC_{i:06d}.jpg" for i in own]
    frame = pl.DataFrame({"source_path": names, "image_id": _hex(rng, IMAGES, 32), "phash": hashes(IMAGES)})
    frame = frame.sample(fraction=1, shuffle=True, seed=0)
    for number, shard in enumerate(parts):
        low, high = (IMAGES * n // len(parts) for n in (number, number + 1))
        rows = pl.int_range(pl.len(), dtype=pl.UInt32)
        part = frame[low:high].with_columns(
            source_row=rows, row_in_shard=rows, shard=pl.lit(shard), width=pl.lit(1280), height=pl.lit(960),
            reason=pl.lit(None), detail=pl.lit(None),
        )  # fmt: skip
        path = folder / f"parts/{shard}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        part.select(pl.col(name).cast(kind) for name, kind in ingest.PICTURES.items()).write_parquet(path)
    return pl.Series(names)


def _clips(number: int, shard: str, place: float, low: int, high: int, rows: int, names: pl.Series) -> pl.DataFrame:
    """The clips low ... high of a corpus of `rows`, in the shard that is at `place` (0 to 1) of the corpus."""
    n, district, rng = high - low, int(place * DISTRICTS), np.random.default_rng([1, rows, number])
    zipf = 1 / np.arange(1, LANGUAGES + 1)
    spoken = np.random.default_rng([3, district]).choice(LANGUAGES, 3, replace=False, p=zipf / zipf.sum())
    spoken[2] = district % LANGUAGES  # so every language is spoken somewhere
    talkers = np.arange(low, high) * SPEAKERS_PER_CLIP  # a speaker's clips stand together
    speaker = talkers.astype(np.int64)
    language = np.where(rng.random(n) < 0.05, spoken[2], spoken[speaker % 2])
    own = (IMAGES - GENERIC) * district // DISTRICTS + rng.integers(0, (IMAGES - GENERIC) // DISTRICTS, n)
    image = np.where(rng.random(n) < 0.3, rng.integers(0, GENERIC, n), GENERIC + own)
    named, unlike = names.gather(image), pl.Series(rng.random(n))
    frame = pl.DataFrame(
        {"clip_id": _hex(rng, n, 16), "language": language, "named": named, "unlike": unlike, "speaker": speaker,
         "duration_s": np.round(rng.lognormal(1.8, 0.5, n) * 16_000) / 16_000, "draw": rng.random(n),
         "start": rng.integers(0, 60_000, n)}
    )  # fmt: skip
    old = (pl.col("draw") * 1000 % 1 < OLD_NAMES) & (pl.col("language") < DRIFTING)
    refused = pl.col("draw") < REFUSED
    bare = pl.col("named").str.strip_prefix("Images/")
    reference = pl.when(pl.col("unlike") < 0.002).then(pl.lit("Images/nowhere.jpg"))
    reference = reference.when(pl.col("unlike") < 0.1).then(bare).when(pl.col("unlike") < 0.2)
    reference = reference.then(bare.str.to_uppercase()).when(pl.col("unlike") < 0.25).then(pl.format("/{}", "named"))
    reference = reference.when(pl.col("unlike") < 0.3).then(bare.str.strip_suffix(".jpg")).otherwise("named")
    row = pl.int_range(pl.len(), dtype=pl.UInt32)
    return frame.with_columns(
        source_row=row, shard=pl.lit(shard), reason=pl.when(refused).then(pl.lit("silent")),
        detail=pl.when(refused).then(pl.lit("no sample is louder than 3")),
        source_path=pl.format("IISc_VaaniProject_S_District{}_{}_{}_{}_{}.wav", pl.lit(f"{district:03d}"),
                              "speaker", bare.str.slice(18, 14), "start", row + low),
        language=pl.format("language {}{}", "language", pl.when(old).then(pl.lit(" (old)")).otherwise(pl.lit(""))),
        district=pl.lit(f"district {district}" + " (old)" * (district < DRIFTING and number % 2)),
        state=pl.lit(f"state {district % 30}"), image_reference=reference, given_split=pl.lit(None),
        speaker=pl.when(pl.col("draw") < 1 - UNKNOWN).then(pl.format("S{}", "speaker")),
        row=pl.when(~refused).then((~refused).cum_sum() - 1),
    ).select(pl.col(name).cast(kind) for name, kind in ingest.CLIPS.items())  # fmt: skip


def _with_repeats(clips: pl.DataFrame, earlier: list[str]) -> pl.DataFrame:
    """Give some clips the bytes of a clip of an earlier part, and leave some for later ones in `earlier`."""
    ids = clips["clip_id"].to_list()
    many = round(len(ids) * REPEATED) if earlier else 0
    for place in range(many):
        ids[-1 - place] = earlier[place * 7919 % len(earlier)]
    earlier += ids[:3]
    return clips.with_columns(pl.Series("clip_id", ids))
