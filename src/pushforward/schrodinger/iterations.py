"""Outer iterations: which half-bridge is learned at which step, and when couplings are redrawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

from pushforward import checks
from pushforward.config import configurable
from pushforward.errors import InputError

__all__ = ["CouplingCache", "HalfBridge", "OuterIterations"]

_FEWEST, _MOST, _NUMBERS = 256, 10_000, 2**26


class HalfBridge(NamedTuple):
    """One outer iteration: its number from 0, the direction it learns, and its first step."""

    number: int
    forward: bool
    start: int


@configurable
@dataclass(frozen=True)
class OuterIterations:
    """The outer iterations of a Schrödinger bridge: each learns one direction, a half-bridge.

    Backward first, from the target to the source, and then in turns (Algorithm 1 of Shi et al.
    2023). With `first="forward"` and a method that starts from its reference, the first one
    reverses the noising of data and is a diffusion model by itself, which the others improve (De
    Bortoli et al. 2021).

    Args:
        count: how many; the last one goes on for as long as training does.
        steps: optimizer steps of each.
        first_steps: optimizer steps of the first two, which start from nothing; `steps` if `None`.
        first: the direction that is learned first, `backward` or `forward`.

    Raises `InputError` for numbers below one, or another direction.

    >>> iterations = OuterIterations(count=4, steps=10, first_steps=30)
    >>> [tuple(iterations.at(step)) for step in (0, 29, 30, 60, 1000)]
    [(0, False, 0), (0, False, 0), (1, True, 30), (2, False, 60), (3, True, 70)]
    >>> iterations.total_steps
    80
    """

    count: int = 20
    steps: int = 500
    first_steps: int | None = None
    first: Literal["backward", "forward"] = "backward"

    @classmethod
    def sharing(cls, count: int, steps: int | None) -> Self:
        """So many that share the steps of a training, if these are known.

        Raises `InputError` for fewer steps than iterations.
        """
        if steps is None:
            return cls(count)
        if steps < count:
            raise InputError(
                f"{steps} steps do not make {count} outer iterations of a step or more: take "
                f"steps={count} at least, or fewer iterations"
            )
        return cls(count, steps // count)

    def __post_init__(self) -> None:
        checks.one_of("first", self.first, ("backward", "forward"))
        checks.whole("count", self.count)
        checks.whole("steps", self.steps)
        if self.first_steps is not None:
            checks.whole("first_steps", self.first_steps)

    @property
    def total_steps(self) -> int:
        """The optimizer steps of all of them: what `fit` takes as `steps`."""
        return self._start(self.count)

    def at(self, step: int) -> HalfBridge:
        """The half-bridge that is learned at an optimizer step."""
        first = self.first_steps or self.steps
        index = step // first if step < 2 * first else 2 + (step - 2 * first) // self.steps
        index = min(index, self.count - 1)
        return HalfBridge(index, self.forward(index), self._start(index))

    def forward(self, number: int) -> bool:
        """Whether an outer iteration learns the way forward, to the target."""
        return (number % 2 == 0) == (self.first == "forward")

    def _start(self, number: int) -> int:
        first = self.first_steps or self.steps
        return min(number, 2) * first + max(number - 2, 0) * self.steps


@configurable
@dataclass(frozen=True)
class CouplingCache:
    """How many simulated couplings are kept, and when they are simulated anew.

    Args:
        refresh_every: optimizer steps between simulations within an outer iteration; `None`
            simulates once per outer iteration. Couplings that no network simulates, in the first
            one of `dsbm-imf` and `dsbm-ipf`, are drawn anew every 20 steps at least.
        rows: couplings per simulation; from fewer rows of data start several paths each. `None` is
            10,000, or as many as 256 MiB hold.

    Raises `InputError` for numbers below one.

    >>> CouplingCache(refresh_every=100).last_refresh(250)
    200
    """

    refresh_every: int | None = None
    rows: int | None = None

    def __post_init__(self) -> None:
        for name in ("refresh_every", "rows"):
            value = getattr(self, name)
            if value is not None:
                checks.whole(name, value)

    def size(self, numbers: int) -> int:
        """How many couplings are kept, where each takes so many numbers.

        >>> [CouplingCache().size(n) for n in (4, 2 * 3 * 64 * 64)], CouplingCache(rows=50).size(4)
        ([10000, 2730], 50)
        """
        return self.rows or max(_FEWEST, min(_MOST, _NUMBERS // numbers))

    def last_refresh(self, step: int) -> int:
        """The step of the last simulation, counted from the start of the outer iteration."""
        return 0 if self.refresh_every is None else step - step % self.refresh_every
