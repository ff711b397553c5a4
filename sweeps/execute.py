"""Run a plan on Ray Tune, one trial per trajectory.

Tune places the trials and the ledger remembers: Tune's own state is thrown away. A trial trains what the ledger lacks
and publishes it after every round, so a run can be ended at any time, by any means, and started again.
"""

from __future__ import annotations

import logging
import os
import pickle
from typing import Any

from ray import tune
from ray.tune.search import Searcher
from rich.console import Console

from lip.ledger.ledger import Ledger
from sweeps.cluster import Resources
from sweeps.failures import Failures
from sweeps.heartbeat import Heartbeat
from sweeps.hooks import SchedulerSearcher, TrialCallback
from sweeps.plan import Plan
from sweeps.progress import Progress
from sweeps.queue import Queue
from sweeps.scheduler import Scheduler
from sweeps.search.feed import SearchFeed
from sweeps.session import private_folder
from sweeps.trial import Work, run_trial


def execute(plan: Plan, ledger: Ledger, resources: Resources, console: Console) -> int:
    """Train and publish the missing fits of a plan, while `connected`.

    Ends when all are published or have failed, or on Ctrl-C. Returns how many trajectories have failed; the ledger
    holds their causes.
    """
    remaining = plan.remaining_fits()
    needs = {key: [fit.id for fit in fits] for key, fits in remaining.items()}
    pixels = plan.inputs
    with Heartbeat(ledger) as heartbeat:
        queue = Queue(needs)
        with Progress(plan, queue, console) as progress:
            failures = Failures(ledger, progress)
            feed = SearchFeed(plan, ledger, queue, progress, remaining)
            scheduler = Scheduler(queue, failures, resources.gpus or 0.0, feed=feed)
            trial = tune.with_parameters(
                run_trial,
                pixels=pixels,
                storage=ledger.url,
                run=heartbeat.run,
                backend=resources.backend,
            )

            def work(key: str) -> bytes:
                outputs = plan.sweep.outputs.intersection(fit.id for fit in remaining[key])
                late = {name: array for name, array in plan.inputs.items() if name not in pixels}
                return pickle.dumps(Work(remaining[key], outputs, late))

            _tune(trial, resources, SchedulerSearcher(scheduler, work), TrialCallback(scheduler, progress, heartbeat))
    return failures.count


def _tune(trial: Any, resources: Resources, searcher: Searcher, callback: tune.Callback) -> None:
    """Run trials until the searcher has no more."""
    for name in ("ray.tune.tune", "ray.tune.analysis.experiment_analysis"):  # they warn of trials that were requeued
        logging.getLogger(name).setLevel(logging.CRITICAL)
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(resources.slots)

    def placement(config: dict[str, Any]) -> tune.PlacementGroupFactory:
        gpus = {"GPU": config["gpus"]} if config["gpus"] else {}
        return tune.PlacementGroupFactory([{"CPU": resources.cpus, **gpus}])

    with private_folder() as scratch:
        tune.Tuner(
            tune.with_resources(trial, placement),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                num_samples=-1,
                reuse_actors=True,
                trial_name_creator=lambda t: t.config["key"],
                trial_dirname_creator=lambda t: t.trial_id,
            ),
            run_config=tune.RunConfig(
                name="sweep",
                storage_path=str(scratch),
                verbose=0,
                callbacks=[callback],
                failure_config=tune.FailureConfig(max_failures=0),  # the scheduler decides about retries
            ),
        ).fit()
