"""A prior searched for one image, almost without training (ISNAS-DIP, arXiv 2111.15362).

Random networks of NAS-DIP's search space are ranked, untrained, by how much the spectrum of what they output is that of
the degraded observation. The best few are fitted; chosen is the one whose output is closest to the mean of all of
theirs, so nothing here looks at the clean image.

Published are 5,000 networks and 15 fits, codes with as many channels as the image (`depth`), and scores at full size;
here scores and fits are of one image, the small one.
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
"""The spatial frequencies that count, as shares of the highest one along an axis."""

DARKEST = 1e-20
"""Power below this counts as this, for a dead network has none."""


@dataclass(frozen=True)
class Candidate:
    """One of the networks that were fitted."""

    fit: Fit
    score: float
    """How far the untrained network's spectrum is from the observation's; less is better."""
    closeness: float
    """PSNR in dB of its restoration against the mean of all, weighted by score."""


def squares(output: np.ndarray, observed: np.ndarray) -> float:
    """Mean squared difference, frequency by frequency, in dB²."""
    return float(np.square(output - observed).mean())


def transport(output: np.ndarray, observed: np.ndarray) -> float:
    """Earth mover's distance between the distributions of power, in dB.

    The released code takes it between the heights of two histograms, each on bins of its own.
    """
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(output, observed))


def nas(fit: Fit) -> Nas:
    """The prior of a fit that a search is about."""
    assert isinstance(fit.prior, Nas), "a search is among the networks of the prior nas"
    return fit.prior


METRICS = {"psd": squares, "histogram": transport}


def check(model: Fit, images: Mapping[str, np.ndarray], candidates: int, fits: int, metric: str) -> None:
    """Raises InputError for a `search` that cannot be."""
    from lip.training.restore import Restoration

    if metric not in METRICS:
        raise InputError(f"--metric: there is no metric {metric!r}; {nearest(metric, list(METRICS))}")
    if fits > candidates:
        raise InputError(f"--fits {fits} is more than --candidates {candidates}; give at most as many")
    scales = len(nas(model).links)
    if candidates > (most := len(BUILDABLE) * 2**scales**2):
        raise InputError(f"--candidates {candidates}: with --scales {scales} there are {most} networks; give fewer")
    height, width = Restoration(model, images).observation.shape[2:]
    if not annulus(height, width).any():
        raise InputError(f"--size: a degraded image of {width}x{height} pixels has too few frequencies; give more")


def search(
    model: Fit,
    images: Mapping[str, np.ndarray],
    ledger: Ledger,
    candidates: int,
    fits: int,
    metric: str,
    device: str = "cpu",
    scored: Callable[[], None] = lambda: None,
    watch: Callable[[Fit], Watch] | None = None,
) -> list[Candidate]:
    """The networks with the best scores, best first, each fitted as `model` says. Arguments must pass `check`.

    Draws `candidates` networks with as many scales as the model's, by the model's seed, and publishes `fits` of them
    with their outputs; what is published is not fitted again. `scored` is called for each network drawn.
    """
    scores: dict[Fit, float] = {}
    for fit in drawn(model, candidates):
        scores[fit] = score(fit, images, metric, device)
        scored()
    best = sorted(scores, key=scores.__getitem__)[:fits]
    for fit in best:
        run_fit(fit, images, ledger, device, watch, outputs=True)
    near = closeness(model, [ledger.outputs(fit)["last_ema"] for fit in best], [scores[fit] for fit in best])
    return [Candidate(fit, scores[fit], dB) for fit, dB in zip(best, near, strict=True)]


def chosen(candidates: Sequence[Candidate]) -> Candidate:
    """The one to restore with."""
    return max(candidates, key=lambda candidate: candidate.closeness)


def drawn(model: Fit, count: int) -> list[Fit]:
    """The model with that many different networks: cell and links at random. A larger count goes on from a smaller."""
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


def score(fit: Fit, images: Mapping[str, np.ndarray], metric: str, device: str = "cpu") -> float:
    """Return the distance of the untrained output's spectrum from the observation's, unknown pixels black."""
    import torch

    from lip.training.restore import Restoration

    problem = Restoration(fit, images, device)
    with torch.no_grad():
        output = problem.task.project(problem.net(problem.code))
    ours, theirs = (x[0].nan_to_num(0).cpu().numpy() for x in (output, problem.observation))
    return METRICS[metric](spectrum(ours), spectrum(theirs))


def spectrum(image: np.ndarray) -> np.ndarray:
    """Power in dB of the frequencies in the annulus, of all channels of a (channels, height, width) image, flat."""
    power = np.abs(np.fft.fft2(image, norm="forward")) ** 2
    return 10 * np.log10(np.maximum(power[:, annulus(*image.shape[1:])], DARKEST)).ravel()


def annulus(height: int, width: int) -> np.ndarray:
    """Mark the frequencies of a (height, width) transform that count, as bool."""
    radius = 2 * np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    return (ANNULUS[0] <= radius) & (radius < ANNULUS[1])


def closeness(model: Fit, outputs: Sequence[np.ndarray], scores: Sequence[float]) -> list[float]:
    """The task's PSNR (dB) of each output against their mean, in which the best score counts 1 and the worst 0.

    Outputs are uint8 (height, width, channels).
    """
    import torch

    worst, range_ = max(scores), max(scores) - min(scores)
    weights = torch.tensor([(worst - score) / range_ if range_ else 1.0 for score in scores], dtype=torch.float64)
    restored = torch.stack([torch.from_numpy(output).permute(2, 0, 1).double() / 255 for output in outputs])
    mean = torch.einsum("n,nchw->chw", weights / weights.sum(), restored)[None]
    assert isinstance(model.task, Degradation)
    return [psnr(float(model.task.error(image[None], mean))) for image in restored]
