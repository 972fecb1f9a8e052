"""`a=1.2,b=x`, values of columns on the command line."""

from __future__ import annotations

import re

from pushforward.errors import InputError

__all__ = ["assignments"]


def assignments(text: str) -> dict[str, str]:
    """The values of `--given a=1.2,b=x`, as text.

    A comma that no `NAME=` follows belongs to the value. Raises `InputError` for a word without a
    name or a value, and for a name that stands there twice.

    >>> assignments("town=Bonn, West,age=41")
    {'town': 'Bonn, West', 'age': '41'}
    """
    found: dict[str, str] = {}
    for word in re.split(r",(?=[^,=]*=)", text):
        name, equals, value = (part.strip() for part in word.partition("="))
        if not equals or not value:
            raise InputError(f"--given {text}: {word!r} does not say NAME=VALUE")
        if name in found:
            raise InputError(f"--given {text} says {name!r} twice")
        found[name] = value
    return found
