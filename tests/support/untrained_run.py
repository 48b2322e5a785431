"""A run whose model was never trained: for tests of what reads a model, whatever it has learnt."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from ves.base.files import write_json
from ves.config.experiment import Config, DataPaths, RunConfig
from ves.models.towers import VeS
from ves.training.dataset import PairReader


def write_untrained_run(folder: Path, config: Config, data: DataPaths) -> Path:
    """The folder, with config.json and model.safetensors of a run of `dense`; the same weights each time."""
    settings = RunConfig(
        run=folder.name,
        seed=0,
        data=data,
        audio=config.audio,
        vision=None,
        model=config.model,
        train=config.train_of("dense"),
    )
    write_json(folder / "config.json", settings.model_dump(mode="json"))
    torch.manual_seed(0)
    width = PairReader(data, config.audio.seconds).patches(np.array([0]))[0].shape[-1]
    model = VeS(config.audio, config.model, width, config.train.temperature)
    save_file({name: value.contiguous() for name, value in model.trainable().items()}, folder / "model.safetensors")
    return folder
