"""The shards of Sounding Scenes in Vaani's layout, and their truth: words, sounds and masks."""

import hashlib
from collections.abc import Iterator
from typing import Any

import polars as pl

from ves.base.progress import track
from ves.config.corpus import SoundingConfig
from ves.sources.scenes import pictures as scenes
from ves.sources.scenes.lexicon import lexicon
from ves.sources.scenes.recording import SAMPLE_RATE, wav
from ves.sources.scenes.utterances import TRUTH_SCHEMA
from ves.sources.sounding.films import Film, Plan
from ves.sources.sounding.pictures import Pictures

NO_SPEECH = "No speech"  # the language of films in which nobody speaks
AUDIO = {
    "audio": pl.Struct({"bytes": pl.Binary, "path": pl.String}),
    "language": pl.String,
    "duration": pl.Float64,
    "speakerID": pl.String,
    "gender": pl.String,
    "referenceImage": pl.String,
    "givenSplit": pl.String,
    "recordingID": pl.String,
    "segment": pl.Int32,
    "frames": pl.List(pl.String),
}
AUDIO_TRUTH = TRUTH_SCHEMA | {"clip_kind": pl.String}

type Row = dict[str, Any]


def segments(settings: SoundingConfig) -> list[tuple[int, int]]:
    """First and last second (exclusive) of each clip of a film."""
    length = round(settings.segment_s or settings.seconds)
    return [(first, first + length) for first in range(0, round(settings.seconds), length)]


def clip_path(film: Film, number: int) -> str:
    """The file name of a clip."""
    return f"film-{film.number:06d}-{number}.wav"


def clip_row(film: Film, number: int, first: int, last: int) -> Row:
    """The row of one clip, from second `first` to `last` of its film."""
    frames = [Pictures(film).name(second) for second in range(first, last)]
    samples = film.track.samples[first * SAMPLE_RATE : last * SAMPLE_RATE]
    return {
        "audio": {"bytes": wav(samples), "path": clip_path(film, number)},
        "language": lexicon(film.language).language if film.speaks else NO_SPEECH,
        "duration": len(samples) / SAMPLE_RATE,
        "speakerID": f"person-{film.person:04d}",
        "gender": film.voice.gender,
        "referenceImage": frames[len(frames) // 2],
        "givenSplit": None if film.scene.seen else "held_out",
        "recordingID": f"film-{film.number:06d}",
        "segment": number,
        "frames": frames,
    }


def truth_of(film: Film, number: int, first: int, last: int) -> Iterator[Row]:
    """What is said and what sounds within a clip, in its own time: words of which at least half is in it, and the part
    of every sound that is."""
    about = {"source_path": clip_path(film, number), "snr_db": film.track.snr_db, "clip_kind": film.kind}
    spoken = zip(film.track.tokens, film.track.times, strict=True)
    for place, (token, (start, end)) in enumerate(spoken):
        inside = min(end, last) - max(start, first)
        if inside > 0 and inside >= (end - start) / 2:
            word = {"word": place, "text": token.text, "english": token.english, "role": token.role}
            yield about | word | {"object": token.thing} | _within(start, end, first, last)
    after = len(film.track.tokens) + 1
    for place, event in enumerate(film.events):  # numbers two apart: events never join to one phrase
        if min(event.end_s, last) > max(event.start_s, first):
            heard = {"word": after + 2 * place, "text": f"({event.kind})", "english": event.kind, "role": "sound"}
            yield about | heard | {"object": event.thing} | _within(event.start_s, event.end_s, first, last)


def _within(start_s: float, end_s: float, first: int, last: int) -> Row:
    return {"start_s": max(start_s, first) - first, "end_s": min(end_s, last) - first}


def audio_shard(settings: SoundingConfig, shard: int, name: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The clips of one shard of films, and their truth."""
    plan, rows, truth = Plan(settings), [], []
    for number in track(plan.films_of(shard), label=name, unit="film"):
        film = plan.film(number)
        for clip, (first, last) in enumerate(segments(settings)):
            rows.append(clip_row(film, clip, first, last))
            truth += truth_of(film, clip, first, last)
    return pl.DataFrame(rows, AUDIO), pl.DataFrame(truth, AUDIO_TRUTH)


def image_shard(settings: SoundingConfig, shard: int, name: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The pictures of the same films, and the masks of their objects."""
    plan, rows, truth = Plan(settings), [], []
    for number in track(plan.films_of(shard), label=name, unit="film"):
        for path, encoded, objects in Pictures(plan.film(number)).rows():
            rows.append({"image": {"bytes": encoded, "path": path}})
            known = {"image_path": path, "image_id": hashlib.sha256(encoded).hexdigest()}
            truth += [known | one for one in objects]
    return pl.DataFrame(rows, scenes.SCHEMA), pl.DataFrame(truth, scenes.TRUTH_SCHEMA)
