"""The program `lip`: the commands of `lip`, `sweeps` and `analysis` in one. It stands above the three."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

import analysis.cli
import lip.cli
import lip.fit_commands
import sweeps.cli
from lip import terminal
from lip.errors import InputError, nearest
from lip.terminal import markup

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for part in (lip.cli.app, lip.fit_commands.app, analysis.cli.app):
    app.registered_commands += part.registered_commands
app.add_typer(sweeps.cli.app, name="sweep")


def _print_version(asked: bool) -> None:
    if asked:
        terminal.say(Console(), lip.__version__)
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Restore photographs, find lottery image priors, and run sweeps of them."""


def _sweeps() -> dict[str, str]:
    """Return the shipped sweeps with the first sentence of their files."""
    from sweeps.spec import SPECS

    return {path.stem: _first_sentence(path.read_text()) for path in sorted(SPECS.glob("*.yaml"))}


def _first_sentence(text: str) -> str:
    """Return the first sentence of a file that begins with a comment."""
    paragraph = text.partition("\n#\n")[0].replace("\n#", " ").lstrip("# ")
    return re.split(r"(?<=[.?])\s+(?=[A-Z])", " ".join(paragraph.split()))[0]


def _images() -> dict[str, str]:
    from lip.data.images import EMBEDDED, SETS, members

    return {name: "comes with scikit-image" for name in EMBEDDED} | {name: ", ".join(members(name)) for name in SETS}


def _pruners() -> dict[str, str]:
    from lip.pruners import PRUNERS

    return _first_lines(PRUNERS)


def _priors() -> dict[str, str]:
    from lip.priors import GENERATORS, PRIORS

    return _first_lines({**PRIORS, **GENERATORS})


def _tasks() -> dict[str, str]:
    from lip.tasks import TASKS

    return _first_lines(TASKS)


def _profiles() -> dict[str, str]:
    from sweeps.profiles import PROFILES

    return {
        name: ", ".join(f"{key} {value}" for key, value in profile.model_dump(exclude_none=True).items())
        for name, profile in PROFILES.items()
    }


def _keys() -> dict[str, str]:
    """Return the keys of a sweep file with their meaning, and with what has them unless every trajectory does."""
    from sweeps.keys import EVERY, groups

    meanings: dict[str, str] = {}
    owners: dict[str, list[str]] = {}
    for group in groups():
        for key in group.keys:
            meanings.setdefault(key.name, key.description)
            owners.setdefault(key.name, []).append(group.title)
    return {
        name: meaning if EVERY in owners[name] else f"{meaning} ({', '.join(owners[name])})"
        for name, meaning in meanings.items()
    }


def _tickets() -> dict[str, str]:
    """Return the tickets that come with the package."""
    from lip.tickets import describe, load_ticket, shipped

    return {name: describe(load_ticket(path)) for name, path in shipped().items()}


def _first_lines(classes: Mapping[str, type]) -> dict[str, str]:
    return {name: (found.__doc__ or "").partition("\n")[0] for name, found in classes.items()}


LISTS: dict[str, Callable[[], dict[str, str]]] = {
    "sweeps": _sweeps,
    "images": _images,
    "pruners": _pruners,
    "priors": _priors,
    "tasks": _tasks,
    "profiles": _profiles,
    "keys": _keys,
    "tickets": _tickets,
}
"""The lists, by the word that asks for them."""


@app.command("list")
def list_known(
    what: Annotated[str, typer.Argument(help=", ".join(LISTS), autocompletion=lambda: list(LISTS))],
) -> None:
    """List what there is to choose from."""
    if what not in LISTS:
        raise InputError(f"there is no list of {what!r}; {nearest(what, list(LISTS))}")
    if not (found := LISTS[what]()):
        raise InputError(f"no {what} come with this version; `lip tickets` lists those of a ledger")
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    for name, about in found.items():
        table.add_row(markup(name), markup(about))
    Console().print(table, highlight=False)


def main() -> None:
    terminal.main(app)
