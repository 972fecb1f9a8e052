r"""How the output of a network becomes the prediction of a process.

A reading says what the network sees and which time it is told, the shape of what it puts out, and
what that stands for: a posterior mean by the affine tables of `pushforward.parametrizations`, a
tangent vector, logits, the missing points of a set, or a tuple of these.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from pushforward._shapes import like
from pushforward.errors import InputError
from pushforward.parametrizations import AffineRow, Parametrization, read, write
from pushforward.protocols import Time
from pushforward.schedules import Schedule
from pushforward.spaces import ContinuousSpace, LinearSpace
from pushforward.state import EventShape

__all__ = ["AffineReading", "LogitsReading", "PlainReading", "Reading", "TangentReading"]


X = TypeVar("X")
P = TypeVar("P")


class Reading(ABC, Generic[X, P]):
    """What a network is asked at `(x_t, t)`, and what its answer means.

    Everything that depends on the time alone is a row, computed by `at` and looked up by samplers.
    """

    table: Parametrization | None = None
    """The affine table, where the prediction is a posterior mean: losses can be weighted by it."""

    def at(self, t: Time) -> Any:
        """The row of a time: floats for a float, tensors for a tensor."""
        return t

    def time(self, row: Any) -> Time:
        """What the network is told in the place of the time."""
        found: Time = row
        return found

    def seen(self, row: Any, x_t: X) -> Any:
        """What the network sees of a state."""
        return x_t

    @abstractmethod
    def output_shape(self, event_shape: EventShape) -> EventShape:
        """The shape of the network's output for one state, a tuple of shapes for several."""

    @abstractmethod
    def read(self, row: Any, output: Any, x_t: X) -> P:
        """The prediction of the process."""


class PlainReading(Reading[Tensor, Tensor]):
    """The output is the prediction, a tensor with `heads` times the entries of the first axis.

    Args:
        heads: how many states' worth of numbers a network puts out.
        space: to whose vectors the output is projected; all arrays are vectors by default.
    """

    def __init__(self, heads: int = 1, space: LinearSpace | None = None) -> None:
        self.heads = heads
        self.space = space if space is not None and space.subspace else None

    def output_shape(self, event_shape: EventShape) -> EventShape:
        """That of the state, `heads` times along the first axis."""
        return (self.heads * event_shape[0], *event_shape[1:])

    def read(self, row: Any, output: Tensor, x_t: Tensor) -> Tensor:
        """The output, each head of it as a vector of the space."""
        if self.space is None:
            return output
        heads = output.chunk(self.heads, 1)
        return torch.cat([self.space.project(x_t, head) for head in heads], 1)


@dataclass(frozen=True)
class AffineReading(Reading[Tensor, Tensor]):
    """The posterior mean `skip x_t + out F(in x_t, time)` of a Gaussian process.

    With a `space` the output `F` is projected to its vectors. Raises `InputError` at a time where
    the table is undefined.
    """

    schedule: Schedule
    table: Parametrization
    space: LinearSpace | None = None

    def at(self, t: Time) -> AffineRow:
        """The table's row."""
        try:
            row = self.table(self.schedule, t)
        except ZeroDivisionError:
            row = None
        if row is None or not all(isinstance(v, Tensor) or math.isfinite(v) for v in row):
            end = "signal" if isinstance(t, Tensor) or t > 0.5 else "noise"
            raise InputError(
                f"{self.table} is undefined at t = {t}, where no {end} is left: keep the grid "
                f"within {self.schedule.t_min}..{self.schedule.t_max}, or predict 'v' or 'data'"
            )
        return row

    def time(self, row: AffineRow) -> Time:
        """The time, or a function of the noise level."""
        return row.time

    def seen(self, row: AffineRow, x_t: Tensor) -> Tensor:
        """The state, scaled by some tables."""
        # Most tables leave the input as it is; one pass over the state saved per step.
        if isinstance(row.scale_in, float) and row.scale_in == 1.0:
            return x_t
        return x_t * like(row.scale_in, x_t)

    def output_shape(self, event_shape: EventShape) -> EventShape:
        """That of the state."""
        return event_shape

    def read(self, row: AffineRow, output: Tensor, x_t: Tensor) -> Tensor:
        """The posterior mean."""
        if self.space is not None and self.space.subspace:
            output = self.space.project(x_t, output)
        return read(row, output, x_t)

    def target(self, row: AffineRow, z: Tensor, x_t: Tensor) -> Tensor:
        """The output that would have been right for data `z`."""
        return write(row, z, x_t)


@dataclass(frozen=True)
class TangentReading(Reading[Tensor, Tensor]):
    """A tangent vector: what the space makes of an output shaped like the state.

    With a `schedule` it is divided by `sigma_t`, so that a score, which grows like `1 / sigma` near
    the data, asks for an output of unit size at every time.
    """

    space: ContinuousSpace
    schedule: Schedule | None = None

    def output_shape(self, event_shape: EventShape) -> EventShape:
        """That of the state."""
        return event_shape

    def read(self, row: Time, output: Tensor, x_t: Tensor) -> Tensor:
        """The tangent vector."""
        v = self.space.tangent(x_t, output)
        if self.schedule is None:
            return v
        _, sigma = self.schedule.values(row)
        return v / like(sigma, v)


@dataclass(frozen=True)
class LogitsReading(Reading[Tensor, Tensor]):
    """Logits of each site, `(B, *sites, symbols)`.

    Args:
        symbols: how many there are.
        alphabets: how many of them each site has, if that is not all: the others get no chance.
    """

    symbols: int
    alphabets: tuple[int, ...] | None = None

    def output_shape(self, event_shape: EventShape) -> EventShape:
        """One number for each symbol at each site."""
        return (*event_shape, self.symbols)

    def read(self, row: Any, output: Tensor, x_t: Tensor) -> Tensor:
        """The output, with the least of logits for symbols that a site does not have."""
        if self.alphabets is None:
            return output
        sizes = torch.tensor(self.alphabets, device=output.device)
        symbol = torch.arange(self.symbols, device=output.device)
        # Finite, so that guidance can subtract one from another.
        least = torch.finfo(output.dtype).min / 8
        return output.masked_fill(symbol >= sizes[:, None], least)
