"""A finding: one thing to know about a data set before training on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["LEVELS", "Finding", "Level", "listed"]

Level = Literal["error", "warning", "info"]
LEVELS: tuple[Level, ...] = ("error", "warning", "info")


@dataclass(frozen=True)
class Finding:
    """One thing to know about a data set.

    Args:
        level: `error` (training cannot work), `warning` (results will mislead), or `info`.
        title: the finding in a few words.
        detail: what was found, with numbers.
        advice: what to do about it.

    >>> print(Finding("info", "Few rows", "There are 80.", "Get more."))
    info: Few rows. There are 80. Get more.
    """

    level: Level
    title: str
    detail: str
    advice: str

    def __str__(self) -> str:
        return f"{self.level}: {self.title}. {self.detail} {self.advice}"


def listed(items: list[str], most: int = 4) -> str:
    """The first few of a list, in words.

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    rest = len(items) - most
    return ", ".join(items[:most]) + (f" and {rest} more" if rest > 0 else "")
