"""The command line, `python -m sweeps COMMAND`."""

from __future__ import annotations

import time
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from lip import terminal
from lip.errors import InputError
from lip.fast.backend import HELP
from lip.paths import local
from lip.terminal import markup
from lip.values import choices
from sweeps.budget import Budget
from sweeps.drain import Drain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lip.ledger.ledger import Ledger
    from sweeps.compare import Comparison
    from sweeps.estimate import Basis, Estimate
    from sweeps.execute import Ending
    from sweeps.plan import Plan
    from sweeps.search.study import Study
    from sweeps.status import TrajectoryStatus
    from sweeps.tools import Tools

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

Spec = Annotated[str, typer.Argument(help="a shipped sweep, or a YAML file")]
ProfileName = Annotated[
    str | None, typer.Option("--profile", help="smoke, mini or paper; default: the sweep's profile")
]
Storage = Annotated[
    str | None,
    typer.Option(help="folder of the results, or a URL such as s3://bucket/lip; default: $LIP_STORAGE or ./results"),
]
Data = Annotated[Path | None, typer.Option(help="folder with the standard image sets; default: $LIP_DATA")]
Price = Annotated[float | None, typer.Option(min=0, help="price per CPU-hour or GPU-hour, for the cost")]
Hours = Annotated[float | None, typer.Option(help="begin no fit that cannot end within so many hours")]
MaxCost = Annotated[float | None, typer.Option(help="begin no fit that cannot end within this cost, at --price")]
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
    price: Price = None,
    hours: Hours = None,
    max_cost: MaxCost = None,
) -> None:
    """List the trajectories of a sweep, and estimate the missing fits. Trains nothing."""
    from lip.specs.released import RELEASED_FLAGS
    from sweeps.estimate import estimate
    from sweeps.launch import memory_per_trial, slots_for
    from sweeps.search.words import contents

    budget = Budget.of(hours, max_cost, price)
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
    _print_searches(plan, contents)
    _print(f"{len(plan.sweep.trajectories)} trajectories{' so far' * bool(plan.studies)}, {plan.counts}")
    console.print(f"{plan.counts.progress}, [bold]{len(plan.missing)} to do[/]", highlight=False)
    if plan.missing:
        slots = slots or slots_for(1, memory_per_trial(plan, gpus))
        cost = estimate(plan, ledger, slots, gpus)
        at_most = "with all that searches may want, at most " * bool(plan.studies)
        _print(f"{at_most}{_estimate_in_words(cost, slots, price)}")
        if budget:
            _print(f"a budget of {budget} covers about {_share_covered(cost, budget):.0%} of that")
        _print_seeds_needed(plan)


def _print_seeds_needed(plan: Plan) -> None:
    from analysis.plan import seeds_note

    experiments = {entry.experiment for entry in plan.sweep.entries}
    if note := seeds_note(experiments, len({entry.trajectory.seed for entry in plan.sweep.entries})):
        _print(note)


def _show_plan(plan: Plan) -> None:
    table = Table("trajectory", "results", "fits", "published", "to do", title=plan.sweep.title, title_justify="left")
    claimed = set(plan.published)
    listed = plan.sweep.trajectories[:MAX_LISTED]
    for trajectory in listed:
        fits = [fit.id for fit in plan.required_fits[trajectory.id]]
        own = [key for key in fits if key not in claimed]
        claimed.update(own)
        table.add_row(
            markup(plan.label(trajectory)),
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


def _share_covered(cost: Estimate, budget: Budget) -> float:
    """Return the share of the missing work that a budget covers."""
    money = (cost.cpu_hours + cost.gpu_hours) * budget.price
    return min(1.0, 3600 * budget.hours / cost.seconds, budget.cost / money if money else 1.0)


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
    hours: Hours = None,
    max_cost: MaxCost = None,
    price: Price = None,
    note: Annotated[str | None, typer.Option(help="text about this run, which status and show print")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="a word about this run; may be repeated")] = None,
    when_done: Annotated[
        str | None,
        typer.Option(metavar="COMMAND", help="run this in a shell at the end, with LIP_STATUS, LIP_SWEEP and counts"),
    ] = None,
    log: Annotated[
        list[str] | None, typer.Option(help="also log every round: tensorboard, wandb or mlflow; may be repeated")
    ] = None,
) -> None:
    """Train and publish the missing fits of a sweep. The same command resumes.

    Exit status 0: all published. 1: something failed. 3: the budget is spent, or SIGUSR1 came, and there is work left.
    130: interrupted.
    """
    from sweeps.launch import Setup, record, run_plan
    from sweeps.search.words import contents, progress

    drain = Drain()
    drain.on_signal()
    budget = Budget.of(hours, max_cost, price)
    setup = Setup(address, slots, cpus, gpus, backend, note or "", tuple(tag or []), budget, drain)
    setup.check()
    tools = _tools(log or [])
    plan, ledger = _planned(spec, profile, storage, data, only, verified=True)
    setup = setup.decided(plan, ledger)
    _show_replaced(plan, profile)
    _print_searches(plan, contents)
    _print(str(plan.counts))
    if plan.missing or tools:
        ending = run_plan(plan, ledger, setup, console, tools)
        if plan.missing:
            _print_rest(ending)
            status = 3 if ending.drained else 1 if ending.failed else 130
            _when_done(when_done, plan, ledger, status)
            raise typer.Exit(status)
    else:
        record(plan, ledger, setup)
    _print_searches(plan, progress)
    _print(f"{plan.sweep.title}: {plan.counts.progress}, in {ledger.storage}")
    _when_done(when_done, plan, ledger, 0)


def _when_done(command: str | None, plan: Plan, ledger: Ledger, status: int) -> None:
    """Run the user's command, and say so if it fails."""
    from sweeps.when_done import run_command

    if command is not None and (failed := run_command(command, plan, ledger, status)):
        _print(f"--when-done: the command has ended with status {failed}")


def _tools(log: list[str]) -> Tools | None:
    """Return the loggers that are asked for; None without any. Raises InputError."""
    if not log:
        return None
    from sweeps.tools import Tools

    return Tools(log=tuple(log))


def _print_rest(ending: Ending) -> None:
    """Say how many fits are left, and what to do about them."""
    remedies = ["`python -m sweeps status` lists the causes"] if ending.failed else []
    if ending.drained or not ending.failed:
        remedies.append("the same command resumes")
    reason = f" ({markup(ending.drained)})" if ending.drained else ""
    console.print(f"[red]{ending.missing} still to do[/]{reason}; {', '.join(remedies)}", highlight=False)


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
    other = Ledger.existing(source, "correct the name")
    with other.storage.reading():
        copied = ledger.fetch(other)
    _print(f"{copied} files copied from {other.storage} to {ledger.storage}")


@app.command()
def compare(
    a: Annotated[str, typer.Argument(help="a storage: a folder, or a URL such as s3://bucket/lip")],
    b: Annotated[str, typer.Argument(help="the storage to compare it with")],
    json: Annotated[bool, typer.Option("--json", help="print JSON, on one line, with every fit")] = False,
) -> None:
    """Tell the fits of two storages apart: results bit by bit, and where and how they were computed.

    Exit status 1 if a fit that is in both has different results.
    """
    from lip.ledger.ledger import Ledger
    from sweeps.compare import compare

    ledgers = [Ledger.existing(place, "correct the name") for place in (a, b)]
    found = compare(*ledgers)
    if json:
        print(dumps(found.as_json()))
    else:
        _show_comparison(found, *(str(ledger.storage) for ledger in ledgers))
    raise typer.Exit(1 if found.different else 0)


def _show_comparison(found: Comparison, a: str, b: str) -> None:
    _print(f"{len(found.only_a)} fits only in {a}, {len(found.only_b)} only in {b}")
    _print(f"{len(found.equal)} equal bit by bit, {len(found.different)} with different results")
    if found.different:
        columns = Table("column", "fits that differ", "greatest difference")
        for name, (count, greatest) in found.greatest().items():
            columns.add_row(name, str(count), _cell(greatest))
        fits = Table("fit", "image", "mask", "round", "seed", "differs in")
        for one in found.different[:MAX_LISTED]:
            differs = ", ".join(list(one.columns)[:3]) + ", ..." * (len(one.columns) > 3)
            fits.add_row(*map(_cell, one.about.values()), differs)
        console.print(columns, fits)
        if len(found.different) > MAX_LISTED:
            _print(f"and {len(found.different) - MAX_LISTED} more; --json lists all")
    if found.provenance:
        table = Table("provenance", "fits", "first storage", "second storage")
        for name, pairs in found.provenance.items():
            for (left, right), count in pairs.most_common(3):
                table.add_row(name, str(count), _cell(left), _cell(right))
        for name, (left, right) in found.packages.items():
            table.add_row(f"package {markup(name)}", "", _cell(left), _cell(right))
        console.print(table)


@app.command()
def status(
    spec: Spec,
    profile: ProfileName = None,
    storage: Storage = None,
    data: Data = None,
    only: Only = None,
    watch: Annotated[bool, typer.Option("--watch", help="repeat until nothing is left but failures")] = False,
    json: Annotated[bool, typer.Option("--json", help="print JSON, on one line")] = False,
    html: Annotated[
        Path | None, typer.Option(help="also write a page to this file, which reloads itself every minute")
    ] = None,
) -> None:
    """List which trajectories are done, running, failed or waiting. Exit status 1 if any failed.

    All files are verified. With --watch only their names are read, and only running and failed trajectories are listed.
    """
    from sweeps.page import write_page
    from sweeps.search.words import progress
    from sweeps.status import as_json, counts, only_failures_left, statuses

    plan, ledger = _planned(spec, profile, storage, data, only)
    damaged = [] if watch else ledger.damaged()
    plan.set_aside(damaged, ledger)
    while True:
        found = statuses(plan, ledger)
        if html:
            write_page(local(html, "--html"), plan, ledger, found)
        if json:
            faults = {} if watch else {"damaged": damaged, "conflicts": ledger.conflicts()}
            print(dumps(as_json(plan, ledger, found) | faults), flush=True)
        else:
            _show_statuses(plan, [one for one in found if not watch or one.state in ("running", "failed")])
            _print_searches(plan, progress)
            _print_counts(plan)
            _print(", ".join(f"{count} {state}" for state, count in counts(found).items()))
        if not watch or not plan.missing or only_failures_left(found, ledger):
            break
        time.sleep(WATCH_INTERVAL)
        plan.refresh(ledger)
        if console.is_terminal and not json:
            console.clear()
    if not json:
        _print_notes(plan, ledger)
        _warn_of_damage(ledger.damaged() if watch else damaged)
        _warn_of_conflicts(ledger)
    raise typer.Exit(1 if counts(found)["failed"] else 0)


def _show_statuses(plan: Plan, found: list[TrajectoryStatus]) -> None:
    table = Table("trajectory", "results", "state", title=plan.sweep.title, title_justify="left")
    for one in found:
        colour = {"done": "green", "failed": "red"}.get(one.state, "default")
        state = f"[{colour}]{one.state}[/]" + (f": {markup(one.detail)}" if one.detail else "")
        table.add_row(markup(one.label), f"{one.published}/{one.results}", state)
    console.print(table)


@app.command()
def logs(
    spec: Spec,
    profile: ProfileName = None,
    storage: Storage = None,
    data: Data = None,
    only: Only = None,
) -> None:
    """Print why trajectories failed: where, and the whole traceback of the last attempt."""
    plan, ledger = _planned(spec, profile, storage, data, only)
    remaining, failures = plan.remaining_fits(), ledger.failures()
    failed = [trajectory for trajectory in plan.sweep.trajectories if {trajectory.id} <= remaining.keys() & failures]
    for trajectory in failed:
        about = f"{markup(plan.label(trajectory))}: {markup(failures[trajectory.id])}"
        console.print(f"[red]failed[/] {about}", highlight=False)
        for line in ledger.failure_log(trajectory.id).splitlines():
            _print(f"    {line}")
    if not failed:
        _print(f"no trajectory of {plan.sweep.title} has failed in {ledger.storage}")


@app.command()
def show(
    spec: Spec,
    profile: ProfileName = None,
    storage: Storage = None,
    data: Data = None,
    only: Only = None,
    csv: Annotated[Path | None, typer.Option(help="write all columns to this file instead")] = None,
) -> None:
    """Print the published results of a sweep, only the columns that vary; of a search, its settings."""
    from sweeps.results import axes, rows
    from sweeps.search.words import progress

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
    elif plan.studies:
        for study in plan.studies:
            _show_settings(study)
        _print_searches(plan, progress)
        _print_counts(plan)
    else:
        varying = axes(frame)
        table = Table(title=plan.sweep.title, title_justify="left", box=None, padding=(0, 1, 0, 0))
        table.add_column("fit", no_wrap=True)
        for name in map(str, varying):  # a narrow terminal breaks their names between words, and never a text
            table.add_column(name.replace("_", " "), no_wrap=not name.startswith(("psnr", "ssim")), min_width=6)
        for fit, row in zip(frame["fit"], varying.itertuples(index=False), strict=True):
            table.add_row(fit[:SHOWN_OF_IDS], *map(_cell, row))
        console.print(table)
        _print_counts(plan)
        _print_notes(plan, ledger)
    _warn_of_conflicts(ledger, plan.published)


def _show_settings(study: Study) -> None:
    """Print the settings of a search, and what the blocks held out say of the best."""
    from sweeps.search.words import held_out_lines, lines

    search = study.search
    keys = list(search.definition["space"])
    for title, found in (("settings", lines(study)), ("blocks held out", held_out_lines(study))):
        if not found:
            continue
        heads = ("setting", *keys, "blocks", str(search.objective).replace("_", " "), "better than baseline")
        table = Table(*map(markup, heads), title=f"{search.experiment}: {title}", title_justify="left")
        for line in found[:MAX_LISTED]:
            name = "baseline" if line.number == 0 else f"{line.number} {'' if line.is_complete else line.state}"
            values = (line.setting.get(key) for key in keys)
            table.add_row(name, *map(_cell, (*values, line.blocks, line.mean)), line.gain)
        console.print(table)
        if len(found) > MAX_LISTED:
            _print(f"and {len(found) - MAX_LISTED} more")


@app.command()
def best(
    spec: Spec,
    profile: ProfileName = None,
    storage: Storage = None,
    data: Data = None,
    out: Annotated[Path | None, typer.Option(help="write the best setting as a sweep file to this .yaml")] = None,
) -> None:
    """Print the best setting of a search, and how to restore a photograph with it."""
    from lip.ledger.filesystem import write_whole, writing
    from sweeps.search.export import as_restore, as_sweep, best_of
    from sweeps.search.words import in_words, progress, score_in_words
    from sweeps.spec import parse

    plan, _ = _planned(spec, profile, storage, data, None, verified=True)
    if not plan.studies:
        raise InputError(f"{spec} searches nothing; add a block search to it, or name another sweep")
    if out and len(plan.studies) > 1:
        names = " or ".join(study.search.experiment for study in plan.studies)
        raise InputError(f"--out: {spec} has several searches; name one of them, {names}")
    for study in plan.studies:
        found = best_of(study)
        _print(progress(study))
        _print(f"setting {found.number}: {in_words(found.setting)}; {score_in_words(study, found)}")
        _print(as_restore(study) or "lip restore takes dense hourglasses on images alone, and cannot use it")
        if out:
            file = local(out, "--out")
            if file.suffix != ".yaml":
                raise InputError(f"--out {file}: a sweep file ends in .yaml; name it so")
            content = as_sweep(study, parse(study.search.file), file.stem, plan.sweep.profile)
            with writing(f"--out {file}", "another file"):
                write_whole(file, content.encode())
            _print(f"written to {file}; python -m sweeps run {file} runs it on the blocks of the search")


def _planned(
    spec: str,
    profile: str | None,
    storage: str | None,
    data: Path | None,
    only: list[str] | None,
    verified: bool = False,
) -> tuple[Plan, Ledger]:
    """Read a sweep and look up what is published of it, and show that this is going on."""
    with console.status(f"planning {markup(spec)}"):
        from sweeps.launch import planned

        return planned(spec, profile, storage, data, choices(only or []), verified)


def _print_searches(plan: Plan, describe: Callable[[Study], str]) -> None:
    for study in plan.studies:
        _print(describe(study))


def _print(text: str) -> None:
    terminal.say(console, text)


def _print_counts(plan: Plan) -> None:
    _print(str(plan.counts))
    _print(plan.counts.progress)


def _show_replaced(plan: Plan, profile: str | None) -> None:
    for line in plan.sweep.replaced:
        _print(f"--profile {profile}: {line}")


def _print_notes(plan: Plan, ledger: Ledger) -> None:
    for note in ledger.notes(plan.sweep.name, plan.sweep.profile):
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(note["when"]))
        tags = f" [{', '.join(note['tags'])}]" if note["tags"] else ""
        _print(f"{when} {note['host']}{tags}: {' '.join(note['note'].split())}")


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


def main() -> None:
    terminal.main(app)
