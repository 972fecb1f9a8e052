"""Calibration of posteriors: the exact one passes as often as it should, wrong ones do not."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pushforward import metrics
from pushforward.errors import InputError
from pushforward.metrics.rank_uniformity import ranks_among

D = 2
NOISE = 0.8
# The prior correlates the coordinates, and the data see one of them better.
PRIOR = torch.tensor([[1.0, 0.9], [0.9, 1.0]], dtype=torch.float64)
LEVELS = torch.tensor([NOISE**2, 2 * NOISE**2], dtype=torch.float64)


def pairs(m: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    theta = torch.randn(m, D, generator=g, dtype=torch.float64) @ torch.linalg.cholesky(PRIOR).mT
    return theta, theta + torch.randn(m, D, generator=g, dtype=torch.float64) * LEVELS.sqrt()


def posterior(y: Tensor, level: float = 1.0) -> tuple[Tensor, Tensor]:
    gain = PRIOR @ torch.linalg.inv(PRIOR + level * LEVELS.diag())
    return y @ gain.mT, PRIOR - gain @ PRIOR


def exact(y: Tensor, n: int, seed: int) -> Tensor:
    return _drawn(*posterior(y), n, seed)


def _drawn(mean: Tensor, covariance: Tensor, n: int, seed: int) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    noise = torch.randn(n, *mean.shape, generator=g, dtype=torch.float64)
    return mean + noise @ torch.linalg.cholesky(covariance).mT


def narrow(y: Tensor, n: int, seed: int) -> Tensor:
    mean, covariance = posterior(y)
    return _drawn(mean, 0.64 * covariance, n, seed)


def shifted(y: Tensor, n: int, seed: int) -> Tensor:
    return exact(y, n, seed) + 0.2


def wrong_noise(y: Tensor, n: int, seed: int) -> Tensor:
    return _drawn(*posterior(y, level=2.0), n, seed)


def uncorrelated(y: Tensor, n: int, seed: int) -> Tensor:
    mean, covariance = posterior(y)
    return _drawn(mean, covariance.diag().diag(), n, seed)


def prior(y: Tensor, n: int, seed: int) -> Tensor:
    return _drawn(torch.zeros_like(y), PRIOR, n, seed)


def log_likelihood(theta: Tensor, y: Tensor) -> Tensor:
    return -0.5 * ((y - theta).square() / LEVELS).sum(-1)


def log_posterior(theta: Tensor, y: Tensor) -> Tensor:
    mean, covariance = posterior(y)
    return torch.distributions.MultivariateNormal(mean, covariance).log_prob(theta)


# -- ranks --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("m", "draws"), [(40, 9), (150, 39)])
def test_p_values_of_uniform_ranks_are_uniform(m: int, draws: int) -> None:
    g = torch.Generator().manual_seed(m)
    p = torch.tensor(
        [
            metrics.rank_uniformity(torch.randint(0, draws + 1, (m,), generator=g), draws).p_value
            for _ in range(250)
        ]
    )
    for alpha in (0.05, 0.2, 0.5):
        rate, error = float((p <= alpha).double().mean()), math.sqrt(alpha * (1 - alpha) / 250)
        # Never above the level; counts are whole numbers, so that it may be somewhat below.
        assert 0.75 * alpha - 3 * error < rate < alpha + 3 * error


def test_the_p_value_is_the_exact_chance_of_a_small_case() -> None:
    # Three ranks among two draws: all 27 outcomes are equally likely.
    outcomes = torch.cartesian_prod(*[torch.arange(3)] * 3)
    found = torch.tensor([metrics.rank_uniformity(r, 2).p_value for r in outcomes])
    for p in found.unique():
        assert float((found <= p * (1 + 1e-9)).double().mean()) == pytest.approx(float(p))


def test_the_band_holds_what_passes_and_nothing_else() -> None:
    g = torch.Generator().manual_seed(0)
    seen = set()
    for k in range(200):
        ranks = torch.randint(0, 20 + k // 40, (60,), generator=g).clamp_max(20)
        found = metrics.rank_uniformity(ranks, 20, alpha=0.3)
        inside = (found.ecdf >= found.low - 1e-9) & (found.ecdf <= found.high + 1e-9)
        assert bool(inside.all()) == found.passed
        seen.add(found.passed)
    assert seen == {True, False}


def test_ties_are_broken_evenly() -> None:
    g = torch.Generator().manual_seed(0)
    truth = torch.randint(0, 3, (3000,), generator=g)
    draws = torch.randint(0, 3, (9, 3000), generator=g)
    assert metrics.rank_uniformity(ranks_among(truth, draws, generator=g), 9).p_value > 0.01
    below = (draws < truth).sum(0)
    assert not metrics.rank_uniformity(below, 9).passed


def test_readings_name_the_fault() -> None:
    u = torch.linspace(0, 0.999, 200)
    readings = {
        "too wide": 0.25 + u / 2,
        "too narrow": torch.where(u < 0.5, u / 2, 0.5 + u / 2),
        "draws are too low": u.sqrt(),
        "draws are too high": u.square(),
    }
    for words, spread in readings.items():
        found = metrics.rank_uniformity((spread * 100).long(), 99)
        assert words in found.reading


# -- exact posteriors pass ----------------------------------------------------------------------


def test_the_exact_posterior_is_rejected_as_often_as_it_should() -> None:
    rejected: dict[str, list[bool]] = {}
    for k in range(80):
        theta, y = pairs(60, torch.Generator().manual_seed(k))
        found = metrics.calibrate(
            exact, (theta, y), draws=19, log_prob=log_posterior, alpha=0.2, seed=k,
            quantities={"log-likelihood": log_likelihood},
        )  # fmt: skip
        for name, check in found.checks.items():
            rejected.setdefault(name, []).append(not check.passed)
    # Three standard errors above one fifth, of 80 runs: Bonferroni and discreteness only lower it.
    rates = {name: sum(values) / 80 for name, values in rejected.items()}
    assert set(rates) == {"SBC", "TARP", "coverage"}
    assert max(rates.values()) < 0.2 + 3 * math.sqrt(0.2 * 0.8 / 80), rates
    assert min(rates["TARP"], rates["coverage"]) > 0.2 - 3.2 * math.sqrt(0.2 * 0.8 / 80), rates


# -- wrong ones do not --------------------------------------------------------------------------

SETS: dict[str, tuple[Callable[[Tensor, int, int], Tensor], set[str], set[str]]] = {
    # What must reject, and what cannot see the fault.
    "narrow": (narrow, {"coordinates", "TARP", "coverage"}, set()),
    "shifted": (shifted, {"coordinates"}, set()),
    "wrong noise": (wrong_noise, {"coordinates", "log-likelihood"}, set()),
    "uncorrelated": (uncorrelated, {"prior density", "coverage"}, {"coordinates"}),
    "prior": (prior, {"log-likelihood", "TARP"}, {"coordinates", "prior density"}),
}


@pytest.mark.parametrize("fault", SETS)
def test_wrong_posteriors_are_rejected(fault: str) -> None:
    sampler, must, cannot = SETS[fault]
    theta, y = pairs(600, torch.Generator().manual_seed(5))
    found = metrics.calibrate(
        sampler, (theta, y), draws=99, log_prob=log_posterior, seed=1,
        quantities={
            "log-likelihood": log_likelihood,
            "prior density": lambda t, _: -(t @ torch.linalg.inv(PRIOR) * t).sum(-1),
        },
    )  # fmt: skip
    coordinates = [q for q in found.sbc.quantities if q.name.startswith("theta")]
    rejects = {
        "coordinates": any(not q.passed for q in coordinates),
        "log-likelihood": not found.sbc["log-likelihood"].passed,
        "prior density": not found.sbc["prior density"].passed,
        "TARP": not found.tarp.passed,
        "coverage": not found.coverage.passed if found.coverage else False,
    }
    assert all(rejects[name] for name in must), (rejects, str(found))
    assert not any(rejects[name] for name in cannot), (rejects, str(found))
    assert not found.passed
    assert "REJECTED" in str(found)


def test_references_that_know_nothing_let_the_prior_pass() -> None:
    theta, y = pairs(600, torch.Generator().manual_seed(5))
    draws = prior(y, 99, 11)
    assert metrics.tarp(theta, draws, y, references=metrics.reference_points(theta)).passed
    assert not metrics.tarp(theta, draws, y).passed


def test_a_reference_does_not_know_its_own_pair() -> None:
    theta, y = pairs(50, torch.Generator().manual_seed(0))
    moved = theta.clone()
    moved[20] += 100
    before, after = (metrics.reference_points(t, y, seed=3) for t in (theta, moved))
    assert torch.equal(before[:21], after[:21])
    assert not torch.equal(before[21:], after[21:])


def test_references_follow_the_data() -> None:
    theta, y = pairs(2000, torch.Generator().manual_seed(0))
    mean, _ = posterior(y)
    # Noise of the spread of theta is added to the prediction: the rest is the posterior mean.
    rest = metrics.reference_points(theta, y) - mean
    assert float(rest[500:].square().mean()) == pytest.approx(1.0, rel=0.15)


def test_the_local_test_sees_what_is_wrong_at_one_observation() -> None:
    # Right for y_0 > 0, shifted by a deviation elsewhere: on average as many up as down.
    def sampler(y: Tensor, n: int, seed: int) -> Tensor:
        return exact(y, n, seed) + torch.where(y[:, :1] > 0, 0.0, 0.9 * y[:, 1:].sign())

    theta, y = pairs(1200, torch.Generator().manual_seed(0))
    there = torch.tensor([[1.5, 1.2], [-1.5, -1.2]], dtype=torch.float64)
    found = metrics.local_c2st(
        theta, sampler(y, 1, 3)[0], y, there, sampler(there, 300, 4), nulls=40
    )
    right, wrong = found.p_values.tolist()
    assert right > 0.1, str(found)
    assert wrong < 0.03, str(found)


def test_contraction_and_z_scores_are_those_of_the_closed_form() -> None:
    theta, y = pairs(1500, torch.Generator().manual_seed(0))
    found = metrics.contraction(theta, exact(y, 60, 11))
    for k, variance in enumerate(posterior(y)[1].diag()):
        expected = 1 - float(variance / PRIOR[k, k])
        assert found.mean_contraction[k].value == pytest.approx(expected, abs=0.03)
        z, square = found.mean_z[k], found.mean_square_z[k]
        assert abs(z.value) < 3 * z.stderr
        assert abs(square.value - 1) < 3 * square.stderr
    # Few draws: without the correction the mean square is above by (L - 1) (1 + 1/L) / (L - 3).
    few = metrics.contraction(theta, exact(y, 6, 12)).mean_square_z[0]
    assert abs(few.value - 1) < 3.5 * few.stderr
    wide = metrics.contraction(theta, narrow(y, 60, 13)).mean_square_z[0]
    assert wide.value == pytest.approx(1 / 0.64, rel=0.1)


def test_draws_that_ignore_the_observation_are_named() -> None:
    theta, y = pairs(200, torch.Generator().manual_seed(0))
    ignored = metrics.calibrate(prior, (theta, y), draws=19, alpha=0.01)
    assert ignored.warnings[0].startswith("The model ignores what is given, or that tells next to")
    assert ignored.warnings[0] in str(ignored)
    assert float(ignored.contraction.explained.abs().max()) < 0.02
    # TARP sees what it leaves out.
    assert "rejected by TARP" in ignored.warnings[1]
    right = metrics.calibrate(exact, (theta, y), draws=19, alpha=0.01)
    assert right.warnings == ()
    for k, variance in enumerate(posterior(y)[1].diag()):
        expected = 1 - float(variance / PRIOR[k, k])
        assert float(right.contraction.explained[k]) == pytest.approx(expected, abs=0.1)
    # As wide as the prior, but not where it is: not ignored.
    wide = metrics.calibrate(
        lambda y, n, seed: prior(y, n, seed) + posterior(y)[0], (theta, y), draws=19
    )
    assert not any("ignores" in warning for warning in wide.warnings)
    assert any("too wide" in warning for warning in wide.warnings)


def test_the_error_of_the_contraction_is_that_of_repeated_pairs() -> None:
    found = []
    for seed in range(120):
        theta, y = pairs(60, torch.Generator().manual_seed(seed))
        found.append(metrics.contraction(theta, exact(y, 30, seed)).mean_contraction)
    for k, variance in enumerate(posterior(y)[1].diag()):
        values = torch.tensor([own[k].value for own in found])
        errors = torch.tensor([own[k].stderr for own in found])
        expected = 1 - float(variance / PRIOR[k, k])
        # An error that left out the variance of the parameters would be a fifth of this.
        assert float(errors.square().mean().sqrt() / values.std()) == pytest.approx(1, abs=0.25)
        assert float(((values - expected).abs() < 2 * errors).double().mean()) > 0.85


def test_contraction_has_the_names_of_its_coordinates() -> None:
    theta, y = pairs(100, torch.Generator().manual_seed(0))
    found = metrics.calibrate(exact, (theta, y), draws=19, names=["rate", "level"])
    assert "  rate: " in str(found.contraction)
    assert "  level: " in str(found.contraction)


def test_pictures_with_a_constant_pixel_are_judged_by_projections() -> None:
    def sampler(y: Tensor, n: int, seed: int) -> Tensor:
        g = torch.Generator().manual_seed(seed)
        found = y / 2 + math.sqrt(0.5) * torch.randn(n, *y.shape, generator=g, dtype=y.dtype)
        return found * seen

    g = torch.Generator().manual_seed(0)
    seen = torch.ones(1, 8, 8, dtype=torch.float64)
    seen[0, 0, 0] = 0
    theta = torch.randn(400, 1, 8, 8, generator=g, dtype=torch.float64) * seen
    y = theta + torch.randn(theta.shape, generator=g, dtype=torch.float64)
    found = metrics.calibrate(sampler, (theta, y), draws=19)
    assert found.passed
    told = found.contraction.mean_contraction
    assert len(told) == 16
    assert all(abs(own.value - 0.5) < 4 * own.stderr for own in told)


def test_coverage_is_the_level_of_normal_regions() -> None:
    theta, y = pairs(1500, torch.Generator().manual_seed(0))
    draws = narrow(y, 99, 1)
    found = metrics.expected_coverage(
        log_posterior(theta, y), torch.stack([log_posterior(draw, y) for draw in draws])
    )
    # A region of two dimensions of level a has the radius^2 -2 log(1 - a); truths are wider by .8.
    assert found.at(0.5) == pytest.approx(1 - 0.5**0.64, abs=0.03)
    assert found.reading == "overconfident"


def test_parts_of_the_observations_and_large_events() -> None:
    theta, y = pairs(40, torch.Generator().manual_seed(0))
    seen = []

    def sampler(part: Tensor, n: int, seed: int) -> Tensor:
        seen.append((len(part), seed))
        return exact(part, n, seed)

    metrics.calibrate(sampler, (theta, y), draws=9, batch_size=15)
    assert [n for n, _ in seen] == [15, 15, 10]
    assert len({seed for _, seed in seen}) == 3
    g = torch.Generator().manual_seed(0)
    picture = torch.randn(50, 1, 8, 8, generator=g)
    found = metrics.sbc(picture, torch.randn(19, 50, 1, 8, 8, generator=g))
    assert len(found.quantities) == 16
    assert found.passed


def test_bad_input_is_named() -> None:
    theta, y = pairs(20, torch.Generator().manual_seed(0))
    draws = exact(y, 9, 0)
    with pytest.raises(InputError, match=r"\(draws, \*\(20, 2\)\)"):
        metrics.sbc(theta, draws[:, :10])
    draws[0, 0] = math.nan
    with pytest.raises(InputError, match="1 of 180 posterior draws hold NaN"):
        metrics.sbc(theta, draws)
    with pytest.raises(InputError, match="20 parameters have as many observations, not 10"):
        metrics.calibrate(exact, (theta, y[:10]))
    with pytest.raises(InputError, match=r"\(99, 20, ...\), not \(20, 2\)"):
        metrics.calibrate(lambda y, n, seed: y, (theta, y))
    with pytest.raises(InputError, match="nulls=20 or more"):
        metrics.local_c2st(theta, theta, y, y[:1], theta[:, None], nulls=10)
    with pytest.raises(InputError, match=r"in 0\.\.9, not in 0\.\.10"):
        metrics.rank_uniformity(torch.arange(11), 9)
