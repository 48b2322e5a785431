"""How an utterance and a picture are compared. Training, evaluation and figures all call this module.

Dimension key
    A utterances    T audio tokens      D embedding
    V images        P image patches

Symbols are those of the VeS paper: S the token similarities (Eq. 1), Phi = `max_mean` (Eq. 3), Psi = `mean_max`
(Eq. 2), the global similarity `mean_mean` (Eq. 4-6). Tokens arrive l2-normalised, so that S holds cosines. A masked
maximum masks with -inf (a product with zero would win over negative similarities); a masked mean divides by the
number of valid entries, plus 1e-6 as in Eq. 3: an utterance with no valid token scores 0 everywhere.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

EPSILON = 1e-6  # Eq. 3


def token_similarity(audio: Float[Tensor, "A T D"], image: Float[Tensor, "V P D"]) -> Float[Tensor, "A V T P"]:
    """S = audio . image for every token of every utterance and every patch of every image (Eq. 1)."""
    return torch.einsum("atd,vpd->avtp", audio, image)


def _inner(audio: Float[Tensor, "A D"], image: Float[Tensor, "V D"]) -> Float[Tensor, "A V"]:
    """audio . image in fp32, under autocast too: these are the logits, whose last bits decide ranks."""
    with torch.autocast(audio.device.type, enabled=False):
        return audio.float() @ image.float().T


def masked_mean(values: Float[Tensor, "*b N D"], mask: Bool[Tensor, "*b N"] | None) -> Float[Tensor, "*b D"]:
    """Mean over N of the entries that the mask keeps; without a mask, of all."""
    if mask is None:
        return values.mean(-2)
    weight = mask.to(values.dtype).unsqueeze(-1)
    return (values * weight).sum(-2) / (weight.sum(-2) + EPSILON)


def max_mean(
    audio: Float[Tensor, "A T D"],
    mask: Bool[Tensor, "A T"],
    image: Float[Tensor, "V P D"],
    image_mask: Bool[Tensor, "V P"] | None = None,
) -> Float[Tensor, "A V"]:
    """Dense: each spoken token picks its best patch, the utterance averages its tokens (Phi, Eq. 3)."""
    similarity = token_similarity(audio, image)
    if image_mask is not None:
        similarity = similarity.masked_fill(~image_mask[None, :, None, :], -torch.inf)
    best = similarity.max(-1).values.float()  # A V T; a mean in bfloat16 would lose what the maximum found
    return masked_mean(best.unsqueeze(-1), mask[:, None, :].expand_as(best)).squeeze(-1)


def mean_max(
    audio: Float[Tensor, "A T D"],
    mask: Bool[Tensor, "A T"],
    image: Float[Tensor, "V P D"],
    image_mask: Bool[Tensor, "V P"] | None = None,
) -> Float[Tensor, "A V"]:
    """Visual to audio: each patch picks its best spoken token, the image averages its patches (Psi, Eq. 2)."""
    similarity = token_similarity(audio, image).masked_fill(~mask[:, None, :, None], -torch.inf)
    best = similarity.max(-2).values.float()  # A V P
    best = best.masked_fill(~mask.any(-1)[:, None, None], 0.0)  # no token: 0, as in max_mean
    return masked_mean(best.unsqueeze(-1), None if image_mask is None else image_mask.expand_as(best)).squeeze(-1)


def bidirectional(
    audio: Float[Tensor, "A T D"],
    mask: Bool[Tensor, "A T"],
    image: Float[Tensor, "V P D"],
    image_mask: Bool[Tensor, "V P"] | None = None,
) -> Float[Tensor, "A V"]:
    """The mean of both directions, (Phi + Psi) / 2."""
    return (max_mean(audio, mask, image, image_mask) + mean_max(audio, mask, image, image_mask)) / 2


def mean_mean(
    audio: Float[Tensor, "A T D"],
    mask: Bool[Tensor, "A T"],
    image: Float[Tensor, "V P D"],
    image_mask: Bool[Tensor, "V P"] | None = None,
) -> Float[Tensor, "A V"]:
    """Global: inner product of the mean audio token and the mean patch (Eq. 4-6; not normalised, as there)."""
    return _inner(masked_mean(audio, mask), masked_mean(image, image_mask))


def mean_mean_cosine(
    audio: Float[Tensor, "A T D"],
    mask: Bool[Tensor, "A T"],
    image: Float[Tensor, "V P D"],
    image_mask: Bool[Tensor, "V P"] | None = None,
) -> Float[Tensor, "A V"]:
    """Global with both means normalised: the cosine that the paper's text names."""
    audio_mean = F.normalize(masked_mean(audio, mask).float(), dim=-1)
    return _inner(audio_mean, F.normalize(masked_mean(image, image_mask).float(), dim=-1))


SIMILARITIES = {
    "max_mean": max_mean,
    "mean_max": mean_max,
    "bidirectional": bidirectional,
    "mean_mean": mean_mean,
    "mean_mean_cosine": mean_mean_cosine,
}


@torch.no_grad()
def score(
    objective: Mapping[str, float],
    audio: Float[Tensor, "A T D"],
    mask: Bool[Tensor, "A T"],
    image: Float[Tensor, "V P D"],
    image_mask: Bool[Tensor, "V P"] | None = None,
    chunk: int = 32,
) -> Float[Tensor, "A V"]:
    """Every utterance against every image: the similarities of `objective`, weighted as their losses are.

    Computed `chunk` x `chunk` at a time, so that memory does not grow with A x V. Used for what is read, not trained.
    """
    scores = torch.empty(len(audio), len(image), device=audio.device)
    for a in range(0, len(audio), chunk):
        for v in range(0, len(image), chunk):
            tile = (audio[a : a + chunk], mask[a : a + chunk], image[v : v + chunk])
            tile_mask = None if image_mask is None else image_mask[v : v + chunk]
            scores[a : a + chunk, v : v + chunk] = sum(
                (weight * SIMILARITIES[name](*tile, tile_mask) for name, weight in objective.items()),
                start=torch.zeros(()),
            )
    return scores
