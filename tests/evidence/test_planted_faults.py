"""Planted faults of estimates of `log Z`: each is caught by a law that the right code obeys.

The faults are those that have been published: a tempering step solved with the wrong sign, weights
that are dropped where no resampling took place, and the mean of `log Z` over runs.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from pushforward import evidence, mcmc
from pushforward.distributions import Normal
from pushforward.evidence import intervals, smc

DOUBLE = torch.float64
BASE = Normal((1,), dtype=DOUBLE)


def _seed(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _planted(function: Callable[..., Any], right: str, wrong: str) -> Callable[..., Any]:
    """The function with a fault in its source; the right words must be there, once."""
    source = inspect.getsource(function)
    assert source.count(right) == 1, right
    found: dict[str, Any] = {}
    # In a copy of its module, which finds everything else as it is.
    names = {**inspect.getmodule(function).__dict__}
    exec(compile(source.replace(right, wrong), "planted", "exec"), names, found)
    made: Callable[..., Any] = found[function.__name__]
    return made


def _narrow(x):
    """`3 N(1, 0.2^2)`."""
    return torch.distributions.Normal(1.0, 0.2).log_prob(x[:, 0]) + math.log(3.0)


def _kept(next_beta: Callable[..., float]) -> float:
    """The share of the effective sample size that a step leaves which should leave a half.

    A Cauchy prior and a normal likelihood, which is not symmetric: a symmetric one would hide it.
    """
    u = torch.rand(1, 20_000, generator=_seed(), dtype=DOUBLE)
    difference = -0.5 * (((math.pi * (u - 0.5)).tan() - 2) / 0.3).square()
    beta = next_beta(torch.zeros_like(difference), difference, 0.0, 0.5)
    return float(evidence.effective_size(beta * difference)) / 20_000


def test_the_sign_of_the_step() -> None:
    assert abs(_kept(smc.next_beta) - 0.5) < 0.005
    wrong = _planted(
        smc.next_beta, "log_weights + delta * difference", "log_weights - delta * difference"
    )
    assert abs(_kept(wrong) - 0.5) > 0.05


def _found(temper: Callable[..., Any]) -> evidence.LogZ:
    """`log Z - log 3` by many runs of few particles, of which few resample."""
    pilot = smc.temper(_narrow, BASE, 2, 64, keep=0.8, generator=_seed())
    runs = temper(_narrow, BASE, 200, 64, ladder=pilot.ladder, keep=0.8, generator=_seed(1))
    return evidence.combined(runs.log_z - math.log(3), "smc", 1.0)


def test_weights_that_are_dropped() -> None:
    right = _found(smc.temper)
    assert abs(right.value) < 4 * right.stderr < 0.2
    wrong = _found(_planted(smc.temper, "log_weights[poor] = even", "log_weights[:] = even"))
    assert abs(wrong.value) > 0.3


def test_the_sign_of_the_increment() -> None:
    wrong = _planted(
        smc.temper, "log_weights + (later - beta) * difference",
        "log_weights - (later - beta) * difference",
    )  # fmt: skip
    assert abs(_found(wrong).value) > 1


def test_the_mean_of_log_z() -> None:
    """Runs of variance 0.64: the mean of their logarithms is 0.32 too low."""
    noise = torch.randn(4000, generator=_seed(), dtype=DOUBLE)
    logs = 0.8 * noise - 0.32
    found = intervals.combined(logs, "runs", 1.0)
    assert abs(found.value) < 4 * found.stderr
    wrong = _planted(
        intervals.combined, "float(logs.logsumexp(0)) - math.log(count)", "float(logs.mean())"
    )(logs, "runs", 1.0)
    assert abs(wrong.value) > 8 * wrong.stderr


@pytest.mark.parametrize("count", [1, 2, 7])
def test_weights_have_the_mean_z_at_any_number_of_temperatures(count: int) -> None:
    """Of annealed chains, with a ladder that is uneven; and not if the moves come first."""
    ladder = [(k / count) ** 2 for k in range(count + 1)]
    wide = Normal((1,), 0.5, dtype=DOUBLE)
    # From the narrow law to a wide one the weights are bounded the other way round.
    base = Normal((1,), 1.5, dtype=DOUBLE)
    x = base.sample(40_000, generator=_seed())
    steps = torch.full((count,), 0.4, dtype=DOUBLE)

    def log_p(x):
        return wide.log_prob(x - 0.5) + 2.0

    path = mcmc.anneal(
        mcmc.MALA(), log_p, base.log_prob, x, ladder, steps=steps, generator=_seed(1)
    )
    share = (path.log_weights - 2).exp()
    error = float(share.std()) / 200
    assert abs(float(share.mean()) - 1) < 4 * error < 0.06
