"""Intervals of `log Z`: how runs combine, and what happens when they disagree."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward.errors import InputError
from pushforward.evidence import Bound, LogZ, agreed, combined, runs_for
from pushforward.evidence.intervals import student_quantile

DOUBLE = torch.float64


def test_runs_combine_by_the_mean_of_z() -> None:
    """Not by that of `log Z`, which is lower by half of the variance."""
    noise = torch.randn(4000, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    logs = 5 + 0.8 * noise - 0.32  # E exp = exp(5)
    found = combined(logs, "runs", 1.0)
    assert abs(found.value - 5) < 4 * found.stderr < 0.1
    assert float(logs.mean()) < 5 - 0.25
    assert math.isclose(found.value, math.log(float(logs.exp().mean())))


def test_quantiles_of_student() -> None:
    for level, freedom, expected in (
        (0.95, 1, 6.3138),
        (0.95, 3, 2.3534),
        (0.95, 7, 1.8946),
        (0.975, 30, 2.0423),
    ):
        assert abs(student_quantile(level, freedom) - expected) < 2e-4


def test_runs_that_differ_have_not_converged() -> None:
    found = combined(torch.tensor([0.0, 0.1, 7.0, 0.2], dtype=DOUBLE), "runs", 1.0)
    assert not found.converged
    assert "differ by 7.00 nats" in found.notes[0]
    assert combined(torch.tensor([0.0, 0.1, 0.05, 0.2], dtype=DOUBLE), "runs", 1.0).converged


def test_equal_runs_are_equal_up_to_rounding() -> None:
    found = combined(torch.full((4,), -3.0, dtype=DOUBLE), "runs", 1.0)
    assert found.converged
    assert 0 < found.stderr < 1e-12


def _estimate(value: float, stderr: float, name: str, converged: bool = True) -> LogZ:
    return LogZ(value, stderr, value - stderr, value + stderr, name, 9.0, converged)


def test_estimates_that_agree_give_the_better_one() -> None:
    found = agreed(_estimate(-1.0, 0.01, "a"), _estimate(-1.1, 0.1, "b"))
    assert (found.value, found.method, found.converged) == (-1.0, "a", True)
    assert any("b: -1.1000" in note for note in found.notes)
    lost = agreed(_estimate(-1.0, 0.01, "a", False), _estimate(-1.05, 0.1, "b"))
    assert lost.method == "b"


@pytest.mark.parametrize("apart", [True, False])
def test_estimates_that_disagree_are_not_trusted(apart: bool) -> None:
    """Two starts that have seen a tenth and nine tenths of `Z = 1`."""
    parts = _estimate(math.log(0.1), 0.01, "wide"), _estimate(math.log(0.9), 0.01, "narrow")
    for one, other in (parts, parts[::-1]):
        found = agreed(one, other, apart=apart)
        assert not found.converged
        assert found.lower < math.log(0.1)
        assert found.upper > 0
        assert found.stderr > 1
        assert abs(found.value - (0.0 if apart else math.log(0.9))) < 1e-9
        assert ("do not overlap" in found.notes[-1]) == apart


def test_intervals_cover_where_runs_go_on_for_an_error() -> None:
    """The number of runs follows from the first eight; the interval is that of all of them."""
    noise = torch.Generator().manual_seed(1)
    held, counts = 0, []
    for _ in range(200):
        # `E exp = 1`, with logarithms that deviate by 0.1.
        logs = 0.1 * torch.randn(120, generator=noise, dtype=DOUBLE) - 0.005
        count = runs_for(combined(logs[:8], "smc", 1.0), 0.02, 120)
        found = combined(logs[:count], "smc", 1.0)
        held += found.lower <= 0 <= found.upper
        counts.append(count)
    assert 0.83 <= held / 200 <= 0.96
    assert abs(sum(counts) / 200 / 25 - 1) < 0.1
    assert min(counts) >= 8


def test_words() -> None:
    held = Bound("ELBO", -3.0, 0.1, "lower", True, "the base is normalized")
    assert str(held).endswith("a bound from below, since the base is normalized")
    lost = Bound("EUBO", -3.0, 0.1, "upper", False, "the draws are not exact")
    assert str(lost).endswith("no bound, since the draws are not exact")
    assert "NOT CONVERGED" in str(_estimate(0.0, 1.0, "a", False))


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match="two runs at least"):
        combined(torch.zeros(1), "runs", 1.0)
    with pytest.raises(InputError, match="not finite"):
        combined(torch.tensor([math.inf, 1.0]), "runs", 1.0)
    with pytest.raises(InputError, match="lies in its interval"):
        LogZ(0.0, 1.0, 1.0, 2.0, "a", 1.0, True)
