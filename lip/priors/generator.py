"""Pre-trained generators: priors whose weights are frozen while the code z is fitted (paper, section 4.5)."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from lip.priors.prior import Prior
from lip.specs.schedule import Schedule

if TYPE_CHECKING:
    from torch import Generator as Stream
    from torch import Tensor, nn

    from lip.networks.generators import Generator


class Pretrained(Prior):
    """Describe a generator of square images, and the critic it is trained against.

    A trajectory's `mask_source` is the generator's training: tickets are found there, and every mask is tuned there.
    """

    released_flags = ("quartic", "raw_generator", "untuned", "gan_batch")

    size: int
    """Height and width of its images, in pixels."""
    checkpoint: Annotated[str, Field(pattern="^[0-9a-f]{16}$")] | None = None
    """The hash of the pre-trained weights; None: it is pre-trained here."""
    restarts: Annotated[int, Field(ge=1)] = 1
    """Number of codes that are fitted one after another; the one closest to the observation is kept."""
    raw: bool = False
    """Recover with the last weights of the generator, as the released code does, not with their moving average."""

    @property
    def multiple(self) -> int:
        return self.size

    @property
    def smallest(self) -> int:
        return self.size

    @property
    @abstractmethod
    def latent(self) -> int:
        """Return the length of a code z."""

    @abstractmethod
    def build(self, channels: int) -> Generator: ...

    @abstractmethod
    def critic(self, channels: int) -> nn.Module:
        """Build the critic with its usual initialisation, drawn from the global generator."""

    def networks(self, channels: int) -> dict[str, nn.Module]:
        """Build the networks that a checkpoint may hold, by name, without weights."""
        import torch

        with torch.device("meta"):
            return {
                "generator": self.build(channels),
                "averaged": self.build(channels),
                "critic": self.critic(channels),
            }

    @abstractmethod
    def codes(self, count: int, stream: Stream | None = None) -> Tensor:
        """Draw codes (count, latent) on the CPU, distributed as in the generator's training."""

    def code_shape(self, height: int, width: int) -> tuple[int, int, int]:
        return self.latent, 1, 1

    def code(self, height: int, width: int) -> Tensor:
        return self.codes(1)

    def schedule(self, usual: Schedule) -> Schedule:
        """Return 1,500 steps of Adam on the code, without jitter."""
        return usual.replace(steps=1500, lr=0.01, jitter=0.0, backtrack=None)

    @property
    def trains_weights(self) -> bool:
        return False

    @property
    def passes(self) -> int:
        """Count two passes for each fitted code: forward and backward."""
        return 2 * self.restarts

    def as_trained(self) -> Pretrained:
        """Return this prior without the fields that concern recovery only."""
        return self.replace(restarts=1, raw=False)
