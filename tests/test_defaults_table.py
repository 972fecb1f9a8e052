"""The benchmark of defaults: its truths are those of the data, and its table says what was seen."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from pushforward import data

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def _found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def _square(reach: float, nodes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Points of a square and the area that each stands for."""
    line = (torch.arange(nodes, dtype=torch.float64) + 0.5) / nodes * 2 * reach - reach
    return torch.cartesian_prod(line, line), torch.tensor((2 * reach / nodes) ** 2)


def _sector(reach: float, nodes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The same of a fifth of a disk, for what is alike in all five."""
    radius = (torch.arange(nodes, dtype=torch.float64) + 0.5) / nodes * reach
    r, a = torch.cartesian_prod(radius, 0.4 * math.pi * radius / reach).unbind(1)
    area = 2 * math.pi * r * (reach / nodes) / nodes
    return torch.stack([r * a.cos(), r * a.sin()], 1), area


@pytest.mark.parametrize(
    ("name", "grid"),
    [
        ("two_moons", _square(2.6, 50)),
        ("swiss_roll", _square(3.8, 50)),
        ("pinwheel", _sector(4.6, 50)),
        ("checkerboard", _square(4.8, 48)),
    ],
    ids=["two_moons", "swiss_roll", "pinwheel", "checkerboard"],
)
def test_a_density_is_that_of_the_draws(name: str, grid: tuple[torch.Tensor, torch.Tensor]) -> None:
    """It has mass one, and draws find it as likely as it finds itself: no other density does."""
    import laws

    points, area = grid
    values = laws.log_density(name, points)
    assert values is not None
    mass = values.exp() * area
    assert float(mass.sum()) == pytest.approx(1, abs=0.005)
    entropy = -float(torch.where(mass > 0, mass * values, 0.0).sum())
    drawn = laws.log_density(name, data.load(name, n=600, seed=5).x)
    assert drawn is not None
    error = float(drawn.std()) / 600**0.5
    assert -float(drawn.mean()) == pytest.approx(entropy, abs=4 * error + 0.005)


def test_the_density_of_correlated_columns_is_that_of_their_draws() -> None:
    """The mean of q / p over draws of p is one, for q uniform on a box within the data."""
    import laws

    x = laws.correlated(40_000, 0).double()
    low, high = x.quantile(0.2, 0), x.quantile(0.8, 0)
    inside = ((x > low) & (x < high)).all(1)
    density = laws.log_density("correlated", x)
    assert density is not None
    ratios = torch.where(inside, torch.exp(-density - (high - low).log().sum()), 0.0)
    error = float(ratios.std()) / len(x) ** 0.5
    assert error < 0.05
    assert float(ratios.mean()) == pytest.approx(1, abs=4 * error)


def test_a_file_that_was_cut_short_is_taken_up(tmp_path: Path) -> None:
    import record

    path = tmp_path / "part.jsonl"
    assert record.taken_up(path) == []
    path.write_text(json.dumps({"seed": 0}) + "\n" + '{"seed": 1, "da')
    assert record.taken_up(path) == [{"seed": 0}]
    with path.open("a") as file:
        file.write(json.dumps({"seed": 1}) + "\n")
    assert record.parts([path]) == [{"seed": 0}, {"seed": 1}]


def _result(method: str, density: list[float], warnings: list[str]) -> dict[str, Any]:
    nll = {"name": "NLL", "value": -sum(density) / len(density), "stderr": 0.1, "floor": None}
    judged = {"rows": [nll]}
    known = {"training": 1.0, "seconds": 0.1, "steps": 10, "parameters": 5, "truth": None}
    about = {"data": "wine", "method": method, "seed": 0, "failed": None, "evaluation": judged}
    return about | known | {"log_prob": density, "warnings": warnings}


@pytest.mark.parametrize(
    ("lost", "warnings", "said"),
    [
        (1.0, [], "0 of 1, **1 worse unsaid**"),
        (1.0, ["few rows"], "0 of 1, **1 worse unsaid**"),
        (1.0, ["few rows", "a network tells them apart"], "1 of 1"),
        (0.05, [], "0 of 1"),
        (-1.0, [], "0 of 1"),
    ],
    ids=["silent", "of-the-data", "told", "within-errors", "better"],
)
def test_what_is_worse_than_the_mixture_in_silence_is_shown(
    lost: float, warnings: list[str], said: str
) -> None:
    """A warning that the mixture gets as well is none of the model."""
    import defaults

    rows = [-1.0, -2.0, -3.0, -2.5]
    theirs = [row - lost + 0.1 * (-1) ** k for k, row in enumerate(rows)]
    results = [_result("mixture", rows, ["few rows"]), _result("flow", theirs, warnings)]
    last = defaults.text(results).splitlines()[-1]
    assert last.startswith("| flow ")
    assert last.split(" | ")[-1].removesuffix(" |") == said
    # What is recorded has no rows, and gives the same table.
    assert defaults.text(defaults.beside_the_mixture(results)).splitlines()[-1] == last
