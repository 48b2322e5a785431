"""What can be wrong with a folder of films before any job starts, and which files say what clips there are."""

from pathlib import Path

from ves.config.corpus import VideoConfig
from ves.config.experiment import Config
from ves.sources.video.folder import films


def check(video: VideoConfig, config: Config) -> None:
    """Check that there are the folder, films in it, a readable table, and enough recordings for the split. Raises
    ValueError that begins with the key."""
    usable = [film for film in films(video) if film.fault is None]
    given = {film.split for film in usable}
    least = sum(getattr(config.split, name) for name in ("val", "tune") if name not in given)  # those are not drawn
    if (most := len({film.recording for film in usable})) < least:
        raise ValueError(
            f"split.val: val and tune need {least} pairs, each of another recording, but {video.folder} has only "
            f"{most} that can be used; lower split.val or split.tune (a fifth of the films for both is a good size)"
        )


def inputs(video: VideoConfig) -> list[Path]:
    """The table: a row that is added there is another label or split under the same settings."""
    return [] if video.table is None else [Path(video.table)]
