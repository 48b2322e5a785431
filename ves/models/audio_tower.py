"""The audio tower: a speech backbone, the pooling of its frames, and a head.

Dimension key
    A clips         L samples       T audio tokens      D embedding
"""

import logging
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ves.base.checksums import weight_hash
from ves.config.experiment import AudioConfig
from ves.media.audio import POOL, FrameGrid
from ves.models import preprocessing
from ves.models.backbone import backbone_folder
from ves.models.heads import finished, projection
from ves.models.pretrained import load_pretrained
from ves.models.speech import hidden_states, limit_attention, quicken, time_mask, unit_variance

log = logging.getLogger(__name__)


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
