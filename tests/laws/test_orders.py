"""Orders of convergence on analytic models: within 0.25 of theory, for every schedule."""

from __future__ import annotations

import math

import pytest

from pushforward import registry, schedules, theory
from pushforward.metrics import observed_order
from pushforward.processes import Gaussian
from pushforward.samplers import (
    Ancestral,
    EDMStochastic,
    Euler,
    Heun,
    Multistep,
    PredictorCorrector,
    Rule,
)

SCHEDULES = [
    schedules.VP(),
    schedules.SubVP(),
    schedules.Cosine(),
    schedules.Rectified(),
    schedules.OU(),
    schedules.VE(sigma_max=10.0),
    schedules.EDM(),
]

# Order of the path for the probability flow; the corrector raises it by one.
DETERMINISTIC: list[tuple[Rule, int]] = [
    (Euler(), 1),
    (Ancestral(churn=0.0), 1),
    (Heun(), 2),
    (EDMStochastic(churn=0.0), 2),
    (Multistep(1), 1),
    (Multistep(2), 2),
    (Multistep(3), 3),
    (Multistep(2, corrector=True), 3),
    (Multistep(3, corrector=True), 4),
    (Multistep(2, integral="midpoint"), 2),
    (Multistep(2, integral="midpoint", corrector=True), 3),
    (Multistep(2, predict="noise"), 2),
    (Multistep(3, predict="noise"), 3),
    (Multistep(2, predict="noise", clock="time"), 2),
    (Multistep(3, predict="noise", clock="time"), 3),
    (registry.resolve("samplers", "dpm++2m"), 2),
    (registry.resolve("samplers", "deis"), 2),
    (Multistep(2, corrector=True, integral="midpoint", published=True), 3),
]

# Weak order in the variance of normal data.
STOCHASTIC: list[tuple[Rule, int]] = [
    (Euler(1.0), 1),
    (Euler(0.5), 1),
    (Ancestral(1.0), 1),
    (Ancestral(0.5), 1),
    (Multistep(1, churn=1.0), 1),
    (Multistep(1, predict="noise", churn=1.0), 1),
    (Multistep(2, churn=1.0), 2),
    (Multistep(3, churn=1.0), 2),
    (Multistep(2, churn=1.0, corrector=True), 2),
    (Multistep(2, predict="noise", churn=1.0), 2),
    (Multistep(2, churn=1.0, integral="midpoint"), 2),
    (registry.resolve("samplers", "dpm++2m-sde"), 2),
    (Ancestral(variance="beta"), 1),
    # A total churn spread over more and more steps; inflated noise would be a bias of its own.
    (EDMStochastic(churn=10.0, inflate=1.0), 2),
]


def _name(value: object) -> str | None:
    return type(value).__name__ if isinstance(value, schedules.Schedule) else None


def _told_apart(k: int, sampler: Rule) -> list[schedules.Schedule]:
    """The schedules on which the `k`-th sampler differs.

    One that steps in the log signal-to-noise ratio sees no more of a schedule than where its grid
    begins and ends: two do, others for each sampler.
    """
    timed = isinstance(sampler, Multistep) and sampler.clock == "time"
    if timed or isinstance(sampler, Euler):
        return SCHEDULES
    return [SCHEDULES[(k + shift) % len(SCHEDULES)] for shift in (0, 3)]


FLOWS = [
    (sampler, order, schedule)
    for k, (sampler, order) in enumerate(DETERMINISTIC)
    for schedule in _told_apart(k, sampler)
]


@pytest.mark.parametrize(
    ("sampler", "order", "schedule"),
    FLOWS,
    ids=lambda v: _name(v) or str(v),
)
def test_samplers_of_the_flow_reach_their_order(
    sampler: Rule, order: int, schedule: schedules.Schedule
) -> None:
    steps = (256, 512) if order < 4 else (128, 256)
    errors = theory.path_errors(sampler, schedule, steps, rows=50)
    assert observed_order(steps, errors).value == pytest.approx(order, abs=0.25)


@pytest.mark.parametrize(
    "schedule",
    [schedules.VP(), schedules.Cosine(), schedules.Rectified(), schedules.OU()],
    ids=_name,
)
@pytest.mark.parametrize(("sampler", "order"), STOCHASTIC, ids=str)
def test_stochastic_samplers_reach_their_weak_order(
    sampler: Rule, order: int, schedule: schedules.Schedule
) -> None:
    steps = (256, 512)
    errors = theory.variance_errors(sampler, schedule, steps)
    assert observed_order(steps, errors).value == pytest.approx(order, abs=0.25)


def test_the_published_weights_of_the_third_order_are_not_of_third_order() -> None:
    # DPM-Solver++(3M) as published in code halves the second difference; the exact integral of the
    # interpolating polynomial does not. One step on a quadratic prediction shows it.
    sampler, schedule = Multistep(3), schedules.VP()
    # Long enough for the third order to be used at all.
    grid = [0.9, 0.7, 0.5, 0.3, 0.25, 0.2, 0.15, 0.1]
    rows = sampler.plan(Gaussian(schedule), grid)
    here, there = (0.5 * schedule.log_snr(t) for t in grid[2:4])
    values = [(0.5 * schedule.log_snr(t) - here) ** 2 for t in (0.5, 0.7, 0.9)]
    found = sum(w * v for w, v in zip(rows[2].gains, values, strict=True))
    # alpha_s int_{-h}^0 e^u (u + h)^2 du.
    h = there - here
    exact = schedule.at(0.3).alpha * (h**2 - 2 * h + 2 - 2 * math.exp(-h))
    assert found == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("name", ["adams", "unipc", "dpm++2m"])
def test_langevin_moves_after_a_multistep_step_are_kept(name: str) -> None:
    # The moves are as large at any number of steps, and so their error: that of the stationary law,
    # and what is left of the predictor's.
    snr = 0.16
    sampler = PredictorCorrector(registry.resolve("samplers", name), snr=snr)
    (error,) = theory.variance_errors(sampler, schedules.Cosine(), (160,))
    assert error < 1.1 * (1 / (1 - snr**2) - 1)


@pytest.mark.parametrize("name", ["unipc", "unipc3"])
def test_a_last_step_of_order_one_makes_the_whole_of_order_two(name: str) -> None:
    steps = (128, 256)
    errors = theory.path_errors(registry.resolve("samplers", name), schedules.VP(), steps, rows=50)
    assert observed_order(steps, errors).value == pytest.approx(2, abs=0.25)


def test_inflated_noise_leaves_a_floor() -> None:
    # The stochastic sampler of EDM under its published settings. All noise of the end was added on
    # the way, with a variance too large by inflate^2 - 1, however many the steps.
    (error,) = theory.variance_errors(
        registry.resolve("samplers", "edm-sde"), schedules.EDM(), (1024,)
    )
    assert error == pytest.approx(EDMStochastic().inflate ** 2 - 1, rel=0.03)
    (exact,) = theory.variance_errors(EDMStochastic(inflate=1.0), schedules.EDM(), (1024,))
    assert exact < error / 50
