"""Sampling grids: their ends, their rule, and what is refused."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats

from pushforward import grids, registry, schedules
from pushforward.config import build, describe
from pushforward.errors import CapabilityError, InputError

SCHEDULES = [schedules.VP(), schedules.Cosine(), schedules.VE(), schedules.Rectified()]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("name", registry.names("grids"))
@pytest.mark.parametrize("steps", [1, 2, 50])
def test_ends_are_owned_and_times_fall(name: str, schedule, steps: int) -> None:
    rule = registry.resolve("grids", name)
    times = rule(schedule, steps)
    assert len(times) == steps + 1
    assert (times[0], times[-1]) == (schedule.t_max, schedule.t_min)
    assert all(t > s for t, s in pairwise(times))
    inner = rule(schedule, steps, start=0.8, stop=0.05)
    assert (inner[0], inner[-1]) == (0.8, 0.05)


def test_uniform_steps() -> None:
    times = grids.UniformGrid()(schedules.VP(), 7, start=0.9, stop=0.2)
    assert times == pytest.approx([0.9 - 0.1 * k for k in range(8)])


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
def test_equal_steps_in_log_snr(schedule) -> None:
    values = [schedule.log_snr(t) for t in grids.LogSNRGrid()(schedule, 9)]
    steps = [b - a for a, b in pairwise(values)]
    assert steps == pytest.approx([steps[0]] * 9, rel=1e-6)


def test_the_noise_levels_of_karras() -> None:
    schedule = schedules.VE(sigma_min=0.002, sigma_max=80.0)
    times = grids.KarrasGrid(rho=7.0)(schedule, 17)
    levels = [schedule.at(t).sigma / schedule.at(t).alpha for t in times]
    high, low = levels[0] ** (1 / 7), levels[-1] ** (1 / 7)
    exact = [(high + k / 17 * (low - high)) ** 7 for k in range(18)]
    assert levels == pytest.approx(exact, rel=1e-6)


def test_exponential_sigmas_are_the_limit_of_karras() -> None:
    # k-diffusion's get_sigmas_exponential, on the clock that is the noise level.
    clock = schedules.EDM(sigma_min=0.002, sigma_max=80.0)
    times = registry.resolve("grids", "exponential")(clock, 9)
    exact = torch.linspace(math.log(80.0), math.log(0.002), 10, dtype=torch.float64).exp() / 80
    assert times == pytest.approx(exact.tolist(), rel=1e-9)
    assert grids.KarrasGrid(rho=1e6)(clock, 9) == pytest.approx(times, rel=1e-4)


@pytest.mark.parametrize(("alpha", "beta"), [(0.6, 0.6), (0.5, 3.0), (2.0, 5.0), (1.0, 1.0)])
def test_beta_times_are_quantiles(alpha: float, beta: float) -> None:
    # diffusers, `use_beta_sigmas`, on the clock that is the noise level.
    times = grids.BetaGrid(alpha, beta)(schedules.Rectified(), 50, start=0.9, stop=0.01)
    levels = stats.beta.ppf(1 - np.linspace(0, 1, 51), alpha, beta)
    assert times == pytest.approx((0.01 + 0.89 * levels).tolist(), rel=1e-9)


def test_the_shift_of_stable_diffusion_3_and_flux() -> None:
    clock, t = schedules.Rectified(), torch.linspace(1, 0, 21, dtype=torch.float64)
    times = grids.ShiftedGrid(3.0)(clock, 20, start=1.0, stop=0.0)
    assert times == pytest.approx((3 * t / (1 + 2 * t)).tolist(), abs=1e-12)
    # Flux: exp(mu) / (exp(mu) + 1 / t - 1).
    flux = math.exp(1.15) / (math.exp(1.15) + 1 / t[:-1] - 1)
    times = grids.ShiftedGrid(math.exp(1.15))(clock, 20, start=1.0, stop=0.0)
    assert times[:-1] == pytest.approx(flux.tolist(), rel=1e-12)
    # Any grid can be shifted, and the ends stay; a shift of the noise level moves log-SNR alone.
    rule = grids.ShiftedGrid(2.0, "log-snr")
    assert rule(clock, 8) == pytest.approx(grids.LogSNRGrid()(clock, 8), rel=1e-9)
    assert grids.ShiftedGrid(1.0, "quadratic")(clock, 8) == grids.QuadraticGrid()(clock, 8)
    assert build(describe(rule)) == rule


@pytest.mark.parametrize("name", registry.names("grids"))
def test_only_grids_in_the_noise_level_need_one(name: str) -> None:
    # The clock of a process without noise, and that of tokens.
    still = schedules.Custom(lambda t: 1 - t, lambda t: 0 * t)
    assert len(registry.resolve("grids", name)(schedules.Rectified(), 5)) == 6
    if name in ("log-snr", "exponential", "karras"):
        with pytest.raises(CapabilityError, match="no log signal-to-noise ratio"):
            registry.resolve("grids", name)(still, 5)
    else:
        assert len(registry.resolve("grids", name)(still, 5)) == 6
    # A signal that stays is no obstacle.
    assert len(registry.resolve("grids", name)(schedules.VE(), 5)) == 6


def test_a_schedule_of_ones_own_need_not_be_hashable() -> None:
    @dataclasses.dataclass
    class Own(schedules.Schedule):
        power: float = 1.0

        def __call__(self, t):
            return 1 - t**self.power, t**self.power

    schedule = Own()
    first = grids.LogSNRGrid()(schedule, 4, start=0.9, stop=0.1)
    schedule.power = 2.0
    second = grids.LogSNRGrid()(schedule, 4, start=0.9, stop=0.1)
    assert first != second


def test_a_grid_handed_out_may_be_changed() -> None:
    first = grids.UniformGrid()(schedules.VP(), 3)
    first[1] = 0.0
    assert grids.UniformGrid()(schedules.VP(), 3)[1] != 0.0


@pytest.mark.parametrize("name", registry.names("grids"))
def test_they_go_through_a_configuration(name: str) -> None:
    assert build(describe(registry.resolve("grids", name))) == registry.resolve("grids", name)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: grids.UniformGrid()(schedules.VP(), 0), "whole number of at least 1, not 0"),
        (lambda: grids.UniformGrid()(schedules.VP(), 2.0), "not 2.0"),
        (lambda: grids.UniformGrid()(schedules.VP(), 2, start=0.1, stop=0.5), "from 0.1 to 0.5"),
        (lambda: grids.UniformGrid()(schedules.VP(), 2, start=1.5), "from 1.5"),
        (lambda: grids.LogSNRGrid()(schedules.VP(), 2, stop=0.0), "infinite at t = 0.0"),
        (lambda: grids.LogSNRGrid()(schedules.Rectified(), 2, start=1.0), "zero at t = 1.0"),
        (lambda: grids.KarrasGrid(rho=0.0), "rho is a positive finite number"),
        (lambda: grids.KarrasGrid(rho=math.inf), "LogSNRGrid is its limit"),
        (lambda: grids.BetaGrid(alpha=0.0), "alpha is a positive"),
        (lambda: grids.ShiftedGrid(shift=-1.0), "shift is a positive"),
        (lambda: grids.ShiftedGrid(grid="no"), "no grid is called 'no'"),
        (lambda: grids.check([0.5]), "at least two times"),
        (lambda: grids.check([0.5, 0.7, 0.6]), "0.7 is followed by 0.6"),
        (lambda: grids.check([0.5, 1.2]), "1.2 lies outside"),
        (lambda: grids.check([0.5, math.nan]), "nan lies outside"),
    ],
)
def test_what_is_refused(make, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_check_takes_both_directions_and_tensors() -> None:
    assert grids.check(torch.tensor([0.0, 0.5, 1.0])) == [0.0, 0.5, 1.0]
    assert grids.check([1, 0]) == [1.0, 0.0]
