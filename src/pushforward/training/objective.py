"""The loss of a model on rows of the data, as one module that Fabric can wrap."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pushforward import state
from pushforward.data import Data
from pushforward.errors import CapabilityError, InputError
from pushforward.metrics import dequantized
from pushforward.training.part_draws import WholeDraws, takes_rows
from pushforward.training.randomness import dropout_seed, turn

__all__ = ["Objective", "check_labels", "dequantize", "labels_for"]

_RESIDENT = 2 << 30
"""Bytes of data that move to an accelerator as a whole; more is sent batch by batch."""


class Objective(nn.Module):
    """The mean loss of some rows, and of those of a source that they are joined with.

    Rows go in as integers: Fabric casts floating-point inputs to half precision, and times as well
    as data need all their digits.
    """

    def __init__(
        self, model: Any, data: Data, device: torch.device, source: Data | None = None
    ) -> None:
        super().__init__()
        self.model, self.device = model, device
        self.data, self.x = data, _home(data.x, device)
        self.origin = source
        self.source = None if source is None else _home(source.x, device)
        labels = labels_for(model, data)
        self.c = None if labels is None else _home(labels, state.device(self.x))
        self.generator = torch.Generator(device)
        self.cuts = takes_rows(model)
        self._reaches = False
        self._idle: list[nn.Parameter] = []

    def forward(
        self,
        rows: Tensor,
        seed: int,
        part: slice | None = None,
        sources: Tensor | None = None,
    ) -> Tensor:
        """The mean over rows `(B,)`, or a part of them, with the noise of a seed; a scalar.

        `sources` are the rows of the source.

        The loss of a part is that of the whole batch, cut, with the same noise and the same
        dropout. Only if the model's loss takes `rows` it is cheaper.
        """
        self.generator.manual_seed(seed)
        x = self._taken(self.data, self.x, rows, self.generator)
        c = None if self.c is None else state.to(state.take(self.c, rows), self.device)
        more: dict[str, Any] = {"generator": self.generator}
        if sources is not None:
            assert self.origin is not None
            more["source"] = self._taken(self.origin, self.source, sources, self.generator)
        if part is None:
            loss = self.model.loss(x, c, **more).mean()
        else:
            loss = self._of_part(part, x, c, seed, more).mean()
        if self._reaches:
            for parameter in (*self._idle, *self.model.frozen_parameters()):
                loss = loss + 0 * parameter.sum()
        return loss

    def _of_part(self, part: slice, x: Any, c: Any, seed: int, more: dict[str, Any]) -> Tensor:
        """The loss of a part of a batch; each part has dropout drawn anew for the whole."""
        with turn(dropout_seed(seed), self.device):
            found: Tensor
            if not self.cuts:
                found = self.model.loss(x, c, **more)[part]
            else:
                with WholeDraws(state.rows(x), part):
                    found = self.model.loss(x, c, rows=part, **more)
        return found

    def reach_all(self) -> None:
        """Give every trainable parameter a gradient, zero where the loss does not depend on it.

        Processes that average their gradients wait for each one: the constant of an energy, whose
        score is all that counts, would stop them. So would what is frozen in a step of a game.
        """
        parameters = [p for p in self.parameters() if p.requires_grad]
        training = self.model.training
        self.model.eval()
        rows = torch.arange(min(2, state.rows(self.x)))
        sources = None if self.source is None else rows % state.rows(self.source)
        loss = self(rows, seed=0, sources=sources)
        self.model.train(training)
        found = torch.autograd.grad(loss, parameters, allow_unused=True)
        self._idle = [p for p, gradient in zip(parameters, found, strict=True) if gradient is None]
        self._reaches = True

    def release_frozen(self) -> None:
        """Take the zero gradients again from what is frozen, which no optimizer must move."""
        if self._reaches:
            for parameter in self.model.frozen_parameters():
                parameter.grad = None

    def coupled(self, rows: Tensor, sources: Tensor, generator: torch.Generator) -> Tensor:
        """Rows of the source, in the order in which the model joins them with those of the data."""
        x, start = state.take(self.x, rows), state.take(self.source, sources)
        c = None if self.c is None else state.take(self.c, rows)
        order = self.model.couple(x, c, start, generator)
        return sources if order is None else sources[order.cpu()]

    def partners(self) -> Tensor | None:
        """The row of the source for every row of the data, if the model joins the whole sets."""
        found: Tensor | None = self.model.pair(self.x, self.c, self.source)
        return None if found is None else found.cpu()

    def start_for(
        self,
        model: Any,
        x: Any,
        c: Any,
        first: int,
        generator: torch.Generator,
        held: Data | None = None,
    ) -> dict[str, Any]:
        """What the loss of other data takes: as many rows of the source, from `first` on.

        They are those of the `held` out part if there is one, where rows may come in pairs.
        """
        if self.origin is None:
            return {}
        source = self.origin if held is None else held
        rows = torch.arange(first, first + state.rows(x)) % len(source)
        start = self._taken(source, source.x, rows, generator)
        order = model.couple(x, c, start, torch.Generator().manual_seed(first))
        return {"source": start if order is None else state.take(start, order)}

    @torch.no_grad()
    def rehearse(self) -> None:
        """The loss of two rows, so that what cannot work fails before anything is written.

        Raises `InputError` if the model's loss has the wrong shape, and whatever the model raises.
        """
        self.generator.manual_seed(0)
        rows = torch.arange(min(2, state.rows(self.x)))
        c = None if self.c is None else state.to(state.take(self.c, rows), self.device)
        x = self._taken(self.data, self.x, rows, self.generator)
        training = self.model.training
        self.model.eval()
        start = self.start_for(self.model, x, c, 0, self.generator)
        loss = self.model.loss(x, c, generator=self.generator, **start)
        self.model.train(training)
        n = len(rows)
        if not isinstance(loss, Tensor) or loss.shape != (n,):
            found = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
            raise InputError(
                f"{type(self.model).__name__}.loss returned shape {found} for {n} states: it must "
                f"return one loss per state, ({n},)"
            )

    def _taken(self, data: Data, x: Any, rows: Tensor, generator: torch.Generator) -> Any:
        """Rows of the data, or of a copy of them elsewhere, where the model is."""
        found = state.take(x, rows)
        if state.device(found) != self.device:
            found = state.to(found, self.device, non_blocking=True)
        return dequantize(self.model, data, found, generator)


def _home(x: Any, device: torch.device) -> Any:
    """Data on the device that trains, if it is small enough to stay there."""
    return state.to(x, device if state.nbytes(x) <= _RESIDENT else torch.device("cpu"))


def dequantize(model: Any, data: Data, x: Any, generator: torch.Generator) -> Any:
    """Rows of the data as the model learns from them: with noise in the place of levels, or not."""
    if data.levels is None or not model.dequantize:
        return x
    return dequantized(x, data.levels, data.value_range, generator=generator)


def labels_for(model: Any, data: Data) -> Any:
    """The data's labels or contexts, for a model that takes them."""
    return data.c if model.capabilities.conditional else None


def check_labels(model: Any, data: Data) -> None:
    """Refuse data whose labels, contexts or captions are not those that the model takes.

    Labels alone are left aside by a model that takes none: it learns the distribution over all of
    them. Raises `InputError` if the model wants what the data lack, or knows too few labels;
    `CapabilityError` for contexts or captions that the model would leave aside.
    """
    if not model.capabilities.conditional:
        if data.context_shape is not None:
            raise CapabilityError(
                f"this {type(model).__name__} takes no contexts, and would learn the distribution "
                f"of {data.name} over all of them: Diffusion, FlowMatching, NormalizingFlow, VAE "
                "and GAN learn p(x | c), and Data(x) has none"
            )
        if data.vocabulary is not None:
            raise CapabilityError(
                f"this {type(model).__name__} reads no texts, and would learn the distribution of "
                f"{data.name} over all of its captions: Diffusion and FlowMatching learn "
                "p(x | text), and data loaded with label=False have no captions"
            )
        return
    words = model.condition.vocabulary
    if words is not None:
        if data.vocabulary != words:
            found = "has no captions" if data.vocabulary is None else "has captions of others"
            raise InputError(
                f"the model reads texts of up to {words.length} words out of {len(words.words)}, "
                f"but {data.name} {found}: make its encoder of data.vocabulary"
            )
        return
    size, known = model.condition.context_size, model.condition.num_classes
    if size is not None:
        embeds = getattr(model.condition.contexts, "network", None) is not None
        if data.context_shape is None or not (embeds or data.context_size == size):
            wanted = "for its context network" if embeds else f"of {size} numbers"
            found = "none" if data.c is None else f"c of shape {data.context_shape or ()}"
            raise InputError(
                f"the model takes contexts {wanted}, but {data.name} has {found}: give "
                "Data(x, c=contexts)"
            )
        return
    if data.num_classes is None:
        raise InputError(
            f"the model takes labels, but {data.name} has none: load the data with label=, or make "
            "the network without num_classes"
        )
    if known is not None and data.num_classes > known:
        raise InputError(
            f"{data.name} has {data.num_classes} classes, but the network knows {known}: "
            f"make it with num_classes={data.num_classes}"
        )
