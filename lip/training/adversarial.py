"""Training a masked generator against a dense critic: Wasserstein GAN with gradient penalty.

    repeat N times:  critic    D(G(z)) - D(x) + 10 (|D'| - 1)² + 0.001 D(x)²      Adam step
                     generator -D(G(z; m * theta))                              Adam step on theta

Beside the generator runs the moving average of its weights, which is what recovers images.
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
"""Faces shown of what a generator makes."""

SETTLING = 50
"""Batches over which running statistics are taken."""

FLAT = 0.02
"""Generated faces whose pixels differ from face to face by less than this standard deviation, of 2, are all one."""


@dataclass(frozen=True, kw_only=True)
class GenerationResult(TrainingResult):
    """The result of a generator's training; weights are `generator.`, `averaged.` and `critic.` by name."""

    steps: list[int]
    """Those sampled."""
    losses: list[float]

    def columns(self) -> dict[str, Any]:
        return {"curve_step": self.steps, "curve_loss": self.losses}


class Generation(Model):
    """Faces, a generator and its critic. `images` maps the faces' hash to them, uint8 (n, height, width, channels)."""

    def __init__(self, fit: Fit, images: Mapping[str, np.ndarray], device: str = "cpu") -> None:
        super().__init__(fit, device)
        assert isinstance(fit.task, Generate)
        assert isinstance(fit.schedule, Adversarial)
        assert isinstance(fit.prior, Pretrained)
        self.task, self.schedule, self.prior = fit.task, fit.schedule, fit.prior
        self.faces = torch.from_numpy(images[fit.picture.pixels]).to(device)
        with self.drawing("theta_0"):
            net = self.prior.build(fit.picture.channels)
            self.critic = self.prior.critic(fit.picture.channels).to(device)
        self.net: Generator
        self.hold(net)
        self.averaged = deepcopy(net).requires_grad_(False)
        if self.prior.checkpoint:
            self.start_from(unpacked(images[self.prior.checkpoint]))

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
        kept = super().prune(mask)
        parameters = list(self.averaged.parameters())
        for ours, theirs in zip(parameters, kept.split([p.numel() for p in parameters]), strict=True):
            ours.mul_(theirs.view_as(ours))
        return kept

    def probe(self, name: str) -> Tensor:
        return -self.critic(self.made(self.schedule.batch, self.stream(name))).mean()

    def made(self, count: int, draw: torch.Generator) -> Tensor:
        """So many faces of the generator, in [-1, 1]."""
        return self.net.image(self.prior.codes(count, draw).to(self.device))

    def train(
        self, mask: Mask, start: Mapping[str, Tensor] | None = None, watch: Watch | None = None, backend: str = "dense"
    ) -> GenerationResult:
        """Always by PyTorch alone: the compiled modules have one image in mind.

        Loss is the critic's estimate of the distance between faces and generated ones, penalties left out.
        """
        if start is not None:
            self.start_from(start)
        kept = self.prune(mask)
        schedule = self.schedule
        every = ceil(schedule.tuning / CURVE_POINTS)
        adam = torch.optim.Adam([self.theta], schedule.tuning_lr, BETAS, fused=True)
        judge = torch.optim.Adam(self.critic.parameters(), schedule.critic_lr, BETAS, fused=True)
        faces, codes, between = self._batches(self.stream("faces")), self.stream("codes"), self.stream("penalty")
        self.net.train(not schedule.generator_frozen)  # running statistics of batch norm are frozen too
        losses = torch.zeros(schedule.tuning, device=self.device)
        stopwatch = Stopwatch()
        for step in range(1, schedule.tuning + 1):
            losses[step - 1] = self._criticise(judge, next(faces), codes, between)
            if not schedule.generator_frozen:
                self._generate(adam, codes)
                self.theta.data.mul_(kept)
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
            **self.left(),
            backend="dense",
            outputs={"faces": np.concatenate([*((shown + 1) / 2).clamp(0, 1).cpu().numpy()], axis=2)},
            **times,
        )

    def _batches(self, draw: torch.Generator) -> Iterator[Tensor]:
        """Faces in [-1, 1], each once in an epoch; what is left over of a batch is left out."""
        count = len(self.faces)
        size = min(self.schedule.batch, count)
        while True:
            order = torch.randperm(count, generator=draw)[: count // size * size].to(self.device)
            for chosen in order.view(-1, size):
                yield self.faces[chosen].permute(0, 3, 1, 2).float() / 127.5 - 1

    def _criticise(
        self, judge: torch.optim.Adam, real: Tensor, codes: torch.Generator, between: torch.Generator
    ) -> Tensor:
        with torch.no_grad():
            fake = self.made(len(real), codes)
        scores = self.critic(real)
        distance = scores.mean() - self.critic(fake).mean()
        drift = scores.mean().square() if self.task.gan_batch else scores.square().mean()
        loss = -distance + PENALTY * gradient_penalty(self.critic, real, fake, between) + DRIFT * drift
        judge.zero_grad()
        loss.backward()
        judge.step()
        return distance.detach()

    def _generate(self, adam: torch.optim.Adam, codes: torch.Generator) -> None:
        self.critic.requires_grad_(False)
        count = 1 if self.task.gan_batch else min(self.schedule.batch, len(self.faces))
        (-self.critic(self.made(count, codes)).mean()).backward()
        self.critic.requires_grad_(True)
        adam.step()
        self.grad.zero_()

    def _average(self, step: int) -> None:
        """The past weighs little at first, so that a short training has an average too."""
        past = min(self.schedule.average, step / (step + 9))
        for ours, theirs in zip(self.averaged.state_dict().values(), self.net.state_dict().values(), strict=True):
            if ours.is_floating_point():
                ours.lerp_(theirs, 1 - past)
            else:
                ours.copy_(theirs)

    @torch.no_grad()
    def _settle(self) -> None:
        """Let running statistics of batch norm, which recovery goes by, be those of the weights as they are now."""
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
        """Some faces of the averaged generator, in [-1, 1]."""
        return self.averaged.eval().image(self.prior.codes(SAMPLES, self.stream("shown")).to(self.device))


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor, draw: torch.Generator) -> Tensor:
    """Penalise gradients of the critic of another norm than 1, between faces and generated ones (mean square)."""
    share = torch.rand(len(real), 1, 1, 1, generator=draw).to(real)
    between = torch.lerp(fake, real, share).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (slope.flatten(1).norm(dim=1) - 1).square().mean()
