"""A deterministic forecast: the mean of what comes next, by least squares."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from pushforward import state
from pushforward.config import configurable
from pushforward.errors import CapabilityError
from pushforward.estimates import Capabilities, LogProb
from pushforward.guidance import conditioned
from pushforward.models.conditional_source import ConditionalSource
from pushforward.models.from_start import FromStart
from pushforward.models.model import Progress
from pushforward.processes import PointInterpolant
from pushforward.processes.reading import PlainReading
from pushforward.spaces import LinearSpace

__all__ = ["FrameRegression"]


@configurable
class FrameRegression(FromStart):
    """`E[x | c]` by a network that learns what changes from a start: the forecast to beat.

    It has one answer for each context, which is blurred where the future is open: beside it the
    members of an ensemble show what their spread is worth.

    Args:
        net: a module `net(x, t, c)`, which is given the start at `t = 1` and returns its shape.
        start: what the forecast is without the network, such as `ContextChannels`.
        space: of the states.
        event_shape: the shape of one state, if known before training.
        context_network: makes vectors of contexts, trained along.

    >>> import pushforward as pf
    >>> start = pf.models.ContextChannels((0,), given=1, sizes=(2,))
    >>> net = pf.nn.MLP((1, 2), width=16, context=2)
    >>> model = pf.models.FrameRegression(net, start, event_shape=(1, 2))
    >>> model.sample(2, torch.zeros(2)).shape
    torch.Size([2, 1, 2])
    """

    loss_meaning = "The loss is the mean square error, in the units of the model."
    space_from, draws_noise = "space", False

    def __init__(
        self,
        net: nn.Module,
        start: ConditionalSource,
        space: LinearSpace | None = None,
        event_shape: int | state.EventShape | None = None,
        context_network: nn.Module | None = None,
    ) -> None:
        super().__init__(net, start, _step_on(space), event_shape, context_network)

    @classmethod
    def interpolant_of(cls, options: dict[str, Any]) -> PointInterpolant:
        """A single step of it, from the start to the mean."""
        return _step_on(options.get("space"))

    @classmethod
    def reading_of(cls, interpolant: PointInterpolant) -> PlainReading:
        """What the network puts out is added to the start."""
        return PlainReading(1, interpolant.space)

    @property
    def capabilities(self) -> Capabilities:
        """One state for each context, as often as it is asked for."""
        return replace(super().capabilities, deterministic=True)

    def loss(
        self,
        x: Any,
        c: Any = None,
        *,
        generator: torch.Generator | None = None,
        rows: slice = slice(None),
    ) -> Tensor:
        """The mean square error per dimension, `(B,)`. Raises `CapabilityError` without contexts,
        and `InputError` for others."""
        z = self.inward(x)[rows]
        context = self.condition.required(c, len(x), z.device)
        error = self._forecast(self._points(c, len(x))[rows], context[rows]) - z
        return self.space.squared_norm(z, error)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        c: Any = None,
        *,
        seed: int | None = None,
        batch_size: int | None = None,
        rows: slice = slice(None),
        progress: Progress | None = None,
    ) -> Any:
        """The forecast in each of `n` contexts, or `n` times that in one, in data units.

        `seed` changes nothing. Raises `CapabilityError` without contexts.
        """
        context = self.condition.required(c, n, self.device)
        point = self._points(c, n)
        return self.drawn(
            point, batch_size, rows, lambda part: self._forecast(point[part], context[part]),
            progress,
        )  # fmt: skip

    def log_prob(self, x: Any, c: Any = None) -> LogProb:
        """Raises `CapabilityError`: it has one answer."""
        raise CapabilityError("a regression has no density: Diffusion and FlowMatching have one")

    def _forecast(self, point: Tensor, context: Any) -> Tensor:
        drift: Tensor = conditioned(self.predictor, self.condition, context)(point, 1.0)
        return point + drift

    def _points(self, c: Any, n: int) -> Tensor:
        """The start for each of `n` states."""
        return self._point(c).expand(n, *self.event_shape)


def _step_on(space: LinearSpace | None) -> PointInterpolant:
    return PointInterpolant() if space is None else PointInterpolant(space=space)
