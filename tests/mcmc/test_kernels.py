"""Kernels against laws whose moments are known."""

from __future__ import annotations

import math
from contextlib import nullcontext
from itertools import pairwise

import pytest
import torch

from pushforward import mcmc
from pushforward.distributions import GaussianMixture
from pushforward.errors import ConvergenceWarning, InputError

ADJUSTED = [mcmc.MALA(0.6), mcmc.HMC(0.5, 4)]


def _seed(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _normal(x):
    return -x.flatten(1).square().sum(-1) / 2


def _scaled(x):
    """A Gaussian of variances 1 and 4, up to a constant."""
    return -(x[:, 0].square() + x[:, 1].square() / 4) / 2


@pytest.mark.parametrize("kernel", ADJUSTED, ids=str)
def test_a_gaussian_is_invariant(kernel) -> None:
    """From exact draws, moments after 30 steps are those of the law within four errors."""
    n = 20_000
    x = torch.randn(n, 2, generator=_seed(), dtype=torch.float64) * torch.tensor([1.0, 2.0])
    chains = mcmc.run(kernel, _scaled, x, 30, seed=1)
    variance = torch.tensor([1.0, 4.0], dtype=torch.float64)
    assert (chains.x.mean(0).abs() < 4 * (variance / n).sqrt()).all()
    assert ((chains.x.square().mean(0) - variance).abs() < 4 * variance * (2 / n) ** 0.5).all()
    fourth = chains.x.pow(4).mean(0)
    assert ((fourth - 3 * variance**2).abs() < 4 * variance**2 * (96 / n) ** 0.5).all()
    assert 0.5 < float(chains.acceptance.mean()) < 1
    assert not chains.diverged.any()


@pytest.mark.parametrize("kernel", ADJUSTED, ids=str)
def test_a_mixture_is_invariant(kernel) -> None:
    law = GaussianMixture(
        torch.tensor([[-1.5, 0.0], [1.5, 1.0]]), torch.tensor([0.3, 0.8]), torch.tensor([0.3, 0.7])
    )
    n = 20_000
    chains = mcmc.run(kernel, law.log_prob, law.sample(n, seed=0), 30, seed=1)
    spread = law.covariance.diagonal()
    assert ((chains.x.mean(0) - law.mean).abs() < 4 * (spread / n).sqrt()).all()
    fresh = law.sample(200_000, seed=2)
    for statistic in (lambda x: x[:, 0] * x[:, 1], lambda x: (x[:, 0] > 0).float()):
        expected, found = statistic(fresh), statistic(chains.x)
        error = (found.var() / n + expected.var() / len(fresh)).sqrt()
        assert abs(found.mean() - expected.mean()) < 4 * error


@pytest.mark.parametrize("kernel", ADJUSTED, ids=str)
def test_chains_forget_where_they_began(kernel) -> None:
    x = torch.full((4000, 2), 3.0)
    chains = mcmc.run(kernel, _normal, x, 60, warmup=60, seed=0)
    assert (chains.x.mean(0).abs() < 4 / 4000**0.5).all()
    assert ((chains.x.var(0) - 1).abs() < 4 * (2 / 4000) ** 0.5).all()


@pytest.mark.parametrize("kernel", ADJUSTED, ids=str)
def test_chains_say_whether_their_step_has_settled(kernel) -> None:
    x = torch.randn(200, 2, generator=_seed())
    assert mcmc.run(kernel, _normal, x, 5, warmup=60, seed=0).adapted
    assert mcmc.run(kernel, _normal, x, 5, step=1e-4, seed=0).adapted
    with pytest.warns(ConvergenceWarning, match="step size has not settled.*longer warmup"):
        chains = mcmc.run(kernel, _normal, x, 5, step=1e-4, warmup=1, seed=0)
    assert not chains.adapted


@pytest.mark.parametrize("step", [0.2, 0.8])
def test_unadjusted_chains_have_the_known_bias(step: float) -> None:
    """The variance is `1 / (1 - h / 4)`, not 1."""
    n = 40_000
    chains = mcmc.run(mcmc.ULA(step), _normal, torch.randn(n, 1, generator=_seed()), 60, seed=1)
    expected = 1 / (1 - step / 4)
    error = expected * (2 / n) ** 0.5
    assert abs(float(chains.x.var()) - expected) < 4 * error
    assert abs(expected - 1) > 4 * error


@pytest.mark.parametrize("make", [lambda e: mcmc.MALA(e * e), lambda e: mcmc.HMC(e, 3)])
def test_small_steps_are_accepted(make) -> None:
    """The rejection rate goes to zero at least as the square of the leapfrog step."""
    x = torch.randn(4000, 5, generator=_seed(), dtype=torch.float64)
    rejected = []
    for e in (0.4, 0.2, 0.1):
        move = make(e).move(_normal, mcmc.evaluate(_normal, x), generator=_seed(1))
        rejected.append(1 - float(move.acceptance.mean()))
    assert all(before > 3 * after for before, after in pairwise(rejected))
    assert rejected[2] < 0.02


def _quartic(x):
    return -(x.pow(4) / 4 + x.square() / 2).sum(-1)


def test_the_leapfrog_error_is_of_second_order() -> None:
    x = torch.randn(200, 2, generator=_seed(), dtype=torch.float64)
    p = torch.randn(200, 2, generator=_seed(1), dtype=torch.float64)
    start = mcmc.evaluate(_quartic, x)
    errors = []
    for count in (20, 40, 80):
        end, q = mcmc.leapfrog(_quartic, start, p, 1 / count, count)
        energy = start.log_p - end.log_p + (q.square() - p.square()).sum(-1) / 2
        errors.append(float(energy.abs().mean()))
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert all(abs(order - 2) < 0.25 for order in orders)


def test_the_leapfrog_map_is_reversible() -> None:
    x = torch.randn(20, 3, generator=_seed(), dtype=torch.float64)
    p = torch.randn(20, 3, generator=_seed(1), dtype=torch.float64)
    end, q = mcmc.leapfrog(_quartic, mcmc.evaluate(_quartic, x), p, 0.1, 25)
    back, minus = mcmc.leapfrog(_quartic, end, -q, 0.1, 25)
    assert torch.allclose(back.x, x, atol=1e-10)
    assert torch.allclose(minus, -p, atol=1e-10)


def test_mala_is_metropolis_hastings_with_langevin_proposals() -> None:
    """Its acceptance is `p(y) q(x | y) / p(x) q(y | x)` of the proposal that it makes."""
    h = 0.5
    x = torch.randn(50, 2, generator=_seed(), dtype=torch.float64)
    state = mcmc.evaluate(_quartic, x)
    move = mcmc.MALA(h).move(_quartic, state, generator=_seed(1))
    noise = torch.empty_like(x).normal_(generator=_seed(1))
    y = mcmc.evaluate(_quartic, x + h / 2 * state.gradient + h**0.5 * noise)
    there = -(y.x - x - h / 2 * state.gradient).square().sum(-1) / (2 * h)
    back = -(x - y.x - h / 2 * y.gradient).square().sum(-1) / (2 * h)
    expected = (y.log_p - state.log_p + back - there).exp().clamp(max=1)
    assert torch.allclose(move.acceptance, expected)
    moved = (move.state.x != x).any(-1)
    assert torch.allclose(move.state.x[moved], y.x[moved])
    assert torch.equal(move.state.log_p, _quartic(move.state.x))


@pytest.mark.parametrize(("kernel", "start"), [(mcmc.MALA(20.0), 1.0), (mcmc.HMC(5.0), 1e-3)])
def test_warm_up_finds_the_acceptance_rate(kernel, start: float) -> None:
    x = torch.randn(500, 10, generator=_seed())
    for step in (None, start):
        chains = mcmc.run(kernel, _normal, x, 50, step=step, warmup=150, seed=0)
        assert abs(float(chains.acceptance.mean()) - kernel.target) < 0.05


def _cliff(x):
    """Not finite to the right of 2."""
    return torch.where(x[:, 0] < 2, -x.square().sum(-1) / 2, torch.full_like(x[:, 0], math.nan))


@pytest.mark.parametrize("kernel", [mcmc.ULA(0.3), mcmc.MALA(0.3), mcmc.HMC(0.3, 4)], ids=str)
def test_chains_that_meet_no_number_are_reported(kernel) -> None:
    x = torch.zeros(200, 1)
    with pytest.warns(UserWarning, match=r"moves of 200 chains diverged.*smaller step"):
        chains = mcmc.run(kernel, _cliff, x, 40, seed=0)
    assert 0 < int(chains.diverged.sum()) < 200
    assert (chains.x < 2).all()


@pytest.mark.parametrize("kernel", [mcmc.ULA(9.0), mcmc.MALA(900.0), mcmc.HMC(30.0, 4)], ids=str)
def test_steps_that_are_far_too_long_are_reported(kernel) -> None:
    """Energy errors above 1000 nats, long before anything overflows."""
    x = torch.randn(20, 2, generator=_seed())
    with pytest.warns(
        UserWarning, match="of the moves of 20 chains diverged .* of those of 20 chains"
    ):
        chains = mcmc.run(kernel, lambda x: -x.square().sum(-1) * 2, x, 60, seed=0)
    assert chains.x.isfinite().all()


@pytest.mark.parametrize("kernel", [mcmc.ULA(), mcmc.MALA(), mcmc.HMC()], ids=str)
@pytest.mark.parametrize("event", [(1,), (3,), (1, 2, 2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_states_of_any_shape(kernel, event, dtype) -> None:
    x = torch.zeros(1, *event, dtype=dtype)
    chains = mcmc.run(kernel, _normal, x, 5, warmup=2, trace=True, seed=0)
    assert chains.trace is not None
    assert chains.trace.shape == (5, 1, *event)
    assert chains.x.dtype == dtype
    assert torch.equal(chains.trace[-1], chains.x)
    assert chains.evaluations == 1 + 7 * kernel.evaluations
    again = mcmc.run(kernel, _normal, x, 5, warmup=2, seed=0)
    assert torch.equal(again.x, chains.x)


def test_rows_do_not_know_of_each_other() -> None:
    """A chain that diverges does not disturb the others."""
    x = torch.zeros(3, 1)
    apart = torch.tensor([0.0, 0.0, math.inf])

    def log_p(x):
        return -x.square().sum(-1) / 2 - apart

    state = mcmc.evaluate(log_p, x)
    move = mcmc.HMC(0.3).move(log_p, state, generator=_seed())
    alone = mcmc.HMC(0.3).move(_normal, mcmc.evaluate(_normal, x), generator=_seed())
    assert torch.equal(move.state.x[:2], alone.state.x[:2])
    assert move.diverged.tolist() == [False, False, True]


def test_bad_input_is_named() -> None:
    x = torch.zeros(2, 1)
    for make in (mcmc.ULA, mcmc.MALA, mcmc.HMC):
        for step in (0.0, -1.0, math.inf, True):
            with pytest.raises(InputError, match="step is a positive finite number"):
                make(step)
    with pytest.raises(InputError, match=r"jitter.*1\.5"):
        mcmc.HMC(jitter=1.5)
    with pytest.raises(InputError, match="leapfrogs"):
        mcmc.HMC(leapfrogs=0)
    with pytest.raises(InputError, match=r"shape \(2,\), not \(2, 1\)"):
        mcmc.run(mcmc.ULA(), lambda x: x, x, 1)
    with pytest.raises(InputError, match="no derivative"):
        mcmc.run(mcmc.ULA(), lambda x: x.detach().sum(-1), x, 1)
    with pytest.raises(InputError, match="1 of 2 states are not finite"):
        mcmc.run(mcmc.ULA(), _normal, torch.tensor([[0.0], [math.nan]]), 1)
    with pytest.raises(InputError, match="floating-point"):
        mcmc.run(mcmc.ULA(), _normal, torch.zeros(2, 1).long(), 1)
    with pytest.raises(InputError, match=r"\(B, \*event\)"):
        mcmc.run(mcmc.ULA(), _normal, torch.zeros(2), 1)
    with pytest.raises(InputError, match="steps"):
        mcmc.run(mcmc.ULA(), _normal, x, 0)
    with pytest.raises(InputError, match="warmup"):
        mcmc.run(mcmc.ULA(), _normal, x, 1, warmup=-1)


@pytest.mark.parametrize(("walls", "warned"), [(1, False), (5, True)])
def test_a_few_divergent_moves_are_no_alarm(walls: int, warned: bool) -> None:
    """A move in 200, or one in 40, meets a density that is not finite; the others are right."""
    calls = 0

    def log_p(x):
        nonlocal calls
        bad = (torch.arange(len(x)) + calls) % 200 < (walls if calls else 0)
        calls += 1
        return (-x.square().sum(-1) / 2).where(~bad, torch.nan)

    start = torch.randn(200, 1, generator=torch.Generator().manual_seed(0))
    expected = pytest.warns(
        ConvergenceWarning, match=r"0\.025 of the moves of 200 chains.* of 0 ch"
    )
    with expected if warned else nullcontext():
        chains = mcmc.run(mcmc.MALA(0.5), log_p, start, 100, seed=0)
    assert chains.diverged.any()
    assert abs(float(chains.x.var()) - 1) < 4 * (2 / 200) ** 0.5
