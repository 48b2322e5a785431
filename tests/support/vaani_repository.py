"""A repository in Vaani's layout: districts of two eras, an `images` part, and every fault that ingest must know.

What is known of the real one (columns, spellings, how a clip names its picture) is in here; that its sound is noise
about a tone and its pictures are coloured squares matters to nobody. The same call gives the same bytes.
"""

import io
import wave
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
from PIL import Image

from tests.support.odd_pictures import encode

RATE = 16_000
MEDIA = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
ROW_GROUP = 16
CLIPS = 40  # of a shard
GENERIC, SPECIFIC = 24, 10  # pictures that all districts share, and those of each
SEED = 3


@dataclass(frozen=True)
class District:
    """One district: where its shards lie, and how its columns and labels are spelt."""

    state: str
    folder: str
    spelling: str  # of the column `district`
    languages: tuple[str, ...]
    shards: int
    era: str  # phase 1: no speaker, no duration | now: both | renamed: both, under other names


DISTRICTS = (
    District("AndhraPradesh", "Anantpur", "Anantpur", ("Telugu", "Urdu"), 1, "renamed"),
    District("Goa", "NorthSouthGoa", "NorthSouthGoa", ("Konkani", "Marathi"), 1, "phase 1"),
    District("Karnataka", "DakshinKannada", "DakshinaKannada", ("Kannada", "Konkani", "Hindi"), 2, "now"),
    District("Bihar", "Jamui", "Jamui", ("Magahi", "MagadhiMagahi", "Hindi"), 2, "now"),
)
REPAIRABLE = {  # row of a shard: a clip that needs care and is taken
    5: "8 kHz", 11: "stereo", 17: "float", 22: "unknown speaker", 27: "unnamed",
}  # fmt: skip
BROKEN = {  # row of a shard: a clip that is refused; each shard has the next few of these
    3: "null", 7: "empty", 13: "unreadable", 19: "truncated", 21: "silent", 23: "zero length", 25: "null reference",
    26: "empty reference", 29: "no language", 31: "missing picture", 33: "broken picture", 34: "unsafe name",
    36: "duplicate",
}  # fmt: skip
BROKEN_OF_A_SHARD = 4


def repository(districts: tuple[District, ...] = DISTRICTS) -> dict[str, bytes]:
    """Path -> content: the audio shards of these districts, the pictures of all, and what else lies there."""
    files = {"README.md": b"# Vaani", "audio/pincode_metadata.csv": b"district,pincode\n"}
    for district in districts:
        for shard in range(district.shards):
            name = f"train-{shard:05}-of-{district.shards:05}.parquet"
            files[f"audio/{district.state}/{district.folder}/{name}"] = audio_shard(district, shard)
    for shard in range(2):
        files[f"images/train-{shard:05}-of-00002.parquet"] = image_shard(shard)
    return files


def wav(samples: np.ndarray, rate: int = RATE) -> bytes:
    """int16 [n] or [n, channels] as a WAV file."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()


def float_wav(samples: np.ndarray) -> bytes:
    """int16 [n] as a WAV file of 32-bit floats; the module wave knows integers only."""
    body = (samples / 32768).astype("<f4").tobytes()
    layout = (3).to_bytes(2, "little") + (1).to_bytes(2, "little") + RATE.to_bytes(4, "little")
    layout += (4 * RATE).to_bytes(4, "little") + (4).to_bytes(2, "little") + (32).to_bytes(2, "little")
    chunks = b"fmt " + (16).to_bytes(4, "little") + layout + b"data" + len(body).to_bytes(4, "little") + body
    return b"RIFF" + (4 + len(chunks)).to_bytes(4, "little") + b"WAVE" + chunks


def sound(rng: np.random.Generator) -> np.ndarray:
    """0.2 to 0.7 s of a tone in noise, int16."""
    n = int(rng.uniform(0.2, 0.7) * RATE)
    tone = 6_000 * np.sin(2 * np.pi * rng.uniform(100, 900) / RATE * np.arange(n))
    return (tone + rng.normal(0, 900, n)).astype(np.int16)


def _audio(rng: np.random.Generator, kind: str | None) -> bytes | None:
    """The file of a clip of this kind (one of REPAIRABLE or BROKEN, or None)."""
    samples = sound(rng)
    match kind:
        case "null":
            return None
        case "empty":
            return b""
        case "unreadable":
            return rng.bytes(2_000)
        case "truncated":
            return wav(samples)[: len(samples)]
        case "silent":
            return wav(np.zeros_like(samples))
        case "zero length":
            return wav(samples[:0])
        case "8 kHz":
            return wav(samples[::2], RATE // 2)
        case "stereo":
            return wav(np.stack([samples, samples // 2], axis=1))
        case "float":
            return float_wav(samples)
    return wav(samples)


def _reference(rng: np.random.Generator, district: District, kind: str | None) -> str | None:
    """How a clip names its picture: as it is called, or nearly."""
    if kind in ("null reference", "empty reference"):
        return None if kind == "null reference" else ""
    if kind == "missing picture":
        return "Images/IISc_VaaniProject_GENERIC_9999.jpg"
    if kind == "broken picture":
        return "Images/IISc_VaaniProject_GENERIC_bomb.png"
    own = rng.random() < 0.3
    name = f"{district.folder}-SPECIFIC_{rng.integers(SPECIFIC):05}" if own else f"GENERIC_{rng.integers(GENERIC):04}"
    path = f"Images/IISc_VaaniProject_{name}.jpg"
    drifted = ["/" + path, path.removeprefix("Images/"), path.upper(), path[:-3] + "jpeg", path[:-4]]
    return rng.choice([path] * 5 + drifted)


def _rows(district: District, shard: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng([SEED, DISTRICTS.index(district), shard])
    ordinal = sum(other.shards for other in DISTRICTS[: DISTRICTS.index(district)]) + shard
    broken = dict(islice(cycle(BROKEN.items()), ordinal * BROKEN_OF_A_SHARD, (ordinal + 1) * BROKEN_OF_A_SHARD))
    rows = []
    for row in range(CLIPS):
        kind = (broken | REPAIRABLE).get(row)
        language = district.languages[min(int(rng.exponential(0.8)), len(district.languages) - 1)]
        speaker = f"{district.folder[:4]}{rng.integers(8):05}"
        content = _audio(rng, kind)
        name: str | None = f"IISc_VaaniProject_M_{district.state}_{district.folder}_{speaker}_GENERIC_{shard}_{row}.wav"
        if kind in ("unnamed", "unsafe name"):
            name = None if kind == "unnamed" else f"../../{name}"
        transcript = "<pause> ek ghar {house}" if rng.random() < 0.1 else ""
        rows.append({
            "audio": {"bytes": content, "path": name},
            "language": None if kind == "no language" else language,
            "languagesKnown": "Hindi, English",
            "gender": rng.choice(["Male", "Female"]),
            "state": district.state,
            "district": district.spelling if shard % 2 == 0 else district.folder,
            "pincode": int(rng.integers(100_000, 900_000)),
            "stay(years)": str(rng.integers(1, 60)),
            "isTranscriptionAvailable": "Yes" if transcript else "No",
            "transcript": transcript,
            "referenceImage": _reference(rng, district, kind),
            "speakerID": "NA" if kind == "unknown speaker" else speaker,
            "duration": len(content or b"") / 2 / RATE,
        })  # fmt: skip
        if kind == "duplicate":
            rows[-1]["audio"]["bytes"] = rows[0]["audio"]["bytes"]
    return rows


def audio_shard(district: District, shard: int) -> bytes:
    """One shard of clips in the columns of its district's era."""
    table = _table(_rows(district, shard), "audio")
    if district.era == "phase 1":
        table = table.drop_columns(["speakerID", "duration"])
    if district.era == "renamed":
        other = {"speakerID": "speaker_id", "referenceImage": "reference_image", "duration": "Duration"}
        table = table.rename_columns(other | {name: name for name in table.column_names if name not in other})
        table = table.drop_columns(["pincode"])
    return _parquet(table)


def picture(name: str) -> Image.Image:
    """A picture that no other name has: eight by eight squares of colour."""
    squares = np.random.default_rng(list(name.encode())).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(squares).resize((96, 72), Image.Resampling.BICUBIC)


def image_shard(shard: int) -> bytes:
    """Shard 0: the pictures of all districts, some twice, and broken ones. Shard 1: the districts' own."""
    if shard == 0:
        names = [f"GENERIC_{number:04}" for number in range(GENERIC)]
    else:
        names = [f"{district.folder}-SPECIFIC_{number:05}" for district in DISTRICTS for number in range(SPECIFIC)]
    files = {f"Images/IISc_VaaniProject_{name}.jpg": encode(picture(name), "JPEG", quality=90) for name in names}
    if shard == 0:
        first, second = list(files)[:2]
        files["Images/twin.jpg"] = files[first]  # the same bytes under another name
        files["Images/again.jpg"] = encode(picture("GENERIC_0001"), "JPEG", quality=70)  # the same picture in others
        files["Images/broken.jpg"] = files[second][: len(files[second]) // 2]
        files["Images/IISc_VaaniProject_GENERIC_bomb.png"] = encode(Image.new("1", (12_000, 12_000)), "PNG")
        files["Images/none.jpg"] = b"no picture"
    return _parquet(_table([{"image": {"bytes": content, "path": path}} for path, content in files.items()], "image"))


def _table(rows: list[dict[str, Any]], media: str) -> pyarrow.Table:
    columns = {name: [row[name] for row in rows] for name in rows[0] if name != media}
    return pyarrow.table({media: pyarrow.array([row[media] for row in rows], MEDIA), **columns})


def _parquet(table: pyarrow.Table) -> bytes:
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(table, buffer, row_group_size=ROW_GROUP)
    return buffer.getvalue()
