"""Priors of parameters: densities that integrate to one, supports, and maps without bounds."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pushforward.distributions import Box, IndependentProduct, LogNormal, Normal
from pushforward.errors import InputError

PRIORS = {
    "box": Box([-1.0, 2.0], [3.0, 2.5]),
    "log-normal": LogNormal([0.3, -2.0], [0.5, 1.0]),
    "product": IndependentProduct(Box([0.0], [4.0]), LogNormal([0.0], [0.3]), Normal((1,))),
}


@pytest.mark.parametrize("name", PRIORS)
def test_the_map_without_bounds_gives_the_density_and_normal_draws(name: str) -> None:
    prior = PRIORS[name]
    x = prior.sample(4000, seed=0).double()
    z, log_det = prior.unconstrained.inverse(x)
    assert torch.allclose(prior.unconstrained(z), x, rtol=1e-6)
    # Pushed back, each of these priors is standard normal.
    normal = -0.5 * (z.square() + math.log(2 * math.pi)).sum(-1)
    assert torch.allclose(normal + log_det, prior.log_prob(x), atol=1e-5)
    assert float(z.mean(0).abs().max()) < 4 / math.sqrt(4000)
    assert float((z.var(0) - 1).abs().max()) < 4 * math.sqrt(2 / 4000)


@pytest.mark.parametrize("name", PRIORS)
def test_log_determinants_are_those_of_derivatives(name: str) -> None:
    prior = PRIORS[name]
    x = prior.sample(5, seed=1).double()

    def scores(row: Tensor) -> Tensor:
        return prior.unconstrained.inverse(row[None])[0][0]

    for row, log_det in zip(x, prior.unconstrained.inverse(x)[1], strict=True):
        jacobian = torch.autograd.functional.jacobian(scores, row)
        assert float(torch.linalg.slogdet(jacobian).logabsdet) == pytest.approx(float(log_det))


def test_nothing_is_outside_of_the_box_however_far_scores_are() -> None:
    prior = Box([-1.0, 0.0], [1.0, 1e-3])
    z = torch.tensor([[-40.0, 40.0], [40.0, -40.0], [6.0, -6.0]])
    x = prior.unconstrained(z)
    assert bool(((x > prior.low) & (x < prior.high)).all())
    assert bool(prior.log_prob(x).isfinite().all())
    # Tails keep their digits next to either bound.
    deep = torch.tensor([[5.0, -5.0]], dtype=torch.float64)
    assert torch.allclose(
        prior.unconstrained.inverse(prior.unconstrained(deep))[0], deep, rtol=1e-6
    )


def test_noise_belongs_to_rows() -> None:
    for prior in PRIORS.values():
        assert torch.equal(prior.sample(7, seed=3)[:4], prior.sample(4, seed=3))


def test_no_draw_lies_on_a_bound() -> None:
    # Four numbers apart in single precision, so that rounding puts one draw in four on a bound.
    prior = Box([1.0], [1.0 + 4 * 2.0**-23])
    x = prior.sample(200, seed=0)
    assert ((x > prior.low) & (x < prior.high)).all()
    assert prior.unconstrained.inverse(x)[0].isfinite().all()


def test_outside_there_is_no_density() -> None:
    assert PRIORS["box"].log_prob(torch.tensor([[4.0, 2.1]])).item() == -math.inf
    assert PRIORS["log-normal"].log_prob(torch.tensor([[1.0, 0.0]])).item() == -math.inf
    assert PRIORS["product"].log_prob(torch.tensor([[5.0, 1.0, 0.0]])).item() == -math.inf


def test_bad_priors_are_named() -> None:
    with pytest.raises(InputError, match="low is below high"):
        Box([0.0, 1.0], [1.0, 1.0])
    with pytest.raises(InputError, match="of one length"):
        Box([0.0], [1.0, 2.0])
    with pytest.raises(InputError, match="std is positive"):
        LogNormal([0.0], [0.0])
    with pytest.raises(InputError, match="1 of 1 rows are not inside"):
        PRIORS["box"].unconstrained.inverse(torch.tensor([[4.0, 2.1]]))
    with pytest.raises(InputError, match="at least one"):
        IndependentProduct()
