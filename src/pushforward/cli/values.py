"""Values written as text: `KEY=VALUE` on the command line, and the files of recipes.

A value is read by the type of the option that it is for, not by what it looks like: `columns=1:3`
is a range of columns, which YAML reads in base 60 as 63, and `name=no` is a name, which YAML reads
as false.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Sequence
from typing import Any

import yaml

from pushforward._records import StrictLoader, parse_yaml
from pushforward.errors import InputError

__all__ = ["Reader", "dump", "parse", "read_value"]

_SCALARS = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+", list("-+0123456789")),
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
}
"""What plain text stands for in YAML 1.2: no base 60, no dates, and `yes` and `off` are words."""

_TRUTHS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
_NOTHING = ("null", "~", "")


class Reader(StrictLoader):
    """YAML 1.2 in what plain text stands for."""


class _Writer(yaml.SafeDumper):
    """The same, for writing."""


Reader.yaml_implicit_resolvers = {}
_Writer.yaml_implicit_resolvers = {}


for _name, (_pattern, _firsts) in _SCALARS.items():
    for _class in (Reader, _Writer):
        _class.add_implicit_resolver(
            f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_pattern})$"), _firsts
        )
# In YAML 1.1, whose numbers the loader knows, those that begin with a zero are octal.
Reader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value))
Reader.add_constructor("tag:yaml.org,2002:float", lambda _, node: _float(node.value))


def parse(text: str, name: str = "the value") -> Any:
    """The value of a text in YAML 1.2, for what has no type. Raises `InputError` with its name.

    >>> parse("{lr: 1e-3, column: 1:3, name: no}")
    {'lr': 0.001, 'column': '1:3', 'name': 'no'}
    """
    return parse_yaml(text, name, Reader)


def dump(value: Any) -> str:
    """A value as YAML that `parse` reads back equal.

    >>> dump({"label": "1e-3"})
    "label: '1e-3'\\n"
    """
    return yaml.dump(value, Dumper=_Writer, sort_keys=False, allow_unicode=True)


def read_value(key: str, text: str, hint: Any = Any) -> Any:
    """The value that a text gives to the option `key` of a type, `hint`.

    Of several types the first that fits the text is taken. A list stands in brackets or between
    commas. Raises `InputError` for a text that fits none.

    >>> read_value("data.columns", "1:3", Sequence[str | int] | None)
    ['1:3']
    >>> read_value("train.lr", "1e-3", float)
    0.001
    >>> read_value("data.header", "off", bool | None), read_value("data.name", "off", str | None)
    (False, 'off')
    """
    kinds = _members(hint)
    if text in _NOTHING and types.NoneType in kinds:
        return None
    nested = text[:1] in ("[", "{", "'", '"')
    try:
        if nested and Any not in kinds:
            parse(text, f"the value of {key}")
            found = yaml.load(text, yaml.BaseLoader)
            if isinstance(found, str):
                text = found
            elif not isinstance(found, list) or not any(map(_item, kinds)):
                return parse(text, f"the value of {key}")
        for kind in kinds:
            value = _as(text, kind, kinds, key)
            if value is not _UNFIT:
                return value
    except yaml.YAMLError as error:
        raise InputError(f"the value of {key} is not YAML: {error}") from None
    raise InputError(f"{key} = {text!r}: give {' or '.join(map(_named, kinds))}")


_UNFIT = object()


def _as(text: str, kind: Any, kinds: Sequence[Any], key: str) -> Any:
    """The text as a value of one type, or `_UNFIT`."""
    if kind is str:
        return text
    if kind is bool:
        truths = _TRUTHS if str not in kinds else {"true": True, "false": False}
        return truths.get(text.lower(), _UNFIT)
    if kind is int:
        number = _as(text, float, kinds, key)
        whole = number is not _UNFIT and number == number // 1
        # Not through a float where it can be helped: it would round beyond 2**53.
        return (int(text) if text.lstrip("+-").isdigit() else int(number)) if whole else _UNFIT
    if kind is float:
        return _float(text) if re.fullmatch(_SCALARS["float"][0], text) else _UNFIT
    if typing.get_origin(kind) is typing.Literal:
        return next((v for v in typing.get_args(kind) if str(v) == text), _UNFIT)
    item = _item(kind)
    if item is not None:
        inner = yaml.load(text, yaml.BaseLoader) if text[:1] == "[" else text.split(",")
        return [v if not isinstance(v, str) else read_value(key, v.strip(), item) for v in inner]
    # Objects of a recipe, or no type at all.
    return _UNFIT if kind is types.NoneType else parse(text)


def _members(hint: Any) -> tuple[Any, ...]:
    """The types of a union, or the one type."""
    union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    return typing.get_args(hint) if union else (hint,)


def _item(kind: Any) -> Any:
    """The type of the items of a list, `None` for what is no list."""
    origin = typing.get_origin(kind)
    if not (isinstance(origin, type) and issubclass(origin, Sequence)):
        return None
    return next((k for k in typing.get_args(kind) if k is not Ellipsis), Any)


def _float(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


_NAMES = {bool: "true or false", int: "a whole number", float: "a number", types.NoneType: "null"}


def _named(kind: Any) -> str:
    """A type in words."""
    if typing.get_origin(kind) is typing.Literal:
        return " or ".join(map(str, typing.get_args(kind)))
    return "a list in brackets" if _item(kind) is not None else _NAMES.get(kind, str(kind))
