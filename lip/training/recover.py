"""Recover a degraded image with a frozen generator by fitting the code z with Adam.

Restoration tasks use their own loss. Compressive sensing has a tournament of two codes (arXiv 2006.09461). In every
step the measurements are split into random blocks, the difference between the codes' mean squared residuals is computed
for each block, and both codes in turn descend on the block of the median difference. Blocks with corrupted measurements
are thereby ignored as long as they are fewer than half.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from lip.data.checkpoints import part, unpacked
from lip.masks import Mask
from lip.priors.generator import Pretrained
from lip.specs.fit import Fit
from lip.tasks.sense import Sense
from lip.training.record import Recorder, RestorationResult
from lip.training.restore import Restoration
from lip.training.result import Stopwatch

if TYPE_CHECKING:
    from lip.training.result import Watch

Objective = Callable[[Sequence[Tensor], int], Tensor]
"""Return the loss of one code, given the outputs (1, channels, height, width) of all codes and its index."""


@dataclass(frozen=True, kw_only=True)
class RecoveryResult(RestorationResult):
    """The scores of a restoration, and the paper's error measure for generators."""

    def columns(self) -> dict[str, Any]:
        errors = {f"mse_{output}": mse(self.scores[output].psnr) for output in ("peak", "last")}
        return {**super().columns(), **errors} if self.has_clean_image else super().columns()


def mse(psnr: float) -> float:
    """Return the mean squared error of images in [-1, 1] at a PSNR (dB) of images in [0, 1]."""
    return 4 * 10 ** (-psnr / 10)


class Recovery(Restoration):
    """One degraded image and a generator, with averaged weights if there are any."""

    def __init__(self, fit: Fit, inputs: Mapping[str, np.ndarray], device: str = "cpu") -> None:
        super().__init__(fit, inputs, device)
        if self._prior.checkpoint:
            self.start_from(unpacked(inputs[self._prior.checkpoint]))

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        averaged = {} if self._prior.raw else part(weights, "averaged")
        super().start_from(averaged or part(weights, "generator"))

    def train(
        self, mask: Mask, start: Mapping[str, Tensor] | None = None, watch: Watch | None = None, backend: str = "dense"
    ) -> RecoveryResult:
        """Fit codes for the whole schedule, and keep the restart of smallest final loss."""
        if start is not None:
            self.start_from(start)
        self.prune(mask)
        self.net.eval().requires_grad_(False)
        draw = self.stream("z")
        runs = [self._fitted(draw, watch) for _ in range(self._prior.restarts)]
        best = min(runs, key=lambda run: run.loss)
        times = {name: sum(getattr(run, name) for run in runs) for name in ("seconds", "cpu_seconds")}
        return replace(best, **times)

    @property
    def _prior(self) -> Pretrained:
        assert isinstance(self.fit.prior, Pretrained)
        return self.fit.prior

    def _fitted(self, draw: torch.Generator, watch: Watch | None) -> RecoveryResult:
        schedule, task = self.schedule, self.task
        plays = isinstance(task, Sense) and task.estimator == "median_of_means"
        objective = self._tournament() if plays else lambda outputs, turn: self.loss(outputs[turn])
        start = self._prior.codes(2 if plays else 1, draw).to(self.device)
        codes = [code.requires_grad_() for code in start.split(1)]
        adam = torch.optim.Adam(codes, lr=schedule.lr, fused=True)  # skips a code without gradient
        outputs = [self.net(code) for code in codes]
        recorder = Recorder(schedule, task, self.clean)
        undone = torch.zeros((), dtype=torch.bool, device=self.device)  # no step ever is
        stopwatch = Stopwatch()
        for step in range(1, schedule.steps + 1):
            for turn, code in enumerate(codes):
                output, loss = outputs[turn], objective(outputs, turn)
                loss.backward(inputs=[code])
                adam.step()
                adam.zero_grad()
                outputs[turn] = self.net(code)
                if turn == 0:
                    recorder.record(step, loss.detach(), output.detach(), undone)
            if watch and recorder.is_sampled(step):
                watch(step, recorder.psnr_now())
        restored = recorder.result(backend="dense", **stopwatch.read(), **self.final_state())
        return RecoveryResult(**vars(restored))

    def _tournament(self) -> Objective:
        """Return the objective of the codes; the first minimises what the second maximises."""
        task, system, deal = self.task, self.observation, self.stream("blocks")
        assert isinstance(task, Sense)
        blocks = task.measurements // task.rows

        def objective(outputs: Sequence[Tensor], turn: int) -> Tensor:
            squares = task.residuals(torch.cat([output.detach() for output in outputs]), system).square()
            dealt = torch.randperm(task.measurements, generator=deal)[: blocks * task.rows].view(blocks, task.rows)
            dealt = dealt.to(self.device)
            gaps = (squares[:, 0] - squares[:, 1])[dealt].mean(dim=1)
            median = dealt[gaps.argsort()[blocks // 2]]
            return task.residuals(outputs[turn], system, median).square().mean()

        return objective
