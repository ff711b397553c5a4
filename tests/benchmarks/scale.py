"""How sweeps scale: planning, loading and folding many fits, trajectories without work, and how busy slots are.

    python tests/benchmarks/scale.py plan|idle|busy [FITS]

plan: a sweep of FITS (default 100,000) fits of which half are published, in packs; then all, for loading and folding.
idle: 1,000 trajectories of one fit each that is published just after planning, so that trials find nothing to do.
busy: 12 trajectories of three fits each, all alike, on two slots; utilisation is the time that fits take, by their
rows, over that of the slots from the first fit's beginning to the last one's end.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import torch
from rich.console import Console

from lip.ledger.ledger import Ledger
from lip.ledger.tables import to_parquet
from lip.masks import Mask
from lip.training.restore import train
from lip.training.run import build_model
from sweeps.plan import Plan
from sweeps.spec import read

TINY = {"width": 8, "scales": 2, "steps": 5}


def spec(folder: Path, grid: dict[str, object], sizes: dict[str, object]) -> str:
    path = folder / "benchmark.yaml"
    content = {"name": "benchmark", "profile": "smoke", "fixed": {"image": "astronaut"}, "grid": grid}
    path.write_text(json.dumps({**content, "profiles": {"smoke": sizes}}))  # which is YAML too
    return str(path)


FITS_OF_A_SEED = 97
"""Six pruners of sixteen rounds, and the dense fit that they share."""


def planning(folder: Path, count: int = 100_000) -> None:
    path = spec(
        folder,
        {"pruner": ["imp", "random", "snip", "layerwise", "magnitude", "synflow"]},
        TINY | {"rounds": 16, "seeds": max(1, count // FITS_OF_A_SEED)},
    )
    plan = Plan(read(path))
    ledger = Ledger(folder / "results")
    row, ticket = _trained(plan, ledger)
    fits = [fit for fit in plan.fits.values()]
    for count in (len(fits) // 2, len(fits)):
        ledger = Ledger(folder / f"results-{count}")
        groups = defaultdict(list)
        for fit in fits[:count]:
            groups[fit.id[:2]].append({**row, "fit": fit.id, "spec": fit.canonical_text, "seed": fit.seed})
            if fit.has_next_mask:
                ledger.stores["next_masks"].add(fit.id, ticket)
        for group, rows in groups.items():
            table = pa.Table.from_pylist(sorted(rows, key=lambda row: row["fit"]), schema=_schema())
            ledger.rows.blobs.add(f"{group}.pack", to_parquet(table))
        _report(f"sweeps plan, {count} of {len(fits)} published", "plan", path, ledger)
        _report(f"sweeps status --json, {count} of {len(fits)} published", "status", path, ledger, "--json")
    for columns in (["fit", "seed", "psnr_last"], None):
        with _timed(f"load {columns or 'all columns'} of {len(fits)} fits"):
            assert len(ledger.fits(columns)) == len(fits)
    for fit in fits[:: max(1, len(fits) // 1000)]:
        own = {**row, "fit": fit.id, "spec": fit.canonical_text, "seed": fit.seed}
        ledger.rows.blobs.add(fit.id, to_parquet(pa.Table.from_pylist([own], schema=_schema())))
    with _timed("fold a thousand rows into them"):
        ledger.rows.compact()


@contextmanager
def _timed(what: str) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = f"{time.perf_counter() - wall:.1f} s, {time.process_time() - cpu:.1f} CPU seconds"
    print(f"{what}: {seconds}, peak memory so far {peak:.0f} MiB", flush=True)


def _report(what: str, command: str, path: str, ledger: Ledger, *options: str) -> None:
    arguments = [sys.executable, "-m", "sweeps", command, path, "--storage", ledger.url, *options]
    started = time.perf_counter()
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    said = process.stdout.read().splitlines()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    assert status == 0, said
    cpu = usage.ru_utime + usage.ru_stime
    print(f"{what}: {seconds:.1f} s, {cpu:.1f} CPU seconds, peak memory {usage.ru_maxrss / 1024:.0f} MiB", flush=True)
    print(" ", said[-1][:160])


def _trained(plan: Plan, ledger: Ledger) -> tuple[dict[str, object], bytes]:
    """Train one fit of the plan and publish it; returns its row and its ticket."""
    torch.set_num_threads(1)
    fit = next(iter(plan.fits.values()))
    model = build_model(fit, plan.sweep.pixels)
    mask = Mask.dense(model.layers)
    ledger.publish(fit, mask, train(model, mask), mask, datetime.now(UTC))
    (row,) = ledger.fits().to_pylist()
    ticket = ledger.stores["next_masks"].get(fit.id)
    assert ticket
    return row, ticket


def _schema() -> pa.Schema:
    from lip.ledger.schema import FITS

    return FITS


def idle(folder: Path, count: int = 1000) -> None:
    from sweeps.cluster import Resources, connected
    from sweeps.execute import execute

    plan = Plan(read(spec(folder, {"pruner": ["random"]}, TINY | {"rounds": 0, "seeds": count})))
    ledger = Ledger(folder / "results")
    row, ticket = _trained(plan, ledger)
    for fit in plan.fits.values():
        ledger.stores["next_masks"].add(fit.id, ticket)
        own = {**row, "fit": fit.id, "spec": fit.canonical_text}
        ledger.rows.put(fit.id, pa.Table.from_pylist([own], schema=_schema()))
    with connected(Resources(slots=2), plan, ledger) as (resources, _):
        for turn in ("with the start of two processes", "again"):
            started = time.perf_counter()
            ending = execute(plan, ledger, resources, Console(quiet=True))
            seconds = time.perf_counter() - started
            assert not ending.failed
            print(f"{count} trajectories without work, {turn}: {seconds:.1f} s, {1000 * seconds / count:.1f} ms each")


def busy(folder: Path) -> None:
    path = spec(folder, {"pruner": ["random"]}, {"width": 32, "steps": 500, "rounds": 2, "size": 64, "seeds": 12})
    storage = folder / "results"
    subprocess.run([sys.executable, "-m", "sweeps", "run", path, "--storage", storage, "--slots", "2"], check=True)
    seconds = Ledger(storage).fits(["fit", "seconds"])
    took = dict(zip(seconds["fit"].to_pylist(), seconds["seconds"].to_pylist(), strict=True))
    ends = {file.name.split("-")[0]: file.stat().st_mtime for file in storage.glob("fits/*/*")}
    wall = max(ends.values()) - min(end - took[key] for key, end in ends.items())
    busy = sum(took.values())
    print(f"{len(took)} fits of {busy / len(took):.1f} s: {busy / wall / 2:.1%} of two slots")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        {"plan": planning, "idle": idle, "busy": busy}[sys.argv[1]](Path(name), *map(int, sys.argv[2:]))
