"""Run a plan on Ray Tune, one trial per trajectory.

Tune places the trials and the ledger remembers: Tune's own state is thrown away. A trial trains what the ledger lacks
and publishes it after every round, so a run can be ended at any time, by any means, and started again.
"""

from __future__ import annotations

import logging
import os
import pickle
from typing import Any, NamedTuple

from ray import tune
from ray.tune.search import Searcher
from rich.console import Console

from lip.ledger.ledger import Ledger
from sweeps.budget import Budget, Meter
from sweeps.cluster import Resources
from sweeps.config import config_of
from sweeps.drain import Drain
from sweeps.estimate import fit_seconds
from sweeps.failures import Failures
from sweeps.heartbeat import Heartbeat
from sweeps.hooks import DrainStopper, SchedulerSearcher, TrialCallback
from sweeps.plan import Plan
from sweeps.progress import Progress
from sweeps.queue import Queue
from sweeps.scheduler import Scheduler
from sweeps.session import private_folder
from sweeps.tools import Tools
from sweeps.trial import run_trial


class Ending(NamedTuple):
    """How a run ended."""

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
    trajectories = {trajectory.id: trajectory for trajectory in plan.sweep.trajectories}
    remaining = plan.remaining_fits()
    if tools:
        remaining = {key: remaining.get(key, []) for key in trajectories}
    needs = {key: [fit.id for fit in fits] for key, fits in remaining.items()}
    with Heartbeat(ledger, meter.seconds_left(0)) as heartbeat:
        queue = Queue(needs)
        with Progress(plan, queue, console) as progress:
            failures = Failures(ledger, progress)
            scheduler = Scheduler(queue, failures, resources.gpus or 0.0, drain=drain)
            trial = tune.with_parameters(
                run_trial,
                work={  # each trial gets a copy of it all
                    key: pickle.dumps((fits, [fit.id for fit in trajectories[key].fits] if tools else []))
                    for key, fits in remaining.items()
                },
                pixels=plan.sweep.pixels,
                outputs=plan.sweep.outputs | plan.sweep.small,
                weights=plan.sweep.weights,
                storage=ledger.url,
                run=heartbeat.run,
                backend=resources.backend,
                seconds=fit_seconds(plan, ledger, bool(resources.gpus)) if budget else {},
            )
            searcher = SchedulerSearcher(scheduler, lambda key: config_of(trajectories[key]))
            callbacks: list[tune.Callback] = [TrialCallback(scheduler, progress, heartbeat, drain, meter)]
            callbacks += tools.tune_callbacks(plan, ledger) if tools else []
            grid = _tune(trial, resources, searcher, callbacks, DrainStopper(drain, heartbeat), tools or Tools())
    if scheduler.n_drained:
        drain.request(f"no fit that is left ends within the budget of {budget}")
    return Ending(failures.count, drain.reason, grid)


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
