"""What the terms of an objective are given: the tokens of a batch, and all that they may need to know besides.

Dimension key
    A clips of this process    V images of all processes (A = V in one)
    T audio tokens    P image patches    D embedding
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from jaxtyping import Bool, Float, Int
from torch import Tensor

type Term = tuple[Float[Tensor, ""], dict[str, Tensor]]  # what it adds to the objective; its metrics by name


@dataclass(frozen=True)
class Pairs:
    """Tokens of clips and of the images that they are compared with; clip a shows image `first + a`.

    `picture` numbers the images by content: equal numbers are one picture. `recording` numbers what the clips were cut
    from, or is None where each is a recording of its own.

    What augmentation has done is None where it has done nothing of the kind: `silent` marks the tokens within a clip
    whose sound was taken away (they are not in `mask`); `own_sound` is the share of each token's sound that is the
    clip's own, and `own_picture` the share of each patch that shows the image's own picture.
    """

    audio: Float[Tensor, "A T D"]
    mask: Bool[Tensor, "A T"]
    image: Float[Tensor, "V P D"]
    image_mask: Bool[Tensor, "V P"] | None
    picture: Int[Tensor, "V"]
    recording: Int[Tensor, "V"] | None
    first: int
    silent: Bool[Tensor, "A T"] | None = field(default=None, kw_only=True)
    own_sound: Float[Tensor, "A T"] | None = field(default=None, kw_only=True)
    own_picture: Float[Tensor, "V P"] | None = field(default=None, kw_only=True)

    @property
    def tokens(self) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Both sides with their masks, as similarities take them."""
        return self.audio, self.mask, self.image, self.image_mask

    @property
    def not_negative(self) -> Bool[Tensor, "V V"]:
        """Marks pairs (i, j) that show one picture or come from one recording: no negatives of each other."""
        same = self.picture[:, None] == self.picture[None, :]
        return same if self.recording is None else same | (self.recording[:, None] == self.recording[None, :])


@dataclass(frozen=True)
class Context(Pairs):
    """The pairs of one step with what else terms and regularisers may read.

    `scale` is 1/temperature, with its gradient; `sum_processes` adds up a tensor over all processes, without one.
    """

    scale: Float[Tensor, ""]
    sum_processes: Callable[[Tensor], Tensor]

    @property
    def own_image(self) -> tuple[Float[Tensor, "A P D"], Bool[Tensor, "A P"] | None]:
        """The tokens and mask of the image of each clip."""
        own = slice(self.first, self.first + len(self.audio))
        return self.image[own], None if self.image_mask is None else self.image_mask[own]

    def mean(self, total: Float[Tensor, ""], count: Float[Tensor, ""]) -> Term:
        """This process's share of a mean, and the mean of all processes as the metric `loss`.

        `total` and `count` are of this process. Shares of all processes add up to the mean: the sum of one is divided
        by the count of all.
        """
        count = self.sum_processes(count).clamp(min=1)
        return total / count, {"loss": self.sum_processes(total.detach()) / count}
