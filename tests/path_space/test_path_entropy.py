"""Relative entropies of paths against closed forms, brute force and each other."""

from __future__ import annotations

import itertools
import math
from itertools import pairwise

import pytest
import torch
from torch.distributions import MultivariateNormal

from pushforward import Transport, samplers
from pushforward.analytic import AnalyticMixture, AnalyticPair
from pushforward.distributions import GaussianMixture, Normal
from pushforward.errors import CapabilityError, InputError, SamplingError
from pushforward.path_space import (
    SDE,
    chain_relative_entropy,
    forward_sde,
    gaussian_chain_relative_entropy,
    gaussian_girsanov,
    girsanov,
    jump_relative_entropy,
    log_likelihood_ratio,
    reverse_sde,
)
from pushforward.path_space.chains import GaussianKernel
from pushforward.processes import Bridge, Gaussian
from pushforward.schedules import OU, VP

STATES = 32


def _ou(rate: float, variance: float = 3.0) -> SDE:
    start = GaussianMixture(torch.zeros(1, 2, dtype=torch.float64), variance)
    return SDE(lambda x, s: -rate * x, lambda s: math.sqrt(2), start)


def test_two_ornstein_uhlenbeck_processes_in_closed_form() -> None:
    p, q, horizon = _ou(1.0), _ou(2.0, 1.5), 0.7
    # Var X_s = 1 + (3 - 1) exp(-2 s) under P, and a gap of x in the drift.
    running = 2 * 0.25 * (horizon + (1 - math.exp(-2 * horizon)))
    initial = 2 * 0.5 * (3 / 1.5 - 1 - math.log(3 / 1.5))
    found = gaussian_girsanov(p, q, 0.0, horizon)
    assert found.running == pytest.approx(running, rel=1e-7)
    assert found.initial == pytest.approx(initial, rel=1e-12)
    assert found.error < 1e-7
    times = [horizon * k / 200 for k in range(201)]
    drawn = girsanov(p, q, times, n=4000, seed=0)
    assert abs(drawn.value - initial - running) < 3 * drawn.stderr + 2 * drawn.error
    # The likelihood ratio has the same mean and a far larger spread.
    assert drawn.stderr < 0.5 * math.sqrt(running / 4000)


def _euler_chain(sde: SDE, times: list[float]) -> list[GaussianKernel]:
    eye = torch.eye(2, dtype=torch.float64)
    kernels = []
    for s, end in pairwise(times):
        h = end - s
        matrix = eye + h * sde.drift(eye, s).mT
        kernels.append(GaussianKernel(matrix, 0 * eye[0], h * sde.diffusion(s) ** 2 * eye))
    return kernels


def test_simulation_is_exact_for_the_chains_of_euler_and_maruyama() -> None:
    p, q, times = _ou(1.0), _ou(2.5), [0.0, 0.3, 0.5, 1.0]
    start = torch.zeros(2).double(), 3 * torch.eye(2).double()
    exact = gaussian_chain_relative_entropy(
        start, _euler_chain(p, times), start, _euler_chain(q, times)
    )
    found = girsanov(p, q, times, n=20_000, seed=1)
    assert abs(found.value - exact.value) < 4 * found.stderr + abs(found.initial)
    # Both measures know the ratio: its mean under P, and that of its inverse exponential.
    paths = [p.start.sample(20_000, seed=2)]
    generator = torch.Generator().manual_seed(3)
    for s, end in pairwise(times):
        noise = torch.randn(paths[-1].shape, generator=generator, dtype=torch.float64)
        step = (end - s) * p.drift(paths[-1], s) + math.sqrt(2 * (end - s)) * noise
        paths.append(paths[-1] + step)
    ratio = log_likelihood_ratio(p, q, paths, times)
    assert abs(ratio.mean() - exact.value) < 4 * ratio.std() / 20_000**0.5
    inverse = torch.exp(-ratio)
    assert abs(inverse.mean() - 1) < 4 * inverse.std() / 20_000**0.5


@pytest.mark.parametrize("dim", [1, 20])
def test_a_planted_error_of_the_score_costs_what_theory_says(dim: int) -> None:
    process = Gaussian(OU(horizon=2.0))
    eye = torch.eye(dim, dtype=torch.float64)
    variance = torch.linspace(0.3, 2.0, dim, dtype=torch.float64)
    problem = AnalyticMixture(GaussianMixture(0 * eye[:1], variance[None]))
    exact, shift = problem.model(process), 0.1

    def wrong(x, t, c=None):
        # Such that the score is wrong by the shift in every coordinate.
        k = process.schedule.at(t)
        return exact(x, t) + shift * k.sigma**2 / k.alpha

    start = GaussianMixture(0 * eye[:1], variance[None] * math.exp(-4) + 1 - math.exp(-4))
    p, q = (reverse_sde(Transport(m, process), start, first=1.0) for m in (exact, wrong))
    # int g^2 |e|^2 / 2 with g^2 = 2 horizon on the clock from 0 to 1.
    expected = 2.0 * 0.9 * dim * shift**2
    assert gaussian_girsanov(p, q, 0.0, 0.9).value == pytest.approx(expected, rel=1e-6)


def test_a_bridge_costs_what_its_coupling_does() -> None:
    # Given their ends, paths of the Schrödinger bridge are those of its reference.
    sigma, pair = 0.8, AnalyticPair.schrodinger(0.8)
    process = Bridge(sigma)
    start = GaussianMixture(torch.zeros(1, 1, dtype=torch.float64), 1.0)
    bridge = forward_sde(Transport(pair.model(process), process), start, first=1e-7)
    reference = SDE(lambda x, s: torch.zeros_like(x), lambda s: sigma, start)
    c = pair.covariance
    plan = torch.tensor([[1.0, c], [c, 1.0]]).double()
    free = torch.tensor([[1.0, 1.0], [1.0, 1 + sigma**2]]).double()
    zero = torch.zeros(2).double()
    ends = [MultivariateNormal(zero, m) for m in (plan, free)]
    expected = float(torch.distributions.kl_divergence(*ends))
    found = gaussian_girsanov(bridge, reference, 0.0, 1 - 2e-7)
    assert found.value == pytest.approx(expected, rel=2e-6)


def test_the_chain_rule_agrees_with_all_paths() -> None:
    generator = torch.Generator().manual_seed(0)
    p, q = (torch.rand(3, 3, 3, generator=generator).double().softmax(-1) for _ in range(2))
    a, b = (torch.rand(3, generator=generator).double().softmax(-1) for _ in range(2))
    total = 0.0
    for path in itertools.product(range(3), repeat=4):
        one, other = a[path[0]], b[path[0]]
        for k, (x, y) in enumerate(pairwise(path)):
            one, other = one * p[k, x, y], other * q[k, x, y]
        total += float(one * (one / other).log())
    assert chain_relative_entropy(a, list(p), b, list(q)).value == pytest.approx(total, rel=1e-12)


def _rates(seed: int, wrong: float) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    rates = torch.rand(STATES, STATES, generator=generator).double() / STATES
    # Wrong by the state that is gone to, so that the errors do not average out.
    noise = torch.randn(STATES, generator=generator).double()
    return rates, rates * torch.exp(wrong * noise)


def _generator(rates: torch.Tensor) -> torch.Tensor:
    rates = rates - torch.diag(rates.diagonal())
    return rates - torch.diag(rates.sum(1))


@pytest.mark.parametrize("wrong", [0.05, 0.3, 1.0])
def test_jumps_bound_the_total_variation_of_their_ends(wrong: float) -> None:
    p, q = _rates(0, wrong)
    law = torch.rand(STATES, generator=torch.Generator().manual_seed(1)).double().softmax(0)
    found = jump_relative_entropy(law, p, law, q, 0.0, 2.0)
    ends = [law @ torch.matrix_exp(2.0 * _generator(r)) for r in (p, q)]
    distance = 0.5 * float((ends[0] - ends[1]).abs().sum())
    assert distance <= found.total_variation
    assert found.total_variation <= 10 * distance
    # The chain of short steps is the limit from below.
    kernels = [torch.matrix_exp(2.0 / 64 * _generator(r)) for r in (p, q)]
    chain = chain_relative_entropy(law, [kernels[0]] * 64, law, [kernels[1]] * 64)
    assert chain.value < found.value
    assert chain.value == pytest.approx(found.value, rel=0.05)


def test_rates_that_change_with_time() -> None:
    # Two states, P jumps at rate s and Q at rate 2 s: int_0^1 s (1 - log 2) ds.
    p, q = (lambda s, k=k: torch.tensor([[0.0, k * s], [k * s, 0.0]]) for k in (1.0, 2.0))
    law = torch.tensor([1.0, 0.0])
    found = jump_relative_entropy(law, p, law, q, 0.0, 1.0)
    assert found.value == pytest.approx(0.5 * (1 - math.log(2)), rel=1e-7)


def test_where_one_goes_and_the_other_cannot_is_infinitely_far() -> None:
    law, rates = torch.tensor([1.0, 0.0, 0.0]), torch.zeros(3, 3)
    rates[0, 1] = rates[1, 2] = 1.0
    blocked = rates.clone()
    blocked[1, 2] = 0.0
    # The second state is not there at the beginning, but is reached.
    assert math.isinf(jump_relative_entropy(law, rates, law, blocked, 0.0, 1.0).value)
    assert jump_relative_entropy(law, blocked, law, rates, 0.0, 1.0).value > 0


def test_the_variational_bound_is_the_entropy_of_the_data_and_that_of_the_paths() -> None:
    variances = torch.tensor([0.3, 2.0], dtype=torch.float64)
    process, times = Gaussian(VP()), [0.05, 0.2, 0.5, 1.0]
    problem = AnalyticMixture(GaussianMixture(torch.zeros(1, 2).double(), variances[None]))
    exact = problem.model(process)

    def model(x, t, c=None):
        return 0.9 * exact(x, t) + 0.05

    # The exact way back, from x_t to x_s and at last to x_0, and that of the model.
    eye, zero = torch.eye(2).double(), torch.zeros(2).double()
    true, ours = [], []
    for t, s in pairwise([*times[::-1], 0.0]):
        now, then = process.schedule.at(t), process.schedule.at(s)
        v_t, v_s = (k.alpha**2 * variances + k.sigma**2 for k in (now, then))
        cross = now.alpha / then.alpha * v_s
        matrix = torch.diag(cross / v_t)
        true.append(GaussianKernel(matrix, zero, torch.diag(v_s - cross**2 / v_t)))
        step = process.pinned(t, s) if s else None
        keep, gain, std = step[1:] if step else (0.0, 1.0, now.sigma / now.alpha)
        wrong = torch.diag(0.9 * now.alpha * variances / v_t)
        ours.append(GaussianKernel(keep * eye + gain * wrong, zero + 0.05 * gain, std**2 * eye))
    k = process.schedule.at(1.0)
    start, prior = (
        (zero, torch.diag(v))
        for v in (k.alpha**2 * variances + k.sigma**2, k.sigma**2 * torch.ones_like(variances))
    )
    paths = gaussian_chain_relative_entropy(start, true, prior, ours)
    entropy = float(MultivariateNormal(zero, torch.diag(variances)).entropy())
    x = problem.data.sample(20_000, seed=0)
    bound = samplers.variational_bound(Transport(model, process), x, times, seed=1).total
    assert abs(bound.mean() - entropy - paths.value) < 4 * bound.std() / 20_000**0.5


def test_what_cannot_be_compared_is_refused() -> None:
    p, start, eye = _ou(1.0), Normal((2,)), torch.eye(2)
    with pytest.raises(InputError, match="relative entropy is infinite"):
        girsanov(p, SDE(p.drift, lambda s: 1.0, p.start), [0.0, 1.0])
    with pytest.raises(CapabilityError, match="not linear"):
        gaussian_girsanov(p, SDE(lambda x, s: x**3, p.diffusion, start), 0.0, 1.0)
    with pytest.raises(CapabilityError, match="no normal distributions"):
        gaussian_girsanov(SDE(p.drift, p.diffusion, AnalyticMixture.ring().data), p, 0.0, 1.0)
    with pytest.raises(InputError, match="increasing"):
        girsanov(p, p, [1.0, 0.0])
    with pytest.raises(InputError, match="sum to one"):
        chain_relative_entropy(torch.ones(2), [], torch.ones(2), [])
    with pytest.raises(InputError, match="not negative"):
        jump_relative_entropy(torch.ones(2) / 2, eye, torch.ones(2) / 2, eye - 1, 0.0, 1.0)
    with pytest.raises(SamplingError, match="not finite"):
        girsanov(SDE(lambda x, s: x**9, p.diffusion, p.start), p, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    with pytest.raises(SamplingError, match="not finite at s = 1"):
        gaussian_girsanov(SDE(lambda x, s: x / (1 - s), p.diffusion, p.start), p, 0.0, 1.0)
