"""What cells that are no numbers probably are, and the option of `load` that reads them so."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from pushforward.data.cells import Cells, as_date, truth
from pushforward.data.identifiers import NAMELESS
from pushforward.data.text_columns import TextColumn
from pushforward.errors import InputError

__all__ = ["all_but", "are_words", "explain"]

FEW_CODES = 5
_OWN_TIMES = re.compile(
    r"\d{1,4}([/.-])\d{1,2}\1\d{1,4}( \d{1,2}:\d{2}(:\d{2})?)?|\d{1,2}:\d{2}(:\d{2})?"
)
"""Dates and times in forms of their own: 29.2.2024, 2/29/24, 12:30."""
_SIGNS = "$\u20ac\u00a3\u00a5%"
_SIGNED = re.compile(f"[{_SIGNS}]")
MARKS = (",", ".", " ", "'", "\u2019", "\u00a0")


def all_but(names: Sequence[str], chosen: Sequence[int], bad: Sequence[int]) -> str:
    """How to leave columns out: with the option that chooses the others, by name if these are few.

    >>> all_but(["a", "b", "c"], [0, 1, 2], [1])
    "leave it out with columns=['a', 'c']"
    >>> all_but(["a", "a", "b"], [0, 1, 2], [2])
    "leave it out with columns=':2'"
    """
    rest = [i for i in chosen if i not in bad]
    if not rest:
        return "convert it to numbers, as no other column is left"
    kept = [names[i] for i in rest]
    plain = len(kept) == len(set(kept)) and all(re.fullmatch(r"[A-Za-z_][\w .-]*", k) for k in kept)
    if plain and len(kept) <= 6:
        return f"leave it out with columns={kept!r}"
    cuts: list[list[int]] = []
    for i in rest:
        if cuts and cuts[-1][1] == i:
            cuts[-1][1] = i + 1
        else:
            cuts.append([i, i + 1])
    ranges = [
        f"{start or ''}:{'' if stop == len(names) else stop}" if stop - start > 1 else str(start)
        for start, stop in cuts
    ]
    return f"leave it out with columns={(ranges[0] if len(ranges) == 1 else ranges)!r}"


def are_words(column: TextColumn) -> bool:
    """Whether a column that is given holds words alone, none of which is a number, a date or a time
    in a notation that is not read.

    >>> columns = [TextColumn("city", 0, Cells(given=["city"])) for _ in range(2)]
    >>> columns[0].add([1, 2], ["Oslo", "Rome"])
    >>> columns[1].add([1, 2], ["1,5", "2,5"])
    >>> [are_words(column) for column in columns]
    [True, False]
    """
    only = column.name in column.cells.given and bool(column.faults) and not column.numbers
    return only and not _in_other_notation(column, "")


def explain(
    source: str,
    columns: Sequence[TextColumn],
    names: Sequence[str],
    rows: int,
    body: int | None,
    labeled: bool,
    place: Callable[[int], str] = "line {}".format,
) -> InputError:
    """The error for a table with columns that are not all numbers, after its first `rows` rows.

    `body` is the line on which the rows begin, where one can be left out; `place` names a line or
    row by its number.
    """
    bad = [column for column in columns if column.faults and not are_words(column)]
    worst = min(bad, key=lambda column: (column.at or 0, column.position))
    # A nameless first column is an index, which would be learned if it were chosen.
    chosen = [c.position for c in columns if c.position or not NAMELESS.fullmatch(c.name.strip())]
    cell = next(iter(worst.faults))
    where = f"{source}, {place(worst.at or 0)}, column {worst.name!r}: {cell!r} is not a number"
    others = all_but(names, chosen, [column.position for column in bad])
    advice = _advice(worst, bad, len(columns), rows, body, others, labeled)
    return InputError(f"{where}{advice}")


def _advice(
    column: TextColumn,
    bad: Sequence[TextColumn],
    width: int,
    rows: int,
    body: int | None,
    others: str,
    labeled: bool,
) -> str:
    known, cell = column.cells, next(iter(column.faults))
    notation = _in_other_notation(column, others)
    if notation:
        return notation
    only_first = all(
        c.at == body and c.numbers and c.faults.total() == 1 and _has_letters(c) for c in bad
    )
    if only_first and 2 * len(bad) >= width:
        return (
            f", and on no other line: if line {body} holds units or a second title, leave it out "
            f"with skip=[{body}]"
        )
    if len(cell.split()) > 1 and not any(map(known.is_text, cell.split())):
        return ": separate the cells of a line by commas or tabs, not by spaces"
    few = len(column.faults) <= FEW_CODES
    if column.numbers > column.faults.total() and few:
        codes = list(column.faults)
        given = repr(codes[0]) if len(codes) == 1 else repr(codes)
        return (
            f", but {column.numbers} of the first {rows} cells are: if "
            f"{' and '.join(map(repr, codes))} mean that a value is missing, say so with "
            f"missing={given}; or {others}"
        )
    if truth(cell) is not None and column.numbers:
        return f", but {column.numbers} of the first {rows} cells are: write truths one way"
    if len(column.faults) > 1 and all(truth(text) is not None for text in column.faults):
        ways = ", ".join(map(repr, list(column.faults)[:FEW_CODES]))
        return f", and truths are written in several ways, {ways}: write them one way, or {others}"
    if labeled:
        return f": {others}"
    if column.numbers:
        return f": make the column the label with label={column.name!r}, or {others}"
    words = [*column.cells.given, *(c.name for c in bad if not c.numbers)]
    told = repr(words[0]) if len(words) == 1 else f"{words!r}"
    return (
        f": make the column the label with label={column.name!r}, give it to the model with "
        f"given={told}, or {others}"
    )


def _in_other_notation(column: TextColumn, others: str) -> str:
    """What to do about dates, times and numbers in a notation that is not read; empty for words."""
    known, cell = column.cells, next(iter(column.faults))
    if known.since is None and all(as_date(text) for text in list(column.faults)[:FEW_CODES]):
        when = as_date(cell)
        day = "" if when is None else when.date().isoformat()
        return f" but a date: read dates as days with since={day!r}, or {others}"
    marks = _other_marks(column)
    if marks:
        return marks
    if all(_OWN_TIMES.fullmatch(text) for text in column.faults):
        return f" but looks like a date or time: write it as in 2024-02-29 12:30, or {others}"
    signs = {sign for text in column.faults for sign in _SIGNS if sign in text}
    if signs and not any(known.is_text(_SIGNED.sub("", text)) for text in column.faults):
        return f": write numbers without {' and '.join(map(repr, sorted(signs)))}, or {others}"
    return ""


def _has_letters(column: TextColumn) -> bool:
    """Whether the first fault of a column is a word, as units are, and not a dash."""
    return any(letter.isalpha() for letter in next(iter(column.faults)))


def _other_marks(column: TextColumn) -> str:
    """The decimal marks with which every cell of a column is a number."""
    texts = list(column.faults)[:1000]
    ways = []
    for decimal in ",.":
        for thousands in (None, *MARKS):
            if thousands == decimal or (decimal, thousands) == (".", None):
                continue
            cells = Cells(decimal, thousands, column.cells.missing, column.cells.since)
            if not any(map(cells.is_text, texts)) and (
                thousands is None or any(thousands in text for text in texts)
            ):
                ways.append((decimal, thousands))
    comma = (",", None) in ways
    grouped = (".", ",") in ways
    first = texts[0] if texts else ""
    if comma and grouped:
        point, whole = first.replace(",", "."), first.replace(",", "")
        return f": it reads as {point} with decimal=',' and as {whole} with thousands=','"
    if comma:
        return f": read it as {first.replace(',', '.')} with decimal=','"
    if not ways:
        return ""
    decimal, thousands = ways[0]
    words = [f"decimal={decimal!r}"] if decimal != "." else []
    value = Cells(decimal, thousands).number(first)
    return f": read it as {value:.15g} with {' and '.join([*words, f'thousands={thousands!r}'])}"
