"""Noise that belongs to rows: independent from draw to draw, and the same in any batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pushforward._random import RowNoise, even_rows, normal_like, resolve, uniform_like


def draws(seed: int, rows: slice, shapes: list[tuple[int, ...]]) -> list[Tensor]:
    noise, n = RowNoise(seed, rows), rows.stop - rows.start
    return [normal_like(torch.empty(n, *shape), noise) for shape in shapes]


@pytest.mark.parametrize("shape", [(2,), (3, 200), ()], ids=str)
def test_draws_are_independent_normal_numbers(shape: tuple[int, ...]) -> None:
    """Within what is drawn ahead, and from one such piece to the next."""
    found = torch.stack([x.flatten() for x in draws(0, slice(0, 400), 80 * [shape])])
    assert float(found.mean()) == pytest.approx(0.0, abs=4 / found.numel() ** 0.5)
    assert float(found.var()) == pytest.approx(1.0, abs=4 * (2 / found.numel()) ** 0.5)
    across = torch.corrcoef(found) - torch.eye(len(found))
    assert float(across.abs().max()) < 6 / found.shape[1] ** 0.5


def test_a_row_has_its_noise_in_any_batch() -> None:
    """Also where the shape of the states changes on the way."""
    shapes = [(2,), (2,), (5,), (2,), *(40 * [(3, 200)])]
    whole = draws(7, slice(0, 50), shapes)
    for part in (slice(0, 1), slice(15, 17), slice(20, 50)):
        for one, other in zip(whole, draws(7, part, shapes), strict=True):
            assert torch.equal(one[part], other)


def test_kinds_of_noise_come_in_turns() -> None:
    def turns(rows: slice) -> list[Tensor]:
        noise, x = RowNoise(7, rows), torch.empty(rows.stop - rows.start, 2)
        return [(uniform_like if k % 3 == 0 else normal_like)(x, noise) for k in range(150)]

    whole = turns(slice(0, 400))
    for part in (slice(0, 1), slice(15, 40)):
        for one, other in zip(whole, turns(part), strict=True):
            assert torch.equal(one[part], other)
    uniform = torch.stack(whole[::3])
    assert float(uniform.min()) >= 0
    assert float(uniform.max()) < 1
    assert float(uniform.mean()) == pytest.approx(0.5, abs=4 * (1 / 12 / uniform.numel()) ** 0.5)
    both = torch.stack([x.flatten() for x in whole])
    across = torch.corrcoef(both) - torch.eye(len(both))
    assert float(across.abs().max()) < 6 / both.shape[1] ** 0.5


def test_rows_come_evenly() -> None:
    found = even_rows(17, 5, resolve(0))
    assert sorted(found.bincount().tolist()) == [3, 3, 3, 4, 4]
    assert found[:5].sort().values.tolist() == list(range(5))
    assert even_rows(3, 0, resolve(0)).numel() == 0
