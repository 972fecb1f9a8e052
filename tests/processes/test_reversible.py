"""The transitions of diffusions towards gamma and Dirichlet distributions, by other ways."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import special, stats

from pushforward._bessel import bessel_ratio
from pushforward._random import RowNoise
from pushforward.processes import CoxIngersollRoss, WrightFisher
from pushforward.processes._lineages import SHORT, lineages, lineages_law, normal_limits
from pushforward.processes.dirichlet_path import dirichlet_speed

TIMES = (0.03, 0.2, 0.5)


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("a", [0.1, 1.0, 7.0, 40.0])
def test_bessel_sums_and_means_are_those_of_scipy(a: float) -> None:
    c = torch.tensor([1e-8, 0.5, 50.0, 399.0, 401.0, 1e4, 1e6, 1e8]).double()
    mean, log = bessel_ratio(c, torch.full_like(c, a))
    x = 2 * c.sqrt().numpy()
    exact = c.sqrt().numpy() * special.ive(a, x) / special.ive(a - 1, x)
    logs = special.ive(a - 1, x)
    assert torch.allclose(mean, torch.from_numpy(exact), rtol=1e-10)
    expected = torch.from_numpy(logs).log() + torch.from_numpy(x) + (1 - a) / 2 * c.log()
    assert torch.allclose(log, expected + math.lgamma(a), atol=1e-7)


@pytest.mark.parametrize("t", TIMES)
def test_amounts_follow_a_noncentral_chi_square(t: float) -> None:
    process, start, n = CoxIngersollRoss(0.7), 1.8, 4000
    alpha, sigma = process.schedule.at(t)[:2]
    share, ratio = sigma**2, (alpha / sigma) ** 2
    law = stats.ncx2(2 * 0.7, 2 * ratio * start, scale=share / 2)
    x = process.sample(torch.full((n, 1), start), t, _generator()).double()
    assert stats.kstest(x[:, 0].numpy(), law.cdf).pvalue > 1e-3
    # Moments: a + e^{-bt} (y_0 - a), and the variance with e^{-2bt} in its second part.
    left = alpha**2
    mean = 0.7 + left * (start - 0.7)
    variance = 0.7 * (1 - left) ** 2 + 2 * start * (left - left**2)
    assert (law.mean(), law.var()) == (pytest.approx(mean), pytest.approx(variance))
    few = x[:20]
    logs = process.log_transition(few, torch.full((20, 1), start).double(), t)
    assert torch.allclose(logs, torch.from_numpy(law.logpdf(few[:, 0].numpy())), atol=1e-6)


@pytest.mark.parametrize("t", TIMES)
def test_the_conditional_prediction_is_the_relative_score(t: float) -> None:
    process = CoxIngersollRoss((0.7, 2.0))
    z = torch.tensor([[1.8, 0.3], [0.0, 4.0]]).double()
    y = process.sample(z, t, _generator()).requires_grad_()
    prior = process.prior((2,))
    (slope,) = torch.autograd.grad((process.log_transition(y, z, t) - prior.log_prob(y)).sum(), y)
    assert torch.allclose(process.conditional(y.detach(), z, t), y.detach() * slope, rtol=1e-5)


def test_the_drift_of_the_reversal_is_that_of_the_paper() -> None:
    # -b (a - Z) + 2 b + 2 b Z grad log p, per unit of reversed time.
    process, t = CoxIngersollRoss(1.7), 0.4
    y = torch.tensor([[0.5], [2.0]]).double()
    score = torch.tensor([[-0.3], [0.4]]).double()
    pred = y * (score - ((1.7 - 1) / y - 1))
    flow = process.dynamics(pred, y, t)
    b = process.schedule.at(t).g2
    h = 1e-6
    moved = [flow.advance(y, -h, 1.0, _generator(k)) - y for k in range(2)]
    noise = torch.randn(2, 1, generator=_generator(), dtype=torch.float64)
    drift = (moved[0] - (2 * b * y * h).sqrt() * noise) / h
    assert torch.allclose(drift, -b * (1.7 - y) + 2 * b + 2 * b * y * score, rtol=1e-4)
    assert not torch.equal(*moved)


@pytest.mark.parametrize("kind", [CoxIngersollRoss, WrightFisher])
def test_a_solver_of_the_equation_agrees_with_the_transition(kind) -> None:
    process, n, steps = kind((1.5, 2.0, 2.5)), 3000, 150
    start = torch.tensor([[0.6, 0.3, 0.1]]).double().expand(n, 3)
    end, x, noise = 0.25, start, RowNoise(1, slice(0, n))
    for k in range(steps):
        t = 1e-4 + (end - 1e-4) * k / steps
        h = (end - 1e-4) / steps
        # Forwards: the drift alone and all of the noise; a prediction of zero cancels the rest.
        flow = process.dynamics(torch.zeros_like(x), x, t)
        x = flow.advance(x, h, 1.0, noise)
    exact = process.sample(start, end, _generator(2))
    for f in (lambda v: v, lambda v: v.square(), lambda v: v[:, :1] * v[:, 1:]):
        a, b = f(exact), f(x)
        error = ((a.var(0) + b.var(0)) / n).sqrt()
        assert float(((a.mean(0) - b.mean(0)) / error).abs().max()) < 4.2


@pytest.mark.parametrize("t", [0.02, 0.3])
def test_shares_keep_as_much_of_the_data_as_the_clock_says(t: float) -> None:
    process, n = WrightFisher((1.0, 2.0, 3.0)), 6000
    start = torch.tensor([[0.7, 0.2, 0.1]]).double().expand(n, 3)
    x = process.sample(start, t, _generator())
    stationary = torch.tensor([1.0, 2.0, 3.0]).double() / 6
    left = process.schedule.at(t).alpha ** 2
    exact = stationary + left * (start[0] - stationary)
    # The normal number of lineages is off by a little, in the mean of what is left.
    error = 4.5 * x.std(0) / n**0.5
    assert bool(((x.mean(0) - exact).abs() < error).all())


@pytest.mark.parametrize("theta", [0.6, 3.0, 20.0])
def test_lineages_are_a_law_and_meet_the_normal_one(theta: float) -> None:
    tau = torch.tensor([SHORT, 0.3, 1.5]).double()
    law = lineages_law(tau, theta)
    assert torch.allclose(law.sum(1), torch.ones(3).double(), atol=1e-7)
    m = torch.arange(law.shape[1]).double()
    mean, square = law @ m, law @ m.square()
    limits = normal_limits(tau[:1], theta)
    assert float(mean[0]) == pytest.approx(float(limits[0]), abs=0.03)
    assert float(square[0] - mean[0] ** 2) == pytest.approx(float(limits[1]), abs=0.03)
    # None is left by tau with chance 1 - |theta| E..., and the falling factorials decay by rates:
    # E[m] of theta lineages obeys sum_m m (m - 1 + theta) / 2 P(m) = -d/dtau E[m].
    h = 1e-4
    later, sooner = (lineages_law(tau + s * h, theta) @ m for s in (1, -1))
    rate = law @ (m * (m - 1 + theta) / 2)
    assert torch.allclose(-(later - sooner) / (2 * h), rate, rtol=1e-3)
    drawn = lineages(torch.full((4000,), 0.3), theta, _generator())
    spread = float((square[1] - mean[1] ** 2).sqrt())
    assert float(drawn.mean()) == pytest.approx(float(mean[1]), abs=4 * spread / 63)


@pytest.mark.parametrize("parts", [2, 4, 40, 160])
def test_the_speed_of_dirichlet_paths_is_a_derivative_of_the_beta_function(parts: int) -> None:
    s, h = 3.0, 1e-4
    x = torch.tensor([1e-3, 0.02, 0.1, 0.3, 0.6]).double()
    full = torch.zeros(5, parts).double()
    full[:, 0] = x
    a, b, v = s + 1, parts - 1, x.numpy()
    slope = (special.betainc(a + h, b, v) - special.betainc(a - h, b, v)) / (2 * h)
    exact = torch.from_numpy(-slope * special.beta(a, b) / (v**s * (1 - v) ** b))
    found = dirichlet_speed(full, torch.tensor(s))[:, 0]
    # Where the difference has digits left: its numerator is small at both ends.
    good = torch.from_numpy(-slope) > 1e-7
    assert torch.allclose(found[good], exact[good], rtol=1e-4)
    assert int(good.sum()) >= 2
    finer = dirichlet_speed(full, torch.tensor(s), nodes=64)[:, 0]
    assert torch.allclose(found, finer, rtol=3e-6)


def test_the_speed_is_positive_and_finite_up_to_the_corners() -> None:
    x = torch.tensor([[1.0, 0.0, 0.0], [1 - 1e-7, 1e-7, 0.0], [1e-30, 1e-20, 1.0]])
    for s in (0.0, 8.0, 30.0):
        speed = dirichlet_speed(x, torch.tensor(s))
        assert bool(speed.isfinite().all())
        assert bool((speed >= 0).all())


def test_draws_belong_to_rows() -> None:
    z = torch.softmax(torch.randn(40, 3, generator=_generator()), 1)
    for process in (CoxIngersollRoss(0.5), WrightFisher(1.0)):
        t = torch.linspace(0.01, 1, 40)
        whole = process.sample(z, t, RowNoise(0, slice(0, 40)))
        part = process.sample(z[5:20], t[5:20], RowNoise(0, slice(5, 20)))
        assert torch.equal(whole[5:20], part)


@pytest.mark.parametrize("theta", [80.0, 160.0])
def test_few_lineages_of_large_concentrations_are_counted(theta: float) -> None:
    # Just below the time of SHORT hardly any are left, and no rounded normal number is near.
    tau, n = 0.099, 20_000
    m = lineages(torch.full((n,), tau).double(), theta, RowNoise(0, slice(0, n)))
    # By duality, what is left of the data in the first and the second moments of shares.
    for found, exact in (
        (m / (theta + m), math.exp(-theta * tau / 2)),
        (m * (m - 1) / ((theta + m) * (theta + m + 1)), math.exp(-(theta + 1) * tau)),
    ):
        assert abs(float(found.mean()) - exact) < 4 * float(found.std()) / n**0.5 + 1e-6
