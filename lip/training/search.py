"""Search a prior for one image, almost without training (ISNAS-DIP, arXiv 2111.15362).

Random networks of NAS-DIP's search space are ranked, untrained, by the distance of their output's spectrum from that of
the degraded observation. The best few are fitted, and the one whose output is closest to their mean is chosen. The
clean image is never used.

Published are 5,000 networks and 15 fits, codes with as many channels as the image (`depth`), and scores at full size;
here both scores and fits use the small image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lip.errors import InputError, nearest
from lip.networks.cells import BUILDABLE
from lip.priors.nas import Nas
from lip.specs.fit import Fit
from lip.tasks.degradation import Degradation
from lip.training.metrics import psnr
from lip.training.run import run_fit

if TYPE_CHECKING:
    from lip.ledger.ledger import Ledger
    from lip.training.result import Watch

ANNULUS = (0.1, 0.2)
"""The range of spatial frequencies that count, as shares of the highest one along an axis."""

DARKEST = 1e-20
"""The least power, because a dead network has none."""


@dataclass(frozen=True)
class Candidate:
    """A fitted network."""

    fit: Fit
    score: float
    """Distance of the untrained network's spectrum from the observation's; less is better."""
    closeness: float
    """PSNR in dB of its restoration against the mean of all, weighted by score."""


def mean_squares(output: np.ndarray, observed: np.ndarray) -> float:
    """Return the mean squared difference per frequency, in dB²."""
    return float(np.square(output - observed).mean())


def earth_movers_distance(output: np.ndarray, observed: np.ndarray) -> float:
    """Return the earth mover's distance between the distributions of power, in dB.

    The released code computes it between the heights of two histograms with different bins.
    """
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(output, observed))


def nas(fit: Fit) -> Nas:
    """Return the NAS prior of a fit."""
    assert isinstance(fit.prior, Nas), "a search needs the prior nas"
    return fit.prior


METRICS = {"psd": mean_squares, "histogram": earth_movers_distance}


def check(model: Fit, inputs: Mapping[str, np.ndarray], candidates: int, fits: int, metric: str) -> None:
    """Check the arguments of `search`. Raises InputError."""
    from lip.training.restore import Restoration

    if metric not in METRICS:
        raise InputError(f"--metric: there is no metric {metric!r}; {nearest(metric, list(METRICS))}")
    if fits > candidates:
        raise InputError(f"--fits {fits} is more than --candidates {candidates}; give at most as many")
    scales = len(nas(model).links)
    if candidates > (most := len(BUILDABLE) * 2**scales**2):
        raise InputError(
            f"--candidates {candidates}: with --scales {scales} there are only {most} networks; give fewer"
        )
    height, width = Restoration(model, inputs).observation.shape[2:]
    if not annulus(height, width).any():
        raise InputError(f"--size: a degraded image of {width}x{height} pixels has too few frequencies; give more")


def search(
    model: Fit,
    inputs: Mapping[str, np.ndarray],
    ledger: Ledger,
    candidates: int,
    fits: int,
    metric: str,
    device: str = "cpu",
    scored: Callable[[], None] = lambda: None,
    watch: Callable[[Fit], Watch] | None = None,
) -> list[Candidate]:
    """Fit the networks with the best scores as in `model`, and return them, best first.

    Draws `candidates` networks with as many scales as the model's, by its seed, and publishes the best `fits` with
    their outputs, unless the ledger has them. `scored` is called for each network drawn. Arguments must pass `check`.
    """
    scores: dict[Fit, float] = {}
    for fit in draw_candidates(model, candidates):
        scores[fit] = score(fit, inputs, metric, device)
        scored()
    best = sorted(scores, key=scores.__getitem__)[:fits]
    for fit in best:
        run_fit(fit, inputs, ledger, device, watch, outputs=True)
    psnrs = closeness(model, [ledger.outputs(fit)["last_ema"] for fit in best], [scores[fit] for fit in best])
    return [Candidate(fit, scores[fit], dB) for fit, dB in zip(best, psnrs, strict=True)]


def choose_best(candidates: Sequence[Candidate]) -> Candidate:
    """Choose the network to restore with."""
    return max(candidates, key=lambda candidate: candidate.closeness)


def draw_candidates(model: Fit, count: int) -> list[Fit]:
    """Draw different networks, cell and links at random; a larger count continues a smaller one."""
    import torch

    from lip.training.model import stream

    draw = stream(model.seed, "search")
    scales = len(nas(model).links)
    nets: dict[str, Fit] = {}
    while len(nets) < count:
        cell = BUILDABLE[int(torch.randint(len(BUILDABLE), (), generator=draw))]
        rows = torch.randint(2, (scales, scales), generator=draw).tolist()
        net = f"{cell} {'/'.join(''.join(map(str, row)) for row in rows)}"
        nets.setdefault(net, model.replace(prior=nas(model).replace(net=net)))
    return list(nets.values())


def score(fit: Fit, inputs: Mapping[str, np.ndarray], metric: str, device: str = "cpu") -> float:
    """Compare the untrained output's spectrum with the observation's, unknown pixels black."""
    import torch

    from lip.training.restore import Restoration

    model = Restoration(fit, inputs, device)
    with torch.no_grad():
        output = model.task.project(model.net(model.code))
    ours, theirs = (x[0].nan_to_num(0).cpu().numpy() for x in (output, model.observation))
    return METRICS[metric](spectrum(ours), spectrum(theirs))


def spectrum(image: np.ndarray) -> np.ndarray:
    """Return the power in dB at the frequencies of the annulus, of all channels of an image, flat.

    The image is (channels, height, width).
    """
    power = np.abs(np.fft.fft2(image, norm="forward")) ** 2
    return 10 * np.log10(np.maximum(power[:, annulus(*image.shape[1:])], DARKEST)).ravel()


def annulus(height: int, width: int) -> np.ndarray:
    """Mark the frequencies of a (height, width) transform that count, as bool."""
    radius = 2 * np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    return (ANNULUS[0] <= radius) & (radius < ANNULUS[1])


def closeness(model: Fit, outputs: Sequence[np.ndarray], scores: Sequence[float]) -> list[float]:
    """Return the task's PSNR (dB) of each output against their mean, weighted by score.

    The best score has weight 1 and the worst 0. Outputs are uint8 (height, width, channels).
    """
    import torch

    worst, spread = max(scores), max(scores) - min(scores)
    weights = torch.tensor([(worst - score) / spread if spread else 1.0 for score in scores], dtype=torch.float64)
    restored = torch.stack([torch.from_numpy(output).permute(2, 0, 1).double() / 255 for output in outputs])
    mean = torch.einsum("n,nchw->chw", weights / weights.sum(), restored)[None]
    assert isinstance(model.task, Degradation)
    return [psnr(float(model.task.error(image[None], mean))) for image in restored]
