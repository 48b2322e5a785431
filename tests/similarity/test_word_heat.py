"""The heat of a word, read from its definition."""

import numpy as np
import pytest
import torch

from ves.similarity.pairwise import word_heat

pytestmark = pytest.mark.numbers


def test_heat_is_the_mean_over_tokens():
    tokens, patches = torch.randn(6, 5), torch.randn(7, 5)
    chosen = np.array([False, True, True, False, True, False])
    expected = [np.mean([float(tokens[t] @ patches[p]) for t in (1, 2, 4)]) for p in range(7)]
    np.testing.assert_allclose(word_heat(tokens, chosen, patches), expected, rtol=1e-5, atol=1e-6)
