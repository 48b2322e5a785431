"""One step of training, the same for every network here."""

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


def descend(loss: Tensor, parameters: list[nn.Parameter], optimizer: Optimizer, schedule: LRScheduler) -> None:
    """Move the parameters against the gradient of `loss`, whose norm is kept to 1, and the rate along its schedule."""
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    schedule.step()
