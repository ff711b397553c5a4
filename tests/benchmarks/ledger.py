"""How the ledger scales: publishing, planning against, loading and folding.

    python tests/benchmarks/ledger.py [COUNT]

Trains one tiny fit and publishes its result under COUNT ids (default 2,000).
"""

import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from lip.data.library import InputLibrary
from lip.ledger.ledger import Ledger
from lip.masks import Mask
from lip.specs.request import parse_trajectory
from lip.training.restore import train
from lip.training.run import build_model


def main(count: int) -> None:
    library = InputLibrary()
    values = {"image": "astronaut", "size": 32, "width": 8, "scales": 2, "steps": 60, "pruner": "random", "rounds": 1}
    fits = [parse_trajectory({**values, "seed": seed}, library, "benchmark").fits[1] for seed in range(count)]
    model = build_model(fits[0], library.inputs)
    mask = Mask.dense(model.layers)
    trained = train(model, mask)
    table = Table("what", "seconds", "ms a fit", title=f"{count} fits")

    def timed(what: str, work: Callable[[], Any]) -> None:
        started = time.perf_counter()
        work()
        seconds = time.perf_counter() - started
        table.add_row(what, f"{seconds:.2f}", f"{1000 * seconds / count:.2f}")

    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(folder)
        now = datetime.now(UTC)
        timed("publish", lambda: [ledger.publish(fit, mask, trained, None, now) for fit in fits])
        for stage in ("one file each", "folded"):
            timed(f"{stage}: published, by name", lambda: ledger.published(fits, verified=False))
            timed(f"{stage}: published, verified", lambda: ledger.published(fits, verified=True))
            timed(f"{stage}: load 3 columns", lambda: ledger.fits(["fit", "seed", "psnr_last"]))
            timed(f"{stage}: load all columns", lambda: ledger.fits())
            if stage != "folded":
                timed("compact", ledger.compact)
    Console().print(table)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
