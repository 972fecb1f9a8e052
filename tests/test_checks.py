"""Checks at the door: whatever is given, what is wrong is an `InputError` that shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from pushforward import checks
from pushforward.errors import InputError

ODD = {
    "array": np.arange(3.0),
    "whole array": np.arange(3),
    "array of arrays": np.zeros((2, 2)),
    "no numbers": np.array([]),
    "tensor": torch.zeros(2),
    "text": "3",
    "bytes": b"3",
    "list": [1],
    "none": None,
    "complex": 1j,
    "nan": float("nan"),
    "infinite": float("inf"),
    "minus infinite": float("-inf"),
    "huge": -(10**400),
    "longer than Python prints": -(10**5000),
    "object": object(),
    "type": int,
}

CHECKS: dict[str, Callable[[Any], Any]] = {
    "whole": lambda value: checks.whole("x", value),
    "layers": lambda value: checks.layers("x", value),
    "seed": lambda value: checks.seed("x", value),
    "number": lambda value: checks.number("x", value, least=0),
    "positive": lambda value: checks.positive("x", value),
    "fraction": lambda value: checks.fraction("x", value),
    "flag": lambda value: checks.flag("x", value),
    "one of": lambda value: checks.one_of("x", value, ("a", "b")),
}


@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_odd_values_are_refused(check: Callable[[Any], Any], value: Any) -> None:
    with pytest.raises(InputError, match=r"^x "):
        check(value)


def test_huge_positive_ones_too() -> None:
    for value in (10**400, 10**5000):
        for check in (checks.number, checks.positive, checks.fraction, checks.layers, checks.seed):
            with pytest.raises(InputError, match=r"^x .*an integer of [0-9]+ bits"):
                check("x", value)


def test_numbers_of_other_libraries_are_numbers() -> None:
    assert checks.whole("x", np.int64(3)) == checks.whole("x", torch.tensor(3)) == 3
    for value in (np.float32(0.5), torch.tensor(0.5), np.array(0.5)):
        assert checks.number("x", value) == checks.fraction("x", value) == 0.5
