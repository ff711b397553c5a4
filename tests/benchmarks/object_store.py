"""What a sweep asks of an object store: requests per fit, counted at a local S3, beside so many other fits.

    pip install 'moto[server]' boto3 && python tests/benchmarks/object_store.py [SEEDS]

Trains SEEDS (default 3) IMP trajectories of four fits each as a trial of `sweeps run` does, without Ray, in a bucket
that seems to hold none, ten thousand, a hundred thousand and a million fits: their folders hold as many files.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

from lip.ledger.blobs import group_of
from lip.ledger.ledger import Ledger

BUCKET = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "us-east-1"}
PRICES = {"PUT": 5e-6, "LIST": 5e-6, "GET": 4e-7, "HEAD": 4e-7}
"""Dollars per request of S3 Standard in us-east-1, November 2026. DELETE is free."""
FOLDERS = 256


class Requests(logging.Handler):
    """Counts the requests that the server logs, by kind and folder."""

    def __init__(self) -> None:
        super().__init__()
        self.counted: Counter[tuple[str, str]] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        if not (found := re.search(r"(GET|PUT|POST|HEAD|DELETE) (\S+) HTTP", record.getMessage())):
            return
        kind, path = found[1], unquote(found[2])
        place = (
            re.search(r"prefix=lip/?(\w*)", path) if "list-type=2" in path else re.match(r"/lip/lip/?(\.?\w*)", path)
        )
        kind = "LIST" if "list-type=2" in path else "PUT" if kind == "POST" else kind
        self.counted[kind, place[1] if place and place[1] else "top"] += 1


def main(seeds: int) -> None:
    import boto3
    from moto.server import ThreadedMotoServer

    requests, log = Requests(), logging.getLogger("werkzeug")
    log.setLevel(logging.INFO)
    log.handlers, log.propagate = [requests], False
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ |= BUCKET | {"AWS_ENDPOINT_URL": f"http://{host}:{port}"}
    for others in (0, 10_000, 100_000, 1_000_000):
        boto3.client("s3").create_bucket(Bucket="lip")
        with tempfile.TemporaryDirectory() as folder:
            count(Path(folder), seeds, others, requests)
        boto3.resource("s3").Bucket("lip").objects.delete()
        boto3.client("s3").delete_bucket(Bucket="lip")
    server.stop()


def count(folder: Path, seeds: int, others: int, requests: Requests) -> None:
    from sweeps import trial
    from sweeps.heartbeat import Heartbeat
    from sweeps.plan import Plan
    from sweeps.spec import read

    sizes = {"width": 8, "scales": 2, "steps": 30, "rounds": 3, "seeds": seeds}
    spec = {"name": "requests", "profile": "smoke", "fixed": {"image": "astronaut", "pruner": "imp"}}
    (folder / "requests.yaml").write_text(json.dumps(spec | {"profiles": {"smoke": sizes}}))
    plan, ledger = Plan(read(str(folder / "requests.yaml"))), Ledger("s3://lip/lip")
    fill({group_of(key) for key in plan.fits}, others // FOLDERS)
    trial.tune.report = lambda report: None
    trial._prepare_process = lambda gpus: "cpu"  # type: ignore[assignment]
    requests.counted.clear()
    plan.refresh(ledger, verified=not others)  # what stands for others is damaged
    report("planning", requests, 0)
    remaining = plan.remaining_fits()
    with Heartbeat(ledger) as heartbeat:
        requests.counted.clear()
        started = time.process_time()
        for key, fits in remaining.items():
            work = pickle.dumps(trial.Work(fits, [], frozenset(), frozenset(), {}, {}))
            config = {"trajectory": key, "gpus": 0.0, "work": work}
            trial.run_trial(config, plan.inputs, ledger.url, heartbeat.run, "auto")
        report(f"beside {others:,} fits", requests, len(plan.fits))
        print(f"  {(time.process_time() - started) / len(plan.fits):.2f} CPU seconds for each, this server's included")


def fill(groups: set[str], count: int) -> None:
    """Put files of other fits into some folders."""
    from moto.s3.models import s3_backends

    (backend,) = s3_backends["123456789012"].values()
    for group in groups:
        for number in range(count):
            backend.put_object("lip", f"lip/fits/{group}/{group}{number:014x}-{number:016x}.parquet", b"")


def report(what: str, requests: Requests, fits: int) -> None:
    each = max(1, fits)
    cost = sum(number * PRICES.get(kind, 0.0) for (kind, _), number in requests.counted.items())
    print(f"{what}: {sum(requests.counted.values()) / each:.1f} requests, {1e6 * cost / each:.0f} dollars in a million")
    for kind in ("PUT", "LIST", "GET", "HEAD", "DELETE"):
        places = {place: number / each for (k, place), number in sorted(requests.counted.items()) if k == kind}
        print(f"  {kind:<6} {sum(places.values()):5.1f}:", ", ".join(f"{place} {n:.1f}" for place, n in places.items()))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
