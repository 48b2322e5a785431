"""Settings of the speech tower, small enough for tests."""

from ves.config.experiment import AudioConfig


def audio_config(backbone: str = "ves/standins/hubert-scenes", **changes) -> AudioConfig:
    values = {
        "backbone": backbone,
        "revision": None,
        "seconds": 2.0,
        "mask": "valid",
        "silence_db": -40.0,
        "freeze_conv": True,
        "mask_time_prob": 0.0,
        "layer_drop": 0.0,
        "attention_window": None,
        "pool": "mean_2",
        "head": "mlp",
    }
    return AudioConfig(**(values | changes))
