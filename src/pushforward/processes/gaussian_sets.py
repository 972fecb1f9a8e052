"""Gaussian noise on sets whose number of points is drawn first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pushforward import registry
from pushforward._precision import widest
from pushforward._random import categories, resolve
from pushforward._shapes import like, per_event_sum
from pushforward.config import configurable
from pushforward.errors import CapabilityError, InputError
from pushforward.processes.gaussian import Gaussian
from pushforward.processes.on_points import (
    NetworkSizes,
    OnPoints,
    noise_on,
    output_weight,
    read_present,
)
from pushforward.processes.process import GenerativeProcess
from pushforward.processes.reading import AffineReading, Reading
from pushforward.protocols import Time
from pushforward.schedules import VP, Schedule
from pushforward.spaces import PointCloud
from pushforward.state import EventShape

__all__ = ["GaussianSets", "SizedNoise"]


@dataclass(frozen=True)
class SizedNoise:
    """Sets of a random size with normal coordinates in the subspace of their points.

    Args:
        sizes: the chance of each size `0..slots`, `(slots + 1,)`.
        std: of the noise.
        dim: the number of coordinates.
        space: of the sets.
    """

    sizes: Tensor
    std: float
    dim: int
    space: PointCloud

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Any:
        """`n` sets, whose first slots are filled."""
        generator = resolve(seed, generator, rows=n)
        slots = len(self.sizes) - 1
        number = categories(self.sizes.to(generator.device), n, generator)
        mask = torch.arange(slots, device=number.device) < number.unsqueeze(-1)
        empty = self.space.empty(slots, self.dim)
        x = empty.x.to(mask.device).expand(n, -1, -1)
        found = empty._replace(x=x, mask=mask)
        return found._replace(x=self.std * self.space.filled(found).randn(x, generator))

    def log_prob(self, x: Any) -> Tensor:
        """The log-density of unordered sets, `log n! + log p(n) + log p(x | n)`, `(B,)`."""
        filled = self.space.filled(x)
        scaled = filled.noise_log_prob(x.x / self.std)
        size = self.sizes.to(x.x.device).log()[x.number]
        freedom = filled.freedom(self.dim)
        return torch.lgamma(x.number + 1.0) + size + scaled - freedom * math.log(self.std)


class _MeanReading(Reading[Any, Tensor]):
    """The posterior mean of all points, by an affine table."""

    def __init__(self, present: AffineReading, space: PointCloud) -> None:
        self.present, self.space = present, space

    def at(self, t: Time) -> Any:
        """The table's row."""
        return self.present.at(t)

    def time(self, row: Any) -> Time:
        """The time, or a function of the noise level."""
        return self.present.time(row)

    def seen(self, row: Any, x_t: Any) -> Any:
        """The sets, scaled by some tables."""
        return x_t._replace(x=self.present.seen(row, x_t.x))

    def network_sizes(self, event_shape: EventShape) -> NetworkSizes:
        """A vector for the position of each point, and numbers for its other coordinates."""
        (_, dim), center = event_shape[0], self.space.center
        return NetworkSizes(dim, center, 1, dim - center if center else 0, 0, self.space.kinds)

    def output_shape(self, event_shape: EventShape) -> EventShape:
        """Vectors, and numbers if there are other coordinates than positions."""
        found: EventShape = self.network_sizes(event_shape).output_shape(event_shape[0][0])
        return found

    def read(self, row: Any, output: Any, x_t: Any) -> Tensor:
        """`E[x_0 | x_t]`, `(B, slots, d)`."""
        vectors, numbers = output if len(output) == 2 else (output[0], output[0][..., :0])
        return read_present(self.present, self.space, row, vectors, numbers, x_t)


@configurable
@dataclass(frozen=True)
class GaussianSets(GenerativeProcess[Any, Any, Tensor]):
    r"""Noise on every point of a set, whose number of points stays what it is.

    Sizes are drawn first, and marks of points are numbers like coordinates, as in the equivariant
    diffusion of molecules (Hoogeboom, Satorras, Vignac & Welling 2022); `JumpDiffusion` learns
    kinds along, and sizes, which may then depend on what a model is told. The prediction is
    `E[x_0 | x_t]`, `(B, slots, d)`. Where the space has positions about their center, noise and
    predictions do, and a set of `n` points counts `center (n - 1)` degrees of freedom in its prior,
    loss and bound.

    Args:
        schedule: of the noise.
        space: sets without kinds.
        sizes: the chance of each size `0..slots`; all slots are filled if left out. `of_data`
            counts them.

    Raises `InputError` for chances that do not sum to one, and for a space with kinds.

    >>> process = GaussianSets(space=PointCloud(center=3), sizes=(0.0, 0.0, 0.5, 0.5))
    >>> x = process.prior((3, 3)).sample(100, seed=0)
    >>> x.number.unique(), float(x.x.sum(1).abs().max()) < 1e-5
    (tensor([2, 3]), True)
    """

    schedule: Schedule = field(default_factory=VP)
    space: PointCloud = field(default_factory=PointCloud)
    sizes: tuple[float, ...] = ()

    supports = frozenset({"bound", "guidance"})
    sampler = "pinned"

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", tuple(float(chance) for chance in self.sizes))
        if self.space.kinds:
            raise InputError(
                "sets with kinds have no Gaussian noise on these: give marks as coordinates, one "
                "for each kind, or take JumpDiffusion"
            )
        total = sum(self.sizes)
        if self.sizes and (min(self.sizes) < 0 or abs(total - 1) > 1e-5):
            raise InputError(f"sizes are chances that sum to one, not to {total:g}")

    @classmethod
    def of_data(
        cls, x: Any, schedule: Schedule | None = None, space: PointCloud | None = None
    ) -> GaussianSets:
        """With the sizes of some sets.

        >>> from pushforward.spaces import Points
        >>> mask = torch.tensor([[True, False], [True, True]])
        >>> GaussianSets.of_data(Points(torch.zeros(2, 2, 1), mask)).sizes
        (0.0, 0.5, 0.5)
        """
        counts = torch.bincount(x.number, minlength=x.mask.shape[1] + 1)
        sizes = tuple((counts.double() / counts.sum()).tolist())
        return cls(VP() if schedule is None else schedule, space or PointCloud(), sizes)

    @property
    def clock(self) -> Schedule:
        """The schedule."""
        return self.schedule

    @property
    def _white(self) -> Gaussian:
        return Gaussian(self.schedule)

    def _on(self, x: Any) -> Gaussian:
        return noise_on(self._white, self.space.filled(x))

    def reading(self, predict: Any = None) -> Reading:
        """By an affine table of `pushforward.parametrizations`, `v` by default."""
        table = registry.resolve("predictions", "v" if predict is None else predict)
        return _MeanReading(AffineReading(self.schedule, table), self.space)

    def prior(self, shape: EventShape, t: float = 1.0) -> SizedNoise:
        """Sizes, and normal noise, for event shapes `((slots, d), (slots,))`, or `(slots, d)`.

        Raises `InputError` for another number of slots than there are sizes for.
        """
        slots, dim = shape[0] if isinstance(shape[0], tuple) else shape
        if self.sizes and len(self.sizes) != slots + 1:
            raise InputError(
                f"there are sizes 0..{len(self.sizes) - 1}, but sets of up to {slots} points"
            )
        sizes = torch.tensor(self.sizes or (*(0.0,) * slots, 1.0))
        return SizedNoise(sizes, float(self.schedule.at(t).sigma), dim, self.space)

    def sample(self, z: Any, t: Time, generator: torch.Generator | None = None) -> Any:
        """`alpha_t z + sigma_t noise` of the points that are there."""
        return z._replace(x=self._on(z).sample(z.x, t, generator))

    def loss(self, pred: Tensor, z: Any, x_t: Any, t: Time) -> Tensor:
        """The squared error of `x_0` per degree of freedom, as one of the network's output."""
        error = self.space.filled(z).squared_norm(z.x, pred - z.x)
        return error * like(output_weight(self._white, t), error)

    def dynamics(self, pred: Tensor, x_t: Any, t: Time) -> OnPoints:
        """The flow of the points that are there."""
        filled = self.space.filled(x_t)
        return OnPoints(self._on(x_t).dynamics(pred, x_t.x, t), filled)

    def bridge(
        self,
        pred: Tensor,
        x_t: Any,
        t: float,
        s: float,
        churn: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Any:
        """A draw of the pinned kernel of each point."""
        return x_t._replace(x=self._on(x_t).bridge(pred, x_t.x, t, s, churn, generator))

    def finish(
        self, pred: Tensor, x_t: Any, t: float, generator: torch.Generator | None = None
    ) -> Any:
        """The posterior mean."""
        return x_t._replace(x=pred.to(x_t.x))

    def prior_cost(self, z: Any, t: float) -> Tensor:
        """`alpha^2 |z|^2 / (2 sigma^2)`, and what the size costs, unordered, `(B,)`."""
        slots = z.mask.shape[1]
        sizes = torch.tensor(self.sizes or (*(0.0,) * slots, 1.0)).to(z.x.device)
        if len(sizes) != slots + 1:
            raise CapabilityError(f"there are no chances for sizes up to {slots}")
        number = z.number.to(widest(z.x.device))
        size = sizes.log()[z.number].to(number) + torch.lgamma(number + 1)
        return self._white.prior_cost(z.x, t) - size

    def cost_rate(self, pred: Tensor, z: Any, x_t: Any, t: Time) -> Tensor:
        """That of the Gaussian process: errors lie in the subspace."""
        return self._white.cost_rate(pred, z.x, x_t.x, t)

    def data_cost(self, pred: Tensor, z: Any, x_t: Any, t: float) -> Tensor:
        """Minus the log-density of `N(pred, sigma^2 / alpha^2)` on the subspace."""
        k = self.schedule.at(t)
        scale = float(k.sigma) / float(k.alpha)
        error = per_event_sum(((pred - z.x).to(widest(z.x.device)) / scale).square())
        freedom = self.space.filled(z).freedom(z.x.shape[-1])
        return 0.5 * error + freedom * math.log(scale * math.sqrt(2 * math.pi))

    def tabulate(self, grid: Sequence[float]) -> None:
        """Compute the schedule on a grid at once."""
        self.schedule.tabulate(grid)
