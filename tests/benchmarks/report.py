"""How the report scales: one page of the whole sweep `paper` from a ledger of many fits, as one file each.

    python tests/benchmarks/report.py [SEEDS]

Plans `paper` at the profile mini with so many seeds (default 13: 10,441 fits), invents their results, and times
`python -m analysis report paper`: seconds in all and of the CPU, peak memory, size of the page.
"""

from __future__ import annotations

import resource
import runpy
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml
from rich.console import Console
from rich.table import Table

from sweeps.plan import Plan
from sweeps.spec import SPECS, read

invented = runpy.run_path(str(Path(__file__).parents[1] / "analysis" / "conftest.py"))


def main(seeds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "paper.yaml"
        content = yaml.safe_load((SPECS / "paper.yaml").read_text()) | {"profiles": {"mini": {"seeds": seeds}}}
        file.write_text(yaml.safe_dump(content))
        sweep = read(str(file), "mini")
        plan = Plan(sweep)
        ledger = invented["Invented"](Path(folder) / "results")
        draw = np.random.default_rng(0)
        ledger.publish(invented["row_of"](fit, draw) for fit in plan.fits.values())
        ledger.ledger.record_sweep("paper", "mini", plan.points())
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "analysis", "report", "paper", "--storage", str(ledger.folder)],
            check=True,
            capture_output=True,
        )
        seconds = time.perf_counter() - started
        page = ledger.folder / "reports" / "paper.mini" / "index.html"
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        table = Table("fits", "seconds", "of the CPU", "peak memory (MB)", "page (MB)")
        numbers = (seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, page.stat().st_size / 1e6)
        table.add_row(f"{len(plan.fits):,}", *(f"{number:.1f}" for number in numbers))
        Console().print(table)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 13)
