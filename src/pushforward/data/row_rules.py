"""What holds in every row of a table: one column below another, sums, one that tells another.

Such rules are found in data, and counted where samples break them: no model that was not told them
keeps them all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["RowRule", "rules_of"]

_ROWS = 50
"""Rows in which a rule must hold to be no chance."""
_MOST = 30
"""Columns of numbers among which sums are looked for."""
_EACH = 5
"""Rows that each word must have in the mean, for a column that tells another."""

Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class RowRule:
    """A rule of the rows of a table.

    Args:
        kind: `below`: the first column is at most the second; `sum`: the first and the second add
            up to the third; `tells`: rows with one word in the first have one word in the second.
        names: of the columns.
        words: of `tells`, the word of the second column for each of the first.

    >>> rule = RowRule("below", ("low", "high"))
    >>> print(rule, rule.broken({"low": np.array([1.0, 3.0]), "high": np.array([2.0, 2.0])}))
    low <= high 0.5
    """

    kind: str
    names: tuple[str, ...]
    words: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        a, b, *rest = self.names
        if self.kind == "below":
            return f"{a} <= {b}"
        return f"{a} + {b} = {rest[0]}" if self.kind == "sum" else f"{a} tells {b}"

    def holds(self, columns: Columns) -> NDArray[np.bool_]:
        """Where the rule holds, `(N,)`; also where a value is missing, as nothing is said there."""
        own = [columns[name] for name in self.names]
        found: NDArray[np.bool_]
        if self.kind == "tells":
            known = dict(self.words)
            pairs = zip(*own, strict=True)
            return np.array([known.get(str(a), str(b)) == str(b) for a, b in pairs], dtype=bool)
        missing = np.isnan(np.stack(own)).any(0)
        found = own[0] <= own[1] if self.kind == "below" else _adds_up(*own)
        return found | missing

    def broken(self, columns: Columns) -> float:
        """The share of rows that break the rule."""
        return float(1 - self.holds(columns).mean())

    def describe(self) -> dict[str, Any]:
        """Plain values that YAML and JSON hold."""
        found: dict[str, Any] = {"kind": self.kind, "names": list(self.names)}
        if self.words:
            found["words"] = [list(pair) for pair in self.words]
        return found

    @classmethod
    def from_description(cls, described: Mapping[str, Any]) -> RowRule:
        """What `describe` described."""
        words = tuple((str(a), str(b)) for a, b in described.get("words") or ())
        return cls(str(described["kind"]), tuple(described["names"]), words)


def rules_of(columns: Columns) -> tuple[RowRule, ...]:
    """The rules of the rows of some columns, by name: numbers, NaN where missing, and words.

    An order counts where the ranges overlap, so that it is not told by each column alone.

    >>> g = np.random.default_rng(0)
    >>> a, b = g.random(100), g.random(100)
    >>> print(*rules_of({"a": a, "b": b, "c": a + b}), sep="; ")
    a <= c; b <= c; a + b = c
    """
    numbers = {k: v for k, v in columns.items() if v.dtype.kind == "f"}
    numbers = {k: v for k, v in numbers.items() if len(set(v[~np.isnan(v)].tolist())) > 2}
    words = {k: v for k, v in columns.items() if v.dtype.kind == "O"}
    return (*_orders(numbers), *_sums(numbers), *_told(words))


def _orders(numbers: Columns) -> Iterator[RowRule]:
    for a, b in permutations(numbers, 2):
        there = ~(np.isnan(numbers[a]) | np.isnan(numbers[b]))
        low, high = numbers[a][there], numbers[b][there]
        if len(low) < _ROWS or not bool((low <= high).all()) or bool((low == high).all()):
            continue
        # Rows that would break the rule if the two columns had nothing to do with each other.
        chance = np.searchsorted(np.sort(high), low, side="left").mean() / len(high)
        if chance * len(low) > _EACH:
            yield RowRule("below", (a, b))


def _sums(numbers: Columns) -> Iterator[RowRule]:
    if len(numbers) > _MOST:
        return
    for a, b in combinations(numbers, 2):
        for c in numbers:
            own = numbers[a], numbers[b], numbers[c]
            there = ~np.isnan(np.stack(own)).any(0)
            if c in (a, b) or there.sum() < _ROWS:
                continue
            # The first row rules out nearly all.
            first = tuple(v[there][:1] for v in own)
            if bool(_adds_up(*first).all()) and bool(_adds_up(*(v[there] for v in own)).all()):
                yield RowRule("sum", (a, b, c))


def _adds_up(a: NDArray[Any], b: NDArray[Any], c: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether two numbers make a third, but for rounding."""
    size = np.abs(a) + np.abs(b) + np.abs(c)
    found: NDArray[np.bool_] = np.abs(a + b - c) <= 1e-9 * size
    return found


def _told(words: Columns) -> Iterator[RowRule]:
    for a, b in permutations(words, 2):
        pairs = {(x, y) for x, y in zip(words[a], words[b], strict=True) if None not in (x, y)}
        firsts = {x for x, _ in pairs}
        several = len(firsts) > 1 and len({y for _, y in pairs}) > 1
        enough = len(words[a]) >= max(_ROWS, _EACH * len(firsts))
        if several and enough and len(pairs) == len(firsts):
            yield RowRule("tells", (a, b), tuple(sorted((str(x), str(y)) for x, y in pairs)))
