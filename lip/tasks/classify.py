"""Image classification by the network of an image prior (paper, Fig. 6)."""

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
    """Classify the pictures of a data set, by cross-entropy.

    The hourglass sees pictures instead of a code, and ends in a linear layer over all positions instead of its output
    convolution. All other weights start as in the image prior of the same seed and `depth`.
    """

    kind = "classify"
    shared_init = True
    key = "data"
    trainer = "classification"
    training = Sgd
    pruners = ("imp", "random", "layerwise", "shuffled", "magnitude", "snip", "synflow", "grasp")
    released_flags = ("shared_init", "random_double", "unmasked_first", "head", "rewind_none")
    released_fields = {"head": {"head": "sigmoid"}, "rewind_none": {"rewinds": False}}  # noqa: RUF012

    head: Literal["linear", "sigmoid"] = "linear"
    """`sigmoid` as in the released code: the linear layer follows the output convolution, which stays, and a sigmoid
    comes before the cross-entropy."""
    rewinds: bool = True
    """Whether the kept weights go back to theta_0 after a round; in the released code they stay as trained."""

    @property
    def saves_weights(self) -> bool:
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

    def format_score(self, score: float) -> str:
        return f"accuracy {score:.1%}"
