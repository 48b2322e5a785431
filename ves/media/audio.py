"""Sound: the window of a clip that the model hears, and which token stands for which moment of it.

Dimension key
    A clips    L samples of a window    T audio tokens
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int16

RATE = 16_000  # Hz, everywhere
POOL = 2  # encoder frames to one audio token (the paper: average pooling, kernel 2, stride 2)


class BadAudio(ValueError):
    """A clip that cannot be used. `reason` is a word for refused.parquet, `detail` says more."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


def window(samples: Int16[np.ndarray, " n"], seconds: float) -> tuple[Float32[np.ndarray, " L"], int]:
    """What the model hears: the first `seconds` of a clip, peak-normalised over that part, zero-padded to length L;
    and how many samples of it are not padding. A part without sound stays zero.

    It always has the full length: HuBERT's first layer normalises over the whole time axis, so that another amount of
    padding would change every token.
    """
    waveform = np.zeros(round(seconds * RATE), np.float32)
    part = samples[: len(waveform)].astype(np.float32)
    waveform[: len(part)] = part / max(np.abs(part).max(initial=0), 1.0)
    return waveform, len(part)


@dataclass(frozen=True)
class FrameGrid:
    """Which samples each audio token sees: convolutions without padding (HuBERT's front end; its transformer keeps the
    length), then average pooling of `pool` frames with stride `pool`.

    Together these are one sliding window of `field` samples that moves by `hop`, so all arithmetic is on those two.
    DistilHuBERT (field 400, hop 320) makes 249 frames of 5 s; pooled by 2, they are 124 tokens of 40 ms, and the last
    frame is left over.
    """

    kernels: tuple[int, ...]
    strides: tuple[int, ...]
    pool: int

    def __post_init__(self) -> None:
        if len(self.kernels) != len(self.strides) or min(self.kernels + self.strides + (self.pool,)) < 1:
            raise ValueError(
                f"kernels {self.kernels}, strides {self.strides}, pool {self.pool}: one of each per layer, all above 0"
            )

    @classmethod
    def from_attrs(cls, attrs: Mapping[str, Any]) -> "FrameGrid":
        """The grid whose `attrs` these are."""
        return cls(tuple(attrs["kernels"]), tuple(attrs["strides"]), attrs["pool"])

    @property
    def attrs(self) -> dict[str, Any]:
        """The grid as JSON, for the attributes of a store."""
        return {"kernels": list(self.kernels), "strides": list(self.strides), "pool": self.pool}

    @cached_property
    def _frame(self) -> tuple[int, int]:
        """Field and hop of one encoder frame, before pooling, in samples."""
        field = 1 + sum((k - 1) * prod(self.strides[:i]) for i, k in enumerate(self.kernels))
        return field, prod(self.strides)

    def frames(self, samples: Any) -> Any:
        """Number of encoder frames, before pooling, from a number of samples (an integer, or a tensor of them)."""
        field, hop = self._frame
        return (samples - field) // hop + 1

    def samples(self, frames: int) -> int:
        """Number of samples that a number of encoder frames see."""
        field, hop = self._frame
        return field + (frames - 1) * hop

    @property
    def hop(self) -> int:
        """Samples from one token to the next."""
        return self._frame[1] * self.pool

    @property
    def field(self) -> int:
        """Samples that one token is computed from (before the transformer mixes them)."""
        return self._frame[0] + self._frame[1] * (self.pool - 1)

    @property
    def hop_s(self) -> float:
        """Seconds from one token to the next."""
        return self.hop / RATE

    def tokens(self, samples: int) -> int:
        """Number of tokens from a number of samples; 0 if these are fewer than `field`."""
        return max(0, (samples - self.field) // self.hop + 1)

    def span(self, token: int) -> tuple[float, float]:
        """Seconds (start, end) that a token stands for: one hop about the centre of its field, so spans tile time."""
        start = (token * self.hop + (self.field - self.hop) / 2) / RATE
        return start, start + self.hop_s

    def within(self, start_s: float, end_s: float, tokens: int) -> Bool[np.ndarray, " T"]:
        """Tokens whose centre lies in [start_s, end_s); if none does, the one nearest to the middle of that interval.

        Whether a word lies in the window at all is for the caller to say: one behind it would get the last token.
        """
        centres = (np.arange(tokens) * self.hop + self.field / 2) / RATE
        inside = (start_s <= centres) & (centres < end_s)
        if tokens and not inside.any():
            inside[np.abs(centres - (start_s + end_s) / 2).argmin()] = True
        return inside

    def mask(self, valid: Int[Any, " A"], tokens: int) -> Bool[Any, "A T"]:
        """Tokens that are not padding, for torch tensors: at least half of their frames see nothing but valid samples.

        With pool 2, a token counts when the first of its two frames does, as in the reference code (which pools the
        mask of samples instead of counting frames, and so may differ by one token at the border). The first token
        always counts.
        """
        import torch

        frames = self.frames(valid).clamp(min=0)
        token = torch.arange(tokens, device=valid.device)
        pooled = (frames[:, None] - token * self.pool).clamp(0, self.pool)  # A T: valid frames in each token
        return (2 * pooled >= self.pool) | (token == 0)

    def non_silent(
        self, waveform: Float[Any, "A L"], silence_db: float, mask: Bool[Any, "A T"] | None = None
    ) -> Bool[Any, "A T"]:
        """Tokens loud enough to be speech, for torch tensors: the root mean square over the token's field is at least
        `silence_db` (below 0) relative to the peak of the clip's whole waveform.

        With `mask`, only among its tokens. The loudest token always counts, so that every clip has one.
        """
        from ves.base.precision import widened  # not before: it loads torch

        fields = widened(waveform).unfold(1, self.field, self.hop)  # A T field
        rms = fields.square().mean(-1).sqrt()
        loud = (rms >= waveform.abs().amax(1, keepdim=True) * 10 ** (silence_db / 20)) & (rms > 0)
        if mask is not None:
            loud, rms = loud & mask, rms.masked_fill(~mask, -1)
        return loud.scatter(1, rms.argmax(1, keepdim=True), True)
