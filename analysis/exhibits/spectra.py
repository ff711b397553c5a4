"""Fig 18 and 19: which frequencies do dense and sparse priors restore?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.claims import HERE, POSITIVE, Claim
from analysis.exhibits.exhibit import Contents, Custom, MissingError
from analysis.exhibits.pictures import Restored, restored_images, sparsity_label
from analysis.exhibits.rows import Rows, from_theta_0, native, native_imp, pruned
from analysis.frames import Frames
from analysis.panels import Tile, picture_sheet
from analysis.text import PRUNER_LABELS
from lip.ledger.schema import OUTPUTS

LUMA = np.array([0.299, 0.587, 0.114])
ORDER = ("dense", "imp", "random", "snip")

Spectra = Mapping[tuple[str, int, int, str], np.ndarray]
"""Maps by pruner, round, seed and output."""


def _make(frames: Frames) -> Contents:
    """Show spectra by pruner and sparsity, and how they differ from IMP's."""
    shown = native(frames.fits) & from_theta_0(frames.fits) & frames.fits["pruner"].isin(["imp", "random", "snip"])
    fits = frames.fits[shown]
    fits = fits[fits["image"] == fits["image"].min()]
    fits = fits.assign(pruner=fits["pruner"].where(fits["round"] > 0, "dense")).drop_duplicates(["fit", "pruner"])
    stored = restored_images(frames, fits)
    if not any(each.row["pruner"] == "imp" for each in stored):
        raise MissingError("no restored images of IMP tickets are stored")
    maps = {_key(each, output): spectrum(each.outputs[f"{output}_ema"]) for each in stored for output in OUTPUTS}
    return Contents(
        caption="Log-magnitude of the spectrum of the averaged last output's luma (bright is large, one scale for all;"
        " low frequencies in the middle), first seed; below, how much each differs from that of the IMP ticket, 0 to 30"
        " dB. The statistics are over all seeds; the upper half of the band is all radii above half of Nyquist's.",
        frame=_table(maps),
        figure=_sheet(stored, maps),
        fits=fits,
        effects=_effects(maps),
    )


def spectrum(image: np.ndarray) -> np.ndarray:
    """Return the log-magnitude in dB of the shifted Fourier transform of an image's luma.

    The image is uint8 (height, width, channels).
    """
    luma = image.astype(float) @ LUMA if image.shape[2] == 3 else image[..., 0].astype(float)
    return 20 * np.log10(np.abs(np.fft.fftshift(np.fft.fft2(luma / 255))) + 1e-6)


def bands(values: np.ndarray) -> tuple[float, float]:
    """Return the mean of a map over the lower and the upper half of the band, by radius up to Nyquist's frequency."""
    height, width = values.shape
    y, x = np.meshgrid(np.fft.fftshift(np.fft.fftfreq(height)), np.fft.fftshift(np.fft.fftfreq(width)), indexing="ij")
    radius = np.hypot(x, y) / 0.5
    return float(values[radius < 0.5].mean()), float(values[(radius >= 0.5) & (radius <= 1)].mean())


def _key(each: Restored, output: str) -> tuple[str, int, int, str]:
    return (str(each.row["pruner"]), int(each.row["round"]), int(each.row["seed"]), output)


def _table(maps: Spectra) -> pd.DataFrame:
    rows = [(*key, *bands(values)) for key, values in maps.items()]
    table = pd.DataFrame(rows, columns=["pruner", "round", "seed", "output", "low_db", "high_db"])
    return table.sort_values(["output", "round", "pruner", "seed"], ignore_index=True)


def _effects(maps: Spectra) -> pd.DataFrame:
    """Return how tickets differ from random pruning and from SNIP of the same round, seed and output."""
    rows = []
    for (pruner, k, seed, output), rival in maps.items():
        if pruner in ("random", "snip") and (ticket := maps.get(("imp", k, seed, output))) is not None:
            low, high = bands(np.abs(ticket - rival))
            rows.append((pruner, k, seed, output, bands(ticket)[1] - bands(rival)[1], high - low))
    return pd.DataFrame(rows, columns=["rival", "round", "seed", "output", "high_gain", "high_over_low"])


def _against(rival: str) -> Rows:
    return lambda effects: effects["rival"] == rival


def _sheet(stored: list[Restored], maps: Spectra) -> Figure:
    seed = min(int(each.row["seed"]) for each in stored if each.row["pruner"] == "imp")
    fits = {(str(each.row["pruner"]), int(each.row["round"])): each for each in stored if each.row["seed"] == seed}
    values = np.concatenate([maps[_key(each, "last")].ravel() for each in fits.values()])
    scale = (float(np.percentile(values, 1)), float(values.max()))  # a few frequencies nearly vanish
    names: list[str] = []
    rows: list[list[Tile | None]] = []
    for k in sorted({k for _, k in fits if k}):
        found = {name: fits.get((name, 0 if name == "dense" else k)) for name in ORDER}
        last = {name: maps[_key(each, "last")] for name, each in found.items() if each}
        if "imp" not in last:
            continue
        names += [f"{sparsity_label(fits['imp', k].row)}\nspectrum", "difference\nfrom IMP's"]
        rows += [
            [Tile(spectrum, PRUNER_LABELS.get(name, name), "magma", scale) for name, spectrum in last.items()],
            [
                None if name == "imp" else Tile(np.abs(spectrum - last["imp"]), "", "viridis", (0, 30))
                for name, spectrum in last.items()
            ],
        ]
    return picture_sheet(rows, names)


spectra = Custom(
    name="spectra",
    title="Spectra of restored images (Fig. 18, 19)",
    needed=lambda rows: native_imp(rows) & pruned(rows),
    needs="IMP ticket",
    make=_make,
    claims=(
        Claim(
            id="spectra_high",
            statement="tickets of 67 and 79 % keep more of the high frequencies than random pruning",
            paper="LIP keeps high frequencies (Fig. 18)",
            statistic="mean log-magnitude in the upper half of the band less that of random pruning, at both",
            region=POSITIVE,
            value="high_gain",
            rows=_against("random"),
            cells=("round",),
            scopes=(HERE,),
        ),
        Claim(
            id="spectra_snip",
            statement="tickets of 67 and 79 % keep more of the high frequencies than SNIP",
            paper="LIP keeps high frequencies, SNIP loses them at 67 and 79 % (Fig. 18)",
            statistic="mean log-magnitude in the upper half of the band less that of SNIP, at both",
            region=POSITIVE,
            value="high_gain",
            rows=_against("snip"),
            cells=("round",),
            scopes=(HERE,),
        ),
        Claim(
            id="spectra_band",
            statement="tickets and random pruning differ more in the high band than in the low",
            paper="LIP and random pruning differ mainly in the high band (Fig. 19)",
            statistic="mean absolute difference of log-magnitudes in the upper half of the band less that in the lower"
            " half, at every round",
            region=POSITIVE,
            value="high_over_low",
            rows=_against("random"),
            cells=("round",),
            scopes=(HERE,),
        ),
    ),
)
