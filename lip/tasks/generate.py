"""Training a generator on faces against a critic, which also finds its tickets (paper, section 4.5)."""

from __future__ import annotations

from collections.abc import Mapping

from lip.specs.schedule import Adversarial
from lip.tasks.task import Task


class Generate(Task):
    """Train a masked generator as a Wasserstein GAN with gradient penalty (arXiv 1704.00028).

    Every fit starts from the same pre-trained weights: those of a checkpoint, or of a fit that began from scratch.
    """

    kind = "generate"
    key = "data"
    trainer = "adversarial"
    training = Adversarial
    pruners = ("imp", "random", "layerwise", "shuffled")
    released_fields = {"gan_batch": {"gan_batch": True}}  # noqa: RUF012

    gan_batch: bool = False
    """As in the released code: the generator sees one image a step, and drift is the square of the mean score."""

    @property
    def saves_weights(self) -> bool:
        return True

    def schedules(self) -> Mapping[str, Adversarial]:
        return {"paper": Adversarial(), "lip": Adversarial()}

    def format_score(self, score: float) -> str:
        return f"distance {score:.2f}"
