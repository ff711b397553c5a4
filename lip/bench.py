"""Time a training step by sparsity: a loop like the released one, a plain one, and ours.

The released loop is our own re-creation of the work of the released code: beside training, two PSNRs by scikit-image
and a copy of all parameters at every step. The plain loop only trains. Both train the dense network and set its pruned
weights to zero. All times are CPU time of the process, which other processes on the machine lengthen least.
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

LOOPS = ("released", "plain", "ours")
ROUNDS = (0, 5, 10, 15)
"""The rounds that are timed, of a trajectory of 17; the others are interpolated."""
MASK_SIZE = 64
"""The image size in pixels at which IMP finds the masks, whatever the timed size."""


@dataclass(frozen=True)
class Timing:
    """The mask of one round, and the CPU seconds per step of each loop, once per turn, all loops in turn."""

    round: int
    sparsity: float
    multiplications: int
    """Multiplications by kept weights in a step, forward and backward, without the savings of late upsampling."""
    seconds: dict[str, list[float]]


def gain(theirs: list[float], ours: list[float]) -> float:
    """Return the speed-up as the median over turns, because a machine's speed varies."""
    return median(a / b for a, b in zip(theirs, ours, strict=True))


def timings(
    size: int, width: int, steps: int, turns: int, imp_steps: int, ledger: Ledger, backend: str
) -> Iterator[Timing]:
    """Time the loops on one thread, in turns, with masks from the ledger or computed into it."""
    torch.set_num_threads(1)
    library, net = InputLibrary(), {"image": "astronaut", "width": width}
    imp = parse_trajectory({**net, "size": MASK_SIZE, "steps": imp_steps, "rounds": max(ROUNDS)}, library, "bench")
    fit = parse_trajectory({**net, "size": size, "steps": steps}, library, "bench").fits[0]
    loops: dict[str, Callable[[Restoration, Mask], float]] = {
        "released": released,
        "plain": plain,
        "ours": lambda model, mask: ours(model, mask, backend),
    }
    for k in ROUNDS:
        model = Restoration(fit, library.inputs)
        mask = Mask.dense(model.layers)
        if k:
            source = imp.fits[k - 1]
            run_fit(source, library.inputs, ledger, backend=backend, whole=True)
            mask = ledger.next_mask(source)
        seconds: dict[str, list[float]] = {name: [] for name in loops}
        for _ in range(1 + turns):
            for name, loop in loops.items():
                seconds[name].append(loop(Restoration(fit, library.inputs), mask))
        warm = {name: values[1:] for name, values in seconds.items()}
        yield Timing(k, mask.sparsity, multiplications(model, mask), warm)


def ours(model: Restoration, mask: Mask, backend: str) -> float:
    """Return the seconds per step of our loop, without the first step, which allocates memory."""
    seen: list[tuple[int, float]] = []
    train(model, mask, watch=lambda step, _: seen.append((step, time.process_time())), backend=backend)
    (first, began), (last, ended) = seen[0], seen[-1]
    return (ended - began) / (last - first)


def plain(model: Restoration, mask: Mask, watch: Callable[[Tensor], None] | None = None) -> float:
    """Return the seconds per step of the plain loop; `watch` is called with every output."""
    parameters = list(model.net.parameters())
    parts = model.expand_mask(mask).split([p.numel() for p in parameters])
    adam = torch.optim.Adam(parameters, lr=model.schedule.lr)
    jitter = model.stream("jitter")
    for step in range(model.schedule.steps):
        if step == 1:
            started = time.process_time()
        for p, part in zip(parameters, parts, strict=True):
            p.data.mul_(part.view_as(p))
        output = model.net(model.jittered(jitter))
        model.loss(output).backward()
        if watch:
            watch(output.detach())
        adam.step()
        adam.zero_grad(set_to_none=False)
    return (time.process_time() - started) / step


def released(model: Restoration, mask: Mask) -> float:
    """Return the seconds per step of the released loop."""
    from skimage.metrics import peak_signal_noise_ratio

    noisy, clean = model.observation[0].numpy(), model.clean[0].numpy()
    copies: list[Tensor] = []

    def watch(output: Tensor) -> None:
        for image in (noisy, clean):
            peak_signal_noise_ratio(image, output[0].numpy(), data_range=1.0)
        copies[:] = [p.detach().clone() for p in model.net.parameters()]

    return plain(model, mask, watch)


def multiplications(model: Restoration, mask: Mask) -> int:
    """Count each kept weight once per output pixel, forward and in the gradients of weights and inputs."""
    pixels = output_pixels(model.net, model.code)
    in_order = [pixels[module] for module in model.net.modules() if module in pixels]
    return 3 * sum(n_kept * n for n_kept, n in zip(mask.kept_per_layer, in_order, strict=True))


def peak() -> float:
    """Return the multiplications per second of the library's matrix product, the best of many."""
    a, b = torch.rand(2, 1024, 1024)
    best = float("inf")
    for _ in range(30):
        started = time.process_time()
        a @ b
        best = min(best, time.process_time() - started)
    return 1024**3 / best


def trajectory(timed: list[Timing], loop: str) -> list[float]:
    """Return the seconds of one step of every round of a trajectory, once per turn."""
    turns = zip(*(timing.seconds[loop] for timing in timed), strict=True)
    return [float(np.interp(range(17), [timing.round for timing in timed], seconds).sum()) for seconds in turns]
