"""SpecAugment over time: spans of encoder frames that the speech backbone does not see in a step of training.

Spans are drawn as transformers' HuBERT draws them, but for three things: from torch's default CPU generator, not from
numpy's; within the speech of a clip, not in its padding; and the number of spans is rounded clip by clip, not with one
draw for all. Source: Park et al. 2019 (SpecAugment), as used by wav2vec 2.0 and HuBERT.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Int
from torch import Tensor


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
