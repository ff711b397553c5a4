"""Image classification by the network of an image prior (paper, Fig. 6): do lottery tickets serve both?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from lip.priors import Hourglass, Prior
from lip.specs.picture import DataSet, Picture
from lip.specs.schedule import Sgd
from lip.tasks.task import Task

if TYPE_CHECKING:
    from lip.networks.classifier import Classifier


class Classify(Task):
    """Tell the classes of a data set apart.

    The hourglass sees the pictures instead of a code, and ends in a linear layer over all positions instead of its
    output convolution; cross-entropy. All other weights start as in the image prior of the same seed, whose `depth`
    says how many weights are drawn before them.
    """

    kind = "classify"
    shared_init = True
    key = "data"
    trainer = "classification"
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

    def schedules(self) -> Mapping[str, Sgd]:
        return {"paper": Sgd(), "lip": Sgd()}

    def network(self, prior: Prior, picture: Picture) -> Classifier:
        from lip.networks.classifier import Classifier

        assert isinstance(prior, Hourglass)
        assert isinstance(picture, DataSet)
        return Classifier(
            prior.depth,
            prior.width,
            prior.scales,
            prior.skip,
            picture.shape,
            picture.classes,
            self.head == "sigmoid",
        )

    def said(self, score: float) -> str:
        return f"{score:.1%} right"
