"""How much can be read from one token by a straight line: the measure that both stand-ins are compared on.

Dimension key
    N tokens    D width     C classes
"""

import torch
import torch.nn.functional as F
from torch import Tensor

RIDGE = 10.0


def ridge_accuracy(tokens: Tensor, labels: Tensor, held_tokens: Tensor, held_labels: Tensor) -> float:
    """Share of held-out tokens [N, D] whose class (labels [N]) a ridge regression to one-hot vectors gets right."""
    mean, std = tokens.double().mean(0), tokens.double().std(0) + 1e-6
    x, held = (F.pad((part.double() - mean) / std, (0, 1), value=1.0) for part in (tokens, held_tokens))
    gram = x.T @ x + RIDGE * torch.eye(x.shape[1], dtype=x.dtype)
    weight = torch.linalg.solve(gram, x.T @ F.one_hot(labels).double())
    return float(((held @ weight).argmax(-1) == held_labels).double().mean())
