"""How similar a clip and an image are. Training, evaluation and figures all call this module.

Dimension key
    A clips         T audio tokens      D embedding
    V images        P image patches

Symbols are those of the VeS paper: S the token similarities (Eq. 1), Phi = `max_mean` (Eq. 3), Psi = `mean_max`
(Eq. 2), the global similarity `mean_mean` (Eq. 4-6). Tokens arrive l2-normalised, so S contains cosines. A masked
maximum masks with -inf, since a product with zero would win over negative similarities. A masked mean divides by the
number of valid entries plus 1e-6, as in Eq. 3, so a clip with no valid token scores 0 everywhere.
"""

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from ves.base.precision import wide, widened
from ves.similarity import tiles
from ves.similarity.maxsim import implementation, maxsim

EPSILON = 1e-6  # Eq. 3


def token_similarity(audio: Float[Tensor, "A T D"], image: Float[Tensor, "V P D"]) -> Float[Tensor, "A V T P"]:
    """S = audio . image for every token of every clip and every patch of every image (Eq. 1)."""
    return torch.einsum("atd,vpd->avtp", audio, image)


def _inner(audio: Float[Tensor, "A D"], image: Float[Tensor, "V D"]) -> Float[Tensor, "A V"]:
    """audio . image in fp32 at least, even under autocast: these are the logits, and their last bits decide ranks."""
    with torch.autocast(audio.device.type, enabled=False):
        return widened(audio) @ widened(image).T


def masked_mean(values: Float[Tensor, "*b N D"], mask: Bool[Tensor, "*b N"] | None) -> Float[Tensor, "*b D"]:
    """Mean over N of the entries that the mask marks; without a mask, of all."""
    if mask is None:
        return values.mean(-2)
    weight = mask.to(values.dtype).unsqueeze(-1)
    return (values * weight).sum(-2) / (weight.sum(-2) + EPSILON)


def _token_weights(mask: Bool[Tensor, "A T"]) -> Float[Tensor, "A T"]:
    """Weights of a mean over the valid tokens; all 0 where none is."""
    return mask / (mask.sum(1, keepdim=True) + EPSILON)


def _patch_weights(image: Float[Tensor, "V P D"], image_mask: Bool[Tensor, "V P"] | None) -> Float[Tensor, "V P"]:
    """Weights of a mean over the valid patches. Raises ValueError for an image without one."""
    if image_mask is None:
        return torch.full(image.shape[:2], 1 / max(1, image.shape[1]), device=image.device)
    counts = image_mask.sum(1, keepdim=True)
    if not counts.all():
        row = int((counts == 0).nonzero()[0, 0])
        raise ValueError(f"image {row} of this batch has no valid patch: its mask leaves nothing to compare with")
    return image_mask / (counts + EPSILON)


def max_mean(
    audio: Float[Tensor, "A T D"],
    mask: Bool[Tensor, "A T"],
    image: Float[Tensor, "V P D"],
    image_mask: Bool[Tensor, "V P"] | None = None,
) -> Float[Tensor, "A V"]:
    """Dense: each spoken token picks its best patch, the clip averages its tokens (Phi, Eq. 3).

    Raises ValueError for an image without a valid patch and where a dimension is empty.
    """
    _patch_weights(image, image_mask)
    return maxsim(audio, _token_weights(mask), image, image_mask)


def mean_max(
    audio: Float[Tensor, "A T D"],
    mask: Bool[Tensor, "A T"],
    image: Float[Tensor, "V P D"],
    image_mask: Bool[Tensor, "V P"] | None = None,
) -> Float[Tensor, "A V"]:
    """Visual to audio: each patch picks its best spoken token, the image averages its patches (Psi, Eq. 2).

    Raises as `max_mean` does.
    """
    return maxsim(image, _patch_weights(image, image_mask), audio, mask).T


def bidirectional(
    audio: Float[Tensor, "A T D"],
    mask: Bool[Tensor, "A T"],
    image: Float[Tensor, "V P D"],
    image_mask: Bool[Tensor, "V P"] | None = None,
) -> Float[Tensor, "A V"]:
    """The mean of both directions, (Phi + Psi) / 2."""
    return (max_mean(audio, mask, image, image_mask) + mean_max(audio, mask, image, image_mask)) / 2


def _pooled(tokens: Float[Tensor, "B N D"], mask: Bool[Tensor, "B N"] | None) -> Float[Tensor, "B D"]:
    """The mean of the valid tokens, in fp32 at least."""
    return masked_mean(widened(tokens), mask)


def _direction(tokens: Float[Tensor, "B N D"], mask: Bool[Tensor, "B N"] | None) -> Float[Tensor, "B D"]:
    """The mean of the valid tokens, normalised."""
    return F.normalize(_pooled(tokens, mask), dim=-1)


def mean_mean(
    audio: Float[Tensor, "A T D"],
    mask: Bool[Tensor, "A T"],
    image: Float[Tensor, "V P D"],
    image_mask: Bool[Tensor, "V P"] | None = None,
) -> Float[Tensor, "A V"]:
    """Global: inner product of the mean audio token and the mean patch (Eq. 4-6; not normalised, as there)."""
    return _inner(_pooled(audio, mask), _pooled(image, image_mask))


def mean_mean_cosine(
    audio: Float[Tensor, "A T D"],
    mask: Bool[Tensor, "A T"],
    image: Float[Tensor, "V P D"],
    image_mask: Bool[Tensor, "V P"] | None = None,
) -> Float[Tensor, "A V"]:
    """Global with both means normalised: the cosine that the paper's text names."""
    return _inner(_direction(audio, mask), _direction(image, image_mask))


SIMILARITIES = {
    "max_mean": max_mean,
    "mean_max": mean_max,
    "bidirectional": bidirectional,
    "mean_mean": mean_mean,
    "mean_mean_cosine": mean_mean_cosine,
}


POOLS = {"mean_mean": _pooled, "mean_mean_cosine": _direction}  # each side is pooled once, not for each pair


@torch.no_grad()
def score(
    objective: Mapping[str, float],
    audio: Float[Tensor, "A T D"],
    mask: Bool[Tensor, "A T"],
    image: Float[Tensor, "V P D"],
    image_mask: Bool[Tensor, "V P"] | None = None,
    chunk: int = 128,
) -> Float[Tensor, "A V"]:
    """Every clip against every image: the similarities of `objective`, weighted as their losses are.

    Computed `chunk` x `chunk` at a time: beside the arguments, memory is that of two chunks in fp32 and of the scores.
    There is no gradient. bfloat16 tokens are compared in fp32 wherever their product would otherwise be rounded to
    bfloat16, which makes ties. Raises ValueError as the similarities do.
    """
    scores = torch.zeros(len(audio), len(image), dtype=wide(audio), device=audio.device)
    clips, images = ([slice(start, start + chunk) for start in range(0, len(side), chunk)] for side in (audio, image))
    dtype = wide(audio) if implementation(audio.device, audio.dtype) is tiles else audio.dtype
    for name, weight in objective.items():
        if name in POOLS:
            pooled_audio = torch.cat([POOLS[name](audio[a], mask[a]) for a in clips])
            masks = [None if image_mask is None else image_mask[v] for v in images]
            pooled_image = torch.cat([POOLS[name](image[v], shown) for v, shown in zip(images, masks, strict=True)])
            scores += weight * _inner(pooled_audio, pooled_image)
            continue
        for v in images:
            patches, patch_mask = image[v].to(dtype), None if image_mask is None else image_mask[v]
            for a in clips:
                scores[a, v] += weight * SIMILARITIES[name](audio[a].to(dtype), mask[a], patches, patch_mask)
    return scores


def word_heat(
    tokens: Float[Tensor, "T D"], of_word: Bool[np.ndarray, "T"], patches: Float[Tensor, "P D"]
) -> Float[np.ndarray, "P"]:
    """Similarity of each patch to a word: the mean over the word's tokens."""
    return token_similarity(tokens[of_word][None], patches[None])[0, 0].mean(0).numpy()


def mean_heat(
    similarity: Float[np.ndarray, "T rows columns"], of_word: Bool[np.ndarray, "T"]
) -> Float[np.ndarray, "rows columns"]:
    """The mean heat of a word's tokens, by which localisation is measured; NaN where the word has no token."""
    return similarity[of_word].mean(0) if of_word.any() else np.full(similarity.shape[1:], np.nan, np.float32)
