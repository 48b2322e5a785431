"""Settings of a corpus of films."""

from pathlib import Path
from typing import Any

from ves.config.corpus import VideoConfig


def settings(folder: Path, **other: Any) -> VideoConfig:
    """Films of a folder in segments of a second with two pictures each, two films to a shard, unless said otherwise."""
    usual: dict[str, Any] = {"layout": "films", "segment_s": 1.0, "at": "all", "frames": 2, "side": None, "table": None}
    usual |= {"language": "none", "files_per_shard": 2}
    return VideoConfig(folder=str(folder), **(usual | other))
