"""Values of the wrong kind, by the annotations of a constructor: what a file or a hand got wrong.

A constructor checks what its values must be; that they are numbers, texts or objects at all is
said by its annotations, and checked here once for all classes. Objects of other packages are taken
at their word.
"""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, SupportsFloat, SupportsIndex, TypeVar

from pushforward.errors import InputError

__all__ = ["check_kinds", "fits"]

_PLAIN = (bool, int, float, str, bytes, list, tuple, dict, set, types.NoneType)
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def check_kinds(make: Any, values: Mapping[str, Any], is_ours: Callable[[Any], bool]) -> None:
    """Raise `InputError` with the name of the first argument whose value is of no kind it has.

    `is_ours` tells objects whose classes the annotations speak of.

    >>> def scale(factor: float, name: str | None = None) -> None: ...
    >>> check_kinds(scale, {"factor": 2, "name": None}, lambda value: False)
    >>> check_kinds(scale, {"factor": [2]}, lambda value: False)
    Traceback (most recent call last):
    ...
    pushforward.errors.InputError: factor is a number, not [2]
    """
    hints = _hints(make)
    for name, value in values.items():
        if name in hints and not fits(value, hints[name], is_ours):
            shown = repr(value)
            shown = shown if len(shown) < 80 else f"{shown[:77]}..."
            raise InputError(f"{name} is {_in_words(hints[name])}, not {shown}")


def fits(value: Any, hint: Any, is_ours: Callable[[Any], bool] = lambda value: False) -> bool:
    """Whether a value is of a kind that an annotation names.

    >>> fits([1, 2], tuple[int, ...]), fits([1, "a"], tuple[int, ...]), fits(True, int)
    (True, False, False)
    """
    if hint is Any or isinstance(hint, TypeVar):
        return True
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Union or origin is types.UnionType:
        return any(fits(value, kind, is_ours) for kind in inner)
    if origin is Literal:
        # Of another type, they are equal to what they are not: True is no 1.
        return any(type(value) is type(one) and value == one for one in inner)
    if hint is None or hint is types.NoneType:
        return value is None
    if hint is bool:
        return isinstance(value, bool)
    if hint is int:
        return isinstance(value, SupportsIndex) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, SupportsFloat) and not isinstance(value, bool)
    if hint is str:
        return isinstance(value, str)
    kind = origin or hint
    if not isinstance(kind, type):
        return True
    if issubclass(kind, Sequence):
        return _fits_sequence(value, kind, inner, is_ours)
    if issubclass(kind, Mapping):
        return isinstance(value, Mapping)
    if isinstance(value, _PLAIN):
        # Not `isinstance`, which protocols do not answer.
        return kind in type(value).__mro__
    protocol = getattr(kind, "_is_protocol", False)
    return protocol or not is_ours(value) or isinstance(value, kind) or callable(value)


def _fits_sequence(
    value: Any, kind: type, inner: tuple[Any, ...], is_ours: Callable[[Any], bool]
) -> bool:
    """Lists stand for tuples, as a file has no others; arrays are taken at their word."""
    if not isinstance(value, list | tuple):
        return not isinstance(value, _PLAIN)
    if kind is tuple and inner and inner[-1] is not Ellipsis:
        return len(value) == len(inner) and all(
            fits(item, hint, is_ours) for item, hint in zip(value, inner, strict=True)
        )
    if inner and inner[0] is bool:
        # In tables of zeros and ones.
        return all(isinstance(item, SupportsIndex) for item in value)
    return not inner or all(fits(item, inner[0], is_ours) for item in value)


def _in_words(hint: Any) -> str:
    """What an annotation asks for."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Union or origin is types.UnionType:
        return " or ".join(_in_words(kind) for kind in inner if kind is not types.NoneType)
    if origin is Literal:
        return " or ".join(map(repr, inner))
    kind = origin or hint
    if isinstance(kind, type) and issubclass(kind, Sequence) and kind is not str:
        return "a list" + (f", each of it {_in_words(inner[0])}" if inner else "")
    if kind in _WORDS:
        return _WORDS[kind]
    name = getattr(kind, "__name__", str(kind))
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


@functools.cache
def _hints(make: Any) -> dict[str, Any]:
    """The annotations of a function, of those of its arguments that are one value each."""
    try:
        hints = typing.get_type_hints(make)
    except (NameError, TypeError, AttributeError):
        return {}
    many = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(make).parameters.values()
    return {p.name: hints[p.name] for p in parameters if p.kind not in many and p.name in hints}
