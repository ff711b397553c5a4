"""python -m analysis: reports on the command line."""

from __future__ import annotations

from typing import Annotated

import typer

from lip import terminal
from lip.paths import local

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback()
def about() -> None:
    """Turn the ledger into tables, figures and verdicts."""


@app.command()
def report(
    spec: Annotated[str, typer.Argument(help="A sweep: its name or its file.")],
    profile: Annotated[str | None, typer.Option(help="The profile; needed if the sweep was run with several.")] = None,
    storage: Annotated[
        str | None, typer.Option(help="The results folder.", envvar="LIP_STORAGE", show_default="results")
    ] = None,
    out: Annotated[
        str | None, typer.Option(help="Where to write.", show_default="STORAGE/reports/SPEC.PROFILE")
    ] = None,
) -> None:
    """Write all exhibits of a sweep and verdicts on the paper's claims to one page: index.html."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    with console.status("loading the ledger") as status:
        from analysis.frames import load
        from analysis.report import MissingExhibit, default_folder, sections, tally, write_files

        frames = load(storage, spec, profile)
        folder = local(out, "--out") if out else default_folder(frames)
        terminal.say(console, frames.progress)
        parts = []
        status.update("making exhibits")
        for part in sections(frames, folder):
            parts.append(part)
            if isinstance(part.exhibit, MissingExhibit):
                line = f"missing: {part.exhibit.reason}; {part.exhibit.remedy}"
            else:
                line = tally([row.primary for row in part.rows])
            console.print(Text.assemble((f"{part.name:<17}", "bold"), f" {terminal.plain(line)}"), soft_wrap=True)
        status.update("writing the page")
        write_files(frames, parts, folder)
    console.print(terminal.markup(folder / "index.html"), soft_wrap=True)


@app.command()
def dataset(
    out: Annotated[str, typer.Option(help="The folder to write to.")],
    storage: Annotated[
        str | None, typer.Option(help="The results: a folder or a URL.", envvar="LIP_STORAGE", show_default="results")
    ] = None,
    name: Annotated[str, typer.Option(help="The name of the data set.")] = "Fits of lottery image priors",
    licence: Annotated[
        str | None, typer.Option("--license", help="The licence that you give the results, as CC-BY-4.0.")
    ] = None,
) -> None:
    """Write the results for others: two Parquet tables, a dataset card and its Croissant."""
    from rich.console import Console

    from analysis.dataset import export
    from lip.ledger.ledger import Ledger, default_storage

    ledger = Ledger.existing(storage or default_storage(), "name them with --storage or LIP_STORAGE")
    folder = local(out, "--out")
    files = export(ledger, folder, name, licence)
    terminal.say(Console(soft_wrap=True), f"{', '.join(file.name for file in files)} in {folder}")


@app.command()
def register() -> None:
    """Date today every claim that is new or changed, in register.csv, and write what plans say of claims."""
    from datetime import UTC, datetime

    from analysis.claims import register
    from analysis.exhibits import CLAIMS
    from analysis.plan import write_margins

    print(f"{register(list(CLAIMS.values()), datetime.now(UTC).date())} of {len(CLAIMS)} claims are new or changed")
    write_margins()


def main() -> None:
    terminal.main(app)
