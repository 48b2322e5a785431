"""MaxSim's gradient against autograd through the whole volume, and what a gradient must survive besides."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ves.base.cpu import use_cores
from ves.similarity.maxsim import check_shapes, implementation, maxsim
from ves.similarity.pairwise import max_mean, mean_max
from ves.similarity.pairwise import tiles as maxsim_tiles

pytestmark = pytest.mark.numbers

EPSILON = 1e-6


@pytest.fixture(autouse=True)
def cores():
    """As many for torch as before, and none of our own, after each test."""
    threads = torch.get_num_threads()
    yield
    use_cores(threads, whole=False)


def volume(query: Tensor, weight: Tensor, key: Tensor, key_mask: Tensor | None) -> Tensor:
    """The definition by way of [Q, K, N, M]; torch's maximum gives its gradient to the first of equals."""
    similarity = torch.einsum("qnd,kmd->qknm", query, key)
    if key_mask is not None:
        similarity = similarity.masked_fill(~key_mask[None, :, None], -torch.inf)
    best = similarity.max(-1).values
    if key_mask is not None:
        best = best.masked_fill(~key_mask.any(1)[None, :, None], 0.0)
    return (best.to(weight.dtype) * weight[:, None]).sum(-1)


def random_operands(
    q: int, n: int, k: int, m: int, d: int, *, masked: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Unit tokens of both sides, weights of a masked mean, a mask with one empty row."""
    generator = torch.Generator().manual_seed(q * n + k * m)
    query, key = (F.normalize(torch.randn(*shape, d, generator=generator), dim=-1) for shape in ((q, n), (k, m)))
    counts = torch.rand(q, n, generator=generator) > (0.4 if masked else -1)
    mask = torch.rand(k, m, generator=generator) > 0.4 if masked else None
    if mask is not None:
        counts[0], mask[k // 2] = False, False
    return query, counts / (counts.sum(1, keepdim=True) + EPSILON), key, mask


def gradients(function, query, weight, key, mask, outer, dtype=None) -> tuple[Tensor, Tensor, Tensor]:
    """Scores and both gradients under the weights `outer` of the scores; under autocast, if a type is given."""
    query, key = query.clone().requires_grad_(), key.clone().requires_grad_()
    with torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
        scores = function(query, weight, key, mask)
    scores.backward(outer)
    return scores.detach(), query.grad, key.grad


def relative(actual: Tensor, expected: Tensor) -> float:
    """The largest difference, of the largest value."""
    return ((actual.double() - expected.double()).abs().max() / expected.abs().max()).item()


SHAPES = [  # queries, tokens, keys, tokens of a key, dimensions; small keys share a tile, long ones are cut
    (3, 5, 4, 6, 7),
    (2, 3, 2, 1, 4),
    (1, 1, 1, 1, 1),
    (5, 31, 7, 17, 33),
    (2, 4, 3, 300, 5),
    (8, 40, 6, 100, 128),
]


OF_ONE_TOKEN = [shape for shape in SHAPES if shape[3] == 1]  # none, under their mask


def through_both(shape, masked) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Scores and both gradients by maxsim, and in fp64 through the volume."""
    query, weight, key, mask = random_operands(*shape, masked=masked)
    outer = torch.randn(shape[0], shape[2], generator=torch.Generator().manual_seed(1))
    wide = [query.double(), weight.double(), key.double(), mask, outer.double()]
    return gradients(maxsim, query, weight, key, mask, outer), gradients(volume, *wide)


@pytest.mark.parametrize("shape", OF_ONE_TOKEN)
def test_keys_without_a_token_give_zeros(shape):
    actual, expected = through_both(shape, masked=True)
    assert not any(one.any() for one in (*actual, *expected))


@pytest.mark.parametrize(
    ("shape", "masked"), [(s, masked) for s in SHAPES for masked in (False, True) if not (masked and s in OF_ONE_TOKEN)]
)
def test_equals_the_volume(shape, masked):
    """Forward and both gradients within 1e-6 of fp64 through the volume, relative to the largest."""
    actual, expected = through_both(shape, masked)
    assert expected[0].any()
    assert all(relative(one, other) < 1e-6 for one, other in zip(actual, expected, strict=True))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("tile", [1, 4000, 2**21])
def test_any_tile_gives_the_same(monkeypatch, tile, masked):
    """Tokens in many parts, several keys in one part, sorted in parts: the same winners, so the same to rounding."""
    operands = (*random_operands(5, 31, 7, 17, 33, masked=masked), torch.ones(5, 7))
    expected = gradients(maxsim, *operands)
    monkeypatch.setattr(maxsim_tiles, "TILE", tile)
    monkeypatch.setattr(maxsim_tiles, "PAIRS", tile)
    for actual, reference in zip(gradients(maxsim, *operands), expected, strict=True):
        assert relative(actual, reference) < 1e-6


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_any_number_of_cores_gives_the_same_bits(masked, dtype):
    operands, outer = random_operands(9, 40, 11, 30, 16, masked=masked), torch.randn(9, 11)
    results = []
    for count in (1, 2, 3):
        use_cores(count, whole=True)
        results.append(gradients(maxsim, *operands, outer, dtype))
    for actual in results[1:]:
        assert all(torch.equal(one, other) for one, other in zip(actual, results[0], strict=True))


def test_the_lowest_of_equals_wins():
    """Three equal patches, in two blocks of the search and more than a tile apart: all gradient goes to the first."""
    key = F.normalize(torch.randn(1, 300, 8, generator=torch.Generator().manual_seed(0)), dim=-1)
    key[0, [37, 38, 299]] = key[0, 37].clone()
    _, _, of_key = gradients(maxsim, key[:, 37:38].clone(), torch.ones(1, 1), key, None, torch.ones(1, 1))
    assert of_key.any(-1).nonzero().tolist() == [[0, 37]]


def test_a_query_token_of_weight_0_takes_no_part_even_if_nan():
    query, weight, key, mask = random_operands(3, 6, 4, 9, 8, masked=True)
    query[weight == 0] = torch.nan
    actual = gradients(maxsim, query, weight, key, mask, torch.ones(3, 4))
    assert not any(one.isnan().any() for one in actual)
    assert actual[1][weight == 0].eq(0).all()


def test_a_nan_shows_in_every_score_that_it_takes_part_in():
    query, weight, key, _ = random_operands(3, 6, 4, 9, 8, masked=False)
    key[2, 5] = torch.nan
    assert maxsim(query, weight, key).isnan().nonzero()[:, 1].unique().tolist() == [2]


def test_gradcheck():
    query, weight, key, mask = random_operands(2, 2, 3, 4, 3, masked=True)
    sides = query.double().requires_grad_(), key.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda query, key: maxsim(query, weight.double(), key, mask), sides)


def test_the_graph_serves_twice_and_backward_repeats_to_the_bit():
    query, weight, key, mask = random_operands(8, 40, 6, 100, 128, masked=True)
    query.requires_grad_()
    key.requires_grad_()
    scores = maxsim(query, weight, key, mask)
    outer = torch.randn(8, 6, generator=torch.Generator().manual_seed(1))
    first = torch.autograd.grad(scores, (query, key), outer, retain_graph=True)
    for actual, expected in zip(torch.autograd.grad(scores, (query, key), outer), first, strict=True):
        assert torch.equal(actual, expected)


def test_a_second_derivative_is_refused():
    query, weight, key, _ = random_operands(2, 3, 2, 4, 5, masked=False)
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(maxsim(query.requires_grad_(), weight, key).sum(), query, create_graph=True)


@pytest.mark.parametrize("kind", ["autocast", "bfloat16 tokens"])
def test_bfloat16_is_of_the_operands_alone(kind):
    """Exactly the fp64 gradient of the rounded tokens where the winners agree; sums of fp32 either way."""
    query, weight, key, mask = random_operands(4, 20, 5, 30, 64, masked=True)
    assert mask is not None
    low, narrow = query.bfloat16(), key.bfloat16()
    outer = torch.randn(4, 5, generator=torch.Generator().manual_seed(1))
    operands = (low, weight, narrow, mask, outer) if kind == "bfloat16 tokens" else (query, weight, key, mask, outer)
    scores, of_query, of_key = gradients(maxsim, *operands, dtype=torch.bfloat16 if kind == "autocast" else None)
    assert scores.dtype == torch.float32
    assert of_query.dtype == of_key.dtype == operands[0].dtype
    similarity = torch.einsum("qnd,kmd->qknm", low, narrow)  # rounded to bfloat16, as the product is
    similarity = similarity.masked_fill(~mask[None, :, None], -torch.inf)
    best = similarity.max(-1).values.double().masked_fill(~mask.any(1)[None, :, None], 0.0)
    assert relative(scores, (best * weight[:, None]).sum(-1)) < 1e-6
    chosen = F.one_hot(similarity.max(-1).indices, 30).double() * mask.any(1)[None, :, None, None]
    dense = outer[:, :, None, None].double() * weight[:, None, :, None].double() * chosen
    exact = 1e-6 if kind == "autocast" else 2**-8  # autocast's gradients are fp32, those of bfloat16 are rounded to it
    assert relative(of_query, torch.einsum("qknm,kmd->qnd", dense, narrow.double())) < exact
    assert relative(of_key, torch.einsum("qknm,qnd->kmd", dense, low.double())) < exact


@pytest.mark.parametrize("switch", [torch.no_grad, torch.inference_mode])
def test_without_a_gradient_no_winner_is_looked_for(monkeypatch, switch):
    query, weight, key, mask = random_operands(3, 6, 4, 9, 8, masked=True)
    expected = maxsim(query.requires_grad_(), weight, key, mask).detach()
    monkeypatch.setattr(maxsim_tiles, "winner_type", None)  # whoever keeps winners asks for it
    with switch():
        assert torch.equal(maxsim(query, weight, key, mask), expected)


def test_compiled():
    """In a process of its own, since the compiler does not follow the checks of shapes that pytest adds."""
    script = Path(__file__).parents[1] / "support/compiled_maxsim.py"
    environment = os.environ | {"PYTHONPATH": str(script.parents[1])}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"eager": True, "aot_eager": True}


@pytest.mark.parametrize("empty", range(5))
def test_empty_dimensions_are_refused(empty):
    shape = [2, 3, 4, 5, 6]
    shape[empty] = 0
    q, n, k, m, d = shape
    audio, image = torch.zeros(q, n, d), torch.zeros(k, m, d)
    for function in (max_mean, mean_max):
        with pytest.raises(ValueError, match="nothing to compare"):
            function(audio, torch.ones(q, n, dtype=torch.bool), image)


@pytest.mark.parametrize("function", [max_mean, mean_max])
def test_an_image_without_a_patch_is_refused(function):
    mask = torch.tensor([[True, False], [False, False]])
    with pytest.raises(ValueError, match="image 1 of this batch has no valid patch"):
        function(torch.ones(1, 2, 3), torch.ones(1, 2, dtype=torch.bool), torch.ones(2, 2, 3), mask)


@pytest.mark.parametrize(
    ("audio", "mask", "image", "image_mask", "message"),
    [
        ((2, 4, 6), (2, 4), (3, 5, 7), None, r"tokens must be \[n, tokens, D\] with one D"),
        ((2, 4, 6), (2, 3), (3, 5, 6), None, r"a mask of \(2, 3\) does not fit tokens of \(2, 4, 6\)"),
        ((2, 4, 6), (2, 4), (3, 5, 6), torch.ones(3, 4, dtype=torch.bool), r"mask of \(3, 4\) must be boolean and fit"),
        ((2, 4, 6), (2, 4), (3, 5, 6), torch.ones(3, 5), r"torch.float32 mask of \(3, 5\) must be boolean"),
    ],
)
def test_shapes_that_do_not_match_are_refused(audio, mask, image, image_mask, message):
    """Called by itself: under pytest the annotations of maxsim would refuse them first."""
    with pytest.raises(ValueError, match=message):
        check_shapes(torch.zeros(audio), torch.ones(mask), torch.zeros(image), image_mask)


def test_winners_take_the_smallest_type():
    sizes = {tokens: maxsim_tiles.winner_type(tokens) for tokens in (256, 257, 2**15, 2**15 + 1)}
    assert list(sizes.values()) == [torch.uint8, torch.int16, torch.int16, torch.int32]
    assert all(tokens - 1 <= torch.iinfo(dtype).max for tokens, dtype in sizes.items())


def test_cuda_has_kernels_where_triton_is(monkeypatch):
    """And plain torch where it is not, or where tokens are of a type that the kernels do not take."""
    cuda = torch.device("cuda")
    monkeypatch.setattr("ves.similarity.maxsim.find_spec", lambda name: None)
    assert implementation(cuda, torch.float32) is maxsim_tiles
    monkeypatch.undo()
    assert implementation(cuda, torch.float64) is maxsim_tiles
    assert implementation(torch.device("cpu"), torch.float32) is maxsim_tiles
    pytest.importorskip("triton", reason="torch brings Triton on Linux alone")
    assert implementation(cuda, torch.bfloat16).__name__ == "ves.similarity.triton"
