"""One audio shard: a parquet file of spoken descriptions in Vaani's layout, and its truth, the times of words."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import batched
from typing import Any

import numpy as np
import polars as pl

from ves.base.progress import track
from ves.config.corpus import ScenesConfig
from ves.sources.scenes.assignment import DISTRICTS, Plan
from ves.sources.scenes.description import Token, describe
from ves.sources.scenes.faults import CLIP_FAULTS, broken_audio, clip_defects, image_defects, reference
from ves.sources.scenes.layout import scene
from ves.sources.scenes.lexicon import lexicon
from ves.sources.scenes.pictures import twin_path
from ves.sources.scenes.recording import SAMPLE_RATE, Recording, record, voice
from ves.sources.scenes.streams import generator

SCHEMA = {
    "audio": pl.Struct({"bytes": pl.Binary, "path": pl.String}),
    "language": pl.String,
    "duration": pl.Float64,
    "speakerID": pl.String,
    "gender": pl.String,
    "state": pl.String,
    "district": pl.String,
    "pincode": pl.Int64,
    "stay(years)": pl.String,
    "isTranscriptionAvailable": pl.String,
    "transcript": pl.String,
    "referenceImage": pl.String,
    "givenSplit": pl.String,
}
NOT_IN_OLD_SCHEMA = ["duration", "speakerID"]
TRUTH_SCHEMA = {
    "source_path": pl.String,
    "word": pl.UInt16,
    "text": pl.String,
    "english": pl.String,
    "role": pl.String,
    "object": pl.Int16,
    "start_s": pl.Float64,
    "end_s": pl.Float64,
    "snr_db": pl.Float64,  # of the whole clip; older corpora lack this column
}
TRANSCRIBED = 0.07
WITHOUT_TRUTH = set(CLIP_FAULTS) - {"duplicate"}
BATCH = 256  # rows gathered before they move into a frame, to hold the sound in memory only once

type Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Utterance:
    """One clip: its row of the shard, its words and their times, the ratio of speech to noise, and the defect of the
    row, if any."""

    row: Row
    tokens: list[Token]
    times: list[tuple[float, float]]
    snr_db: float
    defect: str | None


def _transcript(tokens: list[Token]) -> str:
    """The words as Vaani's transcribers write them."""
    return " ".join(f"{token.text} <pause>" if token.pause else token.text for token in tokens)


def _path(plan: Plan, clip: int, speaker_id: str, recording: Recording, rng: np.random.Generator) -> str:
    """A clip's file name: place, speaker, session, picture, and where in the session's recording it lay (ms)."""
    state, district, _ = DISTRICTS[plan.district[clip]]
    begin = int(rng.integers(0, 30_000))
    end = begin + round(1000 * len(recording.samples) / SAMPLE_RATE)
    image = plan.image_name(int(plan.image[clip]))
    return f"IISc_VaaniProject_S_{state}_{district}_{speaker_id}_{clip:08d}_{image}_{begin}_{end}.wav"


def _utterance(plan: Plan, clip: int, defect: str | None, twins: set[int]) -> Utterance:
    """Speak and record one clip, then break it if it has a defect."""
    settings, image, speaker = plan.settings, int(plan.image[clip]), int(plan.speaker[clip])
    words, who = lexicon(settings.languages[plan.language[clip]]), voice(settings.seed, speaker)
    shown = scene(settings, image)
    tokens = describe(generator(settings.seed, "description", clip), settings, shown, words)
    recording = record(settings, clip, who, words.voice, tokens)
    rng = generator(settings.seed, "row", clip)
    state, district, pincode = DISTRICTS[plan.district[clip]]
    speaker_id = str(84_400_000 + 37 * speaker)
    transcribed = rng.random() < TRANSCRIBED
    image_path = twin_path(plan, image) if image in twins and clip % 2 else plan.image_path(image)
    row: Row = {
        "audio": {
            "path": _path(plan, clip, speaker_id, recording, rng),
            "bytes": broken_audio(rng, defect, recording.samples),
        },
        "language": None if defect == "no_language" else words.language,
        "duration": len(recording.samples) / SAMPLE_RATE,
        "speakerID": "NA" if defect == "unknown_speaker" else speaker_id,
        "gender": who.gender,
        "state": state,
        "district": district,
        "pincode": pincode + speaker % 40,
        "stay(years)": str(1 + speaker % 30),
        "isTranscriptionAvailable": "Yes" if transcribed else "No",
        "transcript": _transcript(tokens) if transcribed else None,
        "referenceImage": reference(rng, defect, image_path),
        "givenSplit": None if shown.seen else "held_out",
    }
    return Utterance(row, tokens, recording.times, recording.snr_db, defect)


def _utterances(plan: Plan, district: int, label: str) -> Iterator[Utterance]:
    """All clips of one district. A duplicate repeats the intact clip before it, under a name of its own."""
    defects = clip_defects(plan.settings)
    twins = {image for image, defect in image_defects(plan.settings).items() if defect in ("twin", "reencoded")}
    before: Utterance | None = None
    for clip in track([int(i) for i in plan.clips_of(district)], label=label, unit="clip"):
        one = _utterance(plan, clip, defects.get(clip), twins)
        if one.defect == "duplicate" and before is not None:
            audio = {"path": one.row["audio"]["path"], "bytes": before.row["audio"]["bytes"]}
            one = Utterance(before.row | {"audio": audio}, before.tokens, before.times, before.snr_db, "duplicate")
        elif one.defect not in CLIP_FAULTS:
            before = one
        yield one


def _truth(one: Utterance) -> list[Row]:
    """One row per word."""
    return [
        {
            "source_path": one.row["audio"]["path"],
            "word": i,
            "text": token.text,
            "english": token.english,
            "role": token.role,
            "object": token.thing,
            "start_s": start,
            "end_s": end,
            "snr_db": one.snr_db,
        }
        for i, (token, (start, end)) in enumerate(zip(one.tokens, one.times, strict=True))
    ]


def audio_shard(settings: ScenesConfig, district: int, name: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of one district and their truth. Clips with a fault have none; duplicates have that of the original."""
    plan = Plan(settings)
    frames: list[pl.DataFrame] = []
    truth: list[Row] = []
    for batch in batched(_utterances(plan, district, name), BATCH):
        frames.append(pl.DataFrame([one.row for one in batch], SCHEMA))
        truth += [row for one in batch if one.defect not in WITHOUT_TRUTH for row in _truth(one)]
    rows = pl.concat(frames).drop(NOT_IN_OLD_SCHEMA if plan.old_schema(district) else [])
    return rows, pl.DataFrame(truth, TRUTH_SCHEMA)
