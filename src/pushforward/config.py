"""Objects to plain YAML and back, without executing code from a file.

A class marked `@configurable` remembers how it was made. `describe` writes that down as
`{"class": "schedules.VP", "args": {...}}` with plain values only; `build` makes the object again.
A tensor among the arguments is written as its fingerprint, `{"tensor": "9f86d0..."}`, and kept
beside the configuration; a function of a module as its name, `{"function": "my_module:rate"}`.
Names resolve inside `pushforward` alone, and there only to configurable classes, unless the
caller names further modules in `trust`. A class with a `format_version` has it written beside its
arguments (`models.format_versions`).
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any, TypeVar

from pushforward._kinds import check_kinds
from pushforward.errors import InputError, PushforwardError

__all__ = [
    "amend",
    "build",
    "check_arguments",
    "check_options",
    "configurable",
    "describe",
    "forget",
    "find_class",
    "is_configurable_class",
    "made",
    "understood",
]

C = TypeVar("C", bound=type)
T = TypeVar("T")

_ROOT = "pushforward"
_MARK = "_configurable"
_RECORD = "_config_args"
_PLAIN = (bool, int, float, str, type(None))


def configurable(cls: C) -> C:
    """Record the constructor's arguments so that the object can be described and rebuilt.

    A dataclass needs no record: its fields are the arguments, and it checks them itself. For other
    classes, arguments whose value is of no kind that their annotation names are refused: the
    constructor raises `InputError`. `build` does so for both.

    >>> @configurable
    ... class Scale:
    ...     def __init__(self, factor=2.0):
    ...         self.factor = factor
    >>> arguments(Scale(factor=3.0))
    {'factor': 3.0}
    """
    setattr(cls, _MARK, cls)
    if dataclasses.is_dataclass(cls):
        # Not wrapped: compiled steps make some.
        return cls
    make = cls.__init__  # type: ignore[misc]
    signature = inspect.signature(make)

    @functools.wraps(make)
    def recording(self: Any, *args: Any, **kwargs: Any) -> None:
        # A configurable subclass that calls super().__init__ has already recorded its own.
        if type(self).__dict__.get(_MARK) is not cls:
            make(self, *args, **kwargs)
            return
        bound = signature.bind(self, *args, **kwargs)
        given = dict(list(bound.arguments.items())[1:])
        for parameter in signature.parameters.values():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                given.update(given.pop(parameter.name, {}))
        object.__setattr__(self, _RECORD, given)
        # Afterwards, as what the constructor says of a value says more.
        try:
            make(self, *args, **kwargs)
        except (TypeError, AttributeError, ValueError, LookupError, RuntimeError) as error:
            if not isinstance(error, PushforwardError):
                check_kinds(make, given, is_configurable)
            raise
        check_kinds(make, given, is_configurable)

    cls.__init__ = recording  # type: ignore[misc]
    return cls


def is_configurable(obj: Any) -> bool:
    """Whether `describe` can write this object down."""
    return is_configurable_class(type(obj))


def is_configurable_class(cls: type) -> bool:
    """Whether `build` can make objects of a class; not those that it only inherits from."""
    return cls.__dict__.get(_MARK) is cls


def arguments(obj: Any) -> dict[str, Any]:
    """The constructor's arguments of a configurable object, by name."""
    if dataclasses.is_dataclass(obj):
        return {f.name: getattr(obj, f.name) for f in dataclasses.fields(obj) if f.init}
    return dict(getattr(obj, _RECORD))


def describe(obj: Any, unnamed: tuple[str, ...] = (), tensors: dict[str, Any] | None = None) -> Any:
    """Plain YAML values that rebuild `obj`.

    Arguments of `unnamed` names may be objects that cannot be written down: their class is noted,
    and they have to be given again to `build`. Tensors are put into `tensors` by their
    fingerprints, for the caller to keep. Raises `InputError` naming what cannot be written down.

    >>> from pushforward.schedules import VP
    >>> describe(VP())
    {'class': 'schedules.VP', 'args': {'beta_min': 0.1, 'beta_max': 20.0}}
    """
    if isinstance(obj, _PLAIN):
        return obj
    if isinstance(obj, (list, tuple)):
        return [describe(item, tensors=tensors) for item in obj]
    if isinstance(obj, dict):
        return {str(key): describe(value, tensors=tensors) for key, value in obj.items()}
    if is_configurable(obj):
        args = {
            name: _describe_or_note(value, tensors)
            if name in unnamed
            else describe(value, tensors=tensors)
            for name, value in arguments(obj).items()
        }
        described = {"class": _public_name(type(obj)), "args": args}
        version = getattr(type(obj), "format_version", None)
        return described if version is None else {**described, "version": version}
    if tensors is not None and _is_tensor(obj):
        key = _fingerprint(obj)
        tensors[key] = obj.detach().cpu().contiguous()
        return {"tensor": key}
    if isinstance(obj, types.FunctionType):
        return {"function": _function_name(obj)}
    raise InputError(
        f"{type(obj).__module__}.{type(obj).__qualname__} cannot be written to a configuration: "
        "decorate the class with pushforward.configurable (its arguments must be plain values)"
    )


def _describe_or_note(obj: Any, tensors: dict[str, Any] | None) -> Any:
    try:
        return describe(obj, tensors=tensors)
    except InputError:
        return {"unnamed": f"{type(obj).__module__}.{type(obj).__qualname__}"}


def build(
    spec: Any,
    trust: tuple[str, ...] = (),
    tensors: Mapping[str, Any] = types.MappingProxyType({}),
    **given: Any,
) -> Any:
    """Make the object that `describe` wrote down.

    `trust` lists modules outside `pushforward` whose configurable classes may be made and whose
    functions may be used; `tensors` holds the tensors of the description; `given` are arguments of
    the outermost object that stand in for the ones written down. Raises `InputError` for an unknown
    or untrusted class, or arguments that do not fit.

    >>> build({"class": "schedules.VP", "args": {"beta_max": 10.0}})
    VP(beta_min=0.1, beta_max=10.0)
    """
    if isinstance(spec, list):
        return [build(item, trust, tensors) for item in spec]
    if not isinstance(spec, dict):
        return spec
    if set(spec) == {"tensor"}:
        if str(spec["tensor"]) not in tensors:
            raise InputError(
                f"the configuration speaks of a tensor {spec['tensor']} that is not kept beside it"
            )
        return tensors[str(spec["tensor"])]
    if set(spec) == {"function"}:
        return _trusted_function(str(spec["function"]), trust)
    if "unnamed" in spec:
        raise InputError(
            f"{spec['unnamed']} could not be written to the configuration: make it yourself and "
            "pass it to pushforward.load as net=, context_network= or target="
        )
    if "class" not in spec:
        return {key: build(value, trust, tensors) for key, value in spec.items()}
    # Versions are of what was saved, and looked at where that is read.
    extra = set(spec) - {"class", "args", "version"}
    if extra:
        raise InputError(
            f"unknown keys {sorted(map(str, extra))} beside 'class' and 'args' in {spec}"
        )
    if not isinstance(spec["class"], str):
        raise InputError(f"'class' is the name of a class, not {spec['class']!r}")
    given_args = spec.get("args", {})
    if not isinstance(given_args, dict) or not all(isinstance(key, str) for key in given_args):
        raise InputError(f"'args' of {spec['class']} holds names and values, not {given_args!r}")
    cls = find_class(spec["class"], trust)
    if hasattr(cls, "renewed"):
        # Arguments as an older version of the class wrote them.
        cls, given_args = cls.renewed(dict(given_args), spec.get("version", 1))
    written = {k: v for k, v in given_args.items() if k not in given}
    args = {key: build(value, trust, tensors) for key, value in written.items()} | given
    signature = inspect.signature(cls)
    # Arguments of any number are written as one list.
    many = [p.name for p in signature.parameters.values() if p.kind is p.VAR_POSITIONAL]
    listed = [item for name in many for item in _list(name, args.pop(name, []))]
    try:
        signature.bind(*listed, **args)
    except TypeError as error:
        accepted = ", ".join(signature.parameters)
        raise InputError(f"{spec['class']}: {error}; it accepts {accepted}") from None
    try:
        found = cls(*listed, **args)
        check_arguments(cls, args)
        return found
    except PushforwardError:
        raise
    except (
        TypeError,
        ValueError,
        RuntimeError,
        AttributeError,
        LookupError,
        ArithmeticError,
    ) as error:
        raise InputError(f"{spec['class']} cannot be made from {written}: {error}") from error


def _list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(f"{name} is a list, not {value!r}")
    return value


def check_arguments(cls: Any, values: Mapping[str, Any]) -> None:
    """Raise `InputError` for an argument of a dataclass whose value is of no kind that it has.

    >>> from pushforward.schedules import VP
    >>> check_arguments(VP, {"beta_max": "large"})
    Traceback (most recent call last):
    ...
    pushforward.errors.InputError: beta_max is a number, not 'large'
    """
    if dataclasses.is_dataclass(cls):
        check_kinds(cls.__init__, values, is_configurable)  # type: ignore[misc]


def amend(obj: Any, **args: Any) -> None:
    """Change recorded arguments, for what an object learns about itself after it was made."""
    object.__setattr__(obj, _RECORD, {**getattr(obj, _RECORD, {}), **args})


def forget(obj: Any, *names: str) -> None:
    """Take recorded arguments back, for what turned out not to be so."""
    kept = {key: arg for key, arg in getattr(obj, _RECORD, {}).items() if key not in names}
    object.__setattr__(obj, _RECORD, kept)


def made(cls: type[T], options: dict[str, Any], **known: Any) -> T:
    """An object made with a user's options beside what is known of the data.

    Raises `InputError` for an option that the constructor does not take, with the nearest one.

    >>> import torch
    >>> made(torch.nn.Linear, {"bias": False}, in_features=1, out_features=2)
    Linear(in_features=1, out_features=2, bias=False)
    """
    check_options(options, [p for p in inspect.signature(cls).parameters if p not in known])
    return cls(**known, **options)


def check_options(options: dict[str, Any], names: Sequence[str]) -> None:
    """Raise `InputError` for an option whose name is not among some, with the nearest one."""
    for option in options:
        if option not in names:
            close = get_close_matches(option, names, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names)}"
            raise InputError(f"there is no option {option!r}: {hint}")


def understood(method: Callable[..., Any], /, **options: Any) -> dict[str, Any]:
    """Those options that a method takes: an exact density needs no seed, for example.

    >>> understood(sorted, reverse=True, seed=0)
    {'reverse': True}
    """
    taken = inspect.signature(method).parameters
    return {name: value for name, value in options.items() if name in taken}


def _is_tensor(obj: Any) -> bool:
    # Without loading torch: an object can only be a tensor if it has been.
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(obj, torch.Tensor)


def _fingerprint(tensor: Any) -> str:
    """What tells one tensor from another, in sixteen hexadecimal digits."""
    array = tensor.detach().cpu().contiguous().numpy()
    head = f"{array.dtype} {array.shape};".encode()
    return hashlib.sha256(head + array.tobytes()).hexdigest()[:16]


def _function_name(function: types.FunctionType) -> str:
    """`module:name` of a function that can be found under it."""
    found = getattr(sys.modules.get(function.__module__), function.__qualname__, None)
    if found is not function or function.__module__ == "__main__":
        raise InputError(
            f"the function {function.__qualname__} cannot be written to a configuration: define it "
            "at the top of a module of your own, and name that module with trust=, or "
            "write a class decorated with pushforward.configurable"
        )
    return f"{function.__module__}:{function.__qualname__}"


def _trusted_function(name: str, trust: tuple[str, ...]) -> Any:
    module, _, attribute = name.partition(":")
    if module not in trust:
        raise InputError(
            f"the function {name!r} lies outside pushforward: pass trust=({module!r},) "
            "if you trust that module's code"
        )
    found = getattr(import_module(module), attribute, None)
    if not isinstance(found, types.FunctionType):
        raise InputError(f"{name!r} is no function of {module}")
    return found


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


def find_class(name: str, trust: tuple[str, ...] = ()) -> type:
    """The configurable class at a place: `schedules.VP`, or `module:Class` of a trusted module.

    Raises `InputError` for what is none, or lies in a module that is not trusted.
    """
    if ":" in name:
        module, _, attribute = name.partition(":")
        if module not in trust:
            raise InputError(
                f"class {name!r} lies outside pushforward: pass trust=({module!r},) "
                "if you trust that module's code"
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
    if not isinstance(found, type) or not is_configurable_class(found):
        raise InputError(f"{name!r} is not a configurable class of {module}")
    return found
