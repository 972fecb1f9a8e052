"""Rates of jumps between symbols: uniform, along an order, between neighbors, or any matrix.

What they are for a number of symbols is their `semigroup`. All are scaled so that the slowest mode
decays at rate 1; a schedule then says how much of it is left at each time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward import checks
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.processes.semigroup import (
    Semigroup,
    SiteSemigroup,
    UniformSemigroup,
    semigroup_of,
)

__all__ = [
    "BirthDeathRates",
    "GaussianRates",
    "MatrixRates",
    "NeighborRates",
    "Rates",
    "SiteRates",
    "UniformRates",
]


class Rates(ABC):
    """How a symbol becomes another one while data are lost."""

    @abstractmethod
    def semigroup(self, symbols: int) -> Semigroup:
        """The chain on some number of symbols. Raises `InputError` for a number that does not
        fit."""


@configurable
@dataclass(frozen=True)
class UniformRates(Rates):
    """From any symbol to any other alike (Hoogeboom et al. 2021; Austin et al. 2021).

    >>> UniformRates().semigroup(4).row(torch.tensor([[2]]), 0.2)
    tensor([[[0.2000, 0.2000, 0.4000, 0.2000]]])
    """

    def semigroup(self, symbols: int) -> Semigroup:
        """In closed form, for any number of symbols."""
        return UniformSemigroup(_many(symbols))


@configurable
@dataclass(frozen=True)
class BirthDeathRates(Rates):
    """Along the order of the symbols to the next one above or below, alike: a birth or a death.

    Args:
        cyclic: whether the first symbol is next to the last, as hours of the day are.

    The stationary distribution is uniform.

    >>> BirthDeathRates().semigroup(3).out(torch.tensor([[0, 1]])).round(decimals=3)
    tensor([[[0., 1., 0.],
             [1., 0., 1.]]], dtype=torch.float64)
    """

    cyclic: bool = False

    def semigroup(self, symbols: int) -> Semigroup:
        """Of a path, or a ring, of symbols."""
        rates = torch.zeros(_many(symbols), symbols, dtype=torch.float64)
        place = torch.arange(symbols - 1)
        rates[place, place + 1] = rates[place + 1, place] = 1.0
        if self.cyclic:
            rates[0, -1] = rates[-1, 0] = 1.0
        return semigroup_of(rates, torch.full((symbols,), 1 / symbols))


@configurable
@dataclass(frozen=True)
class GaussianRates(Rates):
    r"""Along the order of the symbols, to near ones at rates that fall like a Gaussian.

    `R(i, j) = exp(-(i - j)^2 / (2 reach^2)) min(1, pi_j / pi_i)`, in detailed balance with `pi`, a
    discretized Gaussian about the middle (compare Campbell et al. 2022, appendix E).

    Args:
        reach: the standard deviation of a jump, in symbols.
        spread: the standard deviation of the stationary distribution, as a share of the number of
            symbols; uniform by default.

    Raises `InputError` for numbers that are not positive.

    >>> GaussianRates(reach=1.0, spread=0.3).semigroup(3).stationary
    tensor([0.2595, 0.4810, 0.2595], dtype=torch.float64)
    """

    reach: float = 1.0
    spread: float | None = None

    def __post_init__(self) -> None:
        checks.positive("reach", self.reach)
        if self.spread is not None:
            checks.positive("spread", self.spread)

    def semigroup(self, symbols: int) -> Semigroup:
        """Of the discretized rates."""
        place = torch.arange(_many(symbols), dtype=torch.float64)
        middle = place - 0.5 * (symbols - 1)
        width = float("inf") if self.spread is None else self.spread * symbols
        log_stationary = -0.5 * (middle / width).square()
        near = torch.exp(-0.5 * ((place - place.unsqueeze(1)) / self.reach).square())
        gain = log_stationary - log_stationary.unsqueeze(1)
        return semigroup_of(near * gain.clamp_max(0).exp(), log_stationary.softmax(0))


@configurable
@dataclass(frozen=True)
class NeighborRates(Rates):
    """Between symbols that are near each other as points (Austin et al. 2021, appendix A.2.4).

    Args:
        points: a vector for each symbol, an embedding or coordinates, `(K, d)`.
        neighbors: how many nearest ones each leads to; rates are symmetric, so that the stationary
            distribution is uniform.

    Raises `InputError` for another number of symbols, and for groups of symbols that no neighbors
    connect.

    >>> NeighborRates([[0.0], [1.0], [3.0]], neighbors=1).semigroup(3).stationary
    tensor([0.3333, 0.3333, 0.3333], dtype=torch.float64)
    """

    points: Any
    neighbors: int = 4

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", _plain("points", self.points))
        checks.whole("neighbors", self.neighbors)

    def semigroup(self, symbols: int) -> Semigroup:
        """Of the graph of neighbors."""
        points = torch.tensor(self.points, dtype=torch.float64)
        if len(points) != symbols:
            raise InputError(f"points of {len(points)} symbols, but there are {symbols}")
        apart = torch.cdist(points, points).fill_diagonal_(torch.inf)
        nearest = apart.topk(min(self.neighbors, symbols - 1), largest=False).indices
        leads = torch.zeros_like(apart).scatter_(1, nearest, 1.0)
        return semigroup_of(leads + leads.mT, torch.full((symbols,), 1 / symbols))


@configurable
@dataclass(frozen=True)
class MatrixRates(Rates):
    """Any rates, row from and column to; the diagonal is not looked at.

    Transitions are by eigenvectors if the rates are in detailed balance, and by scaling and
    squaring otherwise, which costs `O(K^3)` for each time: for small alphabets.

    Args:
        matrix: `(K, K)`, a tensor or nested lists.

    >>> MatrixRates([[0, 3], [1, 0]]).semigroup(2).stationary
    tensor([0.2500, 0.7500], dtype=torch.float64)
    """

    matrix: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "matrix", _plain("matrix", self.matrix))

    def semigroup(self, symbols: int) -> Semigroup:
        """Of the matrix."""
        matrix = torch.tensor(self.matrix, dtype=torch.float64)
        if matrix.shape != (symbols, symbols):
            raise InputError(f"rates between {len(matrix)} symbols, but there are {symbols}")
        return semigroup_of(matrix)


@configurable
@dataclass(frozen=True)
class SiteRates(Rates):
    """Rates of its own for each site: an ordered grade beside a category, say.

    Args:
        parts: one for each site, in their order.

    >>> SiteRates((UniformRates(), BirthDeathRates())).semigroup(3).stationary.shape
    torch.Size([2, 3])
    """

    parts: Sequence[Rates]

    def __post_init__(self) -> None:
        given = self.parts
        fine = isinstance(given, Sequence) and all(isinstance(part, Rates) for part in given)
        if not fine or not given:
            raise InputError(f"parts are rates, one for each site, not {given!r}")
        object.__setattr__(self, "parts", tuple(given))

    def semigroup(self, symbols: int) -> Semigroup:
        """Side by side."""
        return SiteSemigroup([part.semigroup(symbols) for part in self.parts])


def _many(symbols: int) -> int:
    return checks.whole("vocabulary", symbols, least=2)


def _plain(name: str, table: Any) -> tuple[tuple[float, ...], ...]:
    """Rows of numbers, as a configuration writes them. Raises `InputError` for anything else."""
    rows = table.tolist() if isinstance(table, Tensor) else table
    try:
        found = tuple(tuple(float(value) for value in row) for row in rows)
    except (TypeError, ValueError):
        raise InputError(f"{name} is a table of numbers, not {table!r}") from None
    if len({len(row) for row in found}) != 1:
        raise InputError(f"the rows of {name} are not of one length")
    return found
