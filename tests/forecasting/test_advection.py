"""Motion between two frames, and frames carried on by it."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward import forecasting
from pushforward.errors import InputError


def _blob(n: int, y: torch.Tensor, x: torch.Tensor, *, width: float = 3.0) -> torch.Tensor:
    """Gaussian hills on a periodic square, one frame for each place."""
    cells = torch.arange(n, dtype=torch.float64)
    along = []
    for at in (y, x):
        away = (cells - at[:, None]).abs()
        along.append(torch.exp(-0.5 * (torch.minimum(away, n - away) / width) ** 2))
    return along[0][:, :, None] * along[1][:, None, :]


def test_a_moving_hill_is_followed() -> None:
    t = torch.arange(6, dtype=torch.float64)
    frames = _blob(32, 10 + 0.7 * t, 28 + 1.3 * t)[None, :, None]
    found = forecasting.advected(frames[:, :2], 4, periodic=(True, True))
    still = frames[:, 1:2].expand_as(found)
    assert float((found - frames[:, 2:]).abs().max()) < 0.05
    assert float((still - frames[:, 2:]).abs().max()) > 0.5


def test_motion_may_differ_from_place_to_place() -> None:
    """Two hills that move apart, in opposite directions."""
    t = torch.arange(4, dtype=torch.float64)
    frames = _blob(48, 12 + 0 * t, 12 + 1.0 * t) + _blob(48, 36 + 0 * t, 36 - 1.0 * t)
    frames = frames[None, :, None]
    flow = forecasting.motion(frames[:, 0], frames[:, 1], periodic=(True, True))
    assert float(flow[0, 1, 12, 12]) == pytest.approx(1.0, abs=0.1)
    assert float(flow[0, 1, 36, 36]) == pytest.approx(-1.0, abs=0.1)
    found = forecasting.advected(frames[:, :2], 2, periodic=(True, True))
    assert float((found - frames[:, 2:]).abs().max()) < 0.1


def test_what_does_not_move_stays() -> None:
    x = torch.randn(2, 1, 16, 12, generator=torch.Generator().manual_seed(0))
    past = x[:, None].expand(2, 3, 1, 16, 12)
    for periodic in ((True, True), (False, True), (False, False)):
        found = forecasting.advected(past, 2, periodic=periodic)
        assert torch.allclose(found[:, 1], x, atol=1e-5)


def test_moving_the_world_moves_the_forecast() -> None:
    g = torch.Generator().manual_seed(0)
    past = torch.randn(1, 2, 1, 16, 16, generator=g).cumsum(1)
    one = forecasting.advected(past, 2, periodic=(True, True))
    moved = forecasting.advected(past.roll((3, 5), (3, 4)), 2, periodic=(True, True))
    assert torch.allclose(moved, one.roll((3, 5), (3, 4)), atol=1e-4)
    assert math.isfinite(float(one.abs().max()))


def test_one_frame_has_no_motion() -> None:
    with pytest.raises(InputError, match="takes two frames"):
        forecasting.advected(torch.zeros(1, 1, 1, 8, 8), 2, periodic=(True, True))
