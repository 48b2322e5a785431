"""HuBERT's forward pass with less work on a CPU, for the same numbers.

Three things make transformers' own pass dear there. A mask of samples is built and summed (20 MB of integers for 32
clips of 5 s) to learn how many frames are valid, which is a formula. A front end that normalises over channels turns
its activations round twice a layer, unless they lie channels last. And every clip is computed at full length: no valid
frame sees padding, so clips of like length go together, cut to the longest of them. Two smaller things are mended in
the model itself (`quicken`). What differs is rounding only (tests/models/test_speech.py); on a GPU, where small groups
cost more than they save, nothing is cut.

SpecAugment over time (`time_mask`): spans of encoder frames that the backbone does not see in a step of training. They
are drawn as transformers' HuBERT draws them, but for three things: from torch's default CPU generator, not from
numpy's; within the speech of a clip, not in its padding; and the number of spans is rounded clip by clip, not with one
draw for all. Source: Park et al. 2019 (SpecAugment), as used by wav2vec 2.0 and HuBERT.

Dimension key
    A utterances    L samples    F frames    C channels    H hidden width    N heads    K width of a head
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, HubertModel
from transformers.masking_utils import eager_mask

from ves.base.precision import wide
from ves.media.audio import FrameGrid

GROUPS = 2  # of clips of like length: 4 were not faster
ATTENTION = "ves_plain"  # the name of `attention` for transformers


def attention(
    module: nn.Module,
    query: Float[Tensor, "A N F K"],
    key: Float[Tensor, "A N F K"],
    value: Float[Tensor, "A N F K"],
    attention_mask: Float[Tensor, "A 1 F F"] | None,
    scaling: float,
    dropout: float = 0.0,
    **_others: Any,
) -> tuple[Float[Tensor, "A F N K"], None]:
    """transformers' plain attention, but for a softmax in fp32 at least: in bfloat16 it takes twice as long."""
    scores = (query * scaling) @ key.transpose(2, 3)
    if attention_mask is not None:
        scores = scores + attention_mask
    weights = F.softmax(scores, dim=-1, dtype=wide(scores)).to(value.dtype)
    weights = F.dropout(weights, dropout, module.training)
    return (weights @ value).transpose(1, 2).contiguous(), None


AttentionInterface.register(ATTENTION, attention)
AttentionMaskInterface.register(ATTENTION, eager_mask)


class _FrameByFrame(nn.Module):
    """An activation of channels [A, C, F] that come cut from a longer tensor, and whose gradient lies frame by frame.

    Of two layouts the gradient of a GELU took 7 times as long as of one.
    """

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, channels: Float[Tensor, "A C F"]) -> Float[Tensor, "A C F"]:
        return self.activation(channels.transpose(1, 2).contiguous()).transpose(1, 2)


def quicken(backbone: nn.Module) -> None:
    """Let a HuBERT that runs on a CPU have `attention`, and one layout in its positional convolution."""
    model: Any = backbone
    if isinstance(backbone, HubertModel):
        model.set_attn_implementation(ATTENTION)
        embedding = model.encoder.pos_conv_embed
        embedding.activation = _FrameByFrame(embedding.activation)


def hidden_states(
    backbone: nn.Module, waveform: Float[Tensor, "A L"], valid: Int[Tensor, "A"], grid: FrameGrid, **masking: Any
) -> Float[Tensor, "A F H"]:
    """The last hidden states of waveforms padded to one length, of which the first `valid` samples are speech.

    On a CPU, frames behind the last token that has a valid frame are zeros. `masking` goes to transformers'
    `_mask_hidden_states` (SpecAugment). Any relative of HuBERT with the same parts will do.
    """
    model: Any = backbone  # transformers declares no types of its parts
    count = grid.frames(waveform.shape[1])
    frames = grid.frames(valid).clamp(min=1, max=count)
    grouped = not waveform.is_cuda and isinstance(backbone, HubertModel)
    if grouped and model.config.feat_extract_norm == "layer":  # elsewhere the front end sees the whole time axis
        features = _in_groups(lambda group, longest: _front_end(model, waveform, group, longest, grid), frames, count)
    else:
        features = model.feature_extractor(waveform).transpose(1, 2)
    hidden = model.feature_projection(features)
    hidden = hidden[0] if isinstance(hidden, tuple) else hidden  # wav2vec 2.0 returns its input too
    hidden = model._mask_hidden_states(hidden, **masking)
    mask = torch.arange(count, device=hidden.device) < frames[:, None]
    if not grouped or (model.training and model.config.layerdrop > 0):  # a layer is dropped for all clips, or for none
        return model.encoder(hidden, attention_mask=mask).last_hidden_state

    def encode(group: Tensor, longest: int) -> Tensor:
        part, part_mask = (each[:, :longest].index_select(0, group) for each in (hidden, mask))
        return model.encoder(part, attention_mask=part_mask).last_hidden_state

    return _in_groups(encode, frames, count, whole=grid.pool)


def _in_groups(
    function: Callable[[Tensor, int], Tensor], frames: Int[Tensor, "A"], count: int, whole: int = 1
) -> Float[Tensor, "A F _"]:
    """function(numbers of some clips, frames of the longest of them) for clips of like length, in the order of all.

    Results have that number of frames, rounded up to a multiple of `whole`; they are padded with zeros to `count`.
    """
    order = frames.argsort(stable=True)
    results = []
    for group in order.chunk(GROUPS):
        longest = min(-(-int(frames[group[-1]]) // whole) * whole, count)
        results.append(F.pad(function(group, longest), (0, 0, 0, count - longest)))
    return torch.cat(results).index_select(0, order.argsort())


def _front_end(
    model: Any, waveform: Float[Tensor, "A L"], group: Int[Tensor, "G"], frames: int, grid: FrameGrid
) -> Float[Tensor, "G F C"]:
    """The first frames of a convolutional front end whose layers normalise over channels; these lie last in memory."""
    signal = waveform[:, : grid.samples(frames)].index_select(0, group)[:, None, None]
    for layer in model.feature_extractor.conv_layers:
        convolution: nn.Conv1d = layer.conv
        weight = convolution.weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        signal = F.conv2d(signal, weight, convolution.bias, stride=(1, *convolution.stride))
        signal = layer.activation(layer.layer_norm(signal.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
    return signal[:, :, 0].transpose(1, 2)


def time_mask(valid: Int[Tensor, "A"], frames: int, share: float, span: int, fewest: int) -> Bool[Tensor, "A F"]:
    """Frames to be masked, of clips of which the first `valid` of `frames` are speech.

    About share x valid / span spans of `span` frames each, rounded up or down by chance, at least `fewest` where they
    have room; no two begin at one frame, but they may overlap, so that less than the share is masked. A clip that is
    shorter than a span is left alone.
    """
    valid = valid.cpu()
    wanted = (share * valid / span + torch.rand(len(valid))).long().clamp(min=fewest)
    starts = (valid - span + 1).clamp(min=0)  # so many frames a span may begin at
    wanted = wanted.minimum(valid // span).minimum(starts)
    beyond = torch.arange(frames) >= starts[:, None]
    order = torch.rand(len(valid), frames).masked_fill(beyond, torch.inf).argsort(1).argsort(1)
    begins = (order < wanted[:, None]).float()
    return F.max_pool1d(F.pad(begins, (span - 1, 0)), span, stride=1) > 0
