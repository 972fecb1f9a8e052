"""Steps of the right variance, exact and learned, against closed forms."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import pushforward as pf
from pushforward import Transport, grids, samplers, schedules
from pushforward.distributions import GaussianMixture
from pushforward.errors import CapabilityError, InputError
from pushforward.processes import Gaussian
from pushforward.worlds import MixtureWorld

VARIANCES = torch.tensor([[0.3, 2.0]], dtype=torch.float64)
NORMAL = MixtureWorld(GaussianMixture(torch.zeros(1, 2, dtype=torch.float64), VARIANCES))
TWO = MixtureWorld(
    GaussianMixture(torch.tensor([[1.5, -1.0], [-1.0, 0.5]], dtype=torch.float64), 0.25)
)
N = 100_000


def _end(world: MixtureWorld, sampler, steps: int, schedule=None, n: int = N) -> torch.Tensor:
    process = Gaussian(schedule or schedules.VP())
    transport = Transport(world.model(process), process)
    times = grids.LogSNR()(process.schedule, steps)
    # From the law at the first time itself, so that only the steps err.
    x = world.noised(process, times[0]).sample(n, seed=0)
    return samplers.run(sampler(transport), transport, x, times, seed=1)


def _matched(churn: float):
    return lambda transport: samplers.MomentMatched(samplers.tweedie_variance(transport), churn)


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
    with pytest.raises(InputError, match="MomentMatched"):
        variance.sample(3, sampler="ddpm")
    with pytest.raises(InputError, match="two draws, not 1"):
        variance.log_prob(torch.zeros(3, 2), draws=1)
    with pytest.raises(InputError, match=r"churn in \[0, 1\], not 2"):
        variance.sample(3, churn=2.0)
    rule = samplers.MomentMatched(lambda x, t: torch.ones(()))
    with pytest.raises(CapabilityError, match="on vectors"):
        rule.plan(pf.processes.Masking(pf.spaces.Tokens(3)), [1.0, 0.5])
