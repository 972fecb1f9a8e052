"""What a saved class meant: weights that still fit, but would be read as something else."""

from __future__ import annotations

from typing import Any

from pushforward import config
from pushforward.errors import InputError

__all__ = ["check_format_versions"]


def check_format_versions(spec: Any, where: Any, trust: tuple[str, ...] = ()) -> None:
    """Raise `InputError` for a saved class whose weights mean something else now.

    A configurable class says by a class attribute `format_version` which version of itself it
    writes and reads; it is 1 where there is none, in a class as in a file. It is to be raised when
    the outputs of a network come to be read in another way while its weights keep their shapes:
    other names or shapes are refused by themselves. A class that can say what the arguments of an
    older version mean has a class method `renewed(arguments, version)`, and is read.

    Classes outside `pushforward` that are not trusted, and names of none, are left to
    `config.build`, which refuses them.

    Args:
        spec: what `config.describe` wrote.
        where: the folder that it lies in, for the message.
        trust: modules outside `pushforward` whose classes may be looked at.

    >>> check_format_versions({"class": "processes.Thinning", "args": {}, "version": 2}, "runs/a")
    >>> try:
    ...     check_format_versions({"class": "processes.Thinning", "args": {}}, "runs/a")
    ... except InputError as error:
    ...     print(str(error)[:90])
    runs/a holds processes.Thinning of version 1, and this pushforward reads version 2, for wh
    """
    if isinstance(spec, list):
        for item in spec:
            check_format_versions(item, where, trust)
    if not isinstance(spec, dict):
        return
    if isinstance(spec.get("class"), str):
        _check(spec["class"], spec.get("version", 1), where, trust)
    for value in spec.values():
        check_format_versions(value, where, trust)


def _check(name: str, saved: Any, where: Any, trust: tuple[str, ...]) -> None:
    module, _, own = name.partition(":")
    if (own and module not in trust) or not (own or "." in name):
        return
    cls = config.find_class(name, trust)
    now = getattr(cls, "format_version", 1)
    if isinstance(saved, bool) or not isinstance(saved, int):
        raise InputError(f"{where} is damaged: the version of {name} is {saved!r}")
    if saved > now:
        raise InputError(
            f"{where} holds {name} of version {saved}, and this pushforward reads version {now}: "
            "pip install --upgrade pushforward"
        )
    if saved < now and not hasattr(cls, "renewed"):
        raise InputError(
            f"{where} holds {name} of version {saved}, and this pushforward reads version {now}, "
            "for which the same weights mean something else: train again, or use the pushforward "
            "that wrote it"
        )
