"""Restore a degraded image with a masked prior: the inner loop.

    repeat N times:  x = f(z + jitter; m * theta)      loss = L(x, observation)      Adam step on theta

The loop never waits for the device: errors, averages and choices stay there as tensors, and only the few dozen sampled
steps of the curve are copied to the host.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from lip.fast.accelerate import accelerate
from lip.fast.cuda_graph import CudaGraph
from lip.fast.precision import require
from lip.fast.replay import TapedNetwork
from lip.masks import Mask
from lip.specs.fit import Fit
from lip.specs.schedule import JITTER_DECAY_EVERY, Schedule
from lip.tasks.degradation import Degradation
from lip.training.adam import Adam
from lip.training.backtracking import backtracking_of
from lip.training.model import Model
from lip.training.record import Recorder, RestorationResult
from lip.training.result import Stopwatch, Watch


class Restoration(Model):
    """One or several degraded images. `inputs` maps hashes to pixels, uint8 (height, width, channels)."""

    def __init__(self, fit: Fit, inputs: Mapping[str, np.ndarray], device: str = "cpu") -> None:
        super().__init__(fit, device)
        assert isinstance(fit.task, Degradation)
        assert isinstance(fit.schedule, Schedule)
        self.task, self.schedule = fit.task, fit.schedule
        cleans, others = (
            [self.task.frame(_tensor(inputs[picture.content_hash])) for picture in group]
            for group in (fit.pictures, self.task.pictures)
        )
        dtype = torch.float64 if self.schedule.precision == "float64" else torch.float32
        noise = self.stream("observation")  # one stream for all images, so that each has its own noise
        self.clean = torch.cat(cleans).to(device, dtype)
        observations = [self.task.observe(clean, noise, *others) for clean in cleans]
        # A single observation is not copied: measurements with their matrix may fill the memory.
        self.observation = (observations[0] if len(cleans) == 1 else torch.cat(observations)).to(device, dtype)
        compared = self.task.backtracking_image(cleans[0], self.stream("observation"))
        self.backtracking_image = None if compared is None else compared.to(device, dtype)
        count, _, height, width = self.clean.shape
        with self.seeded("theta_0"):
            net = fit.task.network(fit.prior, fit.picture)
        with self.seeded("z"):
            codes = [fit.prior.code(height, width) for _ in range(count if fit.codes == "per_image" else 1)]
        self.code = torch.cat(codes).to(device, dtype)
        self.jitter_share = torch.ones((), device=device, dtype=dtype)  # decays during training
        self.set_network(net.to(dtype))
        self.compute: Callable[[Tensor], Tensor] = self.net

    def train(
        self, mask: Mask, start: Mapping[str, Tensor] | None = None, watch: Watch | None = None, backend: str = "dense"
    ) -> RestorationResult:
        if backend == "numba" and self.schedule.precision != "float32":
            backend = "dense"  # the kernels have neither autocast nor float64
        return train(self, mask, start, watch, backend)

    def loss_at_init(self, name: str) -> Tensor:
        return self.loss(self.net(self.jittered(self.stream(name, self.device))))

    @property
    def input_shape(self) -> tuple[int, int, int]:
        side = self.fit.prior.smallest
        return self.fit.prior.code_shape(side, side)

    def output(self, generator: torch.Generator) -> Tensor:
        """Return the network's output for the jittered code, at the schedule's precision."""
        if self.schedule.precision != "bf16":
            return self.compute(self.jittered(generator))
        with torch.autocast(torch.device(self.device).type, torch.bfloat16):
            return self.net(self.jittered(generator)).float()

    def jittered(self, generator: torch.Generator) -> Tensor:
        """Return the code z plus one draw of the schedule's input noise."""
        noise = self.noise(self.code, self.schedule.jitter, generator)
        if self.schedule.jitter_decay < 1:
            noise.mul_(self.jitter_share)
        return noise.add_(self.code)

    def noise(self, like: Tensor, deviation: float, generator: torch.Generator) -> Tensor:
        """Draw Gaussian noise of a tensor's shape, in float32, so that every precision gets the same."""
        drawn = torch.empty_like(like, dtype=torch.float32).normal_(0, deviation, generator=generator)
        return drawn.to(like.dtype)

    def backtracking_error(self, output: Tensor, loss: Tensor) -> Tensor:
        """Return the error whose rise undoes a step: the loss, or that to `Task.backtracking_image`."""
        image = self.backtracking_image
        return loss if image is None else (output - image).square().mean()

    def loss(self, output: Tensor) -> Tensor:
        """Return the task's loss, summed over the images if there are several (Alg. 2)."""
        return self.task.loss(output, self.observation) * len(self.clean)

    def differentiate(self, loss: Tensor) -> None:
        """Replace `grad` by the gradient of a loss in theta."""
        if self.compute is not self.net:
            loss.backward()  # a tape writes it
        else:  # at once: to add each parameter's to its part of `grad` would take a kernel each
            grads = torch.autograd.grad(loss, list(self.net.parameters()))
            torch.cat([grad.flatten() for grad in grads], out=self.grad)

    def accelerate(self, mask_vector: Tensor) -> Tensor:
        """Replace modules by faster ones without pruned weights, and record the network on a tape.

        Returns the mask over the shorter theta.
        """
        self.is_stored = accelerate(self.net, self.code, mask_vector)
        self.flatten()
        self.compute = TapedNetwork(self.net, self.code)
        return mask_vector[self.is_stored]


def train(
    model: Restoration,
    mask: Mask,
    start: Mapping[str, Tensor] | None = None,
    watch: Watch | None = None,
    backend: str = "dense",
) -> RestorationResult:
    """Fit the masked prior from theta_0, or from the weights `start`, for the whole schedule.

    One `until: stop` ends at the first sampled step at which ES-WMV's patience has run out. `backend` is the name of a
    chosen `lip.fast.backend.Backend`. Raises ValueError when the mask is for another network, and InputError when
    the device cannot compute at the schedule's precision.
    """
    schedule = model.schedule
    require(schedule, model.device)
    if start is not None:
        model.start_from(start)
    mask_vector = model.prune(mask)
    if backend == "numba":
        mask_vector = model.accelerate(mask_vector)
    theta, noised = model.theta, model.is_convolutional[model.is_stored]
    captures = backend == "cuda_graph"
    adam = Adam(theta, schedule.lr, schedule.decay)
    backtracking = backtracking_of(schedule, theta)
    jitter = model.stream("jitter", model.device)
    langevin = model.stream("langevin", model.device) if schedule.langevin else None
    never = torch.zeros((), dtype=torch.bool, device=model.device)

    def step() -> tuple[Tensor, Tensor, Tensor]:
        output = model.output(jitter)
        loss = model.loss(output)
        model.differentiate(loss)
        undone = backtracking.check(model.backtracking_error(output, loss).detach()) if backtracking else never
        adam.step(undone if backtracking and backtracking.skips_update else None)
        if langevin:
            theta.data.add_(model.noise(theta, schedule.langevin, langevin).mul_(noised))
        theta.data.mul_(mask_vector)
        return loss.detach(), output.detach(), undone

    take = CudaGraph(step, *filter(None, (jitter, langevin))) if captures else step
    recorder = Recorder(schedule, model.task, model.clean)
    before_last: Tensor | None = None
    stopwatch = Stopwatch()
    for n in range(1, schedule.steps + 1):
        if n % JITTER_DECAY_EVERY == 1:
            model.jitter_share.fill_(schedule.jitter_decay ** (n // JITTER_DECAY_EVERY))
        if n == schedule.steps:
            before_last = model.full_parameters()
        recorder.record(n, *take())
        if recorder.is_sampled(n):
            if watch:
                watch(n, recorder.psnr_now())
            if schedule.ends_early and recorder.stop.found:
                break
    return recorder.result(
        backtracks=int(backtracking.count) if backtracking else 0,
        before_last=None if before_last is None else before_last[model.is_prunable].cpu().numpy(),
        backend=backend,
        **stopwatch.read(),
        **model.final_state(),
    )


def _tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None].contiguous()
