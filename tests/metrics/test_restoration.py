"""PSNR and SSIM beside their formulas, window by window."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pushforward.errors import InputError
from pushforward.metrics import psnr, ssim


def _pictures(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    truth = torch.rand(*shape, generator=g)
    return (truth + 0.2 * torch.randn(*shape, generator=g)), truth


def _by_hand(x: np.ndarray, y: np.ndarray, limit: float, side: int) -> float:
    """The mean over windows, one by one, as skimage has it."""
    values = []
    for channel in range(x.shape[0]):
        for i in range(x.shape[1] - side + 1):
            for j in range(x.shape[2] - side + 1):
                a = x[channel, i : i + side, j : j + side].ravel()
                b = y[channel, i : i + side, j : j + side].ravel()
                c = np.cov(a, b)
                c_1, c_2 = (0.01 * limit) ** 2, (0.03 * limit) ** 2
                above = (2 * a.mean() * b.mean() + c_1) * (2 * c[0, 1] + c_2)
                below = (a.mean() ** 2 + b.mean() ** 2 + c_1) * (c[0, 0] + c[1, 1] + c_2)
                values.append(above / below)
    return float(np.mean(values))


@pytest.mark.parametrize(("shape", "side"), [((3, 1, 8, 8), 7), ((2, 3, 12, 9), 5)])
def test_ssim_is_the_mean_of_its_windows(shape, side) -> None:
    x, truth = _pictures(*shape)
    found = ssim(x, truth, value_range=2.0, window=side)
    wanted = [
        _by_hand(a.double().numpy(), b.double().numpy(), 2.0, side)
        for a, b in zip(x, truth, strict=True)
    ]
    assert found.tolist() == pytest.approx(wanted, rel=1e-5)
    assert ssim(truth, truth, value_range=2.0, window=side).tolist() == pytest.approx([1] * len(x))


def test_psnr_is_the_logarithm_of_the_error_of_each_picture() -> None:
    x, truth = _pictures(4, 1, 8, 8)
    wanted = [
        10 * math.log10(255**2 / float((a - b).square().mean()))
        for a, b in zip(x, truth, strict=True)
    ]
    assert psnr(x, truth, value_range=255.0).tolist() == pytest.approx(wanted, rel=1e-5)
    gap = psnr(x, truth, value_range=2.0) - psnr(x, truth, value_range=1.0)
    assert gap.tolist() == pytest.approx([20 * math.log10(2)] * 4, rel=1e-4)
    assert psnr(truth, truth, value_range=1.0).isinf().all()


def test_what_does_not_fit_is_refused() -> None:
    x, truth = _pictures(2, 1, 8, 8)
    for call, message in (
        (lambda: psnr(x, truth[:1], value_range=1.0), "have one shape"),
        (lambda: psnr(x, truth, value_range=0.0), "positive finite"),
        (lambda: ssim(x, truth, value_range=1.0, window=9), "at least 9 pixels"),
        (lambda: ssim(x, truth, value_range=1.0, window=4), "an odd number"),
        (lambda: ssim(x[:, 0], truth[:, 0], value_range=1.0), "takes pictures"),
    ):
        with pytest.raises(InputError, match=message):
            call()
