"""A process of which some entries are known: they stay at their data while the others are noised.

What infilling needs: a model that has seen states with any entries known draws the others given
these, with no approximation but its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward import state
from pushforward.errors import CapabilityError
from pushforward.processes.process import GenerativeProcess
from pushforward.protocols import Bridged, Time, follows
from pushforward.schedules import Schedule
from pushforward.spaces import Space

__all__ = ["Held"]


@dataclass(frozen=True)
class Held(GenerativeProcess[Any, Any, Any]):
    r"""Another process given some entries of the data: `p_t(x_t | z)` with `x_t = z` where known.

    The forward noise of the entries is independent given the data, so that its reversal given the
    known entries is that of the unknown ones, with predictions `E[z | x_t, known]`. A network that
    is told which numbers are known learns these; a visible symbol is known by itself.

    Args:
        inner: the process, one whose noise is independent between entries.
        z: a batch of data, of which the known entries are read.
        known: which these are, booleans of the same structure.

    >>> from pushforward.processes import Gaussian
    >>> z = torch.tensor([[1.0, 2.0]])
    >>> process = Held(Gaussian(), z, torch.tensor([[True, False]]))
    >>> process.sample(z, 0.9)[0, 0]
    tensor(1.)
    """

    inner: GenerativeProcess
    z: Any
    known: Any

    @property
    def space(self) -> Space:  # type: ignore[override]
        """That of the other process."""
        return self.inner.space

    @property
    def clock(self) -> Schedule:
        """That of the other process."""
        return self.inner.clock

    @property
    def interval(self) -> tuple[float, float]:
        """That of the other process."""
        return self.inner.interval

    def held(self, x: Any) -> Any:
        """States with the known entries at their data."""
        return state.map_leaves(torch.where, self.known, self.z, x)

    def prior(self, shape: state.EventShape, t: float = 1.0) -> Any:
        """That of the other process: `held` puts the known entries in."""
        return self.inner.prior(shape, t)

    def sample(self, z: Any, t: Time, generator: torch.Generator | None = None) -> Any:
        """Noised where nothing is known."""
        return self.held(self.inner.sample(z, t, generator))

    def loss(self, pred: Any, z: Any, x_t: Any, t: Time) -> Tensor:
        """That of the other process, in which known numbers are predicted without an error."""

        def told(own: Tensor, known: Tensor, data: Tensor) -> Tensor:
            # Logits have an axis more; known symbols are visible, which no loss counts.
            return torch.where(known, data, own) if data.is_floating_point() else own

        return self.inner.loss(state.map_leaves(told, pred, self.known, z), z, x_t, t)

    def dynamics(self, pred: Any, x_t: Any, t: Time) -> Any:
        """Raises `CapabilityError`: known entries do not move, which no dynamics say."""
        raise CapabilityError("a process with known entries steps by its bridge: take 'pinned'")

    def bridge(
        self,
        pred: Any,
        x_t: Any,
        t: float,
        s: float,
        churn: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Any:
        """A draw of the other process' pinned kernel where nothing is known."""
        if not follows(self.inner, Bridged):
            raise CapabilityError(f"{type(self.inner).__name__} has no pinned kernel to infill by")
        inner: Any = self.inner
        return self.held(inner.bridge(pred, x_t, t, s, churn, generator))

    def finish(
        self, pred: Any, x_t: Any, t: float, generator: torch.Generator | None = None
    ) -> Any:
        """The last step where nothing is known."""
        return self.held(self.inner.finish(pred, x_t, t, generator))

    def tabulate(self, grid: Sequence[float]) -> None:
        """Tabulate the other process."""
        self.inner.tabulate(grid)
