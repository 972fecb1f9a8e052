"""Probability flows of linear SDEs beside their closed forms."""

from __future__ import annotations

import pytest
import torch
from linear import Affine, Exchangeable, covariance, harmonic_drift, harmonic_moments, rates
from torch import Tensor

from pushforward._random import resolve
from pushforward.distributions import ColoredNormal, Normal
from pushforward.errors import CapabilityError, InputError, SamplingError, TrainingError
from pushforward.simulation import (
    KernelScore,
    LearnedScore,
    ScoreFit,
    Simulated,
    Simulation,
    euler_maruyama,
)

SPIRAL = torch.tensor([[-1.0, 2.0], [-1.0, -0.5]])
"""Turns: in its steady state, too, it produces entropy."""

NOISES = {
    "isotropic": 0.5 * torch.eye(2),
    "matrix": torch.tensor([[0.6, 0.3], [0.3, 0.4]]),
    "degenerate": torch.diag(torch.tensor([0.0, 0.8])),
}


START = torch.tensor([[1.0, 0.2], [0.2, 0.4]])


def _simulated(noise: Tensor, matching: str = "implicit", **options: object) -> Simulated:
    start = ColoredNormal(START)
    score = LearnedScore(Affine(2), matching, steps=4, first=200, lr=0.02)
    settings = {"duration": 1.0, "steps": 40, "particles": 1000, "seed": 1} | options
    return Simulation(lambda x, t: x @ SPIRAL.T, noise, start, score, **settings).run(
        progress=False
    )


@pytest.mark.parametrize("name", NOISES)
def test_a_linear_drift_has_its_closed_form(name: str) -> None:
    """Moments, entropy, its rate by both formulas and its production, to the errors of 1,000
    particles and of 40 steps; the density at every particle."""
    noise = NOISES[name]
    found = _simulated(noise)
    start = torch.distributions.MultivariateNormal(torch.zeros(2), START)
    a, d, x = SPIRAL.double(), noise.double(), found.x[0].double()
    # From the covariance of these particles, so that the noise of the start drops out.
    exact = covariance(a, d, torch.cov(x.T), 1.0)
    torch.testing.assert_close(torch.cov(found.x[-1].double().T), exact, atol=0.012, rtol=0)
    assert found.warnings() == []
    assert found.finished
    # The flow is affine: all densities change by the determinant of its map.
    change = 0.5 * float(torch.logdet(exact) - torch.logdet(torch.cov(x.T)))
    gained = found.log_density[-1] - found.log_density[0]
    torch.testing.assert_close(gained, torch.full_like(gained, -change), atol=0.015, rtol=0)
    assert torch.equal(found.log_prob().value, found.log_density[-1])
    assert found.log_prob().nfe == 40 * (1 + 2)
    entropy, stderr = found.entropy()
    assert abs(float(entropy[0]) - float(start.entropy())) < 4 * float(stderr[0])
    assert float(entropy[-1] - entropy[0]) == pytest.approx(change, abs=0.015)
    growth, production = rates(a, d, exact)
    assert float(found.column("expansion")[-1]) == pytest.approx(growth, abs=0.06)
    if name == "degenerate":
        # The score across the noise is not learned, and not used.
        for unknown in ("entropy_rate", "production", "dissipation"):
            with pytest.raises(CapabilityError, match="degenerate"):
                found.column(unknown)
        return
    error = 3 * float(found.column("entropy_rate_stderr")[-1])
    assert abs(float(found.column("entropy_rate")[-1]) - growth) < 0.06 + error
    error = 3 * float(found.column("production_stderr")[-1])
    assert abs(float(found.column("production")[-1]) - production) < 0.05 + error
    balance = found.column("entropy_rate") + found.column("dissipation")
    torch.testing.assert_close(balance, found.column("production"), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("matching", ["sliced-vr", "antithetic"])
def test_losses_with_noise_learn_the_same(matching: str) -> None:
    noise = NOISES["matrix"]
    found = _simulated(noise, matching)
    exact = covariance(SPIRAL.double(), noise.double(), torch.cov(found.x[0].double().T), 1.0)
    torch.testing.assert_close(torch.cov(found.x[-1].double().T), exact, atol=0.03, rtol=0)


def test_hutchinsons_divergence_has_the_density_on_average() -> None:
    exact, probed = _simulated(NOISES["matrix"]), _simulated(NOISES["matrix"], probes=2)
    torch.testing.assert_close(exact.x, probed.x)
    gap = probed.log_prob().value - exact.log_prob().value
    assert 0 < float(gap.std()) < 0.5
    assert abs(float(gap.mean())) < 4 * float(gap.std()) / 1000**0.5


def test_currents_turn_in_the_steady_state() -> None:
    """`div (p v) = 0`, and yet there is a current: about the center, across the gradient of p."""
    a, noise = SPIRAL.double(), NOISES["isotropic"].double()
    steady = covariance(a, noise, torch.eye(2, dtype=torch.float64), 60.0)
    start = ColoredNormal(steady.float())
    score = LearnedScore(Affine(2), "implicit", steps=5, first=300, lr=0.02)
    simulation = Simulation(lambda x, t: x @ SPIRAL.T, 0.5, start, score, 0.2, 10, 4000, seed=0)
    found = simulation.run(progress=False)
    growth, production = rates(a, noise, steady)
    assert growth == pytest.approx(0, abs=1e-6)
    assert float(found.column("production")[-1]) == pytest.approx(production, rel=0.06)
    law = torch.distributions.MultivariateNormal(torch.zeros(2).double(), steady)
    x = found.x[-1].double()
    flow = x @ (a + noise @ torch.linalg.inv(steady)).T
    expected = law.log_prob(x).exp().unsqueeze(1) * flow
    assert float((found.currents()[-1] - expected).abs().max()) < 0.02


def test_trapped_particles_have_their_closed_form() -> None:
    """Boffi & Vanden-Eijnden 2023: 50 particles in the plane. Within 5 per cent at time one."""
    start = 0.25 * torch.randn(200, 50, 2, generator=resolve(seed=0)) + torch.tensor([2.0, 0.0])
    score = LearnedScore(Exchangeable(2), steps=4, first=150, lr=0.02)
    found = Simulation(harmonic_drift, 0.25, start, score, 1.0, 60).run(progress=False)
    relative, center = harmonic_moments(1.0, 0.25, 0.25**2)
    x = found.x[-1]
    middle = x.mean(1, keepdim=True)
    assert relative == pytest.approx(0.33905, abs=1e-5)
    assert float((x - middle).square().mean()) * 50 / 49 == pytest.approx(relative, rel=0.05)
    begun = start.mean(1).var(0).mean() * 50 / 0.25**2
    known = center + (float(begun) - 1) * 0.25**2 * torch.tensor(-2.0).exp()
    assert 50 * float(middle.var(0).mean()) == pytest.approx(float(known), rel=0.05)
    # tr D grad s by the learned map, whose slope of differences and of the mean it has.
    own, mean = (float(p.detach()) for p in (found.score.network.own, found.score.network.mean))
    scale = found.score._scale
    slopes = 98 * own + 2 * (own + mean)
    rate = -51 - 0.25 * slopes * float((1 / scale.square()).mean())
    assert rate == pytest.approx(23.486, rel=0.05)
    with pytest.raises(CapabilityError, match="starts from particles"):
        found.column("expansion")


def test_a_kernel_density_takes_the_law_for_wider() -> None:
    """The score of a normal law is `1 / (1 + h^2)` times as large, which loses variance."""
    x = torch.randn(3000, 1, generator=resolve(seed=0))
    score = KernelScore(0.5)
    found = Simulation(lambda x, t: 0 * x, 1.0, x, score, 0.05, 10).run(progress=False)
    growth = float(found.x[-1].var() - found.x[0].var()) / 0.1
    assert growth == pytest.approx(1 / 1.25, abs=0.04)
    assert float(found.column("stein")[0]) == pytest.approx(0.2, abs=0.03)
    assert "the score is off" in found.warnings()[0]


def test_paths_of_the_sde_have_the_law_of_the_flow() -> None:
    x = torch.randn(10_000, 2, generator=resolve(seed=0))
    noise = NOISES["degenerate"]
    times, paths = euler_maruyama(
        lambda x, t: x @ SPIRAL.T, noise, x, duration=1.0, steps=500, keep=4, seed=1
    )
    assert times.tolist() == [0, 0.25, 0.5, 0.75, 1.0]
    exact = covariance(SPIRAL.double(), noise.double(), torch.cov(x.T.double()), 1.0)
    torch.testing.assert_close(torch.cov(paths[-1].T.double()), exact, atol=0.03, rtol=0)


def test_what_was_given_stays_as_it_was() -> None:
    score = LearnedScore(Affine(2), steps=2, first=10, lr=0.02)
    simulation = Simulation(lambda x, t: -x, 1.0, Normal((2,)), score, 0.1, 4, 50)
    first, second = (simulation.run(progress=False) for _ in range(2))
    assert torch.equal(first.x, second.x)
    assert torch.equal(score.network.map.weight, -torch.eye(2))


def test_faults_are_named() -> None:
    x, score = torch.randn(9, 2, generator=resolve(seed=0)), KernelScore()
    with pytest.raises(InputError, match=r"drift returned \(9,\)"):
        Simulation(lambda x, t: x.sum(1), 1.0, x, score, 1.0, 2).run(progress=False)
    with pytest.raises(SamplingError, match=r"not finite at time 0\.5"):
        Simulation(lambda x, t: x / (0.5 - t), 1.0, x, score, 1.0, 2).run(progress=False)
    with pytest.raises(InputError, match="no derivative"):
        Simulation(lambda x, t: x.detach(), 1.0, Normal((2,)), score, 1.0, 2, 9).run(progress=False)
    with pytest.raises(TrainingError, match="lower lr"):
        Simulation(lambda x, t: x, 1.0, x, LearnedScore(Affine(2), lr=1e30, first=9), 1.0, 2).run(
            progress=False
        )
    with pytest.raises(InputError, match="no noise level"):
        LearnedScore(Affine(2), "denoising-levels")
    with pytest.raises(InputError, match="no parameters"):
        LearnedScore(torch.nn.Identity())
    with pytest.raises(InputError, match="fit the score"):
        score(x)


def test_a_drift_may_be_constant() -> None:
    found = Simulation(
        lambda x, t: torch.ones_like(x), 1.0, Normal((2,)), KernelScore(), 0.1, 4, 200
    ).run(progress=False)
    torch.testing.assert_close(found.x[-1].mean(0), found.x[0].mean(0) + 0.1, atol=0.01, rtol=0)


def test_paths_are_of_second_order_in_the_step() -> None:
    """With the exact score, of a normal law that turns and spreads."""
    start = torch.randn(50, 2, dtype=torch.float64, generator=resolve(seed=0))
    noise = NOISES["matrix"].double()
    ends = [
        Simulation(
            lambda x, t: x @ SPIRAL.T.double(), noise, start, _Moments(), 1.0, steps
        ).run(progress=False).x[-1]
        for steps in (16, 32, 512)
    ]  # fmt: skip
    coarse, fine = ((end - ends[-1]).norm() for end in ends[:2])
    assert float((coarse / fine).log2()) == pytest.approx(2, abs=0.25)


class _Moments(KernelScore):
    """The score of the normal law with the particles' own moments."""

    def fit(self, x: Tensor, *rest: object, **more: object) -> ScoreFit:
        self.x = x
        return ScoreFit(0, 0.0, 0.0, True)

    def __call__(self, x: Tensor) -> Tensor:
        return -torch.linalg.solve(torch.cov(self.x.T), (x - self.x.mean(0)).T).T


def test_a_tolerance_ends_fits_and_says_when_it_was_missed() -> None:
    start = torch.randn(500, 2, generator=resolve(seed=0))
    score = LearnedScore(Affine(2), "implicit", steps=50, first=500, lr=0.02, tolerance=0.05)
    found = Simulation(lambda x, t: -x, 1.0, start, score, 0.2, 4).run(progress=False)
    assert found.column("fit_steps").max() < 500
    assert found.warnings() == []
    score = LearnedScore(Affine(2), steps=1, first=2, lr=1e-6, tolerance=1e-6)
    found = Simulation(lambda x, t: -x, 1.0, start, score, 0.2, 4).run(progress=False)
    assert "5 of 5 fits" in found.warnings()[-1]
