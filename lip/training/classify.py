"""Train a masked hourglass as a classifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lip.masks import Mask
from lip.specs.fit import Fit
from lip.specs.schedule import Sgd
from lip.training.model import Model
from lip.training.result import Stopwatch, TrainingResult

if TYPE_CHECKING:
    from lip.training.result import Watch


@dataclass(frozen=True)
class Split:
    """Pictures uint8 (n, channels, height, width) and their labels (n)."""

    pictures: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, chosen: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Return pictures with values from -1 to 1, and labels."""
        return self.pictures[chosen].float() / 127.5 - 1, self.labels[chosen]


@dataclass(frozen=True, kw_only=True)
class ClassificationResult(TrainingResult):
    """The result of a classification, one entry per epoch; accuracies on the test pictures, 0 to 1."""

    losses: list[float]
    """Means over an epoch's batches."""
    accuracies: list[float]

    def columns(self) -> dict[str, Any]:
        best = int(np.argmax(self.accuracies))
        return {
            "accuracy_last": self.accuracies[-1],
            "accuracy_peak": self.accuracies[best],
            "step_peak": 1 + best,
            "curve_step": list(range(1, 1 + len(self.losses))),
            "curve_loss": self.losses,
            "curve_accuracy": self.accuracies,
        }


class Classification(Model):
    """A classifier and its data set. `inputs` maps its hash to its records (`lip.specs.picture.DataSet`)."""

    def __init__(self, fit: Fit, inputs: Mapping[str, np.ndarray], device: str = "cpu") -> None:
        super().__init__(fit, device)
        assert isinstance(fit.schedule, Sgd)
        self.schedule = fit.schedule
        records = inputs[fit.picture.content_hash]
        self.train_split, self.test_split = (self._split(records[records["test"] == part]) for part in (False, True))
        with self.seeded("theta_0"):
            net = fit.task.network(fit.prior, fit.picture)
        self.set_network(net)

    def _split(self, records: np.ndarray) -> Split:
        pictures = torch.from_numpy(np.ascontiguousarray(records["image"].transpose(0, 3, 1, 2)))
        return Split(pictures.to(self.device), torch.from_numpy(records["label"].astype(np.int64)).to(self.device))

    @property
    def input_shape(self) -> tuple[int, int, int]:
        channels, height, width = self.train_split.pictures.shape[1:]
        return channels, height, width

    def loss(self, chosen: Tensor) -> Tensor:
        """Return the cross-entropy on some pictures of the training split."""
        pictures, labels = self.train_split.batch(chosen)
        return F.cross_entropy(self.net(pictures), labels)

    def batches(self, generator: torch.Generator) -> Tensor:
        """Shuffle an epoch: the pictures of every batch, (batches, pictures)."""
        count = len(self.train_split)
        batch = min(self.schedule.batch, count)
        order = torch.randperm(count, generator=generator)
        return order[: count // batch * batch].view(-1, batch).to(self.device)

    def loss_at_init(self, name: str) -> Tensor:
        return self.loss(self.batches(self.stream(name))[0])

    def train(
        self, mask: Mask, start: Mapping[str, Tensor] | None = None, watch: Watch | None = None, backend: str = "dense"
    ) -> ClassificationResult:
        """Train with PyTorch alone: the compiled modules take a single image."""
        if start is not None:
            self.start_from(start)
        mask_vector = self.prune(mask)
        sgd = self._optimiser()
        order = self.stream("order")
        losses, accuracies = [], []
        stopwatch = Stopwatch()
        for epoch in range(1, self.schedule.epochs + 1):
            sgd.param_groups[0]["lr"] = self.schedule.rate(epoch)
            batch_losses = [self._update(sgd, chosen, mask_vector) for chosen in self.batches(order)]
            losses.append(float(torch.stack(batch_losses).mean()))
            accuracies.append(self.accuracy())
            if watch:
                watch(epoch, accuracies[-1])
        return ClassificationResult(
            losses=losses,
            accuracies=accuracies,
            loss=losses[-1],
            collapsed=max(accuracies) <= self._most_frequent(),
            **self.final_state(),
            backend="dense",
            outputs={},
            **stopwatch.read(),
        )

    def _optimiser(self) -> torch.optim.SGD:
        schedule = self.schedule
        return torch.optim.SGD([self.theta], schedule.lr, schedule.momentum, weight_decay=schedule.decay)

    def _update(self, sgd: torch.optim.SGD, chosen: Tensor, mask_vector: Tensor) -> Tensor:
        loss = self.loss(chosen)
        loss.backward()
        sgd.step()
        self.grad.zero_()
        self.theta.data.mul_(mask_vector)
        return loss.detach()

    @torch.no_grad()
    def accuracy(self) -> float:
        """Return the share of test pictures classified correctly, batch norm at its running statistics."""
        self.net.eval()
        size, count = self.schedule.batch, len(self.test_split)
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        for first in range(0, count, size):
            pictures, labels = self.test_split.batch(slice(first, first + size))
            correct += (self.net.logits(pictures).argmax(dim=1) == labels).sum()
        self.net.train()
        return int(correct) / count

    def _most_frequent(self) -> float:
        """Return the accuracy of always answering the most frequent class."""
        return int(self.test_split.labels.bincount().max()) / len(self.test_split)
