"""Time a training step by sparsity: a loop as the paper's code has it, a plain one, and ours.

The reference loop is our own re-creation of the work that the released code does beside training: two PSNRs by
scikit-image and a copy of all parameters at every step. The plain loop does nothing but train. Both train the dense
network and set its pruned weights to zero.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch
from torch import Tensor

from lip.data.library import InputLibrary
from lip.fast.accelerate import output_pixels
from lip.ledger.ledger import Ledger
from lip.masks import Mask
from lip.specs.request import parse_trajectory
from lip.training.restore import Restoration, train
from lip.training.run import run_fit

LOOPS = ("reference", "plain", "ours")
ROUNDS = (0, 5, 10, 15)
"""The rounds that are timed, of a trajectory of 17; what lies between is interpolated."""
MASK_SIZE = 64
"""The masks are those that IMP finds at so many pixels, whatever the size that is timed."""


@dataclass(frozen=True)
class Timing:
    """The mask of one round: seconds a step of each loop, once per turn, all loops within a turn side by side."""

    round: int
    sparsity: float
    products: int
    """Multiplications of a step, forward and backward, by kept weights, where none is saved by doubling afterwards."""
    seconds: dict[str, list[float]]


def gain(there: list[float], ours: list[float]) -> float:
    """Return how many times faster ours is: the median over turns, for a machine's speed wanders."""
    return median(a / b for a, b in zip(there, ours, strict=True))


def timings(
    size: int, width: int, steps: int, turns: int, imp_steps: int, ledger: Ledger, backend: str
) -> Iterator[Timing]:
    """Time the loops on one thread, in turns. The masks come from the ledger, and are put there if need be."""
    torch.set_num_threads(1)
    library, net = InputLibrary(), {"image": "astronaut", "width": width}
    imp = parse_trajectory({**net, "size": MASK_SIZE, "steps": imp_steps, "rounds": max(ROUNDS)}, library, "bench")
    fit = parse_trajectory({**net, "size": size, "steps": steps}, library, "bench").fits[0]
    loops: dict[str, Callable[[Restoration, Mask], float]] = {
        "reference": reference,
        "plain": plain,
        "ours": lambda model, mask: ours(model, mask, backend),
    }
    for k in ROUNDS:
        model = Restoration(fit, library.pixels)
        mask = Mask.dense(model.layers)
        if k:
            source = imp.fits[k - 1]
            run_fit(source, library.pixels, ledger, backend=backend)
            mask = ledger.ticket(source)
        seconds: dict[str, list[float]] = {name: [] for name in loops}
        for _ in range(1 + turns):
            for name, loop in loops.items():
                seconds[name].append(loop(Restoration(fit, library.pixels), mask))
        warm = {name: values[1:] for name, values in seconds.items()}
        yield Timing(k, mask.sparsity, products(model, mask), warm)


def ours(model: Restoration, mask: Mask, backend: str) -> float:
    """Seconds a step of our loop; as in the others the first does not count, which lays out what all others find."""
    seen: list[tuple[int, float]] = []
    train(model, mask, watch=lambda step, _: seen.append((step, time.perf_counter())), backend=backend)
    (first, began), (last, ended) = seen[0], seen[-1]
    return (ended - began) / (last - first)


def plain(model: Restoration, mask: Mask, watch: Callable[[Tensor], None] | None = None) -> float:
    """Seconds a step of the plain loop; `watch` is shown every output."""
    parameters = list(model.net.parameters())
    parts = model.spread(mask).split([p.numel() for p in parameters])
    adam = torch.optim.Adam(parameters, lr=model.schedule.lr)
    jitter = model.stream("jitter")
    for step in range(model.schedule.steps):
        if step == 1:
            started = time.perf_counter()
        for p, part in zip(parameters, parts, strict=True):
            p.data.mul_(part.view_as(p))
        output = model.net(model.jittered(jitter))
        model.loss(output).backward()
        if watch:
            watch(output.detach())
        adam.step()
        adam.zero_grad(set_to_none=False)
    return (time.perf_counter() - started) / step


def reference(model: Restoration, mask: Mask) -> float:
    """Seconds a step of the reference loop."""
    from skimage.metrics import peak_signal_noise_ratio

    noisy, clean = model.observation[0].numpy(), model.clean[0].numpy()
    copies: list[Tensor] = []

    def watch(output: Tensor) -> None:
        for image in (noisy, clean):
            peak_signal_noise_ratio(image, output[0].numpy(), data_range=1.0)
        copies[:] = [p.detach().clone() for p in model.net.parameters()]

    return plain(model, mask, watch)


def products(model: Restoration, mask: Mask) -> int:
    """See `Timing`: each kept weight once per output pixel, forward and in the gradients of weights and of inputs."""
    pixels = output_pixels(model.net, model.code)
    in_order = [pixels[module] for module in model.net.modules() if module in pixels]
    return 3 * sum(kept * n for kept, n in zip(mask.kept_per_layer, in_order, strict=True))


def peak() -> float:
    """Multiplications a second of the library's matrix product, the best of many."""
    a, b = torch.rand(2, 1024, 1024)
    best = float("inf")
    for _ in range(30):
        started = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - started)
    return 1024**3 / best


def trajectory(timed: list[Timing], loop: str) -> list[float]:
    """Seconds that one step of every round of a trajectory takes, once per turn."""
    turns = zip(*(timing.seconds[loop] for timing in timed), strict=True)
    return [float(np.interp(range(17), [timing.round for timing in timed], seconds).sum()) for seconds in turns]
