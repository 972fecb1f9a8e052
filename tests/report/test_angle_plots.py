"""The plot of Ramachandran: densities per area of the torus, below dots where the angles are."""

from __future__ import annotations

import math

import pytest
import torch
from PIL import Image
from torch import Tensor

from pushforward.report.angle_plots import AnglePlot
from pushforward.report.pictures import Look
from pushforward.spaces import Torus


def _about(center: tuple[float, float], n: int = 2000, std: float = 0.2) -> Tensor:
    noise = std * torch.randn(n, 2, generator=torch.Generator().manual_seed(0))
    return Torus().exp(torch.tensor(center).expand(n, 2), noise)


def _plot(x: Tensor) -> AnglePlot:
    return AnglePlot(Torus().views(x)[0])


def test_the_shaded_density_is_a_wrapped_normal_of_mass_one() -> None:
    x = _about((3.0, -3.0))
    plot = _plot(x)
    density = plot._density(torch.rad2deg(x).double())
    cell = 360 / len(density)
    assert cell**2 * float(density.sum()) == pytest.approx(1, abs=1e-4)
    # Across the edges as elsewhere: the peak has the height of the normal density, blurred.
    variance = math.degrees(0.2) ** 2 + plot.width**2
    assert float(density.max()) == pytest.approx(1 / (2 * math.pi * variance), rel=0.08)
    peak = divmod(int(density.argmax()), len(density))
    middle = [-180 + cell * (k + 0.5) for k in peak]
    assert middle == pytest.approx([math.degrees(3), math.degrees(-3)], abs=8)


def test_the_density_wraps_around_the_edges() -> None:
    density = _plot(_about((math.pi, 0.0)))._density(torch.rad2deg(_about((math.pi, 0.0))).double())
    first, last, middle = density[0].sum(), density[-1].sum(), density[90].sum()
    assert float(first) == pytest.approx(float(last), rel=0.1)
    assert float(middle) < 1e-6 * float(first)


def _darkness(picture: Image.Image) -> Tensor:
    """How much darker than the ground: orange has more red than blue, where the ground is pale."""
    data = torch.frombuffer(bytearray(picture.convert("RGB").tobytes()), dtype=torch.uint8)
    red, _, blue = data.reshape(picture.height, picture.width, 3).float().unbind(-1)
    return (red - blue - 40).clamp_min(0)


def test_angles_are_drawn_over_their_shade() -> None:
    x = _about((-1.5, 1.5))
    shade = _darkness(_plot(x).draw(Torus().views(x)[0], 2000, small=True))
    up, down = shade.chunk(2, 0)
    left, right = up.chunk(2, 1)
    assert float(left.sum()) > 20 * float(right.sum() + down.sum())
    # The reports take it for two angles, and not for one.
    assert isinstance(Look(Torus(), x)._painters[0], AnglePlot)
    assert not isinstance(Look(Torus(), x[:, :1])._painters[0], AnglePlot)
