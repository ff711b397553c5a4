"""Share small things between the three command lines."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lip.errors import InputError

if TYPE_CHECKING:
    from typer import Typer


OUTPUTS = {"last": "last", "stop": "early stop", "peak": "oracle peak"}
OUTCOME = [
    *(f"psnr_{output}_ema" for output in OUTPUTS),
    "step_stop_ema",
    "loss",
    "accuracy_last",
    "accuracy_peak",
    "empty_layers",
    "collapsed",
    "stalled",
    "diverged",
]
"""The columns of a row that `outcome` reads."""


def pair(text: str) -> tuple[str, Any]:
    """`key=value` as a key and the plain value that YAML reads there. Raises InputError."""
    import yaml

    key, equals, value = text.partition("=")
    try:
        if not (key and equals):
            raise ValueError("there is no =")
        return key, yaml.safe_load(value)
    except (ValueError, yaml.YAMLError) as error:
        raise InputError(f"{text!r} is not understood; give it as key=value, for example task=inpaint") from error


def outcome(row: Mapping[str, Any]) -> str:
    """Describe how a fit came out, as rich markup; `row` has the columns OUTCOME."""
    if row["accuracy_last"] is not None:
        said = f"accuracy: last {row['accuracy_last']:.1%}  oracle peak {row['accuracy_peak']:.1%}"
    elif row["step_stop_ema"] is None:
        said = f"the critic's distance: {row['loss']:.2f}"
    elif row["psnr_last_ema"] is None:
        said = f"no reference; early stop at step {row['step_stop_ema']}"
    else:
        said = "PSNR of the averaged output: " + "  ".join(
            f"{name} {row[f'psnr_{output}_ema']:5.2f}" for output, name in OUTPUTS.items()
        )
        said += " dB"
    if row["empty_layers"]:
        said += f"  [yellow]empty layers: {row['empty_layers']}[/]"
    failed = [name for name in ("collapsed", "stalled", "diverged") if row[name]]
    return said + "".join(f"  [red]{name}[/]" for name in failed)


def main(app: Typer) -> None:
    """Run a command line; bad input is one sentence on standard error and exit status 2."""
    try:
        app()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
