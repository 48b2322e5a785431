"""What a shard may say of recordings: which one a clip was cut from, its number in it, and all pictures of the clip.

Clips that were cut from one recording or film share a `recordingID`. `segment` counts them from 0, and `frames` names
the pictures of a clip in the order of time; `referenceImage` is one of them. A shard without these columns has none of
it in its part, and a manifest of such parts neither.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from ves.corpus.refusals import unsafe
from ves.sources.columns import NAMES

COLUMNS = {"recording_id": pl.String, "segment": pl.UInt32, "frames": pl.List(pl.String)}  # of a part
LAST = 2**32 - 1  # segment


def columns_of(source: Path, schema: pa.Schema, names: Mapping[str, str]) -> dict[str, str]:
    """Those of COLUMNS that a shard has, with its own names for them; `names` has the names of all its columns.

    Raises ValueError if one is of a wrong type, or if segments are numbered of no recording.
    """
    own = {ours: names[ours] for ours in COLUMNS if ours in names}
    if "segment" in own and "recording_id" not in own:
        raise ValueError(
            f"{source}: column {own['segment']} counts the clips of recordings, but there is no column "
            f"{NAMES['recording_id'][0]}; add it, or rename {own['segment']}"
        )
    right = {"recording_id": (_is_text_or_number, "text or numbers"), "segment": (_is_number, "whole numbers")}
    right["frames"] = (_is_list_of_texts, "lists of text, the names of pictures")
    for ours, name in own.items():
        fits, wanted = right[ours]
        kind = schema.field(name).type
        if not (pa.types.is_null(kind) or fits(kind)):
            raise ValueError(f"{source}: column {name} is {kind}; it has to be {wanted}")
    return own


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)  # pandas writes 17.0 for 17 beside a null


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _is_text_or_number(kind: pa.DataType) -> bool:
    return _is_text(kind) or _is_number(kind)


def _is_list_of_texts(kind: pa.DataType) -> bool:
    tests = pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list
    if not any(test(kind) for test in tests):
        return False
    return pa.types.is_null(kind.value_type) or _is_text(kind.value_type)


def fault(row: Mapping[str, Any]) -> tuple[str, str] | None:
    """Reason and detail for which a clip is refused if what its row says of recordings cannot be; None if it can.

    The reasons are `bad_segment`, `bad_frames` and `unsafe_name`.
    """
    segment, frames = row.get("segment"), row.get("frames")
    if segment is not None and row["recording_id"] is None:
        return "bad_segment", f"segment is {segment}, but the clip is of no recording"
    if segment is not None and not (0 <= segment <= LAST and segment == int(segment)):
        return "bad_segment", f"segment is {segment}; it has to be a whole number from 0"
    if frames is None:
        return None
    if not frames:
        return "bad_frames", "frames is an empty list; null means that there is one picture, that of the reference"
    for number, name in enumerate(frames):
        if not name:
            return "bad_frames", f"frame {number} of {len(frames)} has no name"
        if danger := unsafe(name):
            return "unsafe_name", f"frames: {name!r} has {danger}"
    if row["image_reference"] not in frames:
        return "bad_frames", f"the picture of the reference, {row['image_reference']}, is none of the frames"
    return None


def links(manifest: pl.LazyFrame, images: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of images (int64 [n] each, indices among `images`, their ids) that connect all frames of all clips of each
    recording, and the frames of each clip of no recording; none where the manifest has no recordings.

    Raises ValueError if a frame is none of the images.
    """
    if "frame_ids" not in manifest.collect_schema():
        return np.empty(0, np.int64), np.empty(0, np.int64)
    kind = pl.Enum(images)
    clips = manifest.select(
        pl.col("recording_id").cast(pl.Categorical).to_physical(),
        left=pl.col("image_id").cast(kind, strict=False).to_physical(),
        right=pl.col("frame_ids").cast(pl.List(kind), strict=False).to_physical(),
    ).collect(engine="streaming")
    if missing := (clips["right"].list.drop_nulls().list.len() != clips["right"].list.len()).sum():
        raise ValueError(f"{missing} clips of the manifest have frames that images.parquet lacks; run the merge again")
    own = clips.select("left", "right").explode("right").drop_nulls()
    shared = clips.drop_nulls("recording_id").select("left", right=pl.col("left").first().over("recording_id"))
    pairs = pl.concat([own, shared]).cast(pl.Int64)
    return pairs["left"].to_numpy(), pairs["right"].to_numpy()
