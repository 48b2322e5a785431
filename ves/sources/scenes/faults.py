"""Rows that are broken on purpose, as Vaani's are or may be, so that ingest has something to refuse.

`settings.broken` is roughly the share of unusable clips: three fifths have a fault of their own, the others have a
broken picture. Oddities (a picture with two names, a speaker called NA, no language) are usable rows that need care;
they are rarer than the faults.
"""

import numpy as np

from ves.config.corpus import ScenesConfig
from ves.sources.scenes.recording import SAMPLE_RATE, wav
from ves.sources.scenes.streams import generator

CLIP_FAULTS = (
    "null_reference",  # referenceImage is null
    "empty_reference",  # referenceImage is ""
    "missing_image",  # referenceImage names a picture that is in no shard
    "no_audio",  # audio.bytes is null
    "garbage_audio",  # not a WAV file
    "empty_audio",  # a WAV header and no samples
    "truncated_audio",  # the header promises more samples than there are
    "silent_audio",  # digital silence
    "duplicate",  # the bytes of an earlier clip once more, under another name
)
CLIP_ODDITIES = ("unknown_speaker", "no_language")  # speakerID is "NA"; language is null
IMAGE_FAULTS = ("garbage_image", "truncated_image", "unnamed_image")
IMAGE_ODDITIES = ("twin", "reencoded")  # once more under a second name: the same bytes, or another JPEG of it
OWN_FAULT = 0.6  # share of the unusable clips that are broken themselves
ODD = 0.5  # rows with an oddity for each broken one

REFERENCE_FORMS = ("as is", "leading slash", "no directory", "upper-case extension")
REFERENCE_SHARES = (0.6, 0.2, 0.12, 0.08)


def _spread(settings: ScenesConfig, purpose: str, total: int, shares: dict[tuple[str, ...], float]) -> dict[int, str]:
    """Row -> what is wrong with it: for each group of kinds a share of all rows, its kinds equally often."""
    order = generator(settings.seed, purpose).permutation(total)
    chosen: dict[int, str] = {}
    for kinds, share in shares.items():
        rows = order[len(chosen) : len(chosen) + round(share * settings.broken * total)]
        chosen |= {int(row): kinds[i % len(kinds)] for i, row in enumerate(rows)}
    return chosen


def clip_defects(settings: ScenesConfig) -> dict[int, str]:
    """Clip number -> one of CLIP_FAULTS or CLIP_ODDITIES."""
    return _spread(settings, "clip defects", settings.clips, {CLIP_FAULTS: OWN_FAULT, CLIP_ODDITIES: ODD})


def image_defects(settings: ScenesConfig) -> dict[int, str]:
    """Picture number -> one of IMAGE_FAULTS or IMAGE_ODDITIES."""
    shares = {IMAGE_FAULTS: 1 - OWN_FAULT, IMAGE_ODDITIES: ODD}
    return _spread(settings, "image defects", settings.images, shares)


def broken_audio(rng: np.random.Generator, fault: str | None, samples: np.ndarray) -> bytes | None:
    """The WAV file of a clip with this fault; intact if the fault is not about audio."""
    match fault:
        case "no_audio":
            return None
        case "garbage_audio":
            return rng.bytes(4000)
        case "empty_audio":
            return wav(samples[:0])
        case "truncated_audio":
            whole = wav(samples)
            return whole[: len(whole) // 3]
        case "silent_audio":
            return wav(np.zeros(2 * SAMPLE_RATE, np.int16))
    return wav(samples)


def broken_image(rng: np.random.Generator, fault: str | None, encoded: bytes) -> bytes:
    """The JPEG file of a picture with this fault."""
    match fault:
        case "garbage_image":
            return rng.bytes(4000)
        case "truncated_image":
            return encoded[: len(encoded) // 3]
    return encoded


def reference(rng: np.random.Generator, fault: str | None, path: str) -> str | None:
    """The clip's referenceImage for the picture at `path`; its spelling varies, as in Vaani."""
    form = rng.choice(REFERENCE_FORMS, p=REFERENCE_SHARES)
    match fault, form:
        case "null_reference", _:
            return None
        case "empty_reference", _:
            return ""
        case "missing_image", _:
            return path.replace(".jpg", "_missing.jpg")
        case _, "leading slash":
            return "/" + path
        case _, "no directory":
            return path.rsplit("/", 1)[-1]
        case _, "upper-case extension":
            return path.replace(".jpg", ".JPG")
    return path
