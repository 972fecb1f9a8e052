"""Modes count as found by a share of their weight, not by a single sample."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Binomial

import pushforward as pf
from pushforward.errors import InputError
from pushforward.metrics import mode_coverage, mode_shares

LINE = 2.0 * torch.arange(5) - 4
MODES = torch.cartesian_prod(LINE, LINE), 0.05
INSIDE = 1 - math.exp(-4.5)  # within three standard deviations in the plane


def test_data_find_all_modes() -> None:
    law = pf.data.load("8gaussians", n=4000)
    assert law.modes is not None
    found = mode_coverage(law.x, law.modes.centers, law.modes.std)
    assert found.modes == 8
    assert found.quality.value == pytest.approx(INSIDE, abs=4 * found.quality.stderr)
    collapsed = mode_coverage(
        law.modes.centers[2:3].expand(50, 2), law.modes.centers, law.modes.std
    )
    assert (collapsed.modes, int(collapsed.counts[2])) == (1, 50)


@pytest.mark.parametrize("n", [500, 1000, 10_000])
def test_even_points_find_no_mode_and_data_find_all(n: int) -> None:
    even = 9 * torch.rand(n, 2, generator=torch.Generator().manual_seed(0)) - 4.5
    found = mode_coverage(even, *MODES)
    assert int((found.counts > 0).sum()) > 10  # what one sample within reach would find
    assert found.modes == 0
    assert mode_coverage(pf.data.load("25gaussians", n=n, seed=1).x, *MODES).modes == 25


@pytest.mark.parametrize(("n", "share"), [(300, 0.5), (1000, 0.5), (1000, 1.0), (5000, 0.25)])
def test_what_is_needed_is_missed_by_chance_once_in_a_hundred(n: int, share: float) -> None:
    x = torch.zeros(n, 2)
    needed = int(mode_coverage(x, *MODES, share=share).needed[0])
    law = Binomial(n, torch.tensor(share * INSIDE / 25, dtype=torch.float64))
    below = law.log_prob(torch.arange(needed + 1, dtype=torch.float64)).exp().cumsum(0)
    assert needed == 1 or float(below[needed - 1]) <= 0.01
    assert float(below[needed]) > 0.01


def test_modes_of_unequal_weight_need_unequal_counts() -> None:
    centers = torch.tensor([[0.0, 0.0], [5.0, 0.0]])
    x = centers[torch.arange(1000) % 100 // 90]
    assert mode_coverage(x, centers, 0.1).modes == 1
    found = mode_coverage(x, centers, 0.1, weights=torch.tensor([9.0, 1.0]))
    assert found.modes == 2
    assert found.counts.tolist() == [900, 100]
    assert found.needed[0] > 8 * found.needed[1]


def test_what_is_refused() -> None:
    centers = torch.zeros(2, 2)
    with pytest.raises(InputError, match="centers"):
        mode_coverage(torch.zeros(5, 2), centers[:, :1], 1.0)
    with pytest.raises(InputError, match=r"in \(0, 1\], not 0"):
        mode_coverage(torch.zeros(5, 2), centers, 1.0, share=0.0)
    with pytest.raises(InputError, match="2 modes have as many positive weights"):
        mode_coverage(torch.zeros(5, 2), centers, 1.0, weights=torch.tensor([1.0, 0.0]))


def test_shares_of_modes_are_those_of_weights() -> None:
    modes = torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
    x = modes[[0, 0, 1]] + 0.3
    assert mode_shares(x, modes).tolist() == pytest.approx([2 / 3, 1 / 3, 0])
    found = mode_shares(x, modes, torch.tensor([1.0, 0.0, 3.0]))
    assert found.tolist() == pytest.approx([0.25, 0.75, 0])
    # States of any shape.
    tall = mode_shares(x.unflatten(1, (2, 1)), modes.unflatten(1, (2, 1)))
    assert tall[0] == pytest.approx(2 / 3)
    with pytest.raises(InputError, match="modes"):
        mode_shares(x, modes[:, :1])
    with pytest.raises(InputError, match="as many weights"):
        mode_shares(x, modes, torch.ones(2))
