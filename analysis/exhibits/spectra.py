"""Fig 18 and 19: which frequencies do dense and sparse priors restore?"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.exhibits.exhibit import LABELS, Absent, Exhibit, caption, gap, lacking, native, verdicts
from analysis.exhibits.pictures import Restored, not_kept, place, restored
from analysis.frames import Frames
from analysis.plots import OUTPUTS, Tile, sheet

NAME, TITLE = "spectra", "Spectra of restored images (Fig. 18, 19)"
LUMA = np.array([0.299, 0.587, 0.114])


def spectra(frames: Frames) -> Exhibit | Absent:
    """Spectra of averaged outputs by pruner and sparsity, and how they differ from those of IMP tickets."""
    frames = frames.part(NAME)
    if absent := lacking(frames, NAME, TITLE, _imp, "IMP ticket"):
        return absent
    fits = frames.fits[_shown(frames.fits)]
    fits = fits[fits["image"] == sorted(fits["image"])[0]]
    fits = fits.assign(pruner=fits["pruner"].where(fits["round"] > 0, "dense")).drop_duplicates(["fit", "pruner"])
    kept = restored(frames, fits)
    if not any(each.row["pruner"] == "imp" for each in kept):
        return not_kept(frames, NAME, TITLE)
    maps = {_key(each, output): spectrum(each.outputs[f"{output}_ema"]) for each in kept for output in OUTPUTS}
    frame = pd.DataFrame(
        [
            {
                **dict(zip(("pruner", "round", "seed", "output"), key, strict=True)),
                "low_db": bands(values)[0],
                "high_db": bands(values)[1],
            }
            for key, values in maps.items()
        ]
    )
    rivals = {key: value for key, value in maps.items() if key[0] == "random"}
    paired = []
    for key, rival in rivals.items():
        if (ticket := maps.get(("imp", *key[1:]))) is not None:
            low, high = bands(np.abs(ticket - rival))
            high_gain = bands(ticket)[1] - bands(rival)[1]
            at = dict(zip(("round", "seed", "output"), key[1:], strict=True))
            paired.append({**at, "high_gain": high_gain, "high_over_low": high - low})
    differences = pd.DataFrame(paired, columns=["round", "seed", "output", "high_gain", "high_over_low"])
    judged = [
        *verdicts(frames, "spectra_high", differences, "high_gain", ["round"]),
        *verdicts(frames, "spectra_band", differences, "high_over_low", ["round"]),
    ]
    return Exhibit(
        NAME,
        TITLE,
        caption(
            frames,
            fits,
            "Log-magnitude of the spectrum of the averaged last output's luma (bright is large, on one scale for all;"
            " low frequencies in the middle), first seed; below, how much each differs from that of the IMP ticket, 0"
            " to 30 dB."
            " The statistics are over all seeds, the upper half of the band being all radii above half of Nyquist's.",
        ),
        frame.sort_values(["output", "round", "pruner", "seed"], ignore_index=True),
        _sheet(kept, maps),
        judged,
        gap=gap(frames),
    )


def spectrum(image: np.ndarray) -> np.ndarray:
    """Log-magnitude in dB of the shifted Fourier transform of an image's luma; the image is uint8 (h, w, channels)."""
    luma = image.astype(float) @ LUMA if image.shape[2] == 3 else image[..., 0].astype(float)
    return 20 * np.log10(np.abs(np.fft.fftshift(np.fft.fft2(luma / 255))) + 1e-6)


def bands(values: np.ndarray) -> tuple[float, float]:
    """Mean of a map over the lower and the upper half of the frequency band, by radius up to Nyquist's frequency."""
    height, width = values.shape
    y, x = np.meshgrid(np.fft.fftshift(np.fft.fftfreq(height)), np.fft.fftshift(np.fft.fftfreq(width)), indexing="ij")
    radius = np.hypot(x, y) / 0.5
    return float(values[radius < 0.5].mean()), float(values[(radius >= 0.5) & (radius <= 1)].mean())


def _key(each: Restored, output: str) -> tuple[str, int, int, str]:
    return (str(each.row["pruner"]), int(each.row["round"]), int(each.row["seed"]), output)


def _sheet(kept: list[Restored], maps: dict[tuple[str, int, int, str], np.ndarray]) -> Figure:
    seed = min(int(each.row["seed"]) for each in kept if each.row["pruner"] == "imp")
    own = {(str(each.row["pruner"]), int(each.row["round"])): each for each in kept if each.row["seed"] == seed}
    pruners = sorted({pruner for pruner, _ in own}, key=lambda name: ("dense", "imp", "random", "snip").index(name))
    shown = np.concatenate([maps[_key(each, "last")].ravel() for each in own.values()])
    scale = (float(np.percentile(shown, 1)), float(shown.max()))  # a few frequencies all but vanish
    names: list[str] = []
    rows: list[list[Tile | None]] = []
    for k in sorted({k for _, k in own if k}):
        at = {name: own.get((name, 0 if name == "dense" else k)) for name in pruners}
        seen = {name: maps[_key(each, "last")] for name, each in at.items() if each}
        if "imp" not in seen:
            continue
        where = place(next(each.row for name, each in at.items() if each and name != "dense"))
        names += [f"{where}\nspectrum", "difference\nfrom IMP's"]
        rows += [
            [Tile(values, LABELS.get(name, name), "magma", scale) for name, values in seen.items()],
            [
                None if name == "imp" else Tile(np.abs(values - seen["imp"]), "", "viridis", (0, 30))
                for name, values in seen.items()
            ],
        ]
    return sheet(rows, names)


def _shown(rows: pd.DataFrame) -> pd.Series:
    return native(rows) & (rows["rewind"] == 0) & rows["pruner"].isin(["imp", "random", "snip"])


def _imp(rows: pd.DataFrame) -> pd.Series:
    return _shown(rows) & (rows["pruner"] == "imp") & (rows["round"] > 0)
