"""What training calls of a model, and nobody else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.errors import InputError

__all__ = [
    "BOUND_AT_TIMES",
    "ERROR_OF_PREDICTION",
    "NEGATIVE_BOUND",
    "NEGATIVE_LIKELIHOOD",
    "Trainable",
]

ERROR_OF_PREDICTION = (
    "The loss is the error of what the network predicts, at random times. It includes noise that "
    "nothing can predict, so it does not go to zero, and its value is no likelihood."
)
BOUND_AT_TIMES = (
    "The loss is what the symbols of a whole state cost at random times, in nats: its mean is "
    "minus a lower bound of the log-probability, but for the ends of the time. Much of its noise "
    "is that of the times."
)
NEGATIVE_LIKELIHOOD = (
    "The loss is the negative log-likelihood, in nats, of the data in the units of the model. At "
    "best it comes down to their entropy, which may be negative."
)
NEGATIVE_BOUND = (
    "The loss is minus a lower bound of the log-likelihood, in nats, of the data in the units of "
    "the model: it lies above the negative log-likelihood by what the encoder lacks."
)
"""What some losses are: `Trainable.loss_meaning`."""


class Trainable(ABC):
    """A model that `pushforward.fit` can train. Only `loss` has to be written.

    The other members say what most models do.
    """

    takes_source: bool = False
    """Starts from data, if `fit` is given some: then `loss` takes `source=`."""

    learns_kinds: bool = False
    """Its data are the columns of a table by their kinds, `load(..., kinds="auto")`."""

    learns_frames: bool = False
    """Its data are windows of frames in time, `load(..., forecast="20:8")`."""

    learns_functions: bool = False
    """Its data are functions whose values can be given, `load(..., kind="functions")`."""

    learns_without_data: bool = False
    """Learns from a density that it holds: `fit` is given `None`, and rows only count."""

    closed_form: bool = False
    """Fitted by `prepare` as a whole, with nothing for an optimizer to do."""

    draws_noise: bool = True
    """`loss` draws noise or times for every row: one that comes again teaches something new."""

    learning_rate: float = 1e-3
    """The peak learning rate of a training that is given none."""

    loss_measures_quality: bool = True
    """Whether a lower loss means a better model: that of an adversary does not."""

    loss_meaning: str = ""
    """What the loss is, and what can be read from it, in sentences for whoever sees its curve."""

    @property
    def reflows(self) -> bool:
        """A flow along straight lines that can learn again from its own pairs: see `rectify`."""
        return False

    @property
    def compares_rows(self) -> str | None:
        """What in the loss sees a batch as a whole, in words; `None` if rows stand for themselves.

        Where there is such a thing, the loss of a part computes the whole and cuts: it is the same,
        but neither micro-batches nor processes save anything.
        """
        return None

    @abstractmethod
    def loss(
        self,
        x: Any,
        c: Any = None,
        *,
        generator: torch.Generator | None = None,
        rows: slice = slice(None),
    ) -> Tensor:
        """What training minimizes, `(B,)`, for a batch of data in data units.

        `rows` asks for a part of the batch only, as if it had been cut out of the loss of the
        whole, noise and all: so the weights that training finds do not depend on how batches are
        cut over processes and micro-batches. A loss without this argument is computed for the
        whole batch and cut.
        """

    def fit_units(self, x: Any, source: Any = None) -> None:
        """Fit the units of the model to training data, and learn the event shape from it.

        Raises `InputError` if the event shape differs from the one already known.
        """
        self.known_units(x).fit(x, source)  # type: ignore[attr-defined]

    def fit_contexts(self, c: Any) -> None:
        """Fit the units of contexts to those of training data; labels have none."""
        contexts = self.condition.contexts  # type: ignore[attr-defined]
        if contexts is not None and c is not None:
            contexts.fit(c)

    def keep_source(self, source: Any) -> None:
        """Take note of the training data of a source, first of all."""
        raise InputError(
            f"a {type(self).__name__} starts from noise, not from a source: FlowMatching and "
            "SchrodingerBridge map one data set to another"
        )

    def prepare(  # noqa: B027
        self, x: Any, c: Any = None, *, generator: torch.Generator
    ) -> None:
        """Take what a data-dependent start needs from training data; often nothing.

        Called once, after `fit_units`. All random choices come from the generator.
        """

    def judged_rows(self) -> int | None:
        """How many rows held out a validation looks at, at the most; all by default."""
        return None

    def on_step(  # noqa: B027
        self, step: int, source: Any, target: Any, c: Any = None
    ) -> None:
        """Take note of a step of training before it is made; often nothing.

        Gets the whole training sets, in data units, and the labels or contexts of the target. A
        function of them, the step and the buffers, so that a resumed run is the one that was not
        stopped. What takes long calls `self.tell`, and is undone where that raises.
        """

    def tell(self, what: str) -> None:  # noqa: B027
        """Say what is being done, again and again while it lasts.

        A training puts a function of its own in this place, which shows it and raises an exception
        where the training is to be interrupted.
        """

    def couple(self, x: Any, c: Any, source: Any, generator: torch.Generator) -> Tensor | None:
        """The order `(B,)` in which states of a source join those of the data; `None` as they are.

        Called in another thread than the training's, one batch ahead.
        """
        return None

    def pair(self, x: Any, c: Any, source: Any) -> Tensor | None:
        """For each row of the training data, the row `(N,)` of the source that it is joined with.

        Called once, with both sets as wholes; `None` for a model that joins batches.
        """
        return None

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameters with the settings of their optimizer, such as `betas`.

        `rate` is a factor of the run's learning rate. One group of all by default.
        """
        return [{"params": list(self.parameters())}]  # type: ignore[attr-defined]

    def frozen_parameters(self) -> list[nn.Parameter]:
        """Parameters that this step of training leaves aside, without a gradient; often none."""
        return []
