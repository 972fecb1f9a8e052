"""Objects to plain YAML and back, without executing code from a file.

A class marked `@configurable` remembers how it was made. `describe` writes that down as
`{"class": "schedules.VP", "args": {...}}` with plain values only; `build` makes the object again.
Names resolve inside `pushforward` alone, and there only to configurable classes, unless the
caller names further modules in `trust`.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any, TypeVar, cast

from pushforward.errors import InputError, PushforwardError

__all__ = ["amend", "build", "configurable", "describe", "named"]

C = TypeVar("C", bound=type)

_ROOT = "pushforward"
_MARK = "_configurable"
_RECORD = "_config_args"
_WAY = "decorate the class with pushforward.configurable (its arguments must be plain values)"
_PLAIN = (bool, int, float, str, type(None))


def configurable(cls: C) -> C:
    """Record the constructor's arguments so that the object can be described and rebuilt.

    A dataclass needs no record: its fields are the arguments.

    >>> @configurable
    ... class Scale:
    ...     def __init__(self, factor=2.0):
    ...         self.factor = factor
    >>> arguments(Scale(factor=3.0))
    {'factor': 3.0}
    """
    setattr(cls, _MARK, cls)
    if dataclasses.is_dataclass(cls):
        return cls
    make = cls.__init__  # type: ignore[misc]
    signature = inspect.signature(make)

    @functools.wraps(make)
    def recording(self: Any, *args: Any, **kwargs: Any) -> None:
        # A configurable subclass that calls super().__init__ has already recorded its own.
        if type(self).__dict__.get(_MARK) is cls:
            bound = signature.bind(self, *args, **kwargs)
            given = dict(list(bound.arguments.items())[1:])
            for parameter in signature.parameters.values():
                if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                    given.update(given.pop(parameter.name, {}))
            object.__setattr__(self, _RECORD, given)
        make(self, *args, **kwargs)

    cls.__init__ = recording  # type: ignore[misc]
    return cls


def is_configurable(obj: Any) -> bool:
    """Whether `describe` can write this object down."""
    return type(obj).__dict__.get(_MARK) is type(obj)


def arguments(obj: Any) -> dict[str, Any]:
    """The constructor's arguments of a configurable object, by name."""
    if dataclasses.is_dataclass(obj):
        return {f.name: getattr(obj, f.name) for f in dataclasses.fields(obj) if f.init}
    return dict(getattr(obj, _RECORD))


def describe(obj: Any, unnamed: str = "") -> Any:
    """Plain YAML values that rebuild `obj`.

    The argument called `unnamed` may be an object that cannot be written down: its class is noted,
    and it has to be given again to `build`. Raises `InputError` naming what else cannot be.

    >>> from pushforward.schedules import VP
    >>> describe(VP())
    {'class': 'schedules.VP', 'args': {'beta_min': 0.1, 'beta_max': 20.0}}
    """
    if isinstance(obj, _PLAIN):
        return obj
    if isinstance(obj, (list, tuple)):
        return [describe(item) for item in obj]
    if isinstance(obj, dict):
        return {str(key): describe(value) for key, value in obj.items()}
    if is_configurable(obj):
        args = {
            name: _describe_or_note(value) if name == unnamed else describe(value)
            for name, value in arguments(obj).items()
        }
        return {"class": _public_name(type(obj)), "args": args}
    way = getattr(type(obj), "configuration_hint", _WAY)
    raise InputError(
        f"{type(obj).__module__}.{type(obj).__qualname__} cannot be written to a configuration: "
        f"{way}"
    )


def _describe_or_note(obj: Any) -> Any:
    try:
        return describe(obj)
    except InputError:
        return {"unnamed": f"{type(obj).__module__}.{type(obj).__qualname__}"}


def build(spec: Any, trust: tuple[str, ...] = (), **given: Any) -> Any:
    """Make the object that `describe` wrote down.

    `trust` lists modules outside `pushforward` whose configurable classes may be made; `given`
    are arguments of the outermost object that stand in for the ones written down.
    Raises `InputError` for an unknown or untrusted class, or arguments that do not fit.

    >>> build({"class": "schedules.VP", "args": {"beta_max": 10.0}})
    VP(beta_min=0.1, beta_max=10.0)
    """
    if isinstance(spec, list):
        return [build(item, trust) for item in spec]
    if not isinstance(spec, dict):
        return spec
    if "unnamed" in spec:
        raise InputError(
            f"{spec['unnamed']} could not be written to the configuration: make it yourself and "
            "pass it to pushforward.load as net="
        )
    if "class" not in spec:
        return {key: build(value, trust) for key, value in spec.items()}
    extra = set(spec) - {"class", "args"}
    if extra:
        raise InputError(f"unknown keys {sorted(extra)} beside 'class' and 'args' in {spec}")
    cls = _find(str(spec["class"]), trust)
    written = {k: v for k, v in (spec.get("args") or {}).items() if k not in given}
    args = {key: build(value, trust) for key, value in written.items()} | given
    try:
        inspect.signature(cls).bind(**args)
    except TypeError as error:
        accepted = ", ".join(inspect.signature(cls).parameters)
        raise InputError(f"{spec['class']}: {error}; it accepts {accepted}") from None
    try:
        return cls(**args)
    except PushforwardError:
        raise
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise InputError(f"{spec['class']} cannot be made from {written}: {error}") from error


def amend(obj: Any, **args: Any) -> None:
    """Change recorded arguments, for what an object learns about itself after it was made."""
    object.__setattr__(obj, _RECORD, {**getattr(obj, _RECORD, {}), **args})


def named(choice: Any, names: Mapping[str, Any], what: str) -> Any:
    """The object that a short name stands for, or the object itself.

    A class in `names` is made with its defaults. Raises `InputError` for an unknown name, with the
    nearest one.

    >>> named("two", {"one": 1, "two": 2}, "number")
    2
    """
    if isinstance(choice, type):
        raise InputError(f"the {what} {choice.__name__} is a class: make one, {choice.__name__}()")
    if not isinstance(choice, str):
        return choice
    if choice not in names:
        close = get_close_matches(choice, names, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise InputError(f"no {what} is called {choice!r}: choose from {', '.join(names)}{hint}")
    found = names[choice]
    return found() if isinstance(found, type) else found


def _public_name(cls: type) -> str:
    """`schedules.VP` for a class of ours, `module:Class` for one of the user's."""
    module, _, _ = cls.__module__.partition(".")
    if module != _ROOT:
        return f"{cls.__module__}:{cls.__qualname__}"
    parts = cls.__module__.split(".")[1:]
    # The shortest package path that exports the class: nn.MLP rather than nn.mlp.MLP.
    for length in range(len(parts) + 1):
        home = import_module(".".join([_ROOT, *parts[:length]]))
        if length and getattr(home, cls.__name__, None) is cls:
            return ".".join([*parts[:length], cls.__name__])
    raise InputError(f"{cls.__module__}.{cls.__qualname__} is not reachable by name")


def _find(name: str, trust: tuple[str, ...]) -> type:
    if ":" in name:
        module, _, attribute = name.partition(":")
        if module not in trust:
            raise InputError(
                f"class {name!r} lies outside pushforward: pass trust=({module!r},) "
                f"(--trust {module}) if you trust that module's code"
            )
    else:
        path, _, attribute = name.rpartition(".")
        if not path or not all(part.isidentifier() for part in path.split(".")):
            raise InputError(f"{name!r} is not the name of a class, such as 'nn.MLP'")
        module = f"{_ROOT}.{path}"
    found: Any
    try:
        found = getattr(import_module(module), attribute, None)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        found = None
    if not isinstance(found, type) or found.__dict__.get(_MARK) is not found:
        raise InputError(f"{name!r} is not a configurable class of {module}")
    return cast(type, found)
