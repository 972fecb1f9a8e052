"""Certificates against exact laws: the identity, the order of the bounds, planted faults."""

from __future__ import annotations

import math
import re
from itertools import pairwise

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward import Transport, grids, registry, samplers, schedules
from pushforward.analytic import AnalyticMixture
from pushforward.certificates import DrawnLaw, certify, scheme_of
from pushforward.distributions import GaussianMixture
from pushforward.divergences import gaussian
from pushforward.errors import CapabilityError, InputError
from pushforward.processes import Gaussian
from pushforward.theory import density_of_samples, moments_of_samples
from pushforward.theory.exact_laws import _step

DOUBLE = torch.float64
CERTIFIED = ("ddpm", "relative-score", "exponential")
UNCERTIFIED = ("adams", "ddim", "heun", "euler", "dpm++2m", "sde", "ddpm-beta", "edm-sde")


def _normal(variances: torch.Tensor, mean: torch.Tensor | None = None) -> GaussianMixture:
    center = torch.zeros_like(variances) if mean is None else mean
    return GaussianMixture(center[None], variances[None])


def _faulty(problem: AnalyticMixture, process: Gaussian, scale: float, shift: float) -> Transport:
    """The score times a number, and a shift."""
    exact = problem.model(process)

    def model(x, t, c=None):
        k = process.schedule.at(t)
        score = (k.alpha * exact(x, t) - x) / k.sigma**2
        return (x + k.sigma**2 * (scale * score + shift)) / k.alpha

    return Transport(model, process)


def _girsanov(name, process, times, variances, scale) -> float:
    """The relative entropy of the paths of a step that is written out, by drifts alone.

    For data `N(0, diag(v))` the score is `-x / (alpha^2 v + sigma^2)`; that of the sampler has the
    score at the beginning of the step in it, as the scheme says.
    """
    nodes, shares = np.polynomial.legendre.leggauss(30)
    total = 0.0
    for t, s in pairwise(times):
        now = process.schedule.at(t)
        v_t = now.alpha**2 * variances + now.sigma**2
        half, middle = 0.5 * (t - s), 0.5 * (t + s)
        for node, share in zip(nodes, shares, strict=True):
            r = middle + half * node
            then = process.schedule.at(r)
            v_r = then.alpha**2 * variances + then.sigma**2
            # Both are functions of x_r and x_t, whose covariance is alpha_t / alpha_r Var x_r.
            frozen = -scale / v_t
            if name == "ddpm":
                ratio = then.alpha * now.sigma**2 / (now.alpha * then.sigma**2)
                on_r = -1 / then.sigma**2 + 0 * variances
                on_t = then.alpha / (now.alpha * then.sigma**2) + ratio * frozen
            elif name == "exponential":
                on_r, on_t = 0 * variances, now.sigma / then.sigma * frozen
            else:
                on_r, on_t = -1 + 0 * variances, 1 + frozen
            a, b = -1 / v_r - on_r, -on_t
            cross = now.alpha / then.alpha * v_r
            energy = (a**2 * v_r + b**2 * v_t + 2 * a * b * cross).sum()
            total += half * share * 0.5 * then.g2 * float(energy)
    return total


@pytest.mark.parametrize("name", CERTIFIED)
@pytest.mark.parametrize("dim", [1, 100])
def test_the_identity_is_girsanovs_theorem(name: str, dim: int) -> None:
    process = Gaussian(schedules.VP() if dim == 1 else schedules.OU(horizon=3.0))
    variances = torch.linspace(0.2, 3.0, dim, dtype=DOUBLE)
    problem = AnalyticMixture(_normal(variances))
    times = grids.UniformGrid()(process.schedule, 12, start=0.9, stop=0.05)
    options = {"steps": 12, "grid": "uniform", "start": 0.9, "stop": 0.05, "denoise": False}
    x = problem.data.sample(300, seed=0)
    exact = certify(
        _faulty(problem, process, 1.0, 0.0), x, sampler=name, law=problem.data, **options
    )
    expected = _girsanov(name, process, times, variances, 1.0)
    assert exact.terms["discretization"].kind == "proved"
    assert exact.terms["discretization"].value == pytest.approx(expected, rel=1e-6)
    assert abs(exact.terms["score error"].value) < 1e-9
    # The same from draws, and with an error in the score.
    wrong = certify(
        _faulty(problem, process, 0.8, 0.0), x, sampler=name, law=problem.data, **options
    )
    paths = _girsanov(name, process, times, variances, 0.8)
    found = wrong.terms["score error"]
    assert abs(found.value - (paths - expected)) < 4 * found.stderr


@pytest.mark.parametrize(
    ("mean", "variances", "horizon", "steps", "final", "paths"),
    [
        ([1.0, -1.0], [0.25, 0.25], 3.0, 200, 1.45e-3, 2.64e-2),
        ([0.0] * 4, [0.05, 0.2, 1.0, 3.0], 3.0, 200, 2.16e-2, 1.29e-1),
        ([0.0] * 10, [0.01] * 10, 5.0, 1000, 0.525, 1.99),
    ],
)
def test_numbers_of_the_convergence_theory(
    mean, variances, horizon: float, steps: int, final: float, paths: float
) -> None:
    # Equal steps on dX = -X dt + sqrt(2) dB.
    process = Gaussian(schedules.OU(horizon=horizon))
    data = _normal(*(torch.tensor(row, dtype=DOUBLE) for row in (variances, mean)))
    transport, stop = Transport(AnalyticMixture(data).model(process), process), 1e-7
    found = certify(
        transport, data.sample(20, seed=0), sampler="relative-score", steps=steps, law=data,
        grid="uniform", start=1.0, stop=stop, denoise=False,
    )  # fmt: skip
    # The prior of the process has the variance sigma^2 at the last time; theirs is one.
    k, eye = process.schedule.at(1.0), torch.eye(len(mean), dtype=DOUBLE)
    noised = (k.alpha * data.mean, k.alpha**2 * data.covariance + k.sigma**2 * eye)
    prior = gaussian.kl(*noised, 0 * data.mean, eye)
    assert prior + found.terms["discretization"].value == pytest.approx(paths, rel=5e-3)
    times = grids.UniformGrid()(process.schedule, steps, start=1.0, stop=stop)
    end = moments_of_samples(samplers.RelativeScore(), transport, times, len(mean))
    assert gaussian.kl(data.mean, data.covariance, *end) == pytest.approx(final, rel=5e-3)


def _ordered(name: str, transport: Transport, data: GaussianMixture, times: list[float]) -> None:
    """The error of the samples, that of the paths, and the bounds by moments, in this order."""
    process = transport.process
    first, last = process.schedule.at(times[0]), process.schedule.at(times[-1])
    stops = {"start": times[0], "stop": times[-1], "denoise": False}
    found = certify(
        transport, data.sample(400, seed=1), sampler=name, steps=len(times) - 1, law=data,
        grid="log-snr", **stops,
    )  # fmt: skip
    rule = registry.resolve("samplers", name)
    if len(data.means) == 1:
        d = len(data.mean)
        p = (
            last.alpha * data.mean,
            last.alpha**2 * data.covariance + last.sigma**2 * torch.eye(d, dtype=DOUBLE),
        )
        final = gaussian.kl(*p, *moments_of_samples(rule, transport, times, d))
    else:
        x = torch.linspace(-8, 8, 641, dtype=DOUBLE)
        q = density_of_samples(rule, transport, times, x)
        log_p = data.noised(last.alpha, last.sigma).log_prob(x[:, None])
        final = float((x[1] - x[0]) * (log_p.exp() * (log_p - q.clamp(min=1e-300).log())).sum())
    assert -1e-9 < final <= found.bound + 3 * found.stderr
    # What is proved from moments alone: looser still.
    snr = (first.alpha / first.sigma) ** 2
    prior = 0.5 * snr * float(data.covariance.trace() + data.mean.square().sum())
    assert found.terms["prior mismatch"].value <= prior + 1e-12


SCHEDULES = (
    schedules.VP(),
    schedules.OU(horizon=3.0),
    schedules.Cosine(),
    schedules.VE(0.01, 30.0),
)


@pytest.mark.parametrize("seed", range(8))
def test_samples_are_never_further_than_the_bound(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(shape, generator=generator, dtype=DOUBLE)

    process = Gaussian(SCHEDULES[seed % 4])
    steps = int(uniform(5, 25))
    times = grids.LogSNRGrid()(process.schedule, steps, stop=0.05)
    d = 1 + seed % 3
    normal = _normal(uniform(0.1, 3.0, d), uniform(-2, 2, d))
    weights = uniform(0.2, 1.0, 2)
    mixture = GaussianMixture(uniform(-2, 2, 2, 1), uniform(0.1, 0.6, 2), weights / weights.sum())
    scale, shift = float(uniform(0.9, 1.1)), float(uniform(-0.1, 0.1))
    for data in (normal, mixture) if seed % 4 != 3 else (normal,):
        transport = _faulty(AnalyticMixture(data), process, scale, shift)
        for name in CERTIFIED:
            _ordered(name, transport, data, times)


RING = AnalyticMixture(
    GaussianMixture(torch.tensor([[-1.5], [1.0]], dtype=DOUBLE), torch.tensor([0.2, 0.4]).double())
)


@pytest.mark.parametrize(
    ("fault", "options", "named"),
    [
        ((0.9, 0.0), {"steps": 200}, "score error"),
        ((1.0, 0.3), {"steps": 200}, "score error"),
        ((1.0, 0.0), {"steps": 200, "start": 0.3}, "prior mismatch"),
        ((1.0, 0.0), {"steps": 8}, "discretization"),
    ],
)
@pytest.mark.parametrize("name", ["ddpm", "relative-score"])
def test_planted_faults_are_named(name: str, fault, options, named: str) -> None:
    process = Gaussian(schedules.OU(horizon=4.0))
    found = certify(
        _faulty(RING, process, *fault), RING.data.sample(400, seed=0), sampler=name,
        law=RING.data, stop=0.02, **options,
    )  # fmt: skip
    assert found.dominant == named
    assert f"{named:<16}" in str(found)


def test_without_the_law_the_bound_is_larger_and_the_difference_the_same() -> None:
    process = Gaussian(schedules.OU(horizon=4.0))
    good, bad = _faulty(RING, process, 1.0, 0.0), _faulty(RING, process, 0.8, 0.0)
    x = RING.data.sample(1500, seed=3)
    options = {"steps": 12, "stop": 0.05}
    known = certify(bad, x, law=RING.data, against=good, **options)
    # Convexity of the relative entropy, in the mean over draws: seen where few draws are resolved.
    near = {"steps": 12, "stop": 0.002}
    parts = [
        [certify(good, part, law=law, seed=k, **near) for law in (None, RING.data)]
        for k, part in enumerate(x.split(50))
    ]
    bounds = torch.tensor([drawn.bound for drawn, _ in parts])
    above = bounds - torch.tensor([exact.bound for _, exact in parts])
    assert above.mean() > 0
    # The score error of the exact model is zero, and bounded by what few draws cannot tell.
    error = torch.tensor([drawn.terms["score error"].value for drawn, _ in parts])
    assert error.mean() > 4 * error.std() / len(error) ** 0.5
    assert all(abs(exact.terms["score error"].value) < 1e-9 for _, exact in parts)
    # Each says how far it is from that mean.
    errors = torch.tensor([drawn.stderr for drawn, _ in parts])
    assert float(bounds.std() / errors.mean()) == pytest.approx(1.0, abs=0.3)
    gap = known.difference
    assert gap.value == pytest.approx(known.terms["score error"].value, rel=1e-9)
    # The better model is told to be better without the law, and no better than itself.
    drawn = certify(bad, x[:1000], against=good, **options)
    assert not drawn.warnings
    assert abs(drawn.difference.value - gap.value) < 4 * drawn.difference.stderr
    assert drawn.difference.value > 4 * drawn.difference.stderr
    assert certify(bad, x[:1000], against=bad, **options).difference.value == 0
    # With few draws it says itself what it is about.
    few = certify(good, x[:50], steps=20, stop=0.001)
    assert "measures how many draws" in few.warnings[0]
    assert few.bound > 1


def test_the_law_of_draws_is_concave_in_the_law() -> None:
    # The mean of the error over sets of draws is below that of the law itself.
    alpha, sigma = 0.8, 0.6
    errors = []
    generator = torch.Generator().manual_seed(0)
    for seed in range(40):
        x = RING.data.sample(60, seed=seed)
        noised = alpha * x + sigma * torch.randn(60, 1, dtype=DOUBLE, generator=generator)
        errors.append(float(DrawnLaw(x).spread(x, noised, alpha, sigma).mean()))
    x = RING.data.sample(20_000, seed=99)
    noised = alpha * x + sigma * torch.randn(20_000, 1, dtype=DOUBLE, generator=generator)
    exact = RING.data.posterior_covariance(noised, alpha, sigma).mean()
    mean, spread = np.mean(errors), np.std(errors) / math.sqrt(40)
    assert mean < float(exact) + 3 * spread


@pytest.mark.parametrize("name", UNCERTIFIED)
def test_samplers_that_earn_none_are_refused_by_the_name_that_was_given(name: str) -> None:
    with pytest.raises(CapabilityError, match=f"^{re.escape(name)} earns no certificate"):
        scheme_of(name)


@pytest.mark.parametrize("name", ["ddim", "heun", "dpm++2m", "unipc", "edm-sde", "sde"])
def test_an_object_is_called_by_its_short_name(name: str) -> None:
    rule = registry.resolve("samplers", name)
    assert registry.called("samplers", rule) == name
    if not isinstance(rule, samplers.Multistep | samplers.EDMStochastic):
        return
    with pytest.raises(CapabilityError, match=f"^{re.escape(name)} integrates Gaussian"):
        rule.plan(object(), [1.0, 0.5])


@pytest.mark.parametrize("name", [*CERTIFIED, samplers.Multistep(order=1, churn=1.0)])
def test_a_scheme_is_what_its_sampler_does(name) -> None:
    # With one step in place of many: the end of a frozen SDE that is solved in small pieces.
    process, rule = Gaussian(schedules.VP()), registry.resolve("samplers", name)
    scheme, t, s, n = scheme_of(rule), 0.5, 0.3, 1000
    x_t, pred = 0.7, 0.4
    p, w = scheme.weights(process.schedule.at(t))
    frozen = p * (pred + w * x_t)
    h, mean, var = (t - s) / n, x_t, 0.0
    middles = [t - (k + 0.5) * h for k in range(n)]
    process.schedule.tabulate(middles)
    for r in middles:
        now = process.schedule.at(r)
        p, w = scheme.weights(now)
        # The score of the prediction that keeps the frozen quantity; linear in the state.
        on_x = (-now.alpha * w - 1) / now.sigma**2
        rest = now.alpha * frozen / p / now.sigma**2
        slope, push = -now.d_alpha / now.alpha + now.g2 * on_x, now.g2 * rest
        half = mean + 0.5 * h * (slope * mean + push)
        spread = var + 0.5 * h * (2 * slope * var + now.g2)
        mean, var = mean + h * (slope * half + push), var + h * (2 * slope * spread + now.g2)
    still = Transport(lambda x, t, c=None: torch.full_like(x, pred), process)
    end, std = _step(rule, still, torch.full((1, 1), x_t, dtype=DOUBLE), (t, s))
    assert float(end) == pytest.approx(mean, rel=1e-4)
    assert float(std) == pytest.approx(math.sqrt(var), rel=1e-4)


def test_a_trained_model_in_units_of_its_own() -> None:
    data = RING.data.sample(800, seed=0).float() * 10 + 3
    law = GaussianMixture(10 * RING.data.means + 3, RING.data.variances * 100)
    model = pf.Diffusion(pf.nn.MLP(1, width=16, depth=1))
    pf.fit(model, data[:400], steps=30, seed=0, holdout=0.0, progress=False)
    found = pf.certify(model, data[400:], steps=20, law=law)
    z = model.inward(data[400:]).double()
    same = certify(
        Transport(lambda x, t, c=None: model.predictor(x.float(), t).double(), model.process),
        z, steps=20, law=GaussianMixture(*_in_units(law, model)),
    )  # fmt: skip
    assert found.bound == pytest.approx(same.bound, rel=1e-4)
    # Distances are in units of the data.
    scale = float(model.units.scale)
    early = found.terms["early stopping"], same.terms["early stopping"]
    assert early[0].value == pytest.approx(scale * early[1].value, rel=1e-3)
    assert found.to_dict()["terms"]["score error"]["kind"] == "estimated"


def _in_units(law: GaussianMixture, model) -> tuple[torch.Tensor, torch.Tensor]:
    shift, scale = model.units.shift.double(), model.units.scale.double()
    return (law.means - shift) / scale, law.variances / scale**2


def test_a_class_is_certified_by_itself() -> None:
    model = pf.Diffusion(pf.nn.MLP(1, width=8, depth=1, num_classes=2))
    x = RING.data.sample(100, seed=0).float()
    model.fit_units(x)
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5, generator=generator)
    alone = [certify(model, x, c=k, steps=6) for k in (0, 1, None)]
    assert len({found.terms["score error"].value for found in alone}) == 3
    # What the samples are told is part of what is certified.
    assert [any("without the label" in a for a in found.assumptions) for found in alone] == [
        False, False, True,
    ]  # fmt: skip
    # The law of the rows is the same whatever the model is told.
    assert len({found.terms["discretization"].value for found in alone}) == 1


def test_what_cannot_be_certified_is_refused() -> None:
    process = Gaussian(schedules.OU())
    transport, x = Transport(RING.model(process), process), RING.data.sample(60, seed=0)
    with pytest.raises(InputError, match="20 rows"):
        certify(transport, x[:10])
    with pytest.raises(InputError, match="not finite"):
        certify(transport, x / 0)
    with pytest.raises(InputError, match="one of 1 numbers"):
        certify(transport, x.expand(60, 2), law=RING.data)
    with pytest.raises(CapabilityError, match="not of FlowMatching"):
        certify(pf.FlowMatching(pf.nn.MLP(1, width=8)), x)
    other = Transport(RING.model(process), Gaussian(schedules.VP()))
    with pytest.raises(InputError, match="one process"):
        certify(transport, x, against=other)
    with pytest.raises(CapabilityError, match="probability flow"):
        certify(transport, x, sampler="ddim")
