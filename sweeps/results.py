"""Give the published results of a sweep as a data frame."""

from __future__ import annotations

import pandas as pd

from lip.ledger.ledger import Ledger
from lip.ledger.schema import AXES
from sweeps.plan import Plan

RESULTS = ["sparsity", "psnr_peak_ema", "psnr_last_ema", "psnr_stop_ema", "psnr_emv", "ssim_last_ema"]
RESULTS += ["mse_peak", "mse_last", "accuracy_last", "accuracy_peak", "collapsed", "stalled", "diverged"]


def rows(plan: Plan, ledger: Ledger) -> pd.DataFrame:
    """Return a row per trajectory and published round.

    It has the axes of the sweep, then the columns of the fit without its curves and layers.
    """
    points = pd.DataFrame(plan.points())
    fits = ledger.fits(ids=plan.fits).to_pandas()
    fits = fits[[name for name in fits if not str(name).startswith(("curve_", "layer_"))]]
    fits = fits.drop(columns=[name for name in AXES if name in fits])
    return points.merge(fits, on="fit")


def axes(frame: pd.DataFrame) -> pd.DataFrame:
    """Select those axes and results of `rows` that vary."""
    return frame[[name for name in AXES + RESULTS if frame[name].nunique(dropna=False) > 1]]
