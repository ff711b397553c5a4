"""What following a fit costs: `train` against the bare loop (forward, backward, Adam), in pairs on one thread.

    python tests/benchmarks/fit.py

Prints the median of 5 pairs per size; timings are noisy, so the ratio is what to quote.
"""

import time
from statistics import median

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from lip.fitting import train
from lip.masks import Mask
from lip.point import Album, trajectory_of
from lip.problem import Problem

PAIRS = 5
SIZES = {"smoke": (32, 16, 3, 60), "mini": (64, 64, 5, 30), "width 128": (64, 128, 5, 20)}


def bare(problem: Problem, steps: int) -> float:
    """Seconds of a loop that keeps nothing."""
    adam = torch.optim.Adam(problem.net.parameters(), lr=0.01, fused=True)
    jitter = problem.stream("jitter")
    started = time.perf_counter()
    for _ in range(steps):
        problem.loss(problem.net(problem.jittered(jitter))).backward()
        adam.step()
        adam.zero_grad(set_to_none=False)
    return time.perf_counter() - started


def main() -> None:
    torch.set_num_threads(1)
    album = Album()
    table = Table("size", "bare, ms a step", "train, ms a step", "ratio", title=f"median of {PAIRS} pairs")
    for name, (size, width, scales, steps) in track(SIZES.items(), console=Console(stderr=True)):
        values = {"image": "astronaut", "size": size, "width": width, "scales": scales, "steps": steps}
        fit = trajectory_of(values, album, "benchmark").fits[0]
        pairs = []
        for _ in range(PAIRS + 1):
            ours = Problem(fit, album.pixels)
            seconds = train(ours, Mask.dense(ours.layers)).seconds
            pairs.append((bare(Problem(fit, album.pixels), steps), seconds))
        pairs = pairs[1:]  # the first warms up
        loop, ours_ = (1000 * median(column) / steps for column in zip(*pairs, strict=True))
        table.add_row(name, f"{loop:.1f}", f"{ours_:.1f}", f"{median(b / a for a, b in pairs):.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
