"""Dirichlet and gamma distributions: laws, densities and gradients up to the boundary."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from pushforward._draws import binomial, gamma, log_gamma_draw, multinomial, poisson
from pushforward._random import resolve
from pushforward.distributions import Dirichlet, DirichletMixture, GammaProduct
from pushforward.errors import InputError


@pytest.mark.parametrize("a", [0.05, 0.7, 1.0, 2.5, 40.0])
def test_gamma_numbers_have_their_law(a: float) -> None:
    x = gamma(torch.full((4000, 1), a), resolve(0, rows=4000)).squeeze(1)
    assert stats.kstest(x.numpy(), stats.gamma(a).cdf).pvalue > 1e-3


def test_tiny_concentrations_have_finite_logarithms() -> None:
    logs = log_gamma_draw(torch.full((2000, 1), 1e-3), resolve(0, rows=2000)).squeeze(1)
    assert bool(logs.isfinite().all())
    # E log x = psi(a), about -1000.
    assert float(logs.mean()) == pytest.approx(-1000.6, abs=4 * 1000 / 2000**0.5)


COUNTS = {
    "poisson": [
        (0.01, stats.poisson(0.01)),
        (3.0, stats.poisson(3.0)),
        (900.0, stats.poisson(900)),
    ],
    "binomial": [
        ((30, 0.4), stats.binom(30, 0.4)),
        ((90, 0.15), stats.binom(90, 0.15)),
        ((60000, 0.3), stats.binom(60000, 0.3)),
        ((1, 0.3), stats.binom(1, 0.3)),
        ((40, 0.02), stats.binom(40, 0.02)),
        ((3000, 0.9), stats.binom(3000, 0.9)),
    ],
}


@pytest.mark.parametrize(
    ("kind", "at", "law"), [(k, at, law) for k, rows in COUNTS.items() for at, law in rows]
)
def test_counts_have_their_law(kind: str, at, law) -> None:
    n = 3000
    noise = resolve(1, rows=n)
    if kind == "poisson":
        found = poisson(torch.full((n,), at), noise)
    else:
        found = binomial(torch.full((n,), float(at[0])), torch.full((n,), at[1]), noise)
    # Randomized to a continuous law: u of the mass at each value is below it.
    u = torch.rand(n, generator=torch.Generator().manual_seed(2)).numpy()
    k = found.numpy()
    assert stats.kstest(law.cdf(k - 1) + u * law.pmf(k), "uniform").pvalue > 1e-3


def test_rows_get_the_same_in_any_batch() -> None:
    u = torch.rand(2, 50, 3, generator=torch.Generator().manual_seed(0))
    a, rate = u[0] + 0.1, 20 * u[1]
    for draw, x in ((gamma, a), (poisson, rate)):
        whole = draw(x, resolve(3, rows=50))
        assert torch.equal(whole[10:30], draw(x[10:30], resolve(3, rows=50).take(slice(10, 30))))
    p = torch.softmax(u[0], 1)
    whole = multinomial(torch.full((50,), 30.0), p, resolve(3, rows=50))
    part = resolve(3, rows=50).take(slice(10, 30))
    assert torch.equal(whole[10:30], multinomial(torch.full((20,), 30.0), p[10:30], part))
    assert bool((whole.sum(1) == 30).all())


def test_small_concentrations_do_not_read_the_rounds_of_other_rows() -> None:
    a = torch.full((2000, 3), 0.3)
    many = log_gamma_draw(a, resolve(0, rows=2000))
    assert torch.equal(log_gamma_draw(a[:5], resolve(0, rows=5)), many[:5])
    dirichlet = Dirichlet(a[0])
    assert torch.equal(dirichlet.sample(1, seed=3), dirichlet.sample(1000, seed=3)[:1])


def test_densities_are_those_of_scipy() -> None:
    a = torch.tensor([0.4, 1.0, 3.5]).double()
    x = Dirichlet(a).sample(20, seed=0)
    exact = [stats.dirichlet(a.numpy()).logpdf(row.numpy()) for row in x]
    assert torch.allclose(Dirichlet(a).log_prob(x), torch.tensor(exact).double(), atol=1e-9)
    y = GammaProduct(a).sample(20, seed=1)
    exact = stats.gamma(a.numpy()).logpdf(y.numpy()).sum(1)
    assert torch.allclose(GammaProduct(a).log_prob(y), torch.tensor(exact), atol=1e-9)


def test_a_mixture_integrates_to_one_and_has_its_moments() -> None:
    mixture = DirichletMixture(
        torch.tensor([[4.0, 1.0, 2.0], [1.0, 6.0, 3.0]]).double(), torch.tensor([1.0, 3.0]).double()
    )
    uniform = Dirichlet(torch.ones(3).double()).sample(20_000, seed=0)
    ratio = mixture.log_prob(uniform).exp() / 2
    error = float(ratio.std()) / 20_000**0.5
    assert float(ratio.mean()) == pytest.approx(1, abs=4 * error)
    x = mixture.sample(20_000, seed=1)
    assert torch.allclose(x.mean(0), mixture.mean, atol=4 * float(x.std(0).max()) / 141)


def test_single_precision_is_right_near_the_boundary() -> None:
    a = torch.tensor([0.02, 0.5, 1.0, 8.0])
    x = Dirichlet(a).sample(2000, seed=0)
    assert float(x.min()) > 0
    assert torch.allclose(x.sum(1), torch.ones(2000), atol=1e-6)
    low, high = Dirichlet(a).log_prob(x), Dirichlet(a.double()).log_prob(x.double())
    assert bool(low.isfinite().all())
    assert torch.allclose(low.double(), high, rtol=1e-6)


def test_gradients_are_finite_where_densities_are() -> None:
    # On an edge where the exponent is zero, and for tiny shares.
    x = torch.tensor([[0.0, 0.4, 0.6], [1e-30, 0.4, 0.6]], requires_grad=True)
    log = Dirichlet(torch.tensor([1.0, 2.0, 3.0])).log_prob(x)
    (slope,) = torch.autograd.grad(log.sum(), x)
    assert torch.allclose(slope, torch.tensor([[0.0, 2.5, 2 / 0.6]] * 2))
    assert float(log[0].detach()) == pytest.approx(math.log(60 * 0.4 * 0.36), abs=1e-5)
    concentration = torch.tensor([0.5, 2.0, 3.0]).double()
    y = torch.tensor([[1e-12, 0.4, 0.6 - 1e-12]]).double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda v: Dirichlet(concentration).log_prob(v / v.sum(1, keepdim=True)),
        torch.tensor([[0.01, 0.4, 0.59]]).double().requires_grad_(),
    )
    (slope,) = torch.autograd.grad(Dirichlet(concentration).log_prob(y).sum(), y)
    assert float(slope[0, 0]) == pytest.approx(-0.5e12)


def test_wrong_concentrations_are_refused() -> None:
    for wrong in (torch.tensor([1.0, 0.0]), torch.tensor([1, 2]), torch.tensor([1.0])):
        with pytest.raises(InputError):
            Dirichlet(wrong)
    with pytest.raises(InputError, match="as many weights"):
        DirichletMixture(torch.ones(2, 3), torch.ones(3))
