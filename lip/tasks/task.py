"""The base class of tasks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lip.masks import Covers, Layer
from lip.specs.picture import Picture
from lip.specs.schedule import Training
from lip.specs.spec import Spec

if TYPE_CHECKING:
    from lip.networks.encoder_decoder import Network
    from lip.priors import Prior
    from lip.specs.released import ReleasedFlag


class Task(Spec):
    """Describe what a network is fitted to; fields are keys of a sweep file and columns of a row."""

    key: ClassVar[Literal["image", "data"]] = "image"
    """The key of a sweep file that names the image or the data it is fitted to."""
    pruners: ClassVar[tuple[str, ...] | None] = None
    """The pruners that work with it; None for all."""
    trainer: ClassVar[str]
    """Its trainer, a key of `lip.training.run.TRAINERS`."""
    training: ClassVar[type[Training]]
    """The kind of its schedules."""
    reports_average: ClassVar[bool] = False
    """Whether the published protocol reports the moving average of the outputs instead of the output itself."""
    released_flags: ClassVar[tuple[ReleasedFlag, ...]] = ()
    """Differences between its released code and the paper (`lip.specs.released`)."""
    released_fields: ClassVar[Mapping[ReleasedFlag, Mapping[str, Any]]] = {}
    """The fields of its own that these flags set."""
    shared_init: ClassVar[bool] = False
    """Whether its released code starts every repeat from one theta_0."""

    @property
    def saves_weights(self) -> bool:
        """Tell whether trained weights are published with every fit, for others to start from."""
        return False

    @abstractmethod
    def schedules(self) -> Mapping[str, Training]:
        """Return schedules: the `paper`'s (else deep image prior's), and that of its code (`lip`)."""

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """Return further images that it needs."""
        return ()

    def check(self, height: int, width: int, prior: Prior) -> str | None:
        """Return an objection to an image of that size, as the end of a sentence; None if there is none."""
        return None

    def network(self, prior: Prior, picture: Picture) -> Network:
        """Build the network at theta_0, drawn from PyTorch's global generator."""
        return prior.build(picture.channels)

    def layers(self, prior: Prior, picture: Picture, covers: Covers) -> tuple[Layer, ...]:
        """Return the layers that a mask covers."""
        return _outline(self, prior, picture, covers)[0]

    def counts(self, prior: Prior, picture: Picture, covers: Covers) -> tuple[int, int]:
        """Count the parameters that a mask covers, and all parameters."""
        layers, parameters = _outline(self, prior, picture, covers)
        return sum(layer.size for layer in layers), parameters

    def trains_weights(self, prior: Prior) -> bool:
        """Tell whether a fit trains the weights, so that IMP can cut a ticket from them."""
        return True

    def format_score(self, score: float) -> str:
        """Format the score that a training reports."""
        return f"{score:.2f} dB"


@cache
def _outline(task: Task, prior: Prior, picture: Picture, covers: Covers) -> tuple[tuple[Layer, ...], int]:
    import torch

    with torch.device("meta"):
        net = task.network(prior, picture)
    layers = tuple(Layer(name, tuple(p.shape)) for name, p in net.covered(covers))
    return layers, sum(p.numel() for p in net.parameters())
