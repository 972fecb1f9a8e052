"""Posteriors of simulators: right where the answer is known, inside of the prior, normalized."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pushforward import sbi
from pushforward.distributions import (
    Box,
    ColoredNormal,
    IndependentProduct,
    LogNormal,
    Normal,
)
from pushforward.errors import InputError
from pushforward.sbi.coordinates import Coordinates

PRIOR = ColoredNormal(torch.tensor([[1.0, 0.6], [0.6, 2.0]]))
MATRIX = torch.tensor([[1.0, 0.5], [0.0, 1.0], [1.0, -1.0]])
NOISE = 0.5


def linear(theta: Tensor, seed: int) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return theta @ MATRIX.mT + NOISE * torch.randn(len(theta), 3, generator=g)


def posterior_of(y: Tensor) -> tuple[Tensor, Tensor]:
    precision = torch.linalg.inv(PRIOR.covariance) + MATRIX.mT @ MATRIX / NOISE**2
    covariance = torch.linalg.inv(precision)
    return covariance @ MATRIX.mT @ y / NOISE**2, covariance


PAIRS = sbi.simulate(PRIOR, linear, 4000, seed=0)
Y = torch.tensor([1.0, -0.5, 2.0])


def test_coordinates_leave_nothing_to_learn_of_a_linear_gaussian_model() -> None:
    coordinates = Coordinates(2, 3, None)
    coordinates.fit(PAIRS.theta, PAIRS.y)
    fresh = sbi.simulate(PRIOR, linear, 4000, seed=9)
    z, _ = coordinates.inward(fresh.theta, fresh.y)
    both = torch.cat([z, fresh.y], 1)
    correlation = torch.corrcoef(both.mT)
    assert float((correlation[:2, :2] - torch.eye(2)).abs().max()) < 0.06
    assert float(correlation[:2, 2:].abs().max()) < 0.06
    assert float((z.var(0) - 1).abs().max()) < 0.1


def test_positive_observations_are_told_apart_near_zero() -> None:
    g = torch.Generator().manual_seed(0)
    theta = torch.randn(2000, 1, generator=g)
    # Thirty thousandths to thirty: what is linear in the logarithm leaves nothing to learn.
    y = (3 * theta + 0.1 * torch.randn(2000, 1, generator=g)).exp()
    coordinates = Coordinates(1, 1, None)
    coordinates.fit(theta, y)
    assert float(coordinates.root) < 0.15
    near, nearer = coordinates.features(torch.tensor([[0.01], [0.001]]))
    assert float((near - nearer)[1]) > 0.3
    # Beyond what was positive in training there is no logarithm, and none is asked for.
    assert bool(coordinates.features(torch.tensor([[-1.0]])).isfinite().all())


@pytest.mark.parametrize("bounds", [False, True])
def test_coordinates_are_a_change_of_variables(bounds: bool) -> None:
    prior = Box([-1.0, 0.0], [1.0, 2.0])
    pairs = sbi.simulate(prior, lambda t, seed: t @ MATRIX.mT, 300, seed=0)
    coordinates = Coordinates(2, 3, None if bounds else prior.unconstrained)
    coordinates.fit(pairs.theta, pairs.y)
    theta, y = pairs.theta[:3], pairs.y[:3]
    z, log_det = coordinates.inward(theta, y)
    assert torch.allclose(coordinates.outward(z, y), theta, atol=1e-4)
    for k in range(3):
        jacobian = torch.autograd.functional.jacobian(
            lambda row, k=k: coordinates.inward(row[None], y[k : k + 1])[0][0], theta[k]
        )
        found = float(torch.linalg.slogdet(jacobian).logabsdet)
        assert found == pytest.approx(float(log_det[k]), abs=1e-3)


@pytest.mark.parametrize("method", [sbi.NPE, sbi.NPSE, sbi.FMPE])
def test_a_linear_gaussian_posterior_is_found(method: object) -> None:
    options = {} if method is sbi.NPE else {"width": 32}
    posterior = method(PRIOR, PAIRS, steps=250, **options)  # type: ignore[operator]
    mean, covariance = posterior_of(Y)
    theta = posterior.sample(4000, Y, seed=0)
    error = (covariance.diagonal() / 4000).sqrt()
    # Few steps: the error of the model is allowed as much as a tenth of a deviation.
    assert bool(
        ((theta.mean(0) - mean).abs() < 4 * error + 0.1 * covariance.diagonal().sqrt()).all()
    )
    assert torch.allclose(theta.mT.cov(), covariance, atol=0.15 * float(covariance.max()))
    exact = torch.distributions.MultivariateNormal(mean, covariance).log_prob(theta[:50])
    found = posterior.log_prob(theta[:50], Y)
    assert float((found.value - exact).abs().mean()) < 0.15


def _squared(theta: Tensor, seed: int) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return theta.square() + 0.05 * torch.randn(len(theta), 1, generator=g)


@pytest.mark.parametrize("unbounded", [True, False])
def test_draws_are_inside_and_densities_integrate_to_one(unbounded: bool) -> None:
    prior = Box([-1.0], [1.0])
    pairs = sbi.simulate(prior, _squared, 500, seed=0)
    posterior = sbi.NPE(prior, pairs, steps=60, unbounded=unbounded)
    y = torch.tensor([0.95])
    theta = posterior.sample(400, y, seed=0)
    assert bool((theta.abs() <= 1).all())
    grid = torch.linspace(-0.9999, 0.9999, 4001)[:, None]
    found = posterior.log_prob(grid, y)
    total = float(torch.trapezoid(found.value.exp(), grid[:, 0]))
    assert total == pytest.approx(1.0, abs=0.03)
    share = posterior.acceptance(y)
    assert (share.value == 1.0) == unbounded
    assert posterior.log_prob(torch.tensor([[1.5]]), y).value.item() == -math.inf


class _Triangle:
    """`p(x) = 2 x` on [0, 1], which says nothing of its support but by its density."""

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        return Box([0.0], [1.0]).sample(n, seed=seed, generator=generator).sqrt()

    def log_prob(self, x: Tensor) -> Tensor:
        inside = (x > 0) & (x <= 1)
        return torch.where(inside, (2 * x).log(), -math.inf).sum(1)


@pytest.mark.parametrize(
    "prior", [_Triangle(), IndependentProduct(_Triangle())], ids=["alone", "in a product"]
)
def test_a_prior_of_ones_own_is_asked_for_its_support(prior: object) -> None:
    pairs = sbi.simulate(prior, _squared, 400, seed=0)  # type: ignore[arg-type]
    posterior = sbi.NPE(prior, pairs, steps=40)  # type: ignore[arg-type]
    y = torch.tensor([0.98])
    theta = posterior.sample(400, y, seed=0)
    assert bool(((theta > 0) & (theta <= 1)).all())
    assert posterior.acceptance(y).value < 0.95
    grid = torch.linspace(1e-4, 1.0, 2001)[:, None]
    total = float(torch.trapezoid(posterior.log_prob(grid, y).value.exp(), grid[:, 0]))
    assert total == pytest.approx(1.0, abs=0.03)


def test_a_normal_prior_rejects_nothing() -> None:
    prior = IndependentProduct(Normal((1,)), ColoredNormal(torch.eye(1)))
    for own in (prior, PRIOR):
        pairs = sbi.simulate(own, lambda theta, seed: theta, 100, seed=0)
        share = sbi.NPE(own, pairs, steps=1).acceptance(torch.tensor([9.0, 9.0]))
        assert (share.value, share.stderr) == (1.0, 0.0)


def test_a_model_that_leaks_says_so() -> None:
    prior = Box([-1.0], [1.0])
    pairs = sbi.simulate(prior, lambda t, seed: t, 300, seed=0)
    posterior = sbi.NPE(prior, pairs, steps=5, unbounded=False)
    with pytest.raises(InputError, match="has leaked out of it at this observation"):
        posterior.sample(2, torch.tensor([4.9]), seed=0)


def test_draws_of_an_observation_do_not_depend_on_the_others() -> None:
    for unbounded in (True, False):
        prior = Box([-1.0], [1.0])
        posterior = sbi.NPE(
            prior, sbi.simulate(prior, _squared, 200, seed=0), steps=3, unbounded=unbounded
        )
        several = torch.tensor([[0.3], [0.9]])
        both = posterior.posterior(several).sample(20, seed=4)
        assert both.shape == (20, 2, 1)
        assert torch.allclose(both[:, 0], posterior.sample(20, several[0], seed=4), atol=1e-6)
        assert not torch.equal(both[:, 0], both[:, 1])
        # A part of them, as one of several processes draws, is a part of the same.
        each = several.repeat_interleave(10, 0)
        whole = posterior.sample(20, each, seed=1)
        part = posterior.sample(20, each, seed=1, rows=slice(5, 12))
        assert torch.allclose(part, whole[5:12], atol=1e-6)


def test_a_good_posterior_is_calibrated_and_another_is_not() -> None:
    posterior = sbi.NPE(PRIOR, PAIRS, steps=250)
    fresh = sbi.simulate(PRIOR, linear, 250, seed=5)
    assert posterior.calibrate(fresh, draws=39).passed
    wrong = sbi.simulate(PRIOR, lambda t, seed: t @ MATRIX.mT + 0.8 * torch.randn(
        len(t), 3, generator=torch.Generator().manual_seed(seed)), 250, seed=5)  # fmt: skip
    assert "SBC" in posterior.calibrate(wrong, draws=39).rejected


def test_simulations_that_fail_are_left_out_and_counted() -> None:
    def failing(theta: Tensor, seed: int) -> Tensor:
        return torch.where(theta > 0.5, math.nan, theta)

    pairs = sbi.simulate(Box([0.0], [1.0]), failing, 400, batch_size=64, seed=0)
    assert len(pairs) + pairs.failed == 400
    assert 150 < pairs.failed < 250
    assert "simulations that failed left out" in str(pairs)
    assert bool((pairs.theta <= 0.5).all())


def test_bad_input_is_named() -> None:
    prior = Box([0.0], [1.0])
    with pytest.raises(InputError, match="an observation for each of 10 rows"):
        sbi.simulate(prior, lambda t, seed: t[:3], 10, seed=0)
    with pytest.raises(InputError, match=r"parameters \(n, d\) and observations"):
        sbi.pairs_of(torch.zeros(3), torch.zeros(3, 1))
    with pytest.raises(InputError, match="2 of 3 parameters lie outside"):
        sbi.NPE(prior, (torch.tensor([[0.5], [2.0], [-1.0]]), torch.zeros(3, 1)))
    posterior = sbi.NPE(prior, sbi.simulate(prior, _squared, 100, seed=0), steps=1)
    with pytest.raises(InputError, match=r"a context has shape \(1,\) for all"):
        posterior.sample(3, torch.zeros(2))
    with pytest.raises(InputError, match="NaN or infinity"):
        posterior.sample(3, torch.tensor([math.nan]))
    with pytest.raises(InputError, match=r"a data point has shape \(1,\), not \(2,\)"):
        posterior.log_prob(torch.zeros(3, 2), torch.zeros(1))


def test_positive_parameters_stay_positive() -> None:
    prior = LogNormal([0.0], [1.0])
    pairs = sbi.simulate(prior, lambda t, seed: t, 200, seed=0)
    posterior = sbi.NPE(prior, pairs, steps=2)
    assert bool((posterior.sample(500, torch.tensor([0.01]), seed=0) > 0).all())
