"""The two towers: sound to audio tokens, pictures to image tokens, both in one space of D dimensions.

A picture is given as the patch tokens that a frozen backbone has made of it or, where training moves the backbone too,
as pixels.

The towers return tokens and masks and know neither similarities nor losses. Backbones of the hub, local folders and
the stand-ins of this repository load with the same call.

Dimension key
    A clips         L samples       T audio tokens      D embedding
    V images        P patches       W backbone width    S side of the square of pixels
"""

import json
import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from ves.config.experiment import AudioConfig, ModelConfig, RunConfig, VisionConfig, run_config
from ves.media.audio import FrameGrid
from ves.models.audio_tower import AudioTower
from ves.models.image_tower import ImageTower
from ves.models.parts import part_of

SPEECH = "speech"  # key in the header of model.safetensors: the speech backbone in training (AudioTower.origin)


class VeS(nn.Module):
    """Both towers and the temperature. All weights can be trained but for those that `learn` rules out."""

    def __init__(
        self,
        audio: AudioConfig,
        model: ModelConfig,
        width: int,
        temperature: float,
        vision: VisionConfig | None = None,
        normalise: str = "tokens",
    ) -> None:
        """`width` is that of the vision backbone's tokens; `vision` is given where the backbone is trained too."""
        super().__init__()
        self.audio = AudioTower(audio, model.dim, normalise)
        self.visual = ImageTower(model, width, vision, normalise)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / temperature)))
        self._learned = [name for name, parameter in self.named_parameters() if parameter.requires_grad]

    def learn(self, parts: Collection[str]) -> None:
        """Freeze for good all parts but these (ves.models.parts): what this model ever learns, and what is saved."""
        self._learned = [name for name in self._learned if part_of(name) in parts]
        learned = set(self._learned)
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name in learned)

    def let_move(self, parts: Collection[str]) -> None:
        """Let the next gradient reach these parts only, of those that the model learns."""
        for name, parameter in self.learned.items():
            parameter.requires_grad_(part_of(name) in parts)

    @property
    def learned(self) -> dict[str, nn.Parameter]:
        """The parameters that training ever changes, by name; some may not move yet."""
        parameters = dict(self.named_parameters())
        return {name: parameters[name] for name in self._learned}

    @property
    def grid(self) -> FrameGrid:
        """Frame arithmetic of the audio tower."""
        return self.audio.grid

    def audio_tokens(
        self, waveform: Float[Tensor, "A L"], valid: Int[Tensor, "A"]
    ) -> tuple[Float[Tensor, "A T D"], Bool[Tensor, "A T"]]:
        """See AudioTower.forward."""
        return self.audio(waveform, valid)

    def image_tokens(
        self,
        pictures: Float[Tensor, "V P W"] | Float[Tensor, "V 3 S S"],
        image_mask: Bool[Tensor, "V P"] | None = None,
    ) -> Float[Tensor, "V P D"]:
        """See ImageTower.forward; pictures may have any floating type."""
        return self.visual(pictures.to(self.log_scale.dtype), image_mask)

    @property
    def is_stochastic(self) -> bool:
        """Whether a forward pass in training is random: dropout of any kind, layer drop, SpecAugment."""
        config = self.audio.backbone.config.to_dict()
        rates = [rate for name, rate in config.items() if name.endswith("dropout") and isinstance(rate, float)]
        rates += [config.get("layerdrop", 0.0), self.audio.settings.mask_time_prob]
        dropped = [part.p for part in self.modules() if isinstance(part, nn.Dropout)]
        dropped += [getattr(part, "drop_prob", None) or 0.0 for part in self.visual.modules()]  # of whole paths
        return any(rates) or any(dropped)

    def recompute_layers(self) -> None:
        """Gradient checkpointing: training keeps only the inputs of layers; backward computes the rest again."""
        self.audio.backbone.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
        self.visual.recompute = True
        if self.visual.backbone is not None:
            backbone: Any = self.visual.backbone
            backbone.gradient_checkpointing_enable({"use_reentrant": False})

    def trainable(self) -> dict[str, Tensor]:
        """What training changes, by name: the weights that it ever moves, and the buffers of their parts, such as the
        statistics of a batch norm. Together with config.json they are a complete model."""
        parts = {part_of(name) for name in self._learned}
        buffers = {name for name, _ in self.named_buffers() if part_of(name) in parts}
        kept = buffers.intersection(self.state_dict()).union(self._learned)  # some buffers are never saved
        return {name: tensor.detach() for name, tensor in self.state_dict().items() if name in kept}

    @property
    def header(self) -> dict[str, str]:
        """Metadata for the file of the trained weights, which lacks the frozen part of the backbone: its origin.

        One entry, since safetensors writes several in no fixed order.
        """
        return {SPEECH: json.dumps(self.audio.origin, sort_keys=True)}

    def load_trainable(self, state: dict[str, Tensor], origin: Path) -> None:
        """Load the weights of `trainable()`. Raises ValueError, naming the file, when names or shapes do not match."""
        own = self.trainable()
        difference = set(own) ^ set(state) or {name for name in own if own[name].shape != state[name].shape}
        if difference:
            raise ValueError(f"{origin}: not weights of this configuration: {', '.join(sorted(difference)[:3])} ...")
        self.load_state_dict(state, strict=False)


def new_model(config: RunConfig, width: int) -> VeS:
    """The model of a run before its first step; `width` is that of the vision backbone's tokens."""
    train = config.train
    model = VeS(config.audio, config.model, width, train.temperature, config.vision, train.normalise)
    model.learn(train.moving)
    return model


def load(run: Path) -> tuple[VeS, RunConfig]:
    """The trained model of a run directory (config.json and model.safetensors), in evaluation mode."""
    config = run_config(run)
    return restore(config, run / "model.safetensors"), config


def restore(config: RunConfig, weights: Path) -> VeS:
    """The model of a configuration with these weights, in evaluation mode.

    Raises ValueError that names the file; also when the speech backbone has other weights than in training.
    """
    try:
        state = load_file(weights)
        with safe_open(weights, "pt") as opened:
            origin = json.loads((opened.metadata() or {}).get(SPEECH, "null"))
    except SafetensorError as error:
        raise ValueError(f"{weights}: damaged weights ({error}); train again or copy the file again") from error
    if (head := state.get("visual.head.0.weight")) is None:
        raise ValueError(f"{weights}: not the weights of a VeS model; name a run that `ves train` has finished")
    model = new_model(config, head.shape[1])
    model.load_trainable(state, weights)
    model.audio.restore_origin(origin, weights)
    return model.eval()
