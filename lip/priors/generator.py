"""Pre-trained generators: priors whose weights stay as they are while the code z is fitted (paper, section 4.5)."""

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
    """A generator of square images of one size, and the critic it is trained against.

    A trajectory's `origin` is the generator's training: tickets are found there, and every mask is tuned there.
    """

    defects = ("quartic", "raw_generator", "untuned", "gan_batch")

    size: int
    """Height and width of its images, in pixels."""
    checkpoint: Annotated[str, Field(pattern="^[0-9a-f]{16}$")] | None = None
    """The pre-trained weights by their hash; None: it is pre-trained here."""
    restarts: Annotated[int, Field(ge=1)] = 1
    """How many codes are fitted one after the other; the one that comes closest to the observation is kept."""
    raw: bool = False
    """Recover with the generator as trained last, as the released code does, not with its moving average."""

    @property
    def multiple(self) -> int:
        return self.size

    @property
    def smallest(self) -> int:
        return self.size

    @property
    @abstractmethod
    def latent(self) -> int:
        """Numbers in a code z."""

    @abstractmethod
    def build(self, channels: int) -> Generator: ...

    @abstractmethod
    def critic(self, channels: int) -> nn.Module:
        """The critic with its usual initialisation, drawn from the global generator."""

    def networks(self, channels: int) -> dict[str, nn.Module]:
        """The networks that a checkpoint may hold, by name, without their weights."""
        import torch

        with torch.device("meta"):
            return {
                "generator": self.build(channels),
                "averaged": self.build(channels),
                "critic": self.critic(channels),
            }

    @abstractmethod
    def codes(self, count: int, stream: Stream | None = None) -> Tensor:
        """Codes (count, latent), as the generator was trained on, drawn on the CPU."""

    def code_shape(self, height: int, width: int) -> tuple[int, int, int]:
        return self.latent, 1, 1

    def code(self, height: int, width: int) -> Tensor:
        return self.codes(1)

    def schedule(self, usual: Schedule) -> Schedule:
        """1,500 steps of Adam on the code, with nothing added to it."""
        return usual.replace(steps=1500, lr=0.01, jitter=0.0, backtrack=None)

    @property
    def trains(self) -> bool:
        return False

    @property
    def passes(self) -> int:
        """Count two for each of the codes that are fitted: their gradient costs one."""
        return 2 * self.restarts

    def as_trained(self) -> Pretrained:
        """This prior without what concerns recovery only."""
        return self.replace(restarts=1, raw=False)
