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
import logging
import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

from ves.base.checksums import weight_hash
from ves.base.precision import widened
from ves.config.experiment import AudioConfig, ModelConfig, RunConfig, VisionConfig, run_config
from ves.media.audio import POOL, FrameGrid
from ves.models import preprocessing
from ves.models.backbone import backbone_folder
from ves.models.parts import part_of
from ves.models.pretrained import load_pretrained
from ves.models.speech import hidden_states, limit_attention, quicken, time_mask, unit_variance
from ves.models.vision import load_trainable, patches_of

log = logging.getLogger(__name__)

SPEECH = "speech"  # key in the header of model.safetensors: the speech backbone in training (AudioTower.origin)


def projection(kind: str, width: int, dim: int) -> nn.Sequential:
    """The head of a tower: `mlp` is linear - LayerNorm - linear (VeS), `linear` a single layer (AV-Align)."""
    if kind == "linear":
        return nn.Sequential(nn.Linear(width, dim))
    return nn.Sequential(nn.Linear(width, dim), nn.LayerNorm(dim), nn.Linear(dim, dim))


def finished(tokens: Float[Tensor, "*N D"], normalise: str) -> Float[Tensor, "*N D"]:
    """Tokens as similarities take them: of length 1, or as the head has made them, which says how sure it is."""
    return F.normalize(widened(tokens), dim=-1) if normalise == "tokens" else widened(tokens)


def speech_folder(audio: AudioConfig) -> Path:
    """The folder of the backbone (ves.models.backbone). Raises ValueError that names the key."""
    return backbone_folder("audio.backbone", audio.backbone, audio.revision)


def load_speech_backbone(audio: AudioConfig) -> nn.Module:
    """HuBERT or a relative, its weights in torch's default type.

    Random masking and layer drop come from the configuration, not from transformers' defaults (0.05 and 0.1). The tower
    makes the masks over time itself (ves.models.speech); channels are not masked. Layer drop is that of transformers,
    which uses torch's default CPU generator.

    On a CPU plain attention is the fast one: in bfloat16, forward and backward take two thirds of the time of sdpa.

    Raises ValueError that names the key or the file when VeS does not read this kind, or when weights are missing.
    """
    backbone = load_pretrained(
        speech_folder(audio),
        dtype=torch.get_default_dtype(),
        attn_implementation="sdpa" if torch.cuda.is_available() else "eager",
        apply_spec_augment=audio.mask_time_prob > 0,
        mask_time_prob=audio.mask_time_prob,
        mask_feature_prob=0.0,
        layerdrop=audio.layer_drop,
    )
    if not torch.cuda.is_available():
        quicken(backbone)
    if audio.attention_window is not None:
        limit_attention(backbone, audio.attention_window)
    return backbone


@contextmanager
def plain_attention(device: torch.device) -> Iterator[None]:
    """On a CPU, make attention a product, a softmax and a product, in bfloat16 if its inputs are.

    Forward and backward of an adapter layer then take two thirds of the time of the fused kernel, whose backward is
    slow in bfloat16. The switch has cuda in its name but works on a CPU too.
    """
    if device.type != "cpu":
        yield
        return
    before = torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed()
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(before)


class AudioTower(nn.Module):
    """Waveform to audio tokens and the mask of valid ones."""

    def __init__(self, audio: AudioConfig, dim: int, normalise: str = "tokens") -> None:
        super().__init__()
        self.settings, self.normalise = audio, normalise
        backbone: Any = load_speech_backbone(audio)  # transformers declares the types of neither parts nor settings
        self.backbone, config = backbone, backbone.config
        self.folder = Path(backbone.name_or_path)  # it was loaded from here; the hub may have another commit now
        self.origin = {"weight_hash": weight_hash(self.folder), "unit_variance": preprocessing.of_sound(self.folder)}
        pool = POOL if audio.pool == "mean_2" else 1
        self.grid = FrameGrid(tuple(config.conv_kernel), tuple(config.conv_stride), pool)
        self.frames = FrameGrid(tuple(config.conv_kernel), tuple(config.conv_stride), 1)  # before pooling
        self.head = projection(audio.head, config.hidden_size, dim)
        if audio.freeze_conv:
            backbone.feature_extractor._freeze_parameters()

    def forward(
        self, waveform: Float[Tensor, "A L"], valid: Int[Tensor, "A"]
    ) -> tuple[Float[Tensor, "A T D"], Bool[Tensor, "A T"]]:
        """Tokens and mask of waveforms that are padded to one length; their first `valid` samples are speech.

        HuBERT normalises over time, so a clip must always be padded to the length of training, as
        ves.media.audio.window does.
        """
        waveform = waveform.to(next(self.head.parameters()).dtype)
        masked = self._spec_augment(waveform, valid)
        expected = unit_variance(waveform, valid) if self.origin["unit_variance"] else waveform
        hidden = hidden_states(self.backbone, expected, valid, self.grid, mask_time_indices=masked)
        pool = self.grid.pool
        pooled = F.avg_pool1d(hidden.transpose(1, 2), pool).transpose(1, 2) if pool > 1 else hidden
        tokens = finished(self.head(pooled), self.normalise)
        mask = self.grid.mask(valid, tokens.shape[1])
        if self.settings.mask == "non_silent":
            mask = self.grid.non_silent(waveform, self.settings.silence_db, mask)
        return tokens, mask

    def restore_origin(self, origin: dict[str, Any] | None, weights: Path) -> None:
        """Go by what the header of the trained `weights` says about the backbone; None if it says nothing.

        Sound is normalised as it was in training, whatever the backbone's folder says now. Raises ValueError when the
        backbone has other weights now and some of them are frozen, so that the run does not have them.
        """
        frozen = not all(parameter.requires_grad for parameter in self.backbone.parameters())  # some of them, for good
        if origin is None:  # from a version without this header, which never normalised to unit variance
            origin = self.origin | {"unit_variance": False}
            if frozen:
                log.warning(
                    "%s: does not say which weights %s had in training, so they cannot be compared",
                    weights,
                    self.folder,
                )
        if frozen and origin["weight_hash"] != self.origin["weight_hash"]:
            raise ValueError(
                f"{self.folder}: its weights are not those that {weights} was trained with; put these back"
            )
        self.origin = origin

    def _spec_augment(self, waveform: Float[Tensor, "A L"], valid: Int[Tensor, "A"]) -> Bool[Tensor, "A F"] | None:
        """Encoder frames to mask in this step of training; None where the setting is off, and outside training."""
        if not (self.training and self.settings.mask_time_prob):
            return None
        frames = self.frames.tokens(waveform.shape[1])
        speech = self.frames.mask(valid, frames).sum(1)
        span, fewest = self.backbone.config.mask_time_length, self.backbone.config.mask_time_min_masks
        return time_mask(speech, frames, self.settings.mask_time_prob, span, fewest).to(waveform.device)


class ImageTower(nn.Module):
    """Pictures to image tokens: layers and a head over the patch tokens of a backbone, which is a part of the tower
    where training moves it, and otherwise has made them before."""

    def __init__(
        self, model: ModelConfig, width: int, vision: VisionConfig | None = None, normalise: str = "tokens"
    ) -> None:
        super().__init__()
        self.normalise = normalise
        self.backbone = None if vision is None else load_trainable(vision)
        layer = nn.TransformerEncoderLayer(
            width, model.visual_heads, dim_feedforward=4 * width, dropout=model.dropout, batch_first=True
        )
        encoder: Any = nn.TransformerEncoder(layer, model.visual_layers, enable_nested_tensor=False)
        self.layers = encoder if model.visual_layers else None  # without layers: a linear probe of the frozen tokens
        self.head = projection(model.visual_head, width, model.dim)
        self.recompute = False  # whether backward computes a layer again, instead of forward keeping what it needs

    def forward(
        self,
        pictures: Float[Tensor, "V P W"] | Float[Tensor, "V 3 S S"],
        image_mask: Bool[Tensor, "V P"] | None = None,
    ) -> Float[Tensor, "V P D"]:
        """Image tokens of patch tokens or, with a backbone, of pixels as it expects them (ves.media.images.pixels). No
        patch attends to those outside the mask (padding of the square) in the layers; in a backbone all attend to all.
        """
        patches = pictures if self.backbone is None else patches_of(self.backbone, pictures)
        hidden = None if image_mask is None else ~image_mask
        with plain_attention(patches.device):
            if self.layers is not None and self.recompute and self.training:
                for layer in self.layers.layers:
                    output: Any = checkpoint(layer, patches, src_key_padding_mask=hidden, use_reentrant=False)
                    patches = output
            elif self.layers is not None:
                patches = self.layers(patches, src_key_padding_mask=hidden)
        return finished(self.head(patches), self.normalise)


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
