"""Statistics of n-grams and copied pieces, beside brute force and closed forms."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch

from pushforward.errors import InputError
from pushforward.metrics import gram_distance, gram_entropy, longest_copies


def _uniform(rows: int, length: int, symbols: int, seed: int) -> torch.Tensor:
    return torch.randint(0, symbols, (rows, length), generator=torch.Generator().manual_seed(seed))


def test_the_entropy_of_uniform_grams_is_that_of_the_dice():
    x = _uniform(400, 50, 6, 0)
    for length in (1, 2, 3):
        found = gram_entropy(x, length)
        assert abs(found.value - length * math.log2(6)) < 0.01
    # Without the correction the entropy of 3-grams of few sequences is too small.
    few = gram_entropy(_uniform(60, 22, 6, 1), 3)
    assert abs(few.value - 3 * math.log2(6)) < 0.05


def test_the_distance_is_that_of_the_counts():
    x, y = _uniform(30, 8, 3, 0), _uniform(40, 8, 4, 1)
    for length in (1, 2, 3):
        counts = [
            Counter(tuple(row[k : k + length]) for row in z.tolist() for k in range(9 - length))
            for z in (x, y)
        ]
        totals = [sum(c.values()) for c in counts]
        kinds = set(counts[0]) | set(counts[1])
        exact = 0.5 * sum(abs(counts[0][g] / totals[0] - counts[1][g] / totals[1]) for g in kinds)
        assert gram_distance(x, y, length).value == pytest.approx(exact, abs=1e-12)


def test_nothing_counts_behind_the_end():
    x = torch.tensor([[0, 1, 9, 9, 9], [1, 9, 0, 0, 0]])
    y = torch.tensor([[0, 1, 9, 9, 9], [1, 9, 9, 9, 9]])
    assert gram_distance(x, y, 1, end=9).value == 0.0
    assert gram_distance(x[:1], y[:1], 2, end=9).value == 0.0
    assert gram_entropy(y[:1], 1, end=9).value == pytest.approx(1 + 1 / (4 * math.log(2)))


def _brute(row: list[int], known: list[list[int]]) -> int:
    return max(
        (
            length
            for length in range(1, len(row) + 1)
            for k in range(len(row) - length + 1)
            for other in known
            for j in range(len(other) - length + 1)
            if row[k : k + length] == other[j : j + length]
        ),
        default=0,
    )


@pytest.mark.parametrize("symbols", [2, 3, 8])
def test_the_longest_copy_is_that_of_brute_force(symbols):
    x, known = _uniform(12, 11, symbols, 0), _uniform(4, 9, symbols, 1)
    exact = [_brute(row, known.tolist()) for row in x.tolist()]
    assert longest_copies(x, known).tolist() == exact
    assert longest_copies(known, known).tolist() == [9] * 4


def test_ends_are_no_copy():
    known = torch.tensor([[0, 1, 5, 5, 5, 5]])
    x = torch.tensor([[2, 1, 5, 5, 5, 5], [0, 1, 5, 5, 5, 5]])
    assert longest_copies(x, known, end=5).tolist() == [1, 2]


def test_what_are_no_sequences_is_refused():
    with pytest.raises(InputError, match="integers"):
        gram_entropy(torch.zeros(2, 3), 1)
    with pytest.raises(InputError, match="no grams of 4"):
        gram_entropy(torch.zeros(2, 3).long(), 4)
    with pytest.raises(InputError, match="no sequence has a gram"):
        gram_entropy(torch.full((2, 3), 4), 1, end=4)
