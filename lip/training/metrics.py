"""Measure restorations against the clean image: PSNR (peak 1, all channels pooled) and SSIM.

SSIM is that of scikit-image's defaults: uniform windows of 7x7 pixels with sample covariances (divided by 48), data
range 1, K1 = 0.01 and K2 = 0.03, per channel. The image is not cropped; windows that leave it do not count.
The convention of published SSIMs of image priors is unknown: compare these with each other only.
"""

from __future__ import annotations

from math import inf, log10
from typing import Any

import numpy as np

SSIM_WINDOW = 7
"""Side of a window in pixels, scikit-image's default."""


def psnr(mse: float) -> float:
    """Return the PSNR in dB of a mean squared error of images in [0, 1]; NaN of NaN."""
    return inf if mse == 0 else -10 * log10(mse)


def ssim(image: np.ndarray, clean: np.ndarray, gaussian: bool = False) -> float:
    """Measure the mean structural similarity of two images (channels, height, width) in [0, 1].

    `gaussian` is the convention of Wang et al. (2004): windows of 11x11 pixels weighted by a Gaussian of 1.5 pixels,
    and population covariances. Raises ValueError when an image is smaller than a window.
    """
    from skimage.metrics import structural_similarity

    window: dict[str, Any] = {"win_size": SSIM_WINDOW}
    if gaussian:
        window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return float(structural_similarity(image, clean, data_range=1.0, channel_axis=0, **window))


def mean_ssim(images: np.ndarray, cleans: np.ndarray) -> float:
    """Return the mean SSIM of images (n, channels, height, width); one image may be broadcast."""
    return float(np.mean([ssim(*pair) for pair in zip(np.broadcast_to(images, cleans.shape), cleans, strict=True)]))
