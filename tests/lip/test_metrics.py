"""PSNR and SSIM against their definitions."""

from math import inf, isnan, nan

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from lip.training.metrics import psnr, ssim


@pytest.mark.parametrize(
    ("mse", "decibels"), [(1.0, 0.0), (0.01, 20.0), (1e-6, 60.0), ((25 / 255) ** 2, 20.172003), (100.0, -20.0)]
)
def test_psnr_is_that_of_peak_one(mse: float, decibels: float) -> None:
    assert psnr(mse) == pytest.approx(decibels, abs=1e-6)


def test_no_error_at_all_is_infinite_psnr() -> None:
    assert psnr(0.0) == inf


def test_ssim_of_an_image_with_itself_is_one(photo: np.ndarray) -> None:
    clean = photo.transpose(2, 0, 1) / 255
    assert ssim(clean, clean) == 1.0


def test_ssim_is_the_mean_over_channels_with_values_up_to_one(photo: np.ndarray) -> None:
    clean = (photo.transpose(2, 0, 1) / 255).astype(np.float32)
    noisy = clean + np.random.default_rng(0).normal(0, 0.1, clean.shape).astype(np.float32)
    channels = [structural_similarity(*pair, data_range=1) for pair in zip(noisy, clean, strict=True)]
    assert ssim(noisy, clean) == pytest.approx(np.mean(channels), abs=1e-6)
    assert 0.2 < ssim(noisy, clean) < 0.9


def test_gaussian_ssim_is_that_of_wang_et_al(photo: np.ndarray) -> None:
    """By its definition: means and population covariances under a Gaussian of 1.5 pixels, cut at 5; K1, K2 as given."""
    clean = photo.transpose(2, 0, 1) / 255
    noisy = clean + np.random.default_rng(0).normal(0, 0.1, clean.shape)
    offsets = np.arange(-5, 6)
    weights = np.exp(-(offsets**2) / (2 * 1.5**2))
    weights = np.outer(weights, weights) / weights.sum() ** 2
    values = []
    for x, y in zip(noisy, clean, strict=True):
        windows = [np.lib.stride_tricks.sliding_window_view(image, (11, 11)) for image in (x, y, x * x, y * y, x * y)]
        ux, uy, uxx, uyy, uxy = (np.einsum("ijkl,kl", window, weights) for window in windows)
        covariance, variances = uxy - ux * uy, uxx - ux**2 + uyy - uy**2
        c1, c2 = 0.01**2, 0.03**2
        values.append(((2 * ux * uy + c1) * (2 * covariance + c2) / ((ux**2 + uy**2 + c1) * (variances + c2))).mean())
    assert ssim(noisy, clean, gaussian=True) == pytest.approx(np.mean(values), rel=1e-9)
    assert abs(ssim(noisy, clean) - np.mean(values)) > 1e-3


def test_an_error_that_is_not_a_number_has_no_psnr() -> None:
    assert isnan(psnr(nan))
