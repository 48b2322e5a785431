"""Settings of a small Sounding Scenes."""

from ves.config.corpus import SoundingConfig

SETTINGS = {
    "seed": 8,
    "films": 60,
    "seconds": 4.0,
    "segment_s": None,
    "shards": 2,
    "languages": ["hi", "ta"],
    "speakers": 6,
    "objects": [2, 4],
    "mentions": [1, 2],
    "kinds": 30,
    "repainted": 0.2,
    "colour_said": 0.5,
    "snr_db": [20.0, 30.0],
    "code_switching": 0.1,
    "image_side": [120, 160],
}


def settings(**changes) -> SoundingConfig:
    return SoundingConfig(**SETTINGS | changes)
