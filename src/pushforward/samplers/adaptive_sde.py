r"""An adaptive solver of the reverse SDE, on one and the same Brownian path."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pushforward import checks
from pushforward._shapes import accumulate
from pushforward.config import configurable
from pushforward.errors import CapabilityError, InputError, SamplingError
from pushforward.processes import GenerativeProcess
from pushforward.protocols import State, Transport
from pushforward.samplers.adaptive import Adaptive, spent, worst_row
from pushforward.spaces import LinearSpace

__all__ = ["AdaptiveSDE"]


class _Path:
    """Increments of a Brownian motion, drawn as they are asked for and never forgotten.

    A rejected step must not draw its noise anew: steps are rejected more often where the noise was
    large, and forgetting it would bias the distribution (Gaines & Lyons 1997). What was drawn is
    split by a Brownian bridge (Rackauckas & Nie 2017).
    """

    def __init__(self, space: Any, x: Tensor, generator: torch.Generator | None) -> None:
        self.space, self.x, self.generator = space, x, generator
        self.known: list[tuple[float, Tensor]] = []

    def increment(self, h: float) -> Tensor:
        """The increment over the next `h > 0`."""
        taken, length = torch.zeros_like(self.x), 0.0
        while self.known and length < h * (1 - 1e-12):
            piece, w = self.known.pop()
            if length + piece > h * (1 + 1e-12):
                part = h - length
                share = part / piece
                spread = math.sqrt(share * (1 - share) * piece)
                w_part = share * w + spread * self._noise()
                self.known.append((piece - part, w - w_part))
                piece, w = part, w_part
            taken, length = taken + w, length + piece
        if length < h * (1 - 1e-12):
            taken = taken + math.sqrt(h - length) * self._noise()
        return taken

    def give_back(self, h: float, w: Tensor) -> None:
        """Return an increment whose step was rejected."""
        self.known.append((h, w))

    def _noise(self) -> Tensor:
        return self.space.randn(self.x, self.generator)


@configurable
@dataclass(frozen=True)
class AdaptiveSDE(Adaptive):
    """The reverse SDE to a tolerance: Euler-Maruyama against the stochastic Heun method.

    Both take the same noise; their difference is the error, and the better of the two goes on
    (Jolicoeur-Martineau et al. 2021). The noise of a rejected step is kept and divided by a
    Brownian bridge, without which rejections would bias the distribution. The
    worst row decides on the step.
    `State.memory` holds the next step to try and the evaluations so far.

    Args:
        rtol: the allowed error of a step relative to the state.
        atol: the allowed absolute error.
        churn: 1 for the reverse SDE; less noise between 0 and 1.
        max_evaluations: of the model, in all.

    Raises `InputError` for settings out of range, `CapabilityError` for a process without a score
    on a linear space, `SamplingError` where the solution cannot be continued or the evaluations are
    spent.
    """

    rtol: float = 0.02
    atol: float = 0.02
    churn: float = 1.0
    max_evaluations: int = field(default=100_000, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive("churn", self.churn)

    def step(
        self,
        transport: Transport,
        state: State,
        row: tuple[float, float],
        generator: torch.Generator | None = None,
    ) -> State:
        """The state at the end of the interval."""
        t, s = row
        x: Tensor = state.x
        h, evaluations = state.memory
        path = _Path(self._space(transport.process), x, generator)
        left = abs(s - t)
        step = min(h or 0.01 * left, left)
        direction = math.copysign(1.0, s - t)
        transport.process.tabulate((t, s))
        drift, scale = self._rates(transport, x, t, direction)
        evaluations += 1
        while True:
            if evaluations + 2 > self.max_evaluations:
                share = left / abs(row[1] - row[0])
                raise SamplingError(
                    spent(self.max_evaluations, share, self.rtol, self.atol, x.dtype)
                )
            last = left - step < 1e-12
            step = left if last else step
            ahead_t = s if last else t + direction * step
            w = path.increment(step)
            euler = accumulate(x, (step, scale), (drift, w))
            transport.process.tabulate((ahead_t,))
            there, scale_there = self._rates(transport, euler, ahead_t, direction)
            evaluations += 1
            # The noise has the mean of both diffusions, the drift the mean of both drifts.
            heun = accumulate(
                x, (0.5 * step, 0.5 * step, 0.5 * (scale + scale_there)), (drift, there, w)
            )
            allowed = self.atol + self.rtol * torch.maximum(x.abs(), heun.abs())
            ratio = worst_row((heun - euler).detach(), allowed.detach())
            if ratio <= 1.0:
                x, t, left = heun, ahead_t, left - step
                if last:
                    return State(x, (step, evaluations))
                drift, scale = self._rates(transport, x, t, direction)
                evaluations += 1
            else:
                path.give_back(step, w)
            factor = 0.9 * max(ratio, 1e-8) ** -0.5 if math.isfinite(ratio) else 0.2
            step = min(step * min(3.0, max(0.2, factor)), left)
            if step < 1e-12:
                raise SamplingError(
                    f"the adaptive solver got stuck at t = {t:.6g}: the model is not finite or too "
                    "rough there; stop earlier (stop=), or allow more error than "
                    f"rtol={self.rtol:g}"
                )

    def _rates(
        self, transport: Transport, x: Tensor, t: float, direction: float
    ) -> tuple[Tensor, float]:
        """The drift per unit of elapsed time, and the diffusion."""
        flow = transport.dynamics(x, t)
        g2 = self.churn * flow.g2
        if not math.isfinite(g2):
            raise InputError(
                f"the diffusion is infinite at t = {t}, where no signal is left: start the grid "
                "earlier (start=)"
            )
        drift = accumulate(direction * flow.velocity, (0.5 * g2,), (flow.score,))
        return drift, math.sqrt(g2)

    def _space(self, process: Any) -> Any:
        space = process.space if isinstance(process, GenerativeProcess) else None
        if not isinstance(space, LinearSpace):
            raise CapabilityError(
                "an adaptive solver needs a linear space and a score, not "
                f"{type(process).__name__}: use the euler or sde sampler"
            )
        return space
