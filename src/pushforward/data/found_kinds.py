"""The kinds of columns, told by their cells.

A kind is found where every cell that is not missing fits it, or given, as in `age=count`. A column
that fits none, such as numbers with a word among them, is refused with what can be said of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from pushforward.data.cells import Cells, truth
from pushforward.data.columns import closest
from pushforward.data.kinds import DATES, KINDS, Kind, date_number, whole
from pushforward.data.levels import MOST_WORDS
from pushforward.errors import InputError

__all__ = ["found_kind", "given_kind"]

_FEW = 5


def found_kind(name: str, cells: Sequence[str], known: Cells, place: str) -> Kind:
    """The kind of a column by its cells that are not missing.

    Raises `InputError` for a column without any, for numbers mixed with words, for dates that two
    forms read, and for words or codes that are names of rows; `place` names the file.

    >>> str(found_kind("age", ["31", "40"], Cells(), "t.csv"))
    'count'
    >>> str(found_kind("sex", ["f", "m"], Cells(), "t.csv"))
    'category'
    >>> str(found_kind("zip", ["01067", "10115"], Cells(), "t.csv"))
    'category'
    """
    where = f"{place}, column {name!r}"
    if not cells:
        raise InputError(
            f"{where} is empty in every row: leave it out with columns=, which names the others"
        )
    words = [cell for cell in dict.fromkeys(cells) if known.is_text(cell)]
    if not words:
        numbers = [known.number(cell) for cell in dict.fromkeys(cells)]
        if not all(map(math.isfinite, numbers)):
            raise InputError(f"{where} has numbers that are not finite: say missing='inf'")
        if not all(map(whole, dict.fromkeys(cells))):
            return Kind("number")
        codes = [cell for cell in dict.fromkeys(cells) if re.fullmatch(r"\s*0\d+\s*", cell)]
        if codes:
            return _codes(name, codes[0], cells, where)
        if set(numbers) == {0.0, 1.0}:
            return Kind("boolean")
        return Kind("count" if min(numbers) >= 0 else "integer")
    if len(words) < len(dict.fromkeys(cells)):
        some = ", ".join(map(repr, words[:_FEW]))
        raise InputError(
            f"{where} has numbers and words, such as {some}: if these mean that a value is "
            f"missing, say missing={words[0] if len(words) == 1 else words[:_FEW]!r}; if all are "
            f"words, say kinds={{{name!r}: 'category'}}; or leave it out with columns="
        )
    pairs = {found[1] for cell in words if (found := truth(cell)) is not None}
    if len(pairs) == 1 and all(truth(cell) is not None for cell in words):
        return Kind("boolean")
    forms = [form for form in DATES if all(date_number(cell, form) for cell in words)]
    if len(forms) > 1:
        raise InputError(
            f"{where}: {words[0]!r} and all others are dates both as {' and as '.join(forms)}: say "
            f"which, as in kinds={{{name!r}: 'date {forms[0]}'}}"
        )
    if forms:
        return Kind("date", forms[0])
    if len(words) > MOST_WORDS or (len(words) > _FEW and 2 * len(words) > len(cells)):
        raise InputError(
            f"{where} has {len(words)} different words in {len(cells)} rows, such as {words[0]!r}: "
            "names of rows are not learned, so leave it out with columns="
        )
    return Kind("category")


def _codes(name: str, code: str, cells: Sequence[str], where: str) -> Kind:
    """Codes are categories: as numbers they would lose the zeros that they begin with."""
    many = len(dict.fromkeys(cells))
    if many > MOST_WORDS or (many > _FEW and 2 * many > len(cells)):
        raise InputError(
            f"{where} has codes that begin with zeros, such as {code.strip()!r}, {many} different "
            f"ones in {len(cells)} rows: leave it out with columns=, or say kinds={{{name!r}: "
            "'count'} if they are numbers, which are written without these zeros"
        )
    return Kind("category")


def given_kind(name: str, text: str, cells: Sequence[str], known: Cells, place: str) -> Kind:
    """The kind that a text gives a column, which its cells must fit.

    Raises `InputError` for a kind that there is not, and for the first cell that does not fit.

    >>> given_kind("zip", "category", ["10115"], Cells(), "t.csv")
    Kind(name='category', form='')
    """
    kind, _, form = text.strip().partition(" ")
    where = f"{place}, column {name!r}"
    if kind not in KINDS:
        raise InputError(
            f"kinds: column {name!r} cannot be {text!r}{closest(kind, KINDS)}: a column is "
            f"{', '.join(KINDS)}"
        )
    if not cells:
        raise InputError(f"{where} is empty in every row: leave it out with columns=")
    some = list(dict.fromkeys(cells))
    if kind == "date" and not form:
        found = found_kind(name, cells, known, place)
        if found.name != "date":
            raise InputError(
                f"{where} is to be dates, but {some[0]!r} is none in a form that is read: say "
                f"which, as in kinds={{{name!r}: 'date %d.%m.%Y'}}"
            )
        return found
    if kind == "category" or (kind == "boolean" and len(some) <= 2):
        return Kind(kind)
    if kind == "boolean":
        raise InputError(f"{where} is to be a boolean, but has {len(some)} different values")
    wrong = next((cell for cell in some if not _fits(cell, kind, form, known)), None)
    if wrong is not None:
        noun = {
            "number": "a number", "integer": "a whole number", "count": "a whole number from 0",
            "date": f"a date as {form}",
        }[kind]  # fmt: skip
        raise InputError(
            f"{where} is to be {kind}, but {wrong!r} is not {noun}: give it another kind of "
            f"{', '.join(KINDS)}, or say missing={wrong!r} if it stands for a missing value"
        )
    return Kind(kind, form)


def _fits(cell: str, kind: str, form: str, known: Cells) -> bool:
    if kind == "date":
        return date_number(cell, form) is not None
    if known.is_text(cell) or not math.isfinite(known.number(cell)):
        return False
    value = known.number(cell)
    return kind == "number" or (value == round(value) and (kind == "integer" or value >= 0))
