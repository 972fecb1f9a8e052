"""Objects of a recipe: `{class: NAME, option: value, ...}`, or a short name, made into the object.

A short name is one of the axis that the option stands for: `process: masking` is a process. A class
by its place, `schedules.VP` or `module:Class` of a trusted module, works as well. The name of the
class may be left out where one alone fits, as `Tokens` does for the space of masking, or where the
option has a default: that of a diffusion model is `process: gaussian`.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Mapping
from typing import Any, NamedTuple

from pushforward import config, registry
from pushforward.errors import InputError, PushforwardError

__all__ = ["class_named", "made_options", "option_types"]

_AXES: dict[str, tuple[str, ...]] = {
    "backward": ("networks",),
    "coupling": ("couplings",),
    "diffusion": ("processes",),
    "discrepancy": ("discrepancies",),
    "grid": ("grids",),
    "kernel": ("covariances",),
    "matching": ("score-matching",),
    "method": ("bridges", "learned-samplers"),
    "net": ("networks",),
    "noise": ("covariances",),
    "path": ("paths", "processes"),
    "predict": ("predictions",),
    "process": ("processes",),
    "rates": ("rates",),
    "reference": ("processes",),
    "regularizer": ("regularizers",),
    "sampler": ("samplers",),
    "schedule": ("schedules",),
    "space": ("spaces",),
    "thinning": ("processes",),
    "times": ("times",),
    "training": ("energy-training",),
    "weight": ("weightings",),
}
"""The axes of short names that an option takes."""

_OBJECTS = frozenset(
    {
        "diffusion",
        "kernel",
        "noise",
        "process",
        "rates",
        "reference",
        "schedule",
        "space",
        "thinning",
    }
)
"""Options whose classes take objects alone: a short name becomes the object here."""


def class_named(name: str, trust: tuple[str, ...]) -> Any:
    """The class of models that a short name or a place stands for.

    >>> class_named("diffusion", ()).__name__
    'Diffusion'
    """
    if "." in name or ":" in name:
        return config.find_class(name, trust)
    return registry.find("models", name)


def option_types(name: str) -> dict[str, Any]:
    """The declared types of the options of a class of models; none of a class that is not ours.

    >>> option_types("vae")["samples"]
    <class 'int'>
    """
    try:
        cls = class_named(name, ())
    except InputError:
        # Of a module that is trusted only later, or a name that is wrong and said to be so later.
        return {}
    return {**_hints(cls), **typing.get_type_hints(cls.for_data)}


def made_options(
    cls: Any, options: Mapping[str, Any], trust: tuple[str, ...] = (), where: str = "model"
) -> dict[str, Any]:
    """The options of a class of models with the objects that they describe.

    Raises `InputError` for a class or a name that does not exist, or arguments that do not fit.

    >>> from pushforward.models import Diffusion
    >>> made_options(Diffusion, {"process": {"class": "masking", "space": {"vocabulary": 3}}})
    {'process': Masking(space=Tokens(vocabulary=3, sites=None), schedule=Rectified())}
    """
    hints = _hints(cls)
    return {
        name: _made(
            value,
            _Place(f"{where}.{name}", _AXES.get(name, ()), name in _OBJECTS),
            trust,
            _only_class(hints.get(name)) or cls.defaults.get(name),
        )
        for name, value in options.items()
    }


class _Place(NamedTuple):
    """Where a value stands, the axes of its names, and whether a name becomes an object."""

    where: str
    axes: tuple[str, ...]
    an_object: bool


def _made(value: Any, at: _Place, trust: tuple[str, ...], default: Any = None) -> Any:
    """The object that a value of an option describes."""
    if isinstance(value, list):
        return [_made(item, at, trust) for item in value]
    if isinstance(value, str) and at.an_object:
        value = {"class": value}
    if not isinstance(value, Mapping) or "function" in value:
        return config.build(value, trust)
    spec = _flat(value, at.where)
    found = spec.pop("class", None) or default
    if found is None:
        raise InputError(
            f"{at.where} = {dict(value)!r} does not say what it is: add {at.where}.class=NAME"
        )
    axis = ""
    if isinstance(found, str) and "." not in found and ":" not in found:
        axis = _axis(found, at.axes)
        found = registry.find(axis, found)
    elif isinstance(found, str):
        found = config.find_class(found, trust)
    cls = found.func if isinstance(found, functools.partial) else found
    hints, inner = _hints(cls), {}
    for name, item in spec.items():
        place = _Place(f"{at.where}.{name}", _AXES.get(name, ()), name in _OBJECTS)
        if name == "factors":
            # Those of a product are of its own kind.
            place = place._replace(axes=(axis or _home(cls),), an_object=True)
        inner[name] = _made(item, place, trust, _only_class(hints.get(name)) or _first(cls, name))
    return _called(found, inner, at.where, sized=axis == "networks")


def _called(found: Any, arguments: dict[str, Any], where: str, *, sized: bool) -> Any:
    """A class or function called with arguments, or an object that has none.

    What is `sized` by the data, a network by its short name, is left open without its first
    argument.
    """
    if not callable(found) or not (
        isinstance(found, type | functools.partial) or inspect.isroutine(found)
    ):
        if arguments:
            raise InputError(f"{where} is an object that takes no {', '.join(arguments)}")
        return found
    signature = inspect.signature(found)
    many = [p.name for p in signature.parameters.values() if p.kind is p.VAR_POSITIONAL]
    listed = [item for name in many for item in arguments.pop(name, ())]
    try:
        signature.bind_partial(*listed, **arguments)
    except TypeError as error:
        known = ", ".join(signature.parameters)
        raise InputError(f"{where}: {error}; it takes {known}") from None
    if sized and next(iter(signature.parameters), None) not in arguments:
        return functools.partial(found, **arguments)
    try:
        signature.bind(*listed, **arguments)
    except TypeError as error:
        known = ", ".join(f"{where}.{name}" for name in signature.parameters)
        raise InputError(f"{where}: {error}; there are {known}") from None
    try:
        made = found(*listed, **arguments)
        config.check_arguments(found, arguments)
        return made
    except PushforwardError:
        raise
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise InputError(f"{where} cannot be made from {arguments}: {error}") from error


def _flat(value: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A description with its arguments beside the class, also where they stand under `args`."""
    spec = dict(value)
    inner = spec.pop("args", None)
    if inner is not None:
        # As `config.describe` writes classes that have one; what is made is of the present one.
        spec.pop("version", None)
    if inner is not None:
        # What `config.describe` wrote of the data says by which version of the class.
        spec.pop("version", None)
    if inner is not None and not isinstance(inner, Mapping):
        raise InputError(f"{where}.args holds names and values, not {inner!r}")
    return {**spec, **(inner or {})}


def _axis(name: str, axes: tuple[str, ...]) -> str:
    """The first axis that has a name, or that to complain about."""
    if not axes:
        raise InputError(
            f"{name!r} is no short name here: write its place, such as schedules.VP, or "
            "module:Class of a trusted module"
        )
    return next((axis for axis in axes if name in registry.names(axis)), axes[0])


def _home(cls: Any) -> str:
    """The axis of a class that was named by its place."""
    return "spaces" if cls.__module__.split(".")[1:2] == ["spaces"] else "processes"


def _hints(cls: Any) -> dict[str, Any]:
    """The types of the arguments of a class."""
    cls = cls.func if isinstance(cls, functools.partial) else cls
    make: Any = cls.__init__ if isinstance(cls, type) else cls  # type: ignore[misc]
    try:
        return typing.get_type_hints(inspect.unwrap(make))
    except (NameError, TypeError, AttributeError):
        return {}


def _first(cls: Any, name: str) -> Any:
    """The class of the default of an argument of a dataclass, if it makes one."""
    if not dataclasses.is_dataclass(cls):
        return None
    for field in dataclasses.fields(cls):
        if field.name == name and field.default_factory is not dataclasses.MISSING:
            return type(field.default_factory())
    return None


def _only_class(hint: Any) -> Any:
    """The one class of ours that fits a type, if it is one that can be made."""
    union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    fitting = [
        kind
        for kind in (typing.get_args(hint) if union else (hint,))
        if isinstance(kind, type) and config.is_configurable_class(kind)
    ]
    return fitting[0] if len(fitting) == 1 else None
