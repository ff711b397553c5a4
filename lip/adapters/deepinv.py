"""A reconstructor for DeepInverse (`pip install 'lottery-image-priors[deepinv]'`): its physics, our priors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from deepinv.models import Reconstructor
from pydantic import PrivateAttr
from torch import Tensor

from lip.data.images import Image
from lip.errors import InputError
from lip.fast.backend import choose
from lip.masks import Mask
from lip.priors import Hourglass, Prior
from lip.restoration import SCALES, STEPS, WIDTH
from lip.specs.fit import Fit
from lip.specs.schedule import Schedule
from lip.tasks.degradation import Degradation
from lip.tickets import Ticket
from lip.training.restore import Restoration, train


class LotteryImagePrior(Reconstructor):
    """Reconstruct each image by fitting an untrained network to its measurements: dense, or a ticket.

    Called as `model(y, physics)`, with measurements y of a batch and the differentiable operator `physics.A`. Returns
    images (batch, channels, height, width) in [0, 1], the averaged outputs at the reference-free early stop ES-WMV.
    Needs no clean image. `image_size` is (channels, height, width); by default that of `physics.A_adjoint(y)`. A
    `ticket` brings its own network and the seed of its initial weights; without, it is an hourglass of `width` channels
    and `scales` halvings. Raises InputError when the ticket is for other channels.
    """

    def __init__(
        self,
        image_size: tuple[int, int, int] | None = None,
        ticket: Ticket | None = None,
        *,
        steps: int = STEPS,
        lr: float = 0.01,
        width: int = WIDTH,
        scales: int = SCALES,
        seed: int = 0,
        device: str = "cpu",
        backend: str = "auto",
    ) -> None:
        super().__init__(device)
        self.image_size, self.ticket, self.seed = image_size, ticket, seed
        self.device, self.backend = device, choose(backend, device).name
        self.prior: Prior = ticket.prior if ticket else Hourglass(width=width, scales=scales)
        self.schedule = self.prior.schedule(Schedule(backtrack=None, lr=lr)).replace(steps=steps, lr=lr)

    def forward(self, y: Tensor, physics: Any, **_: Any) -> Tensor:
        """Reconstruct a batch, one image after another."""
        size = self.image_size or tuple(physics.A_adjoint(y).shape[1:])
        with torch.inference_mode(False), torch.enable_grad():  # it trains, also where deepinv only evaluates
            images = [self._fitted(y[i : i + 1].clone(), physics, size) for i in range(len(y))]
        return torch.stack(images).to(y.device)

    def _fitted(self, y: Tensor, physics: Any, size: tuple[int, ...]) -> Tensor:
        channels, height, width = size
        if self.ticket and self.ticket.channels != channels:
            own = self.ticket.channels
            raise InputError(f"ticket: it is for images of {own} channels, not {channels}; use another ticket")
        padded = [self.prior.padded(side) for side in (height, width)]
        image = Image("measurements", np.zeros((*padded, channels), np.uint8), ())
        task = Measured.of(y, physics, height, width)
        theta_seed = self.ticket.theta_seed if self.ticket else None
        fit = Fit(
            picture=image.spec,
            task=task,
            schedule=self.schedule.replace(until="stop"),
            prior=self.prior,
            seed=self.seed,
            theta_seed=theta_seed,
        )
        model = Restoration(fit, {image.id: image.pixels}, self.device)
        mask = self.ticket.mask if self.ticket else Mask.dense(model.layers)
        rewound = self.ticket.rewound if self.ticket else None
        result = train(model, mask, rewound, None, self.backend)
        return torch.from_numpy(result.outputs["stop_ema"][:, :height, :width].copy())


class Measured(Degradation):
    """Explain measurements by an operator that is given from outside; it is never written to a ledger."""

    kind = "measured"
    has_clean_image = False

    _y: Tensor = PrivateAttr()
    _physics: Any = PrivateAttr()
    _size: tuple[int, int] = PrivateAttr()

    @classmethod
    def of(cls, y: Tensor, physics: Any, height: int, width: int) -> Measured:
        """Return the task for measurements y (1, ...) of an image of that size."""
        task = cls()
        task._y, task._physics, task._size = y, physics, (height, width)
        return task

    def schedules(self) -> dict[str, Schedule]:
        return {}

    def observe(self, clean: Tensor, noise: torch.Generator, *pictures: Tensor) -> Tensor:
        return clean  # unused: the measurements are in `loss`

    def project(self, output: Tensor) -> Tensor:
        height, width = self._size
        return output[..., :height, :width]

    def loss(self, output: Tensor, observation: Tensor) -> Tensor:
        return (self._physics.A(self.project(output)) - self._y).abs().square().mean()
