"""Contexts in the units of the data, as the vectors that a conditional network takes."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn

from pushforward import nn as nets
from pushforward import state
from pushforward._precision import DataBuffers, has_double, narrowed
from pushforward.condition import Condition, vectors
from pushforward.errors import CapabilityError, InputError
from pushforward.models.evaluation_mode import evaluation_mode

__all__ = ["ContextUnits", "Contexts", "conditions_for", "vector_conditions", "with_contexts"]

_CPU = torch.device("cpu")
_ROWS = 4096  # that go through a context network at a time, without gradients


class ContextUnits(DataBuffers):
    """`z = (c - shift) / scale` for contexts: zero mean and unit variance, column by column.

    A vector `(N, k)` has a shift and a scale for each number, a sequence or a set `(N, slots, d)`
    for each of the `d` numbers of a slot, pictures `(N, C, H, W)` for each channel. A column that
    never varies is pinned to zero: what a network would make of any other value, no data can teach.

    Args:
        columns: how many there are.

    >>> units = ContextUnits(2)
    >>> units.fit(torch.tensor([[0.0, 5.0], [4.0, 5.0]]))
    >>> units(torch.tensor([[6.0, 5.0], [4.0, 9.0]]))
    tensor([[2., 0.],
            [1., 0.]])
    """

    shift: Tensor
    scale: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.columns = columns
        self.register_buffer("shift", torch.zeros(columns))
        self.register_buffer("scale", torch.ones(columns))
        self.register_buffer("low", torch.full((columns,), -torch.inf))
        self.register_buffer("high", torch.full((columns,), torch.inf))

    @torch.no_grad()
    def fit(self, c: Tensor, mask: Tensor | None = None) -> None:
        """Take shift, scale and range from contexts, of the slots that a `mask` says are filled.

        They are held in double precision where float32 cannot carry the contexts.

        Raises `InputError` for values that are not finite.
        """
        rows = c.movedim(_axis(c), -1)
        rows = (rows.flatten(0, -2) if mask is None else rows[mask]).cpu()
        if not bool(rows.isfinite().all()):
            raise InputError("contexts c with values that are not finite cannot be standardized")
        self._precise = narrowed(rows).dtype == torch.float64
        rows = rows.double()
        low, high = rows.amin(0), rows.amax(0)
        # By its values: of the spread of a constant, rounding may leave something.
        scale = torch.where(low < high, rows.std(0, correction=0), 0.0)
        shift = torch.where(low < high, rows.mean(0), low)
        for name, found in (("shift", shift), ("scale", scale), ("low", low), ("high", high)):
            old = getattr(self, name)
            if self._precise:
                setattr(self, name, found.to(old.device if has_double(old.device) else "cpu"))
            else:
                old.copy_(found)

    def forward(self, c: Tensor) -> Tensor:
        """Standardized contexts.

        Raises `InputError` for contexts in less than float64, if float32 cannot carry them.
        """
        if self._precise and c.dtype != torch.float64:
            raise InputError(
                "this model knows its contexts in float64, since float32 cannot carry them, and "
                f"these are {c.dtype}: give them as they were before, or c.double()"
            )
        shape = [1] * c.ndim
        shape[_axis(c)] = self.columns
        each = torch.where(self.scale > 0, 1 / self.scale, 0.0)
        moved = c.to(self.shift.device) - self.shift.reshape(shape)
        return moved * each.reshape(shape)

    def inverse(self, z: Tensor) -> Tensor:
        """Contexts as they were given, in double precision if it takes that."""
        return self.shift + self.scale * z.to(self.shift.device)

    def _load_from_state_dict(self, tensors: Any, prefix: str, *rest: Any) -> None:
        for name, buffer in self._buffers.items():
            # A model that was saved before contexts had units took them as they were.
            tensors.setdefault(prefix + name, buffer)
        super()._load_from_state_dict(tensors, prefix, *rest)


class Contexts(nn.Module):
    """From contexts as people have them to vectors `(B, size)`: units, then a context network.

    Without a network contexts are vectors. With one they are anything with a row for each state: a
    tensor, such as pictures `(B, C, H, W)` or sequences `(B, T, d)`, `spaces.Points(x, mask)` for
    sets and sequences of different lengths, or a tuple of tensors. The network gets them
    standardized and returns `(B, size)`; it is trained along with the model.

    Args:
        size: the length of the vectors.
        network: any module from a batch of contexts to them.

    >>> contexts = Contexts(3, nn.Flatten())
    >>> contexts.rows(torch.zeros(2, 1, 3), 2, torch.device("cpu")).shape
    torch.Size([2, 3])
    """

    like: Tensor

    def __init__(self, size: int, network: nn.Module | None = None) -> None:
        super().__init__()
        self.size, self.network = size, network
        self.parts: Any = nn.ModuleList([ContextUnits(size)] if network is None else [])
        # In the precision of the model, which units need not have.
        self.register_buffer("like", torch.empty(0), persistent=False)

    def fit(self, c: Any) -> None:
        """Fit the units to the contexts of training data."""
        leaves, mask = _numbers(c), _mask(c)
        if self.network is not None:
            self._make_parts([leaf.shape[_axis(leaf)] for leaf in leaves])
        for units, leaf in zip(self.parts, leaves, strict=True):
            units.fit(leaf, mask)

    def rows(self, c: Any, n: int, device: torch.device) -> Tensor:
        """The vectors `(n, size)` of contexts, of which there is one for each state.

        One vector `(size,)`, or one row of what a context network takes, stands for all states.

        Raises `InputError` for contexts of another shape.
        """
        if self.network is None:
            (units,) = self.parts
            given = vectors(c, n, self.size, device)
            if not units._precise:
                given = given.to(units.shift.dtype)
            return units(given).to(device, self.like.dtype)
        state.check(c)
        if state.rows(c) not in (1, n):
            raise InputError(
                f"a context has one row for each of {n} states, or one for all, not "
                f"{state.rows(c)} rows"
            )
        ready = state.to(self._standardized(c), device, self.like.dtype)
        if torch.is_grad_enabled():
            return self._embedded(ready).expand(n, -1)
        with evaluation_mode(self.network):
            parts = [self._embedded(part) for part in state.split(ready, _ROWS)]
        return torch.cat(parts).expand(n, -1)

    def placed(self, c: Any) -> Tensor:
        """Contexts as standardized numbers `(B, m)`, whose distances a coupling goes by."""
        ready = (self.parts[0](c),) if self.network is None else _numbers(self._standardized(c))
        return torch.cat([part.flatten(1) for part in ready], 1)

    def doubts(self, c: Any, names: tuple[str, ...] = ()) -> list[str]:
        """What a network cannot know of some vectors `(n, size)`, in a sentence for each column.

        A column is told if a value lies further from the range in training than half its width, or
        if it did not vary there.
        """
        if self.network is not None:
            return []
        (units,) = self.parts
        given = vectors(c, len(c), self.size, _CPU).double()
        low, high = units.low.cpu().double(), units.high.cpu().double()
        allowed = (high - low) / 2
        away = torch.maximum(low - given, given - high)
        told = []
        for k in range(self.size):
            far = away[:, k] > allowed[k]
            if not bool(far.any()):
                continue
            value, name = float(given[far, k][0]), names[k] if names else f"number {k} of c"
            if low[k] == high[k]:
                told.append(
                    f"{name} = {value:g}, but it was {float(low[k]):g} in all of the training "
                    "data: the model knows nothing of other values, and ignores this one"
                )
            else:
                told.append(
                    f"{name} = {value:g} lies far outside of what the model learned from, "
                    f"{float(low[k]):g} to {float(high[k]):g}: what it draws there is a guess"
                )
        return told

    def _standardized(self, c: Any) -> Any:
        if not len(self.parts):
            # Never fitted: contexts are taken as they are.
            return c
        leaves = _numbers(c)
        if [leaf.shape[_axis(leaf)] for leaf in leaves] != [part.columns for part in self.parts]:
            found = [tuple(leaf.shape) for leaf in leaves]
            raise InputError(
                f"contexts of shape {found} do not fit those of training, which had "
                f"{[part.columns for part in self.parts]} columns, channels or numbers a slot"
            )
        units = iter(self.parts)
        found = state.map_leaves(
            lambda leaf: next(units)(leaf) if leaf.is_floating_point() else leaf, c
        )
        mask = _mask(c)
        if mask is None:
            return found
        # Empty slots are zero in all units.
        filled = mask.unsqueeze(-1)
        return state.map_leaves(
            lambda leaf: torch.where(filled, leaf, 0.0) if leaf.is_floating_point() else leaf, found
        )

    def _embedded(self, c: Any) -> Tensor:
        assert self.network is not None
        found = self.network(c)
        wanted = (state.rows(c), self.size)
        if not isinstance(found, Tensor) or tuple(found.shape) != wanted:
            what = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise InputError(
                f"the context network returns {what} for {wanted[0]} contexts, but the model takes "
                f"vectors of {self.size}: {wanted}"
            )
        return found

    def _make_parts(self, columns: list[int]) -> None:
        """Units for parts of so many columns each, where they are not there yet."""
        if columns != [part.columns for part in self.parts]:
            self.parts = nn.ModuleList(ContextUnits(count) for count in columns).to(self.like)

    def _load_from_state_dict(self, tensors: Any, prefix: str, *rest: Any) -> None:
        if self.network is not None:
            # How many columns there are was learned from data.
            shifts = (tensors.get(f"{prefix}parts.{k}.shift") for k in range(len(tensors)))
            self._make_parts([len(shift) for shift in shifts if shift is not None])
        super()._load_from_state_dict(tensors, prefix, *rest)


def with_contexts(condition: Condition, network: nn.Module | None) -> Condition:
    """A condition whose contexts have units, and a context network if there is one.

    Raises `InputError` for a context network beside a network that takes no vectors.
    """
    size = condition.context_size
    if size is not None:
        return dataclasses.replace(condition, contexts=Contexts(size, network))
    if network is not None:
        raise InputError(
            "a context network makes vectors, which the network does not take: make it with "
            "context=, the length of a vector, or give it an attribute context_size"
        )
    return condition


def conditions_for(
    data: Any, labels: bool, network: Any = "auto", size: int | None = None
) -> tuple[dict[str, int | None], dict[str, nn.Module]]:
    """What networks have to know of the data's labels or contexts, and what models have to.

    That is a `context_network`, which makes vectors of a `size`, if that is known.

    Vectors of context need none; `auto` makes `nn.default_context_network` for all others.

    >>> import pushforward as pf
    >>> conditions_for(pf.data.Data(torch.zeros(2, 1), c=torch.tensor([0, 1])), True)
    ({'num_classes': 2, 'context': None}, {})
    """
    own = None if isinstance(network, str) else network
    if not isinstance(network, str | nn.Module | None) or network not in ("auto", own):
        raise InputError(
            f"context_network is a module from contexts to vectors, or 'auto', not {network!r}"
        )
    if not labels or data.context_shape is None:
        if own is not None:
            raise InputError(
                f"context_network= is for contexts, and {data.name} has none to learn from: give "
                "Data(x, c=contexts)"
            )
        return {"num_classes": data.num_classes if labels else None, "context": None}, {}
    if own is None and data.context_size is not None:
        return {"num_classes": None, "context": data.context_size}, {}
    if own is None:
        own = nets.default_context_network(data.context_shape, size or 32)
    found = {"num_classes": None, "context": _vector_size(own, data.c)}
    return found, {"context_network": own}


def vector_conditions(data: Any, labels: bool, *, of: str) -> dict[str, Any]:
    """What networks have to know of the data's labels or contexts, in a family without context
    networks.

    Raises `CapabilityError` for contexts that are no vectors.
    """
    if labels and data.context_shape is not None and data.context_size is None:
        raise CapabilityError(
            f"a {of} takes labels or vectors of context, but {data.name} has contexts of shape "
            f"{data.context_shape}: Diffusion, FlowMatching and NormalizingFlow have a "
            "context_network= for them, and labels=False learns without"
        )
    return conditions_for(data, labels)[0]


def _vector_size(network: nn.Module, c: Any) -> int:
    """The length of the vectors that a context network makes, seen on two rows of contexts.

    Raises `InputError` if it returns anything else than `(B, size)`.
    """
    few = state.take(c, slice(0, 2))
    own = next(network.parameters(), torch.empty(0))
    with evaluation_mode(network), torch.no_grad():
        found = network(state.to(few, own.device, own.dtype))
    if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != state.rows(few):
        what = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise InputError(
            f"a context network returns vectors (B, size), not {what} for {state.rows(few)} "
            "contexts"
        )
    return found.shape[1]


def _numbers(c: Any) -> list[Tensor]:
    """The parts that have units: labels and masks have none."""
    return [leaf for leaf in state.leaves(c) if leaf.is_floating_point()]


def _mask(c: Any) -> Tensor | None:
    """The slots `(B, slots)` that are filled, of a pair of `(B, slots, d)` and such a mask."""
    if not isinstance(c, tuple) or len(c) != 2 or not all(isinstance(a, Tensor) for a in c):
        return None
    x, mask = c
    fits = mask.dtype == torch.bool and x.ndim == 3 and mask.shape == x.shape[:2]
    return mask if fits else None


def _axis(c: Tensor) -> int:
    """Where columns are: the channels of pictures, the last axis of vectors, sequences and sets."""
    return 1 if c.ndim >= 4 else c.ndim - 1
