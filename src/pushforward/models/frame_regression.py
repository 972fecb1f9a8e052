"""A deterministic forecast: the mean of what comes next, by least squares."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor, nn

from pushforward import state
from pushforward.condition import Condition
from pushforward.config import configurable, made
from pushforward.errors import CapabilityError, InputError
from pushforward.estimates import Capabilities, LogProb
from pushforward.guidance import conditioned
from pushforward.models.conditional_source import ConditionalSource
from pushforward.models.context_channels import following
from pushforward.models.model import GenerativeModel, Progress
from pushforward.models.networks import networks_for
from pushforward.models.predictor import Predictor
from pushforward.models.trainable import Trainable
from pushforward.processes import PointInterpolant
from pushforward.processes.reading import PlainReading
from pushforward.spaces import LinearSpace

__all__ = ["FrameRegression"]


@configurable
class FrameRegression(GenerativeModel, Trainable):
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
    space_from, learns_frames, draws_noise = "space", True, False

    def __init__(
        self,
        net: nn.Module,
        start: ConditionalSource,
        space: LinearSpace | None = None,
        event_shape: int | state.EventShape | None = None,
        context_network: nn.Module | None = None,
    ) -> None:
        super().__init__(event_shape)
        self.start = start
        self.space: LinearSpace = space or PointInterpolant().space
        self.predictor = Predictor(net, PlainReading(1, self.space))
        self.condition = Condition.of(net)
        if self.condition.context_size is None:
            raise InputError("the network takes no contexts, from which it should forecast")
        self._ready(context_network)

    @classmethod
    def for_data(cls, data: Any, *, labels: bool = True, net: Any = "auto", **options: Any) -> Self:
        """A model with a network that fits windows of frames.

        `net` is `auto`, the short name of a network, or a network; `options` are the constructor's.
        Raises `InputError` for other data, unless there is a `start`.
        """
        if "start" not in options:
            options["start"] = following(data)
        if not labels or data.context_shape is None:
            raise InputError(f"{data.name} has no contexts to forecast from")
        # A single step of the interpolant, from the point to the mean.
        space = cls.space_for(options)
        process = PointInterpolant(space=space)
        nets = networks_for(net, process, PlainReading(1, space), data, labels, options)
        nets.pop("label_dropout", None)
        return made(cls, options, **nets)

    @classmethod
    def space_for(cls, options: dict[str, Any]) -> LinearSpace:
        """The one that is given, or vectors."""
        return options.get("space") or PointInterpolant().space

    @property
    def capabilities(self) -> Capabilities:
        """One state for each context, as often as it is asked for."""
        return Capabilities(sample=True, log_prob="none", conditional=True)

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
        error = self._forecast(self._point(c, len(x))[rows], context[rows]) - z
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
        point = self._point(c, n)
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

    def _point(self, c: Any, n: int) -> Tensor:
        """The start for each of `n` states, in the units of the model."""
        point: Tensor = self.inward(self.space.nearest(self.start.of(c, self.event_shape)))
        return point.expand(n, *self.event_shape)
