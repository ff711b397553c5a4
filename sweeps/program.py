"""The program `lip`: the commands of `lip`, `sweeps` and `analysis` in one. It stands above the three."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

import analysis.cli
import lip.cli
import sweeps.cli
from lip import terminal
from lip.errors import InputError, nearest
from lip.paths import local
from lip.terminal import markup

if TYPE_CHECKING:
    from lip.ledger.ledger import Ledger

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for part in (lip.cli.app, analysis.cli.app):
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
    """Return the keys of a sweep file with the tasks, priors and schedules that have them."""
    from lip.priors import GENERATORS, PRIORS
    from lip.pruners import PRUNERS
    from lip.specs.request import INTERNAL_FIELDS, Request
    from lip.tasks import TASKS

    owners: dict[str, Any] = {"every sweep": Request.model_fields}
    for word, known in (("task", TASKS), ("prior", {**PRIORS, **GENERATORS})):
        owners |= {f"{word} {name}": owner.model_fields for name, owner in known.items()}
    owners |= {f"pruner {name}": pruner.options for name, pruner in PRUNERS.items()}
    owners |= {f"training by {task.training.__name__}": task.training.model_fields for task in TASKS.values()}
    found: dict[str, list[str]] = {}
    for owner, keys in owners.items():
        for key in keys:
            if key not in INTERNAL_FIELDS:
                found.setdefault(key, []).append(owner)
    return {key: ", ".join(names) for key, names in found.items()}


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
}
"""The lists, by the word that asks for them."""


@app.command("list")
def list_known(
    what: Annotated[str, typer.Argument(help=", ".join(LISTS), autocompletion=lambda: list(LISTS))],
) -> None:
    """List what there is to choose from."""
    if what not in LISTS:
        raise InputError(f"there is no list of {what!r}; {nearest(what, list(LISTS))}")
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    for name, about in LISTS[what]().items():
        table.add_row(markup(name), markup(about))
    Console().print(table, highlight=False)


@app.command("show")
def show_fit(
    fit: Annotated[str, typer.Argument(help="the id of a fit, or how it begins")],
    storage: Annotated[
        str | None, typer.Option(help="folder or URL of the results; default: $LIP_STORAGE or ./results")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="folder to write its restored images to, if they are kept")] = None,
) -> None:
    """Print the row and the layers of a fit, and write its restored images."""
    from PIL import Image

    from lip.ledger.ledger import Ledger, default_storage

    ledger = Ledger(storage or default_storage())
    row = _row_of(fit, ledger)
    values, layers = Table("column", "value"), Table("layer", "kept", "of", title="layers", title_justify="left")
    for name, value in row.items():
        if value is not None and not isinstance(value, list):
            values.add_row(name, markup(value))
    for name, kept, size in zip(row["layer_name"], row["layer_kept"], row["layer_size"], strict=True):
        layers.add_row(markup(name), str(kept), str(size))
    Console().print(values, layers, highlight=False)
    if out is None:
        return
    if not (images := ledger.images(row["fit"])):
        raise InputError(f"no restored images of fit {row['fit']} are kept; outputs: true in its sweep file keeps them")
    folder = local(out, "--out")
    folder.mkdir(parents=True, exist_ok=True)
    for name, pixels in images.items():
        Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).save(folder / f"{name}.png")
    terminal.say(Console(), f"{len(images)} images in {folder}")


def _row_of(beginning: str, ledger: Ledger) -> dict[str, Any]:
    """Return the row of the only fit whose id begins so. Raises InputError."""
    ids = [key for key in ledger.fits(["fit"])["fit"].to_pylist() if key.startswith(beginning)]
    if len(ids) != 1:
        found = "no fit has" if not ids else f"{len(ids)} fits have"
        raise InputError(f"{found} an id that begins with {beginning!r} in {ledger.url}; give another, or more of it")
    (row,) = ledger.fits(ids=ids).to_pylist()
    return dict(row)


def main() -> None:
    terminal.main(app)
