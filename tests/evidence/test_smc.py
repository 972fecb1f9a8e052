"""Tempered sequential Monte Carlo: carried weights, signs, and estimates without bias."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward import mcmc
from pushforward.distributions import Normal
from pushforward.errors import ConvergenceError, InputError
from pushforward.evidence import combined, effective_size, next_beta, temper

DOUBLE = torch.float64


def _seed(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


BASE = Normal((1,), dtype=DOUBLE)


def _narrow(x):
    """`3 N(1, 0.2^2)`, of which the integral is 3."""
    law = torch.distributions.Normal(1.0, 0.2)
    return law.log_prob(x[:, 0]) + math.log(3.0)


@pytest.mark.parametrize("uneven", [False, True])
def test_steps_keep_a_share_where_the_likelihood_is_lopsided(uneven: bool) -> None:
    """A Cauchy prior and a normal likelihood: minus the step would keep another share."""
    u = torch.rand(4, 5000, generator=_seed(), dtype=DOUBLE)
    x = (math.pi * (u - 0.5)).tan()
    difference = -0.5 * ((x - 2) / 0.3).square()
    carried = torch.randn(4, 5000, generator=_seed(1), dtype=DOUBLE) if uneven else 0 * x
    beta = next_beta(carried, difference, 0.0, 0.5)
    assert 0 < beta < 1
    before, after = effective_size(carried), effective_size(carried + beta * difference)
    assert abs(float(after.mean() / before.mean()) - 0.5) < 0.005
    later = next_beta(carried + beta * difference, difference, beta, 0.5)
    end = effective_size(carried + later * difference)
    assert abs(float(end.mean() / after.mean()) - 0.5) < 0.005
    assert next_beta(carried, 1e-9 * difference, 0.3, 0.5) == 1.0


def test_weights_are_carried_between_temperatures() -> None:
    """With small steps most temperatures do not resample: forgotten weights would bias `Z`."""
    runs = temper(_narrow, BASE, 48, 256, keep=0.8, generator=_seed())
    kept = runs.ess[:-1] / 256
    assert len(runs.ladder) > 5
    assert float(kept.min()) < 0.7
    found = combined(runs.log_z, "smc", 1.0)
    assert found.stderr < 0.03
    assert abs(found.value - math.log(3)) < 4 * found.stderr
    # The particles, with the weights that they carry, are a sample of the target.
    mean = (runs.log_weights.exp() * runs.x[..., 0]).sum(1)
    assert abs(float(mean.mean()) - 1) < 4 * float(mean.std()) / 48**0.5


def test_weights_are_even_after_resampling() -> None:
    """Of one island, the effective size falls to below a half, and is whole again."""
    ess = temper(_narrow, BASE, 1, 1024, keep=0.8, generator=_seed()).ess / 1024
    lost = int((ess[:-1] < 0.5).nonzero()[0])
    assert torch.allclose(ess[:lost], 0.8 ** torch.arange(1, lost + 1, dtype=DOUBLE), rtol=0.02)
    assert abs(float(ess[lost + 1]) - 0.8) < 0.02


def test_estimates_along_a_frozen_ladder_have_no_bias() -> None:
    """Their mean is `Z` for few particles, and the mean of their logarithms is not `log Z`."""
    pilot = temper(_narrow, BASE, 4, 64, generator=_seed(), length=4)
    runs = temper(_narrow, BASE, 1500, 8, ladder=pilot.ladder, generator=_seed(1), length=4)
    share = (runs.log_z - math.log(3)).exp()
    error = float(share.std()) / 1500**0.5
    assert abs(float(share.mean()) - 1) < 4 * error < 0.1
    low = float(runs.log_z.mean()) - math.log(3)
    assert low < -4 * float(runs.log_z.std()) / 1500**0.5


def test_intervals_cover() -> None:
    """One hundred intervals at 90 %, of six runs each."""
    pilot = temper(_narrow, BASE, 4, 64, generator=_seed(2))
    runs = temper(_narrow, BASE, 600, 32, ladder=pilot.ladder, generator=_seed(3))
    found = [combined(part, "smc", 1.0) for part in runs.log_z.split(6)]
    held = sum(one.lower <= math.log(3) <= one.upper for one in found)
    assert 83 <= held <= 96


def test_moves_follow_the_kernel() -> None:
    pilot = temper(_narrow, BASE, 2, 64, kernel=mcmc.MALA(0.1), generator=_seed())
    again = temper(
        _narrow, BASE, 2, 64, ladder=pilot.ladder, kernel=mcmc.MALA(0.1), generator=_seed(1)
    )
    assert [rung.beta for rung in again.ladder] == [rung.beta for rung in pilot.ladder]
    assert [rung.step for rung in again.ladder] == [rung.step for rung in pilot.ladder]
    assert pilot.ladder[-1].beta == 1.0
    assert 0.2 < float(again.acceptance.mean()) < 1
    same = temper(_narrow, BASE, 2, 64, ladder=pilot.ladder, generator=_seed(1))
    assert not torch.equal(same.log_z, again.log_z)


def test_more_moves_leave_no_bias_and_are_counted() -> None:
    """Many short runs along one ladder: their mean is `Z`, however often particles move."""
    pilot = temper(_narrow, BASE, 4, 64, generator=_seed(), length=4)
    once, thrice = (
        temper(_narrow, BASE, 1500, 8, ladder=pilot.ladder, length=4, thin=thin, generator=_seed(4))
        for thin in (1, 3)
    )
    for runs in (once, thrice):
        z = (runs.log_z - math.log(3)).exp()
        assert abs(float(z.mean()) - 1) < 4 * float(z.std()) / math.sqrt(len(z))
    rungs, particles = len(pilot.ladder), 1500 * 8
    leaps = mcmc.HMC(leapfrogs=5).evaluations
    assert thrice.evaluations - once.evaluations == rungs * particles * 2 * leaps


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match="a multiple of length, 8, not 60"):
        temper(_narrow, BASE, 2, 60, generator=_seed())
    with pytest.raises(InputError, match="share between 0 and 1"):
        temper(_narrow, BASE, 2, 64, keep=1.0, generator=_seed())
    with pytest.raises(ConvergenceError, match="where the target vanishes"):
        temper(lambda x: x[:, 0] * 0 - math.inf, BASE, 2, 64, generator=_seed())
