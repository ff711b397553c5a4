"""What searches cost and find: overhead of many settings, and samplers and racing on a surrogate.

    python tests/benchmarks/search.py overhead [SAMPLER [COUNT]]
    python tests/benchmarks/search.py sample LEDGER [COUNT]
    python tests/benchmarks/search.py compare LEDGER [REPEATS]

overhead: a search of COUNT settings (default 10,000 by random) on one block, whose results are published one after the
other by invented rows; then the study is rebuilt, with its record and without. CPU time of the driver.
sample: fits COUNT (240) drawn settings at 32 pixels on three photographs and two seeds, 1,440 fits.
compare: a surrogate interpolates these results for each block; searches of 60 settings on its six blocks, by random and
by TPE, with racing and without, REPEATS (10) times each.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.interpolate import RBFInterpolator

from lip.data.library import InputLibrary
from lip.ledger.ledger import Ledger
from lip.specs.request import parse_trajectory
from lip.training.run import run_fit
from sweeps.plan import Plan
from sweeps.search.objective import Objective
from sweeps.search.racing import Racing
from sweeps.search.samplers import sampler
from sweeps.search.space import Setting, Space
from sweeps.search.study import Search, Study
from sweeps.spec import read
from tests.sweeps.helpers import row

IMAGES, SEEDS = ("astronaut", "chelsea", "coffee"), (0, 1)
SPACE = {
    "lr": {"log": [1e-3, 1e-1]},
    "jitter": {"uniform": [0, 0.2]},
    "ema": {"choice": [0.8, 0.9, 0.95, 0.98, 0.99, 0.995]},
    "steps": {"int": [50, 400], "step": 50},
    "width": {"int": [8, 32], "step": 8},
}
TRIALS = 60
PARALLEL = 4


def overhead(name: str, count: int, console: Console) -> None:
    """Print CPU milliseconds per setting, seconds to rebuild, and memory."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "benchmark.yaml"
        search = {"space": SPACE, "trials": count, "sampler": name}
        fixed = {"image": "astronaut", "rounds": 0}
        content = {"name": "benchmark", "profile": "smoke", "fixed": fixed, "grid": {"seed": [0]}, "search": search}
        path.write_text(json.dumps(content))
        ledger = Ledger(Path(folder) / "results")
        began = time.process_time()
        plan = Plan.make(read(str(path)), ledger)
        planned = time.process_time() - began
        spent, waiting = 0.0, list(plan.sweep.trajectories)
        for trajectory in waiting:
            fit = trajectory.fits[-1]
            ledger.rows.put(fit.id, row(fit, psnr_stop_ema=20.0 + hash(fit.id) % 1000 / 1000, diverged=False))
            began = time.process_time()
            plan.published |= {fit.id}
            waiting += plan.grow(ledger, {fit.id})
            spent += time.process_time() - began
        assert plan.studies[0].is_decided
        console.print(f"{name}, {count} settings: planned in {planned:.1f} s")
        console.print(f"{1000 * spent / count:.2f} ms per setting while running")
        for text in ("without its record", "with its record"):
            began = time.process_time()
            again = Plan.make(read(str(path)), ledger)
            console.print(f"rebuilt {text} in {time.process_time() - began:.1f} s")
            assert not again.missing
            plan.record(ledger)
        console.print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB at most")


def sample(storage: str, count: int) -> None:
    """Fit drawn settings on all blocks, and publish them."""
    import torch

    torch.set_num_threads(1)
    library, ledger, draw = InputLibrary(), Ledger(storage), np.random.default_rng(7)
    for _ in range(count):
        setting: Setting = {
            "lr": float(f"{10 ** draw.uniform(-3, -1):.4g}"),
            "jitter": float(f"{draw.uniform(0, 0.2):.4g}"),
            "ema": float(draw.choice(SPACE["ema"]["choice"])),
            "steps": int(draw.integers(1, 9) * 50),
            "width": int(draw.choice([8, 16, 24, 32])),
        }
        for image, seed in product(IMAGES, SEEDS):
            usual = {"image": image, "task": "denoise", "size": 32, "scales": 3, "rounds": 0, "seed": seed}
            run_fit(parse_trajectory(usual | setting, library, "benchmark").fits[0], library.inputs, ledger)


@dataclass(frozen=True)
class Stub:
    """A trajectory, and its only fit, of one block of the surrogate."""

    id: str
    setting: Setting
    block: tuple[str, int]

    @property
    def fits(self) -> list[Stub]:
        return [self]


def surrogate(storage: str) -> tuple[Callable[[Stub], float], int]:
    """Return the results that are interpolated, each block for itself, and the number of fits that they rest on."""
    frame = Ledger(storage).fits(["image", "seed", *SPACE, "psnr_stop_ema"]).to_pandas()
    models: dict[tuple[str, int], RBFInterpolator] = {}
    for image, seed in product(IMAGES, SEEDS):
        rows = frame[(frame["image"] == image) & (frame["seed"] == seed)].dropna()
        places = np.array([_place(each) for each in rows[list(SPACE)].to_dict("records")])
        models[image, seed] = RBFInterpolator(places, rows["psnr_stop_ema"].to_numpy(), smoothing=0.01)
    return lambda stub: float(models[stub.block](np.array([_place(stub.setting)]))[0]), len(frame)


def _place(setting: Setting) -> list[float]:
    """Return a setting as coordinates of about the same range."""
    return [
        (np.log10(setting["lr"]) + 2),
        setting["jitter"] / 0.1 - 1,
        (np.log10(1 - setting["ema"]) + 1.5) / 0.8,
        setting["steps"] / 175 - 1.3,
        setting["width"] / 12 - 1.7,
    ]


def study_of(name: str, racing: Racing | None, seed: int) -> Study:
    """Return a study on the blocks of the surrogate."""
    space = Space.parse(SPACE)

    def trajectories(setting: Setting, held_out: bool) -> list[Any]:
        whole = {"lr": 0.01, "jitter": 1 / 30, "ema": 0.99, "steps": 200, "width": 16} | setting
        blocks = () if held_out else product(SEEDS, IMAGES)
        return [Stub(f"{json.dumps(whole)}{image}{seed}", whole, (image, seed)) for seed, image in blocks]

    search = Search(
        experiment="surrogate",
        file=Path(),
        trials=TRIALS,
        parallel=PARALLEL,
        baseline={},
        objective=Objective("psnr_stop_ema"),
        racing=racing,
        sampler=partial(sampler, name, space, seed),
        trajectories=trajectories,
        inputs=dict,
        definition={},
    )
    return Study(search)


def history(study: Study, value: Callable[[Stub], float]) -> Iterator[tuple[int, float]]:
    """Run a study; yield the number of fits and the score of the best setting after each."""
    waiting: list[Any] = study.tell({})
    for count, stub in enumerate(waiting, 1):
        waiting += study.tell({stub.id: value(stub)})
        yield count, study.best.score if study.best else float("nan")


def compare(storage: str, repeats: int, console: Console) -> None:
    """Print the best score after so many fits, by sampler and racing, and how many fits each search takes."""
    value, rows = surrogate(storage)
    ways = {"random": ("random", None), "TPE": ("tpe", None)}
    ways |= {"random, racing": ("random", Racing()), "TPE, racing": ("tpe", Racing())}
    marks = (30, 60, 120, 180, 240, 366)
    table = Table(
        "", *map(str, marks), "fits", "best", title=f"best mean PSNR (dB) after fits; {rows} rows, n = {repeats}"
    )
    for text, (name, racing) in ways.items():
        runs = [list(history(study_of(name, racing, seed), value)) for seed in range(repeats)]
        cells = []
        for mark in marks:
            cells.append(_mean([run[min(mark, len(run)) - 1][1] for run in runs]))
        table.add_row(text, *cells, f"{fmean(len(run) for run in runs):.0f}", _mean([run[-1][1] for run in runs]))
    console.print(table)


def _mean(values: list[float]) -> str:
    """Print a mean with its standard error."""
    return f"{np.mean(values):.2f} ±{np.std(values, ddof=1) / len(values) ** 0.5:.2f}"


def main(what: str, *rest: str) -> None:
    console = Console()
    if what == "overhead":
        overhead(rest[0] if rest else "random", int(rest[1]) if len(rest) > 1 else 10_000, console)
    elif what == "sample":
        sample(rest[0], int(rest[1]) if len(rest) > 1 else 240)
    elif what == "compare":
        compare(rest[0], int(rest[1]) if len(rest) > 1 else 10, console)
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:])
