"""Direct leads: one network that is told the lead, and forecasts that go on from their frames."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pytest
import torch
import xarray
from tests.forecasting.linear_waves import KEEP, ExactForecast, series
from torch import Tensor

import pushforward as pf
from pushforward import forecasting
from pushforward.data import Schema
from pushforward.data.window_rows import frames_of
from pushforward.data.windows import Windows
from pushforward.errors import InputError
from pushforward.estimates import Capabilities


class ExactLeads:
    """Draws of the law of one frame ahead of the last one, as far as the context says."""

    def __init__(self, leads: int, learned_from: Any = None) -> None:
        self.leads, self.learned_from = leads, learned_from
        self.space, self.units = pf.spaces.Fields(), None
        self.capabilities = Capabilities(sample=True, log_prob="none", conditional=True)

    def sample(self, n: int, c: Tensor, *, seed: int = 0) -> Tensor:
        """`S^k u keep^k + sqrt(1 - keep^2k) noise`, `(n, 1, H, W)`."""
        ahead = c[:, -1]
        assert (ahead == ahead[:, :1, :1]).all()
        lead = round(float(ahead[0, 0, 0]) * self.leads)
        mean = KEEP**lead * c[:, -2].roll(lead, -1)
        noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(seed))
        return (mean + math.sqrt(1 - KEEP ** (2 * lead)) * noise)[:, None]

    def parameters(self) -> list[Tensor]:
        """None."""
        return []


@pytest.mark.parametrize("lazy", [False, True])
def test_a_row_for_each_lead_which_its_context_says(lazy: bool) -> None:
    numbers = np.arange(12.0)[:, None, None] + np.zeros((4, 4))
    fields = {
        "u": (("time", "y", "x"), numbers.astype("f4")),
        "v": (("time", "level", "y", "x"), np.stack([numbers + 100, numbers + 200], 1)),
    }
    store = xarray.Dataset(fields).astype("f4").assign_coords(time=np.arange(12))
    data = pf.data.load(store, forecast="3:1-2", lazy=lazy)
    assert len(data) == 2 * 8
    assert data.event_shape == (3, 4, 4)
    assert data.context_shape == (10, 4, 4)
    x, c = data.x[torch.arange(4)], data.c[torch.arange(4)]
    assert x[:, :, 0, 0].tolist() == [[3 + k, 103 + k, 203 + k] for k in (0, 1, 1, 2)]
    assert c[:, -1].amax((1, 2)).tolist() == [0.5, 1, 0.5, 1]
    known = data.schema.frames
    assert known is not None
    past = frames_of(c[:, :-1], known)
    assert past[2, :, 2, 0, 0].tolist() == [201, 202, 203]
    small = functools.partial(pf.nn.UNet, width=8)
    start = pf.models.PointMatching.for_data(data, net=small)
    assert (
        start.start.of(c, data.event_shape)[:, :, 0, 0].tolist()
        == [[2, 102, 202]] * 2 + [[3, 103, 203]] * 2
    )
    train, test = data.split(0.25)
    assert train.rows is not None
    assert test.rows is not None
    assert int(train.rows.max()) + 5 <= int(test.rows.min())
    assert Schema.from_description(data.schema.describe()) == data.schema
    assert data.fingerprint != pf.data.load(store, forecast="3:2").fingerprint
    assert str(Windows.parse(" 3:1-2")) == "3:1-2"


def _moments(past: Tensor, schema: Schema, leads: int, stride: int | None) -> tuple[Tensor, Tensor]:
    """Of many draws after one frame: how far means are from exact ones, and deviations, by lead."""
    windows = schema.windows
    assert windows is not None
    many = past.expand(400, *past.shape[1:])
    exactly: Any = ExactLeads(windows.leads)
    x = forecasting.rolled_out(exactly, many, schema, leads, stride=stride)
    away = []
    for lead in range(1, leads + 1):
        mean = KEEP**lead * past[0, -1].roll(lead, -1)
        away.append((x[:, lead - 1] - mean).square().mean().sqrt())
    exact = [math.sqrt(1 - KEEP ** (2 * lead)) for lead in range(1, leads + 1)]
    return torch.stack(away), torch.tensor(exact)


@pytest.mark.parametrize(
    ("asked", "leads", "stride"),
    [("1:1-3", 3, None), ("1:1-3", 8, None), ("1:1-3", 5, 2), ("2:1-3", 3, None), ("2:1-3", 5, 1)],
)
def test_the_law_at_each_lead_is_that_of_the_world(
    asked: str, leads: int, stride: int | None
) -> None:
    """Straight from the frames given, over strides, and frame by frame alike: the exact law of
    each lead goes through all of them."""
    schema = pf.data.load(series(20), forecast=asked).schema
    past = torch.from_numpy(series(4, seed=3).u.values[: Windows.parse(asked).past])[None, :, None]
    away, exact = _moments(past, schema, leads, stride)
    # 25,600 values: the error of a deviation is 1 / sqrt(51,200) of it, and 5 of these are allowed.
    assert ((away / exact - 1).abs() < 5 / math.sqrt(2 * 25_600)).all()


def test_frames_that_were_not_drawn_together_are_nothing_to_go_on_from() -> None:
    schema = pf.data.load(series(20), forecast="2:1-3").schema
    told: Any = ExactLeads(3, {"schema": schema.describe()})
    with pytest.raises(InputError, match=r"go on frame by frame \(stride=1\)"):
        forecasting.forecast(told, series(9), 2, 4, progress=False)
    with pytest.raises(InputError, match="stride=4, and the model draws 3 frames ahead"):
        forecasting.forecast(told, series(9), 2, 4, stride=4, progress=False)
    found = forecasting.forecast(told, series(9), 2, 4, stride=1, progress=False)
    assert dict(found.sizes) == {"member": 2, "time": 4, "y": 8, "x": 8}


def test_a_stride_of_leads_that_are_drawn_together_keeps_the_first_of_them() -> None:
    schema = pf.data.load(series(20), forecast="1:4").schema
    past = torch.from_numpy(series(4, seed=3).u.values[:1])[None, :, None]
    many = past.expand(400, *past.shape[1:])
    together: Any = ExactForecast(4)
    x = forecasting.rolled_out(together, many, schema, 5, stride=2)
    away = x[:, 4] - KEEP**5 * past[0, 0].roll(5, -1)
    assert abs(float(away.std()) / math.sqrt(1 - KEEP**10) - 1) < 5 / math.sqrt(2 * 25_600)


def _pairs(count: int) -> xarray.Dataset:
    """Two cells of a linear world, whose conditional laws are known at each lead."""
    g = torch.Generator().manual_seed(0)
    u, found = torch.randn(2, generator=g), []
    for _ in range(count):
        u = KEEP * u + math.sqrt(1 - KEEP**2) * torch.randn(2, generator=g)
        found.append(u)
    return xarray.Dataset({"u": (("time", "x"), torch.stack(found).numpy())})


def test_one_network_learns_all_leads() -> None:
    """`N(keep^k u, 1 - keep^2k)`: means and deviations at leads 1 to 4, of one trained model."""
    data = pf.data.load(_pairs(3000), forecast="1:1-4")
    net = functools.partial(pf.nn.MLP, width=48, depth=2)
    model: Any = pf.models.PointMatching.for_data(data, net=net)
    pf.fit(model, data, steps=500, batch_size=256, lr=5e-3, seed=0, progress=False)
    start = torch.tensor([1.5, -1.0]).reshape(1, 1, 1, 2).expand(1500, 1, 1, 2)
    x = forecasting.rolled_out(model, start, data.schema, seed=0, steps=12)[:, :, 0]
    for lead in range(1, 5):
        mean, sd = KEEP**lead * start[0, 0, 0], math.sqrt(1 - KEEP ** (2 * lead))
        assert (x[:, lead - 1].mean(0) - mean).abs().max() < 0.15
        assert (x[:, lead - 1].std(0) / sd - 1).abs().max() < 0.15


def test_a_verification_looks_at_all_leads_of_a_start() -> None:
    exactly: Any = ExactLeads(3)
    direct = pf.data.load(series(200), forecast="2:1-3")
    train, test = direct.split(0.3)
    with pytest.raises(InputError, match="looks at all leads of a start"):
        forecasting.verify(exactly, test, train)
    longer = pf.data.load(series(60, seed=4), like=forecasting.with_leads(direct.schema, 3))
    found = forecasting.verify(exactly, longer, train, members=8, starts=30)
    for lead in range(3):
        crps = found.scores["model"].mean("crps", lead, 0)
        exact = math.sqrt((1 - KEEP ** (2 * lead + 2)) / math.pi)
        assert abs(crps.value - exact) < 4 * crps.stderr
