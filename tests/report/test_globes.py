"""Maps of the sphere: densities per area, and dots where the points are."""

from __future__ import annotations

import io
import math

import pytest
import torch
from PIL import Image
from torch import Tensor

from pushforward.report.globes import GlobePainter, _frame, _viewpoint
from pushforward.report.painters import Kinds
from pushforward.report.pictures import Look
from pushforward.spaces import Globe, Sphere, Torus


def _around(center: tuple[float, float, float], n: int = 400) -> Tensor:
    noise = torch.randn(n, 3, generator=torch.Generator().manual_seed(0))
    x = torch.tensor(center) + 0.05 * noise
    return x / x.norm(dim=1, keepdim=True)


def _blue(picture: Image.Image) -> tuple[float, float]:
    """Where the dots are, across and down, in 0..1."""
    data = torch.frombuffer(bytearray(picture.convert("RGB").tobytes()), dtype=torch.uint8)
    width, height = picture.size
    red, _, blue = data.reshape(height, width, 3).float().unbind(-1)
    dots = (blue - red).clamp_min(0)
    down = float((dots.sum(1) * torch.arange(height)).sum() / dots.sum() / height)
    across = float((dots.sum(0) * torch.arange(width)).sum() / dots.sum() / width)
    return across, down


def test_the_shaded_density_has_mass_one() -> None:
    painter = GlobePainter(Globe(_around((1.0, 0.0, 0.0))))
    edge = torch.linspace(-1, 1, 401, dtype=torch.float64)
    z, turn = torch.meshgrid((edge[1:] + edge[:-1]) / 2, math.pi * edge[1:], indexing="ij")
    r = (1 - z**2).sqrt()
    grid = torch.stack([r * turn.cos(), r * turn.sin(), z], -1).reshape(-1, 3)
    density = painter._density(grid, _around((0.0, 0.6, 0.8)).double())
    assert 4 * math.pi * float(density.mean()) == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize(
    ("center", "across", "down"),
    [((1.0, 0.0, 0.0), 0.5, 0.5), ((0.0, 1.0, 0.0), 0.745, 0.5), ((0.0, 0.0, 1.0), 0.5, 0.06)],
)
def test_dots_lie_where_their_longitude_and_latitude_say(
    center: tuple[float, float, float], across: float, down: float
) -> None:
    points = _around(center)
    picture = GlobePainter(Globe(points)).draw(Globe(points), 400, small=True)
    assert _blue(picture) == (pytest.approx(across, abs=0.02), pytest.approx(down, abs=0.04))


def test_the_reference_is_seen_from_above() -> None:
    front = _viewpoint(_around((0.0, -0.7, 0.7)).mean(0))
    assert float(front[2]) == pytest.approx(0.5)
    frame = _frame(front)
    torch.testing.assert_close(frame @ frame.mT, torch.eye(3, dtype=torch.float64))
    assert float(torch.linalg.det(frame)) == pytest.approx(1)
    # North is up, east to the right.
    assert float(frame[2, 2]) > 0.8
    assert float(frame[1] @ torch.tensor([1.0, 0.0, 0.0]).double()) > 0.9


def test_whole_pictures_have_kinds_and_values() -> None:
    points = _around((1.0, 0.0, 0.0))
    look = Look(Sphere(), points)
    kinds = Kinds(torch.arange(400) % 2, ("ant", "bee"))
    with Image.open(io.BytesIO(look.picture(points, kinds=kinds))) as picture:
        assert picture.height > picture.width > 400
    view = Globe(points, points[:, 2], "height")
    assert GlobePainter(view).draw(view, 100).size == picture.size


def test_two_angles_are_seen_in_degrees_with_the_names_of_their_columns() -> None:
    angles = torch.tensor([[math.pi / 2, -math.pi / 2]]).repeat(50, 1)
    look = Look(Torus(), angles, ("phi", "psi"))
    painter = look._painters[0]
    assert painter.names == ("phi, degrees", "psi, degrees")
    assert painter.high == pytest.approx([187.2, 187.2])
    across, down = _blue(Image.open(io.BytesIO(look.frame(angles))))
    assert (across, down) == (pytest.approx(0.74, abs=0.03), pytest.approx(0.74, abs=0.03))


def test_the_rim_is_shaded_as_the_points_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # Pixels beyond the rim are blended with those inside: they are points of the sphere too.
    seen = []
    density = GlobePainter._density

    def noted(painter: GlobePainter, grid: Tensor, points: Tensor) -> Tensor:
        seen.append(grid)
        return density(painter, grid, points)

    monkeypatch.setattr(GlobePainter, "_density", noted)
    points = _around((1.0, 0.0, 0.0))
    GlobePainter(Globe(points)).draw(Globe(points), 50)
    for grid in seen:
        assert torch.allclose(grid.norm(dim=1), torch.ones(len(grid)).double())
