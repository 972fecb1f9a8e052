"""Models of what follows a state that the context holds: frames after the last one."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

from torch import Tensor, nn

from pushforward import state
from pushforward.condition import Condition
from pushforward.config import made
from pushforward.errors import InputError
from pushforward.estimates import Capabilities
from pushforward.models.conditional_source import ConditionalSource
from pushforward.models.context_channels import following
from pushforward.models.model import GenerativeModel
from pushforward.models.networks import networks_for
from pushforward.models.predictor import Predictor
from pushforward.models.trainable import Trainable
from pushforward.processes import PointInterpolant
from pushforward.processes.reading import Reading
from pushforward.spaces import LinearSpace

__all__ = ["FromStart"]


class FromStart(GenerativeModel, Trainable):
    """What `models.PointMatching` and `models.FrameRegression` share: a start, and a network that
    learns the way from it.

    A subclass says which interpolant leads from the start, `interpolant_of`, and how the output of
    the network is read, `reading_of`.

    Raises `InputError` for a network that takes no contexts.
    """

    networks, learns_frames = ("net",), True

    space: LinearSpace

    def __init__(
        self,
        net: nn.Module,
        start: ConditionalSource,
        interpolant: PointInterpolant,
        event_shape: int | state.EventShape | None,
        context_network: nn.Module | None,
    ) -> None:
        super().__init__(event_shape)
        self.start, self.space = start, interpolant.space
        self.predictor = Predictor(net, self.reading_of(interpolant))
        self.condition = Condition.of(net)
        if self.condition.context_size is None:
            raise InputError(
                f"the network of a {type(self).__name__} takes no contexts, which say where it "
                "starts: make it with context=, the length of one"
            )
        self._ready(context_network)

    @classmethod
    @abstractmethod
    def interpolant_of(cls, options: dict[str, Any]) -> PointInterpolant:
        """What leads from the start to the data, as options of the class say it."""

    @classmethod
    @abstractmethod
    def reading_of(cls, interpolant: PointInterpolant) -> Reading:
        """What the output of the network means."""

    @classmethod
    def for_data(cls, data: Any, *, labels: bool = True, net: Any = "auto", **options: Any) -> Self:
        """A model with a network that fits windows of frames, and starts from the last one given.

        `net` is `auto`, the short name of a network, or a network; `options` are the constructor's.
        Raises `InputError` for other data, unless there is a `start`.
        """
        if "start" not in options:
            options["start"] = following(data)
        if not labels or data.context_shape is None:
            raise InputError(f"{data.name} has no contexts, which say where a forecast starts")
        process = cls.interpolant_of(options)
        nets = networks_for(net, process, cls.reading_of(process), data, labels, options)
        nets.pop("label_dropout", None)  # a start cannot be hidden
        return made(cls, options, **nets)

    @classmethod
    def space_for(cls, options: dict[str, Any]) -> LinearSpace:
        """That of the interpolant."""
        return cls.interpolant_of(options).space

    @property
    def capabilities(self) -> Capabilities:
        """Samples, in contexts."""
        return Capabilities(sample=True, log_prob="none", conditional=True)

    def _point(self, c: Any) -> Tensor:
        """The start in each context, in the units of the model."""
        point: Tensor = self.inward(self.space.nearest(self.start.of(c, self.event_shape)))
        return point
