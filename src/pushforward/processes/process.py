"""What a model needs of a process beside its steps: a clock, and how a network is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, Literal, TypeVar

import torch
from torch import Tensor

from pushforward.errors import CapabilityError, InputError
from pushforward.processes.reading import Reading
from pushforward.protocols import Distribution, Dynamics, Time
from pushforward.schedules import Schedule
from pushforward.spaces import Space
from pushforward.times import StratifiedTimes, TimeDistribution

__all__ = ["GenerativeProcess", "Support", "one_prediction"]

X = TypeVar("X")
Z = TypeVar("Z")
P = TypeVar("P")

Support = Literal["density", "bound", "guidance", "denoised"]
"""What a model of the process can do.

`density`: the probability flow has a divergence, and the prior a density, so that log-densities
follow. `bound`: log-probabilities, or log-densities, have a lower bound (`protocols.Evidenced`).
`guidance`: predictions may be combined linearly. `denoised`: the prediction is a state, the
expected data.
"""


class GenerativeProcess(ABC, Generic[X, Z, P]):
    """Distributions `p_t` from data at `t = 0` to a prior, or a source, at `t = 1`.

    Beside what a sampler asks of it (`pushforward.protocols.Process`), a process says on which
    clock it runs, how the output of a network becomes its prediction, and what such a model can do,
    so that one `Diffusion` and one `FlowMatching` serve every space.

    Generic in its states `X`, in what it is tractable given, `Z` (data, or a pair), and in its
    prediction `P`: `Gaussian` is a `GenerativeProcess[Tensor, Tensor, Tensor]`.
    """

    space: Space[X]
    """Where the states are."""

    paired: bool = False
    """The endpoint variable is a pair `(x_0, x_1)` of data and a draw of the source."""

    takes_source: bool = True
    """A process between pairs can start from any data, not from its prior alone."""

    supports: frozenset[Support] = frozenset()
    """What a model of it can do beside drawing."""

    loss_bounds: bool = False
    """Whether the mean loss at even times is minus a lower bound of the log-probability, in nats,
    but for what the ends of the time cost."""

    sampler: str = "euler"
    """The short name of the sampler that suits it."""

    grid: str = "uniform"
    """The short name of the grid that suits it."""

    steps: int = 100
    """Steps that suit the sampler."""

    @property
    @abstractmethod
    def clock(self) -> Schedule:
        """How much of the data is left at each time, and the interval on which a model learns."""

    @property
    def interval(self) -> tuple[float, float]:
        """The first and the last time of a sampler, from the prior to the data."""
        return self.clock.t_max, self.clock.t_min

    def times(self, event_shape: Any) -> TimeDistribution:
        """The training times that suit a flow from the prior to events of a shape."""
        return StratifiedTimes()

    @abstractmethod
    def prior(self, shape: Any, t: float = 1.0) -> Distribution[X]:
        """The distribution at a late time for events of a shape. Raises `CapabilityError` for a
        process that starts from data."""

    @abstractmethod
    def sample(self, z: Z, t: Time, generator: torch.Generator | None = None) -> X:
        """`x_t ~ p_t(. | z)`."""

    @abstractmethod
    def loss(self, pred: P, z: Z, x_t: X, t: Time) -> Tensor:
        """A proper score `(B,)`, least in expectation at the right conditional expectation."""

    @abstractmethod
    def dynamics(self, pred: P, x_t: X, t: Time) -> Dynamics[X]:
        """The characteristics that the prediction implies; time reversal lives here only."""

    def tabulate(self, grid: Sequence[float]) -> None:
        """Compute once what the steps of a grid will look up."""
        self.clock.tabulate(grid)

    def reading(self, predict: Any = None) -> Reading[X, P]:
        """How a network's output becomes the prediction.

        `predict` names what the network puts out, where there is a choice. Raises `InputError` for
        a name where there is none, `CapabilityError` for a process without a reading.
        """
        raise CapabilityError(
            f"{type(self).__name__} does not say how a network is read: give it a reading, or "
            "write the loop around it yourself with matching_loss and samplers.run"
        )

    def finish(self, pred: P, x_t: X, t: float, generator: torch.Generator | None = None) -> X:
        """The data that remain when what is left at time `t` is taken away at once."""
        raise CapabilityError(
            f"{type(self).__name__} has no last step to the data: draw with denoise=False"
        )

    def doubts(self, x: X) -> list[str]:
        """What will go wrong with states of some data, in sentences; often nothing."""
        return []

    def in_units(self, length: Any) -> GenerativeProcess[X, Z, P]:
        """The same process for states measured in another unit, `length` of the old ones: a number,
        or one for each part of a product.

        Only where noise is given in the units of the data; else the process itself.
        """
        return self

    def for_flow_matching(self) -> GenerativeProcess[X, Z, P]:
        """The process whose prediction flow matching learns: often the process itself."""
        return self


def one_prediction(process: str, predict: Any, name: str) -> None:
    """Raise `InputError` unless `predict` is left out or the one that there is."""
    if predict not in (None, name):
        raise InputError(f"a network on {process} predicts {name!r}, not {predict!r}")
