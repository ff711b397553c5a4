"""The commands about published fits: `lip tickets`, `show`, `export`, `redo` and `forget`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from lip.errors import InputError, nearest
from lip.paths import local
from lip.terminal import markup, say

if TYPE_CHECKING:
    from lip.ledger.ledger import Ledger

SHOWN_STEPS = 12
"""Sampled steps of a curve that are printed."""
LISTED = 5
"""Fits that a sentence names."""

FitId = Annotated[str, typer.Argument(metavar="FIT", help="the id of a fit, or how it begins")]
StorageOption = Annotated[
    str | None,
    typer.Option("--storage", help="folder or URL of the results; default: $LIP_STORAGE or ./results"),
]
Data = Annotated[Path | None, typer.Option(help="folder with the standard image sets; default: $LIP_DATA")]

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def _ledger(storage: str | None) -> Ledger:
    from lip.ledger.ledger import Ledger, default_storage

    return Ledger(storage or default_storage())


def _row(fit: str, ledger: Ledger) -> dict[str, Any]:
    from lip.ledger.recall import find

    (row,) = ledger.fits(ids=[find(fit, ledger)]).to_pylist()
    return dict(row)


@app.command("tickets")
def list_tickets(storage: StorageOption = None) -> None:
    """List the tickets of a ledger: fits with a mask, the sparsest last, and PSNR of their last averaged output."""
    ledger = _ledger(storage)
    columns = ["fit", "image", "task", "prior", "mask_kind", "seed", "sparsity", "psnr_last_ema"]
    rows = [row for row in ledger.fits(columns).to_pylist() if row["mask_kind"] != "dense"]
    if not rows:
        raise InputError(f"there is no ticket in {ledger.storage}; `lip fit IMAGE --rounds 3` or a sweep finds some")
    table = Table("fit", "image", "task", "pruner", "seed", "pruned", "dB", box=None, padding=(0, 2, 0, 0))
    table.columns[0].no_wrap = True
    for row in sorted(rows, key=lambda row: [str(row[name]) for name in columns[1:5]] + [row["seed"], row["sparsity"]]):
        psnr = "" if row["psnr_last_ema"] is None else f"{row['psnr_last_ema']:.2f}"
        prior = f", {row['prior']}" * (row["prior"] != "hourglass")
        texts = [markup(text) for text in (row["fit"], row["image"], f"{row['task']}{prior}", row["mask_kind"])]
        table.add_row(*texts, str(row["seed"]), f"{row['sparsity']:.2%}", psnr)
    Console().print(table, highlight=False)


@app.command("show")
def show_fit(
    fit: FitId,
    storage: StorageOption = None,
    out: Annotated[Path | None, typer.Option(help="folder to write its restored images to, if they are kept")] = None,
) -> None:
    """Print the row, the curve and the layers of a fit, and write its restored images."""
    ledger = _ledger(storage)
    row = _row(fit, ledger)
    values = Table("column", "value")
    for name, value in row.items():
        if value is not None and not isinstance(value, list):
            values.add_row(name, markup(value))
    layers = Table("layer", "kept", "of", title="layers", title_justify="left")
    for name, kept, size in zip(row["layer_name"], row["layer_kept"], row["layer_size"], strict=True):
        layers.add_row(markup(name), str(kept), str(size))
    Console().print(values, _curve(row), layers, highlight=False)
    if out is not None:
        _write_images(row["fit"], ledger, local(out, "--out"))


def _curve(row: Mapping[str, Any]) -> Table:
    """Return some sampled steps of a curve, from the first to the last."""
    names = [name for name, values in row.items() if name.startswith("curve_") and values]
    table = Table(*(name.removeprefix("curve_") for name in names), title="curve", title_justify="left")
    count = len(row["curve_step"])
    shown = min(count, SHOWN_STEPS)
    for i in (round(k * (count - 1) / max(1, shown - 1)) for k in range(shown)):
        values = (row[name][i] for name in names)
        table.add_row(*("" if value is None else f"{value:.4g}" for value in values))
    return table


def _write_images(fit: str, ledger: Ledger, folder: Path) -> None:
    from PIL import Image

    from lip.restoration import write_picture

    if not (images := ledger.images(fit)):
        raise InputError(f"no restored images of fit {fit} are kept; outputs: true in its sweep file keeps them")
    for name, pixels in images.items():
        picture = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
        write_picture(picture, folder / f"{name}.png")
    say(Console(), f"{len(images)} images in {folder}")


@app.command("export")
def export_ticket(
    fit: FitId,
    storage: StorageOption = None,
    data: Data = None,
    to: Annotated[
        str,
        typer.Option(
            help="ticket: for lip; torch: boolean masks by parameter name; prune: a state dict of "
            "torch.nn.utils.prune; hub: a folder for a model hub"
        ),
    ] = "ticket",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="file, or folder for hub; default: FIT.TO here")
    ] = None,
) -> None:
    """Write the ticket of a fit: its mask, its card, and its trained weights where they are kept."""
    from lip.data.recover import inputs_of
    from lip.export import FORMATS, default_name, export
    from lip.ledger.recall import recall
    from lip.tickets import ticket_of

    if to not in FORMATS:
        raise InputError(f"--to: there is no format {to!r}; {nearest(to, list(FORMATS))}")
    ledger = _ledger(storage)
    spec = recall(_row(fit, ledger)["fit"], ledger)
    try:
        ticket = ticket_of(spec, ledger, inputs_of(spec, data))
    except LookupError as error:
        raise InputError(f"{error}; run its sweep again, or export another fit") from error
    path = local(out, "--out") if out else Path(default_name(ticket, to))
    for file in export(ticket, ledger.trained_weights(spec) or {}, to, path):
        say(Console(soft_wrap=True), f"{file}: {file.stat().st_size:,} bytes")


@app.command("redo")
def redo_fit(
    fit: FitId,
    storage: StorageOption = None,
    data: Data = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...; default: of the kind that it was made on")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; default: those it was made with")] = None,
    backend: Annotated[str | None, typer.Option(help="default: the one that it was made with")] = None,
) -> None:
    """Train a fit again and compare it bit for bit with the ledger. Publishes nothing.

    Exit status 0: it is the same. 1: it differs.
    """
    import torch

    from lip.data.recover import inputs_of
    from lip.ledger.recall import recall
    from lip.terminal import bars, watch_fits
    from lip.training.machine import check_device
    from lip.training.redo import redo

    ledger, console = _ledger(storage), Console(soft_wrap=True)
    row = _row(fit, ledger)
    spec = recall(row["fit"], ledger)
    inputs = inputs_of(spec, data)
    device = device or ("cpu" if row["device"] == "cpu" else "cuda")
    check_device(device)
    torch.set_num_threads(threads or row["threads"])
    with bars() as shown:
        differing, elsewhere = redo(
            spec, inputs, ledger, device, watch_fits(shown, lambda one: str(one.recipe)), backend or row["backend"]
        )
    made = f" It was made with another {', '.join(elsewhere)}." if elsewhere else ""
    if not differing:
        say(console, f"fit {spec.id} is the same again, bit for bit.{made}")
        return
    more = f" and {len(differing) - LISTED} more" if len(differing) > LISTED else ""
    say(console, f"fit {spec.id} differs in {', '.join(differing[:LISTED])}{more}.{made}")
    raise typer.Exit(1)


@app.command("forget")
def forget_fit(
    fit: FitId,
    storage: StorageOption = None,
    dependents: Annotated[
        bool, typer.Option("--dependents", help="forget the fits that build on it too; without, they keep it")
    ] = False,
) -> None:
    """Delete a fit: its row, its images, its weights and its next mask.

    A fit that others take their masks or weights from is kept, and they are listed, unless they are forgotten too. A
    sweep that asks for it trains it again when it is run.
    """
    from lip.ledger.recall import find

    ledger = _ledger(storage)
    key = find(fit, ledger)
    users = sorted(ledger.dependents([key]))
    if users and not dependents:
        raise InputError(
            f"{_fits(len(users))} on {key} ({_some(users)}); forget them too with --dependents, or leave it"
        )
    ledger.check_writable()
    ledger.remove([*users, key])
    console = Console(soft_wrap=True)
    say(console, f"forgotten in {ledger.storage}: {_some([key, *users])}")
    sweeps = ledger.sweeps()
    asking = {
        f"{name}.{profile}"
        for name, profile, one in zip(*(sweeps[c].to_pylist() for c in ("sweep", "profile", "fit")), strict=True)
        if one in (key, *users)
    }
    if asking:
        say(console, f"asked for by {', '.join(sorted(asking))}, which trains it again when it is run")


def _fits(count: int) -> str:
    return "1 published fit builds" if count == 1 else f"{count} published fits build"


def _some(keys: list[str]) -> str:
    more = f" and {len(keys) - LISTED} more" if len(keys) > LISTED else ""
    return f"{', '.join(keys[:LISTED])}{more}"
