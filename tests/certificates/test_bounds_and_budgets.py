"""Bounds of the literature, budgets of steps and bounds of flows, beside exact laws."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward import Transport, grids, registry, schedules
from pushforward.analytic import AnalyticMixture
from pushforward.certificates import (
    certify,
    flow_certificate,
    published_bounds,
    published_flow_bound,
    scheme_of,
    step_budget,
)
from pushforward.distributions import GaussianMixture
from pushforward.errors import CapabilityError, InputError
from pushforward.processes import Gaussian

DOUBLE = torch.float64
LINE = GaussianMixture(
    torch.tensor([[-1.0], [1.2]], dtype=DOUBLE), 0.09, torch.tensor([0.4, 0.6], dtype=DOUBLE)
)
NORMAL = GaussianMixture(torch.tensor([[1.0, -1.0]], dtype=DOUBLE), 0.25)


def _exact(data: GaussianMixture, process: Gaussian) -> Transport:
    return Transport(AnalyticMixture(data).model(process), process)


def test_numbers_of_explicit_bounds() -> None:
    # T = 5 and 1000 steps: 3.26e-2 by the Fisher information, four times that in the second term.
    process = Gaussian(schedules.OU(horizon=5.0))
    times = grids.UniformGrid()(process.schedule, 1000, start=1.0, stop=1e-7)
    scheme = scheme_of(registry.resolve("samplers", "relative-score"))
    found = {b.name: b for b in published_bounds(NORMAL, process, times, scheme, 0.0)}
    assert found["finite Fisher information"].value == pytest.approx(3.26e-2, rel=5e-3)
    assert found["Strasman et al. 2025"].value == pytest.approx(0.130, rel=5e-3)
    assert found["finite Fisher information"].applies
    assert found["Strasman et al. 2025"].applies
    assert not found["Benton et al. 2024"].applies
    assert found["Chen et al. 2023"].of == "TV"


def test_theorems_are_told_where_sampling_starts() -> None:
    # The noised data are N(0, I), which mixes at once and has no Fisher information; what is left
    # is that samplers start from N(0, sigma^2 I).
    process = Gaussian(schedules.OU(horizon=0.5))
    data = GaussianMixture(torch.zeros(1, 2, dtype=DOUBLE), 1.0)
    times = grids.UniformGrid()(process.schedule, 50, start=1.0, stop=0.01)
    found = certify(
        _exact(data, process), data.sample(50, seed=0), sampler="relative-score", steps=50,
        law=data, grid="uniform", stop=0.01, denoise=False,
    )  # fmt: skip
    scheme = scheme_of(registry.resolve("samplers", "relative-score"))
    for bound in published_bounds(data, process, times, scheme, 0.0)[:3]:
        assert bound.applies
        assert bound.value >= found.bound * (1 - 1e-9)
    ours = published_bounds(data, process, times, scheme, 0.0)[0]
    assert ours.value == pytest.approx(found.bound, rel=1e-9)
    assert found.bound > 0.1


@pytest.mark.parametrize("data", [NORMAL, LINE], ids=["normal", "mixture"])
@pytest.mark.parametrize("name", ["ddpm", "relative-score"])
@pytest.mark.parametrize("grid", ["log-snr", "uniform"])
def test_what_is_proved_is_above_what_is_measured(data, name: str, grid: str) -> None:
    process = Gaussian(schedules.OU(horizon=4.0))
    place = registry.resolve("grids", grid)
    times = place(process.schedule, 60, start=1.0, stop=0.01)
    x = data.sample(1000, seed=0)
    found = certify(
        _exact(data, process), x, sampler=name, steps=60, law=data, grid=grid, stop=0.01,
        denoise=False,
    )  # fmt: skip
    scheme = scheme_of(registry.resolve("samplers", name))
    score = found.terms["score error"].value
    bounds = published_bounds(data, process, times, scheme, score)
    applying = [bound for bound in bounds if bound.applies]
    assert len(applying) >= (1 if name == "ddpm" else 2)
    for bound in applying:
        assert bound.value >= found.bound - 3 * found.stderr, str(bound)
    # A theorem about another scheme is not passed off as one about this.
    if name == "ddpm":
        assert [bound.name for bound in applying] == ["second moment"]


@pytest.mark.parametrize("data", [NORMAL, LINE], ids=["normal", "mixture"])
def test_a_budget_is_kept_and_not_by_much(data: GaussianMixture) -> None:
    process, target = Gaussian(schedules.OU(horizon=6.0)), 0.05
    budget = step_budget(target, data, process, distance=0.25)
    x = data.sample(2000, seed=0)
    transport = _exact(data, process)
    options = {
        "law": data, "grid": budget.grid, "start": budget.start, "stop": budget.stop,
        "denoise": False,
    }  # fmt: skip
    found = certify(transport, x, steps=budget.steps, **options)
    assert found.bound <= target + 3 * found.stderr
    assert certify(transport, x, steps=int(0.8 * budget.steps), **options).bound > target
    # The distance to the data is what was allowed.
    assert budget.early_stopping == pytest.approx(0.25, rel=1e-6)
    assert found.terms["early stopping"].value == pytest.approx(0.25, rel=0.1)
    assert all(steps >= budget.steps for steps in budget.others.values())
    # From draws, without the law, much the same.
    drawn = step_budget(target, x[:500], process, distance=0.25)
    assert drawn.steps == pytest.approx(budget.steps, rel=0.15)


def test_budgets_that_cannot_be_met_are_refused() -> None:
    with pytest.raises(InputError, match="longer horizon"):
        step_budget(0.01, NORMAL, Gaussian(schedules.OU(horizon=1.0)))
    with pytest.raises(InputError, match="nothing left to sample"):
        step_budget(0.1, NORMAL, Gaussian(schedules.OU()), distance=50.0)
    with pytest.raises(InputError, match="farther than"):
        step_budget(0.1, NORMAL, Gaussian(schedules.OU()), distance=1e-3)
    ve = Gaussian(schedules.VE())
    with pytest.raises(CapabilityError, match="preserve variance"):
        published_bounds(NORMAL, ve, [0.5, 0.1], scheme_of(registry.resolve("samplers", "ddpm")), 0)


def test_the_bound_of_a_flow_is_the_distance_where_all_is_linear() -> None:
    # Standard normal data: the exact velocity is zero, and a shift of the score moves all states.
    process, shift, stop = Gaussian(schedules.OU(horizon=3.0)), 0.2, 0.01
    data = GaussianMixture(torch.zeros(1, 1, dtype=DOUBLE), 1.0)
    exact = _exact(data, process)

    def wrong(x, t, c=None):
        k = process.schedule.at(t)
        return exact.model(x, t) + k.sigma**2 * shift / k.alpha

    found = flow_certificate(
        Transport(wrong, process), exact, data.sample(500, seed=0), stop=stop, times=400
    )
    # v = f x - g^2 s / 2 with g^2 = 2 horizon: the states have moved by the shift times the time.
    moved = 3.0 * (1 - stop) * shift
    assert found.velocity == pytest.approx(moved, rel=1e-3)
    assert found.growth == pytest.approx(1.0, abs=1e-6)
    assert not found.vacuous
    # Where modes are far apart, what is between them is carried apart.
    far = GaussianMixture(torch.tensor([[-2.0], [2.0]], dtype=DOUBLE), 0.01)
    between = _exact(far, process)
    worse = Transport(lambda x, t, c=None: between.model(x, t) + 0.1, process)
    vacuous = flow_certificate(worse, between, far.sample(500, seed=0), stop=stop)
    assert vacuous.vacuous
    assert "vacuous" in str(vacuous)
    assert math.isfinite(vacuous.distance)


def test_numbers_of_the_published_bound_of_flows() -> None:
    # With R = 0 and s = 1 the exponent is int |d log sqrt(alpha^2 + sigma^2)|, twice log sqrt(2)
    # on straight lines, so that the bound is twice the error; lambda = 1 + R^2 / s^2 multiplies it.
    process = Gaussian(schedules.Rectified())
    center = GaussianMixture(torch.zeros(1, 1, dtype=DOUBLE), 1.0)
    found = published_flow_bound(center, process, 0.3, start=1.0, stop=0.0)
    assert found.value == pytest.approx(0.6, rel=1e-4)
    # R = s = 1: 2 log 2 + sqrt(2) int d alpha / sqrt(alpha^2 + (1 - alpha)^2).
    pair = GaussianMixture(torch.tensor([[-1.0], [1.0]], dtype=DOUBLE), 1.0)
    integral = 2 / math.sqrt(2) * math.asinh(1.0)
    exact = 0.3 * math.exp(2 * math.log(2) + math.sqrt(2) * integral)
    found = published_flow_bound(pair, process, 0.3, start=1.0, stop=0.0)
    assert found.value == pytest.approx(exact, rel=1e-3)


def test_the_published_bound_of_flows_is_above_every_slope() -> None:
    # The exact velocity is dx/dt = x / sigma - (1 + alpha / sigma) E[x_0 | x] here.
    process = Gaussian(schedules.Rectified())
    clock = torch.linspace(1.0, 0.01, 100, dtype=DOUBLE)
    x = torch.linspace(-6, 6, 2401, dtype=DOUBLE)[:, None]
    for radius, std in ((0.5, 1.0), (1.5, 0.6)):
        data = GaussianMixture(torch.tensor([[-radius], [radius]], dtype=DOUBLE), std**2)
        flow = _exact(data, process)
        slopes = [
            float(
                torch.gradient(flow.dynamics(x, float(t)).velocity[:, 0], spacing=0.005)[0]
                .abs()
                .max()
            )
            for t in clock[1:]
        ]
        integral = 0.01 * sum(slopes)
        found = published_flow_bound(data, process, 1.0, start=1.0, stop=0.01)
        assert found.applies
        assert math.log(found.value) > integral
        half = published_flow_bound(data, process, 0.5, start=1.0, stop=0.01)
        assert half.value == pytest.approx(0.5 * found.value)
    uneven = GaussianMixture(
        torch.zeros(2, 1, dtype=DOUBLE), torch.tensor([0.1, 0.2], dtype=DOUBLE)
    )
    with pytest.raises(CapabilityError, match="one covariance"):
        published_flow_bound(uneven, process, 0.1)
    # A process that keeps signal at its end starts elsewhere.
    assert not published_flow_bound(NORMAL, Gaussian(schedules.OU(horizon=1.0)), 0.1).applies
