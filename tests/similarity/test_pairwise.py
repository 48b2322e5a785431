"""Similarities against slow references: loops over every clip, image, token and patch, forward and gradient."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import ves.similarity
from ves.similarity.pairwise import SIMILARITIES, bidirectional, max_mean, mean_max, mean_mean, mean_mean_cosine, score

pytestmark = pytest.mark.numbers

A, T, V, P, D = 3, 5, 4, 6, 7


def slow(name: str, audio: Tensor, mask: Tensor, image: Tensor, image_mask: Tensor) -> Tensor:
    """The definitions, written out with Python loops over valid tokens and patches only."""
    rows = []
    for a in range(len(audio)):
        tokens = audio[a][mask[a]]
        row = []
        for v in range(len(image)):
            patches = image[v][image_mask[v]]
            cell = [[torch.dot(token, patch) for patch in patches] for token in tokens]
            dense = sum(torch.stack(line).max() for line in cell) / len(tokens)
            visual = sum(torch.stack(column).max() for column in zip(*cell, strict=True)) / len(patches)
            mean_a, mean_v = (torch.stack(list(rows)).sum(0) / len(rows) for rows in (tokens, patches))
            row.append(
                {
                    "max_mean": dense,
                    "mean_max": visual,
                    "bidirectional": (dense + visual) / 2,
                    "mean_mean": torch.dot(mean_a, mean_v),
                    "mean_mean_cosine": torch.dot(mean_a, mean_v) / mean_a.norm() / mean_v.norm(),
                }[name]
            )
        rows.append(torch.stack(row))
    return torch.stack(rows)


@pytest.fixture
def tokens() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    audio = F.normalize(torch.randn(A, T, D, generator=generator), dim=-1).double()
    image = F.normalize(torch.randn(V, P, D, generator=generator), dim=-1).double()
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 1, 0, 1]], dtype=torch.bool)
    image_mask = torch.ones(V, P, dtype=torch.bool)
    image_mask[1, 3:] = False
    return audio.float(), mask, image.float(), image_mask


@pytest.mark.parametrize("name", SIMILARITIES)
def test_equals_the_loops_forward_and_gradient(name, tokens):
    audio, mask, image, image_mask = tokens
    weights = torch.randn(A, V, generator=torch.Generator().manual_seed(1))
    results = []
    for function in (SIMILARITIES[name], lambda *sides: slow(name, *sides)):
        a, v = audio.clone().requires_grad_(), image.clone().requires_grad_()
        value = function(a, mask, v, image_mask)
        (value * weights).sum().backward()
        results.append((value.detach(), a.grad, v.grad))
    for ours, reference in zip(*results, strict=True):
        torch.testing.assert_close(ours, reference, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", SIMILARITIES)
def test_without_an_image_mask_all_patches_count(name, tokens):
    audio, mask, image, _ = tokens
    everything = torch.ones(V, P, dtype=torch.bool)
    torch.testing.assert_close(
        SIMILARITIES[name](audio, mask, image), SIMILARITIES[name](audio, mask, image, everything)
    )


@pytest.mark.parametrize("name", SIMILARITIES)
def test_padding_changes_nothing(name, tokens):
    """Neither what stands in the padding nor how much of it there is, on both sides."""
    audio, mask, image, image_mask = tokens
    expected = SIMILARITIES[name](audio, mask, image, image_mask)
    noisy_audio = torch.where(mask[..., None], audio, torch.full_like(audio, 9.0))
    noisy_image = torch.where(image_mask[..., None], image, torch.full_like(image, -9.0))
    torch.testing.assert_close(SIMILARITIES[name](noisy_audio, mask, noisy_image, image_mask), expected)
    longer = SIMILARITIES[name](
        F.pad(audio, (0, 0, 0, 3), value=5.0),
        F.pad(mask, (0, 3)),
        F.pad(image, (0, 0, 0, 2), value=5.0),
        F.pad(image_mask, (0, 2)),
    )
    torch.testing.assert_close(longer, expected)


def test_by_hand():
    """One clip of two tokens, one image of two patches: S = [[1, 0], [0.6, 0.8]]."""
    audio = torch.tensor([[[1.0, 0.0], [0.6, 0.8]]])
    image = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    mask = torch.ones(1, 2, dtype=torch.bool)
    assert max_mean(audio, mask, image).item() == pytest.approx((1.0 + 0.8) / 2)
    assert mean_max(audio, mask, image).item() == pytest.approx((1.0 + 0.8) / 2)
    assert bidirectional(audio, mask, image).item() == pytest.approx(0.9)
    assert mean_mean(audio, mask, image).item() == pytest.approx(0.8 * 0.5 + 0.4 * 0.5)
    assert mean_mean_cosine(audio, mask, image).item() == pytest.approx(0.6 / (0.8**0.5 * 0.5**0.5))


def test_a_masked_maximum_keeps_negative_similarities():
    """All similarities negative: the best is -0.6. Multiplying by the mask would make it 0 (style.md section 5)."""
    audio, image = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[-0.6, 0.8], [1.0, 0.0]]])
    image_mask = torch.tensor([[True, False]])
    assert max_mean(audio, torch.ones(1, 1, dtype=torch.bool), image, image_mask).item() == pytest.approx(-0.6)
    swapped = mean_max(image, image_mask, audio)
    assert swapped.item() == pytest.approx(-0.6)


@pytest.mark.parametrize("name", SIMILARITIES)
def test_a_clip_without_tokens_scores_zero(name, tokens):
    audio, mask, image, _ = tokens
    mask = mask.clone()
    mask[1] = False
    assert SIMILARITIES[name](audio, mask, image)[1].abs().max() == 0


def test_score_is_the_weighted_sum_in_any_chunk(tokens):
    audio, mask, image, image_mask = tokens
    objective = {"max_mean": 0.7, "mean_mean": 0.3}
    expected = 0.7 * max_mean(audio, mask, image, image_mask) + 0.3 * mean_mean(audio, mask, image, image_mask)
    for chunk in (1, 2, 3, 100):
        torch.testing.assert_close(score(objective, audio, mask, image, image_mask, chunk=chunk), expected)
    assert not score(objective, audio.requires_grad_(), mask, image).requires_grad


@pytest.mark.parametrize("name", ["max_mean", "mean_max", "bidirectional"])
def test_score_is_the_same_in_any_chunk_order_and_padding(name, tokens):
    """To fp32's last bits: with AVX2, MKL's products of one row depend on its place among the others."""
    audio, mask, image, image_mask = tokens
    expected = score({name: 1.0}, audio, mask, image, image_mask)
    close = partial(torch.testing.assert_close, rtol=0, atol=1e-6)
    for chunk in (1, 2, 3):
        close(score({name: 1.0}, audio, mask, image, image_mask, chunk=chunk), expected)
    turned = score({name: 1.0}, audio.flip(0), mask.flip(0), image.flip(0), image_mask.flip(0))
    close(turned.flip(0, 1), expected)
    close(score({name: 1.0}, F.pad(audio, (0, 0, 0, 20)), F.pad(mask, (0, 20)), image, image_mask), expected)


def test_score_compares_bfloat16_as_float32(tokens):
    """What is stored in bfloat16 must not tie because a product was rounded to it."""
    audio, mask, image, image_mask = tokens
    low, narrow = audio.bfloat16(), image.bfloat16()
    for name in SIMILARITIES:
        expected = SIMILARITIES[name](low.float(), mask, narrow.float(), image_mask)
        torch.testing.assert_close(score({name: 1.0}, low, mask, narrow, image_mask), expected)


def test_bfloat16_follows_float32(tokens):
    audio, mask, image, _ = tokens
    for function in SIMILARITIES.values():
        low = function(audio.bfloat16(), mask, image.bfloat16())
        assert low.dtype == torch.float32
        torch.testing.assert_close(low, function(audio, mask, image), atol=0.02, rtol=0.02)


@pytest.mark.parametrize("name", ["mean_mean", "mean_mean_cosine"])
def test_autocast_leaves_the_global_similarities_in_float32(name, tokens):
    """Training calls them under bfloat16 autocast, whose product would keep 8 bits of each logit."""
    audio, mask, image, image_mask = tokens
    expected = SIMILARITIES[name](audio, mask, image, image_mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual = SIMILARITIES[name](audio, mask, image, image_mask)
    assert actual.dtype == torch.float32
    torch.testing.assert_close(actual, expected, rtol=1e-6, atol=1e-7)


def test_the_package_has_its_functions():
    assert ves.similarity.SIMILARITIES is SIMILARITIES
    assert (ves.similarity.max_mean, ves.similarity.mean_mean, ves.similarity.score) == (max_mean, mean_mean, score)
