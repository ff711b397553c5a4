"""`python -m lip fit IMAGE`: one trajectory without Ray. `python -m lip bench`: what a step costs here."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, TextColumn

from lip import terminal
from lip.errors import InputError
from lip.fast.backend import HELP as BACKEND
from lip.fast.backend import choose

if TYPE_CHECKING:
    import numpy as np

    from lip.fit import Fit
    from lip.store import Ledger
    from lip.trajectory import Trajectory

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
console = Console(soft_wrap=True)


@app.callback()
def lip() -> None:
    """Lottery image priors, one trajectory at a time."""


@app.command()
def fit(
    image: Annotated[str, typer.Argument(help="an image file, an embedded photograph, or a set's member (set5/baby)")],
    out: Annotated[
        Path | None, typer.Option(help="folder for the images and the ledger; default: IMAGE's name")
    ] = None,
    sigma: Annotated[float | None, typer.Option(help="noise in 8-bit grey levels, 25 if not given")] = None,
    pruner: Annotated[
        str, typer.Option(help="imp, random, layerwise, shuffled, magnitude, snip, synflow, grasp or oes")
    ] = "imp",
    rounds: Annotated[int, typer.Option(help="rounds of pruning; 0 fits the dense prior only")] = 0,
    rewind: Annotated[float, typer.Option(help="percentage of the dense run's steps to rewind to")] = 0.0,
    seed: int = 0,
    size: Annotated[int | None, typer.Option(help="cut and scale the image to so many pixels square")] = None,
    steps: Annotated[
        int | None, typer.Option(help="training steps; default: those of the task, 3000 to denoise")
    ] = None,
    width: Annotated[int | None, typer.Option(help="channels of the network; default: the prior's own")] = None,
    scales: Annotated[int | None, typer.Option(help="scales of the network; default: the prior's own")] = None,
    data: Annotated[Path | None, typer.Option(help="folder with the standard image sets")] = None,
    more: Annotated[
        list[str] | None,
        typer.Option("--set", help="any other key of a sweep file, as task=inpaint or mask=text; may be repeated"),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")] = "cpu",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; default: all cores")] = None,
    backend: Annotated[str, typer.Option(help=BACKEND)] = "auto",
) -> None:
    """Degrade IMAGE, restore it with the dense prior and with each round's ticket, and save what comes out.

    Writes the clean and the degraded image and, per round, the averaged output of the last step: none of it chosen
    by looking at the clean image. The same command again computes only what is missing.
    """
    from lip.point import Album, trajectory_of
    from lip.store import Ledger

    values: dict[str, Any] = {
        "image": image,
        "pruner": pruner,
        "rounds": rounds,
        "rewind": rewind,
        "seed": seed,
    }
    given = {"size": size, "sigma": sigma, "steps": steps, "width": width, "scales": scales}
    values |= {key: value for key, value in given.items() if value is not None}
    values |= dict(terminal.pair(text) for text in more or [])
    album = Album(data)
    chosen = trajectory_of(values, album, "fit")
    ledger = Ledger(out or Path(Path(image).stem))
    _check_device(device)
    used = choose(backend, device)
    ledger.check_writable()
    for note in album.notes:
        console.print(f"image {note}", highlight=False, markup=False)
    console.print(f"backend {used.name}: {used.why}", highlight=False, markup=False)
    _run(chosen, album.pixels, ledger, device, threads or os.cpu_count() or 1, used.name)


@app.command()
def bench(
    size: Annotated[int, typer.Option(help="pixels square")] = 64,
    width: Annotated[int, typer.Option(help="channels of the hourglass")] = 64,
    steps: Annotated[int, typer.Option(min=1, help="steps that are timed at once")] = 20,
    turns: Annotated[int, typer.Option(min=1, help="how often each loop is timed, in turns")] = 5,
    masks: Annotated[int, typer.Option(min=1, help="steps of each fit of the IMP run that the masks come from")] = 100,
    storage: Annotated[
        Path | None,
        typer.Option(help="ledger to take that run from and keep it in; default: $LIP_STORAGE or ./results"),
    ] = None,
    backend: Annotated[str, typer.Option(help=BACKEND)] = "auto",
) -> None:
    """Time a training step on one CPU thread: the released code's work, a plain loop and ours, by sparsity.

    The masks are real ones, of IMP on the astronaut at 64 pixels. Times are medians over turns.
    """
    from statistics import median

    from rich.progress import track
    from rich.table import Table

    from lip.bench import LOOPS, ROUNDS, gain, peak, timings, trajectory
    from lip.store import Ledger

    used, ledger = choose(backend, "cpu"), Ledger(storage or terminal.default_storage())
    ledger.check_writable()
    console.print(f"backend {used.name}: {used.why}", highlight=False, markup=False)
    table = Table("sparsity", *LOOPS, "× reference", "× plain", "of peak")
    table.title = (
        f"ms a step at {size} px, width {width}, n = {turns} turns of {steps} steps; IMP of {masks} steps a fit"
    )
    work = timings(size, width, steps, turns, masks, ledger, used.name)
    best = peak()
    timed = list(track(work, "timing", total=len(ROUNDS), console=Console(stderr=True)))
    best = max(best, peak())  # a machine's speed wanders
    for timing in timed:
        seconds = timing.seconds
        table.add_row(
            f"{timing.sparsity:.1%}",
            *(f"{1000 * median(seconds[loop]):.1f}" for loop in LOOPS),
            *(f"{gain(seconds[loop], seconds['ours']):.2f}" for loop in ("reference", "plain")),
            f"{timing.products / median(seconds['ours']) / best:.0%}",
        )
    whole = {loop: trajectory(timed, loop) for loop in LOOPS}
    table.add_section()
    table.add_row(
        "17 rounds",
        *(f"{3000 * median(whole[loop]) / 3600:.2f} h" for loop in LOOPS),
        *(f"{gain(whole[loop], whole['ours']):.2f}" for loop in ("reference", "plain")),
    )
    console.print(table)
    console.print(
        f"of peak: multiplications by kept weights, of {best / 1e9:.0f} billion a second in a matrix product; "
        "17 rounds: 3,000 steps each, projected",
        highlight=False,
    )


def _check_device(device: str) -> None:
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"--device {device} cannot be used here: {str(error).splitlines()[0]}") from error


def _run(
    chosen: Trajectory, pixels: dict[str, np.ndarray], ledger: Ledger, device: str, threads: int, backend: str
) -> None:
    import torch
    from PIL import Image

    from lip.problem import Problem
    from lip.store import to_8_bit
    from lip.trajectory import publish

    def save(name: str, image: np.ndarray) -> None:
        Image.fromarray(image.squeeze()).save(ledger.root / f"{name}.png")

    torch.set_num_threads(threads)
    problem = Problem(chosen.fits[0], pixels)
    save("clean", pixels[chosen.picture.pixels])
    save("degraded", to_8_bit(problem.observation[0].nan_to_num(0).numpy()))
    with Progress(*Progress.get_default_columns(), TextColumn("{task.fields[psnr]}"), console=console) as bars:

        def watch(fit: Fit) -> Callable[[int, float], None]:
            name = f"round {fit.mask.round}" + ", to rewind to" * fit.keeps_weights
            bar: Any = bars.add_task(name, total=fit.schedule.steps, psnr="")
            return lambda step, psnr: bars.update(bar, completed=step, psnr=f"{psnr:.2f} dB")

        for fit in chosen.fits:
            publish(fit, pixels, ledger, device, watch, outputs=True, backend=backend)
            save(f"round-{fit.mask.round:02}", ledger.outputs(fit)["last_ema"])
            _say(ledger, fit)
    console.print(f"images and ledger in {ledger.root}", highlight=False, markup=False)


def _say(ledger: Ledger, fit: Fit) -> None:
    row = ledger.fits(ids=[fit.id]).to_pylist()[0]
    console.print(
        f"round {row['round']:>2}  {row['sparsity']:>7.2%} pruned  PSNR of the averaged output: "
        f"last {row['psnr_last_ema']:.2f}  early stop {row['psnr_stop_ema']:.2f}  oracle peak "
        f"{row['psnr_peak_ema']:.2f} dB" + "  [red]collapsed[/]" * row["collapsed"],
        highlight=False,
    )


def main() -> None:
    terminal.main(app)
