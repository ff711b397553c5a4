"""`python -m sweeps plan|run|status|show SPEC`, `python -m sweeps compact|fetch`"""

from __future__ import annotations

import gc
import os
import time
from json import dumps
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lip import terminal
from lip.errors import InputError
from lip.fast.backend import HELP, check, choose

app = typer.Typer(
    help="Plan, run and watch sweeps: SPEC is the name of a sweep that ships with the package, or a YAML file.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
console = Console(soft_wrap=True)

SECONDS_BETWEEN_LOOKS = 10.0
LISTED = 500
"""Trajectories that a plan lists; nobody reads more."""

Spec = Annotated[str, typer.Argument(help="a shipped sweep, or a YAML file")]
ProfileName = Annotated[str | None, typer.Option("--profile", help="smoke, mini or paper; default: the sweep's own")]
Storage = Annotated[
    str | None,
    typer.Option(help="results: a folder, or a URL such as s3://bucket/lip; default: $LIP_STORAGE or ./results"),
]
Data = Annotated[Path | None, typer.Option(help="folder with the standard image sets; default: $LIP_DATA")]
Only = Annotated[list[str] | None, typer.Option(help="a part of the sweep, as key=value; may be repeated")]


@app.command()
def plan(
    spec: Spec,
    profile: ProfileName = None,
    storage: Storage = None,
    data: Data = None,
    only: Only = None,
    slots: Annotated[int | None, typer.Option(min=1, help="trials at a time; default: this machine's cores")] = None,
    gpus: Annotated[
        float | None, typer.Option(min=0, help="share of a GPU that a trial has; default: by measured memory, else 1")
    ] = None,
    price: Annotated[float | None, typer.Option(min=0, help="of an hour of a CPU or GPU, for the cost")] = None,
) -> None:
    """Show what a sweep consists of, what of it is published or shared, and how long the rest will take."""
    from lip.specs.released import RELEASED_FLAGS
    from sweeps.estimate import estimate
    from sweeps.plan import label

    made, ledger = _planned(spec, profile, storage, data, only)
    table = Table("trajectory", "results", "fits", "published", "to do", title=_title(made), title_justify="left")
    claimed = set(made.published)
    listed = made.sweep.trajectories[:LISTED]
    for trajectory in listed:
        fits = [fit.id for fit in made.needs[trajectory.id]]
        own = [key for key in fits if key not in claimed]
        claimed.update(own)
        table.add_row(
            escape(label(trajectory)),
            *map(str, (len(trajectory.fits), len(fits), sum(key in made.published for key in fits), len(own))),
        )
    console.print(table)
    if more := len(made.sweep.trajectories) - len(listed):
        _say(f"and {more} more; --only key=value picks a part")
    _say_what_is_replaced(made, profile)
    for note in made.sweep.notes:
        _say(f"image {note}")
    for defect, said in RELEASED_FLAGS.items():
        if any(defect in trajectory.compat for trajectory in made.sweep.trajectories):
            _say(f"as released, {defect}: {said}")
    for layers in {trajectory.whole_layers: None for trajectory in made.sweep.trajectories}:
        if layers:
            _say(f"masks taken from another network leave whole: {', '.join(layers)}")
    _say(f"{len(made.sweep.trajectories)} trajectories, {made.counts}")
    console.print(f"{made.counts.progress}, [bold]{len(made.missing)} to do[/]", highlight=False)
    if made.missing:
        _say(str(estimate(made, ledger, slots or _slots(), gpus, price)))


@app.command()
def run(
    spec: Spec,
    profile: ProfileName = None,
    storage: Storage = None,
    data: Data = None,
    only: Only = None,
    slots: Annotated[
        int | None, typer.Option(min=1, help="trials at a time; default: as many as this machine's cores can run")
    ] = None,
    cpus: Annotated[float, typer.Option(min=0.1, help="CPUs per trial")] = 1,
    gpus: Annotated[
        float | None,
        typer.Option(
            min=0, help="GPUs per trial, may be a fraction; default, where there are any: by measured memory, else 1"
        ),
    ] = None,
    address: Annotated[str, typer.Option(help="local, auto, or the address of a Ray cluster")] = "local",
    backend: Annotated[str, typer.Option(help=HELP)] = "auto",
) -> None:
    """Run what is missing of a sweep and nothing else; the same command again resumes.

    Exit status 0: all published. 1: something failed. 130: interrupted.
    """
    check(backend)
    if gpus and gpus > 1 and gpus % 1:
        raise InputError(f"--gpus {gpus:g}: a trial has a part of one GPU, or whole ones")
    made, ledger = _planned(spec, profile, storage, data, only, verified=True)
    if made.missing and address == "local":
        choose(backend, "cuda" if backend == "captured" else "cpu")  # compiles once here rather than in every trial
    ledger.check_writable()
    _say_what_is_replaced(made, profile)
    _say(str(made.counts))
    if made.missing:
        from sweeps.estimate import share
        from sweeps.execute import PENDING_ON_A_CLUSTER, Resources, connected, dashboard, execute
        from sweeps.progress import Progress

        slots = slots or (_slots(cpus) if address == "local" else PENDING_ON_A_CLUSTER)
        by_memory = share(made, ledger) if gpus is None else 1
        with connected(Resources(address, slots, cpus, gpus, by_memory, backend), made, ledger) as resources:
            ledger.record_sweep(made.sweep.name, made.sweep.profile, made.points())
            _say(f"{made.counts.progress}, {len(made.missing)} to do; results in {ledger.storage}")
            if resources.gpus:
                _say(f"{resources.gpus:g} of a GPU per trial")
            if address == "local":
                used = choose(backend, "cuda" if resources.gpus else "cpu")
                _say(f"backend {used.name}: {used.why}")
            if url := dashboard():
                _say(f"Ray's dashboard: http://{url}")
            with Progress(made, ledger, console) as progress:
                execute(made, ledger, resources, progress)
        left = len(made.missing) - len(ledger.published(made.missing.values(), True, made.sweep.outputs))
        if left:
            remedy = "`python -m sweeps status` says why" if progress.failures else "the same command goes on"
            console.print(f"[red]{left} still to do[/]; {remedy}")
            raise typer.Exit(1 if progress.failures else 130)
        made.refresh(ledger)
    else:
        ledger.record_sweep(made.sweep.name, made.sweep.profile, made.points())
    _say(f"{_title(made)}: {made.counts.progress}, in {ledger.storage}")


@app.command()
def compact(storage: Storage = None) -> None:
    """Fold the files of the fits in a storage into few, which load faster. Safe at any time, also during runs."""
    from lip.ledger.ledger import Ledger, default_storage

    ledger = Ledger(storage or default_storage())
    ledger.check_writable()
    before, after = ledger.compact()
    _say(f"{before} files of fits are now {after} in {ledger.storage}")
    _warn_of_damage(ledger)


@app.command()
def fetch(
    source: Annotated[str, typer.Argument(help="where the results are: s3://bucket/lip, or another folder")],
    storage: Storage = None,
) -> None:
    """Copy results from elsewhere, verified; what is here already is not copied again."""
    from lip.ledger.ledger import Ledger, default_storage

    ledger = Ledger(storage or default_storage())
    ledger.check_writable()
    there = Ledger(source)
    try:
        if not there.storage.folders():
            raise InputError(f"there are no results in {there.storage}; correct the name")
        copied = ledger.fetch(there)
    except OSError as error:
        raise InputError(f"storage {there.storage} cannot be read ({' '.join(str(error).split())})") from error
    if not there.storage.folders():
        raise InputError(f"there are no results in {there.storage}; name the storage that they were written to")
    _say(f"{copied} files copied from {there.storage} to {ledger.storage}")


@app.command()
def status(
    spec: Spec,
    profile: ProfileName = None,
    storage: Storage = None,
    data: Data = None,
    only: Only = None,
    watch: Annotated[bool, typer.Option("--watch", help="look again and again until nothing is left to do")] = False,
    json: Annotated[bool, typer.Option("--json", help="for programs, on one line")] = False,
) -> None:
    """List the trajectories of a sweep: done, running, failed with cause, or waiting. Exit status 1 if any failed.

    Once, all files are verified; --watch goes by their names, and shows what runs or has failed.
    """
    from sweeps.status import as_json, counts, statuses

    made, ledger = _planned(spec, profile, storage, data, only, verified=not watch)
    while True:
        found = statuses(made, ledger)
        if json:
            faults = {} if watch else {"damaged": ledger.damaged(), "conflicts": ledger.conflicts()}
            print(dumps(as_json(made, ledger, found) | faults), flush=True)
        else:
            _show_standings(made, [one for one in found if not watch or one.state in ("running", "failed")])
            _say(str(made.counts))
            _say(made.counts.progress)
            _say(", ".join(f"{count} {state}" for state, count in counts(found).items()))
        if not watch or not made.missing:
            break
        time.sleep(SECONDS_BETWEEN_LOOKS)
        made.refresh(ledger)
        if console.is_terminal and not json:
            console.clear()
    if not json:
        _warn_of_damage(ledger)
    raise typer.Exit(1 if counts(found)["failed"] else 0)


def _show_standings(made, found) -> None:  # type: ignore[no-untyped-def]
    table = Table("trajectory", "results", "state", title=_title(made), title_justify="left")
    for one in found:
        colour = {"done": "green", "failed": "red"}.get(one.state, "default")
        said = f"[{colour}]{one.state}[/]" + (f": {escape(one.said)}" if one.said else "")
        table.add_row(escape(one.label), f"{one.published}/{one.results}", said)
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

    made, ledger = _planned(spec, profile, storage, data, only, verified=True)
    frame = rows(made, ledger)
    if frame.empty:
        raise InputError(
            f"nothing of {made.sweep.name} is published in {ledger.storage}; `python -m sweeps run {spec}` does"
        )
    if csv:
        try:
            frame.to_csv(csv, index=False)
        except OSError as error:
            raise InputError(f"--csv {csv} cannot be written ({error}); choose another file") from error
        _say(f"{len(frame)} rows in {csv}")
        _warn_of_conflicts(ledger, made.published)
        return
    shown = axes(frame)
    names = [name.replace("_", " ") for name in shown.columns]  # so that a narrow terminal breaks them between words
    table = Table(*names, title=_title(made), title_justify="left")
    for row in shown.itertuples(index=False):
        table.add_row(*map(_shown, row))
    console.print(table)
    _say(str(made.counts))
    _say(made.counts.progress)
    _warn_of_conflicts(ledger, made.published)


def _planned(spec, profile, storage, data, only, verified=False):  # type: ignore[no-untyped-def]  # the options above
    from lip.ledger.ledger import Ledger, default_storage
    from sweeps.plan import Plan
    from sweeps.spec import read

    gc.disable()  # a hundred thousand fits are a million objects, all of them here to stay
    sweep = read(spec, profile, data, dict(terminal.pair(text) for text in only or []))
    ledger = Ledger(storage or default_storage())
    try:
        made = Plan.make(sweep, ledger, verified)
    except OSError as error:
        raise InputError(f"storage {ledger.storage} cannot be read ({' '.join(str(error).split())})") from error
    gc.freeze()
    gc.enable()
    return made, ledger


def _say(text: str) -> None:
    console.print(text, highlight=False, markup=False)


def _say_what_is_replaced(made, profile) -> None:  # type: ignore[no-untyped-def]
    for line in made.sweep.replaced:
        _say(f"--profile {profile}: {line}")


def _warn_of_damage(ledger) -> None:  # type: ignore[no-untyped-def]
    for path in ledger.damaged():
        console.print(f"[yellow]damaged and ignored:[/] {escape(path)}", highlight=False)
    _warn_of_conflicts(ledger)


def _warn_of_conflicts(ledger, among=None) -> None:  # type: ignore[no-untyped-def]
    for fit, differing in ledger.conflicts(among).items():
        more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
        said = f"fit {fit} was published with differing {', '.join(differing[:3])}{more}; the first finished is used"
        console.print(f"[yellow]conflict:[/] {said}, all are kept", highlight=False)


def _shown(value: object) -> str:
    if value is None or value != value:  # not a number: not there
        return ""
    return f"{value:.4g}" if isinstance(value, float) else escape(str(value))


def _slots(cpus: float = 1) -> int:
    return max(1, int((os.cpu_count() or 1) / cpus))


def _title(made) -> str:  # type: ignore[no-untyped-def]
    return f"{made.sweep.name} ({made.sweep.profile})"


def main() -> None:
    terminal.main(app)
