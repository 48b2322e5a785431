"""Settings of a Spoken Scenes that is made in seconds."""

from typing import Any

from ves.config.corpus import ScenesConfig

LITTLE: dict[str, Any] = {
    "seed": 3, "images": 40, "clips": 150, "languages": ["hi", "ta", "ur"], "speakers": 12, "audio_shards": 4,
    "image_shards": 2, "broken": 0.4, "objects": (2, 6), "mentions": (1, 4), "kinds": 48, "repainted": 0.2,
    "colour_said": 0.8, "snr_db": (5.0, 30.0),
    "code_switching": 0.2, "image_side": (200, 420),
}  # fmt: skip


def settings(**changes: Any) -> ScenesConfig:
    """The little settings with these changed."""
    return ScenesConfig(**(LITTLE | changes))
