"""How close a restoration is to the clean image: PSNR (peak 1, all channels pooled) and SSIM."""

from __future__ import annotations

from math import inf, log10

import numpy as np

COLLAPSE_MARGIN = 1.0
"""A net whose best output beats the best flat colour by less than this many dB has collapsed."""


def psnr(mse: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error of images in [0, 1]; nan of nan."""
    return inf if mse == 0 else -10 * log10(mse)


def ssim(image: np.ndarray, clean: np.ndarray) -> float:
    """Mean structural similarity of two (channels, height, width) images in [0, 1], scikit-image's defaults."""
    from skimage.metrics import structural_similarity

    return float(structural_similarity(image, clean, data_range=1.0, channel_axis=0))


def flat_psnr(clean: np.ndarray) -> float:
    """PSNR in dB of the best image of one flat colour: what a net reaches that passes nothing on."""
    return psnr(float(clean.var(axis=(1, 2)).mean()))
