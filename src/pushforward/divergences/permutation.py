r"""One test of whether two samples have one distribution, from several statistics.

If they have, each division of all rows into two parts of these sizes was as likely as the one that
is seen. The statistics are computed for random divisions too, and each value is replaced by the
share of divisions where it is at least as large, its p-value; the smallest of several p-values is
then a statistic like any other, calibrated by the same divisions (Westfall & Young 1993). The level
of the outcome is exact for any number of rows, columns and divisions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward._gaussian_kernels import mean_gaussian
from pushforward._random import resolve
from pushforward.divergences.floors import kernel_gaps
from pushforward.metrics._points import distances
from pushforward.metrics.mmd import default_bandwidths

__all__ = ["PermutationTest", "permutation_test"]


@dataclass(frozen=True)
class PermutationTest:
    """What a permutation test finds.

    Args:
        p_value: the chance of divisions that differ by as much, if both have one distribution.
        joint: the p-values of the energy distance and the MMD of all columns together, by name.
        columns: the p-value of each column, corrected for their number: the chance that any column
            of samples of one distribution has one as small.
        permutations: how many random divisions.
    """

    p_value: float
    joint: dict[str, float]
    columns: tuple[float, ...]
    permutations: int


def permutation_test(
    x: Tensor,
    y: Tensor,
    columns: Sequence[tuple[Tensor, bool]] = (),
    *,
    permutations: int = 499,
    seed: int = 0,
) -> PermutationTest:
    """Test the energy distance and the MMD of all columns together, and each column by itself.

    A column of numbers is tested by the mean square difference of the distribution functions
    (Cramér-von Mises), one of kinds by the chi-square of its frequencies. The three p-values, of
    energy, MMD and the columns in common, make one.

    Args:
        x, y: rows in which distances mean something, `(n, d)` and `(m, d)` in double precision.
        columns: values `(n + m,)` of all rows, those of `x` first, and whether they are kinds.
        permutations: how many random divisions; no p-value is below one in one more than these.
        seed: of the divisions.

    >>> g = torch.Generator().manual_seed(0)
    >>> x, y = torch.randn(2, 50, 1, generator=g, dtype=torch.float64)
    >>> permutation_test(x + 2, y, permutations=99).p_value
    0.01
    """
    n, generator = len(x), resolve(seed)
    both = torch.cat([x, y])
    # The first division is the one that is seen.
    orders = [torch.arange(len(both))]
    orders += [torch.randperm(len(both), generator=generator) for _ in range(permutations)]
    first = torch.zeros(len(both), permutations + 1)
    for k, order in enumerate(orders):
        first[order[:n], k] = 1
    table = distances(both, both)
    kernel = mean_gaussian(table.square(), default_bandwidths(both, seed=seed))
    kernel.fill_diagonal_(0)
    joint = {"energy distance": kernel_gaps([table], first), "MMD²": kernel_gaps([-kernel], first)}
    ranks = [_p_values(values) for values in joint.values()]
    corrected: tuple[float, ...] = ()
    if columns:
        each = [
            _p_values(_chi_square(values, first) if kinds else _cramer(values, first))
            for values, kinds in columns
        ]
        least = torch.stack(each).amin(0)
        corrected = tuple(float((least <= own[0]).double().mean()) for own in each)
        ranks.append(_p_values(-least))
    overall = _p_values(-torch.stack(ranks).amin(0))
    of_joint = {name: float(rank[0]) for name, rank in zip(joint, ranks, strict=False)}
    return PermutationTest(float(overall[0]), of_joint, corrected, permutations)


def _p_values(statistics: Tensor) -> Tensor:
    """For each of `R` values, the share of all that are at least as large."""
    ordered = statistics.sort().values
    # Values that differ by rounding are the same.
    slack = 1e-6 * float((ordered[-1] - ordered[0]).abs())
    below = torch.searchsorted(ordered, statistics - slack)
    return (len(statistics) - below).double() / len(statistics)


def _cramer(values: Tensor, first: Tensor) -> Tensor:
    """The mean square difference of both distribution functions at all rows, `(R,)`."""
    ordered, order = values.sort()
    n = first[:, 0].sum()
    m = len(values) - n
    parts = first[order]
    gap = (parts.cumsum(0) / n - (1 - parts).cumsum(0) / m).double()
    # Of rows with one value, the last has counted all.
    last = torch.cat([ordered.diff() > 0, torch.tensor([True])])
    counts = torch.diff(last.nonzero()[:, 0], prepend=torch.tensor([-1]))
    return counts.double() @ gap[last].square() / len(values)


def _chi_square(values: Tensor, first: Tensor) -> Tensor:
    """The chi-square of the frequencies of kinds in both parts, `(R,)`, up to a constant."""
    kinds, codes = values.unique(return_inverse=True)
    counts = torch.zeros(len(kinds), first.shape[1]).index_add_(0, codes, first).double()
    total = torch.bincount(codes, minlength=len(kinds)).double()
    expected = (total * float(first[:, 0].sum()) / len(values))[:, None]
    return ((counts - expected).square() / expected).sum(0)
