"""The moist flow beside a direct form of its equations, its symmetries, orders and budgets."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.errors import InputError, SamplingError
from pushforward.fluids import (
    FluidSimulator,
    MoistFlow,
    PeriodicGrid,
    RingForcing,
    Tendency,
    fluid_state,
    published_viscosity,
)

STILL = RingForcing(power=0.0)


def _smooth(n: int, seed: int, size: float = 3.0) -> Tensor:
    """Spectra of random fields with wavenumbers up to four, and air that stays dry."""
    grid = PeriodicGrid(n)
    noise = torch.randn(2, n, n, dtype=torch.float64, generator=resolve(seed=seed))
    spectrum = grid.spectrum(noise) * (grid.k2 <= 16) * (grid.k2 > 0)
    fields = grid.field(spectrum)
    fields = size * fields / fields.std((-2, -1), keepdim=True)
    fields[1] -= 40
    return grid.spectrum(fields)


@pytest.mark.parametrize("n", [32, 33])
def test_parseval(n: int) -> None:
    """Even and odd sizes; `sum |f|^2` of the half plane is the mean square, and nothing is lost."""
    x = torch.randn(3, n, n, dtype=torch.float64, generator=resolve(seed=0))
    grid = PeriodicGrid(n)
    spectrum = grid.spectrum(x)
    kept = grid.field(spectrum)
    torch.testing.assert_close(
        grid.mean_square(spectrum), kept.square().mean((-2, -1)), rtol=1e-12, atol=0
    )
    whole = torch.fft.rfft2(kept)
    torch.testing.assert_close(whole[..., : grid.columns], spectrum, atol=1e-11, rtol=0)
    assert float(whole[..., grid.columns :].abs().max()) < 1e-11


def test_the_tendency_is_that_of_the_equations() -> None:
    """Of fields whose products are resolved, by derivatives of sines and cosines by hand."""
    grid = PeriodicGrid(32)
    x, y = grid.axis[None, :], grid.axis[:, None]
    flow = MoistFlow(
        0.0, gradient=0.7, evaporation=0.3, condensation_time=0.2, context_amplitude=0.5,
        context_wavenumber=2, forcing=STILL,
    )  # fmt: skip
    # psi = sin x sin 2y, zeta = -5 psi.
    u, v = -2 * x.sin() * (2 * y).cos(), x.cos() * (2 * y).sin()
    zeta = -5 * x.sin() * (2 * y).sin()
    c = 2 + (x + y).cos()
    advected = u * (-5 * x.cos() * (2 * y).sin()) + v * (-10 * x.sin() * (2 * y).cos())
    slope = flow.context_amplitude * 2
    carried = u * slope * (2 * x).cos() * (2 * y).sin() + v * slope * (2 * x).sin() * (2 * y).cos()
    moved = -(u + v) * (x + y).sin()
    dry = -moved - carried - 0.7 * v + 0.3 - c / 0.2
    found = grid.field(Tendency(flow, grid)(grid.spectrum(torch.stack([zeta, c]))))
    torch.testing.assert_close(found[0], -advected, atol=1e-10, rtol=0)
    torch.testing.assert_close(found[1], dry, atol=1e-10, rtol=0)


def test_condensation_is_of_what_is_above_saturation() -> None:
    grid = PeriodicGrid(16)
    flow = MoistFlow(0.0, evaporation=0.0, condensation_time=0.5, forcing=STILL)
    for level, rate in ((3.0, -6.0), (-3.0, 0.0)):
        fields = torch.stack([torch.zeros(16, 16), torch.full((16, 16), level)]).double()
        found = grid.field(Tendency(flow, grid)(grid.spectrum(fields)))[1]
        torch.testing.assert_close(found, torch.full_like(found, rate))


def test_steps_are_of_order_four() -> None:
    """Where nothing condenses, so that the right-hand side is smooth."""
    flow = MoistFlow(1e-8, forcing=STILL, context_amplitude=1.0, context_wavenumber=2)
    start = _smooth(32, 0)
    ends = []
    for steps in (20, 40, 320):
        fluid = FluidSimulator(32, flow, step=0.4 / steps)
        ends.append(fluid.advance(start, 0, steps))
    for part in (0, 1):
        coarse, fine = ((end[part] - ends[-1][part]).abs().norm() for end in ends[:2])
        assert float((coarse / fine).log2()) == pytest.approx(4, abs=0.25)


def test_without_drag_and_force_energy_and_enstrophy_stay() -> None:
    flow = MoistFlow(0.0, drag=0.0, forcing=STILL)
    fluid = FluidSimulator(32, flow, step=0.002)
    start = _smooth(32, 1, 1.0)
    before = fluid_state(start, flow, fluid.grid)
    after = fluid_state(fluid.advance(start, 0, 300), flow, fluid.grid)
    assert float(after.energy) == pytest.approx(float(before.energy), rel=1e-8)
    assert float(after.enstrophy) == pytest.approx(float(before.enstrophy), rel=1e-8)


def test_a_shifted_flow_is_the_shift_of_the_flow() -> None:
    flow = MoistFlow(1e-8, forcing=STILL)
    fluid = FluidSimulator(32, flow)
    start = fluid.fields(_smooth(32, 2))
    start[1] += 40
    moved = fluid.fields(fluid.advance(fluid.spectra(start.roll((3, 5), (-2, -1))), 0, 30))
    plain = fluid.fields(fluid.advance(fluid.spectra(start), 0, 30))
    torch.testing.assert_close(moved, plain.roll((3, 5), (-2, -1)), atol=1e-9, rtol=0)


@pytest.mark.parametrize("n", [16, 17, 64])
def test_kicks_have_their_power_and_are_real(n: int) -> None:
    forcing, grid = RingForcing(power=0.3), PeriodicGrid(n)
    amplitude = forcing.amplitude(grid)
    noise = resolve(seed=0)
    kicks = [forcing.kick(amplitude, grid, 0.25, noise) for _ in range(3)]
    for kick in kicks:
        # Every kick has this energy: its phases are random, its amplitudes are not.
        energy = grid.mean_square(kick * grid.inverse.sqrt()) / 2
        assert float(energy) == pytest.approx(0.3 * 0.25, rel=1e-12)
        torch.testing.assert_close(grid.spectrum(grid.field(kick)), kick, atol=1e-9, rtol=0)
    assert float((kicks[0] - kicks[1]).abs().max()) > 0.1


def test_budgets_are_closed() -> None:
    """Energy, enstrophy and moisture of a flow that is stirred and rains, to one per cent of what
    goes in: kicks are measured apart, and losses are integrated by the trapezoidal rule."""
    fluid = FluidSimulator(32, step=0.005, seed=3)
    y = fluid.advance(fluid.rest(), 0, 2000)
    given = {"energy": 0.0, "enstrophy": 0.0}
    lost = {"energy": 0.0, "enstrophy": 0.0, "moisture": 0.0}
    first, h, mu = fluid_state(y, fluid.flow, fluid.grid), fluid.step, fluid.flow.drag
    for k in range(2000, 2800):
        kicked = fluid.kicked(y, k)
        at, begun = (fluid_state(z, fluid.flow, fluid.grid) for z in (y, kicked))
        y = fluid.moved(kicked)
        end = fluid_state(y, fluid.flow, fluid.grid)
        for name in given:
            given[name] += float(getattr(begun, name) - getattr(at, name))
        for one in (begun, end):
            lost["energy"] += h / 2 * float(2 * mu * one.energy + one.viscous)
            lost["enstrophy"] += h / 2 * float(2 * mu * one.enstrophy + one.enstrophy_viscous)
            lost["moisture"] += h / 2 * float(one.condensation)
    last = fluid_state(y, fluid.flow, fluid.grid)
    for name in given:
        change = float(getattr(last, name) - getattr(first, name))
        assert abs(change - given[name] + lost[name]) < 0.01 * given[name], name
    rained = 800 * h * fluid.flow.evaporation - float(last.moisture - first.moisture)
    assert lost["moisture"] > 0.5
    assert abs(rained - lost["moisture"]) < 0.01 * 800 * h


def test_sizes_have_the_published_viscosities() -> None:
    found = [published_viscosity(n) for n in (16, 32, 64, 128, 256, 512)]
    assert found == [1e-4, 1e-6, 1e-8, 1e-12, 1e-14, 1e-16]
    assert 1e-12 < published_viscosity(96) < 1e-8
    waves = MoistFlow.published(64, 2)
    assert (waves.context_amplitude, waves.context_wavenumber) == (1.0, 2)


@pytest.mark.parametrize("n", [16, 72, 100, 130])
def test_whole_numbers_of_steps_make_a_unit_of_time(n: int) -> None:
    step = MoistFlow.published(n).step_length(n)
    assert round(1 / step) * step == pytest.approx(1, rel=1e-12)
    assert 0.6 / n < step <= 0.64 / n * (1 + 1e-9) or step == pytest.approx(0.01)


def test_what_cannot_be_simulated_is_refused() -> None:
    with pytest.raises(InputError, match="n is a whole number of at least 8"):
        FluidSimulator(4)
    with pytest.raises(InputError, match="does not resolve a context of wavenumber 16"):
        FluidSimulator(32, MoistFlow.published(32, 16))
    with pytest.raises(InputError, match="fields have shape"):
        FluidSimulator(16).spectra(torch.zeros(2, 8, 8))
    with pytest.raises(InputError, match="power"):
        RingForcing(power=-1.0)
    fluid = FluidSimulator(32, step=1.0)
    with pytest.raises(SamplingError, match=r"shorter than 1 \(step=\)"):
        fluid.advance(_smooth(32, 0, 300.0), 0, 60)
    assert math.isclose(MoistFlow.published(256).step_length(256), 0.0025)
