"""Couplings: which state of a source goes with which state of the target.

All of them join sets of equal size one to one, no state twice and none left out, by returning an
order: row `order[k]` of the source goes with row `k` of the target. States are not touched.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward import ot, registry, state
from pushforward._random import even_rows, resolve
from pushforward.checks import number, positive, whole
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.spaces import Manifold, Space
from pushforward.spaces.pairs import squared_distances

__all__ = [
    "Conditional",
    "Coupling",
    "Exact",
    "Independent",
    "Paired",
    "Sinkhorn",
    "Whole",
]

_SHARPNESS = 0.05
"""The strength of the entropy over the mean cost, where none is asked for."""


class Coupling(ABC):
    """A rule that joins the rows of two sets of equal size."""

    def __call__(
        self,
        source: Tensor,
        target: Tensor,
        c: Tensor | None = None,
        *,
        seed: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The order `(n,)` in which rows of the source `(n, *event)` join those of the target.

        `c` are labels or contexts of the target, one a row. Random choices follow the seed or the
        `generator`, one of the CPU. Raises `InputError` for sets of different sizes or events,
        fewer than two rows, or numbers that are not finite.

        >>> x = torch.tensor([[0.0], [5.0], [9.0]])
        >>> Exact()(x, torch.tensor([[8.0], [1.0], [4.0]]))
        tensor([2, 0, 1])
        """
        left, right = ot.checks.pair(source.detach(), target.detach(), least=2)
        if len(left) != len(right):
            raise InputError(
                f"{len(left)} rows of the source and {len(right)} of the target: a coupling joins "
                "as many with as many"
            )
        if c is not None and len(c) != len(right):
            raise InputError(f"{len(right)} rows of the target have {len(c)} labels or contexts")
        if self.in_shape:
            left, right = left.reshape(source.shape), right.reshape(target.shape)
        order = self.join(left.cpu(), right.cpu(), c, resolve(seed, generator))
        return order.to(target.device)

    @property
    def in_shape(self) -> bool:
        """Whether `join` takes states in the shape of their events, not flattened."""
        return False

    def numbers(self, space: Space, x: Any) -> Tensor:
        """What of states it goes by: their features, whose distances mean something."""
        return space.features(x)

    def pair(
        self, source: Tensor, target: Tensor, c: Tensor | None = None, *, seed: int = 0
    ) -> Tensor | None:
        """For each row of a whole target the row `(N,)` of a source; `None` to join batches."""
        return None

    @abstractmethod
    def join(
        self, source: Tensor, target: Tensor, c: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        """The order for sets `(n, d)` that have been checked, at least two rows, on the CPU."""


@configurable
@dataclass(frozen=True)
class Independent(Coupling):
    """Row by row, as they come: independent if the rows are in random orders."""

    def join(
        self, source: Tensor, target: Tensor, c: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        """No change."""
        return torch.arange(len(target))


@configurable
@dataclass(frozen=True)
class Paired(Independent):
    """Row `k` of the source with row `k` of the target: data that come in pairs."""

    def pair(
        self, source: Tensor, target: Tensor, c: Tensor | None = None, *, seed: int = 0
    ) -> Tensor:
        """The same rows. Raises `InputError` for sets of different sizes."""
        if len(source) != len(target):
            raise InputError(
                f"{len(source)} rows of the source and {len(target)} of the target are no pairs"
            )
        return torch.arange(len(target))


@configurable
@dataclass(frozen=True)
class Exact(Coupling):
    """The least sum of squared distances, exactly (Pooladian et al. 2023; Tong et al. 2024a).

    Of a batch, not of the distributions: the bias of minibatches falls with their size. It joins
    what is near whatever the labels, and so breaks the distribution of the target given `c`: see
    `Conditional`.

    Args:
        space: a manifold whose geodesic distances are meant; by default those of the numbers that
            are joined, on a sphere chords.
    """

    space: Manifold | None = None

    def numbers(self, space: Space, x: Any) -> Tensor:
        """The states themselves where their distances are geodesic."""
        return super().numbers(space, x) if self.space is None else state.flatten(x)

    @property
    def in_shape(self) -> bool:
        """For geodesic distances."""
        return self.space is not None

    def join(
        self, source: Tensor, target: Tensor, c: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        """The optimal assignment."""
        if self.space is None:
            return ot.assignment(target, source)
        squares = squared_distances(self.space, target, source)
        return ot.assignment(target.flatten(1), source.flatten(1), cost=lambda x, y: squares)


@configurable
@dataclass(frozen=True)
class Sinkhorn(Coupling):
    r"""A random one-to-one coupling with chances proportional to `exp(-cost / epsilon)`.

    The static Schrödinger bridge of two sets of points that are each used once (Harchaoui, Liu &
    Pal 2020), whose chance that `i` meets `j` tends to the entropic plan. Drawn row by row from the
    plan by `ot.sinkhorn`, without those taken, and then brought nearer to its distribution by swaps
    (Metropolis), since rows drawn late have little choice.

    Args:
        epsilon: the strength of the entropy, in squared units of the states; 0.05 times the mean
            cost by default, whatever the path. `Sinkhorn.of_bridge` has that of a bridge.
        sweeps: how often every row is offered a swap.

    Raises `InputError` for an epsilon that is not positive, or fewer than no sweeps.

    >>> x = torch.linspace(0, 9, 10)[:, None]
    >>> sorted(Sinkhorn(epsilon=1.0)(x, x + 1, seed=0).tolist()) == list(range(10))
    True
    """

    epsilon: float | None = None
    sweeps: int = 50

    def __post_init__(self) -> None:
        if self.epsilon is not None:
            positive("epsilon", self.epsilon)
        whole("sweeps", self.sweeps, least=0)

    @classmethod
    def of_bridge(cls, sigma: float, span: float = 1.0, sweeps: int = 50) -> Sinkhorn:
        """The coupling of a Schrödinger bridge, `epsilon = 2 sigma^2 span`.

        The density of its reference between both ends has `x_0 x_1 / (sigma^2 span)` for the
        exponent, beside what depends on one end alone.

        Args:
            sigma: the diffusion of the reference, in units of the states.
            span: 1 for Brownian motion, `path.span(1.0)` for another path of `processes`.
            sweeps: as for `Sinkhorn`.

        >>> Sinkhorn.of_bridge(0.5)
        Sinkhorn(epsilon=0.5, sweeps=50)
        """
        return cls(2 * positive("sigma", sigma) ** 2 * positive("span", span), sweeps)

    def join(
        self, source: Tensor, target: Tensor, c: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        """A draw."""
        clouds, epsilon = ot.PointClouds(target, source), self.epsilon
        if epsilon is None:
            epsilon = _SHARPNESS * clouds.mean_cost()
            if epsilon == 0:
                return torch.arange(len(target))
        plan = ot.sinkhorn(clouds, epsilon, tolerance=1e-2)
        # Potentials of a row or of a column change no ratio of two permutations' chances.
        logs = plan.exponents().double()
        order = _drawn(logs.exp().numpy(), generator)
        return torch.from_numpy(_swapped(order, logs.numpy(), self.sweeps, generator))


@dataclass(frozen=True)
class _Around(Coupling):
    """A coupling that has another one join rows which it has chosen."""

    coupling: str | Coupling = field(default_factory=Exact)

    def __post_init__(self) -> None:
        object.__setattr__(self, "coupling", registry.resolve("couplings", self.coupling))

    @property
    def inner(self) -> Coupling:
        """The other one."""
        assert isinstance(self.coupling, Coupling)
        return self.coupling

    def numbers(self, space: Space, x: Any) -> Tensor:
        """What the other coupling goes by."""
        return self.inner.numbers(space, x)

    @property
    def in_shape(self) -> bool:
        """As the other coupling."""
        return self.inner.in_shape


@configurable
@dataclass(frozen=True)
class Conditional(_Around):
    r"""Another coupling that leaves the distribution of the source the same under every `c`.

    A row of the source belongs to the `c` of the row that it comes with, which says nothing about
    it. Among equal labels rows are then exchanged freely. For contexts, vectors of numbers, their
    squared distance is added to the cost, `weight^2` times as large on average as the distance of
    states, so that rows meet others of nearly the same context (Kerrigan, Migliorini & Smyth 2024;
    Chemseddine et al. 2024). Without it what is joined with a label is what lies near it, and a
    model started from the whole source gives a wrong distribution of the target given `c`.

    Args:
        coupling: what joins the rows, a name or a coupling.
        weight: how strongly contexts keep apart; labels always do.

    >>> source, target = torch.tensor([[0.0], [9.0], [1.0], [8.0]]), torch.zeros(4, 1)
    >>> Conditional()(source, target, torch.tensor([0, 1, 0, 1])).tolist() in (
    ...     [0, 1, 2, 3], [2, 1, 0, 3], [0, 3, 2, 1], [2, 3, 0, 1])
    True
    """

    weight: float = 10.0

    def __post_init__(self) -> None:
        number("weight", self.weight, least=0)
        super().__post_init__()
        if isinstance(self.coupling, Conditional | Whole | Paired):
            raise InputError(f"what joins the rows is a plain coupling, not {self.coupling}")

    def join(
        self, source: Tensor, target: Tensor, c: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        """The order within each label, or among near contexts."""
        if c is None:
            return self.inner.join(source, target, None, generator)
        c = c.cpu()
        if c.is_floating_point():
            if self.in_shape:
                raise InputError(
                    "geodesic distances and those of contexts do not add up: leave space= out"
                )
            contexts = c.flatten(1).to(target)
            spread = ot.PointClouds(contexts, contexts).mean_cost()
            mean = ot.PointClouds(target, source).mean_cost()
            factor = mean / spread if spread > 0 else 0.0
            scaled = self.weight * math.sqrt(factor) * contexts
            sides = torch.cat([source, scaled], 1), torch.cat([target, scaled], 1)
            return self.inner.join(*sides, None, generator)
        order = torch.arange(len(target))
        for label in c.unique():
            rows = (c == label).nonzero()[:, 0]
            if len(rows) > 1:
                inside = self.inner.join(source[rows], target[rows], None, generator)
                order[rows] = rows[inside]
        return order


@configurable
@dataclass(frozen=True)
class Whole(_Around):
    """Another coupling of the whole training sets, once, before the training.

    No bias of small batches, but every row of the target always meets the same one of the source.
    Sets of more rows than `block` are cut at random into as few blocks as need be, each joined by
    itself.

    Args:
        coupling: what joins the rows, a name or a coupling.
        block: the largest number of rows that are joined at once; time and memory of an exact plan
            grow with its cube and its square.
    """

    block: int = 4096

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.coupling, Whole | Paired):
            raise InputError("the coupling of whole sets is a coupling of batches, not another one")
        whole("block", self.block, least=2)

    def join(
        self, source: Tensor, target: Tensor, c: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        """The order, block by block."""
        n = len(target)
        first, second = (torch.randperm(n, generator=generator) for _ in range(2))
        order = torch.empty(n, dtype=torch.long)
        for rows, others in zip(
            first.tensor_split(-(-n // self.block)),
            second.tensor_split(-(-n // self.block)),
            strict=True,
        ):
            own = None if c is None else c[rows.to(c.device)]
            order[rows] = others[self.inner.join(source[others], target[rows], own, generator)]
        return order

    def pair(
        self, source: Tensor, target: Tensor, c: Tensor | None = None, *, seed: int = 0
    ) -> Tensor:
        """For each row of the target `(N, *event)` the row `(N,)` of a source of any size.

        Rows of a smaller source are used again, as often as each other up to one; of a larger one
        some are left out, at random.
        """
        generator = torch.Generator().manual_seed(seed)
        rows = even_rows(len(target), len(source), generator)
        picked = source[rows.to(source.device)]
        return rows[self(picked, target, c, generator=generator).cpu()]


def _drawn(plan: np.ndarray, generator: torch.Generator) -> np.ndarray:
    """One column for each row, in a random order of the rows, with the chances that are left."""
    n = len(plan)
    order, free = np.empty(n, dtype=np.int64), np.ones(n)
    rows = torch.randperm(n, generator=generator).numpy()
    chances = torch.rand(n, generator=generator, dtype=torch.float64).numpy()
    for row, chance in zip(rows, chances, strict=True):
        mass = np.cumsum(plan[row] * free)
        if mass[-1] <= 1e-300:  # all that it could have met are taken
            mass = np.cumsum(free)
        column = int(np.searchsorted(mass, chance * mass[-1], side="right"))
        column = min(column, n - 1)
        if free[column] == 0:  # rounding at the end of the last free stretch
            column = int(np.flatnonzero(free)[-1])
        order[row], free[column] = column, 0.0
    return order


def _swapped(
    order: np.ndarray, logs: np.ndarray, sweeps: int, generator: torch.Generator
) -> np.ndarray:
    """A permutation of density `exp(logs)`: after Metropolis swaps of disjoint pairs of rows."""
    n = len(order)
    half = n // 2
    for _ in range(sweeps):
        rows = torch.randperm(n, generator=generator).numpy()
        i, j = rows[:half], rows[half : 2 * half]
        here, there = order[i], order[j]
        gain = logs[i, there] + logs[j, here] - logs[i, here] - logs[j, there]
        chance = torch.rand(half, generator=generator, dtype=torch.float64).numpy()
        taken = np.log(chance) < gain
        order[i], order[j] = np.where(taken, there, here), np.where(taken, here, there)
    return order
