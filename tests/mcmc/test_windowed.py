"""Warm-up, metrics, and what the draws say of themselves."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward import mcmc
from pushforward.errors import InputError
from pushforward.mcmc import diagnostics

DOUBLE = torch.float64


def _seed(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _normal(x):
    return -x.square().sum(-1) / 2


COVARIANCE = torch.tensor([[4.0, 1.8], [1.8, 1.0]], dtype=DOUBLE)
PRECISION = torch.linalg.inv(COVARIANCE)


def _correlated(x):
    return -torch.einsum("bi,ij,bj->b", x, PRECISION.to(x), x) / 2


@pytest.mark.parametrize("steps", [0, 5, 19, 20, 60, 149, 150, 151, 300, 1000, 1234])
def test_windows_fill_the_warm_up(steps: int) -> None:
    found = mcmc.windows(steps)
    assert sum(length for length, _ in found) == steps
    assert any(ends for _, ends in found) == (steps >= 20)
    assert not found[-1][1]


def test_a_dense_metric_is_the_covariance() -> None:
    x = torch.randn(64, 2, generator=_seed(), dtype=DOUBLE)
    warm = mcmc.warm_up(
        mcmc.HMC(leapfrogs=4), _correlated, x, 250, metric="dense", generator=_seed(1)
    )
    found = warm.metric.factor @ warm.metric.factor.mT
    assert torch.allclose(found, COVARIANCE, rtol=0.15)
    diagonal = mcmc.warm_up(mcmc.HMC(leapfrogs=4), _correlated, x, 250, generator=_seed(1))
    assert torch.allclose(diagonal.metric.factor.square(), COVARIANCE.diagonal(), rtol=0.15)
    none = mcmc.warm_up(
        mcmc.HMC(leapfrogs=4), _correlated, x, 50, metric="identity", generator=_seed(1)
    )
    assert torch.equal(none.metric.factor, torch.ones(2, dtype=DOUBLE))


def test_moments_are_those_of_all_states() -> None:
    x = 1e6 + torch.randn(3, 500, 2, generator=_seed(), dtype=DOUBLE) * torch.tensor([1.0, 3.0])
    seen = mcmc.metric.Moments(dense=True)
    for part in x:
        seen.add(part)
    n = 1500
    expected = n / (n + 5) * torch.cov(x.flatten(0, 1).mT)
    expected += 1e-3 * 5 / (n + 5) * torch.eye(2, dtype=DOUBLE)
    factor = seen.metric(x).factor
    assert torch.allclose(factor @ factor.mT, expected)


def test_whitened_steps_are_those_of_a_mass_matrix() -> None:
    """A leapfrog step in `u` is one in `x` with momenta `L^-T p` and velocities `L L^T` of them."""
    factor = torch.linalg.cholesky(COVARIANCE)
    metric = mcmc.Metric(factor)
    x = torch.randn(5, 2, generator=_seed(), dtype=DOUBLE)
    p = torch.randn(5, 2, generator=_seed(1), dtype=DOUBLE)
    whitened = mcmc.Whitened(_correlated, metric)
    assert torch.allclose(metric.outward(metric.inward(x)), x)
    found, _ = mcmc.leapfrog(whitened, mcmc.evaluate(whitened, metric.inward(x)), p, 0.1)
    half = torch.linalg.solve_triangular(factor.mT, p.mT, upper=True).mT
    half = half + 0.05 * mcmc.evaluate(_correlated, x).gradient
    assert torch.allclose(metric.outward(found.x), x + 0.1 * half @ COVARIANCE)


@pytest.mark.parametrize(
    "kernel",
    [mcmc.NUTS(), mcmc.HMC(), mcmc.MALA(), mcmc.Barker(), mcmc.RandomWalk(), mcmc.Underdamped()],
    ids=lambda k: type(k).__name__,
)
def test_warm_up_finds_the_acceptance_rate(kernel) -> None:
    x = torch.randn(100, 4, generator=_seed())
    found = mcmc.sample_chains(_normal, x, 20, kernel=kernel, warmup=150, seed=0)
    assert abs(float(found.acceptance.mean()) - kernel.target) < 0.06


def test_dual_averaging_solves_for_the_step() -> None:
    """Of a rate that falls with the step as `exp(-step)`, the goal is at `-log target`."""
    state = mcmc.DualAveraging.around(0.01)
    for _ in range(400):
        state = state.after(math.exp(-math.exp(state.log_step)), 0.8)
    assert abs(math.exp(state.average) + math.log(0.8)) < 0.02


def test_draws_say_what_is_wrong() -> None:
    good = mcmc.sample_chains(
        _normal, torch.randn(16, 2, generator=_seed()), 150, warmup=150, seed=0
    )
    assert good.warnings() == []
    apart = torch.tensor([[-30.0], [30.0]]).repeat(4, 1)

    def two(x):
        return torch.logaddexp(-(x - 30).square(), -(x + 30).square())[:, 0]

    words = " ".join(
        mcmc.sample_chains(two, apart, 100, warmup=50, kernel="hmc", seed=0).warnings(["theta"])
    )
    assert "Chains do not agree: R-hat" in words
    assert "for theta" in words
    assert "effective sample size of theta" in words
    few = mcmc.sample_chains(
        _normal,
        torch.randn(4, 2, generator=_seed()),
        20,
        kernel=mcmc.NUTS(1e-3, 3),
        warmup=0,
        seed=0,
    )
    words = " ".join(few.warnings())
    assert "100% of trajectories are as long as they may be, 7 steps" in words
    assert "give a longer warmup" in words


def test_draws_without_a_gradient() -> None:
    def laplace(x):
        return -x.detach().abs().sum(-1)

    found = mcmc.sample_chains(
        laplace,
        torch.randn(200, 1, generator=_seed()),
        200,
        kernel="random-walk",
        warmup=100,
        seed=0,
    )
    summary = found.summary()
    assert abs(float(summary.mean)) < 4 * float(summary.mcse)
    assert abs(float(summary.std) - 2**0.5) < 0.1


def test_energy_fractions() -> None:
    """Of an autoregression with coefficient `a`, `2 (1 - a)`; of a funnel, little."""
    noise, x = torch.randn(20_000, 3, generator=_seed(), dtype=DOUBLE), torch.zeros(3).double()
    trace = []
    for row in noise:
        x = 0.9 * x + row
        trace.append(x)
    found = mcmc.energy_fraction(torch.stack(trace))
    assert torch.allclose(found, torch.full_like(found, 0.2), rtol=0.1)


def test_quantiles_interpolate() -> None:
    x = torch.randn(101, 3, generator=_seed(), dtype=DOUBLE)
    for q in (0.0, 0.05, 0.5, 0.95, 1.0):
        assert torch.allclose(diagnostics._quantile(x, q), x.quantile(q, 0))


def test_bad_input_is_named() -> None:
    x = torch.zeros(3, 2)
    with pytest.raises(InputError, match="metric is 'diagonal' or 'dense' or 'identity'"):
        mcmc.sample_chains(_normal, x, 5, metric="full", seed=0)
    with pytest.raises(InputError, match=r"no kernel is called 'nutss'.*did you mean 'nuts'"):
        mcmc.sample_chains(_normal, x, 5, kernel="nutss", seed=0)
    with pytest.raises(InputError, match="draws"):
        mcmc.sample_chains(_normal, x, 0, seed=0)
