"""`evaluate` on states of every space: equal distributions reach the floor, others are seen."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch

from pushforward import state
from pushforward.errors import InputError
from pushforward.metrics import Evaluation, evaluate
from pushforward.spaces import (
    Euclidean,
    Hilbert,
    PointCloud,
    Points,
    Product,
    Space,
    Sphere,
    Tokens,
    Torus,
)

N = 300


class Case(NamedTuple):
    """A space, `n` states of a distribution on it, and as many of another one."""

    space: Space
    draw: Callable[[int, torch.Generator], Any]
    wrong: Callable[[int, torch.Generator], Any]
    kinds: tuple[str, ...] = ()


def _angles(n: int, g: torch.Generator, center: float = 3.0) -> torch.Tensor:
    # Around the cut of the circle, where the numbers jump and the angles do not.
    return Torus().from_arrays(center + 0.3 * torch.randn(n, 1, generator=g))


def _unit(n: int, g: torch.Generator, up: float = 4.0) -> torch.Tensor:
    x = torch.randn(n, 3, generator=g) + torch.tensor([0.0, 0.0, up])
    return x / x.norm(dim=1, keepdim=True)


def _tokens(n: int, g: torch.Generator, p: float = 0.5) -> torch.Tensor:
    """Four sites that are all alike, or else all drawn apart."""
    first = torch.randint(0, 3, (n, 1), generator=g)
    own = torch.randint(0, 3, (n, 4), generator=g)
    return torch.where(torch.rand(n, 1, generator=g) < p, first.expand(n, 4), own)


def _sets(n: int, g: torch.Generator, most: int = 2) -> Points:
    number = torch.randint(0, most + 1, (n, 1), generator=g)
    mask = torch.arange(4)[None] < number
    return Points(torch.randn(n, 4, 2, generator=g) * mask[..., None], mask)


def _curves(n: int, g: torch.Generator, amplitude: float = 1.0) -> torch.Tensor:
    grid = torch.linspace(0, 1, 8)
    phase = 2 * math.pi * torch.rand(n, 1, generator=g)
    return amplitude * torch.sin(2 * math.pi * grid + phase) + 5


CASES = {
    "vectors": Case(
        Euclidean(),
        lambda n, g: torch.randn(n, 2, generator=g),
        lambda n, g: torch.randn(n, 2, generator=g) + 1,
    ),
    "functions": Case(Hilbert(torch.eye(8)), _curves, lambda n, g: _curves(n, g, 1.5)),
    "circle": Case(Torus(), _angles, lambda n, g: _angles(n, g, 2.5)),
    "sphere": Case(Sphere(), _unit, lambda n, g: _unit(n, g, 2.0)),
    "tokens": Case(
        Tokens(3), _tokens, lambda n, g: _tokens(n, g, 0.0), ("symbols", "whole states")
    ),
    "sets": Case(PointCloud(), _sets, lambda n, g: _sets(n, g, 4), ("number of points",)),
    "product": Case(
        Product(Sphere(), Torus(), Tokens(3)),
        lambda n, g: (_unit(n, g), _angles(n, g), _tokens(n, g)),
        lambda n, g: (_unit(n, g), _angles(n, g, 2.5), _tokens(n, g)),
        ("symbols of part 3", "whole states of part 3"),
    ),
}


def _judged(case: Case, draw: Callable[[int, torch.Generator], Any]) -> Evaluation:
    g = torch.Generator().manual_seed(0)
    train, test, samples = case.draw(2 * N, g), case.draw(N, g), draw(N, g)
    return evaluate(
        samples,
        test,
        train,
        features=case.space.features,
        categories=case.space.categories,
        common_scale=case.space.common_scale(state.event_shape(train)),
    )


@pytest.mark.parametrize("name", CASES)
def test_equal_distributions_reach_the_floor(name: str) -> None:
    case = CASES[name]
    result = _judged(case, case.draw)
    assert all(abs(row.excess) < 3.5 for row in result.rows)
    assert [row.name for row in result.rows] == [
        "sliced W2",
        "MMD²",
        "energy distance",
        "classifier accuracy",
        "precision",
        "recall",
        *case.kinds,
        # Distances between tokens take few values.
        *(() if name == "tokens" else ("intrinsic dimension",)),
        "memorization",
        "near copies",
    ]
    # Equal rows are what tokens and empty sets are like.
    assert [w for w in result.warnings if not w.startswith("Only 300")] == []


@pytest.mark.parametrize("name", CASES)
def test_another_distribution_is_seen(name: str) -> None:
    case = CASES[name]
    result = _judged(case, case.wrong)
    assert result["energy distance"].excess > 3
    assert result["MMD²"].excess > 3


def test_dependence_that_single_symbols_do_not_show() -> None:
    """Uniform symbols, equal on all sites for half of the states, or independent."""
    result = _judged(CASES["tokens"], CASES["tokens"].wrong)
    assert abs(result["symbols"].excess) < 3
    # Half of the states are one of three: 0.5 (1 - 3 / 81) of the mass lies elsewhere.
    row = result["whole states"]
    assert row.excess > 3
    assert row.value == pytest.approx(0.5 * (1 - 3 / 81), abs=0.15)


def test_numbers_of_points_are_compared() -> None:
    """Uniform on 0..2 against uniform on 0..4: total variation 2/5."""
    row = _judged(CASES["sets"], CASES["sets"].wrong)["number of points"]
    assert row.value == pytest.approx(0.4, abs=4 * row.stderr)
    assert row.floor < 0.1


def test_copies_of_training_states_are_named_on_the_sphere() -> None:
    g = torch.Generator().manual_seed(0)
    train, test, samples = (_unit(n, g) for n in (2 * N, N, N))
    samples[: N // 2] = train[: N // 2]
    result = evaluate(samples, test, train, features=Sphere().features, common_scale=True)
    assert result["near copies"].value == pytest.approx(0.5, abs=0.05)
    assert "copying training data" in result.warnings[0]


def test_what_is_measured_of_a_tuple_must_be_said() -> None:
    sets = _sets(50, torch.Generator().manual_seed(0))
    with pytest.raises(InputError, match=r"features=model\.space\.features"):
        evaluate(sets, sets, sets)
