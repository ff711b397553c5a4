"""Run a plan on Ray Tune, one trial per trajectory.

Tune places the trials and the ledger remembers: Tune's own state is thrown away. A trial trains what the ledger lacks
and publishes it after every round, so a run can be ended at any time, by any means, and started again.
"""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Container
from typing import Any, NamedTuple

from ray import tune
from ray.tune.search import Searcher
from rich.console import Console

from lip.ledger.ledger import Ledger
from lip.specs.fit import Fit
from lip.specs.trajectory import Trajectory
from sweeps.budget import Budget, Meter
from sweeps.cluster import Resources
from sweeps.config import config_of
from sweeps.drain import Drain
from sweeps.estimate import Pace
from sweeps.failures import Failures
from sweeps.heartbeat import Heartbeat
from sweeps.hooks import DrainStopper, SchedulerSearcher, TrialCallback
from sweeps.plan import Plan
from sweeps.progress import Progress
from sweeps.queue import Queue
from sweeps.scheduler import Scheduler
from sweeps.search.feed import SearchFeed
from sweeps.session import private_folder
from sweeps.tools import Tools
from sweeps.trial import Work, run_trial


class Ending(NamedTuple):
    """Tell how a run ended."""

    failed: int
    """Trajectories that have failed; the ledger holds their causes."""
    drained: str | None
    """Why it ended before its last fit; None if nothing asked it to."""
    grid: tune.ResultGrid
    """Tune's own results, one for each trial; a trajectory that was started again has several."""
    missing: int = 0
    """Fits of the plan that are still to do (`sweeps.launch.run_plan` counts them)."""


def execute(
    plan: Plan,
    ledger: Ledger,
    resources: Resources,
    console: Console,
    drain: Drain | None = None,
    budget: Budget | None = None,
    tools: Tools | None = None,
) -> Ending:
    """Train and publish the missing fits of a plan, while `connected`.

    With `tools` every trajectory is a trial and reports its rounds; without, only one that lacks a fit is.
    Ends when all are published or have failed, on Ctrl-C, or when `drain` is requested, which a spent budget does.
    """
    drain, budget = Drain() if drain is None else drain, budget or Budget()
    meter = Meter(budget, resources.gpus or resources.cpus)
    remaining = plan.remaining_fits(finished=bool(tools))
    needs = {key: [fit.id for fit in fits] for key, fits in remaining.items()}
    pixels = plan.inputs
    pace = Pace.now(plan, ledger) if budget else None
    with Heartbeat(ledger, meter.seconds_left(0)) as heartbeat:
        queue = Queue(needs)
        with Progress(plan, queue, console) as progress:
            failures = Failures(ledger, progress)
            feed = SearchFeed(plan, ledger, queue, progress, remaining, finished=bool(tools))
            scheduler = Scheduler(queue, failures, resources.gpus or 0.0, drain=drain, feed=feed)
            trial = tune.with_parameters(
                run_trial,
                pixels=pixels,
                storage=ledger.url,
                run=heartbeat.run,
                backend=resources.backend,
            )

            def config(key: str) -> dict[str, Any]:
                seconds = pace.seconds(remaining[key], bool(resources.gpus)) if pace else {}
                trajectory = plan.by_id[key]
                work = _work(plan, trajectory, remaining[key], bool(tools), seconds, pixels)
                return config_of(trajectory, plan.label(trajectory)) | {"work": pickle.dumps(work)}

            searcher = SchedulerSearcher(scheduler, config)
            callbacks: list[tune.Callback] = [TrialCallback(scheduler, progress, heartbeat, drain, meter)]
            callbacks += tools.tune_callbacks(plan, ledger) if tools else []
            grid = _tune(trial, resources, searcher, callbacks, DrainStopper(drain, heartbeat), tools or Tools())
    if scheduler.n_drained:
        drain.request(f"no fit that is left ends within the budget of {budget}")
    return Ending(failures.count, drain.reason, grid)


def _work(
    plan: Plan,
    trajectory: Trajectory,
    fits: list[Fit],
    reports_rounds: bool,
    seconds: dict[str, float],
    known: Container[str],
) -> Work:
    """Return the work of a trial, with those inputs that are not `known` to all trials."""
    ids, sweep = frozenset(fit.id for fit in fits), plan.sweep
    rounds = [fit.id for fit in trajectory.fits] if reports_rounds else []
    late = {name: array for name, array in plan.inputs.items() if name not in known}
    return Work(fits, rounds, ids & sweep.outputs | ids & sweep.small, ids & sweep.weights, seconds, late)


def _tune(
    trial: Any,
    resources: Resources,
    searcher: Searcher,
    callbacks: list[tune.Callback],
    stopper: tune.Stopper,
    tools: Tools,
) -> tune.ResultGrid:
    """Run trials until the searcher has no more."""
    for name in ("ray.tune.tune", "ray.tune.analysis.experiment_analysis"):  # they warn of trials that were requeued
        logging.getLogger(name).setLevel(logging.CRITICAL)
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(resources.slots)

    def placement(config: dict[str, Any]) -> tune.PlacementGroupFactory:
        gpus = {"GPU": config["gpus"]} if config["gpus"] else {}
        return tune.PlacementGroupFactory([{"CPU": resources.cpus, **gpus}])

    with private_folder() as scratch:
        return tune.Tuner(
            tune.with_resources(trial, placement),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=tools.tune_scheduler(),
                num_samples=-1,
                reuse_actors=True,
                trial_name_creator=lambda t: t.config["trajectory"],
                trial_dirname_creator=lambda t: t.trial_id,
            ),
            run_config=tune.RunConfig(
                name="sweep",
                storage_path=str(tools.folder or scratch),
                verbose=0,
                callbacks=callbacks,
                stop=stopper,
                failure_config=tune.FailureConfig(max_failures=0),  # the scheduler decides about retries
            ),
        ).fit()
