"""Pictures and spectra of fields in reports."""

from __future__ import annotations

import dataclasses
import math
import re

import numpy as np
import pytest
import torch
import xarray

from pushforward.data import Data, load
from pushforward.metrics import Evaluation, Row
from pushforward.report.frames_in_time import for_frames
from pushforward.report.maps import MapPainter
from pushforward.report.spectra import rows_of_spectra, spectra_section
from pushforward.spaces import Fields, space_of
from pushforward.spaces.views import Maps


def _pixels(painter: MapPainter, view: Maps) -> np.ndarray:
    return np.asarray(painter.draw(view, 1, small=True)).astype(int)


def _colors(x: torch.Tensor, **more: object) -> np.ndarray:
    view = Maps(x[None], **more)
    return _pixels(MapPainter(view), view)


def test_maps_have_gray_for_cells_without_values_and_one_scale_of_color() -> None:
    x = torch.linspace(280.0, 300.0, 64).reshape(8, 8)
    x[:4, :4] = torch.nan
    found = _colors(x)
    height, width = found.shape[:2]
    corner = found[height // 4, width // 4]
    assert corner.tolist() == [0xC9, 0xCD, 0xD3]
    low, high = found[height // 16, -width // 8], found[-height // 16, -width // 16]
    assert low[2] > low[0]  # from blue to yellow
    assert high[0] > high[2]


def test_the_first_row_is_at_the_bottom_of_maps_that_go_up() -> None:
    x = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    down, up = _colors(x), _colors(x, upward=True)
    assert np.abs(down - up[::-1]).mean() < 2
    assert np.abs(down - up).mean() > 20


def test_numbers_of_both_signs_are_even_about_zero() -> None:
    painter = MapPainter(Maps(torch.tensor([[[-1.0, 0.9], [0.3, -0.2]]])))
    assert painter.low == -painter.high
    assert MapPainter(Maps(torch.tensor([[[1.0, 3.0]]]))).colors == "viridis"
    assert "25.0% of the cells" in painter.missing(Maps(torch.tensor([[[5.0, 0.0], [0, 0]]])), 1)


def test_views_of_fields_are_maps_with_gaps() -> None:
    mask = torch.tensor([[[True, False]], [[True, True]]])
    first, second = Fields(mask, names=("a (K)", "b")).views(torch.ones(3, 2, 1, 2))
    assert first.name == "a (K)"
    assert first.values.isnan().tolist() == [[[False, True]]] * 3
    assert bool(second.values.isfinite().all())


def _fields(n: int, seed: int, slope: float = 0.0, land: bool = False) -> Data:
    """Periodic fields, smooth or not, of two variables."""
    rng = np.random.default_rng(seed)
    k = np.hypot(*np.meshgrid(*2 * [np.fft.fftfreq(16, 1 / 16)], indexing="ij"))
    noise = np.fft.fft2(rng.normal(size=(2, n, 16, 16))) * (1 + k) ** -slope
    u, v = np.fft.ifft2(noise).real
    if land:
        v[:, :2] = np.nan
    axes = ("time", "y", "x")
    coordinates = {axis: (axis, np.arange(16.0), {"periodic": 1}) for axis in "yx"}
    return load(xarray.Dataset({"u": (axes, u), "v": (axes, v)}, coordinates))


def test_rows_of_spectra_have_a_floor_and_see_smoothness() -> None:
    test, train = _fields(80, 0), _fields(80, 1)
    same, _ = rows_of_spectra(_fields(80, 2).x, test, train)
    assert same.name == "spectrum of u"
    assert same.value < 5 * same.stderr + 0.1
    assert same.floor == pytest.approx(same.value, abs=0.05)
    smooth, _ = rows_of_spectra(_fields(80, 3, slope=1.0).x, test, train)
    # The log ratio of shell k is that of (1 + |k|)^-2, between its ends.
    ratio = np.mean([2 * math.log(1 + k + 0.5) for k in range(1, 8)])
    assert smooth.value == pytest.approx(ratio, abs=0.15)


def test_wavenumbers_that_a_solver_cuts_off_do_not_count() -> None:
    """Of fields with half the amplitude: log 4, whatever rounding leaves in the shells beyond."""
    sides = [_fields(20, seed) for seed in (0, 1)]
    k = torch.hypot(*torch.meshgrid(*2 * [torch.fft.fftfreq(16, 1 / 16)], indexing="ij"))
    for data in sides:
        data.x.copy_(torch.fft.ifft2(torch.fft.fft2(data.x) * (k < 4)).real)
    noise = 1e-5 * torch.randn(20, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    row, _ = rows_of_spectra(sides[0].x / 2 + noise, sides[0], sides[1])
    assert row.value == pytest.approx(math.log(4), abs=1e-3)
    chart = spectra_section(sides[0].x, sides[0])
    longest = max(len(line.split()) for line in re.findall(r'points="([^"]*)"', chart))
    assert longest == 3


def test_variables_with_masked_cells_have_no_spectrum() -> None:
    data = _fields(20, 0, land=True)
    assert [row.name for row in rows_of_spectra(data.x, data, data)] == ["spectrum of u"]
    text = spectra_section(data.x, data)
    assert "<h3>u</h3>" in text
    assert "<h3>v</h3>" not in text
    assert spectra_section(torch.zeros(3, 2), Data(torch.zeros(3, 2))) == ""
    assert not space_of(data).white


def test_errors_of_an_evaluation_count_rows_by_what_they_remember() -> None:
    row = Row("sliced W2", 0.3, 0.02, 0.1, 0.01)
    plain = Evaluation((row,), (), 400, 400, 400, 400, seed=0)
    noise = _fields(400, 5).x
    out = [noise[0]]
    for step in noise[1:]:
        out.append(0.6 * out[-1] + 0.8 * step)
    data = dataclasses.replace(_fields(400, 5), x=torch.stack(out))
    found = for_frames(plain, data)
    # A series with rho = .6 is worth a quarter of its rows: (1 - .6) / (1 + .6).
    assert found.rows[0].stderr == pytest.approx(2 * 0.02, rel=0.15)
    assert found.rows[0].floor_stderr == pytest.approx(2 * 0.01, rel=0.15)
    assert found.rows[0].value == 0.3
    assert "400 held-out ones are worth" in found.warnings[0]
    fresh = for_frames(plain, dataclasses.replace(data, x=noise))
    assert fresh.rows[0].stderr == pytest.approx(0.02, rel=0.15)
    assert not fresh.warnings
    short = for_frames(plain, dataclasses.replace(data, x=data.x[:12]))
    assert not short.rows[0].converged
    assert "too few to tell" in short.warnings[0]
    assert for_frames(plain, Data(torch.zeros(9, 2))) is plain
