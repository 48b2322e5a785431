"""What VeS assumes about Vaani, whose rows its authors have never seen, and how each assumption is checked."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ves.sources import columns
from ves.sources.vaani import findings
from ves.sources.vaani.evidence import Evidence, NoFiles
from ves.sources.vaani.findings import ESTIMATE, SAME_S, Finding
from ves.sources.vaani.survey import NEEDED, TEXTS

SHARD_BYTES = (250e6, 750e6)  # bounds of the median
MOST_ROW_GROUP = 700e6  # bytes unpacked; ingest has one in memory at a time


@dataclass(frozen=True)
class Assumption:
    """One row of the table."""

    name: str
    expected: str
    look: Callable[[Evidence], Finding]


def _commit(evidence: Evidence) -> Finding:
    return Finding(f"{evidence.settings.commit()}, with {len(evidence.files)} parquet files", True)


def _matching(part: str, evidence: Evidence) -> Finding:
    try:
        files = evidence.chosen(part)
    except NoFiles as error:
        return Finding(str(error), False)
    return Finding(f"{len(files)} files, {sum(file.size for file in files) / 1e9:.1f} GB", True)


def _hashes(evidence: Evidence) -> Finding:
    files = evidence.chosen("audio") + evidence.chosen("images")
    without = [file.path for file in files if file.lfs is None]
    return Finding(f"{len(files) - len(without)} of {len(files)} {_such_as(without)}", not without)


def _such_as(examples: list[str]) -> str:
    return f"(not {examples[0]})" if examples else ""


def _sizes(evidence: Evidence) -> Finding:
    sizes = [file.size for file in evidence.chosen("audio")]
    median = statistics.median(sizes)
    text = f"median {median / 1e6:.1f} MB, at most {max(sizes) / 1e6:.1f} MB"
    return Finding(text, SHARD_BYTES[0] <= median <= SHARD_BYTES[1])


def _ranges(evidence: Evidence) -> Finding:
    sample = evidence.sample("audio")
    return Finding(f"the footer of {sample.remote.name} was read alone: {len(sample.names)} columns", True)


def _column(ours: str, evidence: Evidence) -> Finding:
    sample = evidence.sample("audio")
    present = columns.find(sample.names, sample.remote.name)
    if ours not in present:
        return Finding(f"absent; there are {', '.join(sample.names)}", False)
    kind = str(sample.parquet.schema_arrow.field(present[ours]).type)
    right = ("double", "float", "halffloat", "int", "uint", "decimal") if ours == "duration_s" else (
        "string", "large_string", "string_view", "dictionary<values=string",
    )  # fmt: skip
    return Finding(f"{present[ours]}: {kind}", kind.startswith(right))


def _struct(part: str, media: str, evidence: Evidence) -> Finding:
    sample = evidence.sample(part)
    column = sample.media(media)
    return Finding(f"{column}: {sample.parquet.schema_arrow.field(column).type}", True)


def _row_groups(part: str, evidence: Evidence) -> Finding:
    metadata = evidence.sample(part).parquet.metadata
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    rows, size = (max((get(group) for group in groups), default=0) for get in (
        lambda group: group.num_rows, lambda group: group.total_byte_size,
    ))  # fmt: skip
    text = f"{len(groups)} row groups of at most {rows} rows and {size / 1e6:.1f} MB unpacked"
    return Finding(text, size <= MOST_ROW_GROUP)


def _of_columns() -> list[Assumption]:
    assumptions = []
    for ours in (*TEXTS, "duration_s", "transcript"):
        names, kind = " or ".join(columns.NAMES[ours]), "a number" if ours == "duration_s" else "text"
        need = "; needed" if ours in NEEDED else ""
        assumptions.append(
            Assumption(f"audio has a column for {ours}", f"{names}: {kind}{need}", partial(_column, ours))
        )
    return assumptions


def _of_labels() -> list[Assumption]:
    """One for each column whose spellings are normalised."""
    names = ("language", "district", "state")
    return [
        Assumption(f"labels of {name}", "in the table of spellings", partial(findings.labels, name)) for name in names
    ]


ASSUMPTIONS = [
    Assumption("commit", "a full commit id that the hub knows", _commit),
    Assumption("files of audio", "some match corpus.vaani.audio", partial(_matching, "audio")),
    Assumption("files of pictures", "some match corpus.vaani.images", partial(_matching, "images")),
    Assumption("sha256", "listed for every file", _hashes),
    Assumption("size of audio shards", "about 500 MB", _sizes),
    Assumption("ranges", "the server sends parts of files", _ranges),
    *_of_columns(),
    Assumption("column of audio", "audio: a struct of bytes and path", partial(_struct, "audio", "audio")),
    Assumption("column of pictures", "image: a struct of bytes and path", partial(_struct, "images", "image")),
    Assumption("audio.bytes", "WAV of 16 kHz, 16 bits, mono, whole", findings.wav_format),
    Assumption("audio.path", "filled in", partial(findings.paths, "audio", "audio")),
    Assumption("image.path", "filled in", partial(findings.paths, "images", "image")),
    Assumption("durations", f"those of the samples, within {SAME_S} s", findings.durations),
    Assumption("hours by size", f"those of the samples, within {ESTIMATE:.0%}", findings.estimate),
    Assumption("speakers", "known", partial(findings.filled, "speaker")),
    Assumption("image references", "filled in", partial(findings.filled, "image_reference")),
    Assumption("image references resolve", "to one picture each", findings.resolved),
    Assumption("pictures decode", "all", findings.decodes),
    *_of_labels(),
    Assumption("row groups of audio", f"at most {MOST_ROW_GROUP / 1e6:.0f} MB", partial(_row_groups, "audio")),
    Assumption("row groups of pictures", f"at most {MOST_ROW_GROUP / 1e6:.0f} MB", partial(_row_groups, "images")),
    Assumption("isTranscriptionAvailable", "'Yes' or 'No', as text", findings.transcribed),
    Assumption("clips are distinct", "in a row group", partial(findings.duplicates, "audio", "audio")),
    Assumption("pictures are distinct", "in a row group", partial(findings.duplicates, "images", "image")),
]
