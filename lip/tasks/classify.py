"""Image classification by the network of an image prior (paper, Fig. 6): do lottery tickets serve both?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from lip.cost import Work, forward
from lip.errors import InputError
from lip.priors import Hourglass, Prior
from lip.specs.picture import DataSet, Picture
from lip.specs.schedule import Positive, Training
from lip.tasks.task import Task

if TYPE_CHECKING:
    import numpy as np

    from lip.data.library import Album
    from lip.networks.classifier import Classifier
    from lip.specs.fit import Fit
    from lip.specs.recipe import Recipe
    from lip.specs.request import Point
    from lip.specs.trajectory import Trajectory
    from lip.training.classify import Classification

Count = Annotated[int, Field(ge=1)]


class Sgd(Training):
    """Stochastic gradient descent with momentum; the learning rate falls tenfold after 1/2 and 3/4 of the epochs.

    An epoch is a step: what is reported, drawn as a curve and rewound to. What is left over of a batch is left out.
    """

    epochs: Count = 182
    batch: Count = 256
    lr: Positive = 0.01
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 2e-4
    """Weight decay."""
    of: Count | None = None
    """The epochs of the run that this one is the beginning of: they say when the learning rate falls."""

    @property
    def steps(self) -> int:
        return self.epochs

    def beginning(self, steps: int) -> Sgd:
        return self.replace(epochs=steps, of=self.of or self.epochs)

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch, from 1 on."""
        whole = self.of or self.epochs
        return self.lr * 0.1 ** sum(epoch > whole * share // 4 for share in (2, 3))

    def columns(self) -> dict[str, Any]:
        return {"steps": self.epochs, **self.model_dump(exclude={"epochs", "of"})}


class Classify(Task):
    """Tell the classes of a data set apart.

    The hourglass sees the pictures instead of a code, and ends in a linear layer over all positions instead of its
    output convolution; cross-entropy. All other weights start as in the image prior of the same seed, whose `depth`
    says how many weights are drawn before them.
    """

    kind = "classify"
    key = "data"
    training = Sgd
    pruners = ("imp", "random", "layerwise", "shuffled", "magnitude", "snip", "synflow", "grasp")
    defects = ("shared_init", "random_double", "unmasked_first", "head", "rewind_none")
    released = {"head": {"head": "sigmoid"}, "rewind_none": {"rewinds": False}}  # noqa: RUF012

    head: Literal["linear", "sigmoid"] = "linear"
    """As said; or as the released code has it, the linear layer on the image of the output convolution, which stays,
    and a sigmoid between it and the cross-entropy."""
    rewinds: bool = True
    """Whether the weights that IMP keeps go back to theta_0; in the released code they stay as trained."""

    @property
    def keeps_weights(self) -> bool:
        return not self.rewinds

    @classmethod
    def take(cls, album: Album, name: str, prior: Prior, point: Point) -> DataSet:
        if not isinstance(prior, Hourglass):
            raise InputError(f"prior: {prior.kind} cannot classify; use prior: hourglass")
        if point.data_size <= prior.multiple:
            raise InputError(
                f"data_size: a net of {prior.scales} scales needs at least {prior.multiple + 1} pixels, not "
                f"{point.data_size}; use a larger size or fewer scales"
            )
        return album.data_set(name, point.data_size)

    def schedules(self) -> Mapping[str, Sgd]:
        return {"paper": Sgd(), "lip": Sgd()}

    def network(self, prior: Prior, picture: Picture) -> Classifier:
        from lip.networks.classifier import Classifier

        assert isinstance(prior, Hourglass)
        assert isinstance(picture, DataSet)
        return Classifier(prior, picture, self.head == "sigmoid")

    def start(self, trajectory: Trajectory, mask: Recipe) -> Fit | None:
        if self.rewinds:
            return super().start(trajectory, mask)
        return mask.source if mask.kind == "imp" and trajectory.lender is None else None

    def problem(self, fit: Fit, images: Mapping[str, np.ndarray], device: str) -> Classification:
        from lip.training.classify import Classification

        return Classification(fit, images, device)

    def work(self, fit: Fit) -> Work:
        """Count the work of an epoch: training, and the test pictures forward."""
        import torch

        assert isinstance(fit.picture, DataSet)
        height, width, channels = fit.picture.shape
        pair = forward(lambda: self.network(fit.prior, fit.picture), lambda: torch.empty(2, channels, height, width))
        return (fit.prior.passes * fit.picture.train + fit.picture.test) / 2 * pair

    def said(self, score: float) -> str:
        return f"{score:.1%} right"
