"""Even steps of a coordinate of time, which may have gaps: forecasts count in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import InputError

__all__ = ["TimeStep", "positions"]

_CLOSE = 1e-3
"""How far a step may be from a multiple of the step of the data, over that step."""

_LENGTHS = {"day": 86_400, "hour": 3600, "minute": 60, "second": 1}

Kind = Literal["time", "months", "number", "row"]


@dataclass(frozen=True)
class TimeStep:
    """The time from a frame to the next one.

    Args:
        size: in nanoseconds of a `time`, in `months` of a calendar, or as a `number` in the unit of
            the coordinate; 1 of a `row` without a coordinate.
        kind: which of these.
        unit: of a number.

    >>> print(TimeStep(6 * 3600 * 10**9, "time"), "|", TimeStep(1, "months"))
    6 hours | 1 month
    """

    size: float
    kind: Kind
    unit: str = ""

    def __str__(self) -> str:
        if self.kind == "time":
            seconds = self.size / 1e9
            name = next((n for n, s in _LENGTHS.items() if seconds % s == 0), "second")
            return _counted(seconds / _LENGTHS[name], name)
        if self.kind == "months":
            return _counted(self.size, "month")
        if self.kind == "row":
            return "one row"
        return f"{self.size:g}" + (f" {self.unit}" if self.unit not in ("", "1") else "")

    def after(self, last: Any, count: int) -> NDArray[Any]:
        """The `count` times that follow one, in its type.

        >>> TimeStep(1, "months").after(np.datetime64("2000-01-31"), 2)
        array(['2000-02-29', '2000-03-31'], dtype='datetime64[D]')
        """
        steps = np.arange(1, count + 1)
        if self.kind == "time":
            whole = (steps * round(self.size)).astype("timedelta64[ns]")
            return (np.datetime64(last, "ns") + whole).astype(np.asarray(last).dtype)
        if self.kind == "months":
            return _months_after(np.datetime64(last), steps * round(self.size))
        found = np.asarray(last) + steps * self.size
        # Whole numbers of days stay whole.
        return found.astype(np.asarray(last).dtype) if float(self.size).is_integer() else found

    def between(self, values: NDArray[Any], where: str) -> NDArray[np.float64]:
        """How many of this step lie between some times and the next ones, `(N - 1,)`.

        Raises `InputError` for what are no times or numbers.

        >>> TimeStep(0.5, "number").between(np.array([0.0, 0.5, 2.0]), "x.nc")
        array([1., 3.])
        """
        months = _months(values) if self.kind == "months" else None
        if months is not None:
            return np.diff(months) / self.size
        return np.diff(_numbers(values, where)[0]) / self.size

    def describe(self) -> dict[str, Any]:
        """Plain values."""
        return {"size": self.size, "kind": self.kind, "unit": self.unit}

    @classmethod
    def from_description(cls, described: Mapping[str, Any]) -> TimeStep:
        """The step that `describe` described."""
        return cls(described["size"], described["kind"], described["unit"])


def positions(
    values: NDArray[Any], where: str, unit: str = ""
) -> tuple[TimeStep, NDArray[np.int64]]:
    """The step of some times, and which of its multiples each of them is after the first, `(N,)`.

    Rows without a missing frame between them differ by one. Months of a calendar count as even
    where they follow each other as such.

    Args:
        values: of a coordinate of time: days of numpy or of another calendar, or numbers.
        where: what errors name.
        unit: of numbers.

    Raises `InputError` for times that do not grow, that are no multiples of the commonest step
    apart, or words.

    >>> step, at = positions(np.array([0.0, 0.5, 1.0, 2.5]), "x.nc", "days")
    >>> print(step, at)
    0.5 days [0 1 2 5]
    """
    if len(values) < 2:
        raise InputError(f"{where} has {len(values)} time: a step takes two or more")
    numbers, kind = _numbers(values, where)
    steps = np.diff(numbers)
    if not (steps > 0).all():
        row = int(np.argmax(steps <= 0))
        raise InputError(
            f"{where}: the times do not grow, from {_spelled(values[row])} (row {row}) to "
            f"{_spelled(values[row + 1])}: sort them, and leave out what is there twice"
        )
    step = float(np.median(steps))
    at = numbers - numbers[0]
    off = np.abs(steps / step - np.round(steps / step))
    if kind != "number" and (months := _months(values)) is not None and off.max() > _CLOSE:
        size = int(np.median(np.diff(months)))
        if (np.diff(months) % size == 0).all() and np.diff(months).min() > 0:
            return TimeStep(size, "months"), (months - months[0]) // size
    if off.max() > _CLOSE:
        row = int(off.argmax())
        own = TimeStep(float(steps[row]), kind, unit)
        raise InputError(
            f"{where}: the step from {_spelled(values[row])} (row {row}) to "
            f"{_spelled(values[row + 1])} is {own}, and most are "
            f"{TimeStep(step, kind, unit)}: forecasts are of even steps, between which frames "
            "may lack. Resample the data, or cut that part out"
        )
    # From step to step, so that rounding of one does not add up.
    whole = np.concatenate([[0], np.cumsum(np.round(steps / step).astype(np.int64))])
    exact = float(at[-1]) / int(whole[-1])
    return TimeStep(exact if kind == "number" else float(round(exact)), kind, unit), whole


def _numbers(values: NDArray[Any], where: str) -> tuple[NDArray[np.float64], Kind]:
    if values.dtype.kind == "M":
        since = (values - values[0]).astype("timedelta64[ns]")
        return since.astype(np.int64).astype(np.float64), "time"
    if values.dtype.kind in "iuf":
        return values.astype(np.float64), "number"
    if values.dtype.kind == "O" and hasattr(values[0], "calendar"):
        # Days of calendars that numpy does not know.
        since = np.array([(value - values[0]).total_seconds() for value in values])
        return since * 1e9, "time"
    raise InputError(
        f"{where}: its times are {_spelled(values[0])!r} and the like, which are no times or "
        "numbers"
    )


def _months(values: NDArray[Any]) -> NDArray[np.int64] | None:
    """The months of times since year 0, of which each has one of its own; `None` otherwise."""
    if values.dtype.kind == "M":
        found = values.astype("datetime64[M]").astype(np.int64)
    else:
        found = np.array([12 * value.year + value.month for value in values], np.int64)
    return found if len(np.unique(found)) == len(found) else None


def _months_after(last: np.datetime64, months: NDArray[np.int64]) -> NDArray[Any]:
    """The same day and time of later months, the last day of a month after a last one."""
    first = last.astype("datetime64[M]")
    ends = last.astype("datetime64[D]") == _last_day(first)
    into = last - first.astype(last.dtype)
    later = first + months
    days = np.minimum(into, (_last_day(later) - later.astype("datetime64[D]")) + _rest(last))
    if ends:
        days = (_last_day(later) - later.astype("datetime64[D]")) + _rest(last)
    return later.astype(last.dtype) + days


def _last_day(month: Any) -> Any:
    return (month + 1).astype("datetime64[D]") - np.timedelta64(1, "D")


def _rest(last: np.datetime64) -> np.timedelta64:
    """The time of a day."""
    return last - last.astype("datetime64[D]").astype(last.dtype)


def _counted(number: float, name: str) -> str:
    return f"{number:g} {name}" + ("s" if number != 1 else "")


def _spelled(value: Any) -> str:
    if isinstance(value, np.datetime64):
        return str(value.astype("datetime64[s]")).replace("T00:00:00", "")
    return f"{value:g}" if isinstance(value, np.number) else str(value)
