"""Whether the compiled backend restores as well as the dense one: paired PSNR over seeds.

    python tests/benchmarks/backends.py [SEEDS]

The astronaut at 32 pixels, hourglass of width 16, 400 steps; masks of IMP on the dense backend. Training is chaotic, so
single fits differ as seeds do: means over seeds (default 8) are what may not.
"""

import sys
import tempfile
from math import sqrt
from statistics import mean, stdev

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from lip.data.library import InputLibrary
from lip.ledger.ledger import Ledger
from lip.specs.request import parse_trajectory
from lip.training.restore import Restoration, train
from lip.training.run import build_mask, run_fit

ROUNDS = (0, 5, 10, 14)


def main(seeds: int) -> None:
    torch.set_num_threads(1)
    library = InputLibrary()
    values = {"image": "astronaut", "size": 32, "width": 16, "scales": 4, "steps": 400, "rounds": max(ROUNDS)}
    differences: dict[tuple[int, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(folder)
        for seed in track(range(seeds), "fitting", console=Console(stderr=True)):
            fits = parse_trajectory({**values, "seed": seed}, library, "benchmark").fits
            for fit in fits:
                run_fit(fit, library.inputs, ledger, backend="dense")
            for k in ROUNDS:
                (dense,) = ledger.fits(ids=[fits[k].id]).to_pylist()
                model = Restoration(fits[k], library.inputs)
                mask = build_mask(fits[k], model, ledger)
                compiled = train(model, mask, backend="numba").scores
                for which in ("peak_ema", "last_ema"):
                    found = compiled[which].psnr - dense[f"psnr_{which}"]
                    differences.setdefault((k, which), []).append(found)
    table = Table("round", "output", "numba - dense (dB)", "standard error", title=f"n = {seeds} seeds")
    for (k, which), found in differences.items():
        table.add_row(str(k), which, f"{mean(found):+.3f}", f"{stdev(found) / sqrt(len(found)):.3f}")
    Console().print(table)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8)
