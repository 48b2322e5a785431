"""HuBERT's forward pass with less work on a CPU, for the same numbers.

Three things make transformers' own pass slow there. It builds and sums a mask of samples (20 MB of integers for 32
clips of 5 s) to count valid frames, for which there is a formula. A front end that normalises over channels transposes
its activations twice a layer, unless channels are last in memory. And every clip is computed at full length. Since no
valid frame depends on padding, clips of similar length are computed together here, cut to the longest of them. Two
smaller things are changed in the model itself (`quicken`). Results differ by rounding only
(tests/models/test_speech.py). On a GPU small groups cost more than they save, so nothing is cut.

SpecAugment over time (`time_mask`): spans of encoder frames that are hidden from the backbone in a step of training.
They are random as in transformers' HuBERT, except that the numbers come from torch's default CPU generator, not
numpy's; that spans lie within the speech of a clip, not in its padding; and that the number of spans is rounded clip by
clip. Source: Park et al. 2019 (SpecAugment), as used by wav2vec 2.0 and HuBERT.

Dimension key
    A clips    L samples    F frames    C channels    H hidden width    N heads    K width of a head
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

GROUPS = 2  # of clips of similar length: 4 were not faster
ATTENTION = "ves_plain"  # the name under which transformers knows `attention`
WINDOWED = ("hubert", "wav2vec2")  # kinds of backbone whose attention can be limited to a window


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
    """transformers' plain attention, with a softmax in fp32 at least: in bfloat16 it takes twice as long."""
    scores = (query * scaling) @ key.transpose(2, 3)
    if attention_mask is not None:
        scores = scores + attention_mask
    weights = F.softmax(scores, dim=-1, dtype=wide(scores)).to(value.dtype)
    weights = F.dropout(weights, dropout, module.training)
    return (weights @ value).transpose(1, 2).contiguous(), None


AttentionInterface.register(ATTENTION, attention)
AttentionMaskInterface.register(ATTENTION, eager_mask)


class _FrameByFrame(nn.Module):
    """An activation whose input [A, C, F] is cut from a longer tensor, computed with frames contiguous in memory.

    So does its gradient arrive. With two layouts the backward of a GELU took 7 times as long as with one.
    """

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, channels: Float[Tensor, "A C F"]) -> Float[Tensor, "A C F"]:
        return self.activation(channels.transpose(1, 2).contiguous()).transpose(1, 2)


def quicken(backbone: nn.Module) -> None:
    """Give a HuBERT that runs on a CPU `attention`, and one memory layout in its positional convolution."""
    model: Any = backbone
    if isinstance(backbone, HubertModel):
        model.set_attn_implementation(ATTENTION)
        embedding = model.encoder.pos_conv_embed
        embedding.activation = _FrameByFrame(embedding.activation)


def limit_attention(backbone: nn.Module, window: int) -> None:
    """Let each frame attend to the `window` frames on either side of it only, in every layer of the encoder.

    A token that sees the whole clip can stand for any word of it; one that sees a word's length stands for that word.
    Source: sliding-window attention (Beltagy et al. 2020, Longformer).

    Raises ValueError for a backbone whose attention takes no mask of frames by frames (WavLM).
    """
    model: Any = backbone
    if model.config.model_type not in WINDOWED:
        raise ValueError(
            f"audio.attention_window: {model.config.model_type} has no attention that can be limited; "
            f"set null, or use one of {', '.join(WINDOWED)}"
        )

    def narrow(_module: nn.Module, args: tuple[Tensor], kwargs: dict[str, Any]) -> tuple[tuple[Tensor], dict[str, Any]]:
        hidden = args[0]
        frame = torch.arange(hidden.shape[1], device=hidden.device)
        hidden_from_it = ((frame[:, None] - frame).abs() > window)[None, None]
        if (mask := kwargs.get("attention_mask")) is not None:  # True where attended to, or numbers added to the scores
            hidden_from_it = hidden_from_it | (~mask if mask.dtype == torch.bool else mask < 0)
        # numbers, not booleans: a row of padding may see nothing at all, and its softmax must not be NaN
        added = torch.zeros_like(hidden_from_it, dtype=hidden.dtype)
        added = added.masked_fill(hidden_from_it, torch.finfo(hidden.dtype).min)
        return args, kwargs | {"attention_mask": added.expand(len(hidden), -1, -1, -1)}

    for layer in model.encoder.layers:
        layer.attention.register_forward_pre_hook(narrow, with_kwargs=True)


def hidden_states(
    backbone: nn.Module, waveform: Float[Tensor, "A L"], valid: Int[Tensor, "A"], grid: FrameGrid, **masking: Any
) -> Float[Tensor, "A F H"]:
    """The last hidden states of waveforms that are padded to one length; their first `valid` samples are speech.

    On a CPU, frames after the last token that has a valid frame are zeros. `masking` goes to transformers'
    `_mask_hidden_states` (SpecAugment). The backbone may be a relative of HuBERT; for which of them the result equals
    their own forward pass is in ves.models.backbone.
    """
    model: Any = backbone  # transformers declares no types of its parts
    count = grid.frames(waveform.shape[1])
    frames = grid.frames(valid).clamp(min=1, max=count)
    grouped = not waveform.is_cuda and isinstance(backbone, HubertModel)
    if grouped and model.config.feat_extract_norm == "layer":  # others normalise over the whole time axis
        features = _in_groups(lambda group, longest: _front_end(model, waveform, group, longest, grid), frames, count)
    else:
        features = model.feature_extractor(waveform).transpose(1, 2)
    hidden = model.feature_projection(features)
    hidden = hidden[0] if isinstance(hidden, tuple) else hidden  # wav2vec 2.0 returns its input too
    hidden = model._mask_hidden_states(hidden, **masking)
    mask = torch.arange(count, device=hidden.device) < frames[:, None]
    if not grouped or (model.training and model.config.layerdrop > 0):  # a layer is dropped for all clips or for none
        return model.encoder(hidden, attention_mask=mask).last_hidden_state

    in_token = torch.arange(count) < (-(-frames // grid.pool) * grid.pool)[:, None]  # of a token with a valid frame

    def encode(group: Tensor, longest: int) -> Tensor:
        part, part_mask, kept = (each[:, :longest].index_select(0, group) for each in (hidden, mask, in_token))
        return model.encoder(part, attention_mask=part_mask).last_hidden_state * kept.unsqueeze(-1)

    return _in_groups(encode, frames, count, whole=grid.pool)


def _in_groups(
    function: Callable[[Tensor, int], Tensor], frames: Int[Tensor, "A"], count: int, whole: int = 1
) -> Float[Tensor, "A F _"]:
    """function(indices of some clips, frames of the longest of them) for groups of clips of similar length.

    Results come in the order of all clips. They have that number of frames, rounded up to a multiple of `whole`, and
    are padded with zeros to `count`.
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
    """The first frames of a convolutional front end that normalises over channels, which are last in memory."""
    signal = waveform[:, : grid.samples(frames)].index_select(0, group)[:, None, None]
    for layer in model.feature_extractor.conv_layers:
        convolution: nn.Conv1d = layer.conv
        weight = convolution.weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        signal = F.conv2d(signal, weight, convolution.bias, stride=(1, *convolution.stride))
        signal = layer.activation(layer.layer_norm(signal.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
    return signal[:, :, 0].transpose(1, 2)


def unit_variance(waveform: Float[Tensor, "A L"], valid: Int[Tensor, "A"]) -> Float[Tensor, "A L"]:
    """Waveforms whose first `valid` samples have zero mean and unit variance; the padding after them is zero.

    Source: Wav2Vec2FeatureExtractor of transformers (`do_normalize`), which also adds 1e-7 to the variance.
    """
    inside = torch.arange(waveform.shape[1], device=waveform.device) < valid[:, None]
    count = valid.clamp(min=1)[:, None]
    centred = (waveform - (waveform * inside).sum(1, keepdim=True) / count) * inside
    return centred / (centred.square().sum(1, keepdim=True) / count + 1e-7).sqrt()


def time_mask(valid: Int[Tensor, "A"], frames: int, share: float, span: int, fewest: int) -> Bool[Tensor, "A F"]:
    """Frames to mask in clips whose first `valid` of `frames` frames are speech.

    There are about share x valid / span spans of `span` frames each, rounded up or down at random, and at least
    `fewest` where these fit. No two begin at one frame, but they may overlap, so that less than the share is masked. A
    clip that is shorter than a span is not masked.
    """
    valid = valid.cpu()
    spans = (share * valid / span + torch.rand(len(valid))).long().clamp(min=fewest)
    starts = (valid - span + 1).clamp(min=0)  # the number of frames at which a span may begin
    spans = spans.minimum(valid // span).minimum(starts)
    beyond = torch.arange(frames) >= starts[:, None]
    order = torch.rand(len(valid), frames).masked_fill(beyond, torch.inf).argsort(1).argsort(1)
    begins = (order < spans[:, None]).float()
    return F.max_pool1d(F.pad(begins, (span - 1, 0)), span, stride=1) > 0
