"""The loss of a model on rows of the data, as one module that Fabric can wrap."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from pushforward._random import derived_seed
from pushforward.data import Data
from pushforward.errors import InputError
from pushforward.metrics import dequantized

__all__ = ["Objective", "check_labels", "labels_for", "spread"]

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
        self.c = None if labels is None else labels.to(self.x.device)
        self.generator = torch.Generator(device)
        self._reaches = False
        self._idle: list[nn.Parameter] = []
        self._cuts = "rows" in inspect.signature(model.loss).parameters

    def forward(
        self,
        rows: Tensor,
        seed: int,
        part: slice | None = None,
        sources: Tensor | None = None,
    ) -> Tensor:
        """The mean over rows `(B,)`, or a part of them, with the noise of a seed; a scalar.

        `sources` are the rows of the source.

        The noise of a part is that of the whole batch if the model's loss takes `rows`, and
        otherwise its own.
        """
        if part is not None and not self._cuts:
            sources = None if sources is None else sources[part]
            rows, seed, part = rows[part], derived_seed(seed, part.start), None
        self.generator.manual_seed(seed)
        rows = rows.to(self.x.device)
        # index_select is faster than indexing, and this runs in every step.
        x = self.x.index_select(0, rows).to(self.device, non_blocking=True)
        x = spread(self.model, self.data, x, self.generator)
        c = None if self.c is None else self.c.index_select(0, rows).to(self.device)
        more: dict[str, Any] = {} if part is None else {"rows": part}
        if sources is not None:
            more["source"] = self._start(sources, self.generator)
        loss = self.model.loss(x, c, generator=self.generator, **more).mean()
        if self._reaches:
            for parameter in (*self._idle, *self._resting()):
                loss = loss + 0 * parameter.sum()
        return loss

    def reach_all(self) -> None:
        """Give every trainable parameter a gradient, zero where the loss does not depend on it.

        Processes that average their gradients wait for each one: the constant of an energy, whose
        score is all that counts, would stop them. So would what rests in a step of a game.
        """
        parameters = [p for p in self.parameters() if p.requires_grad]
        training = self.model.training
        self.model.eval()
        rows = torch.arange(len(self.x[:2]))
        loss = self(rows, seed=0, sources=None if self.source is None else rows % len(self.source))
        self.model.train(training)
        found = torch.autograd.grad(loss, parameters, allow_unused=True)
        self._idle = [p for p, gradient in zip(parameters, found, strict=True) if gradient is None]
        self._reaches = True

    def let_rest(self) -> None:
        """Take the zero gradients again from what rests, which no optimizer must move."""
        if self._reaches:
            for parameter in self._resting():
                parameter.grad = None

    def _resting(self) -> list[nn.Parameter]:
        return self.model.frozen_parameters() if hasattr(self.model, "frozen_parameters") else []

    def coupled(self, rows: Tensor, sources: Tensor, generator: torch.Generator) -> Tensor:
        """Rows of the source, in the order in which the model joins them with those of the data."""
        assert self.source is not None
        x, x0 = self.x[rows.to(self.x.device)], self.source[sources.to(self.source.device)]
        c = None if self.c is None else self.c[rows.to(self.c.device)]
        order = self.model.couple(x, c, x0, generator)
        return sources if order is None else sources[order.cpu()]

    def partners(self) -> Tensor | None:
        """The row of the source for every row of the data, if the model joins the whole sets."""
        assert self.source is not None
        found: Tensor | None = self.model.pair(self.x, self.c, self.source)
        return None if found is None else found.cpu()

    def start_for(
        self,
        model: Any,
        x: Tensor,
        c: Tensor | None,
        first: int,
        generator: torch.Generator,
        held: Data | None = None,
    ) -> dict[str, Tensor]:
        """What the loss of other data `(B, *event)` takes: rows of the source from `first` on.

        They are those of the `held` out part if there is one, where rows may come in pairs.
        """
        if self.origin is None:
            return {}
        source = self.origin if held is None else held
        rows = torch.arange(first, first + len(x)) % len(source)
        x0 = spread(self.model, source, source.x[rows].to(self.device), generator)
        order = model.couple(x, c, x0, torch.Generator().manual_seed(first))
        return {"source": x0 if order is None else x0[order]}

    def _start(self, sources: Tensor, generator: torch.Generator) -> Tensor:
        assert self.source is not None
        assert self.origin is not None
        x0 = self.source.index_select(0, sources.to(self.source.device))
        return spread(self.model, self.origin, x0.to(self.device, non_blocking=True), generator)

    @torch.no_grad()
    def rehearse(self) -> None:
        """The loss of two rows, so that what cannot work fails before anything is written.

        Raises `InputError` if the model's loss has the wrong shape, and whatever the model raises.
        """
        self.generator.manual_seed(0)
        rows = slice(0, 2)
        c = None if self.c is None else self.c[rows].to(self.device)
        x = spread(self.model, self.data, self.x[rows].to(self.device), self.generator)
        training = self.model.training
        self.model.eval()
        start = self.start_for(self.model, x, c, 0, self.generator)
        loss = self.model.loss(x, c, generator=self.generator, **start)
        self.model.train(training)
        if loss.shape != x.shape[:1]:
            raise InputError(
                f"{type(self.model).__name__}.loss returned shape {tuple(loss.shape)} for "
                f"{len(x)} states: it must return one loss per state, ({len(x)},)"
            )


def _home(x: Tensor, device: torch.device) -> Tensor:
    """Data on the device that trains, if it is small enough to stay there."""
    return x.to(device if x.nbytes <= _RESIDENT else torch.device("cpu"))


def spread(model: Any, data: Data, x: Tensor, generator: torch.Generator) -> Tensor:
    """Rows of the data as the model learns from them: with noise in the place of levels, or not."""
    if data.levels is None or not getattr(model, "dequantize", False):
        return x
    return dequantized(x, data.levels, data.value_range, generator=generator)


def labels_for(model: Any, data: Data) -> Tensor | None:
    """The data's labels, for a model that takes them."""
    return data.c if model.capabilities.conditional else None


def check_labels(model: Any, data: Data) -> None:
    """Raise `InputError` if the model wants labels that the data lacks, or knows too few."""
    if not model.capabilities.conditional:
        return
    size = getattr(model, "context_size", None)
    if size is not None:
        found = None if data.c is None else tuple(data.c.shape[1:])
        if found != (size,):
            raise InputError(
                f"the model takes contexts of {size} numbers, but {data.name} has "
                f"{'none' if found is None else f'c of shape (N, *{found})'}: give "
                "Data(x, c=contexts)"
            )
        return
    known = getattr(model, "num_classes", None)
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
