"""Text files of plain values, as a stranger may have written them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pushforward._records import (
    DEEPEST,
    LARGEST,
    parse_json,
    parse_yaml,
    read_json,
    read_sealed,
    read_sealed_json,
    read_yaml,
    sealed,
    sealed_json,
    to_yaml,
)
from pushforward.errors import InputError

BOMB = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefghij", "bcdefghijk", strict=True)
)

YAML = {
    "aliases": (BOMB, r"uses the alias \*a"),
    "depth": ("[" * 100_000, f"more than {DEEPEST} levels deep"),
    "size": ("a" * (LARGEST + 1), "is longer than"),
    "code": ("!!python/object/apply:os.system ['true']", "is not YAML"),
    "twice": ("{a: 1, a: 2}", "the key 'a' occurs twice"),
    "digits": ("9" * 5000, "is not YAML"),
    "date": ("2020-99-99", "is not YAML"),
    "key": ("? [a]\n: b", "is not YAML"),
    "cut off": ("a: [1, 2", "is not YAML"),
    "documents": ("a: 1\n---\na: 2", "is not YAML"),
    "zero": ("\0", "is not YAML"),
}
JSON = {
    "depth": ("[" * 100_000, f"more than {DEEPEST} levels deep"),
    "size": (" " * (LARGEST + 1), "is longer than"),
    "twice": ('{"a": 1, "a": 2}', "a name occurs twice"),
    "not finite": ('{"a": NaN}', "NaN is no number"),
    "digits": ("9" * 5000, "is not JSON"),
    "cut off": ('{"a": ', "is not JSON"),
}


@pytest.mark.parametrize("fault", YAML)
def test_yaml_that_is_refused(fault: str) -> None:
    text, message = YAML[fault]
    with pytest.raises(InputError, match=message):
        parse_yaml(text, "x.yaml")


@pytest.mark.parametrize("fault", JSON)
def test_json_that_is_refused(fault: str) -> None:
    text, message = JSON[fault]
    with pytest.raises(InputError, match=message):
        parse_json(text, "x.json")


def test_as_deep_as_allowed() -> None:
    for parse in (parse_yaml, parse_json):
        found = parse("[" * DEEPEST + "]" * DEEPEST, "x")
        for _ in range(DEEPEST - 1):
            (found,) = found
        assert found == []


@pytest.mark.parametrize("read", [read_yaml, read_json, read_sealed])
@pytest.mark.parametrize("content", [b"\xff\xfe\0", b"[1, 2]", b"5", b"", b"\x89PNG\r\n\x1a\n"])
def test_no_mapping_no_text_no_file(tmp_path: Path, read, content: bytes) -> None:
    path = tmp_path / "x"
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read(path)
    path.write_bytes(content)
    with pytest.raises(InputError, match=str(path)):
        read(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read(path)


def test_every_bit_of_a_sealed_file_counts(tmp_path: Path) -> None:
    values = {"a": [1, 2.5, None, True], "b": {"c": "ä\n# sha256 "}, "run": "1e5"}
    path = tmp_path / "x.yaml"
    path.write_text(sealed(values), encoding="utf-8")
    assert read_sealed(path) == values
    content = path.read_bytes()
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 4
        path.write_bytes(damaged)
        with pytest.raises(InputError):
            read_sealed(path)


def test_every_bit_of_a_sealed_manifest_counts(tmp_path: Path) -> None:
    values = {"a": [1, 2.5, None, True, 1e-300], "b": {"c": "ä\n"}, "run": "1e5"}
    path = tmp_path / "x.json"
    path.write_text(sealed_json(values), encoding="utf-8")
    assert read_sealed_json(path) == values
    content = path.read_bytes()
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 4
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"x\.json"):
            read_sealed_json(path)


def test_what_is_shared_is_written_twice() -> None:
    shared = {"x": [1]}
    text = to_yaml({"a": shared, "b": shared})
    assert parse_yaml(text, "x") == {"a": shared, "b": shared}
