"""Plain values in text files, YAML and JSON, read as if a stranger had written them.

A file may be no larger, no deeper and no more repetitive than anything that is written here: YAML
aliases, with which a few lines stand for billions of values, are refused, and so are keys that
occur twice. A *sealed* file ends with the checksum of its own text, so that one changed by a
flipped bit or by hand is known.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from pushforward._regular import require_file
from pushforward.errors import InputError

__all__ = [
    "Check",
    "StrictLoader",
    "checked_fields",
    "parse_json",
    "parse_yaml",
    "read_json",
    "read_json_texts",
    "read_sealed",
    "read_sealed_json",
    "read_yaml",
    "sealed",
    "sealed_json",
    "to_yaml",
]

Check = Callable[[str, Any], Any]

LARGEST = 4 << 20
"""Bytes of a file: a configuration has some thousands."""

DEEPEST = 50
"""How far lists and mappings may lie in each other."""

_SEAL = "# sha256 "
_SUM = "sha256"
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Plain(yaml.SafeDumper):
    """Writes what occurs twice twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


class StrictLoader(_Loader):
    """Refuses a key that occurs twice: which of the two was meant, nobody knows."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(names)) < len(names):
            twice, _ = Counter(names).most_common(1)[0]
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {twice!r} occurs twice", node.start_mark
            )
        found: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return found


def to_yaml(value: Any) -> str:
    """Plain values as YAML without aliases, keys in their order.

    >>> shared = [1, 2]
    >>> print(to_yaml({"a": shared, "b": shared}), end="")
    a:
    - 1
    - 2
    b:
    - 1
    - 2
    """
    return yaml.dump(value, Dumper=_Plain, sort_keys=False, allow_unicode=True)


def sealed(value: Any) -> str:
    """Plain values as YAML that ends with its own checksum."""
    text = to_yaml(value)
    return f"{text}{_SEAL}{_digest(text)}\n"


def read_sealed(path: Path) -> dict[str, Any]:
    """The mapping that `sealed` wrote to a file. Raises `InputError` for any other file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.yaml"
    ...     _ = path.write_text(sealed({"a": 1}))
    ...     read_sealed(path)
    {'a': 1}
    """
    text = _text(path)
    body, seal, digest = text.rpartition(_SEAL)
    if not seal:
        raise InputError(f"{path} has no checksum: it is damaged, or an older version wrote it")
    if digest != f"{_digest(body)}\n":
        raise InputError(f"{path} is not as it was written: it is damaged, or was changed by hand")
    return _mapping(parse_yaml(text, str(path)), str(path))


def sealed_json(value: Mapping[str, Any]) -> str:
    """An object as JSON whose last entry, `sha256`, is the checksum of all before it."""
    text = json.dumps(value, indent=2)
    return json.dumps({**value, _SUM: _digest(text)}, indent=2) + "\n"


def read_sealed_json(path: Path) -> dict[str, Any]:
    """The object that `sealed_json` wrote to a file. Raises `InputError` for any other file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.json"
    ...     _ = path.write_text(sealed_json({"a": 1.5}))
    ...     read_sealed_json(path)
    {'a': 1.5}
    """
    text = _text(path)
    found = _mapping(parse_json(text, str(path)), str(path))
    if _SUM not in found:
        raise InputError(f"{path} has no checksum: it is damaged, or an older version wrote it")
    value = {key: part for key, part in found.items() if key != _SUM}
    # Every bit counts: another spelling of the same values is not what was written.
    if text != sealed_json(value):
        raise InputError(f"{path} is not as it was written: it is damaged, or was changed by hand")
    return value


def read_yaml(path: Path, loader: Any = StrictLoader) -> dict[str, Any]:
    """The mapping in a YAML file. Raises `InputError` if it holds none, or cannot be read."""
    return _mapping(parse_yaml(_text(path), str(path), loader), str(path))


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises `InputError` if it holds none, or cannot be read."""
    return _mapping(parse_json(_text(path), str(path)), str(path))


def read_json_texts(path: Path) -> list[str]:
    """The list of texts in a JSON file. Raises `InputError` if it holds none, or cannot be read."""
    found = parse_json(_text(path), str(path))
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise InputError(f"{path} must hold a list of texts, not {type(found).__name__}")
    return found


def parse_yaml(text: str, name: str, loader: Any = StrictLoader) -> Any:
    """The plain values of a YAML text. Raises `InputError`, with the text's `name`, for others.

    `loader` is a class derived from `StrictLoader`, if plain text stands for other values.

    >>> parse_yaml("{a: [1, 2.5, x]}", "x.yaml")
    {'a': [1, 2.5, 'x']}
    >>> parse_yaml("{a: &b [1], c: [*b, *b]}", "x.yaml")
    Traceback (most recent call last):
    ...
    pushforward.errors.InputError: x.yaml uses the alias *b: write out what it stands for
    """
    if len(text) > LARGEST:
        raise InputError(f"{name} is longer than {LARGEST:,} characters")
    try:
        # Counted before anything is made: making it takes a stack as deep as it is.
        depth = 0
        for event in yaml.parse(text, Loader=_Loader):
            if isinstance(event, yaml.AliasEvent):
                raise InputError(f"{name} uses the alias *{event.anchor}: write out what it "
                                 "stands for")  # fmt: skip
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            _check_depth(depth, name)
        return yaml.load(text, Loader=loader)
    except (yaml.YAMLError, ValueError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name} is not YAML: {_one_line(error)}") from None


def parse_json(text: str, name: str) -> Any:
    """The plain values of a JSON text, all numbers finite. Raises `InputError` for others."""
    if len(text) > LARGEST:
        raise InputError(f"{name} is longer than {LARGEST:,} characters")
    depth = 0
    for letter in text:
        # Brackets within strings count as well: none of ours has that many.
        depth += (letter in "[{") - (letter in "]}")
        _check_depth(depth, name)
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)
    except ValueError as error:
        raise InputError(f"{name} is not JSON: {_one_line(error)}") from None


def checked_fields(
    values: Mapping[str, Any], checks: Mapping[str, Check], name: str
) -> dict[str, Any]:
    """The values of some names, each as its check returns it, and no others.

    Raises `InputError` for a name that is missing, one too many, or a value that a check refuses.

    >>> from pushforward.checks import whole
    >>> checked_fields({"step": -5}, {"step": whole}, "training.json")
    Traceback (most recent call last):
    ...
    pushforward.errors.InputError: training.json: step is a whole number of at least 1, not -5
    """
    missing, extra = _listed(checks.keys() - values.keys()), _listed(values.keys() - checks.keys())
    if missing or extra:
        fault = f"lacks {missing}" if missing else f"has the unknown {extra}"
        raise InputError(f"{name} {fault}")
    try:
        return {key: check(key, values[key]) for key, check in checks.items()}
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def _listed(names: Iterable[Any]) -> str:
    return ", ".join(sorted(map(str, names)))


def _text(path: Path) -> str:
    require_file(path)
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise InputError(f"{path} is larger than {LARGEST:,} bytes: it is no file of ours")
        return content.decode("utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text in UTF-8: {_one_line(error)}") from None


def _mapping(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise InputError(f"{name} must hold names and values, not {type(value).__name__}")
    return value


def _check_depth(depth: int, name: str) -> None:
    if depth > DEEPEST:
        raise InputError(f"{name} is nested more than {DEEPEST} levels deep")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number of JSON")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
