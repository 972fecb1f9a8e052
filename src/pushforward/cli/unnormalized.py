"""Targets that the command line names: built-in ones, or a function of a module of the user."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward import registry
from pushforward.cli.options import names_of
from pushforward.errors import InputError

__all__ = ["DataFolder", "Shape", "TargetName", "target_from"]

TargetName = Annotated[
    str,
    typer.Argument(
        help="A name of `pushforward list targets`, or MODULE:FUNCTION with --trust MODULE: a "
        "log-density of states (B, *shape) that returns (B,), a function without arguments that "
        "returns a Target, or a Target.",
        metavar="TARGET",
        autocompletion=names_of("targets"),
    ),
]
Shape = Annotated[
    str | None,
    typer.Option(
        help="The shape of one state of a function: 8, or 3,32,32.", metavar="NUMBER[,NUMBER]..."
    ),
]
DataFolder = Annotated[
    Path | None,
    typer.Option(help="Folder with the data of a posterior, which the library does not ship."),
]


def target_from(
    text: str, shape: str | None, data: Path | None, trust: Sequence[str] | None
) -> Any:
    """The target that a name or a place stands for.

    Raises `InputError` for names that do not exist, modules that are not trusted, and a shape or a
    folder that is missing or means nothing.
    """
    if ":" in text:
        return _own(text, shape, data, tuple(trust or ()))
    if shape is not None:
        raise InputError(f"--shape is that of MODULE:FUNCTION; {text} has its own")
    make = registry.find("targets", text)
    takes_data = "data" in inspect.signature(make).parameters
    if data is not None and not takes_data:
        raise InputError(f"{text} needs no data: leave --data out")
    return make(data=data) if takes_data else make()


def _own(text: str, shape: str | None, data: Path | None, trust: tuple[str, ...]) -> Any:
    """A function, or a target, of a module that is trusted."""
    from pushforward.targets import Target

    module, _, name = text.partition(":")
    if module not in trust:
        raise InputError(f"{text} is code of the module {module}: give --trust {module} to run it")
    if data is not None:
        raise InputError("--data is that of a built-in target: a function of yours reads its own")
    found = getattr(import_module(module), name, None)
    if isinstance(found, Target):
        return found
    if not callable(found):
        raise InputError(f"the module {module} has no function {name!r}")
    if not inspect.signature(found).parameters:
        made = found()
        if not isinstance(made, Target):
            raise InputError(
                f"{text} takes nothing, and returns a {type(made).__name__}, no Target"
            )
        return made
    if shape is None:
        raise InputError(f"give --shape, that of one state of {text}, such as --shape 8")
    try:
        sides = tuple(int(side) for side in shape.split(","))
    except ValueError:
        raise InputError(f"--shape is whole numbers with commas between, not {shape!r}") from None
    return Target(found, sides, name=text)
