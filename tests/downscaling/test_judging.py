"""The table of a downscaler: what is right reads as its floor, and planted faults do not."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pushforward.downscaling import Persistence, RandomPairing, Unpaired, judge
from pushforward.errors import InputError

from .worlds import GRID, fields, power

FINE = power(3)
ROWS = 120


def _remembering(seed: int, rows: int = ROWS, rho: float = 0.6) -> Tensor:
    """Fine fields in time, each like the one before."""
    noise = fields(FINE, rows, seed)
    out = [noise[0]]
    for step in noise[1:]:
        out.append(rho * out[-1] + math.sqrt(1 - rho**2) * step)
    return torch.stack(out).float()


@pytest.fixture(scope="module")
def world() -> tuple[Tensor, Tensor, Unpaired]:
    """Fine fields, others held out, and what was fitted to; sources are coarse fields of both."""
    made, truth, fitted = (_remembering(seed) for seed in (1, 2, 3))
    return made, truth, Unpaired(GRID.low_pass(_remembering(4)), fitted, GRID)


def _excess(
    made: Tensor, source: Tensor, world: tuple[Tensor, Tensor, Unpaired]
) -> dict[str, float]:
    found = judge(made, source, world[1], world[2], names=("u",))
    return {row.name: row.excess for row in found.rows if row.excess is not None}


def test_right_fields_read_as_real_ones_do(world: tuple[Tensor, Tensor, Unpaired]) -> None:
    made, truth, data = world
    source = GRID.low_pass(made)
    found = judge(
        made,
        source,
        truth,
        data,
        names=("u",),
        derived={"rain": lambda x: x[..., 0, :, :].clamp(min=0)},
    )
    names = [row.name for row in found.rows]
    assert "spectrum of u, k <= 1" in names
    assert "spectrum of u, k <= 7" in names
    assert {"cells of u", "means over space of u", "variance of u", "quantile 0.999 of u"} < set(
        names
    )
    assert {"mean of rain", "quantile 0.99 of rain"} < set(names)
    assert all(abs(row.excess) < 4 for row in found.rows if row.excess is not None)
    assert all(math.isfinite(row.stderr) for row in found.rows)
    away = found["distance of u from the source"]
    assert away.value < 1e-6
    # Powers of a series with rho = .6 forget as .36^k: 120 frames are worth 120 * .64 / 1.36.
    assert not found.warnings


def test_few_independent_fields_are_told(world: tuple[Tensor, Tensor, Unpaired]) -> None:
    made, truth, data = world
    found = judge(made, GRID.low_pass(made), truth[:40], data, names=("u",))
    assert "The 40 fields held out are worth" in found.warnings[0]


@pytest.mark.parametrize(
    ("fault", "row"),
    [
        ("blurred", "spectrum of u, k <= 7"),
        ("doubled", "spectrum of u, k <= 1"),
        ("moved", "means over space of u"),
        ("skewed", "third cumulant of u"),
        ("clipped", "quantile 0.999 of u"),
        ("white", "correlation in space of u"),
    ],
)
def test_a_planted_fault_is_seen_in_its_row(
    fault: str, row: str, world: tuple[Tensor, Tensor, Unpaired]
) -> None:
    made = world[0]
    sd = made.std()
    faults = {
        "blurred": GRID.low_pass(made),
        "doubled": 2 * made,
        "moved": made + 2 * sd,
        "skewed": made + 0.3 * (made.square() / sd - sd),
        "clipped": made.clamp(max=2 * float(sd)),
        "white": sd * torch.randn(made.shape, generator=torch.Generator().manual_seed(0)),
    }
    assert abs(_excess(faults[fault], GRID.low_pass(made), world)[row]) > 4


def test_consistency_lies_between_the_source_and_unrelated_fields(
    world: tuple[Tensor, Tensor, Unpaired],
) -> None:
    made, truth, data = world
    source = GRID.low_pass(made)
    name = "distance of u from the source"
    kept = judge(Persistence().fit(data)(source), source, truth, data, names=("u",))[name]
    lost = judge(RandomPairing().fit(data)(source), source, truth, data, names=("u",))[name]
    assert kept.value < 1e-6
    # Independent on both sides: the squares of two standardized fields add up.
    shared = float(source.var() / made.var())
    assert lost.value == pytest.approx(math.sqrt(2), abs=0.25)
    assert 0.5 < shared <= 1
    assert f"{lost.value:.1f}" in lost.note or "unrelated" in lost.note


def test_members_of_a_time_are_no_rows_of_their_own(world: tuple[Tensor, Tensor, Unpaired]) -> None:
    made, truth, data = world
    source = GRID.low_pass(made)
    one = judge(made, source, truth, data, names=("u",))
    same = judge(torch.stack([made] * 4), source, truth, data, names=("u",))
    assert same["spread of u"].value < 1e-6
    for name in ("spectrum of u, k <= 7", "variance of u", "quantile 0.99 of u", "cells of u"):
        # Four copies know no more than one: a planted fault would halve the error.
        assert same[name].stderr == pytest.approx(one[name].stderr, rel=0.05)
    apart = torch.stack([_remembering(seed) for seed in (11, 12, 13, 14)])
    free = judge(apart, source, truth, data, names=("u",))["spread of u"]
    assert free.value == pytest.approx(1.0, abs=5 * free.stderr)


def test_what_cannot_be_judged_is_refused(world: tuple[Tensor, Tensor, Unpaired]) -> None:
    made, truth, data = world
    with pytest.raises(InputError, match="do not fit"):
        judge(made[:5], made, truth, data)
    with pytest.raises(InputError, match="too few to judge"):
        judge(made[:5], made[:5], truth, data)
