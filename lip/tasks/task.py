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
    from lip.specs.released import Defect


class Task(Spec):
    """Describe what a network is fitted to; fields are keys of a sweep file and columns of a row."""

    key: ClassVar[Literal["image", "data"]] = "image"
    """The key of a sweep file that says what it is fitted to."""
    pruners: ClassVar[tuple[str, ...] | None] = None
    """The pruners it can do with; None for all."""
    trainer: ClassVar[str]
    """What trains it."""
    training: ClassVar[type[Training]]
    """The kind of its schedules."""
    reports_average: ClassVar[bool] = False
    """Whether the published protocol reports the moving average of the outputs; if not, the output itself."""
    defects: ClassVar[tuple[Defect, ...]] = ()
    """What its released code does otherwise than the paper says (`lip.specs.released`)."""
    released: ClassVar[Mapping[Defect, Mapping[str, Any]]] = {}
    """Those of them that are fields of its own, and what they set."""

    shared_init: ClassVar[bool] = False
    """Whether its released code starts every repeat from one theta_0."""

    @property
    def keeps_weights(self) -> bool:
        """Tell whether trained weights are published with every fit, for others to start from."""
        return False

    @abstractmethod
    def schedules(self) -> Mapping[str, Training]:
        """Return schedules: the `paper`'s (where it is silent, deep image prior's), and that of its code (`lip`)."""

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """Images that it needs besides."""
        return ()

    def check(self, height: int, width: int, prior: Prior) -> str | None:
        """Return an objection to an image of that size, as the end of a sentence; None if there is none."""
        return None

    def network(self, prior: Prior, picture: Picture) -> Network:
        """The network at theta_0, drawn from PyTorch's global generator."""
        return prior.build(picture.channels)

    def layers(self, prior: Prior, picture: Picture, covers: Covers) -> tuple[Layer, ...]:
        """Return the layers that a mask covers."""
        return _outline(self, prior, picture, covers)[0]

    def counts(self, prior: Prior, picture: Picture, covers: Covers) -> tuple[int, int]:
        """Count the parameters that a mask covers, and all."""
        layers, parameters = _outline(self, prior, picture, covers)
        return sum(layer.size for layer in layers), parameters

    def trains(self, prior: Prior) -> bool:
        """Tell whether a fit trains the weights, so that IMP can cut a ticket from them."""
        return True

    def said(self, score: float) -> str:
        """Put the score that a training reports into words."""
        return f"{score:.2f} dB"


@cache
def _outline(task: Task, prior: Prior, picture: Picture, covers: Covers) -> tuple[tuple[Layer, ...], int]:
    import torch

    with torch.device("meta"):
        net = task.network(prior, picture)
    layers = tuple(Layer(name, tuple(p.shape)) for name, p in net.covered(covers))
    return layers, sum(p.numel() for p in net.parameters())
