r"""The probability flow as an ordinary differential equation in smooth coordinates.

A solver of higher order needs a velocity with derivatives. In time it has as many as the schedule
has, and the rate of a chain jumps at every step. But schedules differ by their clock and scale
only: with the noise share `w = sigma / (alpha + sigma)` and `z = x / (alpha + sigma)`,

    dz/dw = (z - E[x_0 | x_t]) / w

for each of them: the flow of straight lines from data to noise, `z = (1 - w) x_0 + w noise` (Liu,
Gong & Liu 2023; on the invariance to the schedule see Kingma et al. 2021, section 5.1). It is
smooth wherever the posterior mean is a smooth function of the state and the noise level, also where
no signal is left (`w = 1`), and conditional paths stay straight.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pushforward._autograd import divergence, hutchinson
from pushforward._shapes import combine
from pushforward.dynamics import Flow
from pushforward.errors import CapabilityError, InputError
from pushforward.protocols import Transport
from pushforward.schedules import Schedule

__all__ = ["FlowODE", "RectifiedODE", "TimeODE", "noise_share"]


class FlowODE(ABC):
    """The flow `dz/dw = velocity(z, w)` of a transport, between two of its times.

    `clock` takes a time to `w`, and a state there is `scale` times `z`.
    """

    @abstractmethod
    def clock(self, t: float) -> float:
        """The value of `w` at a time of the process."""

    @abstractmethod
    def scale(self, t: float) -> float:
        """What `z` is multiplied by to be the state at a time."""

    @abstractmethod
    def prepare(self, clock: Sequence[float]) -> None:
        """Compute once what the evaluations at some `w` need of the schedule."""

    @abstractmethod
    def velocity(self, z: Tensor, w: float) -> Tensor:
        """`dz/dw`, `(B, *event)`, one evaluation of the model."""

    def enter(self, x: Any, t: float) -> Tensor:
        """The coordinates of a state at a time."""
        scale = self.scale(t)
        return x if scale == 1.0 else x / scale

    def leave(self, z: Tensor, t: float) -> Any:
        """The state of coordinates at a time."""
        scale = self.scale(t)
        return z if scale == 1.0 else z * scale

    def directions(self, z: Tensor) -> Tensor:
        """A tensor `(B, ...)` with an entry for each independent direction of the states."""
        return z

    def divergence(self, z: Tensor, w: float) -> tuple[Tensor, Tensor]:
        """The velocity and its divergence `(B,)`, a backward pass per direction."""
        return divergence(partial(self.velocity, w=w), z)

    def estimates(self, z: Tensor, w: float, probes: Tensor) -> tuple[Tensor, Tensor]:
        """The velocity and an estimate of its divergence for each probe, `(P, B)`.

        Probes `(P, B, ...)` are shaped like `directions`.
        """
        return hutchinson(partial(self.velocity, w=w), z, probes)


class TimeODE(FlowODE):
    """The flow of any process on a linear space, in its own time and state."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def clock(self, t: float) -> float:
        """The time itself."""
        return t

    def scale(self, t: float) -> float:
        """One."""
        return 1.0

    def prepare(self, clock: Sequence[float]) -> None:
        """Tabulate the process."""
        self.transport.process.tabulate(clock)

    def velocity(self, z: Tensor, w: float) -> Tensor:
        """The velocity of the process. Raises `CapabilityError` if it is not one of a vector."""
        flow = self.transport.dynamics(z, w)
        if not (isinstance(flow, Flow) and flow.space.linear):
            raise CapabilityError(
                "a solver of higher order needs a flow, not "
                f"{type(self.transport.process).__name__}: use the euler sampler"
            )
        return flow.velocity


class RectifiedODE(FlowODE):
    """The flow of a Gaussian process, straightened: see the head of this file.

    Args:
        transport: a model and its `Gaussian` process.
        times: times of the process that are met exactly, the ends of the solution.

    Raises `InputError` for a time without noise.
    """

    def __init__(self, transport: Transport, times: Sequence[float]) -> None:
        self.model, self.process = transport
        self.schedule: Schedule = self.process.schedule
        self.process.tabulate(times)
        self.first, self.last = min(times), max(times)
        self._times = {self.clock(t): t for t in times}

    def clock(self, t: float) -> float:
        """The share of the noise, `sigma / (alpha + sigma)`."""
        return noise_share(self.schedule, t)

    def scale(self, t: float) -> float:
        """`alpha + sigma`."""
        alpha, sigma = self.schedule.values(t)
        return float(alpha + sigma)

    def prepare(self, clock: Sequence[float]) -> None:
        """Find the times of the process, all at once."""
        missing = [w for w in clock if w not in self._times]
        if not missing:
            return
        shares = torch.tensor(missing, dtype=torch.float64)
        found = self.schedule.time_at_log_snr(2 * (torch.log1p(-shares) - shares.log()))
        # Rounding may not lead beyond the ends, where the model is not asked.
        times = found.clamp(self.first, self.last).tolist()
        self.process.tabulate(times)
        self._times.update(zip(missing, times, strict=True))

    def velocity(self, z: Tensor, w: float) -> Tensor:
        """`(z - E[x_0 | x_t]) / w`."""
        self.prepare((w,))
        t = self._times[w]
        return combine((1 / w, -1 / w), (z, self.model(self.leave(z, t), t)))


def noise_share(schedule: Schedule, t: float) -> float:
    """`sigma / (alpha + sigma)` at a time: 0 is data, 1 is noise, and 1/2 is as much of each.

    Raises `InputError` where there is no noise, and so no flow.
    """
    alpha, sigma = schedule.values(t)
    if sigma == 0:
        raise InputError(f"no noise at t = {t}, so no flow: stop at {schedule.t_min}")
    return float(sigma / (alpha + sigma))
