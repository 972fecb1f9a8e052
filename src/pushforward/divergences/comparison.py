"""Two samples side by side: is there a difference that this many rows can see, and where?"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward import metrics, ot
from pushforward._random import resolve
from pushforward.checks import number, whole
from pushforward.divergences.all_distances import all_distances
from pushforward.divergences.divergence import Divergence
from pushforward.divergences.permutation import PermutationTest, permutation_test
from pushforward.errors import InputError
from pushforward.metrics._points import pair, subsample

__all__ = ["FEWEST", "ColumnDifference", "SampleComparison", "compare_samples"]

FEWEST = 24
_PER_LEVEL = 5
_PRICE = 1.06
"""What a test of distribution functions by permutations needs more of a shift than the best one of
the means of normal numbers; measured in `benchmarks/divergences.py`."""
_SAID = 5
"""Names that are said before the rest is counted."""


@dataclass(frozen=True)
class ColumnDifference:
    """How one column differs.

    Args:
        name: of the column.
        p_value: of the test, corrected for the number of columns.
        size: how far the values lie apart: `W_1` in standard deviations of both together, or the
            total variation distance of the frequencies of kinds.
        first, second: the means of a column of numbers, in its own units; `None` for kinds.
    """

    name: str
    p_value: float
    size: float
    first: float | None
    second: float | None


@dataclass(frozen=True)
class SampleComparison:
    """What a comparison of two samples finds, printed as a verdict and two tables.

    Args:
        names: of both samples.
        rows: how many rows each has.
        used: how many of each were compared.
        test: the permutation test of whether they have one distribution.
        level: the chance that samples of one distribution are said to differ.
        distances: each distance by its name, or why it is not to be had.
        columns: those of a table, what differs most first.
        seen: the shift of the mean of one column, in standard deviations, that is seen four times
            out of five; `None` without columns.
        notes: what to know of the samples.
    """

    names: tuple[str, str]
    rows: tuple[int, int]
    used: tuple[int, int]
    test: PermutationTest
    level: float
    distances: dict[str, Divergence | str]
    columns: tuple[ColumnDifference, ...]
    seen: float | None
    notes: tuple[str, ...] = ()

    @property
    def differ(self) -> bool:
        """Whether the test sees a difference at its level."""
        return self.test.p_value <= self.level

    @property
    def verdict(self) -> str:
        """The outcome in words."""
        p = f"p = {self.test.p_value:.2g} at level {self.level:g}, from "
        p += f"{self.test.permutations} permutations"
        if not self.differ:
            text = f"No difference that {self.used[0]:,} and {self.used[1]:,} rows can see ({p})."
            if self.seen is not None and math.isfinite(self.seen):
                text += (
                    f" A column of numbers whose mean had moved by {self.seen:.2g} of its standard "
                    "deviation would have been seen four times out of five; smaller differences "
                    "may be there."
                )
            return text
        text = f"{self.names[0]} and {self.names[1]} differ ({p})."
        alone = [column for column in self.columns if column.p_value <= self.level]
        if alone:
            names = [column.name for column in alone]
            text += f" Columns that differ by themselves, the most first: {_some(names)}."
        elif self.columns:
            text += " No column differs by itself: it is in how they go together."
        return text

    def to_dict(self) -> dict[str, Any]:
        """Plain values only, for JSON."""
        return {
            "verdict": self.verdict,
            "differ": self.differ,
            "p_value": self.test.p_value,
            "level": self.level,
            "permutations": self.test.permutations,
            "joint": self.test.joint,
            "names": list(self.names),
            "rows": list(self.rows),
            "used": list(self.used),
            "distances": {
                name: {"refused": found} if isinstance(found, str) else _plain(asdict(found))
                for name, found in self.distances.items()
            },
            "columns": [asdict(column) for column in self.columns],
            "seen": self.seen,
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        lines = [self.verdict, "", *_table(_distance_rows(self.distances))]
        lines += _about_floors(self.distances)
        if self.columns:
            lines += ["", *_table(_column_rows(self.columns[:10], self.names))]
            left = len(self.columns) - 10
            lines += [f"and {left} more columns"] * (left > 0)
        return "\n".join([*lines, *(f"\n! {note}" for note in self.notes)])

    def __repr__(self) -> str:
        return str(self)


def compare_samples(
    x: Tensor,
    y: Tensor,
    *,
    names: tuple[str, str] = ("x", "y"),
    columns: Sequence[str] | None = None,
    kinds: Collection[int] = (),
    common_scale: bool = False,
    level: float = 0.05,
    permutations: int = 499,
    max_points: int = 2000,
    seed: int = 0,
    notes: Sequence[str] = (),
) -> SampleComparison:
    """All distances of two samples with their floors, and one test of whether there is any.

    Numbers are divided by the standard deviation of both samples together; two different kinds are
    as far apart as numbers one such deviation from each other. Rows count as independent
    draws: rows of a time series or of repeated measurements seem to differ more often than they do.

    Args:
        x, y: states `(n, *event)` and `(m, *event)`, at least 24 of each.
        names: what the samples are called.
        columns: the names of the columns of rows `(n, d)`, which are then tested one by one too.
        kinds: the columns that hold numbers of kinds, between which there are no distances.
        common_scale: divide all numbers by one deviation, as for pictures.
        level: the chance that samples of one distribution are said to differ.
        permutations: of the test, see `permutation_test`.
        max_points: how many rows of each to compare, drawn at random.
        seed: of all draws.
        notes: what to know of the samples, said with the result.

    Raises `InputError` for different events, too few rows, rows that are all the same, NaN or
    infinity, and arguments out of range.

    >>> g = torch.Generator().manual_seed(0)
    >>> x, y = torch.randn(2, 60, 2, generator=g)
    >>> x[:, 1] += 2
    >>> found = compare_samples(x, y, columns=("a", "b"), permutations=99)
    >>> found.differ, found.columns[0].name
    (True, 'b')
    """
    left, right = pair(x, y, minimum=1)
    for name, rows_of in zip(names, (left, right), strict=True):
        if len(rows_of) < FEWEST:
            raise InputError(f"{name} has {len(rows_of)} rows; at least {FEWEST} are needed")
    number("level", level, least=1e-6, most=0.5)
    if whole("permutations", permutations) + 1 < _PER_LEVEL / level:
        raise InputError(
            f"permutations={permutations}: no p-value of so few is clearly below {level:g}; at "
            f"least {math.ceil(_PER_LEVEL / level) - 1} are needed for this level"
        )
    whole("max_points", max_points, least=FEWEST)
    if columns is not None and len(columns) != left.shape[1]:
        raise InputError(f"{len(columns)} names for {left.shape[1]} columns")
    generator, rows = resolve(seed), (len(left), len(right))
    copies = _copies(left, right, names)
    left, right = (subsample(z, max_points, generator) for z in (left, right))
    used = (len(left), len(right))
    both, n = torch.cat([left, right]), len(left)
    shift, scale = metrics.training_units(both, common_scale=common_scale)
    said = [*notes, *copies, *_constants(left, right, names, columns, kinds)]
    moving = ((both != both[0]).any(0)).nonzero()[:, 0].tolist()
    if not moving:
        raise InputError(f"every row of {names[0]} and of {names[1]} is the same: nothing varies")
    columns = columns and [columns[k] for k in moving]
    kinds = {place for place, k in enumerate(moving) if k in kinds}
    both, shift, scale = both[:, moving], shift[moving], scale[moving]
    features = _features((both - shift) / scale, both, kinds)
    few = features[:n], features[n:]
    named = columns or ()
    test = permutation_test(
        *few, [(both[:, k], k in kinds) for k in range(len(named))],
        permutations=permutations, seed=seed,
    )  # fmt: skip
    differences = [
        _difference(name, test.columns[k], both[:, k], n, float(scale[k]), kinds=k in kinds)
        for k, name in enumerate(named)
    ]
    differences.sort(key=lambda column: (column.p_value, -column.size))
    numbers = len(named) - len(kinds)
    seen = _visible(level, len(named), used) if numbers > 0 else None
    return SampleComparison(
        names, rows, used, test, level,
        all_distances(*few, names, kinds=bool(kinds), copied=bool(copies), seed=seed),
        tuple(differences), seen,
        tuple(said),
    )  # fmt: skip


def _features(scaled: Tensor, both: Tensor, kinds: Collection[int]) -> Tensor:
    """Numbers as they are, kinds as the corners of a simplex with edges of length one."""
    parts = []
    for k in range(both.shape[1]):
        if k in kinds:
            codes = both[:, k].unique(return_inverse=True)[1]
            parts.append(torch.nn.functional.one_hot(codes).double() / math.sqrt(2))
        else:
            parts.append(scaled[:, k : k + 1])
    return torch.cat(parts, 1)


def _copies(x: Tensor, y: Tensor, names: tuple[str, str]) -> list[str]:
    """What is to be said of rows that occur more than once."""
    _, codes = torch.cat([x, y]).unique(dim=0, return_inverse=True)
    of_second = codes[len(x) :]
    shared = int(torch.isin(of_second, codes[: len(x)]).sum())
    # Few different rows, such as those of kinds, are shared by chance.
    if shared and len(of_second.unique()) > 0.5 * len(y):
        return [
            f"{shared} of {len(y)} rows of {names[1]} are rows of {names[0]} too, which makes both "
            "look more alike than independent samples"
        ]
    return []


def _constants(
    x: Tensor,
    y: Tensor,
    names: tuple[str, str],
    columns: Sequence[str] | None,
    kinds: Collection[int],
) -> list[str]:
    """What is to be said of columns with one value in every row of one set, or of both."""
    fixed = [(z == z[0]).all(0) for z in (x, y)]
    same = fixed[0] & fixed[1] & (x[0] == y[0])
    told = []
    if columns is None:
        # The numbers of a picture have no names, and those on its edge often one value.
        count = int(same.sum())
        return [f"{count} of {len(same)} numbers are the same in every row: left out"] * bool(count)
    left_out = [repr(columns[k]) for k in same.nonzero()[:, 0].tolist()]
    if left_out:
        told.append(f"the same in every row of both, and left out: {_some(left_out)}")
    apart = (fixed[0] & fixed[1] & ~same).nonzero()[:, 0].tolist()
    for k in apart[:_SAID]:
        values = "" if k in kinds else f", {float(x[0, k]):.6g} and {float(y[0, k]):.6g}"
        told.append(f"{columns[k]!r} has one value in {names[0]} and another in {names[1]}{values}")
    for one, other, name in ((0, 1, names[0]), (1, 0, names[1])):
        alone = [repr(columns[k]) for k in (fixed[one] & ~fixed[other]).nonzero()[:, 0].tolist()]
        if alone:
            told.append(f"the same in every row of {name} only: {_some(alone)}")
    return told


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SAID} more" if len(names) > _SAID else ""
    return ", ".join(names[:_SAID]) + more


def _difference(
    name: str, p_value: float, both: Tensor, n: int, scale: float, *, kinds: bool
) -> ColumnDifference:
    first, second = both[:n, None], both[n:, None]
    if kinds:
        apart = metrics.total_variation(first.long(), second.long()).value
        return ColumnDifference(name, p_value, apart, None, None)
    apart = float(ot.wasserstein_1d(first[:, 0], second[:, 0], p=1.0)) / scale
    return ColumnDifference(name, p_value, apart, float(first.mean()), float(second.mean()))


def _visible(level: float, columns: int, used: tuple[int, int]) -> float:
    """The shift of a mean that a test of one of so many columns sees four times out of five."""
    quantile = torch.distributions.Normal(0.0, 1.0).icdf
    # One of three tests, and one column of all: no better than a correction of each would be.
    strict = float(quantile(torch.tensor(1 - level / (6 * columns), dtype=torch.float64)))
    power = float(quantile(torch.tensor(0.8, dtype=torch.float64)))
    return _PRICE * (strict + power) * math.sqrt(1 / used[0] + 1 / used[1])


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Without numbers that JSON does not have."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
    }


def _distance_rows(found: dict[str, Divergence | str]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("distance", "value", "floor", "how")]
    for name, one in found.items():
        if isinstance(one, str):
            rows.append((name, "-", "-", one))
            continue
        value = metrics.Estimate(one.value, one.stderr, 0)
        typical = "-"
        if one.floor is not None:
            spread = metrics.Estimate(one.floor, one.floor_spread, 0)
            typical = f"{spread} ({one.floor_divisions})"
        note = f"; {one.bias}" if one.bias else ""
        doubt = "" if one.converged else ", NOT CONVERGED"
        rows.append((name, str(value), typical, one.method + note + doubt))
    return rows


def _about_floors(found: dict[str, Divergence | str]) -> list[str]:
    """What floors are, and how well their spreads are known."""
    known = {
        one.floor_divisions: one.floor_doubt
        for one in found.values()
        if not isinstance(one, str) and one.floor is not None
    }
    if not known:
        return []
    doubts = [f"{count} to {known[count]:.0%}" for count in sorted(known)]
    return [
        "floor: what as many rows of one distribution give, mean ± spread over (so many) random",
        f"divisions of all rows; a spread is known from {', from '.join(doubts)} of itself",
    ]


def _column_rows(
    columns: Sequence[ColumnDifference], names: tuple[str, str]
) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("column", "p", "apart", *(f"mean of {n}" for n in names))]
    for one in columns:
        means = ("kinds", "") if one.first is None else (f"{one.first:.4g}", f"{one.second:.4g}")
        rows.append((one.name, f"{one.p_value:.2g}", f"{one.size:.3g}", *means))
    return rows


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
