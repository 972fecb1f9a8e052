"""Paths from noise read as Gaussian processes."""

from __future__ import annotations

import pytest
import torch

from pushforward import processes
from pushforward.processes.path_noise import PathSchedule, gaussian_of, posterior_mean

PATHS = {
    "linear": processes.Linear(),
    "noisy": processes.Linear(0.7),
    "trigonometric": processes.Trigonometric(0.3),
    "scheduled": processes.Scheduled(),
    "one-sided": processes.OneSided(),
    "interpolant": processes.Interpolant(lambda t: (1 - t**2, t**2, (0.5 * t * (1 - t)).sqrt())),
}

every = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)


@every
def test_slopes_are_the_derivatives(path) -> None:
    schedule = PathSchedule(path)
    step = 1e-6
    for t in (0.1, 0.5, 0.8):
        k, low, high = (schedule.at(s) for s in (t, t - step, t + step))
        d_alpha = (high.alpha - low.alpha) / (2 * step)
        d_sigma = (high.sigma - low.sigma) / (2 * step)
        assert k.d_alpha == pytest.approx(d_alpha, rel=1e-5)
        assert k.d_sigma == pytest.approx(d_sigma, rel=1e-5)
        g2 = 2 * k.sigma * (d_sigma - k.sigma * d_alpha / k.alpha)
        assert k.g2 == pytest.approx(g2, rel=1e-5)


@every
def test_states_have_the_law_of_the_gaussian_process(path) -> None:
    process = path.for_flow_matching()
    n = 20_000
    z = torch.full((n, 1), 1.5), torch.randn(n, 1, generator=torch.Generator().manual_seed(0))
    x = process.sample(z, 0.4, torch.Generator().manual_seed(1))
    k = gaussian_of(process).schedule.at(0.4)
    assert abs(float(x.mean()) - 1.5 * k.alpha) < 4 * k.sigma / n**0.5
    assert float(x.std()) == pytest.approx(k.sigma, rel=4 / (2 * n) ** 0.5)


@every
def test_the_mean_comes_back_from_the_velocity(path) -> None:
    process, n = path.for_flow_matching(), 5
    z = torch.randn(3, n, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for t in (0.2, torch.linspace(0.1, 0.9, n, dtype=torch.float64)):
        k = process.path.ends(t)
        a, b, gamma, d_a, d_b = (
            v[:, None] if isinstance(v, torch.Tensor) else v
            for v in (k.a, k.b, k.gamma, k.d_a, k.d_b)
        )
        x_t = a * z[0] + b * z[1] + gamma * z[2]
        pred = torch.cat([d_a * z[0] + d_b * z[1], z[2]][: process.heads], 1)
        torch.testing.assert_close(posterior_mean(process, pred, x_t, t), z[0])
