"""Run a sweep from Python: `sweeps.run(...)` does what `python -m sweeps run` does, and returns Tune's results."""

from __future__ import annotations

import gc
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from lip import terminal
from lip.errors import InputError
from lip.fast.backend import check, choose
from lip.training import machine
from sweeps.budget import Budget
from sweeps.drain import Drain
from sweeps.session import close_to_others, sigterm_kept

if TYPE_CHECKING:
    from ray.tune import Callback
    from ray.tune.schedulers import TrialScheduler

    from lip.ledger.ledger import Ledger
    from sweeps.execute import Ending
    from sweeps.plan import Plan
    from sweeps.tools import Tools

TAG = re.compile(r"[\w.:/+-]{1,100}")

PENDING_ON_A_CLUSTER = 64
"""Trials that wait for nodes at a time: an autoscaler sees them and adds nodes."""


def run(
    spec: str | Path,
    *,
    storage: str | Path | None = None,
    profile: str | None = None,
    data: Path | None = None,
    only: Mapping[str, Sequence[Any]] | None = None,
    slots: int | None = None,
    cpus: float = 1,
    gpus: float | None = None,
    address: str = "local",
    backend: str = "auto",
    hours: float | None = None,
    max_cost: float | None = None,
    price: float | None = None,
    drain: Drain | None = None,
    callbacks: Sequence[Callback] = (),
    scheduler: TrialScheduler | None = None,
    log: Sequence[str] = (),
    folder: str | Path | None = None,
    note: str = "",
    tags: Sequence[str] = (),
    progress: bool = True,
) -> Ending:
    """Train and publish the missing fits of a sweep, and return how that ended, with Tune's results.

    Every trajectory is a trial of Tune, finished ones too. Its config says what it is (`sweeps.config`), and it reports
    a result per round: `training_iteration` is the round, the metrics are the numeric columns of the fit
    (`sweeps.trial.METRICS`). `callbacks` and `scheduler` are Tune's, and see these results alone. What a scheduler
    stops is left to the next run; it must not change configs. `log` names loggers: tensorboard, wandb, mlflow
    (`sweeps.logs`). `folder` keeps the files of Tune's own loggers, which are thrown away otherwise. The other
    arguments are the options of `python -m sweeps run`. Import `sweeps` before `ray`. Raises InputError.
    """
    console = Console(soft_wrap=True, quiet=not progress)
    plan, ledger = planned(str(spec), profile, storage, data, only, verified=True)
    budget, drain = Budget.of(hours, max_cost, price), Drain() if drain is None else drain
    setup = Setup(address, slots, cpus, gpus, backend, note, tuple(tags), budget, drain)
    from sweeps.tools import Tools

    return run_plan(
        plan, ledger, setup.decided(plan, ledger), console, Tools(tuple(callbacks), scheduler, tuple(log), folder)
    )


@dataclass(frozen=True)
class Setup:
    """Say where and for how long to run; the fields are options of `python -m sweeps run`."""

    address: str = "local"
    slots: int | None = None
    cpus: float = 1
    gpus: float | None = None
    backend: str = "auto"
    note: str = ""
    tags: Sequence[str] = ()
    budget: Budget = field(default_factory=Budget)
    drain: Drain = field(default_factory=Drain)

    def check(self) -> None:
        """Refuse values that no machine can take. Raises InputError."""
        check(self.backend)
        if not self.cpus > 0:
            raise InputError(f"--cpus {self.cpus:g}: a trial needs some; give a positive number")
        if self.gpus and self.gpus > 1 and self.gpus % 1:
            raise InputError(f"--gpus {self.gpus:g}: give a fraction of one GPU, or a whole number")
        for tag in self.tags:
            if not TAG.fullmatch(tag):
                raise InputError(f"--tag {tag!r}: a tag is one word of letters, digits and . _ : / + -; correct it")

    def decided(self, plan: Plan, ledger: Ledger) -> Setup:
        """Return the setup with `slots`, for a plan that fits into memory and a ledger that can be written.

        Raises InputError if one of them does not hold.
        """
        self.check()
        slots = PENDING_ON_A_CLUSTER
        if self.address == "local":
            slots = slots_for(self.cpus, memory_per_trial(plan, self.gpus))
        ledger.check_writable()
        return replace(self, slots=self.slots or slots)


def run_plan(plan: Plan, ledger: Ledger, setup: Setup, console: Console, tools: Tools | None = None) -> Ending:
    """Run the missing fits of a plan with a decided setup; with `tools`, all its trajectories are trials.

    Returns how that ended. Raises InputError before any work has started.
    """
    local = setup.address == "local"
    assert setup.slots is not None, "it is decided"
    if local:
        with console.status("loading kernels, which are compiled once, for about a minute"):
            choose(setup.backend, "cuda" if setup.backend == "cuda_graph" else "cpu")  # here, not in every trial
        close_to_others()
    with ExitStack() as stack:
        with console.status("starting Ray" if local else "connecting to Ray"):
            from sweeps.cluster import Resources, connected
            from sweeps.estimate import share
            from sweeps.execute import execute

            by_memory = share(plan, ledger) if setup.gpus is None else 1
            wanted = Resources(setup.address, setup.slots, setup.cpus, setup.gpus, by_memory, setup.backend)
            stack.enter_context(sigterm_kept())
            resources, dashboard = stack.enter_context(connected(wanted, plan, ledger))
        record(plan, ledger, setup)
        terminal.say(console, f"{plan.counts.progress}, {len(plan.missing)} to do; results in {ledger.storage}")
        if resources.gpus:
            terminal.say(console, f"{resources.gpus:g} of a GPU per trial")
        if local:
            used = choose(setup.backend, "cuda" if resources.gpus else "cpu")
            terminal.say(console, f"backend {used.name}: {used.why}")
        if dashboard:
            terminal.say(console, f"Ray's dashboard: http://{dashboard}")
        ending = execute(plan, ledger, resources, console, setup.drain, setup.budget, tools)
    plan.refresh_missing(ledger)
    if plan.studies:
        plan.record(ledger)
    return ending._replace(missing=len(plan.missing))


def record(plan: Plan, ledger: Ledger, setup: Setup) -> None:
    """Record what a sweep consists of, and what the user notes about this run."""
    plan.record(ledger)
    if setup.note or setup.tags:
        ledger.record_note(uuid.uuid4().hex[:12], plan.sweep.name, plan.sweep.profile, setup.note, setup.tags)


def planned(
    spec: str,
    profile: str | None,
    storage: str | Path | None,
    data: Path | None,
    only: Mapping[str, Sequence[Any]] | None,
    verified: bool = False,
) -> tuple[Plan, Ledger]:
    """Read a sweep, and look up what is published of it. Raises InputError."""
    from lip.ledger.ledger import Ledger, default_storage
    from sweeps.plan import Plan
    from sweeps.spec import read

    with _without_gc():
        sweep = read(spec, profile, data, only)
        ledger = Ledger(storage or default_storage())
        with ledger.storage.reading():
            plan = Plan.make(sweep, ledger, verified)
    return plan, ledger


def memory_per_trial(plan: Plan, gpus: float | None) -> float:
    """Return the bytes that a trial takes on this machine's CPUs; 0 on a GPU. Raises InputError if it has fewer."""
    from lip.training.memory import check_memory

    if gpus or (gpus is None and _has_gpu()):
        return 0.0
    ends = [fit for study in plan.studies for fit in study.search.ends] if plan.missing else []
    return check_memory([*plan.missing.values(), *ends])


def _has_gpu() -> bool:
    if not machine.may_have_gpu():
        return False
    import torch

    return torch.cuda.is_available()


def slots_for(cpus: float, memory: float) -> int:
    """Return how many trials this machine has the cores and the memory for."""
    by_cores = machine.usable_cores() / cpus
    return max(1, int(min(by_cores, machine.available_memory() / memory) if memory else by_cores))


@contextmanager
def _without_gc() -> Iterator[None]:
    """Pause garbage collection, and exempt the new objects from it.

    A hundred thousand fits are a million objects, and all of them stay."""
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
