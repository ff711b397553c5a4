"""Record a restoration step by step, and score it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lip.ledger.schema import SCORES
from lip.specs.schedule import Schedule
from lip.tasks.degradation import Degradation
from lip.training.early_stop import Best, ExponentialVariance, MovingVariance
from lip.training.metrics import mean_ssim, psnr
from lip.training.result import TrainingResult

CURVE_POINTS = 50
"""Sample at most this many steps for a curve, evenly, and always the last."""

AVERAGED_EVERY = 50
"""Steps between the outputs that SGLD's posterior mean averages."""

SNAPSHOTS = (0.02, 0.06, 0.1, 0.2, 0.5)
"""Shares of the steps after which the averaged output is stored (Fig. 12)."""

LOWER_LOSS = 1.005
"""The loss must fall by this factor to count as the new lowest one, as published for the deep decoder."""

LOSS_STEPS = 100
"""Steps at the end whose mean loss is reported, because jitter makes single values fluctuate."""

COLLAPSE_MARGIN = 1.0
"""A network has collapsed if its best output is less than this many dB better than a constant colour."""

AGAINST_CLEAN = r"(curve_)?(psnr|ssim)|step_peak"
"""Columns that need a clean image."""

OF_WHOLE_FIT = r"(psnr|ssim|step)_(peak|last|emv|lowest_loss)|emv_found"
"""Columns that a fit has only if all its steps were made."""

STALLED = 0.05
"""Share of its steps that a fit may undo; with more it hardly leaves its initial weights."""


@dataclass(frozen=True)
class Score:
    """The score of one output against the clean image: its step (1 to N), PSNR in dB, SSIM.

    With several images, the PSNR of their mean squared error and the mean of their SSIMs.
    """

    step: int
    psnr: float
    ssim: float


@dataclass(frozen=True)
class Curve:
    """Scores over time, one entry per sampled step: PSNR in dB and SSIM, of outputs and of averaged outputs."""

    step: list[int]
    loss: list[float]
    psnr: list[float]
    psnr_ema: list[float]
    ssim: list[float]
    ssim_ema: list[float]


@dataclass(frozen=True, kw_only=True)
class RestorationResult(TrainingResult):
    """The result of a restoration.

    `scores` and `outputs` are keyed by "peak" (the oracle: best of all steps against the clean image), "last" and
    "stop" (the reference-free ES-WMV), each also with "_ema" for the exponential moving average of the outputs.
    Outputs include SNAPSHOTS, as "step_60_ema". They are float32 (channels, height, width) in [0, 1], of several images
    the first. Without a clean image there is no peak, and scores compare with the observation.
    """

    scores: dict[str, Score]
    has_clean_image: bool
    """Whether there was a clean image to compare with."""
    curve: Curve
    steps: int
    mean: Score | None
    """SGLD's posterior mean, of the outputs after burn-in; None without."""
    backtracks: int
    stop_found: bool
    """Whether ES-WMV's patience ran out; if not, it stopped at the smallest variance of all steps."""
    emv: Score
    """The score of the reference-free early stop ES-EMV: its own average of the outputs, at its minimum."""
    emv_found: bool
    before_last: np.ndarray | None
    """The `final_weights` before the last update; None where only a code was fitted, or training ended early."""
    lowest_loss: Score
    """The score of the output of lowest training loss, which the deep decoder reports."""
    until_stop: bool
    """Whether its schedule ends at the stop: then nothing else is a result, since it is of no whole fit."""

    def columns(self) -> dict[str, Any]:
        scores = {**{name: self.scores[name] for name in SCORES}, "emv": self.emv, "lowest_loss": self.lowest_loss}
        columns = {
            **{f"{name}_{s}": value for s, score in scores.items() for name, value in vars(score).items()},
            "emv_found": self.emv_found,
            "psnr_mean": self.mean and self.mean.psnr,
            "ssim_mean": self.mean and self.mean.ssim,
            "stop_found": self.stop_found,
            "backtracks": self.backtracks,
            "stalled": self.backtracks > STALLED * self.steps,
            **{f"curve_{name}": values for name, values in vars(self.curve).items()},
        }
        hidden = [AGAINST_CLEAN] * (not self.has_clean_image) + [OF_WHOLE_FIT] * self.until_stop
        columns = {
            name: None if any(re.match(pattern, name) for pattern in hidden) else value
            for name, value in columns.items()
        }
        return columns | {"steps_done": self.steps if self.until_stop else None}


class Recorder:
    """Record a fit: every step on the device, sampled steps on the host."""

    def __init__(self, schedule: Schedule, task: Degradation, clean: Tensor) -> None:
        self.schedule, self.task, self.clean = schedule, task, clean
        self.steps = schedule.steps
        self.every = ceil(self.steps / CURVE_POINTS)
        self.history = torch.zeros(self.steps, 3, device=clean.device)  # loss, squared error raw and averaged
        self.sampled: list[tuple[int, np.ndarray, np.ndarray]] = []
        self.burn_in = schedule.burn_in
        self.total = torch.zeros_like(clean)
        self.n_averaged, self.done = torch.zeros(2, dtype=torch.int64, device=clean.device)

    def is_sampled(self, step: int) -> bool:
        """Tell whether a step is a point of the curve."""
        return step % self.every == 0 or step == self.steps

    def record(self, step: int, loss: Tensor, output: Tensor, undone: Tensor) -> None:
        """Record a step (from 1): its loss, its output, and whether it was undone."""
        if step == 1:
            self.ema = output.clone()
            self.peak, self.peak_ema = Best(output), Best(output)
            self.lowest_loss = Best(output)
            schedule = self.schedule
            stopping = self.steps, output, schedule.stop_window, schedule.stop_patience
            self.stop, self.emv = MovingVariance(*stopping), ExponentialVariance(*stopping)
        else:
            self.ema = torch.lerp(output, self.ema, self.schedule.ema)
        self.step, self.output = step, output
        error, error_ema = self._error(output), self._error(self.ema)
        self.history[step - 1] = torch.stack([loss, error, error_ema])
        self.peak.update(error, step, output)
        self.peak_ema.update(error_ema, step, self.ema)
        self.lowest_loss.update(loss, step, output, allowed=loss * LOWER_LOSS < self.lowest_loss.value)
        self.stop.record(step, output, self.ema)
        self.emv.record(step, output)
        if self.burn_in is not None:
            self._average(output, undone, self.burn_in)
        if self.is_sampled(step):
            self.sampled.append((step, output.cpu().numpy(), self.ema.cpu().numpy()))

    def _average(self, output: Tensor, undone: Tensor, burn_in: float) -> None:
        """Add an output to the posterior mean if it is due. Steps undone are not counted."""
        due = (self.done > burn_in * self.steps) & (self.done % AVERAGED_EVERY == 0) & ~undone
        self.total += torch.where(due, output, 0)
        self.n_averaged += due
        self.done += ~undone

    def psnr_now(self) -> float:
        """Return the present PSNR in dB of the averaged output."""
        return psnr(float(self._error(self.ema)))

    def _error(self, output: Tensor) -> Tensor:
        return self.task.error(output, self.clean)

    def _flat_colour(self) -> Tensor:
        """Return the constant image of the mean colour."""
        return self.clean.mean(dim=(2, 3), keepdim=True).expand_as(self.clean)

    def _mean(self) -> Score | None:
        if not self.n_averaged:
            return None
        return self._score(self.step, self.total / self.n_averaged)

    def _score(self, step: int, image: Tensor) -> Score:
        ssim = mean_ssim(image.cpu().numpy(), self.clean.cpu().numpy())
        return Score(step, psnr(float(self._error(image))), ssim)

    def result(self, *, backtracks: int = 0, before_last: np.ndarray | None = None, **rest: Any) -> RestorationResult:
        """Return the result; `rest` are the fields of a `TrainingResult` that are not recorded here."""
        clean = self.clean.cpu().numpy()
        scored = self.task.has_clean_image
        losses, errors, errors_ema = self.history[: self.step].double().cpu().numpy().T
        stop_step, stop_images = self.stop.best.or_else(self.step, self.output, self.ema)
        emv_step, (emv_image,) = self.emv.best.or_else(self.step, self.emv.average)
        outputs = {
            "peak": (int(self.peak.step), self.peak.images[0]),
            "peak_ema": (int(self.peak_ema.step), self.peak_ema.images[0]),
            "last": (self.step, self.output),
            "last_ema": (self.step, self.ema),
            "stop": (stop_step, stop_images[0]),
            "stop_ema": (stop_step, stop_images[1]),
        }
        images = {name: image.cpu().numpy() for name, (_, image) in outputs.items()}
        scores = {
            name: Score(step, psnr((errors_ema if "ema" in name else errors)[step - 1]), mean_ssim(images[name], clean))
            for name, (step, _) in outputs.items()
        }
        until_stop = self.schedule.ends_early
        unwanted = ("peak",) * (until_stop or not scored) + ("last",) * until_stop
        shown = np.array([step - 1 for step, _, _ in self.sampled])
        for share in SNAPSHOTS:
            step, _, ema = min(self.sampled, key=lambda sampled: abs(sampled[0] - share * self.step))
            images[f"step_{step}_ema"] = ema
        return RestorationResult(
            scores=scores,
            has_clean_image=scored,
            outputs={name: image[0] for name, image in images.items() if not name.startswith(unwanted)},
            curve=Curve(
                step=[step for step, _, _ in self.sampled],
                loss=losses[shown].tolist(),
                psnr=[psnr(e) for e in errors[shown]],
                psnr_ema=[psnr(e) for e in errors_ema[shown]],
                ssim=[mean_ssim(image, clean) for _, image, _ in self.sampled],
                ssim_ema=[mean_ssim(image, clean) for _, _, image in self.sampled],
            ),
            loss=float(losses[-LOSS_STEPS:].mean()),
            steps=self.step,
            mean=self._mean(),
            backtracks=backtracks,
            stop_found=bool(self.stop.found),
            emv=self._score(emv_step, emv_image),
            emv_found=bool(self.emv.found),
            lowest_loss=self._score(int(self.lowest_loss.step), self.lowest_loss.images[0]),
            collapsed=not scores["peak"].psnr > psnr(float(self._error(self._flat_colour()))) + COLLAPSE_MARGIN,
            before_last=before_last,
            until_stop=until_stop,
            **rest,
        )
