"""Share between the command lines how they end, and how text reaches a terminal or a spreadsheet."""

from __future__ import annotations

import io
import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lip.errors import InputError
from lip.paths import without_secrets

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from typer import Typer

    from lip.specs.fit import Fit
    from lip.training.result import Watch

MEMORY = re.compile("out of memory|(?:can't|not enough|cannot) (?:allocate )?memory", re.IGNORECASE)
"""The words of PyTorch when no memory is left."""
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that move the cursor, colour, break or turn round what follows, or that no encoding has."""
FORMULA = re.compile(r"[=@]|[+-](?!(?:[0-9.,]+(?:e[+-]?[0-9]+)?)?$)", re.IGNORECASE)
"""The beginning of a cell that spreadsheets take for a formula. A signed number or a lone sign is not one."""

ROW_COLUMNS = [
    "psnr_peak_ema",
    "psnr_last_ema",
    "psnr_stop_ema",
    "step_stop_ema",
    "loss",
    "accuracy_last",
    "accuracy_peak",
    "empty_layers",
    "collapsed",
    "stalled",
    "diverged",
]
"""The columns of a row that `format_row` reads."""


def plain(text: object) -> str:
    r"""Return a text as it is safe to print: control characters written as \x1b, and no secrets of URLs."""
    return CONTROL.sub(_escaped, without_secrets(str(text)))


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def cell(value: Any) -> Any:
    """Return a cell of a table for a CSV file that people open: plain text, and never a formula.

    Only texts are changed; `frame.map(cell)` does it for a data frame.
    """
    if not isinstance(value, str):
        return value
    text = plain(value)
    return f"'{text}" if FORMULA.match(text) else text


def markup(text: object) -> str:
    """Return a text for a table: plain, and nothing in it is rich markup."""
    from rich.markup import escape

    return escape(plain(text))


def say(console: Console, text: object) -> None:
    """Print a line as it is: nothing in it is markup, and no control character does anything."""
    console.print(plain(text), highlight=False, markup=False)


def format_row(row: Mapping[str, Any]) -> str:
    """Format the result of a fit as rich markup; `row` has the columns ROW_COLUMNS."""
    from lip.ledger.schema import OUTPUTS

    if row["accuracy_last"] is not None:
        text = f"accuracy: last {row['accuracy_last']:.1%}  oracle peak {row['accuracy_peak']:.1%}"
    elif row["step_stop_ema"] is None:
        text = f"the critic's distance: {row['loss']:.2f}"
    elif row["psnr_stop_ema"] is None:
        text = f"no clean image; ES-WMV stop at step {row['step_stop_ema']}"
    else:
        text = "PSNR of the averaged output: " + "  ".join(
            f"{OUTPUTS[output]} {score:5.2f}"
            for output in ("last", "stop", "peak")
            if (score := row[f"psnr_{output}_ema"]) is not None
        )
        text += " dB"
    if row["empty_layers"]:
        text += f"  [yellow]empty layers: {row['empty_layers']}[/]"
    failed = [name for name in ("collapsed", "stalled", "diverged") if row[name]]
    return text + "".join(f"  [red]{name}[/]" for name in failed)


@contextmanager
def bars(console: Console | None = None, shown: bool = True) -> Iterator[Progress]:
    """Show bars while they are used, on standard error unless a console is given; tasks have a field `score`."""
    from rich.console import Console
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    columns = *Progress.get_default_columns(), TimeElapsedColumn(), TextColumn("{task.fields[score]}")
    with Progress(*columns, console=console or Console(stderr=True), disable=not shown) as progress:
        yield progress


def watch_fits(progress: Progress, name: Callable[[Fit], str]) -> Callable[[Fit], Watch]:
    """Return what shows a bar for every fit that begins, with its step and its score."""

    def watch(fit: Fit) -> Watch:
        bar = progress.add_task(name(fit), total=fit.schedule.steps, score="")
        return lambda step, score: progress.update(bar, completed=step, score=fit.task.format_score(score))

    return watch


def end_on_sigterm() -> None:
    """End on SIGTERM as on Ctrl-C: batch systems end jobs by it."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


def main(app: Typer) -> None:
    """Run a command line.

    Bad input is one sentence on standard error and exit status 2. A full memory is status 1, Ctrl-C or SIGTERM status
    130. Characters that the encoding of the output lacks are escaped.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    end_on_sigterm()
    try:
        app()
    except InputError as error:
        print(f"error: {plain(error)}", file=sys.stderr)
        raise SystemExit(2) from None
    except (MemoryError, RuntimeError) as error:
        if not (isinstance(error, MemoryError) or MEMORY.search(str(error))):
            raise
        print("error: the memory is full; use a smaller size or width, or a machine with more", file=sys.stderr)
        raise SystemExit(1) from None
