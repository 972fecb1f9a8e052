"""Steps that are exact given the end, corrected by what the model says after them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from pushforward import checks
from pushforward.config import configurable
from pushforward.errors import CapabilityError
from pushforward.protocols import State, Transport
from pushforward.samplers.rule import Rule

__all__ = ["CorrectedBridge"]


@configurable
@dataclass(frozen=True)
class CorrectedBridge(Rule):
    """A draw of the pinned kernel with the mean of the two predictions at its ends, and one noise.

    A step of `Ancestral` takes the data for known from `t` to `s`, so that draws of a few steps are
    too alike: of 20 steps from a point their standard deviation is 7 to 12 % too small. As in
    Heun's method, the prediction at the end of the step stands for what was learned on the way;
    the error is of second order in the step and ten times less there. Two evaluations per step, but
    for the last one, which ends in the data.

    Of processes whose `bridge` is linear in the prediction with a `bridge_gain`, such as
    `processes.PointInterpolant`. Raises `CapabilityError` for others.

    Args:
        churn: of the noise, see `Ancestral`.

    >>> from pushforward import Transport, processes, samplers
    >>> process = processes.PointInterpolant(sigma=1.0)
    >>> def model(x, t, c=None):  # of normal data, after the point 0
    ...     a, g = 1 - t, t**2 * (1 - t)
    ...     return a / (a**2 + g) * x if t < 1 else 0 * x, 0 * x
    >>> x, grid = torch.zeros(50_000, 1), [(1 - k / 10) ** 2 for k in range(11)]
    >>> sampler = CorrectedBridge()
    >>> round(samplers.run(sampler, Transport(model, process), x, grid, seed=0).std().item(), 2)
    0.95
    """

    churn: float = 1.0

    def __post_init__(self) -> None:
        checks.number("churn", self.churn, least=0, most=1)

    @property
    def evaluations(self) -> int:
        """Two per step."""
        return 2

    def step(
        self,
        transport: Transport,
        state: State,
        row: tuple[float, float],
        generator: torch.Generator | None = None,
    ) -> State:
        """The state at `s`, from that at `t`."""
        (model, process), x, (t, s) = transport, state.x, row
        known: Any = process
        if not hasattr(known, "bridge_gain"):
            raise CapabilityError(
                f"the steps of {type(process).__name__} are not corrected: use ddpm, or sde"
            )
        pred = model(x, t)
        ahead = known.bridge(pred, x, t, s, self.churn, generator)
        if s == 0:
            return State(ahead)
        there = model(ahead, s)
        half = 0.5 * known.bridge_gain(t, s, self.churn)
        return State(torch.add(ahead, there[0] - pred[0], alpha=half))
