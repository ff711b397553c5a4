"""How close a restoration is to the clean image: PSNR (peak 1, all channels pooled) and SSIM."""

from __future__ import annotations

from math import inf, log10

import numpy as np

SSIM_WINDOW = 7
"""Pixels of an image that are compared at a time, scikit-image's default."""


def psnr(mse: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error of images in [0, 1]; nan of nan."""
    return inf if mse == 0 else -10 * log10(mse)


def ssim(image: np.ndarray, clean: np.ndarray) -> float:
    """Mean structural similarity of two (channels, height, width) images in [0, 1], scikit-image's defaults."""
    from skimage.metrics import structural_similarity

    return float(structural_similarity(image, clean, data_range=1.0, channel_axis=0, win_size=SSIM_WINDOW))


def mean_ssim(images: np.ndarray, cleans: np.ndarray) -> float:
    """Mean SSIM of (n, channels, height, width) images; one image may stand for all."""
    return float(np.mean([ssim(*pair) for pair in zip(np.broadcast_to(images, cleans.shape), cleans, strict=True)]))
