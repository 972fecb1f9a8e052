"""Captions of the pictures in a folder: a table beside them, `captions.csv` or `captions.jsonl`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pushforward.data.finding import listed
from pushforward.errors import InputError

__all__ = ["CAPTIONS", "TABLES", "read_captions", "table_of_captions"]

CAPTIONS = "captions.csv"
"""The file that captions are written to."""

TABLES = (CAPTIONS, "captions.jsonl", "metadata.csv", "metadata.jsonl")
"""Those that are looked for, in this order."""

_PICTURE, _TEXT = ("file", "file_name"), ("caption", "text")


def read_captions(folder: Path, files: Sequence[Path]) -> list[str] | None:
    """A caption for each picture of a folder, in their order; `None` where there is no table.

    The table is `captions.csv` or `captions.jsonl` with `file` and `caption`, or `metadata.csv` or
    `metadata.jsonl` with `file_name` and `text`, as image folders of Hugging Face have it. A
    metadata table without texts is none.

    Raises `InputError` for a table that cannot be read, pictures without a caption, or captions
    without a picture.
    """
    path = next((folder / name for name in TABLES if (folder / name).is_file()), None)
    if path is None:
        return None
    rows = list(_rows(path))
    columns = set(rows[0]) if rows else set()
    names = [next((n for n in known if n in columns), None) for known in (_PICTURE, _TEXT)]
    if names[1] is None and path.name.startswith("metadata"):
        return None
    if names[0] is None or names[1] is None:
        raise InputError(
            f"{path} has the columns {listed(sorted(columns)) or 'none'}: a table of captions has "
            "'file' and 'caption'"
        )
    found: dict[str, str] = {}
    for k, row in enumerate(rows, start=1):
        file, text = row.get(names[0]), row.get(names[1])
        if not isinstance(file, str) or not isinstance(text, str) or not text.strip():
            raise InputError(f"{path}, entry {k}: the {names[0]} or the {names[1]} is missing")
        if file in found:
            raise InputError(f"{path}, entry {k}: {file} has two captions: leave one")
        found[file] = text
    wanted = [file.relative_to(folder).as_posix() for file in files]
    if missing := [name for name in wanted if name not in found]:
        raise InputError(
            f"{path} has no caption for {len(missing)} of {len(wanted)} pictures, such as "
            f"{missing[0]}: add it, or take the picture away"
        )
    if unknown := sorted(set(found) - set(wanted)):
        raise InputError(f"{path} speaks of {unknown[0]}, which is no picture of the folder")
    return [found[name] for name in wanted]


def table_of_captions(names: Iterable[str], captions: Iterable[str]) -> str:
    r"""The text of a table that `read_captions` reads.

    >>> table_of_captions(["0.png"], ["a red square"])
    'file,caption\n0.png,a red square\n'
    """
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["file", "caption"])
    table.writerows(zip(names, captions, strict=True))
    return out.getvalue()


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The entries of a table by the names of their columns."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as text: {error}") from None
    if path.suffix == ".csv":
        yield from csv.DictReader(io.StringIO(text))
        return
    for k, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}, line {k} is no JSON: {error.msg}") from None
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {k} is no object with 'file' and 'caption'")
        yield row
