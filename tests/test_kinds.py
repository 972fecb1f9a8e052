"""Values of the wrong kind: refused when an object is made, with the name of the argument."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import typing
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward._kinds import fits
from pushforward.config import _public_name, build, is_configurable_class
from pushforward.errors import InputError

RIGHT = [
    (1, int), (np.int64(1), int), (1, float), (np.float32(1), float), (torch.tensor(1.0), float),
    ("a", str), (None, int | None), ([1], tuple[int, ...]), (torch.Size([1]), tuple[int, ...]),
    ((1, 2), tuple[int, int]), ("a", Literal["a", "b"]), (True, bool), (5, Any),
    (torch.zeros(2), torch.Tensor), (len, typing.Callable[[Any], int]),
    ([[0, 1]], list[list[bool]]),
]  # fmt: skip
WRONG = [
    (True, int), (1.0, int), ("1", int), (None, int), ([1], int), ("1", float), (True, float),
    (1, str), (1, bool), ("a", tuple[int, ...]), (["a"], tuple[int, ...]), ((1,), tuple[int, int]),
    ("c", Literal["a", "b"]), (True, Literal[1]), (5, torch.Tensor), ("x", torch.nn.Module),
    ({}, torch.nn.Module), (-1, pf.processes.GenerativeProcess), (-1, typing.Callable[[Any], int]),
]  # fmt: skip


@pytest.mark.parametrize(("value", "hint"), RIGHT)
def test_what_fits(value: Any, hint: Any) -> None:
    assert fits(value, hint)


@pytest.mark.parametrize(("value", "hint"), WRONG)
def test_what_does_not_fit(value: Any, hint: Any) -> None:
    assert not fits(value, hint)


def _classes() -> Iterator[type]:
    """Every configurable class of the package."""
    for module in pkgutil.walk_packages(pf.__path__, "pushforward."):
        if module.name.startswith("pushforward.cli") or module.name.endswith("__main__"):
            continue
        for found in vars(importlib.import_module(module.name)).values():
            if (
                isinstance(found, type)
                and is_configurable_class(found)
                and found.__module__ == module.name
            ):
                yield found


CLASSES = sorted(_classes(), key=lambda cls: f"{cls.__module__}.{cls.__qualname__}")


def test_there_are_as_many_as_there_seem() -> None:
    assert len(CLASSES) > 100


def _made(cls: Any, arguments: dict[str, Any]) -> Any:
    """A class called; a dataclass, as a file calls it."""
    if dataclasses.is_dataclass(cls):
        return build({"class": _public_name(cls), "args": arguments})
    return cls(**arguments)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_no_class_takes_values_of_a_wrong_kind(cls: type) -> None:
    """With the defaults for all other arguments: a class without them is refused for those."""
    for name, parameter in inspect.signature(cls).parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            continue
        hint = typing.get_type_hints(inspect.unwrap(cls.__init__)).get(name, Any)
        for value in (-1, True, "no such thing", [None], {"x": 1}):
            if fits(value, hint):
                continue
            needed = [
                p.name
                for p in inspect.signature(cls).parameters.values()
                if p.default is p.empty and p.name != name and p.kind is p.POSITIONAL_OR_KEYWORD
            ]
            with pytest.raises((InputError, TypeError)) as caught:
                _made(cls, {name: value})
            if not needed:
                assert isinstance(caught.value, InputError), (name, value, caught.value)
                assert name in str(caught.value) or repr(value) in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pf.FlowMatching(pf.nn.MLP(2, width=4), path=-1), "path"),
        (lambda: pf.transforms.CouplingLayer("net", "spline", [True, False]), "net is a Module"),
        (
            lambda: build({"class": "nn.MLP", "args": {"event": [2.5]}}),
            "event is a whole number or",
        ),
        (lambda: build({"class": "nn.MLP", "args": None}), "holds names and values"),
        (lambda: build({"class": {"a": "b:c"}, "args": {}}), "is the name of a class"),
    ],
)
def test_the_argument_is_named(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()
