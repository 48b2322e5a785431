"""The names of a source's columns, which differ between districts, revisions and owners.

The survey, which reads footers only, and ingest both use this table, so that they mean the same columns.
"""

import re
from collections.abc import Iterable

NAMES = {  # our name: names in sources, compared without case, "_", "-", spaces and parentheses
    "language": ("language",),
    "district": ("district",),
    "state": ("state",),
    "speaker": ("speakerID", "speaker_id", "speaker"),
    "image_reference": ("referenceImage", "reference_image", "imageFileName"),
    "given_split": ("givenSplit",),
    "duration_s": ("duration",),
    "transcript": ("transcript",),
    "recording_id": ("recordingID",),
    "segment": ("segment",),
    "frames": ("frames",),
    "refused": ("refused",),
    "refused_detail": ("refusedDetail",),
}


def _plain(name: str) -> str:
    return re.sub(r"[_\-\s()]", "", name).lower()


def find(columns: Iterable[str], source: str) -> dict[str, str]:
    """Our name and the source's own name of each column in NAMES that the source has.

    Raises ValueError that names `source` if two of its columns match one of our names.
    """
    columns, matches = list(columns), {}
    for name, spellings in NAMES.items():
        plain = {_plain(spelling) for spelling in spellings}
        if one := _only([column for column in columns if _plain(column) in plain], name, source):
            matches[name] = one
    return matches


def media_column(columns: Iterable[str], media: str, source: str) -> str | None:
    """The column of the files themselves, for `media` "audio" or "image"; None if missing. Raises as `find` does."""
    return _only([column for column in columns if _plain(column) == media], media, source)


def _only(matches: list[str], name: str, source: str) -> str | None:
    if len(matches) > 1:
        raise ValueError(
            f"{source}: columns {' and '.join(matches)} may both be the {name}; rename or drop all but one"
        )
    return matches[0] if matches else None
