"""Train a masked generator against a dense critic: Wasserstein GAN with gradient penalty.

    repeat N times:  critic    D(G(z)) - D(x) + 10 (|D'| - 1)² + 0.001 D(x)²      Adam step
                     generator -D(G(z; m * theta))                              Adam step on theta

The moving average of the generator's weights is what recovers images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from lip.data.checkpoints import part, unpacked
from lip.masks import Mask
from lip.networks.generators import Generator
from lip.priors.generator import Pretrained
from lip.specs.fit import Fit
from lip.specs.schedule import Adversarial
from lip.tasks.generate import Generate
from lip.training.model import Model
from lip.training.record import CURVE_POINTS, LOSS_STEPS
from lip.training.result import Stopwatch, TrainingResult

if TYPE_CHECKING:
    from lip.training.result import Watch

BETAS = (0.0, 0.99)
PENALTY = 10.0
DRIFT = 0.001
SAMPLES = 16
"""Generated faces in the output."""

SETTLING = 50
"""Batches from which running statistics are computed."""

FLAT = 0.02
"""Generated faces have collapsed if their standard deviation, of pixels in [-1, 1], is less than this."""


@dataclass(frozen=True, kw_only=True)
class GenerationResult(TrainingResult):
    """The result of a generator's training; weights are `generator.`, `averaged.` and `critic.` by name."""

    steps: list[int]
    """The sampled steps."""
    losses: list[float]

    def columns(self) -> dict[str, Any]:
        return {"curve_step": self.steps, "curve_loss": self.losses}


class Generation(Model):
    """Faces, a generator and its critic.

    `inputs` maps the faces' hash to them, uint8 (n, height, width, channels).
    """

    def __init__(self, fit: Fit, inputs: Mapping[str, np.ndarray], device: str = "cpu") -> None:
        super().__init__(fit, device)
        assert isinstance(fit.task, Generate)
        assert isinstance(fit.schedule, Adversarial)
        assert isinstance(fit.prior, Pretrained)
        self.task, self.schedule, self.prior = fit.task, fit.schedule, fit.prior
        self.faces = torch.from_numpy(inputs[fit.picture.content_hash]).to(device)
        with self.seeded("theta_0"):
            net = self.prior.build(fit.picture.channels)
            self.critic = self.prior.critic(fit.picture.channels).to(device)
        self.net: Generator
        self.set_network(net)
        self.averaged = deepcopy(net).requires_grad_(False)
        if self.prior.checkpoint:
            self.start_from(unpacked(inputs[self.prior.checkpoint]))

    @property
    def input_shape(self) -> tuple[int, int, int]:
        return self.prior.code_shape(self.prior.size, self.prior.size)

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        self.net.load_state_dict(part(weights, "generator"))
        self.averaged.load_state_dict(part(weights, "averaged") or part(weights, "generator"))
        if critic := part(weights, "critic"):
            self.critic.load_state_dict(critic)

    def weights(self) -> dict[str, Tensor]:
        networks = {"generator": self.net, "averaged": self.averaged, "critic": self.critic}
        return {
            f"{name}.{key}": value.detach().cpu().clone()
            for name, network in networks.items()
            for key, value in network.state_dict().items()
        }

    def prune(self, mask: Mask) -> Tensor:
        mask_vector = super().prune(mask)
        parameters = list(self.averaged.parameters())
        for parameter, own in zip(parameters, mask_vector.split([p.numel() for p in parameters]), strict=True):
            parameter.mul_(own.view_as(parameter))
        return mask_vector

    def loss_at_init(self, name: str) -> Tensor:
        return -self.critic(self.generate(self.schedule.batch, self.stream(name))).mean()

    def generate(self, count: int, draw: torch.Generator) -> Tensor:
        """Generate faces, in [-1, 1]."""
        return self.net.image(self.prior.codes(count, draw).to(self.device))

    def train(
        self, mask: Mask, start: Mapping[str, Tensor] | None = None, watch: Watch | None = None, backend: str = "dense"
    ) -> GenerationResult:
        """Train with PyTorch alone: the compiled modules take a single image.

        Loss is the critic's estimate of the distance between real and generated faces, without penalties.
        """
        if start is not None:
            self.start_from(start)
        mask_vector = self.prune(mask)
        schedule = self.schedule
        every = ceil(schedule.tuning / CURVE_POINTS)
        adam = torch.optim.Adam([self.theta], schedule.tuning_lr, BETAS, fused=True)
        critic_adam = torch.optim.Adam(self.critic.parameters(), schedule.critic_lr, BETAS, fused=True)
        faces, codes, between = self._batches(self.stream("faces")), self.stream("codes"), self.stream("penalty")
        self.net.train(not schedule.generator_frozen)  # running statistics of batch norm are frozen too
        losses = torch.zeros(schedule.tuning, device=self.device)
        stopwatch = Stopwatch()
        for step in range(1, schedule.tuning + 1):
            losses[step - 1] = self._update_critic(critic_adam, next(faces), codes, between)
            if not schedule.generator_frozen:
                self._update_generator(adam, codes)
                self.theta.data.mul_(mask_vector)
                self._average(step)
            if watch and step % every == 0:
                watch(step, float(losses[step - 1]))
        if not schedule.generator_frozen:
            self._settle()
        curve = losses.cpu().double().numpy()
        sampled = sorted({*range(every, schedule.tuning + 1, every), schedule.tuning})
        shown = self._shown()
        times = stopwatch.read()
        return GenerationResult(
            steps=sampled,
            losses=curve[np.array(sampled) - 1].tolist(),
            loss=float(curve[-LOSS_STEPS:].mean()),
            collapsed=not float(shown.std(dim=0).mean()) > FLAT,
            **self.final_state(),
            backend="dense",
            outputs={"faces": np.concatenate([*((shown + 1) / 2).clamp(0, 1).cpu().numpy()], axis=2)},
            **times,
        )

    def _batches(self, draw: torch.Generator) -> Iterator[Tensor]:
        """Yield batches of faces in [-1, 1], each once per epoch; an incomplete last batch is dropped."""
        count = len(self.faces)
        size = min(self.schedule.batch, count)
        while True:
            order = torch.randperm(count, generator=draw)[: count // size * size].to(self.device)
            for chosen in order.view(-1, size):
                yield self.faces[chosen].permute(0, 3, 1, 2).float() / 127.5 - 1

    def _update_critic(
        self, adam: torch.optim.Adam, real: Tensor, codes: torch.Generator, between: torch.Generator
    ) -> Tensor:
        with torch.no_grad():
            fake = self.generate(len(real), codes)
        scores = self.critic(real)
        distance = scores.mean() - self.critic(fake).mean()
        drift = scores.mean().square() if self.task.gan_batch else scores.square().mean()
        loss = -distance + PENALTY * gradient_penalty(self.critic, real, fake, between) + DRIFT * drift
        adam.zero_grad()
        loss.backward()
        adam.step()
        return distance.detach()

    def _update_generator(self, adam: torch.optim.Adam, codes: torch.Generator) -> None:
        self.critic.requires_grad_(False)
        count = 1 if self.task.gan_batch else min(self.schedule.batch, len(self.faces))
        (-self.critic(self.generate(count, codes)).mean()).backward()
        self.critic.requires_grad_(True)
        adam.step()
        self.grad.zero_()

    def _average(self, step: int) -> None:
        """Update the moving average; the past weighs little at first, so that short trainings have one too."""
        past = min(self.schedule.average, step / (step + 9))
        for ours, theirs in zip(self.averaged.state_dict().values(), self.net.state_dict().values(), strict=True):
            if ours.is_floating_point():
                ours.lerp_(theirs, 1 - past)
            else:
                ours.copy_(theirs)

    @torch.no_grad()
    def _settle(self) -> None:
        """Compute the running statistics of batch norm, which recovery uses, for the present weights."""
        for net in (self.net, self.averaged):
            norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None  # the plain mean over all batches
            draw = self.stream("statistics")
            for _ in range(SETTLING if norms else 0):
                net.train().image(self.prior.codes(self.schedule.batch, draw).to(self.device))

    @torch.no_grad()
    def _shown(self) -> Tensor:
        """Generate some faces with the averaged generator, in [-1, 1]."""
        return self.averaged.eval().image(self.prior.codes(SAMPLES, self.stream("shown")).to(self.device))


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor, draw: torch.Generator) -> Tensor:
    """Penalise norms other than 1 of the critic's gradient between real and generated faces (mean square)."""
    share = torch.rand(len(real), 1, 1, 1, generator=draw).to(real)
    between = torch.lerp(fake, real, share).requires_grad_()
    (grad,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (grad.flatten(1).norm(dim=1) - 1).square().mean()
