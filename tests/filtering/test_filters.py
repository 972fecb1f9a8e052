"""Filters against the Kalman filter, which is exact where all is linear and normal."""

from __future__ import annotations

import math
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from pushforward import filtering
from pushforward.errors import ConvergenceWarning, InputError, SamplingError
from pushforward.filtering import Analysis, BootstrapParticles, EnsembleKalman, StateSpaceModel

TURN = torch.tensor([[0.9, -0.4], [0.3, 0.8]])
SEEN = torch.tensor([[1.0, 0.5]])
DRIVE, NOISE = 0.5, 0.7
FIRST = torch.tensor([1.0, -2.0])

MODEL = StateSpaceModel(
    initial=lambda n, g: FIRST + torch.randn(n, 2, generator=g),
    transition=lambda x, g: x @ TURN.T + DRIVE * torch.randn(x.shape, generator=g),
    observe=lambda x, g: x @ SEEN.T + NOISE * torch.randn(len(x), 1, generator=g),
)


def _log_likelihood(y: Tensor, x: Tensor) -> Tensor:
    return -0.5 * ((y - x @ SEEN.T) / NOISE).square().sum(1)


class Moments(NamedTuple):
    mean: Tensor
    std: Tensor


def _kalman(observations: Tensor) -> Moments:
    mean, covariance = FIRST, torch.eye(2)
    means, deviations = [], []
    for k, y in enumerate(observations):
        if k:
            mean = TURN @ mean
            covariance = TURN @ covariance @ TURN.T + DRIVE**2 * torch.eye(2)
        gain = covariance @ SEEN.T / (SEEN @ covariance @ SEEN.T + NOISE**2)
        mean = mean + gain @ (y - SEEN @ mean)
        covariance = covariance - gain @ SEEN @ covariance
        means.append(mean)
        deviations.append(covariance.diagonal().sqrt())
    return Moments(torch.stack(means), torch.stack(deviations))


ANALYSES = {"ensemble Kalman": EnsembleKalman(), "particles": BootstrapParticles(_log_likelihood)}
N = 20_000


@pytest.mark.parametrize("analysis", ANALYSES.values(), ids=ANALYSES)
def test_it_is_the_kalman_filter_for_many_members(analysis: Analysis) -> None:
    x, y = MODEL.simulate(25, seed=0)
    exact, found = _kalman(y), filtering.run(MODEL, y, analysis, N, seed=1)
    # What errors of earlier times leave, and resampling, makes the error a few times that of N
    # independent draws.
    error = (found.mean - exact.mean) / exact.std
    assert float(error.abs().max()) < 10 / math.sqrt(N)
    assert float((found.std / exact.std - 1).abs().max()) < 10 / math.sqrt(N)
    # The path itself lies where the filter says, with the right spread.
    score = ((x - found.mean) / found.std).square().mean()
    assert 0.6 < float(score) < 1.5


def test_a_run_goes_on_from_its_ensemble() -> None:
    _, y = MODEL.simulate(20, seed=0)
    exact = _kalman(y)
    first = filtering.run(MODEL, y[:12], EnsembleKalman(), N, seed=1)
    rest = filtering.run(MODEL, y[12:], EnsembleKalman(), start=first.ensemble, seed=2)
    assert torch.allclose(rest.mean, exact.mean[12:], atol=10 / math.sqrt(N))
    assert torch.allclose(rest.std, exact.std[12:], atol=10 / math.sqrt(N))


def test_a_gain_is_linear_and_weights_are_not() -> None:
    # x ~ N(0, 1) observed as x^2: all that y tells is even in x, and its correlation with x is 0.
    g = torch.Generator().manual_seed(0)
    x = torch.randn(N, 1, generator=g)

    def observe(x: Tensor, g: torch.Generator) -> Tensor:
        return x.square() + 0.1 * torch.randn(x.shape, generator=g)

    y = torch.tensor([4.0])
    linear = EnsembleKalman()(x, observe, y, g)
    assert float(linear.square().mean()) == pytest.approx(1.0, abs=0.1)
    weigh = BootstrapParticles(lambda y, x: -((y - x.square()) / 0.1).square().sum(1) / 2)
    exact = weigh(x, observe, y, g)
    assert float(exact.square().mean()) == pytest.approx(4.0, abs=0.02)
    assert float((exact > 0).float().mean()) == pytest.approx(0.5, abs=0.1)


def test_inflation_widens_the_forecast() -> None:
    x = torch.randn(N, 1, generator=torch.Generator().manual_seed(0))

    def observe(x: Tensor, g: torch.Generator) -> Tensor:
        return x + torch.randn(x.shape, generator=g)

    g = torch.Generator().manual_seed(1)
    found = EnsembleKalman(inflation=2.0)(x, observe, torch.tensor([1.0]), g)
    # A prior of variance 4.
    assert float(found.mean()) == pytest.approx(0.8, abs=0.03)
    assert float(found.var()) == pytest.approx(0.8, abs=0.03)


def test_observations_without_noise_may_be_redundant() -> None:
    x = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
    y = torch.tensor([0.3, 0.3])
    found = EnsembleKalman()(x, lambda x, g: x[:, [0, 0]], y, torch.Generator())
    assert torch.allclose(found[:, 0], torch.full((100,), 0.3), atol=1e-5)


def test_mistakes_are_named() -> None:
    _, y = MODEL.simulate(3, seed=0)
    g = torch.Generator().manual_seed(0)
    with pytest.raises(InputError, match="inflation"):
        EnsembleKalman(inflation=0.0)
    with pytest.raises(InputError, match="1 members cannot tell"):
        EnsembleKalman()(torch.zeros(1, 2), MODEL.observe, y[0], g)
    with pytest.raises(InputError, match=r"one row \(k,\) = \(1,\) for each time"):
        filtering.run(MODEL, torch.zeros(3, 2), EnsembleKalman())
    with pytest.raises(InputError, match="not finite"):
        filtering.run(MODEL, y * math.nan, EnsembleKalman())
    with pytest.raises(SamplingError, match="not finite at time 0"):
        filtering.run(MODEL, y, lambda x, observe, y, g: x / 0, 10, seed=0)
    with pytest.raises(InputError, match="all are -inf"):
        BootstrapParticles(lambda y, x: -torch.inf * x[:, 0].square())(
            torch.ones(5, 1), MODEL.observe, y[0], g
        )
    sharp = BootstrapParticles(lambda y, x: -1e6 * (y - x).square().sum(1))
    with pytest.warns(ConvergenceWarning, match="of 1000 particles rest on"):
        sharp(torch.randn(1000, 2, generator=g), MODEL.observe, y[0], g)
