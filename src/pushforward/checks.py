"""Checks at the door: what a caller may give, in one wording everywhere.

Every function returns the value in its plain type, or raises `InputError` with the name of the
argument, what it must be, and the value that was given.
"""

from __future__ import annotations

import contextlib
import math
import operator
from typing import Any, SupportsIndex

from pushforward.errors import InputError

__all__ = ["flag", "fraction", "layers", "number", "one_of", "positive", "seed", "whole"]

_MOST_LAYERS = 10_000

_LONG = 10**40

_NO_NUMBER = (TypeError, ValueError, RuntimeError, OverflowError, DeprecationWarning)
"""What arrays and tensors of several numbers raise, and integers beyond the largest float; numpy
warns of arrays of one number, where warnings are errors."""


def whole(name: str, value: Any, least: int = 1) -> int:
    """A whole number of at least `least`; booleans, floats and text are none.

    >>> whole("steps", 3)
    3
    >>> whole("steps", 0)
    Traceback (most recent call last):
    ...
    pushforward.errors.InputError: steps is a whole number of at least 1, not 0
    """
    found = None
    if isinstance(value, SupportsIndex) and not isinstance(value, bool):
        # Arrays and tensors look like whole numbers, but only some are.
        with contextlib.suppress(*_NO_NUMBER):
            found = operator.index(value)
    if found is None or found < least:
        raise InputError(f"{name} is a whole number of at least {least}, not {_shown(value)}")
    return found


def layers(name: str, value: Any, least: int = 1) -> int:
    """How often something is repeated within a network: no file may ask for a thousand million.

    >>> layers("depth", 10**9)
    Traceback (most recent call last):
    ...
    pushforward.errors.InputError: depth is at most 10000, not 1000000000
    """
    found = whole(name, value, least)
    if found > _MOST_LAYERS:
        raise InputError(f"{name} is at most {_MOST_LAYERS}, not {_shown(found)}")
    return found


def seed(name: str, value: Any) -> int:
    """A whole number of 64 bits, as generators take it.

    >>> seed("seed", 2**64)
    Traceback (most recent call last):
    ...
    pushforward.errors.InputError: seed has at most 64 bits, and 18446744073709551616 has more
    """
    found = whole(name, value, least=-(2**63))
    if found >= 2**64:
        raise InputError(f"{name} has at most 64 bits, and {_shown(found)} has more")
    return found


def number(name: str, value: Any, *, least: float = -math.inf, most: float = math.inf) -> float:
    """A finite number, at least `least` and at most `most`.

    >>> number("churn", 1)
    1.0
    >>> number("churn", -1.0, least=0)
    Traceback (most recent call last):
    ...
    pushforward.errors.InputError: churn is a finite number of at least 0, not -1.0
    """
    found = _float(value)
    if found is None or not math.isfinite(found) or not least <= found <= most:
        bounds = [f"at least {least:g}"] if least > -math.inf else []
        bounds += [f"at most {most:g}"] if most < math.inf else []
        rule = f" of {' and '.join(bounds)}" if bounds else ""
        raise InputError(f"{name} is a finite number{rule}, not {_shown(value)}")
    return found


def positive(name: str, value: Any) -> float:
    """A finite number above zero, such as a step size or a scale.

    >>> positive("step", 0.0)
    Traceback (most recent call last):
    ...
    pushforward.errors.InputError: step is a positive finite number, not 0.0
    """
    found = _float(value)
    if found is None or not 0 < found < math.inf:
        raise InputError(f"{name} is a positive finite number, not {_shown(value)}")
    return found


def fraction(name: str, value: Any) -> float:
    """A number in [0, 1).

    >>> fraction("label_dropout", 1.0)
    Traceback (most recent call last):
    ...
    pushforward.errors.InputError: label_dropout is a fraction in [0, 1), not 1.0
    """
    found = _float(value)
    if found is None or not 0 <= found < 1:
        raise InputError(f"{name} is a fraction in [0, 1), not {_shown(value)}")
    return found


def flag(name: str, value: Any) -> bool:
    """`True` or `False`."""
    if not isinstance(value, bool):
        raise InputError(f"{name} is true or false, not {_shown(value)}")
    return value


def one_of(name: str, value: Any, choices: tuple[Any, ...]) -> Any:
    """One of some values.

    >>> one_of("end", "middle", ("source", "target"))
    Traceback (most recent call last):
    ...
    pushforward.errors.InputError: end is 'source' or 'target', not 'middle'
    """
    # An array compares entry by entry, and may refuse to say more.
    found = False
    with contextlib.suppress(*_NO_NUMBER):
        found = bool(value in choices)
    if not found:
        raise InputError(f"{name} is {' or '.join(map(repr, choices))}, not {_shown(value)}")
    return value


def _float(value: Any) -> float | None:
    """A real number as a float; booleans, text and everything else are none."""
    if isinstance(value, bool | str | bytes):
        return None
    try:
        return float(value)
    except _NO_NUMBER:
        return None


def _shown(value: Any) -> str:
    """A value as it was written; integers of many digits by their length."""
    if isinstance(value, int) and abs(value) >= _LONG:
        return f"an integer of {value.bit_length()} bits"
    return repr(value)
