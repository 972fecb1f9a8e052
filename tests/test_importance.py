"""Means of weights whose mean is one: the interval covers it wherever the result says so."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pushforward.importance import log_mean, pareto_shape

RUNS = 2000


def lognormal(spread: float, n: int) -> Tensor:
    noise = torch.randn(n, RUNS, generator=_seed(), dtype=torch.float64)
    return spread * noise - spread**2 / 2


def gaussian(scale: float, shift: float, dim: int, n: int) -> Tensor:
    """Log-weights of `N(0, I)` by draws of `N(shift, scale^2 I)`."""
    noise = torch.randn(n, RUNS, dim, generator=_seed(), dtype=torch.float64)
    x = scale * noise + shift
    return (noise.square() / 2 - x.square() / 2 + math.log(scale)).sum(-1)


def _seed() -> torch.Generator:
    return torch.Generator().manual_seed(0)


EASY = {
    "lognormal .2": lambda n: lognormal(0.2, n),
    "lognormal .5": lambda n: lognormal(0.5, n),
    "wide": lambda n: gaussian(2.0, 0.0, 1, n),
    "shifted": lambda n: gaussian(1.0, 0.5, 1, n),
    "ten dimensions": lambda n: gaussian(0.9, 0.0, 10, n),
}
HARD = {
    "lognormal 2": lambda n: lognormal(2.0, n),
    "lognormal 3": lambda n: lognormal(3.0, n),
    "lognormal 5": lambda n: lognormal(5.0, n),
    "far": lambda n: gaussian(1.0, 3.0, 1, n),
    "far and narrow": lambda n: gaussian(0.1, 10.0, 1, n),
}


@pytest.mark.parametrize("n", [50, 100, 512])
@pytest.mark.parametrize("name", EASY)
def test_what_has_converged_is_covered(name: str, n: int) -> None:
    """Three standard errors hold 99.7 % of a normal law; skew and few draws may cost one in 100."""
    found = log_mean(EASY[name](n))
    covered = found.value.abs() <= 3 * found.stderr
    assert float(found.converged.double().mean()) > 0.85
    assert float(covered[found.converged].double().mean()) > 0.99


@pytest.mark.parametrize("n", [50, 100, 512])
@pytest.mark.parametrize("name", HARD)
def test_what_degenerates_says_so(name: str, n: int) -> None:
    """The delta method is off by many of its errors there, and hardly ever believed."""
    logs = HARD[name](n)
    found = log_mean(logs)
    naive = (logs - found.value).exp().std(0) / n**0.5
    missed = found.value.abs() > 3 * found.stderr
    assert float((found.value.abs() > 3 * naive).double().mean()) > 0.03
    assert float((found.converged & missed).double().mean()) < 0.03
    assert float(found.converged.double().mean()) < 0.05


def test_between_them_the_interval_still_covers() -> None:
    for spread in (1.0, 1.36, 1.7):
        found = log_mean(lognormal(spread, 512))
        covered = found.value.abs() <= 3 * found.stderr
        assert float(covered.double().mean()) > 0.985


@pytest.mark.parametrize("k", [0.2, 0.5, 0.9])
def test_the_shape_of_a_pareto_tail(k: float) -> None:
    """Weights `u^-k` have one; the fit is drawn to 1/2 like by ten observations."""
    uniform = torch.rand(4000, 200, generator=_seed(), dtype=torch.float64)
    found = pareto_shape(-k * uniform.log())
    count = int(3 * 4000**0.5)
    expected = (count * k + 5) / (count + 10)
    # The asymptotic variance of the fit is (1 + k)^2 / count.
    assert abs(float(found.mean()) - expected) < 4 * (1 + k) / (200 * count) ** 0.5 + 0.02
    assert float(found.std()) == pytest.approx((1 + k) / count**0.5, rel=0.2)


def test_a_tail_without_variance_is_told_by_its_shape() -> None:
    """The effective sample size alone lets 30 % of such means pass."""
    uniform = torch.rand(4000, 1000, generator=_seed(), dtype=torch.float64)
    found = log_mean(-0.8 * uniform.log())
    enough = (found.ess >= 200) & (found.stderr <= 0.25)
    assert float(enough.double().mean()) > 0.25
    assert float(found.converged.double().mean()) < 0.21


def test_equal_weights_and_no_weights() -> None:
    even = log_mean(torch.full((100, 2), 1.5))
    assert even.converged.all()
    assert (even.value == 1.5).all()
    # What is left is the rounding of the value.
    assert torch.allclose(even.stderr, torch.tensor(2.5 * torch.finfo(torch.float32).eps))
    assert torch.allclose(even.ess, torch.tensor(100.0))
    one = log_mean(torch.zeros(1, 2))
    assert not one.converged.any()
    assert one.stderr.isinf().all()
    lost = log_mean(torch.tensor([[math.nan], [0.0]]).repeat(20, 1))
    assert not lost.converged.any()
    none = log_mean(torch.full((40, 1), -math.inf))
    assert not none.converged.any()


def test_far_scales_do_not_overflow() -> None:
    logs = lognormal(0.5, 100)
    near, far = log_mean(logs), log_mean(logs - 5000)
    assert torch.allclose(far.value + 5000, near.value)
    assert torch.allclose(far.stderr, near.stderr)
    assert torch.equal(far.converged, near.converged)
