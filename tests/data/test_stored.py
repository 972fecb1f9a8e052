"""A tensor in a store is the tensor: rows by any index, and everything else by reading."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from pushforward import state
from pushforward.data import stored
from pushforward.data.stored import Stored
from pushforward.errors import InputError

WHOLE = torch.arange(60.0).reshape(20, 1, 3)


@pytest.fixture
def x(monkeypatch: pytest.MonkeyPatch) -> Stored:
    """Of which four rows are read at once."""
    monkeypatch.setattr(stored, "BLOCK", 4 * 12)
    return Stored(lambda rows: WHOLE.numpy()[rows], (1, 3), 20, "w", "whole")


@pytest.mark.parametrize(
    "index",
    [
        torch.tensor([3, 19, 3]), torch.arange(15), torch.tensor([], dtype=torch.long),
        torch.arange(20) % 3 == 1, slice(2, 5), slice(1, 19), slice(None, None, 2), slice(-3, None),
        slice(0, 0), 0, 7, -1, -20,
    ],
)  # fmt: skip
def test_rows(x: Stored, index: object) -> None:
    found = x[index]
    assert torch.equal(found + 0, WHOLE[index])


def test_rows_of_rows_stay_in_the_store(x: Stored) -> None:
    part = x[torch.arange(19, 3, -1)]
    assert isinstance(part, Stored)
    rows = torch.tensor([0, 9, 9])
    assert not isinstance(part[rows], Stored)
    assert torch.equal(part[rows], WHOLE[torch.arange(19, 3, -1)][rows])
    assert isinstance(state.take(x, slice(0, 12)), Stored)


def test_what_is_not_rows_is_done_in_memory(x: Stored) -> None:
    assert torch.equal(x * 2, WHOLE * 2)
    assert torch.equal(torch.cat([x, WHOLE]), torch.cat([WHOLE, WHOLE]))
    assert torch.equal(x.flatten(1).mean(0), WHOLE.flatten(1).mean(0))
    assert torch.equal(x[:, 0, 1] + 0, WHOLE[:, 0, 1])
    assert x.double().dtype == torch.float64
    assert np.array_equal(x.numpy(), WHOLE.numpy())
    assert x.tolist() == WHOLE.tolist()
    assert torch.equal(torch.stack(list(x)), WHOLE)
    assert torch.equal(copy.deepcopy(x) + 0, WHOLE)


def test_it_says_what_it_is(x: Stored) -> None:
    assert (x.shape, x.dtype, x.device.type) == (WHOLE.shape, torch.float32, "cpu")
    assert len(x) == 20
    assert "whole" in repr(x)
    assert x.detach().cpu().shape == WHOLE.shape


def test_what_does_not_fit_in_memory_is_refused() -> None:
    large = Stored(lambda rows: np.zeros((len(rows), 10**9)), (10**9,), 10**5, "l", "large.zarr")
    with pytest.raises(InputError, match=r"large\.zarr promises numbers of the shape"):
        large.mean()
