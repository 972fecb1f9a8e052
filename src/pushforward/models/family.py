"""What all families share: units, the event shape, saving, and the mode of their networks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from pushforward import config
from pushforward.errors import InputError
from pushforward.models import saving
from pushforward.transforms import Standardize

__all__ = ["Curve", "Family"]


class Curve(NamedTuple):
    """Numbers that a model has noted during training, for its report.

    Args:
        title: of the section.
        series: points `(x, y)` by name.
        across: what `x` is.
        note: what the reader should know.
    """

    title: str
    series: dict[str, list[tuple[float, float]]]
    across: str
    note: str


_CPU = torch.device("cpu")


class Family(nn.Module):
    """A model of states `(B, *event)` that cross it in data units.

    The shift and scale that `standardize` fits are kept and saved inside. The event shape is given,
    or that of the first data seen, and holds for all later data.
    """

    standardizer: Standardize | None

    dequantize: bool = False
    """Learns from quantized data with uniform noise over the cell of each level: a density of the
    levels themselves has no bound."""

    discrete: bool = False
    """Whether `log_prob` is that of the levels of quantized data, a probability, not a density."""

    closed_form: bool = False
    """Fitted by `prepare` as a whole, with nothing for an optimizer to do."""

    comparable: bool = True
    """Whether a lower loss is a better model: that of an adversary says little."""

    def __init__(self, event_shape: int | tuple[int, ...] | None) -> None:
        super().__init__()
        self.standardizer = None
        self._given_shape = (event_shape,) if isinstance(event_shape, int) else event_shape

    def _begin(self) -> None:
        """Called at the end of a constructor, when the network is there."""
        if self._given_shape is not None:
            self._set_event_shape(tuple(self._given_shape))

    @property
    def event_shape(self) -> tuple[int, ...] | None:
        """The shape of one data point, `None` before it is known."""
        return None if self.standardizer is None else self.standardizer.event_shape

    @property
    def device(self) -> torch.device:
        """Where the network is, or what was fitted in its place."""
        return next((t.device for t in chain(self.parameters(), self.buffers())), _CPU)

    def describe(self) -> dict[str, Any]:
        """The model as plain values, without its weights."""
        return config.describe(self, unnamed="net")

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write configuration, manifest and weights to a folder; `pushforward.load` reads it."""
        return saving.save(self, folder)

    def standardize(self, x: Tensor) -> None:
        """Fit shift and scale to training data `(N, *event)`, and learn the event shape from it.

        Raises `InputError` if the event shape differs from the one already known.
        """
        self._units(x).fit(x)

    def start_from(self, source: Tensor) -> None:
        """Take note of the training data of a source `(N, *event)`, first of all; often nothing.

        Only for a model that maps one law to another, and not called where it starts from noise.
        """

    @classmethod
    def for_data(cls, data: Any, *, labels: bool = True, **options: Any) -> Self:
        """An untrained model that fits some data, a `pushforward.data.Data`.

        `labels` asks for a model of the labels' laws, if the data has labels. Raises `InputError`
        for options that the family does not have.
        """
        raise InputError(f"{cls.__name__} has no default for data: make it with a network")

    def prepare(self, x: Tensor, c: Tensor | None = None) -> None:
        """Take what a data-dependent start needs from training data `(N, *event)`; often nothing.

        Called once, after `standardize`. Random choices come from torch's global generator, which
        `fit` seeds and gives back.
        """

    def begin(self, step: int, source: Tensor | None, target: Tensor) -> None:
        """Take note of a step of training before it is made; often nothing.

        Gets the whole training sets, in data units. A function of them, the step and the buffers,
        so that a resumed run is the one that was not stopped.
        """

    def couple(
        self, x: Tensor, c: Tensor | None, source: Tensor, generator: torch.Generator
    ) -> Tensor | None:
        """The order `(B,)` in which states of a source join those of the data; `None` as they are.

        Called in another thread than the training's, one batch ahead.
        """
        return None

    def pair(self, x: Tensor, c: Tensor | None, source: Tensor) -> Tensor | None:
        """For each row of the training data, the row `(N,)` of the source that it is joined with.

        Called once, with both sets as wholes; `None` for a model that joins batches.
        """
        return None

    def groups(self) -> list[dict[str, Any]]:
        """Parameters with the settings of their optimizer, such as `betas`.

        `rate` is a factor of the run's learning rate. One group of all by default.
        """
        return [{"params": list(self.parameters())}]

    def resting(self) -> list[nn.Parameter]:
        """Parameters that this step of training leaves aside, without a gradient; often none."""
        return []

    def warnings(self, x: Tensor) -> list[str]:
        """What is wrong with the trained model, in sentences, seen on some data `(N, *event)`."""
        return []

    def normalize(self, *, seed: int = 0) -> None:
        """Find, and keep, a constant that `log_prob` needs and training leaves open; mostly none.

        Called before a model is judged by its densities.
        """

    def curves(self) -> list[Curve]:
        """What the model has noted during training beside its loss; often nothing."""
        return []

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        """Evaluation mode for the network, the former mode of each part afterwards."""
        training = [part for part in self.modules() if part.training]
        for part in training:
            part.training = False
        try:
            yield
        finally:
            for part in training:
                part.training = True

    def _units(self, x: Tensor | None = None) -> Standardize:
        """Shift and scale, with the event shape of some data, or the one that is known.

        Raises `InputError` for data that is no batch of floating-point numbers or of another shape,
        or without data if the shape is not known.
        """
        if x is None:
            if self.standardizer is None:
                raise InputError(
                    "the shape of a data point is not known yet: train the model, or give "
                    "event_shape="
                )
            return self.standardizer
        if not (isinstance(x, Tensor) and x.is_floating_point()):
            kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
            raise InputError(f"data is a floating-point tensor, not {kind}: use x.float()")
        if x.ndim < 2:
            raise InputError(f"data has shape (B, *event), not {tuple(x.shape)}")
        units = self.standardizer or self._set_event_shape(tuple(x.shape[1:]))
        if tuple(x.shape[1:]) != units.event_shape:
            raise InputError(
                f"a data point has shape {units.event_shape}, not {tuple(x.shape[1:])}"
            )
        return units

    def _set_event_shape(self, shape: tuple[int, ...]) -> Standardize:
        # Where the network is and in its precision, which may not be that of the data.
        self.standardizer = Standardize(shape).to(next(self.parameters(), torch.empty(0)))
        config.amend(self, event_shape=shape)
        return self.standardizer

    def _inward(self, x: Tensor) -> Tensor:
        units = self._units(x)
        # Where the model is, and in its precision, whatever those of the data.
        return units.standardized(x.to(units.shift.device)).to(units.shift.dtype)
