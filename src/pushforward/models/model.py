"""What users call of every model: draw, evaluate, save. And what it is a model of."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor, nn

from pushforward import config, state
from pushforward._notebook import Displayed
from pushforward.condition import Condition
from pushforward.errors import CapabilityError, InputError
from pushforward.estimates import Capabilities, LogProb
from pushforward.models import saving
from pushforward.models.batch_size import rows_at_once
from pushforward.models.calls import careful
from pushforward.models.checkpoints import HeldWeights
from pushforward.models.contexts import with_contexts
from pushforward.models.curve import Curve
from pushforward.models.evaluation_mode import evaluation_mode
from pushforward.models.finite_states import finite, with_density
from pushforward.models.parts import parts_of
from pushforward.models.place import first_tensor
from pushforward.spaces import Euclidean, Space, Units

if TYPE_CHECKING:
    from pushforward.models.denoiser import Denoiser
    from pushforward.models.expectation import Expectation
    from pushforward.models.posterior import Posterior
    from pushforward.spaces.function_noise import NoiseRoot

__all__ = [
    "Curve",
    "GenerativeModel",
    "Progress",
    "finite",
    "parts_of",
    "refuse_context",
    "with_density",
]

Progress = Callable[[int, int], None]
"""Called with the number of finished steps and of all."""

_CPU = torch.device("cpu")


_MOST_NUMBERS = 1 << 28
"""Of one state: a file must not ask for more memory than any model of ours could use."""


class GenerativeModel(Displayed, nn.Module, ABC):
    """A model of states of a space, which cross it in the units of the data.

    The map between data units and states, which `fit_units` fits, is kept and saved inside. The
    event shape is given, or that of the first data seen, and holds for all later data. A subclass
    calls `super().__init__(event_shape)` first and `self._ready()` last in its constructor, sets
    `condition` if it takes labels, and defines `capabilities`, `sample` and `log_prob`.
    """

    space: Space = Euclidean()
    """Where the states are."""

    condition: Condition = Condition()
    """What the model can be told beside the state."""

    units: Units | None

    dequantize: bool = False
    """Learns from quantized data with uniform noise over the cell of each level: a density of the
    levels themselves has no bound."""

    discrete: bool = False
    """Whether `log_prob` is that of the levels of quantized data, a probability, not a density."""

    defaults: ClassVar[Mapping[str, Any]] = {}
    """Options of `for_data` whose default a recipe should show, as a recipe writes them."""

    space_from: ClassVar[str] = ""
    """The option that says which space states are of, a process or a path; none for vectors."""

    networks: ClassVar[tuple[str, ...]] = ()
    """The options that are networks of states, of a model that can be made again on other points or
    a larger domain (`models.relocated`); none of all others."""

    learned_from: Mapping[str, Any] | None = None
    """What its data were, as plain values: `schema`, its columns and classes; `counts`, the rows of
    each class; `levels`, `value_range`. Set by `fit`, and kept by `save`."""

    holds: HeldWeights | None = None  # set by `fit`, and where weights are read from a run

    maps_distributions: bool = False
    """Carries a source to a target: has `forward` and `backward`."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in ("loss", "sample", "log_prob"):
            if name in vars(cls):
                setattr(cls, name, careful(vars(cls)[name]))

    def __init__(self, event_shape: int | state.EventShape | None) -> None:
        super().__init__()
        self.units = None
        self._event_shape: state.EventShape | None = None
        self._given_shape = (event_shape,) if isinstance(event_shape, int) else event_shape

    def _ready(self, context_network: nn.Module | None = None) -> None:
        """Called at the end of a constructor, when the network is there."""
        self.condition = with_contexts(self.condition, context_network)
        self.contexts = self.condition.contexts
        if self._given_shape is not None:
            self._set_event_shape(state.shape_from(self._given_shape))

    def __repr__(self) -> str:
        """One line; the layers are those of `list(model.children())`."""
        size = sum(parameter.numel() for parameter in self.parameters())
        parts = [f"{size:,} parameters"] if size else []
        if self._event_shape is not None:
            parts.insert(0, f"states of shape {self._event_shape}")
        if self.condition.num_classes is not None:
            parts.append(f"{self.condition.num_classes} classes")
        if self.condition.context_size is not None:
            parts.append(f"contexts of {self.condition.context_size}")
        if self.condition.vocabulary is not None:
            parts.append(f"texts of {len(self.condition.vocabulary.words)} words")
        parts.append(f"log_prob {self.capabilities.log_prob}")
        return f"{type(self).__name__}({', '.join(parts)})"

    # -- what it can do -------------------------------------------------------------------------

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What the model can do."""

    @abstractmethod
    def sample(self, *args: Any, **options: Any) -> Any:
        """`sample(n, c=None, *, seed=None, ...)`: draw `n` states in data units.

        The options are the model's own; `understood` picks those that it takes.
        """

    @abstractmethod
    def log_prob(self, *args: Any, **options: Any) -> LogProb:
        """`log_prob(x, c=None, ...)`: log-densities of states in nats, in data units.

        Raises `CapabilityError` for a model without densities.
        """

    @classmethod
    def for_data(cls, data: Any, *, labels: bool = True, **options: Any) -> Self:
        """An untrained model that fits some data, a `pushforward.data.Data`.

        `labels` asks for a model of the labels' distributions, if the data has labels. Raises
        `InputError` for options that the model does not have.
        """
        raise InputError(f"{cls.__name__} has no default for data: make it with a network")

    @classmethod
    def space_for(cls, options: dict[str, Any]) -> Space:
        """Where the states of a model made with some options will be: R^d unless it says more."""
        return cls.space

    def warnings(self, x: Any, c: Any = None) -> list[str]:
        """What is wrong with the trained model, in sentences, seen on some data.

        `c` are its labels or contexts, for a model that takes them. Unseen data tell most.
        """
        return []

    def normalize(self, *, seed: int = 0) -> None:
        """Find, and keep, a constant that `log_prob` needs and training leaves open; mostly none.

        Called before a model is judged by its densities.
        """

    def curves(self) -> list[Curve]:
        """What the model has noted during training beside its loss; often nothing."""
        return []

    def about_sampling(self, options: dict[str, Any]) -> str | None:
        """What whoever draws with some options should know, in a line; often nothing."""
        return None

    def about_density(self, options: dict[str, Any]) -> str | None:
        """What whoever asks for log-densities with some options should know; often nothing."""
        return None

    def doubts(self, x: Any) -> list[str]:
        """What will go wrong with a model that is made for some data, in sentences."""
        return []

    def understood(self, method: str, /, **options: Any) -> dict[str, Any]:
        """Those options that a method of the model takes: an exact density needs no seed."""
        return config.understood(getattr(self, method), **options)

    # -- expectations ---------------------------------------------------------------------------

    def expect(
        self, f: Callable[[Any], Tensor], n: int, c: Any = None, *, draws: str = "independent",
        seed: int | None = None, batch_size: int | None = None, **options: Any,
    ) -> Expectation:  # fmt: skip
        """`E f(x)` over samples, with a standard error and whether to trust it.

        `f` maps states to numbers `(B, ...)`, row by row; `options` are those of `sample`. With
        `draws="antithetic"` or `"sobol"` the noise of a model that is a `models.noise_map` comes in
        pairs, or from scrambled Sobol points, of the number of states that fits.

        Raises `CapabilityError` for another model, `InputError` where `f` is not finite.
        """
        from pushforward.models.expectation import expectation

        chosen: dict[str, Any] = {"draws": draws, "seed": seed, "batch_size": batch_size}
        return expectation(self, f, n, c, **chosen, **options)

    # -- given a measurement --------------------------------------------------------------------

    def denoiser(
        self, c: Any = None, n: int = 1, *, guidance: float = 1.0, root: NoiseRoot | None = None
    ) -> Denoiser:
        """`E[x_0 | x_t]` under white Gaussian noise, for one context of all `n` or one each.

        Of colored noise, whose `root` is `space.noise_root(event_shape)`, `E[w_0 | w_t]` of the
        coordinates `x = R w` in which it is white.

        Raises `CapabilityError` for a model that has none.
        """
        from pushforward.models.denoiser import NO_DENOISER

        raise CapabilityError(f"a {type(self).__name__} has none: {NO_DENOISER}")

    def posterior(
        self,
        y: Any,
        operator: Any = None,
        noise: Any = None,
        method: Any = None,
        *,
        c: Any = None,
        guidance: float = 1.0,
        **options: Any,
    ) -> Posterior:
        """`p(x | y)`: see `models.posterior_of`.

        With an `operator` and a `noise` the model is the prior; without them `y` is the context of
        a model that was trained on pairs.
        """
        from pushforward.models.inferring import posterior_of

        return posterior_of(self, y, operator, noise, method, c, guidance, options)

    # -- what it is -----------------------------------------------------------------------------

    @property
    def event_shape(self) -> Any:
        """The shape of one state, `None` before it is known."""
        return self._event_shape

    @property
    def device(self) -> torch.device:
        """Where the network is, or what was fitted in its place."""
        found = first_tensor(self)
        return _CPU if found is None else found.device

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the network, or of what was fitted in its place."""
        found = first_tensor(self)
        return torch.get_default_dtype() if found is None else found.dtype

    @property
    def precise(self) -> bool:
        """Knows its data in float64, as float32 cannot carry them, whatever its own precision."""
        return self.units is not None and self.units.precise

    @property
    def num_classes(self) -> int | None:
        """The number of labels that the model knows, `None` if it takes none."""
        return self.condition.num_classes

    @property
    def context_size(self) -> int | None:
        """The length of the contexts that the model takes, `None` if it takes none."""
        return self.condition.context_size

    def describe(self, tensors: dict[str, Tensor] | None = None) -> dict[str, Any]:
        """The model as plain values, without its weights; `tensors` takes those among arguments."""
        described: dict[str, Any] = config.describe(
            self,
            unnamed=("net", "context_network"),
            tensors={} if tensors is None else tensors,
        )
        return described

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write configuration, manifest and weights to a folder; `pushforward.load` reads it."""
        return saving.save(self, folder)

    # -- units ----------------------------------------------------------------------------------

    def inward(self, x: Any) -> Any:
        """States in the units of the model, where it is and in its precision.

        Raises `InputError` for what is no batch of states of the known shape.
        """
        # Shift and scale come off first: what is left fits into the precision of the model.
        return state.to(self.known_units(x).standardized(x), self.device, self.dtype)

    def outward(self, z: Any) -> Any:
        """States in data units."""
        return self.known_units()(z)

    def known_units(self, x: Any = None) -> Units:
        """The map to data units, with the event shape of some data, or the one that is known.

        Raises `InputError` for data that are no states of the space or of another shape, or without
        data if the shape is not known.
        """
        if x is None:
            if self.units is None:
                raise InputError(
                    "the shape of a data point is not known yet: train the model, or give "
                    "event_shape="
                )
            return self.units
        self.space.check(x)
        units = self.units or self._set_event_shape(state.event_shape(x))
        if state.event_shape(x) != self._event_shape:
            raise InputError(
                f"a data point has shape {self._event_shape}, not {state.event_shape(x)}"
            )
        return units

    def _set_event_shape(self, shape: state.EventShape) -> Units:
        if state.numel(shape) > _MOST_NUMBERS:
            raise InputError(
                f"event_shape {shape} is {state.numel(shape):,} numbers for one state: a model "
                f"takes {_MOST_NUMBERS:,} at most"
            )
        # Where the network is and in its precision, which may not be that of the data.
        self.units = self.space.units(shape).to(next(self.parameters(), torch.empty(0)))
        self._event_shape = shape
        config.amend(self, event_shape=shape)
        return self.units

    # -- the same for all that draw -------------------------------------------------------------

    def evaluating(self) -> AbstractContextManager[None]:
        """Evaluation mode for the network, the former mode of each part afterwards."""
        return evaluation_mode(self)

    def drawn(
        self,
        z: Tensor,
        batch_size: int | None,
        rows: slice,
        draw: Callable[[slice], Any],
        progress: Progress | None = None,
    ) -> Any:
        """States in the units of the model, drawn part by part in evaluation mode, in data units.

        `draw` makes those of some rows of the latent `z`: `batch_size` at a time, by default as
        many as memory suggests. Warns if some are not finite.
        """
        out = []
        with self.evaluating():
            if batch_size is None:
                batch_size = rows_at_once(lambda few: draw(slice(0, len(few))), z)
            parts = parts_of(len(z), batch_size, rows)
            for k, part in enumerate(parts, start=1):
                out.append(draw(part))
                if progress is not None:
                    progress(k, len(parts))
        return self.outward(finite(state.concatenate(out)))


def refuse_context(model: GenerativeModel, c: Any) -> None:
    """Raise `CapabilityError` if a model that takes no labels or contexts is given some."""
    if c is not None:
        raise CapabilityError(f"a {type(model).__name__} takes no labels or contexts")
