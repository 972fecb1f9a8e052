"""Every sampler against every analytic model that it claims: laws, not shapes.

Each tolerance is the Monte Carlo error (four standard deviations) plus the sampler's own error.
"""

from __future__ import annotations

import math
import warnings
from itertools import pairwise

import pytest
import torch

from pushforward import Transport, grids, registry, samplers, schedules
from pushforward.analytic import (
    AnalyticCircle,
    AnalyticCounts,
    AnalyticFunctions,
    AnalyticMixture,
    AnalyticPair,
    AnalyticSphere,
    AnalyticTokens,
)
from pushforward.distributions import GaussianMixture, VonMisesFisher, WrappedNormal
from pushforward.errors import ConvergenceWarning, InputError
from pushforward.processes import (
    Bridge,
    Brownian,
    Gaussian,
    Geodesic,
    Interpolant,
    JumpDiffusion,
    Masking,
    OUBridge,
    Thinning,
)
from pushforward.samplers import (
    Ancestral,
    AnnealedLangevin,
    Euler,
    Multistep,
    PredictorCorrector,
    run,
)
from pushforward.spaces import Sphere, Tokens, Torus

# Annealed Langevin needs many moves, and has a test of its own.
GAUSSIAN_SAMPLERS = [
    name
    for name in registry.names("samplers")
    if name
    not in {
        *("tau-leap", "euler-leap", "remdm", "gibbs", "first-hitting", "uniformization"),
        *("confidence", "entropy-bounded", "pinned", "langevin", "birth-clocks"),
    }
]
DETERMINISTIC = {
    *("euler", "ddim", "heun", "edm", "rk45"),
    *("adams", "adams4", "dpm++2m", "deis", "unipc", "unipc3"),
}
# Of second order and above: fewer steps do.
HIGHER_ORDER = {
    *("heun", "edm", "adams", "adams4"),
    *("dpm++2m", "dpm++2m-sde", "deis", "unipc", "unipc3"),
}


def _steps(name: str) -> int:
    if registry.resolve("samplers", name).evaluations == 0:
        return 1
    if name == "relative-score":
        # What it freezes changes faster than the posterior mean: it is made for proofs.
        return 400
    return 60 if name in HIGHER_ORDER else 200


SCHEDULES = {
    "vp": schedules.VP(),
    "cosine": schedules.Cosine(),
    "ve": schedules.VE(sigma_max=20.0),
    "rectified": schedules.Rectified(),
    "ou": schedules.OU(),
}


def _told_apart(k: int, name: str) -> list[str]:
    """The schedules on which the `k`-th sampler is tried.

    One that steps in the log signal-to-noise ratio sees no more of a schedule than where its grid
    begins and ends: two do, others for each sampler. Steps in time see the rates themselves.
    """
    names = list(SCHEDULES)
    timed = name in {"euler", "sde", "adams"}
    return names if timed else [names[(k + shift) % len(names)] for shift in (0, 2)]


MIXTURES = [
    (name, schedule)
    for k, name in enumerate(GAUSSIAN_SAMPLERS)
    for schedule in _told_apart(k, name)
]


@pytest.mark.parametrize(("name", "schedule"), MIXTURES)
def test_mixture(name: str, schedule: str) -> None:
    means = torch.tensor([[2.0, 0.0], [-1.0, 1.0]])
    data = GaussianMixture(means, 0.09, torch.tensor([0.7, 0.3]))
    problem = AnalyticMixture(data)
    process = Gaussian(SCHEDULES[schedule])
    # Euler's error in the variance halves with the step. It is largest where the noise explodes
    # (17 % at 200 steps; 6 % on OU, and the draws add 2 %), so there the grid is finer.
    steps = _steps(name)
    if name == "euler":
        steps = {"ve": 800, "ou": 400}.get(schedule, steps)
    times = grids.LogSNRGrid()(process.schedule, steps)
    x = problem.noised(process, times[0]).sample(10_000, seed=0)
    y = run(
        registry.resolve("samplers", name),
        Transport(problem.model(process), process),
        x,
        times,
        seed=1,
    )
    exact = problem.noised(process, times[-1])
    left = (y[:, 0] > 0.5).float().mean()
    assert left == pytest.approx(0.7, abs=0.02)
    for k in range(2):
        near = y[(y[:, 0] > 0.5) == (k == 0)]
        spread = float(exact.variances[k, 0])
        assert near.mean(0) == pytest.approx(exact.means[k].numpy(), abs=0.03)
        # First-order samplers keep a few percent of excess or missing variance at 200 steps.
        assert float(near.var(0).mean()) == pytest.approx(spread, rel=0.08)


@pytest.mark.parametrize("name", GAUSSIAN_SAMPLERS)
def test_mixture_in_16_dimensions(name: str) -> None:
    generator = torch.Generator().manual_seed(3)
    means = 2 * torch.randn(4, 16, generator=generator)
    factor = torch.randn(4, 16, 16, generator=generator) / 4
    data = GaussianMixture(means, factor @ factor.mT + 0.2 * torch.eye(16))
    problem = AnalyticMixture(data)
    process = Gaussian(schedules.VP())
    times = grids.LogSNRGrid()(process.schedule, _steps(name))
    x = problem.noised(process, 1.0).sample(4000, seed=0)
    y = run(
        registry.resolve("samplers", name),
        Transport(problem.model(process), process),
        x,
        times,
        seed=1,
    )
    exact, found = data.covariance, torch.cov(y.mT)
    assert (found - exact).norm() / exact.norm() < 0.06
    # Typical points of the mixture are typical for the sampler.
    reference = data.log_prob(data.sample(4000, seed=2))
    assert float(data.log_prob(y).mean()) == pytest.approx(float(reference.mean()), abs=0.5)


# The grid of the functions is nothing to a sampler: a fine one for a flow, a jump of noise, a step
# with memory and noise, and moves by the score.
FUNCTIONS = [(name, 32) for name in GAUSSIAN_SAMPLERS]
FUNCTIONS += [(name, 128) for name in ("euler", "ddpm", "dpm++2m-sde", "pc")]


@pytest.mark.parametrize(("name", "points"), FUNCTIONS)
def test_functions_keep_their_law_on_any_grid(name: str, points: int) -> None:
    problem = AnalyticFunctions.on_grid(points)
    process = problem.process(schedules.VP())
    adapts = registry.resolve("samplers", name).evaluations == 0
    times = grids.UniformGrid()(process.schedule, _steps(name) if adapts else 128)
    x = problem.noised(process, 1.0).sample(2000, seed=0).float()
    y = run(
        registry.resolve("samplers", name),
        Transport(problem.model(process), process),
        x,
        times,
        seed=1,
    )
    # The mean of n squares of standard normals of effective rank 4 over 2000 draws: 4 se = .1.
    assert float(y.square().mean()) == pytest.approx(1.5, abs=0.15)
    exact = problem.data.covariance.float()
    assert (y.mT @ y / len(y) - exact).norm() / exact.norm() < 0.12


@pytest.mark.parametrize("churn", [0.0, 1.0, 2.0])
def test_brownian_on_the_circle(churn: float) -> None:
    problem = AnalyticCircle(WrappedNormal(0.5, 0.4))
    process = Brownian(Torus())
    x = process.prior((1,)).sample(20_000, seed=0)
    times = grids.LogSNRGrid()(process.schedule, 128)
    y = run(Euler(churn), Transport(problem.model(process), process), x, times, seed=1)
    assert float((y - 0.5).cos().mean()) == pytest.approx(math.exp(-0.08), abs=0.005)
    assert float((y - 0.5).sin().mean()) == pytest.approx(0.0, abs=0.012)


def test_geodesic_on_the_circle() -> None:
    problem = AnalyticCircle(WrappedNormal(0.5, 0.4))
    process = Geodesic(Torus())
    x = process.prior((1,)).sample(20_000, seed=0)
    times = grids.UniformGrid()(process.schedule, 128, start=1.0, stop=0.0)
    y = run(Euler(), Transport(problem.geodesic_model(process), process), x, times)
    assert float((y - 0.5).cos().mean()) == pytest.approx(math.exp(-0.08), abs=0.005)
    assert float((2 * (y - 0.5)).cos().mean()) == pytest.approx(math.exp(-0.32), abs=0.015)


@pytest.mark.parametrize("churn", [0.0, 1.0])
def test_brownian_on_the_sphere(churn: float) -> None:
    mean = torch.tensor([0.0, 0.6, 0.8])
    problem = AnalyticSphere(VonMisesFisher(mean, 4.0))
    process = Brownian(Sphere())
    x = process.prior((3,)).sample(20_000, seed=0)
    times = grids.LogSNRGrid()(process.schedule, 128)
    y = run(Euler(churn), Transport(problem.model(process), process), x, times, seed=1)
    assert float((y @ mean).mean()) == pytest.approx(problem.data.mean_projection, abs=0.008)
    # E u^2 = 1 - 2 E u / kappa for von Mises-Fisher on the 2-sphere.
    second = 1 - 2 * problem.data.mean_projection / 4.0
    assert float((y @ mean).square().mean()) == pytest.approx(second, abs=0.01)
    assert y.norm(dim=-1) == pytest.approx(torch.ones(len(y)).numpy(), abs=1e-5)


@pytest.mark.slow
def test_geodesic_on_the_sphere() -> None:
    mean = torch.tensor([0.0, 0.6, 0.8])
    problem = AnalyticSphere(VonMisesFisher(mean, 4.0))
    process = Geodesic(Sphere())
    x = process.prior((3,)).sample(2000, seed=0)
    times = grids.UniformGrid()(process.schedule, 32, start=1.0, stop=0.0)
    y = run(Euler(), Transport(problem.geodesic_model(process), process), x, times)
    assert float((y @ mean).mean()) == pytest.approx(problem.data.mean_projection, abs=0.025)


@pytest.mark.parametrize(
    ("sampler", "start", "stop", "tolerance"),
    [
        (Euler(), 1 - 1e-3, 1e-3, 0.02),
        (Euler(0.5), 1 - 1e-3, 1e-3, 0.03),
        (Ancestral(), 1.0, 0.0, 0.015),
    ],
    ids=["tau-leap", "tau-leap-churn", "pinned"],
)
def test_tokens(sampler, start: float, stop: float, tolerance: float) -> None:
    problem = AnalyticTokens.random(3, 3, seed=0)
    process = Masking(Tokens(3))
    times = grids.UniformGrid()(process.schedule, 128, start=start, stop=stop)
    x = process.prior((3,)).sample(40_000)
    y = run(sampler, Transport(problem.model(process), process), x, times, seed=1)
    shown = (y < 3).all(-1)
    # Tau-leaping leaves a site hidden with the chance that the early stop implies.
    assert float(shown.float().mean()) >= 0.97
    code = (y[shown] * torch.tensor([9, 3, 1])).sum(-1)
    found = torch.bincount(code, minlength=27) / int(shown.sum())
    exact = problem.data.probabilities.flatten()
    assert float((found - exact).abs().sum() / 2) < tolerance


def test_a_tau_leap_leaves_the_masked_end() -> None:
    # There the rate of hiding is infinite, but takes no part on the way to the data.
    problem = AnalyticTokens.random(3, 3, seed=0)
    process = Masking(Tokens(3))
    transport = Transport(problem.model(process), process)
    x = process.prior((3,)).sample(20_000)
    leap = run(Euler(), transport, x, [1.0, 0.5], seed=0)
    # The rate -alpha' / (1 - alpha) is 1 at t = 1.
    shown = float((leap < 3).float().mean())
    assert shown == pytest.approx(1 - math.exp(-0.5), abs=4 * 0.5 / math.sqrt(60_000))
    with pytest.raises(InputError, match="a rate is infinite"):
        run(Euler(0.5), transport, x, [1.0, 0.5], seed=0)


@pytest.mark.parametrize(
    "sampler", [Euler(), Euler(0.5), Ancestral()], ids=["tau-leap", "churn", "pinned"]
)
@pytest.mark.parametrize("diffusing", [False, True], ids=["thinning", "jump-diffusion"])
def test_counts(diffusing: bool, sampler) -> None:
    problem = AnalyticCounts.example()
    if diffusing:
        process = JumpDiffusion()
        model, schedule = problem.model(process), process.thinning.schedule
    else:
        process = Thinning()
        model, schedule = problem.thinning_model(process), process.schedule
    # Four standard errors of a share of one half are .03.
    x = process.prior((6, 1)).sample(4000)
    times = grids.UniformGrid()(schedule, 400)
    y = run(sampler, Transport(model, process), x, times, seed=1)
    found = torch.bincount(y.number, minlength=7) / len(y.mask)
    assert found == pytest.approx(problem.sizes.numpy(), abs=0.03)
    points = y.x[y.mask]
    assert float(points.mean()) == pytest.approx(0.5, abs=0.04)
    assert float(points.var()) == pytest.approx(2.25 + 0.25, abs=0.08)
    assert (y.x[~y.mask] == 0).all()


PATHS = {
    "bridge": Bridge(1.0),
    "ou-bridge": OUBridge(0.8, rate=1.5),
    "interpolant": Interpolant(lambda t: (1 - t, t, (2 * t * (1 - t)).sqrt()), epsilon=0.5),
}


@pytest.mark.parametrize("churn", [0.0, 1.0])
@pytest.mark.parametrize("forward", [True, False], ids=["forward", "backward"])
@pytest.mark.parametrize("path", PATHS)
def test_paths_between_two_laws(path: str, forward: bool, churn: float) -> None:
    process = PATHS[path]
    problem = AnalyticPair(0.0, 1.0, covariance=0.3)
    times = [k / 128 for k in range(1, 128)]
    times = times if forward else times[::-1]
    mean, variance = problem.moments(process, times[0])
    noise = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0))
    x = mean + math.sqrt(variance) * noise
    y = run(Euler(churn), Transport(problem.model(process), process), x, times, seed=1)
    mean, variance = problem.moments(process, times[-1])
    assert float(y.mean()) == pytest.approx(mean, abs=0.03)
    assert float(y.var()) == pytest.approx(variance, abs=0.05)


def test_markovian_fitting_reaches_the_schroedinger_bridge() -> None:
    # Iterated Markovian fitting with exact predictions: simulate the Markovian projection, couple
    # its ends, repeat. The covariance climbs to that of the Schroedinger bridge.
    process = Bridge(1.0)
    target = AnalyticPair.schrodinger(sigma=1.0).covariance
    times = [1e-3, *(k / 100 for k in range(1, 100)), 1 - 1e-3]
    covariance, gaps = 0.0, []
    start = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0))
    for k in range(5):
        gaps.append(abs(covariance - target))
        problem = AnalyticPair(covariance=covariance)
        end = run(Euler(1.0), Transport(problem.model(process), process), start, times, seed=k)
        covariance = float(torch.corrcoef(torch.cat([start, end], 1).mT)[0, 1])
    assert all(later < earlier for earlier, later in pairwise(gaps[:4]))
    assert covariance == pytest.approx(target, abs=0.02)


# The worst row of a batch decides on adaptive steps, and so on which noise meets which step: there
# the batch changes the draw, and the law only within the tolerance.
@pytest.mark.parametrize("name", [n for n in GAUSSIAN_SAMPLERS if n != "adaptive-sde"])
def test_the_batch_never_changes_a_law(name: str) -> None:
    # A state among very different ones moves as it would alone, noise for noise.
    problem = AnalyticMixture.ring()
    process = Gaussian(schedules.VP())
    transport = Transport(problem.model(process), process)
    times = grids.LogSNRGrid()(process.schedule, 10)
    one = torch.tensor([[0.3, -0.2]])
    crowd = torch.cat([one, 50 * torch.ones(7, 2)])
    rule = registry.resolve("samplers", name)
    if name == "rk45":
        # Its steps too, but there is one answer, which both come to within the tolerance.
        rule = samplers.DormandPrince(1e-6, 1e-6)
    alone = run(rule, transport, one, times, seed=0)
    together = run(rule, transport, crowd, times, seed=0)[:1]
    assert torch.allclose(alone, together, atol=1e-5)


def test_same_seed_same_sample() -> None:
    problem = AnalyticMixture.ring()
    process = Gaussian(schedules.VP())
    transport = Transport(problem.model(process), process)
    x = process.prior((2,)).sample(16, seed=0)
    for name in GAUSSIAN_SAMPLERS:
        first, second, other = (
            run(registry.resolve("samplers", name), transport, x, [0.9, 0.5, 0.1], seed=s)
            for s in (1, 1, 2)
        )
        assert torch.equal(first, second)
        assert torch.equal(first, other) == (name in DETERMINISTIC)


@pytest.mark.parametrize("schedule", ["vp", "ve"])
@pytest.mark.parametrize("steps", [20, 100, 300])
def test_too_few_langevin_moves_are_said(schedule: str, steps: int) -> None:
    """What is foretold of normal data is what comes out, and good settings raise no alarm."""
    process = Gaussian(SCHEDULES[schedule])
    problem = AnalyticMixture.gaussian(0.0, 1.0)
    times = grids.LogSNRGrid()(process.schedule, steps)
    x = process.prior((1,), times[0]).sample(20_000, seed=0)
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        y = run(AnnealedLangevin(), Transport(problem.model(process), process), x, times, seed=1)
    ratio = float(y.std() / problem.noised(process, times[-1]).covariance.sqrt())
    said = [str(w.message) for w in raised if w.category is ConvergenceWarning]
    assert (len(said) == 1) == (ratio > 1.25)
    if said:
        told = float(said[0].split("come out with ")[1].split(" times")[0])
        # The chains start with the noise of the prior alone, here the foretelling with data too.
        assert told == pytest.approx(ratio, rel=0.1)


@pytest.mark.parametrize("schedule", ["vp", "ve"])
def test_langevin_moves_have_the_right_variance(schedule: str) -> None:
    # On normal data a move is linear, and its stationary variance is v / (1 - snr^2 sigma^2 / v):
    # the correct v up to the order of the step.
    process = Gaussian(SCHEDULES[schedule])
    # Where the noise is small against the data a move hardly mixes, whatever its size.
    stop = float(process.schedule.time_at_log_snr(torch.tensor(math.log(4.0))))
    snr = 0.15
    problem = AnalyticMixture.gaussian(0.0, 0.7)
    times = grids.LogSNRGrid()(process.schedule, 4, start=1.2 * stop, stop=stop)
    x = problem.noised(process, times[0]).sample(40_000, seed=0)
    sigma = float(process.schedule.at(stop).sigma)
    v = float(problem.noised(process, stop).covariance)
    expected = v / (1 - snr**2 * sigma**2 / v)
    transport = Transport(problem.model(process), process)
    annealed = AnnealedLangevin(snr=snr, moves=300)
    corrected = PredictorCorrector(Multistep(2, churn=1.0), snr=snr, moves=300)
    for sampler in (annealed, corrected):
        y = run(sampler, transport, x, times, seed=1)
        # Four standard errors of a variance of 40 000 draws.
        assert float(y.var()) == pytest.approx(expected, rel=4 * math.sqrt(2 / 40_000))
