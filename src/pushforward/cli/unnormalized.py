"""Targets that the command line names: built-in ones, or a function of a module of the user."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward import registry
from pushforward.cli.options import names_of, unsaid
from pushforward.errors import InputError

__all__ = ["DataFolder", "Shape", "TargetName", "density_named", "recipe_options", "target_from"]

TargetName = Annotated[
    str,
    typer.Argument(
        help="A name of `pushforward list targets`, or MODULE:FUNCTION with --trust MODULE: a "
        "log-density of states (B, *shape) that returns (B,), a function without arguments that "
        "returns a Target, or a Target; or a recipe, FILE.yaml, with these words as keys.",
        metavar="TARGET",
        autocompletion=names_of("targets"),
    ),
]
_RECIPES = (".yaml", ".yml")

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


def recipe_options(
    context: typer.Context, command: Callable[..., None], text: str
) -> dict[str, Any] | None:
    """All options of a command by a recipe, `None` for a target that is none.

    What the command line says itself goes before the recipe, and that before the defaults. Nothing
    in a recipe makes code run: what it may import is said by `--trust` on the command line. Raises
    `InputError` for keys that are no options, values of another type, and a missing target.
    """
    if Path(text).suffix not in _RECIPES:
        return None
    from pydantic import TypeAdapter, ValidationError

    from pushforward._records import read_yaml
    from pushforward.cli.values import Reader

    values = read_yaml(Path(text), Reader)
    types = typing.get_type_hints(command)
    known = {name: types[name] for name in context.params if name not in ("trust", "as_json")}
    found = dict(context.params)
    for key, value in values.items():
        name = key.replace("-", "_")
        if name not in known:
            raise InputError(
                f"recipe {text}: {key!r} is no option of {command.__name__}; there are "
                f"{', '.join(sorted(known))}"
            )
        if name != "target" and not unsaid(context, name):
            continue
        try:
            found[name] = TypeAdapter(known[name]).validate_strings(str(value))
        except ValidationError as error:
            raise InputError(
                f"recipe {text}: {key}: {value!r}: {error.errors()[0]['msg']}"
            ) from None
    if "target" not in values:
        raise InputError(f"recipe {text} has no target: name one of `pushforward list targets`")
    return found


def density_named(text: str, trust: tuple[str, ...]) -> Any:
    """What a sampler is made with, and found again by: a name, or a function of a trusted module.

    Raises `InputError` for a module that is not trusted, or holds no such function.
    """
    if ":" not in text:
        return text
    module, _, name = text.partition(":")
    if module not in trust:
        raise InputError(f"{text} is code of the module {module}: give --trust {module} to run it")
    found = getattr(import_module(module), name, None)
    if not inspect.isfunction(found):
        raise InputError(
            f"the module {module} has no function {name!r}: a log-density (B, *event) -> (B,) "
            "with model.event_shape=8, or a function without arguments that returns a Target"
        )
    return found


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
