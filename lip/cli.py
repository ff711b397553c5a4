"""The command line `python -m lip`: fit one trajectory without Ray, time a step, search a prior."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from lip import terminal
from lip.errors import InputError
from lip.fast.backend import HELP as BACKEND
from lip.fast.backend import choose
from lip.fast.precision import require
from lip.paths import expand, local
from lip.training.machine import check_device, default_threads
from lip.values import pair, settings

if TYPE_CHECKING:
    import numpy as np

    from lip.data.library import InputLibrary
    from lip.ledger.ledger import Ledger
    from lip.specs.fit import Fit
    from lip.specs.trajectory import Trajectory
    from lip.training.search import Candidate

ImageArgument = Annotated[
    str,
    typer.Argument(help="an image file, an embedded photograph, or a set's member (set5/baby); or a data set"),
]
Out = Annotated[Path | None, typer.Option(help="folder for the images and the ledger; default: IMAGE's name")]
Width = Annotated[int | None, typer.Option(help="channels of the network; default: the prior's own")]
Data = Annotated[Path | None, typer.Option(help="folder with the standard image sets")]
More = Annotated[
    list[str] | None,
    typer.Option("--set", help="any other key of a sweep file, as task=inpaint or mask=text; may be repeated"),
]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads; default: all cores")]

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
console = Console(soft_wrap=True)


@app.callback()
def lip() -> None:
    """Lottery image priors, one trajectory at a time."""


@app.command()
def fit(
    image: ImageArgument,
    out: Out = None,
    sigma: Annotated[float | None, typer.Option(help="noise in 8-bit grey levels, 25 if not given")] = None,
    pruner: Annotated[
        str | None,
        typer.Option(help="imp, random, layerwise, shuffled, magnitude, snip, synflow, grasp or oes; default: imp"),
    ] = None,
    rounds: Annotated[int | None, typer.Option(help="rounds of pruning; default: none, the dense prior only")] = None,
    rewind: Annotated[
        float | None, typer.Option(help="percentage of the dense run's steps to rewind to; default: 0")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="default: 0")] = None,
    size: Annotated[int | None, typer.Option(help="cut and scale the image to this many pixels square")] = None,
    steps: Annotated[
        int | None, typer.Option(help="training steps; default: those of the task, 3000 to denoise")
    ] = None,
    width: Width = None,
    scales: Annotated[int | None, typer.Option(help="scales of the network; default: the prior's own")] = None,
    data: Data = None,
    more: More = None,
    device: Device = "cpu",
    threads: Threads = None,
    backend: Annotated[str, typer.Option(help=BACKEND)] = "auto",
) -> None:
    """Degrade IMAGE, restore it with the dense prior and with each round's ticket, and save the results.

    Writes the clean and the degraded image and, per round, the averaged outputs of the last step and of the early stop
    (.stop.png), which are not chosen by looking at the clean image. Run the same command again to compute only what is
    missing.
    """
    from lip.data.library import InputLibrary
    from lip.ledger.ledger import Ledger
    from lip.specs.request import parse_trajectory
    from lip.tasks import TASKS
    from lip.tasks.denoise import Denoise

    task = TASKS.get(str(dict(map(pair, more or [])).get("task")), Denoise)
    given: dict[str, Any] = {
        "size": size,
        "sigma": sigma,
        "steps": steps,
        "width": width,
        "scales": scales,
        "seed": seed,
    }
    given |= {task.key: image, "pruner": pruner, "rounds": rounds, "rewind": rewind}
    values = settings(more or [], "--set", {key: value for key, value in given.items() if value is not None})
    is_dense = not values.keys() & {"rounds", "sparsities", "parameters"}
    library = InputLibrary(data)
    trajectory = parse_trajectory(values | {"rounds": 0} if is_dense else values, library, "fit")
    if is_dense and (idle := [key for key in ("pruner", "rewind") if values.get(key)]):
        raise InputError(f"{idle[0]}: without rounds nothing is pruned; add them, for example --rounds 16")
    ledger = Ledger(_out(out, image))
    if (file := Path(expand(image))).is_file() and file.resolve().parent == ledger.root.resolve():
        raise InputError(f"--out: files written to {ledger.root} could replace {image}; name another folder")
    check_device(device)
    _check_memory(trajectory.fits, device)
    require(trajectory.schedule, device)
    used = choose(backend, device)
    ledger.check_writable()
    _say_notes(library)
    terminal.say(console, f"backend {used.name}: {used.why}")
    _run(trajectory, library.inputs, ledger, device, threads or default_threads(), used.name)


@app.command("restore")
def restore_photograph(
    image: Annotated[str, typer.Argument(help="a photograph that is degraded")],
    task: Annotated[str, typer.Option(help="denoise (JPEG artefacts too), inpaint or upscale")] = "denoise",
    sigma: Annotated[
        float | None, typer.Option(help="denoise: noise in 8-bit grey levels; estimated if not given")
    ] = None,
    mask: Annotated[Path | None, typer.Option(help="inpaint: a picture that is dark where pixels are missing")] = None,
    invert: Annotated[bool, typer.Option("--invert", help="the mask is light where pixels are missing")] = False,
    factor: Annotated[int | None, typer.Option(help="upscale: 2, 4 or 8; default: 4")] = None,
    ticket: Annotated[
        str | None,
        typer.Option(help="a file of lip export, or a name of `lip list tickets`: a sparse network; default: dense"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="PNG, JPEG, TIFF or WebP; default: IMAGE.restored.png, here")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="fits whose mean is written")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="of the first fit")] = 0,
    steps: Annotated[int, typer.Option(help="training steps at most")] = 1500,
    width: Annotated[int | None, typer.Option(help="channels of the network; default: the ticket's, else 32")] = None,
    scales: Annotated[int | None, typer.Option(help="scales of the network; default: the ticket's, else 5")] = None,
    more: Annotated[
        list[str] | None, typer.Option("--set", help="any other key of the schedule, as lr=0.005; may be repeated")
    ] = None,
    device: Device = "cpu",
    threads: Threads = None,
    backend: Annotated[str, typer.Option(help=BACKEND)] = "auto",
) -> None:
    """Restore IMAGE, a photograph that is noisy, damaged or small; needs no clean image.

    Writes the restored image, before and after side by side, and a JSON of what was done.
    """
    from lip.data.photograph import check_name, read
    from lip.ledger.filesystem import Storage
    from lip.restoration import outputs_of, restore

    path = local(out, "--out") if out else Path(f"{Path(image).stem}.restored.png")
    check_name(path, read(image).alpha is not None)
    for file in outputs_of(path):
        if file.exists() and file.samefile(expand(image)):
            raise InputError(f"--out: {file} is the photograph itself; name another file")
    Storage(path.parent).check_writable()

    done = restore(
        image,
        task,  # type: ignore[arg-type]  # checked there, as is the next one
        sigma=sigma,
        mask=mask,
        invert=invert,
        factor=factor,  # type: ignore[arg-type]
        ticket=ticket,
        steps=steps,
        width=width,
        scales=scales,
        seed=seed,
        seeds=seeds,
        settings=_schedule_settings(more or []),
        device=device,
        backend=backend,
        threads=threads or default_threads(),
    )
    for note in done.record["notes"]:
        terminal.say(console, note)
    for fit in done.record["fits"]:
        terminal.say(console, f"seed {fit['seed']}: {fit['stop']}")
    for file in done.save_all(path):
        terminal.say(console, file)


def _schedule_settings(more: list[str]) -> dict[str, Any]:
    """Read the keys of a schedule that have no option of their own. Raises InputError."""
    found = settings(more, "--set", {})
    if "steps" in found:
        raise InputError("--set steps: it has an option; give it as --steps")
    return found


@app.command()
def bench(
    size: Annotated[int, typer.Option(help="pixels square")] = 64,
    width: Annotated[int, typer.Option(help="channels of the hourglass")] = 64,
    steps: Annotated[int, typer.Option(min=2, help="steps that are timed at once, without the first")] = 20,
    turns: Annotated[int, typer.Option(min=1, help="times that each loop is timed, in turns")] = 5,
    masks: Annotated[int, typer.Option(min=1, help="steps of each fit of the IMP run that the masks come from")] = 100,
    storage: Annotated[
        str | None,
        typer.Option(help="ledger to take that run from and keep it in; default: $LIP_STORAGE or ./results"),
    ] = None,
    backend: Annotated[str, typer.Option(help=BACKEND)] = "auto",
) -> None:
    """Time a training step on one CPU thread: the released code's work, a plain loop and ours, by sparsity.

    The masks are those of IMP on the astronaut at 64 pixels. Times are CPU time, medians over turns.
    """
    from statistics import median

    from rich.progress import track

    from lip.bench import LOOPS, ROUNDS, gain, peak, timings, trajectory
    from lip.ledger.ledger import Ledger, default_storage

    ledger = Ledger(storage or default_storage())
    ledger.check_writable()
    used = choose(backend, "cpu")
    terminal.say(console, f"backend {used.name}: {used.why}")
    table = Table("sparsity", *LOOPS, "× released", "× plain", "of peak")
    table.title = (
        f"ms a step at {size} px, width {width}, n = {turns} turns of {steps} steps; IMP of {masks} steps a fit"
    )
    work = timings(size, width, steps, turns, masks, ledger, used.name)
    best = peak()
    timed = list(track(work, "timing", total=len(ROUNDS), console=Console(stderr=True)))
    best = max(best, peak())  # a machine's speed varies
    for timing in timed:
        seconds = timing.seconds
        table.add_row(
            f"{timing.sparsity:.1%}",
            *(f"{1000 * median(seconds[loop]):.1f}" for loop in LOOPS),
            *(f"{gain(seconds[loop], seconds['ours']):.2f}" for loop in ("released", "plain")),
            f"{timing.multiplications / median(seconds['ours']) / best:.0%}",
        )
    whole = {loop: trajectory(timed, loop) for loop in LOOPS}
    table.add_section()
    table.add_row(
        "17 rounds",
        *(f"{3000 * median(whole[loop]) / 3600:.2f} h" for loop in LOOPS),
        *(f"{gain(whole[loop], whole['ours']):.2f}" for loop in ("released", "plain")),
    )
    console.print(table)
    console.print(
        f"of peak: useful multiplications per second, of {best / 1e9:.0f} billion in a matrix product; 17 rounds: "
        "3,000 steps each, projected",
        highlight=False,
    )


@app.command("search")
def search_prior(
    image: ImageArgument,
    out: Out = None,
    candidates: Annotated[int, typer.Option(min=1, help="networks to draw; published: 5000")] = 200,
    fits: Annotated[int, typer.Option(min=1, help="how many of them to fit; published: 15")] = 5,
    metric: Annotated[str, typer.Option(help="psd or histogram: how spectra are compared")] = "psd",
    seed: int = 0,
    size: Annotated[int, typer.Option(help="cut and scale the image to this many pixels square")] = 64,
    steps: Annotated[int, typer.Option(help="training steps of each fit; published: 1200, 9500, 4500 by task")] = 1200,
    width: Width = None,
    scales: Annotated[int, typer.Option(min=1, max=8, help="scales of the networks; published: 5")] = 5,
    data: Data = None,
    more: More = None,
    device: Device = "cpu",
    threads: Threads = None,
) -> None:
    """Search a prior for IMAGE among the networks of NAS-DIP, without looking at the clean image (ISNAS-DIP).

    Draws networks, ranks them untrained by the distance of their spectrum from that of the degraded image, fits the
    best few at a small size, and chooses the one whose output is closest to their mean. Run the same command again to
    fit only what is missing.
    """
    import torch

    from lip.data.library import InputLibrary
    from lip.ledger.ledger import Ledger
    from lip.specs.request import Request, parse_trajectory
    from lip.training.search import check, nas, search

    given = settings(more or [], "--set", {} if width is None else {"width": width})
    for key in given:
        if key == "net" or (key in Request.model_fields and key not in ("task", "mask", "schedule")):
            raise InputError(f"--set {key}: a search uses dense fits and its own options; remove it")
    any_net = f"0 {'/'.join(['0' * scales] * scales)}"  # gives the number of scales; each candidate has its own links
    values = {"image": image, "prior": "nas", "net": any_net, "seed": seed, "size": size, "steps": steps} | given
    library = InputLibrary(data)
    model = parse_trajectory(values, library, "search").fits[0]
    check(model, library.inputs, candidates, fits, metric)
    ledger = Ledger(_out(out, image))
    check_device(device)
    _check_memory([model], device)
    ledger.check_writable()
    _say_notes(library)
    torch.set_num_threads(threads or default_threads())
    with terminal.bars(console) as bars:
        bar = bars.add_task("untrained nets", total=candidates, score="")
        best = search(
            model,
            library.inputs,
            ledger,
            candidates,
            fits,
            metric,
            device,
            scored=lambda: bars.advance(bar),
            watch=terminal.watch_fits(bars, lambda fit: nas(fit).net),
        )
    _print_candidates(
        best, [image, "--seed", str(seed), *(["--width", str(width)] if width else []), *_sets(more or [])]
    )


def _say_notes(library: InputLibrary) -> None:
    for note in library.notes:
        terminal.say(console, f"image {note}")


def _out(out: Path | None, image: str) -> Path:
    return local(out, "--out") if out else Path(Path(image).stem)


def _sets(pairs: list[str]) -> list[str]:
    return [part for pair in pairs for part in ("--set", pair)]


def _print_candidates(best: list[Candidate], arguments: list[str]) -> None:
    """Print the fitted networks as a table, and the command that restores with the chosen one."""
    from lip.training.search import choose_best, nas

    winner = choose_best(best)
    table = Table("net", "score", "dB to the mean", "")
    for candidate in best:
        mark = "chosen" if candidate is winner else ""
        table.add_row(nas(candidate.fit).net, f"{candidate.score:.4g}", f"{candidate.closeness:.2f}", mark)
    console.print(table)
    net = nas(winner.fit).net
    line = shlex.join([*arguments, *_sets(["prior=nas", f"net={net}"])])
    for hint in (f"in a sweep file: prior: nas, net: {net}", f"to restore: python -m lip fit {line}"):
        terminal.say(console, hint)


def _check_memory(fits: Iterable[Fit], device: str) -> None:
    from lip.training.memory import check_memory

    if device == "cpu":
        check_memory(fits)


def _run(
    trajectory: Trajectory, inputs: dict[str, np.ndarray], ledger: Ledger, device: str, threads: int, backend: str
) -> None:
    import torch
    from PIL import Image

    from lip.training.run import run_fit

    def save(name: str, image: np.ndarray) -> None:
        Image.fromarray(image.squeeze()).save(ledger.root / f"{name}.png")

    torch.set_num_threads(threads)
    for name, image in _input_images(trajectory, inputs).items():
        save(name, image)
    with terminal.bars(console) as bars:
        watch = terminal.watch_fits(bars, lambda fit: f"{fit.recipe}" + ", to rewind to" * fit.saves_weights)
        for fit in trajectory.fits:
            run_fit(fit, inputs, ledger, device, watch, outputs=True, backend=backend)
            name = str(fit.recipe).replace(" ", "-") if fit.recipe.round is None else f"round-{fit.recipe.round:02}"
            restored = ledger.outputs(fit)
            for output, ending in (("last_ema", ""), ("stop_ema", ".stop")):
                if output in restored:
                    save(f"{name}{ending}", restored[output])
            _print_row(ledger, fit)
    terminal.say(console, f"images and ledger in {ledger.root}")


def _input_images(trajectory: Trajectory, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the clean and the degraded image if there are any; the rest may be gigabytes."""
    from lip.ledger.ledger import to_8_bit
    from lip.training.restore import Restoration
    from lip.training.run import build_model

    model = build_model(trajectory.fits[0], inputs)
    found: dict[str, np.ndarray] = {}
    if isinstance(model, Restoration):
        if model.task.has_clean_image:
            found["clean"] = inputs[trajectory.picture.content_hash]
        if model.observation.dim() == 4:  # measurements are not an image
            found["degraded"] = to_8_bit(model.observation[0].nan_to_num(0).numpy())
    return found


def _print_row(ledger: Ledger, fit: Fit) -> None:
    (row,) = ledger.fits(["sparsity", *terminal.ROW_COLUMNS], [fit.id]).to_pylist()
    console.print(f"{fit.recipe!s:<8}  {row['sparsity']:>7.2%} pruned  {terminal.format_row(row)}", highlight=False)


def main() -> None:
    terminal.main(app)
