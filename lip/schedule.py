"""How a fit is trained."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lip.spec import Spec

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Schedule(Spec):
    """Adam on the task's loss, with the input jittered at every step and no early stop."""

    steps: Annotated[int, Field(ge=1)] = 3000
    lr: Positive = 0.01
    jitter: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1 / 30
    """Standard deviation of the Gaussian noise added to the input code at every step."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """Weight of the past in the exponential moving average of the outputs."""
    backtrack: Positive | None = 5.0
    """Undo a step after which the PSNR to the observation falls by more than this many dB; None never undoes."""
