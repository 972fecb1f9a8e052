"""Short names: one table for the library, configurations and the command line.

An axis, such as `samplers`, holds names such as `ddim`; each stands for a class or a function, and
is imported when it is used, so that a command line can offer the names without loading torch. A
module of the user adds names of its own by `add` when it is imported: `trust` imports it, and
nothing does so unasked.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from pushforward._axes import KINDS, ONE
from pushforward._names import TABLE
from pushforward.errors import InputError

__all__ = ["add", "axes", "called", "find", "names", "resolve", "trust"]

_ROOT = "pushforward"


def axes() -> tuple[str, ...]:
    """The axes that have names.

    >>> axes()[:3]
    ('bridges', 'couplings', 'data')
    """
    return tuple(TABLE)


def names(axis: str) -> tuple[str, ...]:
    """The short names of an axis. Raises `InputError` for an axis that does not exist.

    >>> names("kernels")
    ('random-walk', 'ula', 'baoab', 'barker', 'mala', 'underdamped', 'hmc', 'nuts')
    """
    return tuple(_axis(axis))


def find(axis: str, name: str) -> Any:
    """The class or function that a short name stands for, before it is called.

    Arguments that the name fixes are bound by `functools.partial`. Raises `InputError` for a name
    that does not exist, with the nearest one.

    >>> find("schedules", "vp").__name__
    'VP'
    >>> find("schedules", "vpp")
    Traceback (most recent call last):
    ...
    pushforward.errors.InputError: no schedule is called 'vpp': choose from vp, sub-vp, cosine, \
ve, edm, rectified, ou, constant-rate, stepped-rate; did you mean 'vp'?
    """
    entry = _named(name, _axis(axis), _one(axis))
    path, fixed = entry if isinstance(entry, tuple) else (entry, {})
    found = _load(path) if isinstance(path, str) else path
    return functools.partial(found, **fixed) if fixed else found


def resolve(axis: str, choice: Any) -> Any:
    """The object that a short name stands for, made with its defaults, or the object itself.

    Raises `InputError` for a name that does not exist, with the nearest one; for a class, or an
    object of another kind; and for a name of what cannot be made without arguments.

    >>> resolve("samplers", "ddim")
    Ancestral(churn=0.0, variance='posterior')
    >>> from pushforward.schedules import VP
    >>> resolve("schedules", VP(beta_max=10.0))
    VP(beta_min=0.1, beta_max=10.0)
    """
    if isinstance(choice, type):
        name = choice.__name__
        raise InputError(f"the {_one(axis)} {name} is a class: make one, {name}()")
    if not isinstance(choice, str):
        if axis in KINDS and not isinstance(choice, _load(KINDS[axis])):
            raise InputError(
                f"a {_one(axis)} is an object of {KINDS[axis].rpartition('.')[0]}, or one of the "
                f"names {', '.join(names(axis))}, not {choice!r}"
            )
        return choice
    found = find(axis, choice)
    if not (isinstance(found, type | functools.partial) or inspect.isroutine(found)):
        return found
    try:
        return found()
    except TypeError as error:
        if _needs_nothing(found):
            raise
        raise InputError(
            f"the {_one(axis)} {choice!r} cannot be made from its name alone ({error}): make a "
            f"{getattr(found, '__name__', choice)} and give that"
        ) from None


def called(axis: str, choice: Any) -> str:
    """What messages call an object of an axis: the first short name that stands for one like it.

    A name is called as it is, and an object that no name makes by its own description.

    >>> from pushforward.samplers import Ancestral
    >>> called("samplers", Ancestral(churn=0.0)), called("samplers", "pinned")
    ('ddim', 'pinned')
    >>> called("samplers", Ancestral(churn=0.5))
    "Ancestral(churn=0.5, variance='posterior')"
    """
    if isinstance(choice, str):
        return choice
    for name in names(axis):
        try:
            if resolve(axis, name) == choice:
                return name
        except (ImportError, InputError):
            # What cannot be made without arguments, or without an extra, is not this one.
            continue
    return str(choice)


def add(axis: str, name: str, target: Any) -> None:
    """Give a class, a function that makes an object, or an object a short name.

    A module calls it when it is imported; recipes and the command line then know the name if the
    module is trusted (`--trust MODULE`). What a function of an axis is called with is what the
    axis' own are called with. Raises `InputError` for an axis that does not exist, and for a name
    that stands for something else.

    >>> from pushforward.schedules import VP
    >>> add("schedules", "vp", VP(beta_max=10.0))
    Traceback (most recent call last):
    ...
    pushforward.errors.InputError: there is a schedule 'vp' already: choose another name
    """
    known = _axis(axis)
    if not isinstance(name, str) or not name:
        raise InputError(f"a short name is a text, not {name!r}")
    if isinstance(target, str | tuple):
        raise InputError(f"{name!r} stands for a class, a function or an object, not {target!r}")
    if name in known and known[name] is not target:
        raise InputError(f"there is a {_one(axis)} {name!r} already: choose another name")
    known[name] = target


def trust(modules: Iterable[str]) -> None:
    """Import modules of the user, which runs their code, so that the names they add are known.

    Raises `InputError` for a module that does not exist.

    >>> trust(["mathh"])
    Traceback (most recent call last):
    ...
    pushforward.errors.InputError: there is no module 'mathh' to trust: it is found as Python \
finds modules, by PYTHONPATH or because it is installed
    """
    for module in modules:
        try:
            import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise
            raise InputError(
                f"there is no module {module!r} to trust: it is found as Python finds modules, by "
                "PYTHONPATH or because it is installed"
            ) from None


def _needs_nothing(target: Any) -> bool:
    """Whether a class or a function can be called without arguments."""
    try:
        inspect.signature(target).bind()
    except TypeError:
        return False
    return True


def _load(path: str) -> Any:
    """What a dotted path inside `pushforward` leads to."""
    module, _, attribute = path.rpartition(".")
    return getattr(import_module(f"{_ROOT}.{module}"), attribute)


def _axis(axis: str) -> dict[str, Any]:
    found: dict[str, Any] = _named(axis, TABLE, "axis")
    return found


def _one(axis: str) -> str:
    return ONE.get(axis, axis.removesuffix("s"))


def _named(name: str, table: dict[str, Any], what: str) -> Any:
    if name not in table:
        close = get_close_matches(str(name), table, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise InputError(f"no {what} is called {name!r}: choose from {', '.join(table)}{hint}")
    return table[name]
