"""Training times: where they lie, and that they follow their distribution."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from pushforward import parametrizations, registry, schedules, times, weightings
from pushforward.config import build, describe
from pushforward.errors import CapabilityError, InputError

VP = schedules.VP()


def _draw(
    law: times.TimeDistribution, n: int = 20_000, schedule: schedules.Schedule = VP
) -> torch.Tensor:
    return law.sample(n, schedule, generator=torch.Generator().manual_seed(0))


# The steps of a chain lie where it has them.
@pytest.mark.parametrize("name", [name for name in registry.names("times") if name != "steps"])
@pytest.mark.parametrize("schedule", [VP, schedules.Rectified(), schedules.VE()])
def test_times_stay_where_all_is_well_conditioned(name: str, schedule) -> None:
    t = _draw(registry.resolve("times", name), schedule=schedule)
    assert t.shape == (20_000,)
    assert schedule.t_min <= float(t.min())
    # In the precision of the times.
    assert t.max() <= torch.tensor(schedule.t_max)


@pytest.mark.parametrize(
    "law", [times.UniformTimes(), times.StratifiedTimes()], ids=["uniform", "strata"]
)
def test_uniform(law: times.TimeDistribution) -> None:
    width = VP.t_max - VP.t_min
    assert stats.kstest(_draw(law).numpy(), stats.uniform(VP.t_min, width).cdf).pvalue > 1e-3


def test_logit_normal() -> None:
    t = _draw(times.LogitNormalTimes(mean=-0.5, std=0.8)).double()
    assert stats.kstest(torch.logit(t).numpy(), stats.norm(-0.5, 0.8).cdf).pvalue > 1e-3


def test_log_normal_noise_levels() -> None:
    t = _draw(times.LogNormalTimes(mean=-1.2, std=1.2)).double()
    level = -0.5 * VP.log_snr(t)
    inside = (t > VP.t_min) & (t < VP.t_max)
    # The few levels beyond the schedule are moved to its ends.
    assert float(inside.double().mean()) > 0.98
    law = stats.truncnorm(
        (float(level[inside].min()) + 1.2) / 1.2,
        (float(level[inside].max()) + 1.2) / 1.2,
        -1.2,
        1.2,
    )
    assert stats.kstest(level[inside].numpy(), law.cdf).pvalue > 1e-3


DENSITIES = [
    times.UniformTimes(),
    times.LogSNRTimes(),
    times.LogNormalTimes(),
    times.LogitNormalTimes(),
]


@pytest.mark.parametrize("law", DENSITIES, ids=lambda law: type(law).__name__)
@pytest.mark.parametrize("schedule", [VP, schedules.Cosine()], ids=lambda s: type(s).__name__)
def test_densities_are_those_of_the_draws(law: times.TimeDistribution, schedule) -> None:
    # The integral of the density up to a time is the fraction of draws below it.
    t = torch.linspace(schedule.t_min, schedule.t_max, 200_001, dtype=torch.float64)[1:-1]
    below = law.density(t, schedule).cumsum(0) * (t[1] - t[0])
    draws = _draw(law, 40_000, schedule).double()
    for k in (40_000, 100_000, 160_000):
        share = float((draws <= t[k]).double().mean())
        # Four standard errors, and what the ends of the schedule cut off.
        assert float(below[k]) == pytest.approx(share, abs=0.015)


def test_importance_sampling_keeps_the_expectation_and_tames_the_variance() -> None:
    generator = torch.Generator().manual_seed(0)
    weight = weightings.Likelihood()

    def estimate(law: times.TimeDistribution) -> torch.Tensor:
        t = law.sample(100_000, VP, generator=generator).double()
        more = law.weights(t, VP)
        # The error of the data of a typical model: that of the noise is flat.
        alpha, sigma = VP(t)
        values = weight(VP, t, parametrizations.DataPrediction()) * (sigma / alpha) ** 2
        return values if more is None else values * more

    plain, better = (
        estimate(times.UniformTimes()),
        estimate(times.ImportanceTimes(times.LogSNRTimes())),
    )
    stderr = float(plain.std()) / math.sqrt(len(plain))
    assert float(better.mean()) == pytest.approx(float(plain.mean()), abs=4 * stderr)
    # With this error the weighted loss is constant in log-SNR.
    assert float(better.std()) < 1e-2 * float(plain.std())
    with pytest.raises(CapabilityError, match="has no density"):
        times.ImportanceTimes(times.StepTimes(10)).density(torch.tensor([0.5]), VP)


def test_every_stratum_has_one_time_in_random_order() -> None:
    t = _draw(times.StratifiedTimes(), 512)
    strata = ((t - VP.t_min) / (VP.t_max - VP.t_min) * 512).long().clamp(0, 511)
    assert strata.unique().numel() >= 510  # rounding may move one over an edge
    position = torch.arange(512.0)
    correlation = torch.corrcoef(torch.stack([strata.float(), position]))[0, 1]
    assert abs(float(correlation)) < 4 / math.sqrt(512)


def test_strata_of_any_law() -> None:
    inner = times.LogitNormalTimes()
    many = _draw(times.StratifiedTimes(inner))
    assert stats.kstest(torch.logit(many.double()).numpy(), stats.norm(0, 1).cdf).pvalue > 1e-3


def test_shifted_times() -> None:
    # Esser et al. (2024): a shift moves the mean of a logit-normal distribution.
    shifted = times.ShiftedTimes(3.0, times.LogitNormalTimes(0.0, 0.7))
    moved = times.LogitNormalTimes(math.log(3.0), 0.7)
    clock = schedules.Rectified()
    u = torch.linspace(0.01, 0.99, 33, dtype=torch.float64)
    t = moved.quantile(u, clock)
    assert torch.allclose(shifted.quantile(u, clock), t)
    assert torch.allclose(shifted.density(t, clock), moved.density(t, clock))
    draws = _draw(shifted, schedule=clock).double()
    law = stats.norm(math.log(3.0), 0.7)
    assert stats.kstest(torch.logit(draws).numpy(), law.cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", registry.names("times"))
def test_only_times_in_the_noise_level_need_one(name: str) -> None:
    # The clock of a process without noise.
    still = schedules.Custom(lambda t: 1 - t, lambda t: 0 * t)
    distribution = registry.resolve("times", name)
    assert _draw(distribution, 8, schedules.Rectified()).shape == (8,)
    assert _draw(distribution, 8, schedules.VE()).shape == (8,)
    if name in ("log-snr", "log-normal", "importance"):
        with pytest.raises(CapabilityError, match="no log signal-to-noise ratio"):
            _draw(distribution, 8, still)
    else:
        assert _draw(distribution, 8, still).shape == (8,)


@pytest.mark.parametrize("name", registry.names("times"))
def test_same_generator_same_times_and_round_trip(name: str) -> None:
    law = registry.resolve("times", name)
    assert torch.equal(_draw(law, 10), _draw(law, 10))
    assert build(describe(law)) == law


@pytest.mark.parametrize("kind", [times.LogNormalTimes, times.LogitNormalTimes])
@pytest.mark.parametrize(
    ("mean", "std"), [(0.0, 0.0), (0.0, -1.0), (math.nan, 1.0), (0.0, math.inf)]
)
def test_what_is_refused(kind, mean: float, std: float) -> None:
    with pytest.raises(InputError, match=r"(mean|std) is a (positive )?finite number"):
        kind(mean, std)
