"""One column of a mixed table as a number, a symbol, or both, and back to its cells.

What is one of a few values is a symbol: words, booleans, whole numbers of few values, and beside a
number the cells that are missing and the values that come so often that no density has them, such
as zero in a column of incomes. The number is the normal score of the value; where the symbol says
that there is none, it is normal noise, which means nothing.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.data.cells import Cells
from pushforward.data.kinds import START, Kind, date_number, units_since
from pushforward.data.levels import MOST_WORDS
from pushforward.data.quantile_units import QuantileUnits
from pushforward.errors import InputError

__all__ = ["CodedColumn"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_FEW = 20
"""Numbers of at most so many values are symbols."""
_ROWS_EACH = 10
"""If there are so many rows for each of them."""
_OFTEN = 0.05
"""The share of rows from which a value is a symbol beside the numbers."""
_LEAST = 20
"""Rows that a law of numbers takes; with fewer left, all are symbols."""
_MOST_DECIMALS = 9


@dataclass(frozen=True)
class CodedColumn:
    """How a column is coded.

    Args:
        name: of the column.
        kind: what it is.
        symbols: the cells that symbols stand for, as they are written; a column of numbers has one
            symbol before these for all other numbers.
        units: the scores of its numbers; `None` for symbols alone.
        missing: whether cells may be missing: the last symbol.
        decimals: the digits after the point of its numbers; `None` where they are many.
        padded: whether all its numbers are written with as many.
        limits: the least and the greatest number.

    >>> column = CodedColumn.fitted("sex", Kind("category"), ["f", "m", "f", ""], Cells())
    >>> column.size, column.codes(["m", ""], Cells(), "t.csv")[1]
    (3, array([1, 2]))
    """

    name: str
    kind: Kind
    symbols: tuple[str, ...] = ()
    units: QuantileUnits | None = None
    missing: bool = False
    decimals: int | None = None
    padded: bool = False
    limits: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def fitted(cls, name: str, kind: Kind, cells: Sequence[str], known: Cells) -> CodedColumn:
        """The code that fits the cells of a column."""
        present = [cell for cell in cells if not known.is_missing(cell)]
        missing = len(present) < len(cells)
        counts = Counter(present)
        if not kind.numeric:
            return cls(name, kind, _in_order(counts, known), missing=missing)
        plain = cls(name, kind, missing=missing)
        decimals, padded = _digits(counts, known) if kind.name != "date" else (0, False)
        numbers = {cell: plain.number(cell, known) for cell in counts}
        values: Counter[float] = Counter()
        for cell, many in counts.items():
            values[numbers[cell]] += many
        spelled = {number: cell for cell, number in reversed(numbers.items())}
        limits = min(values), max(values)
        plain = replace(plain, decimals=decimals, padded=padded, limits=limits)
        few = len(values) <= min(_FEW, len(present) // _ROWS_EACH) and decimals is not None
        often = sorted(v for v, many in values.items() if many >= max(_OFTEN * len(present), 2))
        rest = np.array([numbers[cell] for cell in present if numbers[cell] not in set(often)])
        if few or len(set(rest.tolist())) < 2 or len(rest) < min(_LEAST, len(present) // 2):
            if len(values) <= MOST_WORDS:
                words = tuple(spelled[value] for value in sorted(values))
                return replace(plain, symbols=words)
            often, rest = [], np.array([numbers[cell] for cell in present])
        coded = replace(plain, symbols=tuple(spelled[value] for value in often))
        units = QuantileUnits.fitted(rest + coded.jitter(len(rest)))
        return replace(coded, units=units)

    # -- what it is -----------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """How many symbols there are, 0 for numbers alone."""
        size = len(self.symbols) + self.missing
        return size + 1 if self.units is not None and size else size

    @property
    def step(self) -> float:
        """The distance between neighboring numbers, 0 where any may come."""
        return 0.0 if self.decimals is None else 10.0**-self.decimals

    @property
    def words(self) -> tuple[str, ...]:
        """What the symbols stand for, in their order."""
        numbers = ("a number",) if self.size and self.units is not None else ()
        return (*numbers, *self.symbols, *(("missing",) if self.missing else ()))

    def describe_kind(self) -> str:
        """The kind with what is special about it, for whoever reads a list of columns.

        >>> CodedColumn("sex", Kind("category"), ("f", "m")).describe_kind()
        'category of 2'
        """
        parts = [str(self.kind)]
        if self.units is None:
            parts = [f"{self.kind} of {len(self.symbols)}"]
        elif self.symbols:
            parts.append(f"often {', '.join(self.symbols[:3])}")
        if self.missing:
            parts.append("may be missing")
        return ", ".join(parts)

    # -- to codes -------------------------------------------------------------------------------

    def number(self, cell: str, known: Cells) -> float:
        """The number in a cell: of a date the units since 1900. Raises `ValueError` for none."""
        if self.kind.name != "date":
            return known.number(cell)
        moment = date_number(cell, self.kind.form)
        if moment is None:
            raise ValueError(cell)
        return units_since(moment, self.kind.unit)

    def codes(self, cells: Sequence[str], known: Cells, place: str) -> tuple[Floats, Ints]:
        """The numbers and the symbols of some cells, `(N,)` each; the numbers are scores.

        Raises `InputError` for a word that the column does not know, a missing cell where none may
        be, and what is no number; `place` names the file.
        """
        n = len(cells)
        scores, symbols = self._noise(n), np.zeros(n, dtype=np.int64)
        places = self._places(known)
        values, at = np.zeros(n), np.zeros(n, dtype=bool)
        jitter = self.jitter(n)
        memory: dict[str, tuple[int, float | None]] = {}
        for i, cell in enumerate(cells):
            if cell not in memory:
                memory[cell] = self._code(cell, places, known, place)
            symbols[i], value = memory[cell]
            if value is not None:
                values[i], at[i] = value, True
        if self.units is not None and at.any():
            scores[at] = self.units.score((values + jitter)[at])
        return scores, symbols

    def check_limits(self, cells: Sequence[str], known: Cells, place: str) -> None:
        """Raise `InputError` for a number beyond those that the column had."""
        if self.units is None:
            return
        for cell in dict.fromkeys(cells):
            try:
                value = self.number(cell, known)
            except ValueError:
                continue
            if not self.limits[0] <= value <= self.limits[1]:
                low, high = map(self.written, self.limits)
                raise InputError(
                    f"{place}, column {self.name!r}: {cell.strip()} lies beyond what the model was "
                    f"trained on, {low} to {high}"
                )

    def _code(
        self, cell: str, places: Mapping[Any, int], known: Cells, place: str
    ) -> tuple[int, float | None]:
        where = f"{place}, column {self.name!r}"
        if known.is_missing(cell):
            if not self.missing:
                raise InputError(
                    f"{where}: a cell is missing, but none was in the data that the model was "
                    "trained on: fill it in, or leave the row out"
                )
            return self.size - 1, None
        key: Any = cell.strip()
        if self.kind.numeric:
            try:
                key = self.number(cell, known)
            except ValueError:
                raise InputError(f"{where}: {cell!r} is no {self.kind}") from None
        if key in places:
            return places[key], None
        if self.units is None:
            some = ", ".join(self.symbols[:20]) + (", ..." if len(self.symbols) > 20 else "")
            raise InputError(
                f"{where}: {cell.strip()!r} was not in the data that the model was trained on, "
                f"which had {some}"
            )
        return 0, key

    def _places(self, known: Cells) -> dict[Any, int]:
        """The symbol of each value that has one."""
        first = 0 if self.units is None else 1
        keys = [self.number(s, known) for s in self.symbols] if self.kind.numeric else self.symbols
        return {key: k for k, key in enumerate(keys, first)}

    def jitter(self, n: int) -> Floats:
        """Where in its cell, of the width of a step, each number is put: the same at each reading.

        Numbers in steps have no density; those spread over their cells have one, and its integral
        over a cell is the probability of the number.
        """
        return self._generator(0).uniform(-0.5, 0.5, n) * self.step

    def _noise(self, n: int) -> Floats:
        return self._generator(1).standard_normal(n)

    def _generator(self, stream: int) -> np.random.Generator:
        # By the whole name: columns that shared their noise would look as if they told each other.
        own = int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:8], "little")
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([own, stream])))

    # -- and back -------------------------------------------------------------------------------

    def values(
        self, scores: Floats, symbols: Ints, known: Cells, told: Floats | None = None
    ) -> Floats:
        """Numbers as the data have them, `(N,)`; NaN for missing ones. For numeric columns.

        Where a number was told, not NaN, it is that: scores in single precision blur long ones.
        """
        found = np.full(len(symbols), math.nan)
        for key, k in self._places(known).items():
            found[symbols == k] = key
        if self.units is not None:
            at = (symbols == 0) | (self.size == 0)
            value = self.units.value(scores[at])
            if self.decimals is not None:
                value = np.round(value, self.decimals)
            found[at] = np.clip(value, *self.limits)
        return found if told is None else np.where(np.isnan(told), found, told)

    def cells(
        self, scores: Floats, symbols: Ints, known: Cells, told: Floats | None = None
    ) -> list[str]:
        """The cells, written as those of the data; an empty one where a value is missing."""
        first = 0 if self.units is None else 1
        written = [*[""] * first, *self.symbols, *([""] if self.missing else [])]
        found = [written[k] for k in symbols] if self.size else [""] * len(symbols)
        if self.units is not None:
            at = np.flatnonzero((symbols == 0) | (self.size == 0))
            own = None if told is None else told[at]
            numbers = self.values(scores[at], symbols[at], known, own)
            for i, value in zip(at, numbers, strict=True):
                found[i] = self.written(float(value), known.decimal)
        return found

    def written(self, value: float, decimal: str = ".") -> str:
        """A number as the data write it."""
        if self.kind.name == "date":
            moment = START + timedelta(seconds=value * self.kind.unit)
            return moment.strftime(self.kind.form)
        if self.decimals is None:
            return repr(value).replace(".", decimal)
        text = f"{value:.{self.decimals}f}"
        text = "0" if float(text) == 0 and not self.padded else text
        if not self.padded and "." in text:
            text = text.rstrip("0").rstrip(".")
        return text.replace(".", decimal)

    def log_slope(self, scores: Floats, symbols: Ints) -> Floats:
        """What is added to the log-density of the scores for that of the values, `(N,)`.

        Where there is no number, the density of the noise in its place is taken off.
        """
        if self.units is None:
            return np.zeros(len(symbols))
        at = (symbols == 0) | (self.size == 0)
        found = scores**2 / 2 + math.log(2 * math.pi) / 2
        found[at] = self.units.log_slope(self.units.value(scores[at]))
        return found

    # -- as plain values ------------------------------------------------------------------------

    def describe(self) -> dict[str, Any]:
        """Plain values that YAML and JSON hold."""
        found: dict[str, Any] = {"name": self.name, "kind": str(self.kind)}
        if self.symbols:
            found["symbols"] = list(self.symbols)
        if self.units is not None:
            found["units"] = self.units.describe()
        if self.missing:
            found["missing"] = True
        if self.kind.numeric:
            found["decimals"], found["padded"] = self.decimals, self.padded
            found["limits"] = list(self.limits)
        return found

    @classmethod
    def from_description(cls, described: Mapping[str, Any]) -> CodedColumn:
        """What `describe` described."""
        name, _, form = str(described["kind"]).partition(" ")
        units = described.get("units")
        low, high = described.get("limits") or (0.0, 0.0)
        return cls(
            str(described["name"]),
            Kind(name, form),
            tuple(map(str, described.get("symbols") or ())),
            None if units is None else QuantileUnits.from_description(units),
            bool(described.get("missing")),
            described.get("decimals"),
            bool(described.get("padded")),
            (float(low), float(high)),
        )


def _in_order(counts: Mapping[str, int], known: Cells) -> tuple[str, ...]:
    """Words in alphabetic order, numbers in that of numbers."""
    if any(map(known.is_text, counts)):
        return tuple(sorted(counts))
    return tuple(sorted(counts, key=known.number))


def _digits(counts: Mapping[str, int], known: Cells) -> tuple[int | None, bool]:
    """The most digits after the point of some numbers, and whether all have as many; `None` for
    powers of ten and for more digits than a column is rounded to."""
    found = set()
    for cell in counts:
        text = cell.strip().lower()
        if "e" in text:
            return None, False
        found.add(len(text.partition(known.decimal)[2]))
    most = max(found)
    return (None, False) if most > _MOST_DECIMALS else (most, len(found) == 1)
