"""The command line, `python -m sweeps COMMAND`."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from lip import terminal
from lip.errors import InputError
from lip.fast.backend import HELP, check, choose
from lip.paths import local
from lip.terminal import markup
from lip.training import machine
from lip.values import choices
from sweeps.session import close_to_others

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lip.ledger.ledger import Ledger
    from sweeps.estimate import Basis, Estimate
    from sweeps.plan import Plan
    from sweeps.status import TrajectoryStatus

app = typer.Typer(
    help="Plan, run and watch sweeps. SPEC is the name of a shipped sweep, or a YAML file.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
console = Console(soft_wrap=True)

WATCH_INTERVAL = 10.0
"""Seconds between two looks of `status --watch`."""
MAX_LISTED = 500
"""Trajectories that `plan` lists at most."""

SHOWN_OF_IDS = 8
"""Digits of the ids of fits that `show` prints; `lip show` takes them."""
PENDING_ON_A_CLUSTER = 64
"""Trials that wait for nodes at a time: an autoscaler sees them and adds nodes."""

Spec = Annotated[str, typer.Argument(help="a shipped sweep, or a YAML file")]
ProfileName = Annotated[
    str | None, typer.Option("--profile", help="smoke, mini or paper; default: the sweep's profile")
]
Storage = Annotated[
    str | None,
    typer.Option(help="folder of the results, or a URL such as s3://bucket/lip; default: $LIP_STORAGE or ./results"),
]
Data = Annotated[Path | None, typer.Option(help="folder with the standard image sets; default: $LIP_DATA")]
Only = Annotated[list[str] | None, typer.Option(help="select a part of the sweep, as key=value; may be repeated")]


@app.command()
def plan(
    spec: Spec,
    profile: ProfileName = None,
    storage: Storage = None,
    data: Data = None,
    only: Only = None,
    slots: Annotated[int | None, typer.Option(min=1, help="trials at a time; default: this machine's cores")] = None,
    gpus: Annotated[
        float | None, typer.Option(min=0, help="share of a GPU per trial; default: from measured memory, else 1")
    ] = None,
    price: Annotated[float | None, typer.Option(min=0, help="price per CPU-hour or GPU-hour, for the cost")] = None,
) -> None:
    """List the trajectories of a sweep, and estimate the missing fits. Trains nothing."""
    from lip.specs.released import RELEASED_FLAGS
    from sweeps.estimate import estimate

    plan, ledger = _planned(spec, profile, storage, data, only)
    _show_plan(plan)
    _show_replaced(plan, profile)
    for note in plan.sweep.notes:
        _print(f"image {note}")
    for name, description in RELEASED_FLAGS.items():
        if any(name in trajectory.compat for trajectory in plan.sweep.trajectories):
            _print(f"as released, {name}: {description}")
    for layers in {trajectory.whole_layers: None for trajectory in plan.sweep.trajectories}:
        if layers:
            _print(f"layers that masks from another network do not prune: {', '.join(layers)}")
    _print(f"{len(plan.sweep.trajectories)} trajectories, {plan.counts}")
    console.print(f"{plan.counts.progress}, [bold]{len(plan.missing)} to do[/]", highlight=False)
    if plan.missing:
        slots = slots or _slots(1, _memory_per_trial(plan, gpus))
        _print(_estimate_in_words(estimate(plan, ledger, slots, gpus), slots, price))
        _print_seeds_needed(plan)


def _print_seeds_needed(plan: Plan) -> None:
    from analysis.plan import seeds_note

    experiments = {entry.experiment for entry in plan.sweep.entries}
    if note := seeds_note(experiments, len({entry.trajectory.seed for entry in plan.sweep.entries})):
        _print(note)


def _show_plan(plan: Plan) -> None:
    from sweeps.plan import label

    table = Table("trajectory", "results", "fits", "published", "to do", title=_title(plan), title_justify="left")
    claimed = set(plan.published)
    listed = plan.sweep.trajectories[:MAX_LISTED]
    for trajectory in listed:
        fits = [fit.id for fit in plan.required_fits[trajectory.id]]
        own = [key for key in fits if key not in claimed]
        claimed.update(own)
        table.add_row(
            markup(label(trajectory)),
            *map(str, (len(trajectory.fits), len(fits), sum(key in plan.published for key in fits), len(own))),
        )
    console.print(table)
    if more := len(plan.sweep.trajectories) - len(listed):
        _print(f"and {more} more; --only key=value selects a part")


def _estimate_in_words(cost: Estimate, slots: int, price: float | None) -> str:
    units = {"CPU-hours": cost.cpu_hours, "GPU-hours": cost.gpu_hours}
    hours = " and ".join(f"{_rounded(number)} {unit}" for unit, number in units.items() if number)
    paid = "" if price is None else f", {(cost.cpu_hours + cost.gpu_hours) * price:.2f} at {price:g} per hour"
    bases = "; ".join(map(_basis_in_words, cost.bases))
    return f"about {hours} ({_readable(cost.seconds)} on {slots} slots){paid}, from {bases}"


def _basis_in_words(basis: Basis) -> str:
    """Describe the basis of an estimate and the error of 9 in 10."""
    where = "on this machine" if basis.here else "on other machines"
    fits = f"{basis.fits} published fit{'s' * (basis.fits > 1)}"
    if basis.same_size:
        return f"{fits} of this size {where} ({basis.device}; within a third)"
    source = f"{fits} of other sizes {where}" if basis.fits else "a matrix product on a CPU of this machine"
    return f"a count of multiplications, at the speed of {source} (within a factor of two)"


def _rounded(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.2g}"


def _readable(seconds: float) -> str:
    for unit, size in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"


@app.command()
def run(
    spec: Spec,
    profile: ProfileName = None,
    storage: Storage = None,
    data: Data = None,
    only: Only = None,
    slots: Annotated[
        int | None, typer.Option(min=1, help="trials at a time; default: as many as fit on this machine's cores")
    ] = None,
    cpus: Annotated[float, typer.Option(min=0.1, help="CPUs per trial")] = 1,
    gpus: Annotated[
        float | None,
        typer.Option(
            min=0, help="GPUs per trial, may be a fraction; default, if there are any: from measured memory, else 1"
        ),
    ] = None,
    address: Annotated[str, typer.Option(help="local, auto, or the address of a Ray cluster")] = "local",
    backend: Annotated[str, typer.Option(help=HELP)] = "auto",
) -> None:
    """Train and publish the missing fits of a sweep. The same command resumes.

    Exit status 0: all published. 1: something failed. 130: interrupted.
    """
    check(backend)
    if gpus and gpus > 1 and gpus % 1:
        raise InputError(f"--gpus {gpus:g}: give a fraction of one GPU, or a whole number")
    plan, ledger = _planned(spec, profile, storage, data, only, verified=True)
    if address == "local":
        slots = slots or _slots(cpus, _memory_per_trial(plan, gpus))
    ledger.check_writable()
    if plan.missing and address == "local":
        with console.status("loading kernels"):
            choose(backend, "cuda" if backend == "cuda_graph" else "cpu")  # here rather than in every trial
    _show_replaced(plan, profile)
    _print(str(plan.counts))
    if plan.missing:
        _run_missing(plan, ledger, slots or PENDING_ON_A_CLUSTER, cpus, gpus, address, backend)
    else:
        ledger.record_sweep(plan.sweep.name, plan.sweep.profile, plan.points())
    _print(f"{_title(plan)}: {plan.counts.progress}, in {ledger.storage}")


def _run_missing(
    plan: Plan, ledger: Ledger, slots: int, cpus: float, gpus: float | None, address: str, backend: str
) -> None:
    """Run the missing fits. Raises Exit unless all are published."""
    if address == "local":
        close_to_others()
    with ExitStack() as stack:
        with console.status("starting Ray" if address == "local" else "connecting to Ray"):
            from sweeps.cluster import Resources, connected
            from sweeps.estimate import share
            from sweeps.execute import execute

            by_memory = share(plan, ledger) if gpus is None else 1
            asked = Resources(address, slots, cpus, gpus, by_memory, backend)
            resources, dashboard = stack.enter_context(connected(asked, plan, ledger))
        ledger.record_sweep(plan.sweep.name, plan.sweep.profile, plan.points())
        _print(f"{plan.counts.progress}, {len(plan.missing)} to do; results in {ledger.storage}")
        if resources.gpus:
            _print(f"{resources.gpus:g} of a GPU per trial")
        if address == "local":
            used = choose(backend, "cuda" if resources.gpus else "cpu")
            _print(f"backend {used.name}: {used.why}")
        if dashboard:
            _print(f"Ray's dashboard: http://{dashboard}")
        failures = execute(plan, ledger, resources, console)
    plan.refresh_missing(ledger)
    if plan.missing:
        remedy = "`python -m sweeps status` lists the causes" if failures else "the same command resumes"
        console.print(f"[red]{len(plan.missing)} still to do[/]; {remedy}")
        raise typer.Exit(1 if failures else 130)


@app.command()
def compact(storage: Storage = None) -> None:
    """Merge the files of published fits into a few, which load faster. Safe at any time, also during runs."""
    from lip.ledger.ledger import Ledger, default_storage

    ledger = Ledger(storage or default_storage())
    ledger.check_writable()
    before, after = ledger.compact()
    _print(f"{before} files of fits and next masks are now {after} in {ledger.storage}")
    _warn_of_damage(ledger.damaged())
    _warn_of_conflicts(ledger)


@app.command()
def fetch(
    source: Annotated[str, typer.Argument(help="where the results are: s3://bucket/lip, or another folder")],
    storage: Storage = None,
) -> None:
    """Copy results from another storage, verified. Skips what is here already."""
    from lip.ledger.ledger import Ledger, default_storage

    ledger = Ledger(storage or default_storage())
    ledger.check_writable()
    other = Ledger(source)
    name = str(other.storage)
    try:
        if not other.storage.folders():
            raise InputError(f"there are no results in {name}; correct the name")
        copied = ledger.fetch(other)
    except OSError as error:
        raise InputError(f"storage {name} cannot be read ({' '.join(str(error).split())})") from error
    _print(f"{copied} files copied from {name} to {ledger.storage}")


@app.command()
def status(
    spec: Spec,
    profile: ProfileName = None,
    storage: Storage = None,
    data: Data = None,
    only: Only = None,
    watch: Annotated[bool, typer.Option("--watch", help="repeat until nothing is left to do")] = False,
    json: Annotated[bool, typer.Option("--json", help="print JSON, on one line")] = False,
) -> None:
    """List which trajectories are done, running, failed or waiting. Exit status 1 if any failed.

    All files are verified. With --watch only their names are read, and only running and failed trajectories are listed.
    """
    from sweeps.status import as_json, counts, statuses

    plan, ledger = _planned(spec, profile, storage, data, only)
    damaged = [] if watch else ledger.damaged()
    plan.set_aside(damaged, ledger)
    while True:
        found = statuses(plan, ledger)
        if json:
            faults = {} if watch else {"damaged": damaged, "conflicts": ledger.conflicts()}
            print(dumps(as_json(plan, ledger, found) | faults), flush=True)
        else:
            _show_statuses(plan, [one for one in found if not watch or one.state in ("running", "failed")])
            _print_counts(plan)
            _print(", ".join(f"{count} {state}" for state, count in counts(found).items()))
        if not watch or not plan.missing:
            break
        time.sleep(WATCH_INTERVAL)
        plan.refresh(ledger)
        if console.is_terminal and not json:
            console.clear()
    if not json:
        _warn_of_damage(ledger.damaged() if watch else damaged)
        _warn_of_conflicts(ledger)
    raise typer.Exit(1 if counts(found)["failed"] else 0)


def _show_statuses(plan: Plan, found: list[TrajectoryStatus]) -> None:
    table = Table("trajectory", "results", "state", title=_title(plan), title_justify="left")
    for one in found:
        colour = {"done": "green", "failed": "red"}.get(one.state, "default")
        state = f"[{colour}]{one.state}[/]" + (f": {markup(one.detail)}" if one.detail else "")
        table.add_row(markup(one.label), f"{one.published}/{one.results}", state)
    console.print(table)


@app.command()
def show(
    spec: Spec,
    profile: ProfileName = None,
    storage: Storage = None,
    data: Data = None,
    only: Only = None,
    csv: Annotated[Path | None, typer.Option(help="write all columns to this file instead")] = None,
) -> None:
    """Print the published results of a sweep, only the columns that vary."""
    from sweeps.results import axes, rows

    plan, ledger = _planned(spec, profile, storage, data, only, verified=True)
    frame = rows(plan, ledger)
    if frame.empty:
        raise InputError(
            f"no result of {plan.sweep.name} is published in {ledger.storage}; run `python -m sweeps run {spec}` first"
        )
    if csv:
        file = local(csv, "--csv")
        try:
            frame.map(terminal.cell).to_csv(file, index=False)
        except OSError as error:
            raise InputError(f"--csv {file} cannot be written ({error}); choose another file") from error
        _print(f"{len(frame)} rows in {file}")
    else:
        varying = axes(frame)
        table = Table(title=_title(plan), title_justify="left", box=None, padding=(0, 1, 0, 0))
        table.add_column("fit", no_wrap=True)
        for name in map(str, varying):  # a narrow terminal breaks their names between words, and never a text
            table.add_column(name.replace("_", " "), no_wrap=not name.startswith(("psnr", "ssim")), min_width=6)
        for fit, row in zip(frame["fit"], varying.itertuples(index=False), strict=True):
            table.add_row(fit[:SHOWN_OF_IDS], *map(_cell, row))
        console.print(table)
        _print_counts(plan)
    _warn_of_conflicts(ledger, plan.published)


def _planned(
    spec: str,
    profile: str | None,
    storage: str | None,
    data: Path | None,
    only: list[str] | None,
    verified: bool = False,
) -> tuple[Plan, Ledger]:
    """Read a sweep, and look up what is published of it."""
    with console.status(f"planning {markup(spec)}"), _without_gc():
        from lip.ledger.ledger import Ledger, default_storage
        from sweeps.plan import Plan
        from sweeps.spec import read

        sweep = read(spec, profile, data, choices(only or []))
        ledger = Ledger(storage or default_storage())
        try:
            plan = Plan.make(sweep, ledger, verified)
        except OSError as error:
            reason = " ".join(str(error).split())
            raise InputError(f"storage {ledger.storage} cannot be read ({reason})") from error
    return plan, ledger


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


def _print(text: str) -> None:
    terminal.say(console, text)


def _print_counts(plan: Plan) -> None:
    _print(str(plan.counts))
    _print(plan.counts.progress)


def _show_replaced(plan: Plan, profile: str | None) -> None:
    for line in plan.sweep.replaced:
        _print(f"--profile {profile}: {line}")


def _warn_of_damage(paths: list[str]) -> None:
    for path in paths:
        console.print(f"[yellow]damaged and ignored:[/] {markup(path)}", highlight=False)


def _warn_of_conflicts(ledger: Ledger, among: Iterable[str] | None = None) -> None:
    for fit, differing in ledger.conflicts(among).items():
        more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
        columns = f"{', '.join(differing[:3])}{more}"
        text = f"fit {fit} was published with differing {columns}; the first finished is used, all are kept"
        console.print(f"[yellow]conflict:[/] {text}", highlight=False)


def _cell(value: object) -> str:
    if value is None or value != value:  # NaN is not equal to itself
        return ""
    return f"{value:.4g}" if isinstance(value, float) else markup(str(value))


def _memory_per_trial(plan: Plan, gpus: float | None) -> float:
    """Return the bytes that a trial takes on this machine's CPUs; 0 on a GPU. Raises InputError if it has fewer."""
    from lip.training.memory import check_memory

    return 0.0 if gpus or (gpus is None and _has_gpu()) else check_memory(plan.missing.values())


def _has_gpu() -> bool:
    if not machine.may_have_gpu():
        return False
    import torch

    return torch.cuda.is_available()


def _slots(cpus: float, memory: float) -> int:
    """Return how many trials this machine has the cores and the memory for."""
    by_cores = machine.usable_cores() / cpus
    return max(1, int(min(by_cores, machine.available_memory() / memory) if memory else by_cores))


def _title(plan: Plan) -> str:
    return f"{plan.sweep.name} ({plan.sweep.profile})"


def main() -> None:
    terminal.main(app)
