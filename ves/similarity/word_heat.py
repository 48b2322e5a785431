"""The heat of a word: which patches of a picture its tokens are like. Figures show it, and localisation measures it.

Dimension key
    T audio tokens    P image patches    D embedding
"""

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from ves.similarity.pairwise import token_similarity


def word_heat(
    tokens: Float[Tensor, "T D"], chosen: Bool[np.ndarray, "T"], patches: Float[Tensor, "P D"]
) -> Float[np.ndarray, "P"]:
    """Similarity of each patch to a word: the mean over its tokens."""
    return token_similarity(tokens[chosen][None], patches[None])[0, 0].mean(0).numpy()
