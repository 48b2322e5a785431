"""What the rows of one row group show about audio, names, labels, references and pictures."""

from collections import Counter
from typing import NamedTuple

import numpy as np
import polars as pl

from ves.media import images, wav_header
from ves.media.audio import RATE
from ves.sources import columns, references
from ves.sources.hub import footers
from ves.sources.vaani.evidence import Evidence
from ves.sources.vaani.survey import BYTES_PER_S, WAV_HEADER

MOSTLY = 0.95  # share of rows that have a value
SAME_S = 0.02  # seconds; durations may be rounded to two digits
ESTIMATE = 0.02  # relative error that the estimate of durations may have
UNKNOWN = ("", "NA")


class Finding(NamedTuple):
    """What the data show, and whether that is as expected; None if it is unknown."""

    text: str
    holds: bool | None


def _encoded(evidence: Evidence, part: str = "audio", media: str = "audio") -> pl.Series:
    """The files themselves, as bytes."""
    sample = evidence.sample(part)
    return sample.column(f"{sample.media(media)}.bytes")


def _kind(encoded: bytes | None) -> str:
    """A description of the format of a clip's bytes."""
    if not encoded:
        return "empty"
    if (wav := wav_header.parse(encoded)) is None:
        return f"no WAV: they begin with {encoded[:4]!r}"
    if wav.present < wav.declared:
        return "a WAV that is cut off"
    coding = "PCM" if wav.pcm else "not PCM"
    return f"WAV, {wav.rate} Hz, {wav.bits} bits, {wav.channels} channel{'s' * (wav.channels != 1)}, {coding}"


def wav_format(evidence: Evidence) -> Finding:
    """Whether ingest can read the clips without a decoder."""
    kinds = Counter(_kind(encoded) for encoded in _encoded(evidence))
    return Finding(_counted(kinds), set(kinds) == {f"WAV, {RATE} Hz, 16 bits, 1 channel, PCM"})


def _counted(counts: Counter[str], most: int = 8) -> str:
    rest = f"; and {len(counts) - most} others" if len(counts) > most else ""
    return "; ".join(f"{count} x {name}" for name, count in counts.most_common(most)) + rest


def _seconds(evidence: Evidence) -> np.ndarray:
    """The seconds of every clip of the row group, by its header; NaN if it is not a WAV file."""
    wavs = [wav_header.parse(encoded or b"") for encoded in _encoded(evidence)]
    rates = [wav.rate * wav.channels * wav.bits / 8 if wav else 0 for wav in wavs]
    return np.array([wav.present / rate if wav and rate else np.nan for wav, rate in zip(wavs, rates, strict=True)])


def durations(evidence: Evidence) -> Finding:
    """The duration column, compared with the samples."""
    sample = evidence.sample("audio")
    if (column := columns.find(sample.names, sample.remote.name).get("duration_s")) is None:
        return Finding("no duration: hours are estimated from the size of the audio", False)
    differences = np.abs(sample.column(column).cast(pl.Float64).to_numpy() - _seconds(evidence))
    known = differences[~np.isnan(differences)]
    if not len(known):
        return Finding("no clip has both a duration and samples", False)
    text = f"{len(known)} of {len(differences)} clips compared; the largest difference is {known.max():.3f} s"
    return Finding(text, bool(known.max() <= SAME_S))


def estimate(evidence: Evidence) -> Finding:
    """The survey's estimate of durations from the size of the audio, compared with the samples."""
    sample, seconds = evidence.sample("audio"), _seconds(evidence)
    sizes = footers.leaf_sizes(sample.parquet.metadata, f"{sample.media('audio')}.bytes")[sample.group, 0]
    estimated, total = (int(sizes) - WAV_HEADER * len(seconds)) / BYTES_PER_S, float(np.nansum(seconds))
    if total == 0:
        return Finding("no clip has samples", False)
    return Finding(f"{estimated:.1f} s estimated, {total:.1f} s found", abs(estimated - total) <= ESTIMATE * total)


def filled(ours: str, evidence: Evidence) -> Finding:
    """How many clips have a value in a column of text."""
    sample = evidence.sample("audio")
    if (column := columns.find(sample.names, sample.remote.name).get(ours)) is None:
        return Finding("there is no such column", False)
    return _share(sample.column(column).cast(pl.String))


def _share(values: pl.Series) -> Finding:
    known = [value for value in values if value is not None and value.strip() not in UNKNOWN]
    example = f", such as {known[0]!r}" if known else ""
    return Finding(f"{len(known)} of {len(values)} rows{example}", len(known) >= MOSTLY * len(values))


def paths(part: str, media: str, evidence: Evidence) -> Finding:
    """How many of the files have a name."""
    sample = evidence.sample(part)
    return _share(sample.column(f"{sample.media(media)}.path"))


def resolved(evidence: Evidence) -> Finding:
    """How many distinct references match a picture, at each level of ves.sources.references. Contents are not
    compared."""
    sample = evidence.sample("audio")
    column = columns.find(sample.names, sample.remote.name)["image_reference"]
    named, complete = evidence.picture_names()
    pictures = pl.DataFrame({"source_path": named, "image_id": named}).with_columns(reason=pl.lit(None, pl.String))
    table = references.resolve(sample.column(column).cast(pl.String).str.strip_chars(), pictures)
    outcome = Counter(row["reason"] or f"by {row['level']}" for row in table.iter_rows(named=True))
    share = 1 - table["reason"].count() / max(len(table), 1)
    of = "all pictures, by the survey" if complete else "only one shard of pictures: run the survey to know"
    return Finding(f"{_counted(outcome)}; among {len(named)} names of {of}", share >= MOSTLY if complete else None)


def decodes(evidence: Evidence) -> Finding:
    """How many pictures can be read, and how large they are."""
    sizes: list[tuple[int, int]] = []
    refused: Counter[str] = Counter()
    for encoded in _encoded(evidence, "images", "image"):
        try:
            sizes.append(images.decode(encoded or b"").size)
        except images.BadImage as error:
            refused[error.reason] += 1
    between = " to ".join(f"{width} x {height}" for width, height in sorted({min(sizes), max(sizes)})) if sizes else ""
    return Finding(
        f"{len(sizes)} of {len(sizes) + refused.total()}: {between} {_counted(refused)}".strip(), not refused
    )


def labels(ours: str, evidence: Evidence) -> Finding:
    """A label that differs from a known one only by case or punctuation is a new spelling; others may be new labels."""
    sample, table = evidence.sample("audio"), evidence.spellings.filter(pl.col("column") == ours)
    used = sample.column(columns.find(sample.names, sample.remote.name)[ours]).cast(pl.String).str.strip_chars()
    known = {*table["old"], *table["new"]}
    plain = {_letters(label) for label in known}
    new = sorted(set(used.drop_nulls()) - known)
    respelt = [label for label in new if _letters(label) in plain]
    if respelt:
        return Finding(f"spellings that the table lacks: {', '.join(respelt)}", False)
    return Finding(f"not in the table: {', '.join(new)}" if new else "all known", None if new else True)


def _letters(label: str) -> str:
    return "".join(filter(str.isalnum, label)).casefold()


def transcribed(evidence: Evidence) -> Finding:
    """The values of a column that other readers of the corpus filter by."""
    sample = evidence.sample("audio")
    named = [name for name in sample.names if _letters(name) == "istranscriptionavailable"]
    if not named:
        return Finding("there is no such column; VeS does not need it", None)
    values = Counter(map(repr, sample.column(named[0])))
    return Finding(_counted(values), set(values) <= {"'Yes'", "'No'"})


def duplicates(part: str, media: str, evidence: Evidence) -> Finding:
    """How many files repeat another, byte for byte."""
    contents = _encoded(evidence, part, media).drop_nulls()
    same = len(contents) - contents.n_unique()
    return Finding(f"{same} of {len(contents)} rows repeat the content of another", same == 0)
