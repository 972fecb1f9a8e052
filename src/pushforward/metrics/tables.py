"""How synthetic tables are judged: columns, pairs of columns, and what can be learned from them.

A table is a dictionary of columns: numbers, NaN where they are missing, or words, `None` there.
Each measure compares two tables of the same columns; rows resampled with replacement give errors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import InputError
from pushforward.metrics.estimate import Estimate
from pushforward.metrics.evaluation import Row

__all__ = [
    "association",
    "column_distance",
    "copied_rows",
    "pair_distance",
    "table_rows",
    "usefulness",
]

Columns = Mapping[str, NDArray[Any]]
Floats = NDArray[np.float64]

_RESAMPLED = 20
_RIDGE = 1.0
_MOST_WORDS = 50
_FEWEST = 10


def column_distance(x: Columns, y: Columns) -> float:
    """The mean over columns of the distance of their laws, from 0 to 1.

    That of numbers is the one of Kolmogorov and Smirnov, that of words the total variation;
    missing cells count as a word of their own.

    >>> a = {"n": np.array([0.0, 1.0]), "w": np.array(["a", "b"], dtype=object)}
    >>> column_distance(a, a), column_distance(a, a | {"w": np.array(["a", "a"], dtype=object)})
    (0.0, 0.25)
    """
    _check(x, y)
    return float(np.mean([_of_laws(x[name], y[name]) for name in x]))


def _of_laws(a: NDArray[Any], b: NDArray[Any]) -> float:
    if a.dtype.kind != "f":
        p, q = _frequencies(a, b)
        return float(np.abs(p - q).sum() / 2)
    # A missing number is below all others: a step of the distribution function.
    a, b = (np.sort(np.where(np.isnan(v), -np.inf, v)) for v in (a, b))
    both = np.concatenate([a, b])
    shares = [np.searchsorted(v, both, side="right") / len(v) for v in (a, b)]
    return float(np.abs(shares[0] - shares[1]).max())


def _frequencies(a: NDArray[Any], b: NDArray[Any]) -> tuple[Floats, Floats]:
    codes, kinds = _codes([*a.tolist(), *b.tolist()])
    parts = codes[: len(a)], codes[len(a) :]
    p, q = (np.bincount(part, minlength=kinds) / len(part) for part in parts)
    return p, q


def _codes(words: Sequence[Any]) -> tuple[NDArray[np.int64], int]:
    """Words as numbers, in the order in which they come."""
    known: dict[str, int] = {}
    found = [known.setdefault(str(word), len(known)) for word in words]
    return np.array(found, dtype=np.int64), len(known)


def association(a: NDArray[Any], b: NDArray[Any]) -> float:
    r"""How much two columns have to do with each other; NaN where one of them does not vary.

    Of numbers the rank correlation, from -1 to 1; of words Cramer's V with the correction of
    Bergsma (2013), `sqrt(max(phi^2 - (k-1)(r-1)/(n-1), 0) / min(k', r'))`; of numbers and words the
    correlation ratio `eta` of the ranks, `sqrt(SS_between / SS_total)`. Rows with a missing cell
    are left out.

    >>> n = np.arange(8.0)
    >>> w = np.array(["a"] * 4 + ["b"] * 4, dtype=object)
    >>> [round(association(*pair), 3) for pair in ((n, -n), (w, w), (n, w))]
    [-1.0, 1.0, 0.873]
    """
    there = np.array([_present(u) & _present(v) for u, v in zip(a, b, strict=True)], dtype=bool)
    a, b = a[there], b[there]
    if len(a) < _FEWEST // 2:
        return math.nan
    if a.dtype.kind == "f" and b.dtype.kind == "f":
        p, q = _ranks(a), _ranks(b)
        spread = p.std() * q.std()
        return float(((p - p.mean()) * (q - q.mean())).mean() / spread) if spread else math.nan
    if a.dtype.kind == "f":
        a, b = b, a
    groups, kinds = _codes(a.tolist())
    if b.dtype.kind == "f":
        ranks = _ranks(b)
        total = ranks.var() * len(ranks)
        sizes = np.bincount(groups)
        means = np.bincount(groups, ranks) / sizes
        between = (sizes * (means - ranks.mean()) ** 2).sum()
        return float(math.sqrt(between / total)) if total and kinds > 1 else math.nan
    others, more = _codes(b.tolist())
    return _cramer(np.bincount(groups * more + others, minlength=kinds * more).reshape(kinds, more))


def _cramer(counts: NDArray[Any]) -> float:
    n, (k, r) = counts.sum(), counts.shape
    if min(k, r) < 2 or n < 2:
        return math.nan
    expected = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / n
    phi = ((counts - expected) ** 2 / expected).sum() / n
    phi = max(phi - (k - 1) * (r - 1) / (n - 1), 0.0)
    least = min(k - (k - 1) ** 2 / (n - 1), r - (r - 1) ** 2 / (n - 1)) - 1
    return float(math.sqrt(min(phi / least, 1.0))) if least > 0 else math.nan


def pair_distance(x: Columns, y: Columns) -> float:
    """The mean over pairs of columns of the difference of their associations.

    Raises `InputError` for tables of one column.
    """
    _check(x, y)
    found = [abs(association(x[a], x[b]) - association(y[a], y[b])) for a, b in combinations(x, 2)]
    known = [own for own in found if not math.isnan(own)]
    if not known:
        raise InputError("there are no two columns that vary, whose associations compare")
    return float(np.mean(known))


def usefulness(x: Columns, y: Columns) -> float:
    """What is learned from one table, judged on another: each column told from all the others.

    By ridge regression on numbers, their squares and words, in ranks: the share of explained
    variance for a number, the share of right answers for words, in the mean over columns that vary.

    >>> g = np.random.default_rng(0)
    >>> a, b = g.random(400), g.random(400)
    >>> told, apart = {"a": a, "b": a}, {"a": a, "b": b}
    >>> usefulness(told, told) > 0.99, abs(usefulness(apart, told)) < 0.1
    (True, True)
    """
    _check(x, y)
    blocks = {name: _inputs(x[name], y[name]) for name in x}
    skills = []
    for name in x:
        rest = [blocks[other] for other in x if other != name]
        if not rest:
            raise InputError("a column cannot be told from the others where it is alone")
        skill = _skill(np.hstack([b[0] for b in rest]), np.hstack([b[1] for b in rest]),
                       x[name], y[name])  # fmt: skip
        if skill is not None:
            skills.append(skill)
    return float(np.mean(skills)) if skills else math.nan


def _inputs(a: NDArray[Any], b: NDArray[Any]) -> tuple[Floats, Floats]:
    """A column of two tables as inputs of a regression, in units of the first."""
    if a.dtype.kind == "f":
        known = np.sort(a[~np.isnan(a)])
        parts = []
        for v in (a, b):
            if not len(known):
                parts.append(np.zeros((len(v), 1)))
                continue
            gone = np.isnan(v)
            score = np.searchsorted(known, np.where(gone, known[0], v)) / len(known) - 0.5
            score = np.where(gone, 0.0, score) * math.sqrt(12)
            parts.append(np.stack([score, score**2, gone.astype(float)], 1))
        return parts[0], parts[1]
    kinds = {word: k for k, word in enumerate(sorted({str(word) for word in a})[:_MOST_WORDS])}
    made = []
    for v in (a, b):
        hot = np.zeros((len(v), len(kinds)))
        at = np.array([kinds.get(str(word), -1) for word in v])
        hot[np.flatnonzero(at >= 0), at[at >= 0]] = 1
        made.append(hot)
    return made[0], made[1]


def _skill(inputs: Floats, unseen: Floats, a: NDArray[Any], b: NDArray[Any]) -> float | None:
    """How well what is learned of a column in one table tells it in another."""
    here = np.array([_present(v) for v in a], dtype=bool)
    there = np.array([_present(v) for v in b], dtype=bool)
    a, b, inputs, unseen = a[here], b[there], inputs[here], unseen[there]
    if min(len(a), len(b)) < _FEWEST or len(set(b.tolist())) < 2:
        return None
    if a.dtype.kind == "f":
        known = np.sort(b)
        target, truth = (np.searchsorted(known, v) / len(known) for v in (a, b))
        told = _ridge(inputs, unseen, target[:, None])[:, 0]
        return float(1 - ((told - truth) ** 2).mean() / truth.var())
    kinds = sorted({str(v) for v in a})
    hot = np.array([[str(v) == kind for kind in kinds] for v in a], dtype=float)
    told = np.array(kinds)[_ridge(inputs, unseen, hot).argmax(1)]
    return float(np.mean([t == str(v) for t, v in zip(told, b, strict=True)]))


def _ridge(inputs: Floats, unseen: Floats, targets: Floats) -> Floats:
    center, mean = inputs.mean(0), targets.mean(0)
    x = inputs - center
    matrix = x.T @ x + _RIDGE * np.eye(x.shape[1])
    found: Floats = (unseen - center) @ np.linalg.solve(matrix, x.T @ (targets - mean)) + mean
    return found


def copied_rows(x: Columns, train: Columns) -> float:
    """The share of rows that are rows of the training data, cell by cell.

    >>> a = {"w": np.array(["a", "b"], dtype=object)}
    >>> copied_rows(a, {"w": np.array(["a", "c"], dtype=object)})
    0.5
    """
    _check(x, train)
    known = set(zip(*(map(str, train[name]) for name in x), strict=True))
    rows = zip(*(map(str, x[name]) for name in x), strict=True)
    return float(np.mean([row in known for row in rows]))


def table_rows(
    samples: Columns,
    test: Columns,
    train: Columns,
    *,
    broken: Mapping[str, Callable[[Columns], float]] | None = None,
    seed: int = 0,
) -> list[Row]:
    """What is said of a synthetic table, each number beside that of real rows.

    The floor is that of rows of the training data in the place of the samples, as many; for copied
    rows it is that of held-out rows. Errors are those of rows drawn again.

    Args:
        samples, test, train: tables of the same columns.
        broken: for each rule of the rows, what share of a table breaks it.
        seed: of the rows.

    Raises `InputError` for tables of other columns.
    """
    generator = np.random.default_rng(seed)
    size = min(_rows(samples), _rows(test), _rows(train))
    drawn, held, known = (_some(v, size, generator) for v in (samples, test, train))
    rows = [_compared("columns", column_distance, drawn, held, known, generator,
                      "mean distance of the laws of columns, 0 to 1")]  # fmt: skip
    if len(samples) > 1:
        rows += [
            _compared("pairs of columns", pair_distance, drawn, held, known, generator,
                      "mean difference of correlations, Cramér's V and correlation ratios"),
            _compared("learned from them", usefulness, drawn, held, known, generator,
                      "columns told from the others: trained on samples, tested on real rows",
                      "higher"),
        ]  # fmt: skip
    copies, real = copied_rows(samples, train), copied_rows(test, train)
    errors = [_share_error(copies, _rows(samples)), _share_error(real, _rows(test))]
    rows.append(
        Row("copied rows", copies, errors[0], real, errors[1], "lower",
            "share equal to a training row; of held-out rows beside it")
    )  # fmt: skip
    for name, share in (broken or {}).items():
        value, floor = share(samples), share(test)
        rows.append(
            Row(f"breaks {name}", value, _share_error(value, _rows(samples)), floor,
                _share_error(floor, _rows(test)), "lower", "holds in every row of the data")
        )  # fmt: skip
    return rows


def _compared(
    name: str,
    measure: Callable[[Columns, Columns], float],
    drawn: Columns,
    held: Columns,
    known: Columns,
    generator: np.random.Generator,
    note: str,
    better: Any = "lower",
) -> Row:
    values = [measure(x, held) for x in (drawn, known)]
    spreads = []
    for x in (drawn, known):
        again = [measure(_again(x, generator), _again(held, generator)) for _ in range(_RESAMPLED)]
        spreads.append(Estimate(0.0, float(np.nanstd(again, ddof=1)), _RESAMPLED).stderr)
    return Row(name, values[0], spreads[0], values[1], spreads[1], better, note)


def _again(x: Columns, generator: np.random.Generator) -> Columns:
    at = generator.integers(0, _rows(x), _rows(x))
    return {name: own[at] for name, own in x.items()}


def _some(x: Columns, size: int, generator: np.random.Generator) -> Columns:
    at = generator.permutation(_rows(x))[:size]
    return {name: own[at] for name, own in x.items()}


def _share_error(share: float, n: int) -> float:
    smoothed = (share * n + 1) / (n + 2)
    return math.sqrt(smoothed * (1 - smoothed) / n)


def _rows(x: Columns) -> int:
    return len(next(iter(x.values())))


def _present(value: Any) -> bool:
    return value is not None and value == value


def _ranks(values: Floats) -> Floats:
    """Mean ranks, from 0 to 1."""
    ordered = np.sort(values)
    low = np.searchsorted(ordered, values, side="left")
    high = np.searchsorted(ordered, values, side="right")
    found: Floats = (low + high) / (2 * len(values))
    return found


def _check(x: Columns, y: Columns) -> None:
    if list(x) != list(y) or not x:
        raise InputError(f"tables have the same columns, not {', '.join(x)} and {', '.join(y)}")
