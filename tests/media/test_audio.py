"""Windows, and frame arithmetic against torch's own layers."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ves.media.audio import RATE, FrameGrid, window

pytestmark = pytest.mark.numbers

HUBERT = FrameGrid((10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2), 2)


def test_window_cuts_pads_and_normalises():
    samples = np.array([0, 100, -200, 50], np.int16)
    padded, valid = window(samples, 6 / RATE)
    assert (padded.tolist(), valid) == ([0, 0.5, -1, 0.25, 0, 0], 4)
    cut, valid = window(samples, 2 / RATE)  # the peak of what is kept, not of the clip
    assert (cut.tolist(), valid) == ([0, 1], 2)
    assert cut.dtype == np.float32
    silent, valid = window(np.zeros(3, np.int16), 5 / RATE)
    assert (silent.tolist(), valid) == ([0] * 5, 3)
    assert window(np.full(2, -32768, np.int16), 2 / RATE)[0].tolist() == [-1, -1]


def test_five_seconds_are_124_tokens_of_40_ms():
    assert HUBERT.tokens(80_000) == 124
    assert HUBERT.hop_s == 0.04
    assert FrameGrid(HUBERT.kernels, HUBERT.strides, 1).tokens(80_000) == 249
    assert FrameGrid((40, 16, 4), (20, 8, 4), 1).tokens(80_000) == 124
    assert (HUBERT.tokens(719), HUBERT.tokens(720), HUBERT.tokens(0)) == (0, 1, 0)


layers = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 6)), min_size=1, max_size=4)


@settings(max_examples=80, deadline=None)
@given(layers, st.integers(1, 3), st.integers(1, 3_000), st.data())
def test_tokens_and_mask_are_those_of_torch(shape: list[tuple[int, int]], pool: int, samples: int, data: st.DataObject):
    kernels, strides = zip(*shape, strict=True)
    grid = FrameGrid(kernels, strides, pool)

    def frames(n: int) -> int:
        for kernel, stride in shape:
            n = nn.Conv1d(1, 1, kernel, stride)(torch.zeros(1, 1, n)).shape[-1] if n >= kernel else 0
        return n

    total = frames(samples)
    tokens = total // pool
    assert grid.tokens(samples) == tokens
    if tokens == 0:
        return
    valid = data.draw(st.integers(0, samples))
    frame_mask = (torch.arange(total) < frames(valid)).float()
    pooled = nn.functional.avg_pool1d(frame_mask[None], pool)[0] >= 0.5 - 1e-6
    pooled[0] = True
    assert grid.mask(torch.tensor([valid, samples]), tokens).tolist() == [pooled.tolist(), [True] * tokens]


def test_spans_tile_time_about_the_field_that_a_token_sees():
    ends = [HUBERT.span(i) for i in range(HUBERT.tokens(80_000))]
    assert all(abs(end - start) < 1e-9 for (_, end), (start, _) in pairwise(ends))
    conv = [nn.Conv1d(1, 1, k, s, bias=False) for k, s in zip(HUBERT.kernels, HUBERT.strides, strict=True)]
    for layer in conv:
        nn.init.ones_(layer.weight)
    x = torch.zeros(1, 1, 4_000, requires_grad=True)
    y = nn.functional.avg_pool1d(nn.Sequential(*conv)(x), 2)
    y[0, 0, 3].backward()
    assert x.grad is not None
    seen = x.grad[0, 0].nonzero()[:, 0]
    assert (int(seen[-1] - seen[0]) + 1, HUBERT.field) == (720, 720)
    assert sum(HUBERT.span(3)) / 2 == pytest.approx((int(seen[0]) + int(seen[-1]) + 1) / 2 / RATE)


def test_within_takes_tokens_by_their_centre():
    grid = FrameGrid((1_600,), (1_600,), 1)  # tokens of 0.1 s, centres at 0.05, 0.15, ...
    assert grid.within(0.1, 0.35, 5).tolist() == [False, True, True, False, False]
    assert grid.within(0.26, 0.3, 5).tolist() == [False, False, True, False, False]  # none inside: the nearest
    assert grid.within(0.05, 0.15, 5).tolist() == [True, False, False, False, False]
    assert grid.within(0.0, 1.0, 0).tolist() == []


def test_mask_does_not_leave_a_clip_without_tokens():
    mask = HUBERT.mask(torch.tensor([0, 100, 400, 1_040, 80_000]), 124)
    assert mask.sum(1).tolist() == [1, 1, 1, 2, 124]  # 1,040 samples are 3 frames: the second token's first is valid


def test_non_silent_tokens_are_loud_relative_to_the_peak():
    grid = FrameGrid((100,), (100,), 1)
    wave = torch.zeros(3, 400)
    wave[0] = torch.tensor([1.0, 0.1, 0.011, 0.009]).repeat_interleave(100)  # -40 dB is 0.01
    wave[1] = wave[0] / 50
    assert grid.non_silent(wave, -40.0).tolist() == [[True, True, True, False]] * 2 + [[True, False, False, False]]
    assert grid.non_silent(wave, -10.0)[0].tolist() == [True, False, False, False]
    mask = torch.tensor([[False, False, False, True]] * 3)
    assert grid.non_silent(wave, -40.0, mask).tolist() == mask.tolist()


def test_a_grid_is_the_same_through_the_attributes_of_a_store():
    assert json.loads(json.dumps(HUBERT.attrs)) == {
        "kernels": [10, 3, 3, 3, 3, 2, 2], "strides": [5, 2, 2, 2, 2, 2, 2], "pool": 2
    }  # fmt: skip
    assert FrameGrid.from_attrs(HUBERT.attrs) == HUBERT


def test_impossible_grids_are_refused():
    with pytest.raises(ValueError, match="one of each per layer"):
        FrameGrid((3, 3), (2,), 1)
    with pytest.raises(ValueError, match="above 0"):
        FrameGrid((3,), (2,), 0)
