"""What can be wrong with a folder of films before any job starts, and which files say what clips there are."""

from pathlib import Path

from ves.config.corpus import VideoConfig
from ves.config.experiment import Config
from ves.sources.video.folder import films


def check(video: VideoConfig, _config: Config) -> None:
    """Check that there are the folder, films in it and a readable table. Raises ValueError that begins with the key."""
    films(video)


def inputs(video: VideoConfig) -> list[Path]:
    """The table: a row that is added there is another label or split under the same settings."""
    return [] if video.table is None else [Path(video.table)]
