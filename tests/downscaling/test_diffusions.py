"""Downscaling by a diffusion of the fine fields alone, where all laws are known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.downscaling import (
    ConstrainedDiffusion,
    LearnedMap,
    NoiseBridge,
    Unpaired,
    shared_noise,
)
from pushforward.errors import CapabilityError, InputError
from pushforward.schedules import VE, VP

from .worlds import GRID, exact_model, fields, gaussian_data, measured, power, wavenumbers

FINE, BLURRED = power(3), power(2, 2.0)
ROWS = 400
NOISE = math.sqrt(2 / ROWS)
"""One standard error of a mean power over rows, relative."""


@pytest.mark.parametrize("schedule", [VP(), VE()])
def test_the_shared_level_is_where_noise_is_as_strong(schedule: pf.schedules.Schedule) -> None:
    cut = 5
    steep = torch.where(wavenumbers() <= cut, FINE, 0.01 * FINE)
    x, y = fields(steep, 1500, 1), fields(FINE, 1500, 2)
    found = shared_noise(x, y, schedule)
    assert found.wavenumber == cut - 1  # waves of 5 to 6 lie in shell 5, and most of them differ
    shell = (wavenumbers() >= found.wavenumber) & (wavenumbers() < found.wavenumber + 1)
    exact = float(FINE[0][shell].mean())
    assert math.exp(-schedule.log_snr(found.t)) == pytest.approx(exact, rel=0.05)
    given = shared_noise(x, y, schedule, wavenumber=2)
    assert given.wavenumber == 2
    assert given.t > found.t  # steeper spectra are hidden later
    with pytest.raises(InputError, match="resolves 1 to 7"):
        shared_noise(x, y, schedule, wavenumber=8)
    with pytest.raises(InputError, match="no energy at wavenumber 3"):
        shared_noise(GRID.low_pass(x), GRID.low_pass(y), schedule, wavenumber=3)


@pytest.mark.parametrize("periodic", [True, False])
def test_the_level_is_one_that_the_coarse_grid_resolves(periodic: bool) -> None:
    data, _ = gaussian_data(FINE, FINE, rows=400)
    grid = replace(GRID, coarse=(1, 8, 8), periodic=periodic)
    # The source has all waves of the target, as if drawn on the way: k = 4 and more are not known.
    both = Unpaired(data.target[:200], data.target[200:], grid)
    assert shared_noise(both.source, both.target, VP()).wavenumber == 7
    method = NoiseBridge(exact_model(FINE), debiasing=None).fit(both)
    assert method.level == shared_noise(
        both.source, both.target, VP(), wavenumber=grid.cutoff, window=not periodic
    )
    assert method.level.wavenumber == 3


def test_the_bridge_through_noise_makes_what_its_closed_form_says() -> None:
    data, later = gaussian_data(BLURRED, FINE, bias=3.0)
    method = NoiseBridge(exact_model(FINE), wavenumber=2, debiasing=None).fit(data)
    made = method(later[:ROWS], seed=1)
    assert method.level is not None
    alpha, sigma = VP().values(method.level.t)
    # Noised waves alpha x + sigma z, and a draw of the posterior of the fine fields given these.
    gain = alpha * FINE / (alpha**2 * FINE + sigma**2)
    left = FINE * sigma**2 / (alpha**2 * FINE + sigma**2)
    known = measured(later[:ROWS] - 3.0)
    exact = gain**2 * (alpha**2 * known + sigma**2) + left
    pulled = float(gain[0, 0, 0]) * alpha * 3.0  # the bias that passes through
    assert float(made.mean()) == pytest.approx(pulled, abs=0.15)
    ratio = measured(made - pulled) / exact
    assert float(ratio.log().abs().mean()) < NOISE
    assert float(ratio.log().mean().abs()) < 0.03
    # What is made follows the source as far as the noise leaves it.
    assert _correlation(made, later[:ROWS]) > 0.8


def test_a_bias_is_taken_off_first() -> None:
    data, later = gaussian_data(BLURRED, FINE, bias=3.0)
    plain, debiased = (
        NoiseBridge(exact_model(FINE), wavenumber=2, debiasing=name, steps=20).fit(data)(
            later[:ROWS], seed=1
        )
        for name in (None, "moments")
    )
    # A planted fault: without it the bias of the coarse model is that of the fine fields.
    assert float(plain.mean()) > 1.5
    assert abs(float(debiased.mean())) < 0.15


def test_debiased_coarse_fields_are_met_and_small_waves_drawn_from_their_law() -> None:
    data, later = gaussian_data(BLURRED, FINE, bias=3.0)
    method = ConstrainedDiffusion(exact_model(FINE)).fit(data)
    made = method(later[:ROWS], seed=2)
    met = method.debiased(later[:ROWS], seed=2)
    residual = GRID.operator(made) - GRID.operator(met)
    assert float(residual.abs().max() / met.std()) < 1e-5
    # Waves are independent, so that the heuristic is exact, and the whole spectrum is the target's.
    ratio = (measured(made) / FINE).log()
    assert float(ratio.abs().mean()) < 1.3 * NOISE
    assert float(ratio.mean().abs()) < 0.03
    assert _correlation(GRID.low_pass(made), later[:ROWS]) > 0.95
    again = method(later[:ROWS], seed=2)
    assert torch.equal(made, again)
    other = method(later[:40], seed=3)
    assert float((other - made[:40]).std()) > 0.1
    assert torch.allclose(GRID.low_pass(other), GRID.low_pass(made[:40]), atol=1e-4)


def test_without_debiasing_the_coarse_fields_themselves_are_met() -> None:
    data, later = gaussian_data(BLURRED, FINE, bias=3.0, rows=300)
    method = ConstrainedDiffusion(exact_model(FINE), debiasing=None, steps=10).fit(data)
    made = method(later[:50], seed=0)
    assert torch.allclose(GRID.low_pass(made), later[:50], atol=1e-4)
    # Its bias with them: the projection is exact, and no correction.
    assert float(made.mean()) == pytest.approx(float(later[:50].mean()), abs=1e-3)


def test_models_that_predict_nothing_under_noise_are_refused() -> None:
    with pytest.raises(InputError, match="does not predict fields"):
        NoiseBridge(object())
    space = pf.spaces.Fields(mask=torch.tensor([[True, True], [True, False]]))
    net = pf.nn.UNet(width=8, blocks=1)
    masked = pf.Diffusion(net, process=pf.processes.Gaussian(space=space))
    with pytest.raises(CapabilityError, match="white Gaussian noise"):
        ConstrainedDiffusion(masked)
    with pytest.raises(InputError, match="maps noise to data"):
        LearnedMap(exact_model(FINE))
    with pytest.raises(InputError, match="call fit"):
        NoiseBridge(exact_model(FINE))(torch.zeros(1, 1, 16, 16))


def _correlation(a: Tensor, b: Tensor) -> float:
    """Of what is large-scale on both sides."""
    flat = torch.stack([(x - x.mean()).flatten() for x in (GRID.low_pass(a), GRID.low_pass(b))])
    return float(torch.corrcoef(flat.double())[0, 1])
