"""Helpers of the three command lines."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lip.errors import InputError

if TYPE_CHECKING:
    from typer import Typer

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


def pair(text: str) -> tuple[str, Any]:
    """Parse `key=value`, the value as YAML. Raises InputError."""
    import yaml

    key, equals, value = text.partition("=")
    try:
        if not (key and equals):
            raise ValueError("there is no =")
        return key, yaml.safe_load(value)
    except (ValueError, yaml.YAMLError) as error:
        raise InputError(f"{text!r} is not key=value; give it as key=value, for example task=inpaint") from error


def format_row(row: Mapping[str, Any]) -> str:
    """Format the result of a fit as rich markup; `row` has the columns ROW_COLUMNS."""
    from lip.ledger.schema import OUTPUTS

    if row["accuracy_last"] is not None:
        text = f"accuracy: last {row['accuracy_last']:.1%}  oracle peak {row['accuracy_peak']:.1%}"
    elif row["step_stop_ema"] is None:
        text = f"the critic's distance: {row['loss']:.2f}"
    elif row["psnr_last_ema"] is None:
        text = f"no clean image; ES-WMV stop at step {row['step_stop_ema']}"
    else:
        text = "PSNR of the averaged output: " + "  ".join(
            f"{OUTPUTS[output]} {row[f'psnr_{output}_ema']:5.2f}" for output in ("last", "stop", "peak")
        )
        text += " dB"
    if row["empty_layers"]:
        text += f"  [yellow]empty layers: {row['empty_layers']}[/]"
    failed = [name for name in ("collapsed", "stalled", "diverged") if row[name]]
    return text + "".join(f"  [red]{name}[/]" for name in failed)


def main(app: Typer) -> None:
    """Run a command line; bad input is one sentence on standard error and exit status 2."""
    try:
        app()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
