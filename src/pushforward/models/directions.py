"""The two networks of a bridge, one for each direction, and the averages of their weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pushforward.errors import InputError
from pushforward.models.parameter_vector import flattened, frozen, put_back
from pushforward.models.predictor import Predictor
from pushforward.processes.reading import PlainReading, Reading
from pushforward.protocols import Time
from pushforward.schrodinger import Control

__all__ = ["NUMBERS_AT_ONCE", "Directions"]

NUMBERS_AT_ONCE = 2**19
"""Numbers that go through a simulating network at once, whose activations take more."""

_SYMBOL = 16
"""Numbers that a symbol counts as, which goes through a network as a vector."""


class Directions(nn.Module):
    """The controls of both directions, learned in turns.

    The weights that learn are averaged (EMA) within an outer iteration. The average of a direction
    stays as it is while the other learns, also where both share a network that goes on changing; it
    simulates, and it is what maps states when training is over.

    Args:
        networks: one for each direction, forward first, or one for both, told the direction as a
            label, 0 forward and 1 backward.
        ema: the decay of the averages.
        reading: what their outputs mean; controls as they are by default.
    """

    has_average: Tensor

    def __init__(
        self, networks: list[nn.Module], ema: float, reading: Reading | None = None
    ) -> None:
        super().__init__()
        self.ema = ema
        self._copies: dict[bool, _Copy] = {}
        self.predictors = nn.ModuleList(
            Predictor(net, reading or PlainReading()) for net in networks
        )
        for forward in (True, False):
            self.register_buffer(_name(forward), flattened(self.network(forward)))
        # Forward first.
        self.register_buffer("has_average", torch.zeros(2, dtype=torch.bool))

    @property
    def shared(self) -> bool:
        """Whether one network serves both directions."""
        return len(self.predictors) == 1

    def network(self, forward: bool) -> nn.Module:
        """The network of a direction."""
        found: nn.Module = self._predictor(forward).net
        return found

    def average(self, forward: bool) -> Tensor:
        """The averaged weights of a direction, in one vector."""
        return self.get_buffer(_name(forward))

    def control(
        self,
        forward: bool,
        context: Tensor | None = None,
        *,
        learning: bool = False,
        watch: Callable[[Time], None] | None = None,
    ) -> Control:
        """What the network of a direction says of states in their `context`, one row each.

        By its average, for as many states at a time as memory holds; or by the weights that learn.
        A `watch` is called with the time before each of these parts.
        """
        averaged = not learning and bool(self.has_average[int(not forward)])
        predictor = self.averaged(forward) if averaged else self._predictor(forward)

        def part(x: Tensor, t: Time, rows: slice) -> Tensor:
            if watch is not None:
                watch(t)
            told = None if context is None else context[rows]
            if self.shared:
                told = torch.full((len(x),), int(not forward), device=x.device)
            found: Tensor = predictor(x, t, told)
            return found

        def control(x: Tensor, t: Time) -> Tensor:
            size = _at_once(x) if averaged and len(x) else 0
            if not size or len(x) <= size:
                return part(x, t, slice(None))
            parts = [slice(k, k + size) for k in range(0, len(x), size)]
            times = [t[rows] if isinstance(t, Tensor) and t.ndim else t for rows in parts]
            each = zip(parts, times, strict=True)
            return torch.cat([part(x[rows], time, rows) for rows, time in each])

        return control

    def averaged(self, forward: bool) -> Predictor:
        """The network with the averaged weights of a direction, copied when these have changed."""
        predictor = self._predictor(forward)
        state = [self.average(forward), *predictor.net.buffers()]
        known = self._copies.get(forward)
        if known is not None and known.is_of(state):
            return known.predictor
        found = Predictor(frozen(predictor.net, state[0]), predictor.reading)
        if not any(t.is_inference() for t in state):
            self._copies[forward] = _Copy(found, state, [t._version for t in state])
        return found

    def start_average(self, forward: bool) -> None:
        """Begin the average of a direction at the weights of its network."""
        self.average(forward).copy_(flattened(self.network(forward)))
        self.has_average[int(not forward)] = True

    def update_average(self, forward: bool, steps: int) -> None:
        """Take in the weights after so many steps, with a shorter memory in the first ones."""
        decay = min(self.ema, steps / (9 + steps))
        self.average(forward).lerp_(flattened(self.network(forward)), 1 - decay)

    @torch.no_grad()
    def copy(self, other: Directions, first: bool = False) -> None:
        """Go on from other networks of the same sizes, as if both directions had learned.

        `first` is whether forward learns first. Raises `InputError` for networks that differ.
        """
        mine, theirs = (
            [*d.predictors.parameters(), *d.predictors.buffers()] for d in (self, other)
        )
        if self.shared != other.shared or [t.shape for t in mine] != [t.shape for t in theirs]:
            raise InputError("the other bridge has other networks: make them with the same sizes")
        for ours, buffer in zip(self.predictors.buffers(), other.predictors.buffers(), strict=True):
            ours.copy_(buffer)
        # A shared network ends with the direction that it learns first.
        for forward in (not first, first):
            known = bool(other.has_average[int(not forward)])
            vector = other.average(forward) if known else flattened(other.network(forward))
            self.average(forward).copy_(vector)
            put_back(self.network(forward), self.average(forward))
        self.has_average.fill_(True)

    def _predictor(self, forward: bool) -> Predictor:
        found = self.predictors[0 if forward else -1]
        assert isinstance(found, Predictor)
        return found


class _Copy(NamedTuple):
    """A copy of a network, and the tensors that it was made from, as they were."""

    predictor: Predictor
    state: list[Tensor]
    versions: list[int]

    def is_of(self, state: list[Tensor]) -> bool:
        """Whether it was made from these tensors, none of which was written to since."""
        rows = zip(state, self.state, self.versions, strict=True)
        return all(now is then and now._version == version for now, then, version in rows)


def _at_once(x: Tensor) -> int:
    """How many of some states go through a network together."""
    each = x[0].numel() * (1 if x.is_floating_point() else _SYMBOL)
    return max(1, NUMBERS_AT_ONCE // max(1, each))


def _name(forward: bool) -> str:
    return "average_forward" if forward else "average_backward"
