"""A transport whose clock runs the other way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from pushforward.protocols import Time, Transport

__all__ = ["reversal"]


@dataclass(frozen=True)
class _Reversed:
    """A process of continuous states at `1 - t`, where all velocities are opposite."""

    process: Any

    def tabulate(self, grid: Sequence[float]) -> None:
        self.process.tabulate([1 - t for t in grid])

    def dynamics(self, pred: Any, x_t: Tensor, t: Time) -> Any:
        flow = self.process.dynamics(pred, x_t, 1 - t)
        return replace(flow, velocity_weights=tuple(-w for w in flow.velocity_weights))


def reversal(transport: Transport) -> Transport:
    """The same laws in the opposite order, for what wants the data at `t = 0`.

    >>> import torch
    >>> from pushforward.processes import Bridge
    >>> there = Transport(lambda x, t, c=None: (0 * x, 0 * x + 1), Bridge())
    >>> [flow.dynamics(torch.zeros(1), 0.5).velocity.item() for flow in (there, reversal(there))]
    [1.0, -1.0]
    """

    def model(x_t: Any, t: Time, c: Any = None) -> Any:
        return transport.model(x_t, 1 - t, c)

    return Transport(model, _Reversed(transport.process))
