"""Several independent observations by a score that was learned on single pairs."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pushforward import sbi
from pushforward.distributions import Box, IndependentProduct, LogNormal, Normal
from pushforward.errors import CapabilityError
from pushforward.metrics import sliced_wasserstein
from pushforward.processes import Gaussian

NOISE = 0.7
LINEAR = Normal((2,), 1.5)


def _noisy(theta: Tensor, seed: int) -> Tensor:
    return theta + NOISE * torch.randn(theta.shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def posterior() -> sbi.SimulatorPosterior:
    pairs = sbi.simulate(LINEAR, _noisy, 4000, seed=0)
    return sbi.NPSE(LINEAR, pairs, steps=250, width=32, model={"process": Gaussian()})


@pytest.mark.parametrize(
    ("rule", "n", "most"),
    [("gauss", 1, 0.25), ("gauss", 10, 0.25), ("gauss", 60, 0.5), ("jac", 2, 0.25),
     ("langevin", 4, 0.35)],
)  # fmt: skip
def test_normal_posteriors(
    posterior: sbi.SimulatorPosterior, rule: str, n: int, most: float
) -> None:
    y = _noisy(torch.tensor([[1.0, -0.5]]).expand(n, 2), n)
    variance = 1 / (1 / 1.5**2 + n / NOISE**2)
    mean = variance * y.sum(0) / NOISE**2
    noise = torch.randn(600, 2, generator=torch.Generator().manual_seed(1))
    found = sbi.sample_given_all(posterior, 600, y, rule=rule, seed=0)  # type: ignore[arg-type]
    # In deviations of the answer: small errors of the network add up over the observations.
    assert sliced_wasserstein((found - mean) / math.sqrt(variance), noise).value < most


def test_bounded_parameters_are_composed_without_bounds() -> None:
    prior = Box([0.0], [4.0])
    posterior = sbi.NPSE(prior, sbi.simulate(prior, _noisy, 4000, seed=0), steps=400, width=32)
    y = _noisy(torch.full((8, 1), 3.5), 4)
    found = sbi.sample_given_all(posterior, 600, y, seed=0)
    assert bool(((found > 0) & (found < 4)).all())
    grid = torch.linspace(0, 4, 2001)
    density = (-0.5 * ((y - grid) / NOISE).square().sum(0)).double()
    weights = (density - density.max()).exp()
    mean = float((weights * grid).sum() / weights.sum())
    deviation = float((weights * (grid - mean).square()).sum() / weights.sum()) ** 0.5
    assert abs(float(found.mean()) - mean) < 0.4 * deviation
    assert float(found.std()) == pytest.approx(deviation, rel=0.3)


def test_normal_forms_of_products() -> None:
    prior = IndependentProduct(Normal((1,), 3.0), LogNormal([2.0], [0.5]), Box([0.0], [1.0]))
    mean, covariance = sbi.normal_form(prior)
    assert torch.equal(mean, torch.zeros(3))
    assert torch.equal(covariance, torch.tensor([9.0, 1.0, 1.0]).diag())


def test_what_has_no_score_is_refused(posterior: sbi.SimulatorPosterior) -> None:
    flow = sbi.NPE(LINEAR, sbi.simulate(LINEAR, _noisy, 100, seed=0), steps=1)
    with pytest.raises(CapabilityError, match="learn it with NPSE"):
        sbi.sample_given_all(flow, 3, torch.zeros(2, 2))
    with pytest.raises(CapabilityError, match="is not known to be normal"):
        sbi.normal_form(object())
