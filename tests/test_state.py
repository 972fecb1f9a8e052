"""A batch of states is a tree: every function on a tensor, a tuple, and a named tuple."""

from __future__ import annotations

import pytest
import torch

from pushforward import state
from pushforward.errors import InputError
from pushforward.spaces import Points

TENSOR = torch.arange(6.0).reshape(3, 2)
TOKENS = torch.arange(6).reshape(3, 2)
POINTS = Points(torch.arange(12.0).reshape(3, 2, 2), torch.ones(3, 2, dtype=torch.bool))
PRODUCT = (TENSOR, (POINTS, TOKENS))


@pytest.mark.parametrize("x", [TENSOR, TOKENS, POINTS, PRODUCT], ids=str)
def test_parts_put_together_are_the_whole(x) -> None:
    again = state.concatenate(state.split(x, 2))
    assert type(again) is type(x)
    for a, b in zip(state.leaves(again), state.leaves(x), strict=True):
        assert torch.equal(a, b)
        assert a.dtype == b.dtype
    assert state.rows(x) == 3
    assert state.same_structure(x, again)


def test_rows_are_taken_from_every_part() -> None:
    for index in (torch.tensor([2, 0]), torch.tensor([True, False, True]), slice(0, 2)):
        taken = state.take(PRODUCT, index)
        assert isinstance(taken[1][0], Points)
        assert torch.equal(taken[0], TENSOR[index])
        assert torch.equal(taken[1][1], TOKENS[index])


def test_shapes_names_and_bytes() -> None:
    assert state.event_shape(PRODUCT) == ((2,), (((2, 2), (2,)), (2,)))
    assert state.numel(state.event_shape(PRODUCT)) == 2 + 4 + 2 + 2
    assert [name for name, _ in state.named_leaves(PRODUCT)] == [
        "x.0",
        "x.1.0.x",
        "x.1.0.mask",
        "x.1.1",
    ]
    assert state.nbytes(TENSOR) == 24


def test_precision_touches_floats_only() -> None:
    half = state.to(PRODUCT, dtype=torch.float64)
    assert [a.dtype for a in state.leaves(half)] == [
        torch.float64,
        torch.float64,
        torch.bool,
        torch.int64,
    ]


def test_a_state_that_is_not_finite_is_found_in_any_part() -> None:
    bad = (TENSOR, torch.tensor([0.0, torch.nan, 1.0]))
    assert state.finite_rows(bad).tolist() == [True, False, True]
    assert state.finite_rows(state.take(bad, slice(0, 0))).tolist() == []


@pytest.mark.parametrize("x", [[1.0], (), {"x": TENSOR}, "text"])
def test_what_is_no_batch_is_refused(x) -> None:
    with pytest.raises(InputError, match="a batch is a tensor or a tuple"):
        state.check(x)


def test_parts_of_unequal_length_are_refused() -> None:
    with pytest.raises(InputError, match=r"\[2, 3\] rows"):
        state.check((TENSOR, TENSOR[:2]))
