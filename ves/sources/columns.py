"""What the columns of a source are called: names drift between districts and revisions, and other people's differ.

Read by the survey, which sees footers only, and by ingest: both must mean the same columns.
"""

import re
from collections.abc import Iterable

NAMES = {  # our name: spellings of a source; compared without case, "_", "-", spaces and brackets
    "language": ("language",),
    "district": ("district",),
    "state": ("state",),
    "speaker": ("speakerID", "speaker_id", "speaker"),
    "image_reference": ("referenceImage", "reference_image", "imageFileName"),
    "given_split": ("givenSplit",),
    "duration_s": ("duration",),
    "transcript": ("transcript",),
    "refused": ("refused",),
    "refused_detail": ("refusedDetail",),
}


def _plain(name: str) -> str:
    return re.sub(r"[_\-\s()]", "", name).lower()


def find(columns: Iterable[str], source: str) -> dict[str, str]:
    """Our name and the source's own, of every column of NAMES that is there; others are not ours.

    Raises ValueError that names `source` when two of its columns go by one of our names: which is meant is not known.
    """
    columns, found = list(columns), {}
    for name, spellings in NAMES.items():
        plain = {_plain(spelling) for spelling in spellings}
        if one := _only([column for column in columns if _plain(column) in plain], name, source):
            found[name] = one
    return found


def media_column(columns: Iterable[str], media: str, source: str) -> str | None:
    """The column of the files themselves, `media` being "audio" or "image"; None without. Raises as `find` does."""
    return _only([column for column in columns if _plain(column) == media], media, source)


def _only(there: list[str], name: str, source: str) -> str | None:
    if len(there) > 1:
        raise ValueError(f"{source}: columns {' and '.join(there)} may both be the {name}; rename or drop all but one")
    return there[0] if there else None
