"""Half-iterations: which direction is learned at which step, and when couplings are drawn anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from pushforward.config import configurable
from pushforward.errors import InputError

__all__ = ["Half", "Halves", "Refresh"]

_FEWEST, _MOST, _NUMBERS = 256, 10_000, 2**26


class Half(NamedTuple):
    """One half-iteration: its number from 0, its direction, and its first step."""

    number: int
    forward: bool
    start: int


@configurable
@dataclass(frozen=True)
class Halves:
    """A schedule of half-iterations, backward first and then in turns.

    Args:
        count: how many; the last one goes on for as long as training does.
        length: optimizer steps of each.
        first: optimizer steps of the first two, which start from nothing; `length` if `None`.

    Raises `InputError` for numbers below one.

    >>> halves = Halves(count=4, length=10, first=30)
    >>> [tuple(halves.at(step)) for step in (0, 29, 30, 60, 1000)]
    [(0, False, 0), (0, False, 0), (1, True, 30), (2, False, 60), (3, True, 70)]
    >>> halves.steps
    80
    """

    count: int = 20
    length: int = 500
    first: int | None = None

    def __post_init__(self) -> None:
        for name in ("count", "length", "first"):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            if value is not None and (not whole or value < 1):
                raise InputError(f"{name} is a whole number of at least one, not {value!r}")

    @property
    def steps(self) -> int:
        """The optimizer steps of all half-iterations."""
        return self._start(self.count)

    def at(self, step: int) -> Half:
        """The half-iteration of an optimizer step."""
        first = self.first or self.length
        index = step // first if step < 2 * first else 2 + (step - 2 * first) // self.length
        index = min(index, self.count - 1)
        return Half(index, index % 2 == 1, self._start(index))

    def _start(self, number: int) -> int:
        first = self.first or self.length
        return min(number, 2) * first + max(number - 2, 0) * self.length


@configurable
@dataclass(frozen=True)
class Refresh:
    """When cached couplings are drawn anew within a half-iteration, and how many are kept.

    Args:
        every: optimizer steps between draws; `None` draws once per half-iteration.
        rows: couplings per draw; from fewer rows of data start several paths each. `None` is
            10,000, or as many as 256 MiB hold.

    Raises `InputError` for numbers below one.

    >>> Refresh(every=100).last(250)
    200
    """

    every: int | None = None
    rows: int | None = None

    def __post_init__(self) -> None:
        for name in ("every", "rows"):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            if value is not None and (not whole or value < 1):
                raise InputError(f"{name} is a whole number of at least one, not {value!r}")

    def size(self, numbers: int) -> int:
        """How many couplings are kept, where each takes so many numbers.

        >>> Refresh().size(4), Refresh().size(2 * 3 * 64 * 64), Refresh(rows=50).size(4)
        (10000, 2730, 50)
        """
        return self.rows or max(_FEWEST, min(_MOST, _NUMBERS // numbers))

    def last(self, step: int) -> int:
        """The step of the last draw, with steps counted from the start of the half-iteration."""
        return 0 if self.every is None else step - step % self.every
