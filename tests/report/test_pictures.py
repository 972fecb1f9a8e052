"""Pictures of every kind of view: ink where the states are, on the scale of the reference."""

from __future__ import annotations

import io

import pytest
import torch
from PIL import Image
from torch import Tensor

from pushforward.report.painters import image_grid, painter_of
from pushforward.report.pictures import Look, side_by_side
from pushforward.spaces import Euclidean, PointCloud, Points, Product, Tokens, Torus
from pushforward.spaces.views import Curves, Histogram, Images, Scatter, Sequences, View


def _ink(picture: Image.Image) -> Tensor:
    """How dark each pixel of a frame is, `(height, width)` in 0..1."""
    data = torch.frombuffer(bytearray(picture.convert("L").tobytes()), dtype=torch.uint8)
    return 1 - data.reshape(picture.size[::-1]).float() / 255


def _frame(reference: View, view: View) -> Tensor:
    """A frame without its border."""
    ink = _ink(painter_of(reference).draw(view, 100, small=True))
    edge = len(ink) // 20
    return ink[edge:-edge, edge:-edge]


def _center(ink: Tensor) -> tuple[float, float]:
    """Where the ink is, across and down, in 0..1."""
    rows, columns = ink.shape
    down = (ink.sum(1) * torch.arange(rows)).sum() / ink.sum() / rows
    across = (ink.sum(0) * torch.arange(columns)).sum() / ink.sum() / columns
    return float(across), float(down)


REFERENCE = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shift", [(0.0, 0.0), (1.5, 0.0), (0.0, 1.5)])
def test_points_lie_where_the_window_of_the_reference_says(shift: tuple[float, float]) -> None:
    points = 0.1 * REFERENCE[:100] + torch.tensor(shift)
    across, down = _center(_frame(Scatter(REFERENCE), Scatter(points)))
    # All but the rarest points of the reference, and 15 percent more to each side.
    low, high = torch.quantile(REFERENCE, torch.tensor([0.002, 0.998]), dim=0)
    place = (torch.tensor(shift) - low + 0.15 * (high - low)) / (1.3 * (high - low))
    assert across == pytest.approx(float(place[0]), abs=0.02)
    assert down == pytest.approx(1 - float(place[1]), abs=0.02)


def test_a_given_window_is_kept() -> None:
    window = ((-180.0, -90.0), (180.0, 90.0))
    view = Scatter(torch.tensor([[90.0, 45.0]]).expand(50, 2), ("a", "b"), window)
    across, down = _center(_frame(view, view))
    assert (across, down) == (pytest.approx(0.75, abs=0.03), pytest.approx(0.25, abs=0.03))


def test_many_coordinates_are_seen_along_the_axes_of_the_reference() -> None:
    wide = torch.randn(500, 4, generator=torch.Generator().manual_seed(0))
    wide[:, 2] = 10 * wide[:, 0] + 5 * wide[:, 2]
    wide[:, 3] *= 1000  # a unit of its own
    flat = torch.zeros(100, 4)
    flat[:, 0] = torch.linspace(-2, 2, 100)
    flat[:, 2] = 11 * flat[:, 0]
    ink = _frame(Scatter(wide), Scatter(flat))
    across, down = (ink.sum(0) > 0).float().mean(), (ink.sum(1) > 0).float().mean()
    assert across > 0.5
    assert down < 0.1


def test_bars_have_the_heights_of_the_densities() -> None:
    reference = torch.cat([torch.zeros(100), torch.ones(300)])
    view = Histogram(reference, window=(-0.5, 1.5))
    ink = _frame(view, view) > 0.5
    tall = ink.sum(0).sort(descending=True).values
    assert float(tall[0]) / float(tall[tall > 0].min()) == pytest.approx(3, rel=0.1)
    # On the same axes, all at one place is taller, and cut.
    assert (_frame(view, Histogram(torch.zeros(400))) > 0.5).sum(0).max() == len(ink)


def test_shares_are_never_cut() -> None:
    view = Histogram(torch.tensor([0, 1, 2, 3]), whole=True)
    all_at_once = Histogram(torch.zeros(4, dtype=torch.int64), whole=True)
    ink = _frame(view, all_at_once) > 0.5
    assert 0.8 * len(ink) < int(ink.sum(0).max()) < len(ink)


def test_whole_numbers_have_a_bar_each() -> None:
    view = Histogram(torch.tensor([0, 1, 1, 3]), whole=True)
    ink = _frame(view, view)[-3] > 0.5
    starts = int((ink[1:] & ~ink[:-1]).sum()) + int(ink[0])
    assert starts == 3


def test_curves_are_drawn_over_their_grid() -> None:
    rising = torch.linspace(0, 1, 9).expand(5, 9)
    ink = _frame(Curves(rising), Curves(rising))
    assert _center(ink[:, : len(ink) // 4])[1] > 0.65
    assert _center(ink[:, -len(ink) // 4 :])[1] < 0.35


def test_symbols_have_a_color_each_and_masks_none() -> None:
    codes = torch.tensor([[0, 1, 2, 3]])
    picture = painter_of(Sequences(codes, 3)).draw(Sequences(codes, 3), 1, small=True)
    width, height = picture.size
    colors = [picture.getpixel((int(width * (k + 0.5) / 4), height // 2)) for k in range(4)]
    assert len(set(colors)) == 4
    assert max(colors[3]) - min(colors[3]) < 20  # gray


def test_images_keep_the_scale_of_the_reference() -> None:
    dark, light = torch.ones(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    reference = Images(torch.cat([dark, light]))
    found = [
        float(_ink(painter_of(reference).draw(Images(x), 1, small=False)).mean())
        for x in (dark, light, 0.5 * dark)
    ]
    assert found[0] > 0.6
    assert found[1] < 0.05
    assert found[2] == pytest.approx(found[0] / 2, rel=0.05)


def test_image_grids_hold_the_images() -> None:
    low, high = torch.zeros(1, 8, 8), torch.ones(1, 8, 8)
    ink = _ink(image_grid(torch.stack([low, high]), 0.0, 1.0, columns=2))
    # Ink is dark: the left picture is blank, the right one full.
    half = ink.shape[1] // 2
    assert ink[:, :half].mean() < 0.06
    assert ink[:, half:].mean() > 0.53


def test_all_views_of_a_space_stand_beside_each_other() -> None:
    mask = torch.tensor([[True, False]]).expand(40, 2)
    g = torch.Generator().manual_seed(0)
    sets = Points(torch.rand(40, 2, 2, generator=g), mask)
    turns, words = torch.rand(40, 1, generator=g), torch.randint(0, 3, (40, 4), generator=g)
    space = Product(PointCloud(), Torus(), Tokens(3))
    look = Look(space, (sets, turns, words))
    with Image.open(io.BytesIO(look.picture((sets, turns, words)))) as picture:
        assert picture.width == 4 * picture.height
    with Image.open(io.BytesIO(look.frame((sets, turns, words)))) as frame:
        assert frame.height == 4 * frame.width


def test_wide_pictures_take_fewer_columns() -> None:
    x = torch.rand(30, 2, generator=torch.Generator().manual_seed(0))
    one = Look(Euclidean(), x).picture(x)
    with Image.open(io.BytesIO(side_by_side({"a": one, "b": one, "c": one}))) as picture:
        assert picture.width > 2.5 * picture.height
