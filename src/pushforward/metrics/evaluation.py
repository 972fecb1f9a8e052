"""The table that an evaluation ends in: each number beside what real data reach."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

from pushforward.errors import InputError
from pushforward.metrics.estimate import Estimate

__all__ = ["Better", "Evaluation", "Row"]

Better = Literal["lower", "higher", "floor"]


@dataclass(frozen=True)
class Row:
    """One measured quantity.

    Args:
        name: what was measured.
        value: the measurement of the samples against held-out data.
        stderr: its standard error.
        floor: the same measurement of training data in the place of the samples, which is what a
            perfect model would reach; `None` if there is no such thing.
        floor_stderr: the standard error of the floor.
        better: whether `lower` or `higher` is better, or closer to the `floor`.
        note: how to read it, in a few words.
        unit: of value and floor; empty for shares.
        converged: whether value and standard error can be trusted.

    >>> row = Row("sliced W2", 0.30, 0.03, 0.10, 0.04, "lower")
    >>> round(row.excess, 6)
    4.0
    """

    name: str
    value: float
    stderr: float
    floor: float | None = None
    floor_stderr: float | None = None
    better: Better = "lower"
    note: str = ""
    unit: str = ""
    converged: bool = True

    @property
    def estimate(self) -> Estimate:
        """The measurement with its error, as it is printed."""
        return Estimate(self.value, self.stderr, 0, self.converged)

    @property
    def excess(self) -> float | None:
        """How much worse than the floor, in standard errors of the difference; `None` without.

        Negative where the samples look better than real data. Both share the held-out points, so
        that the difference is known somewhat better than this says.
        """
        if self.floor is None or self.floor_stderr is None:
            return None
        spread = math.hypot(self.stderr, self.floor_stderr)
        difference = self.value - self.floor
        if self.better == "higher":
            difference = -difference
        elif self.better == "floor":
            difference = abs(difference)
        if spread == 0:
            return math.copysign(math.inf, difference) if difference else 0.0
        return difference / spread


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Args:
        rows: the measurements.
        warnings: what a reader should know before trusting or using the samples.
        points: how many points on each side the distances were measured with.
        samples, test, train: how many points were given.
        seed: of all draws.

    >>> result = Evaluation((Row("NLL", 1.5, 0.25, unit="nats"),), (), 100, 100, 100, 900, seed=0)
    >>> result["NLL"].value
    1.5
    >>> Evaluation.from_dict(result.to_dict()) == result
    True
    """

    rows: tuple[Row, ...]
    warnings: tuple[str, ...]
    points: int
    samples: int
    test: int
    train: int
    seed: int

    def __getitem__(self, name: str) -> Row:
        """The row of that name. Raises `InputError` naming those there are."""
        for row in self.rows:
            if row.name == name:
                return row
        raise InputError(f"no row {name!r}; there are {', '.join(row.name for row in self.rows)}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values only, for JSON."""
        plain = dataclasses.asdict(self)
        return {**plain, "rows": list(plain["rows"]), "warnings": list(self.warnings)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Evaluation:
        """The evaluation that `to_dict` described. Raises `InputError` for anything else."""
        try:
            rows = tuple(Row(**row) for row in values["rows"])
            rest = {key: value for key, value in values.items() if key != "rows"}
            return cls(rows=rows, **{**rest, "warnings": tuple(values["warnings"])})
        except (TypeError, KeyError) as error:
            raise InputError(f"this is not a saved evaluation: {error}") from error

    @property
    def _title(self) -> str:
        return (
            f"{self.samples:,} samples, {self.test:,} held-out and {self.train:,} training points; "
            f"distances from {self.points:,} of each"
        )

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """The table, for a notebook."""
        head, *body = (
            "".join(f"<{tag} style='text-align: left'>{escape(cell)}</{tag}>" for cell in cells)
            for tag, cells in (("th", _HEADER), *(("td", _cells(row)) for row in self.rows))
        )
        rows = "".join(f"<tr>{line}</tr>" for line in body)
        said = "".join(f"<p>⚠ {escape(warning)}</p>" for warning in self.warnings)
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        return f"<p>{escape(self._title)}</p>{table}{said}"

    def __str__(self) -> str:
        title = self._title
        body = [_HEADER, *(_cells(row) for row in self.rows)]
        widths = [max(len(line[i]) for line in body) for i in range(len(_HEADER))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in body
        ]
        return "\n".join([title, "", *lines, *(f"\n! {warning}" for warning in self.warnings)])


_HEADER = ("", "samples", "real data", "better", "")


def _cells(row: Row) -> tuple[str, ...]:
    value = str(row.estimate)
    floor = "-"
    if row.floor is not None:
        floor = str(Estimate(row.floor, row.floor_stderr or 0.0, 0))
    better = "as real" if row.better == "floor" else row.better
    return (row.name, f"{value} {row.unit}".rstrip(), floor, better, row.note)
