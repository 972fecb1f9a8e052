"""Steps of the right variance, exact and learned, against closed forms."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import pytest
import torch

import pushforward as pf
from pushforward import Transport, grids, samplers, schedules
from pushforward.analytic import AnalyticMixture
from pushforward.distributions import GaussianMixture
from pushforward.errors import CapabilityError, InputError
from pushforward.metrics import observed_order
from pushforward.processes import Gaussian

VARIANCES = torch.tensor([[0.3, 2.0]], dtype=torch.float64)
NORMAL = AnalyticMixture(GaussianMixture(torch.zeros(1, 2, dtype=torch.float64), VARIANCES))
TWO = AnalyticMixture(
    GaussianMixture(torch.tensor([[1.5, -1.0], [-1.0, 0.5]], dtype=torch.float64), 0.25)
)
# One coordinate of unit variance, whose posterior variance depends on the state.
LINE = AnalyticMixture(GaussianMixture(torch.tensor([[0.9], [-0.9]], dtype=torch.float64), 0.19))
N = 100_000


def _end(problem: AnalyticMixture, sampler, steps: int, schedule=None, n: int = N) -> torch.Tensor:
    process = Gaussian(schedule or schedules.VP())
    transport = Transport(problem.model(process), process)
    times = grids.LogSNRGrid()(process.schedule, steps)
    # From the law at the first time itself, so that only the steps err.
    x = problem.noised(process, times[0]).sample(n, seed=0)
    return samplers.run(sampler(transport), transport, x, times, seed=1)


def _matched(churn: float):
    return lambda transport: samplers.Ancestral(churn, samplers.tweedie_variance(transport))


@pytest.mark.parametrize("churn", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("schedule", [schedules.VP(), schedules.VE(sigma_max=30.0)])
def test_long_steps_of_normal_data_are_exact(steps: int, churn: float, schedule) -> None:
    x = _end(NORMAL, _matched(churn), steps, schedule)
    expected = VARIANCES[0] + schedule.at(schedule.t_min).sigma ** 2
    # The standard error of a variance of normal data is sqrt(2 / N) of it.
    assert ((x.var(0) / expected - 1).abs() < 4 * (2 / N) ** 0.5).all()
    assert (x.mean(0).abs() < 4 * (expected / N).sqrt()).all()
    # The variance of the pinned kernel alone is too little.
    plain = _end(NORMAL, lambda transport: samplers.Ancestral(churn), steps, schedule)
    assert (plain.var(0) / expected - 1).abs().max() > 20 * (2 / N) ** 0.5


@pytest.mark.parametrize("churn", [0.0, 1.0])
def test_on_a_mixture_they_converge_and_the_variance_errs_less(churn: float) -> None:
    process = Gaussian(schedules.VP())
    exact = TWO.noised(process, process.schedule.t_min).sample(N, seed=5).var(0)
    few = _end(TWO, _matched(churn), 10).var(0)
    plain = _end(TWO, lambda transport: samplers.Ancestral(churn), 10).var(0)
    assert ((few / exact - 1).abs() < 0.5 * (plain / exact - 1).abs()).all()
    many = _end(TWO, _matched(churn), 100, n=20_000)
    # Two well separated components: the variance is less noisy than that of normal data.
    assert ((many.var(0) / exact - 1).abs() < 0.01 + 4 * (2 / 20_000) ** 0.5).all()
    reference = TWO.noised(process, process.schedule.t_min).sample(N, seed=7)
    distance = pf.metrics.energy_distance(many[:5000].float(), reference[:5000].float(), seed=0)
    assert abs(distance.value) < 4 * distance.stderr + 1e-3


@pytest.fixture(scope="module")
def learned() -> pf.PosteriorVariance:
    """The variance learned for the exact model of a normal law with two scales."""
    process = Gaussian(schedules.VP())

    class Exact(torch.nn.Module):
        """The posterior mean of data with standard deviation (1, 0.3), in units of it."""

        def __init__(self) -> None:
            super().__init__()
            self.spread = torch.nn.Parameter(torch.tensor([1.0, 0.3]))

        def forward(self, x, t, c=None):
            alpha, sigma = process.schedule.values(t[:, None])
            spread = self.spread**2
            return alpha * spread / (alpha**2 * spread + sigma**2) * x

    model = pf.Diffusion(Exact(), process, predict="data", event_shape=(2,))
    torch.manual_seed(0)
    variance = pf.PosteriorVariance(model, pf.nn.MLP(2, width=32, depth=2))
    x = torch.randn(20_000, 2) * torch.tensor([1.0, 0.3])
    pf.fit(variance, x, steps=1500, batch_size=256, lr=3e-3, holdout=0.0, progress=False, seed=0)
    return variance


def test_the_learned_variance_is_that_of_the_posterior(learned) -> None:
    schedule = learned.diffusion.process.schedule
    spread = torch.tensor([1.0, 0.3]) ** 2
    for t in (0.05, 0.2, 0.5, 0.9):
        alpha, sigma = schedule.values(t)
        x = torch.randn(2000, 2, generator=torch.Generator().manual_seed(1))
        x = x * (alpha**2 * spread + sigma**2) ** 0.5
        exact = 1 / (1 / spread + (alpha / sigma) ** 2)
        with torch.no_grad():
            found = learned(x, t)
        # The log-likelihood of a variance is flat: ten per cent cost a quarter of a hundredth nat.
        assert (found.log() - exact.log()).abs().mean() < 0.1


def test_the_learned_variance_makes_few_steps_right(learned) -> None:
    x = learned.sample(40_000, steps=4, seed=0, denoise=False)
    expected = (
        torch.tensor([1.0, 0.3]) ** 2 + learned.diffusion.process.schedule.at(1e-3).sigma ** 2
    )
    plain = learned.diffusion.sample(40_000, steps=4, seed=0, sampler="ddpm", denoise=False)
    assert ((x.var(0) / expected - 1).abs() < 0.05).all()
    assert ((plain.var(0) / expected - 1).abs() > 0.1).all()


def test_the_learned_variance_tightens_the_bound(learned) -> None:
    x = torch.randn(2000, 2, generator=torch.Generator().manual_seed(2))
    x = x * torch.tensor([1.0, 0.3])
    nats = -torch.distributions.Normal(0, torch.tensor([1.0, 0.3])).log_prob(x).sum(1)
    found = learned.variational_bound(x, steps=10, seed=0)
    fixed = learned.diffusion.variational_bound(x, steps=10, seed=0)
    gap, error = found.total - nats, (found.total - nats).std() / len(x) ** 0.5
    assert -4 * error < gap.mean() < 0.1 + 4 * error
    assert (fixed.total - found.total).mean() > 0.5
    value = learned.log_prob(x, steps=10, seed=0)
    assert value.kind == "bound"
    assert float(value.value.mean()) == pytest.approx(-float(found.total.mean()), abs=0.1)


def _quadrature(t: float, process: Gaussian) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Nodes `(N, 1)` of `x_t`, their weights and log-densities."""
    x = torch.linspace(-8, 8, 1601, dtype=torch.float64)
    log_p = LINE.noised(process, t).log_prob(x[:, None])
    return x[:, None], log_p.exp() * (x[1] - x[0]), log_p


def test_the_exact_variance_raises_the_rate_of_the_bound_from_one_to_two() -> None:
    process = Gaussian(schedules.VP())
    schedule, transport = process.schedule, Transport(LINE.model(process), process)
    known = samplers.tweedie_variance(transport)

    def information(t: float) -> float:
        """That of `x_t` on `x_0`, in nats."""
        _, weights, log_p = _quadrature(t, process)
        entropy = -float((weights * log_p).sum())
        return entropy - 0.5 * math.log(2 * math.pi * math.e * schedule.at(t).sigma ** 2)

    # With many steps, the terms of the bound add up to the information that they regain.
    limit = information(schedule.t_min) - information(schedule.t_max)
    counts, matched, fixed = (64, 128, 256), [], []
    for n in counts:
        sums = torch.zeros(2, dtype=torch.float64)
        for s, t in pairwise(grids.LogSNRGrid()(schedule, n)[::-1]):
            x, weights, _ = _quadrature(t, process)
            kernel = process.pinned(t, s)
            ratio = samplers.step_variance(kernel, known(x, t))[:, 0] / kernel.std**2
            sums += 0.5 * torch.stack([weights @ ratio.log(), weights @ (ratio - 1)])
        matched.append(float(sums[0]) - limit)
        fixed.append(float(sums[1]) - limit)
    assert observed_order(counts, matched).value == pytest.approx(2.0, abs=0.25)
    assert observed_order(counts, fixed).value == pytest.approx(1.0, abs=0.25)
    # And the function finds the same number.
    x = LINE.data.sample(N, seed=0)
    times = grids.LogSNRGrid()(schedule, counts[0])[::-1]
    found = samplers.variational_bound(transport, x, times, variance=known, seed=1).steps.sum(0)
    error = float(found.std()) / N**0.5
    assert float(found.mean()) == pytest.approx(limit + matched[0], abs=4 * error)


SCALE, SHIFT = 10.0, 3.0


@pytest.fixture(scope="module")
def line() -> pf.PosteriorVariance:
    """The variance learned for the exact model of `LINE`, in other units."""
    process = Gaussian(schedules.VP())
    exact = LINE.model(process)

    class Exact(torch.nn.Module):
        """The posterior mean of `LINE`."""

        def forward(self, x, t, c=None):
            return exact(x.double(), t.double()).to(x.dtype)

    model = pf.Diffusion(Exact(), process, predict="data", event_shape=(1,))
    x = SHIFT + SCALE * LINE.data.sample(50_000, seed=0).float()
    model.fit_units(x)
    torch.manual_seed(0)
    variance = pf.PosteriorVariance(model, pf.nn.MLP(1, width=32, depth=2))
    pf.fit(variance, x, steps=800, batch_size=256, lr=3e-3, holdout=0.0, progress=False, seed=0)
    return variance


@pytest.mark.parametrize("t", [0.02, 0.1, 0.3, 0.6, 0.95])
def test_a_variance_that_depends_on_the_state_is_learned(line, t: float) -> None:
    process = line.diffusion.process
    known = samplers.tweedie_variance(Transport(LINE.model(process), process))
    x = LINE.noised(process, t).sample(4000, seed=3)
    with torch.no_grad():
        ratio = known(x, t) / line(x.float(), t).double()
    # What the wrong variance costs, in nats: a relative error of e costs e^2 / 4, so 0.02 stands
    # for errors of 28 per cent.
    assert float(0.5 * (ratio - 1 - ratio.log()).mean()) < 0.02


def test_the_bound_in_data_units_is_least_with_the_learned_variance_and_tends_to_its_limit(
    line,
) -> None:
    z = LINE.data.sample(20_000, seed=4)
    x = SHIFT + SCALE * z.float()
    nats = math.log(SCALE) - LINE.data.log_prob(z)
    for steps in (4, 16, 64):
        found = line.variational_bound(x, steps=steps, seed=0)
        gap = found.total - nats
        # The law at the last time is not quite the prior.
        assert float(gap.mean()) > -4 * float(gap.std()) / len(x) ** 0.5 - 1e-3
        for name in ("posterior", "beta"):
            fixed = line.diffusion.variational_bound(x, steps=steps, variance=name, seed=0)
            worse = fixed.total - found.total
            assert float(worse.mean()) > 4 * float(worse.std()) / len(x) ** 0.5, (name, steps)
    assert float(gap.mean()) < 0.02 + 4 * float(gap.std()) / len(x) ** 0.5
    assert torch.allclose(found.bits_per_dim, found.total / math.log(2))
    process = line.diffusion.process
    transport = Transport(LINE.model(process), process)
    ends = process.schedule.t_max, process.schedule.t_min
    limit = samplers.continuous_bound(transport, z[:4000], *ends, draws=64, seed=0)[0]
    left = found.steps.sum(0)
    error = (float(left.var()) / len(left) + float(limit.var()) / len(limit)) ** 0.5
    assert float(left.mean()) == pytest.approx(float(limit.mean()), abs=0.01 + 4 * error)


def test_it_is_saved_with_its_model(tmp_path: Path) -> None:
    model = pf.Diffusion(pf.nn.MLP(2, width=8, num_classes=3), event_shape=(2,))
    variance = pf.PosteriorVariance(model, pf.nn.MLP(2, width=8, num_classes=3))
    variance.save(tmp_path)
    again = pf.load(tmp_path)
    c = torch.tensor([0, 1, 2, 0, 1])
    kept = variance.eval().sample(5, c, steps=3, seed=0, batch_size=2)
    assert torch.equal(again.sample(5, c, steps=3, seed=0, batch_size=2), kept)


def test_bad_requests_are_refused() -> None:
    model = pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=(2,))
    variance = pf.PosteriorVariance(model, pf.nn.MLP(2, width=8))
    with pytest.raises(InputError, match="train it first"):
        pf.PosteriorVariance(pf.Diffusion(pf.nn.MLP(2)), pf.nn.MLP(2))
    with pytest.raises(InputError, match="for a Diffusion, not"):
        pf.PosteriorVariance(pf.nn.MLP(2), pf.nn.MLP(2))
    with pytest.raises(InputError, match=r"shape \(2,\), not \(3,\)"):
        variance.loss(torch.zeros(4, 3))
    with pytest.raises(InputError, match="ancestral"):
        variance.sample(3, sampler="ddpm")
    with pytest.raises(InputError, match="two draws, not 1"):
        variance.log_prob(torch.zeros(3, 2), draws=1)
    with pytest.raises(InputError, match="at most 1, not 2"):
        variance.sample(3, churn=2.0)
    rule = samplers.Ancestral(variance=lambda x, t: torch.ones(()))
    with pytest.raises(CapabilityError, match="no variance to choose"):
        rule.plan(pf.processes.Masking(pf.spaces.Tokens(3)), [1.0, 0.5])


@pytest.mark.parametrize(
    ("variance", "message"),
    [
        ("posteriour", "not 'posteriour'"),
        (lambda x, t: torch.tensor(-2.0), "not positive and finite"),
        (lambda x, t: torch.tensor(0.0), "6 of 6 variances"),
        (lambda x, t: x * math.nan, "not positive and finite but, say, nan"),
        (lambda x, t: torch.ones(3, 5), r"states, \(3, 2\), not \(3, 5\)"),
        (lambda x, t: 0.1, "a tensor that can be broadcast"),
    ],
)
def test_variances_that_are_none_are_refused(variance, message: str) -> None:
    process = Gaussian(schedules.VP())
    transport = Transport(NORMAL.model(process), process)
    x = torch.zeros(3, 2, dtype=torch.float64)
    with pytest.raises(InputError, match=message):
        samplers.variational_bound(transport, x, [0.1, 1.0], variance=variance, seed=0)
    if not callable(variance):
        with pytest.raises(InputError, match="a function"):
            samplers.Ancestral(variance=variance)


def test_colored_noise_is_refused() -> None:
    process = Gaussian(space=pf.spaces.Hilbert(torch.tensor([[1.0, 0.5], [0.5, 1.0]])))
    transport = Transport(lambda x, t, c=None: x, process)
    x = torch.zeros(3, 2)
    with pytest.raises(CapabilityError, match="white noise, not of Hilbert"):
        samplers.variational_bound(transport, x, [0.1, 1.0])
    with pytest.raises(CapabilityError, match="white noise, not of Hilbert"):
        samplers.continuous_bound(transport, x, 1.0, 0.1)
    model = pf.Diffusion(pf.nn.MLP(2, width=8), process, event_shape=(2,))
    with pytest.raises(CapabilityError, match="white noise, not of Hilbert"):
        pf.PosteriorVariance(model, pf.nn.MLP(2, width=8))


def test_a_process_without_gaussian_noise_has_no_such_variance() -> None:
    process = pf.processes.Masking(pf.spaces.Tokens(3))
    net = pf.nn.MLP(4, width=8, out=(4, 3))
    model = pf.Diffusion(net, process, event_shape=(4,))
    with pytest.raises(CapabilityError, match="white noise, not of Tokens"):
        pf.PosteriorVariance(model, net)
