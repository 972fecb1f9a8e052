"""Spectra: Parseval, single waves, error bars that cover."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pushforward.errors import InputError
from pushforward.inverse import SpectralDownsample
from pushforward.metrics import energy_spectrum, spectral_ratio


def _fields(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64) + 0.3


@pytest.mark.parametrize("sizes", [(8, 8), (7, 9), (6, 9), (5,), (8,), (1, 4)])
def test_shells_sum_to_half_the_mean_square(sizes: tuple[int, ...]) -> None:
    x = _fields(3, 2, *sizes)
    exact = 0.5 * x.square().flatten(2).mean(2)
    assert torch.allclose(energy_spectrum(x).sum(2), exact, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("i", "j", "shell"), [(0, 0, 0), (1, 0, 1), (0, 3, 3), (3, 4, 5), (2, 2, 2)]
)
def test_a_wave_lies_in_its_shell(i: int, j: int, shell: int) -> None:
    a, b = (2 * math.pi * torch.arange(n, dtype=torch.float64) / n for n in (16, 12))
    wave = torch.cos(i * a[:, None] + j * b).expand(1, 1, 16, 12)
    found = energy_spectrum(wave)[0, 0]
    energy = 0.5 if i == j == 0 else 0.25
    assert float(found[shell]) == pytest.approx(energy, rel=1e-12)
    assert float(found.sum()) == pytest.approx(energy, rel=1e-12)


def test_it_is_the_sum_over_half_of_the_transform_of_a_real_field() -> None:
    # By numpy's real transform, whose columns stand for two waves each but the first and the last.
    x = _fields(1, 1, 8, 6)
    waves = np.abs(np.fft.rfft2(x[0, 0].numpy()) / 48) ** 2 / 2
    waves[:, 1:3] *= 2
    length = np.hypot(np.fft.fftfreq(8, 1 / 8)[:, None], np.arange(4))
    exact = [waves[(length >= k) & (length < k + 1)].sum() for k in range(6)]
    assert np.allclose(energy_spectrum(x)[0, 0].numpy(), exact, rtol=1e-12, atol=0)


def test_a_window_keeps_the_level_of_white_noise() -> None:
    x = _fields(400, 1, 32, 32)
    plain, windowed = (energy_spectrum(x, window=w)[..., 3:16].mean((0, 1)) for w in (False, True))
    assert torch.allclose(windowed, plain, rtol=0.05)


def test_the_error_bars_of_ratios_cover() -> None:
    inside, bars = [], 0
    for seed in range(60):
        found = spectral_ratio(_fields(40, 1, 8, 8, seed=2 * seed),
                               _fields(30, 1, 8, 8, seed=2 * seed + 1))  # fmt: skip
        inside.append((found.log_ratio.abs() <= 2 * found.stderr).double())
        bars += found.log_ratio.numel()
    share = float(torch.stack(inside).mean())
    assert bars == 180
    # 95 % of independent bars within four standard errors of the share.
    assert abs(share - 0.95) < 4 * math.sqrt(0.95 * 0.05 / bars)


def test_the_distance_sees_what_a_low_pass_takes_away() -> None:
    x = _fields(50, 2, 16, 16)
    low = SpectralDownsample(2).low_pass(x)
    found = spectral_ratio(low + 1e-9 * x, x)
    assert torch.allclose(found.distance(3), torch.zeros(2).double(), atol=1e-6)
    assert bool((found.distance() > 5).all())


def test_bad_fields_are_refused() -> None:
    with pytest.raises(InputError, match="fields have shape"):
        energy_spectrum(torch.zeros(3, 3))
    with pytest.raises(InputError, match="fill masked cells in"):
        energy_spectrum(torch.full((1, 1, 4, 4), torch.nan))
    with pytest.raises(InputError, match="not compared"):
        spectral_ratio(_fields(3, 1, 4, 4), _fields(3, 1, 8, 8))
