r"""Paths between the states of a coupled pair, and what can be predicted along them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pushforward._shapes import combine
from pushforward.config import configurable
from pushforward.distributions import Normal
from pushforward.dynamics import Flow
from pushforward.errors import CapabilityError, InputError
from pushforward.processes.process import GenerativeProcess, one_prediction
from pushforward.processes.reading import PlainReading
from pushforward.protocols import Time
from pushforward.schedules import Rectified, Schedule
from pushforward.spaces import Euclidean, LinearSpace

__all__ = ["MARGIN", "Ends", "Path", "StochasticInterpolant", "inside"]

Pair = tuple[Tensor, Tensor]

MARGIN = 1e-3
"""How close to the ends coefficients are taken: at the ends themselves slopes may be infinite."""


class _Clock(Rectified):
    """Linear in time, without the ends."""

    t_min, t_max = MARGIN, 1 - MARGIN


_CLOCK = _Clock()


class Ends(NamedTuple):
    """Weights of the two ends and of the noise at one time, their slopes, and the diffusion."""

    a: Any
    b: Any
    gamma: Any
    d_a: Any
    d_b: Any
    d_gamma: Any
    g2: Any


class Path(GenerativeProcess[Tensor, Pair, Pair]):
    r"""`x_t = a_t x_0 + b_t x_1 + gamma_t noise` for a coupled pair `(x_0, x_1)`.

    `x_0` is a state of the target, at `t = 0`, and `x_1` one of the source. The prediction is the
    pair of conditional expectations `(E[x_0 | x_t], E[x_1 | x_t])`, from which velocity and score
    follow (Albergo, Boffi & Vanden-Eijnden 2023):

        velocity = a' x_0 + b' x_1 + (gamma'/gamma) (x - a x_0 - b x_1),
        score    = -(x - a x_0 - b x_1) / gamma^2.
    """

    @abstractmethod
    def ends(self, t: Time) -> Ends:
        """The path's coefficients at time `t`, floats for a float, tensors for a tensor."""

    paired = True
    space: LinearSpace = Euclidean()
    supports = frozenset({"guidance"})

    @property
    def noisy(self) -> bool:
        """Whether the path has noise of its own."""
        return bool(self.ends(0.5).gamma > 0)

    @property
    def clock(self) -> Schedule:
        """Linear, on the times at which coefficients are regular."""
        return _CLOCK

    def prior(self, shape: tuple[int, ...], t: float = 1.0) -> Any:
        """Raises `CapabilityError`: a path between two data sets starts from samples."""
        raise CapabilityError(
            "a path between pairs has no prior: start it from samples of the source (t = 1) or of "
            "the target (t = 0)"
        )

    def for_flow_matching(self) -> GenerativeProcess:
        """The same path with velocity and noise as its prediction."""
        return StochasticInterpolant(self)

    def sample(self, z: Pair, t: Time, generator: torch.Generator | None = None) -> Tensor:
        """A point of the path through the pair."""
        k = self.ends(t)
        return combine((k.a, k.b, k.gamma), (*z, self.space.randn(z[0], generator)))

    def loss(self, pred: Pair, z: Pair, x_t: Tensor, t: Time) -> Tensor:
        """The squared errors of both ends, per dimension, `(B,)`."""
        first, second = (
            self.space.squared_norm(x_t, own - end) for own, end in zip(pred, z, strict=True)
        )
        return first + second

    def dynamics(self, pred: Pair, x_t: Tensor, t: Time) -> Flow:
        """The flow and score that the two predictions imply.

        A path without noise has a velocity, `a' x_0 + b' x_1`, and no score. Raises `InputError`
        at a float time at which a noisy path has none, where the score does not exist.
        """
        k = self.ends(t)
        if not self.noisy:
            return Flow(self.space, pred, (k.d_a, k.d_b), None, 0.0)
        if isinstance(k.gamma, float) and k.gamma == 0:
            raise InputError(f"the path has no noise at t = {t}: keep the grid inside (0, 1)")
        ratio, precision = k.d_gamma / k.gamma, 1 / k.gamma**2
        return Flow(
            self.space,
            basis=(x_t, *pred),
            velocity_weights=(ratio, k.d_a - ratio * k.a, k.d_b - ratio * k.b),
            score_weights=(-precision, k.a * precision, k.b * precision),
            g2=k.g2,
        )

    def tabulate(self, grid: Sequence[float]) -> None:
        """Nothing: the coefficients of a path are cheap."""


@configurable
@dataclass(frozen=True)
class StochasticInterpolant(GenerativeProcess[Tensor, Pair, Tensor]):
    r"""A path whose prediction is `E[a' x_0 + b' x_1 | x_t]` and, if it is noisy, `E[noise | x_t]`.

        velocity = E[a' x_0 + b' x_1 | x_t] + gamma' E[noise | x_t],
        score    = -E[noise | x_t] / gamma

    (Albergo, Boffi & Vanden-Eijnden 2023, theorem 2.6). Unlike the conditional expectations of the
    ends, these exist where there is no noise, and their errors are not divided by `gamma` twice.
    Both are one tensor, one after the other along the first axis of the event. Times closer to an
    end than 0.001 count as that, so that grids may run from 1 to 0.

    >>> from pushforward.processes import Linear
    >>> StochasticInterpolant(Linear()).dynamics(
    ...     torch.ones(1, 2), torch.zeros(1, 2), 0.0
    ... ).velocity
    tensor([[1., 1.]])
    """

    path: Path

    paired = True
    sampler = "heun"
    steps = 20
    supports = frozenset({"density", "guidance"})

    @property
    def space(self) -> LinearSpace:  # type: ignore[override]
        """That of the path."""
        return self.path.space

    @property
    def takes_source(self) -> bool:  # type: ignore[override]
        """As the path does."""
        return self.path.takes_source

    @property
    def heads(self) -> int:
        """How many tensors are predicted: two for a noisy path, else one."""
        return 1 + self.path.noisy

    @property
    def grid(self) -> str:  # type: ignore[override]
        """Equal steps, or steps finer towards both ends, where the noise of a path changes fast."""
        return "sine" if self.path.noisy else "uniform"

    @property
    def clock(self) -> Schedule:
        """That of the path."""
        return self.path.clock

    @property
    def interval(self) -> tuple[float, float]:
        """All of it."""
        return 1.0, 0.0

    def prior(self, shape: tuple[int, ...], t: float = 1.0) -> Normal:
        """Standard normal: the source, where no data are given for it."""
        return Normal(shape, space=self.space)

    def reading(self, predict: Any = None) -> PlainReading:
        """The output as it is."""
        one_prediction("a path", predict, "velocity")
        return PlainReading(self.heads, self.space)

    def in_units(self, length: float) -> StochasticInterpolant:
        """The path in other units."""
        path: Any = self.path.in_units(length)
        return StochasticInterpolant(path)

    def sample(self, z: Pair, t: Time, generator: torch.Generator | None = None) -> Tensor:
        """The point of the path through a pair."""
        k = self.path.ends(inside(t))
        if self.heads == 1:
            return combine((k.a, k.b), z)
        return combine((k.a, k.b, k.gamma), (*z, self.space.randn(z[0], generator)))

    def loss(self, pred: Tensor, z: Pair, x_t: Tensor, t: Time) -> Tensor:
        """The squared errors of what is predicted, per dimension, `(B,)`.

        The noise is what is left of the state when the pair is taken away.
        """
        k = self.path.ends(inside(t))
        velocity, *noise = pred.chunk(self.heads, 1)
        loss = self.space.squared_norm(x_t, velocity - combine((k.d_a, k.d_b), z))
        if not noise:
            return loss
        drawn = combine((1 / k.gamma, -k.a / k.gamma, -k.b / k.gamma), (x_t, *z))
        return loss + self.space.squared_norm(x_t, noise[0] - drawn)

    def dynamics(self, pred: Tensor, x_t: Tensor, t: Time) -> Flow:
        """The flow, with its score if the path is noisy."""
        if not self.path.noisy:
            return Flow(self.space, (pred,), (1.0,), None, 0.0)
        parts = pred.chunk(self.heads, 1)
        k = self.path.ends(inside(t))
        return Flow(
            self.space,
            basis=parts,
            velocity_weights=(1.0, k.d_gamma),
            score_weights=(0.0, -1 / k.gamma),
            g2=k.g2,
        )

    def finish(
        self, pred: Tensor, x_t: Tensor, t: float, generator: torch.Generator | None = None
    ) -> Tensor:
        """One step along the velocity."""
        return x_t - t * self.dynamics(pred, x_t, t).velocity

    def tabulate(self, grid: Sequence[float]) -> None:
        """Nothing: the coefficients of a path are cheap."""


def inside(t: Time) -> Time:
    """A time kept away from both ends.

    >>> inside(0.0), inside(0.5)
    (0.001, 0.5)
    """
    if isinstance(t, Tensor):
        return t.clamp(MARGIN, 1 - MARGIN)
    return min(max(t, MARGIN), 1 - MARGIN)
