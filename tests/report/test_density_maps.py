"""Maps of a model's own density: what they integrate to, and for which models there are some."""

from __future__ import annotations

import math

import pytest
import torch

import pushforward as pf
from pushforward.data import Data
from pushforward.models import GaussianMixtureModel, HeatKernelDensity, KernelDensity
from pushforward.report import density_maps
from pushforward.report.density_maps import _density, density_section
from pushforward.spaces import Sphere, Torus


def _places(n: int = 300) -> torch.Tensor:
    noise = torch.randn(n, 3, generator=torch.Generator().manual_seed(0))
    x = torch.tensor([0.3, -0.8, 0.5]) + 0.3 * noise
    return x / x.norm(dim=1, keepdim=True)


def test_cells_of_the_globe_have_its_area_and_the_density_its_mass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(density_maps, "_MOST", 60)
    data = pf.data.load(_places(60), space=Sphere())
    model = pf.fit(HeatKernelDensity(Sphere()), data, holdout=0.0, progress=False).model
    cells = model.space.cells(data.x, 60)
    assert cells is not None
    assert cells.whole
    assert float(cells.areas.sum()) == pytest.approx(4 * math.pi, abs=1e-9)
    mass = float((_density(model, cells.states)[0] * cells.areas).sum())
    assert mass == pytest.approx(1, abs=0.01)
    assert f"Over the whole space it adds up to {mass:.3f}" in density_section(model, data, 1e3)


def test_angles_are_shaded_over_the_whole_square() -> None:
    generator = torch.Generator().manual_seed(1)
    angles = math.pi + 0.4 * torch.randn(200, 2, generator=generator)
    data = pf.data.load(angles, space=Torus())
    model = pf.fit(HeatKernelDensity(Torus()), data, holdout=0.0, progress=False).model
    cells = model.space.cells(data.x, 90)
    assert cells is not None
    assert float((_density(model, cells.states)[0] * cells.areas).sum()) == pytest.approx(
        1, abs=1e-3
    )


def test_a_window_of_the_plane_holds_what_lies_in_it() -> None:
    x = torch.randn(500, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    data = Data(x)
    model = pf.fit(GaussianMixtureModel(1), data, holdout=0.0, progress=False).model
    cells = model.space.cells(data.x, 48)
    assert cells is not None
    assert not cells.whole
    mass = float((_density(model, cells.states)[0] * cells.areas).sum())
    law = torch.distributions.Normal(0.0, 1.0)
    step = float(cells.areas[0]) ** 0.5
    ends = cells.states.amin(0) - step / 2, cells.states.amax(0) + step / 2
    inside = float((law.cdf(ends[1]) - law.cdf(ends[0])).prod())
    assert mass == pytest.approx(inside, abs=0.02)


def test_no_map_where_there_is_no_surface_or_no_time() -> None:
    x = torch.randn(100, 3, generator=torch.Generator().manual_seed(3))
    model = pf.fit(KernelDensity(), Data(x), holdout=0.0, progress=False).model
    assert density_section(model, Data(x), 60.0) == ""
    plane = pf.fit(KernelDensity(), Data(x[:, :2]), holdout=0.0, progress=False).model
    assert density_section(plane, Data(x[:, :2]), 0.0) == ""
    assert "window" in density_section(plane, Data(x[:, :2]), 60.0)
    labeled = Data(x[:, :2], (x[:, 2] > 0).long())
    assert density_section(plane, labeled, 60.0) == ""
