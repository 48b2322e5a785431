"""HuBERT with less work gives what transformers' own pass gives: hidden states and gradients of valid frames."""

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
import torch
from transformers import HubertConfig, HubertModel, Wav2Vec2Config, Wav2Vec2Model, WavLMConfig, WavLMModel
from transformers.models.hubert.modeling_hubert import eager_attention_forward

from tests.support.tiny_corpus import tiny_config
from ves.media.audio import POOL, FrameGrid
from ves.models.audio_tower import load_speech_backbone
from ves.models.speech import ATTENTION, attention, hidden_states, limit_attention, quicken

pytestmark = pytest.mark.numbers

LENGTHS = [48_000, 20_000, 48_000, 700, 33_000, 1_000, 47_999]  # in no order; 700 is hardly a frame


def standin(freeze: bool) -> Any:
    with patch("ves.models.audio_tower.quicken"):
        backbone: Any = load_speech_backbone(tiny_config().audio)
    if freeze:
        backbone.feature_extractor._freeze_parameters()
    return backbone


def small(kind: Any = HubertModel, config: Any = HubertConfig, **changes: Any) -> Any:
    """Random weights; by default normalised over time in its first layer, as DistilHuBERT is."""
    torch.manual_seed(0)
    shape: dict[str, Any] = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    shape |= {"conv_dim": (8, 8), "conv_kernel": (40, 16), "conv_stride": (20, 16), "num_feat_extract_layers": 2}
    shape |= {"num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2, "apply_spec_augment": False}
    still = dict.fromkeys(("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout"), 0.0)
    return kind(config(**(shape | still | {"layerdrop": 0.0} | changes)))


BACKBONES: dict[str, Callable[[], Any]] = {
    "stand-in": lambda: standin(True),
    "stand-in, front end trained": lambda: standin(False),
    "normalised over time": small,
    "pre-norm": lambda: small(feat_extract_norm="layer", do_stable_layer_norm=True),
    "wav2vec 2.0": lambda: small(Wav2Vec2Model, Wav2Vec2Config),
}


def test_the_model_of_a_cpu_is_quickened_and_its_weights_keep_their_names():
    """Or checkpoints and the hub's files would not fit any more."""
    with patch("torch.cuda.is_available", return_value=False):
        quick: Any = load_speech_backbone(tiny_config().audio)
    plain = standin(False)
    assert quick.config._attn_implementation == ATTENTION != plain.config._attn_implementation
    assert list(quick.state_dict()) == list(plain.state_dict())


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("training", [True, False])
def test_valid_frames_and_gradients_are_those_of_transformers(name, training):
    backbone = BACKBONES[name]().train(training)
    grid = FrameGrid(tuple(backbone.config.conv_kernel), tuple(backbone.config.conv_stride), POOL)
    draw = torch.Generator().manual_seed(1)
    valid = torch.tensor([max(length, grid.samples(1)) for length in LENGTHS])
    samples = torch.arange(48_000) < valid[:, None]
    waveform = torch.randn(len(valid), 48_000, generator=draw) * samples
    expected = backbone(waveform, attention_mask=samples.long()).last_hidden_state
    quicken(backbone)
    assert (backbone.config._attn_implementation == ATTENTION) == isinstance(backbone, HubertModel)
    actual = hidden_states(backbone, waveform, valid, grid)
    assert actual.shape == expected.shape
    frames = grid.frames(valid)
    heard = torch.arange(actual.shape[1]) < (-(-frames // POOL) * POOL)[:, None]  # all that a token which counts is of
    weight = torch.randn(actual.shape, generator=draw) * heard.unsqueeze(-1)
    scale = expected.abs().max()
    assert ((actual - expected) * heard.unsqueeze(-1)).abs().max() < 1e-5 * scale
    trained = [parameter for parameter in backbone.parameters() if parameter.requires_grad]
    ours, theirs = (torch.autograd.grad((x * weight).sum(), trained, allow_unused=True) for x in (actual, expected))
    largest = max(float(grad.abs().max()) for grad in theirs if grad is not None)
    for one, other in zip(ours, theirs, strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:  # a bias of keys has no gradient but rounding
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * largest)


def test_attention_is_that_of_transformers():
    """In bfloat16 it is as near to that of fp64 as transformers' own."""
    draw, module = torch.Generator().manual_seed(0), torch.nn.Module()
    query, key, value = (torch.randn(3, 2, 50, 16, generator=draw, dtype=torch.float64) for _ in range(3))
    mask = torch.zeros(3, 1, 50, 50)
    mask[1, ..., 20:] = torch.finfo(torch.float32).min
    exact = ((query * 0.25 @ key.mT + mask).softmax(-1) @ value).transpose(1, 2)
    torch.testing.assert_close(attention(module, query, key, value, mask, 0.25)[0], exact, rtol=0, atol=1e-6)
    q, k, v, m = (each.bfloat16() for each in (query, key, value, mask))
    ours, theirs = attention(module, q, k, v, m, 0.25)[0], eager_attention_forward(module, q, k, v, m, 0.25)[0]
    errors = [float((actual.double() - exact).abs().mean()) for actual in (ours, theirs)]
    assert errors[0] < 1.05 * errors[1] < 0.01


def test_dropout_of_attention_is_that_of_training():
    module, ones = torch.nn.Module(), torch.ones(1, 1, 8, 4)
    dropped = attention(module.train(), ones, ones, ones, None, 1.0, 0.5)[0]
    assert dropped.unique().numel() > 1
    assert torch.allclose(attention(module.eval(), ones, ones, ones, None, 1.0, 0.5)[0], torch.ones_like(dropped))


def test_a_layer_is_dropped_for_all_clips_or_none():
    """With layer drop the batch is encoded at once: the draws are those of transformers' pass."""
    backbone = small(layerdrop=0.5).train()
    grid = FrameGrid((40, 16), (20, 16), POOL)
    valid = torch.tensor([48_000, 9_000, 30_000])
    waveform = torch.randn(3, 48_000)
    for seed in range(6):
        torch.manual_seed(seed)
        actual = hidden_states(backbone, waveform, valid, grid)
        torch.manual_seed(seed)
        expected = backbone(waveform, attention_mask=(torch.arange(48_000) < valid[:, None]).long()).last_hidden_state
        shown = (torch.arange(actual.shape[1]) < grid.frames(valid)[:, None]).unsqueeze(-1)
        torch.testing.assert_close(actual * shown, expected * shown)


def test_a_clip_shorter_than_a_frame_counts_as_one():
    backbone = small().eval()
    grid = FrameGrid((40, 16), (20, 16), POOL)
    actual = hidden_states(backbone, torch.randn(2, 48_000), torch.tensor([3, 48_000]), grid)
    assert actual.isfinite().all()
    assert not actual[0, POOL:].any(), "frames behind its token are zeros"


WINDOWED = [name for name in BACKBONES if name != "stand-in, front end trained"]


@pytest.mark.parametrize("window", [1, 4])
@pytest.mark.parametrize("name", WINDOWED)
def test_limited_attention_is_that_of_a_mask_for_each_pair_of_frames(name, window):
    """Against transformers' own layers, each given the mask that says which frame may attend to which."""
    backbone = BACKBONES[name]().eval()
    grid = FrameGrid(tuple(backbone.config.conv_kernel), tuple(backbone.config.conv_stride), POOL)
    valid = torch.tensor([48_000, 20_000, 33_000])
    waveform = torch.randn(3, 48_000, generator=torch.Generator().manual_seed(1))
    expected = _masked_layer_by_layer(backbone, waveform, grid.frames(valid), window)
    quicken(backbone)
    limit_attention(backbone, window)
    actual = hidden_states(backbone, waveform, valid, grid)
    counted = (torch.arange(actual.shape[1]) < grid.frames(valid)[:, None]).unsqueeze(-1)
    assert ((actual - expected) * counted).abs().max() < 1e-5 * expected.abs().max()


def _masked_layer_by_layer(backbone: Any, waveform: torch.Tensor, frames: torch.Tensor, window: int) -> torch.Tensor:
    """The encoder of HuBERT and wav2vec 2.0, written out: additive masks [A, 1, F, F] of padding and of the window."""
    encoder = backbone.encoder
    projected = backbone.feature_projection(backbone.feature_extractor(waveform).transpose(1, 2))
    hidden = projected[0] if isinstance(projected, tuple) else projected
    place = torch.arange(hidden.shape[1])
    inside = place < frames[:, None]
    attended = inside[:, None, None] & ((place[:, None] - place).abs() <= window)
    added = torch.zeros(attended.shape).masked_fill(~attended, torch.finfo(torch.float32).min)
    hidden = hidden * inside.unsqueeze(-1)
    hidden = hidden + encoder.pos_conv_embed(hidden)
    before = getattr(backbone.config, "do_stable_layer_norm", False)
    hidden = hidden if before else encoder.layer_norm(hidden)
    for layer in encoder.layers:
        hidden = layer(hidden, attention_mask=added)
    return encoder.layer_norm(hidden) if before else hidden


def test_a_window_as_long_as_the_clip_limits_nothing():
    grid = FrameGrid((40, 16), (20, 16), POOL)
    valid, waveform = torch.tensor([48_000, 20_000]), torch.randn(2, 48_000)
    free, limited = small().eval(), small().eval()
    limit_attention(limited, 48_000)
    torch.testing.assert_close(
        hidden_states(limited, waveform, valid, grid), hidden_states(free, waveform, valid, grid)
    )


def test_a_backbone_whose_attention_cannot_be_limited_is_refused():
    with pytest.raises(ValueError, match=r"audio.attention_window: wavlm .* set null"):
        limit_attention(small(WavLMModel, WavLMConfig), 4)
