"""What a glance at samples tells of any model, and that it keeps still about good ones."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.data import Data, load
from pushforward.report.drawing import draw, seconds_for
from pushforward.report.glance import faults_of_samples, glance
from pushforward.spaces import Euclidean

TOYS = ["two_moons", "8gaussians", "25gaussians", "checkerboard", "swiss_roll", "pinwheel"]


def normal(n: int, *event: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, *event, generator=torch.Generator().manual_seed(seed))


def faults(samples: torch.Tensor, data: Data) -> list[str]:
    return list(faults_of_samples(Euclidean(), samples, data))


@pytest.mark.parametrize("name", TOYS)
@pytest.mark.parametrize("n", [64, 1000])
def test_true_samples_are_never_at_fault(name: str, n: int) -> None:
    data = load(name, n=2000)
    for seed in range(1, 4):
        assert faults(load(name, n=n, seed=seed).x, data) == []


@pytest.mark.parametrize("name", ["two_moons", "25gaussians"])
def test_baselines_are_never_at_fault(name: str) -> None:
    data = load(name, n=2000)
    for model in (pf.models.KernelDensity(0.05), pf.models.GaussianMixtureModel(components=32)):
        fitted = pf.fit(model, data, progress=False).model
        assert faults(fitted.sample(500, seed=0), data) == []


@pytest.mark.parametrize("name", ["two_moons", "8gaussians", "25gaussians"])
@pytest.mark.parametrize("n", [64, 1000])
def test_an_even_cover_of_the_plane_is(name: str, n: int) -> None:
    """What a generator does that has found no mode and has the variance of the data."""
    data = load(name, n=2000)
    low, high = data.x.amin(0), data.x.amax(0)
    even = low + (high - low) * torch.rand(n, 2, generator=torch.Generator().manual_seed(0))
    (fault,) = faults(even, data)
    assert "times as far from the data as other data are" in fault


def test_digits_and_noise() -> None:
    data = load("digits")
    assert faults(data.x[::3], data) == []
    noise = data.x.mean() + 2 * data.x.std() * normal(300, 1, 8, 8)
    assert "spread over places without data" in faults(noise, data)[0]


@pytest.mark.parametrize("dim", [1, 2, 10, 100, 700])
def test_a_spread_of_a_tenth_too_much_is_none(dim: int) -> None:
    data = Data(normal(600, dim))
    assert faults(1.1 * normal(300, dim, seed=1), data) == []
    assert faults(0.9 * normal(300, dim, seed=1), data) == []
    if dim > 2:
        assert len(faults(5 * normal(300, dim, seed=1), data)) == 1


def test_the_thickness_of_a_line_is_no_other_place() -> None:
    """Data on a curve, and samples beside it by a hundredth of its length."""
    t = torch.rand(2000, 1, generator=torch.Generator().manual_seed(0))
    data = Data(torch.cat([t, t.square()], 1))
    samples = data.x[:500] + 0.01 * normal(500, 2)
    assert faults(samples, data) == []


def test_rows_that_repeat_are_no_measure() -> None:
    data = Data((normal(500, 2) > 0).float())
    assert faults(data.x[:100] + 0.1 * normal(100, 2, seed=1), data) == []


class Slow(pf.models.KernelDensity):
    """A model whose samples take their time."""

    def sample(
        self, n: int, c: Any = None, *, seed: int | None = None, rows: slice = slice(None)
    ) -> Any:
        first, last, _ = rows.indices(n)
        time.sleep(0.002 * (last - first))
        return super().sample(n, c, seed=seed, rows=rows)


def test_drawing_takes_the_time_that_it_is_given() -> None:
    data = Data(normal(300, 2))
    model = pf.fit(Slow(0.5), data, progress=False).model
    drawn = draw(model, data, 1000, 0.4)
    assert 64 <= len(drawn.states) <= 200
    assert f"{len(drawn.states)} samples in the place of 1,000" in drawn.note
    assert drawn.seconds == pytest.approx(0.002, rel=0.5)
    assert torch.equal(drawn.states, model.sample(1000, seed=0, rows=slice(len(drawn.states))))
    everything = draw(
        pf.fit(pf.models.KernelDensity(0.5), data, progress=False).model, data, 500, 10
    )
    assert (len(everything.states), everything.note) == (500, "")


def test_a_report_takes_a_share_of_the_training() -> None:
    assert seconds_for(3600) == 360
    assert seconds_for(1) == 10


def test_large_states_begin_with_a_few() -> None:
    data = Data(normal(20, 1, 128, 128), kind="image")
    model = pf.fit(Slow(0.5), data, progress=False).model
    assert len(draw(model, data, 64, 0.0).states) == 8


@pytest.mark.parametrize(
    ("n", "holdout", "seen"), [(1200, 0.1, 120), (600, 0.1, 540), (600, 0.0, 600)]
)
def test_a_model_is_asked_beside_held_out_data(
    n: int, holdout: float, seen: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that training has seen are those that a critic may know by heart; few rows tell less."""
    asked = []

    def warnings(self: Any, x: Any, c: Any = None) -> list[str]:
        asked.append(x)
        return ["as asked"]

    monkeypatch.setattr(pf.models.KernelDensity, "warnings", warnings)
    data, model = Data(normal(n, 2)), pf.models.KernelDensity(0.1)
    pf.fit(model, data, out=tmp_path, holdout=holdout, seed=3, progress=False)
    assert glance(tmp_path, model, data, data.x).faults[-1] == "as asked"
    (x,) = asked
    assert len(x) == seen
    if seen == 120:
        assert torch.equal(x, data.split(holdout, 3)[1].x)
