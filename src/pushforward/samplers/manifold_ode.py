r"""The probability flow on manifolds and on products of spaces.

Extended by `v(z) = v(nearest(z))` the flow is one of the vector space of the coordinates that
leaves the manifold invariant. Any solver keeps its order on it, if its states are projected when
they leave (Hairer, Lubich & Wanner 2006, IV.4). Divergences are those of the metric,

    div v = sum_i <e_i, D v[e_i]> + v(log density of the volume),

in an orthonormal frame `e`. The second term is zero where the coordinates embed the space
isometrically; the first takes derivatives along tangent vectors alone, so that it does not matter
how a network continues off the manifold.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pushforward import state
from pushforward._autograd import quadratic_forms
from pushforward.dynamics import Flow, Parallel
from pushforward.errors import CapabilityError, InputError
from pushforward.protocols import GaussianKernels, Transport, follows
from pushforward.samplers.ode import FlowODE, RectifiedODE, TimeODE
from pushforward.samplers.subspace_ode import SubspaceODE
from pushforward.spaces import ContinuousSpace, LinearSpace, Product, Space

__all__ = ["ManifoldODE", "flow_ode", "velocities"]


class ManifoldODE(TimeODE):
    """The flow in the coordinates around the space, those of several factors side by side.

    Angles are not wrapped on the way. Raises `CapabilityError` for a factor that is jumped in.
    """

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport)
        self.spaces = _factors(transport.process.space)
        self.shape: state.EventShape | None = None

    def enter(self, x: Any, t: float) -> Tensor:
        """The coordinates."""
        self.shape = state.event_shape(x)
        return state.flatten(x)

    def leave(self, z: Tensor, t: float) -> Any:
        """The nearest states."""
        return self._state(self._nearest(z))

    def velocity(self, z: Tensor, w: float) -> Tensor:
        """The velocity at the nearest states."""
        return self._along(self._nearest(z), w)

    def directions(self, z: Tensor) -> Tensor:
        """As many numbers as the space has dimensions."""
        return z.new_zeros(len(z), sum(self._dimensions(z)))

    def divergence(self, z: Tensor, w: float) -> tuple[Tensor, Tensor]:
        """By the whole frame."""
        size = sum(self._dimensions(z))
        numbers = torch.eye(size, dtype=z.dtype, device=z.device).unsqueeze(1)
        v, forms = self.estimates(z, w, numbers.expand(size, len(z), size))
        # Each of the estimates has the slope of the volume, the sum of the forms has it once.
        return v, forms.sum(0) - (size - 1) * self._volume_slope(self._nearest(z), v)

    def estimates(self, z: Tensor, w: float, probes: Tensor) -> tuple[Tensor, Tensor]:
        """By vectors of the frame with random coordinates `(P, B, p)`.

        Unbiased at each time; where a frame jumps, as on spheres where the first coordinate changes
        its sign, so does an estimate along the path, and the error of a grid is larger.
        """
        x = self._nearest(z)
        vectors, covectors = [], []
        pairs = zip(
            self.spaces, self._leaves(x), probes.split(self._dimensions(z), -1), strict=True
        )
        for space, own, numbers in pairs:
            frame = space.frame(own)
            e = torch.einsum("pbk,bk...->pb...", numbers, frame)
            vectors.append(e.flatten(2))
            covectors.append(torch.stack([space.covector(own, one) for one in e]).flatten(2))
        up, down = (torch.cat(found, -1) for found in (vectors, covectors))
        shape = (len(probes), *x.shape)
        v, forms = quadratic_forms(
            partial(self._along, w=w), x, up.reshape(shape), create_graph=False,
            covectors=down.reshape(shape),
        )  # fmt: skip
        v = v.detach()
        return v, forms + self._volume_slope(x, v)

    def _volume_slope(self, x: Tensor, v: Tensor) -> Tensor:
        """That of all factors, `(B,)`."""
        parts = zip(self.spaces, self._leaves(x), self._leaves(v), strict=True)
        return torch.stack([space.volume_slope(own, along) for space, own, along in parts]).sum(0)

    def _along(self, x: Tensor, w: float) -> Tensor:
        """The velocity at coordinates of states."""
        return state.flatten(velocities(self.transport.dynamics(self._state(x), w)))

    def _nearest(self, z: Tensor) -> Tensor:
        parts = zip(self.spaces, self._leaves(z), strict=True)
        return state.flatten(tuple(space.nearest(own) for space, own in parts)).reshape(z.shape)

    def _dimensions(self, z: Tensor) -> list[int]:
        pairs = zip(self.spaces, self._leaves(z), strict=True)
        return [space.dimension(tuple(own.shape[1:])) for space, own in pairs]

    def _leaves(self, z: Tensor) -> list[Tensor]:
        return state.leaves(self._state(z))

    def _state(self, z: Tensor) -> Any:
        """Coordinates as states."""
        if self.shape is None:
            raise InputError("coordinates have no shape before states have entered")
        return state.unflatten(z, self.shape)


def _factors(space: Space) -> list[ContinuousSpace]:
    """The spaces of the tensors of a state, in order."""
    if isinstance(space, Product):
        return [own for factor in space.factors for own in _factors(factor)]
    if isinstance(space, ContinuousSpace):
        return [space]
    raise CapabilityError(f"{space} is jumped in: a solver of flows, or a density, needs a flow")


def velocities(dynamics: Any) -> Any:
    """The velocity of a flow, or those of parallel ones."""
    if isinstance(dynamics, Parallel):
        return tuple(velocities(own) for own in dynamics.factors)
    if isinstance(dynamics, Flow):
        return dynamics.velocity
    raise CapabilityError(
        f"{type(dynamics).__name__} jumps: a solver of flows, or a density, needs a flow"
    )


def flow_ode(transport: Transport, times: Sequence[float]) -> FlowODE:
    """The flow of a transport in the coordinates in which it is smooth.

    >>> from pushforward import processes, schedules
    >>> process = processes.Gaussian(schedules.Chain((0.36,)))
    >>> ode = flow_ode(Transport(lambda x, t, c=None: 0.8 * x, process), [1.0])
    >>> round(ode.clock(1.0), 6), round(ode.scale(1.0), 6)
    (0.428571, 1.4)
    """
    space, rectified = transport.process.space, follows(transport.process, GaussianKernels)
    curved = isinstance(space, ContinuousSpace) and not space.linear
    if (curved or isinstance(space, Product)) and not rectified:
        return ManifoldODE(transport)
    ode = RectifiedODE(transport, times) if rectified else TimeODE(transport)
    if isinstance(space, LinearSpace) and space.subspace:
        return SubspaceODE(ode, space)
    return ode
