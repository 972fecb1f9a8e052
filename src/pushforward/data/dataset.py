"""A data set in memory: states, labels, and what is needed to recognize it again."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from pushforward import state
from pushforward._notebook import Displayed
from pushforward.data import toys
from pushforward.data.levels import one_hot_names
from pushforward.data.schema import Schema, Value
from pushforward.data.stored import Stored, rows_at_once
from pushforward.errors import InputError
from pushforward.vocabulary import Vocabulary

__all__ = ["Data", "Kind"]

Kind = Literal["vector", "image", "state"]

_DTYPES = (torch.float32, torch.float64, torch.int64, torch.bool)


@dataclass(frozen=True, eq=False)
class Data(Displayed):
    """`N` data points as they were given (not standardized), with optional class labels.

    Args:
        x: the data points, a batch of states: a float32 tensor `(N, *event)`, where images are
            `(N, C, H, W)`, or a float64 one of numbers that float32 cannot carry; for other spaces
            a tensor of integers, or a (named) tuple of tensors.
        c: class labels, `(N,)`, int64 and not negative; or contexts, finite numbers in their own
            units: vectors `(N, K)`, pictures `(N, C, H, W)`, sequences `(N, T, d)`, sets
            `spaces.Points(x, mask)`, or a tuple of tensors; or captions, `(N, words)`, int64, the
            numbers of their words in `schema.vocabulary`; `None` without.
        name: what reports call the data.
        kind: `"vector"` or `"image"`; `"state"` for all that is no such tensor.
        levels: how many equally spaced values `x` can take, from `value_range[0]` to
            `value_range[1]` with both ends included (256 for 8-bit images); `None` if continuous.
        value_range: the smallest and largest value that `x` can take, if known.
        source: where the data came from.
        schema: the columns of a table and the values of the labels. Without classes in it, labels
            are their own values, and each of 0..K-1 must occur.
        dropped: how many rows with missing or non-finite values were left out when loading.
        rows: the numbers that the rows have in the source, counted from 0, `(N,)`; `None` if they
            are all there, in order.
        states: what the states are, in words, for data read as those of a space.
        notes: what to know of how it was read, such as files left out, a sentence each.
        origin: arguments of `pushforward.data.load` that read the data again; `None` for data that
            was in memory.

    Raises `InputError` for tensors of another shape or dtype, or labels that do not fit.

    >>> data = Data(torch.arange(8.0).reshape(4, 2), name="ramp")
    >>> print(data)
    ramp: 4 vectors of 2
    >>> data.event_shape
    (2,)
    >>> data.fingerprint[:12]
    'c3eb64df0c59'
    """

    x: Any
    c: Any = None
    name: str = "data"
    kind: Kind = "vector"
    levels: int | None = None
    value_range: tuple[float, float] | None = None
    source: str = "memory"
    schema: Schema = field(default_factory=Schema)
    dropped: int = 0
    rows: Tensor | None = None
    states: str | None = None
    notes: tuple[str, ...] = ()
    origin: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        state.check(self.x)
        parts = state.leaves(self.x)
        for part in parts:
            if part.dtype not in _DTYPES:
                raise InputError(
                    f"x is made of float32, float64, int64 and boolean tensors, not {part.dtype} "
                    f"{tuple(part.shape)}: pushforward.data.load converts arrays and tensors"
                )
            if 0 in part.shape:
                raise InputError(f"x of shape {tuple(part.shape)} holds no numbers")
        plain = isinstance(self.x, Tensor) and self.x.is_floating_point()
        if isinstance(self.x, Tensor) and self.x.ndim < 2:
            raise InputError(
                f"x is a tensor of shape (N, *event), not {tuple(self.x.shape)}: "
                "pushforward.data.load converts arrays and tensors"
            )
        if self.kind == "vector" and not plain:
            object.__setattr__(self, "kind", "state")
        if self.kind not in ("vector", "image", "state"):
            raise InputError(f"kind is 'vector', 'image' or 'state', not {self.kind!r}")
        if self.kind == "image" and not (plain and self.x.ndim == 4):
            raise InputError(f"images have shape (N, C, H, W), not (N, *{self.event_shape})")
        if self.value_range is not None and not self.value_range[0] < self.value_range[1]:
            raise InputError(f"value_range {self.value_range} is not (low, high) with low < high")
        if self.levels is not None and (self.levels < 2 or self.value_range is None):
            raise InputError(
                f"levels={self.levels} with value_range={self.value_range}: discrete data has at "
                "least 2 levels, equally spaced over a value_range"
            )
        if self.levels is not None and not plain:
            raise InputError(f"levels={self.levels} are those of numbers, not of {self.words}")
        if self.columns and len(self.columns) != state.numel(self.event_shape):
            raise InputError(
                f"{len(self.columns)} column names do not fit events of shape {self.event_shape}"
            )
        given = len(one_hot_names(self.schema.given))
        if given and self.c is not None and given != self.context_size:
            raise InputError(f"{given} given columns do not fit contexts of {self.context_size}")
        self._check_labels()

    def _check_labels(self) -> None:
        classes = self.schema.classes
        if self.c is None:
            if classes:
                raise InputError(f"classes {classes} were given without labels c")
            return
        if self.context_shape is not None:
            self._check_contexts()
            return
        if self.vocabulary is not None:
            self.vocabulary.tokens(self.c, len(self), self.c.device)
            return
        if self.c.dtype != torch.int64 or tuple(self.c.shape) != (len(self),):
            raise InputError(
                f"labels c have dtype int64 and shape ({len(self)},), "
                f"not {self.c.dtype} {tuple(self.c.shape)}"
            )
        low, high = int(self.c.min()), int(self.c.max())
        if low < 0 or (classes and high >= len(classes)):
            raise InputError(
                f"labels run from {low} to {high}: they must lie in 0..K-1 "
                f"with one value per class ({len(classes)} given)"
            )
        if not classes:
            found = self.c.unique().tolist()
            if len(found) <= high:
                missing = next(k for k, code in enumerate(found) if k != code)
                raise InputError(
                    f"labels run to {high}, but none is {missing}, a class that could not be "
                    "learned: pushforward.data.load(x, label=c) takes labels by their values, or "
                    "name all classes with schema=Schema(classes=...)"
                )
            # Kept from here on, so that a part of the data still knows the number of classes.
            full = dataclasses.replace(self.schema, classes=tuple(range(high + 1)))
            object.__setattr__(self, "schema", full)

    def _check_contexts(self) -> None:
        state.check(self.c)
        shapes = [tuple(part.shape) for part in state.leaves(self.c)]
        if state.rows(self.c) != len(self) or any(0 in shape or not shape[1:] for shape in shapes):
            raise InputError(
                f"contexts c are tensors of shape ({len(self)}, *one), not of {shapes}: "
                "c[:, None] makes vectors of one number, and labels have dtype int64"
            )
        kinds = {part.dtype for part in state.leaves(self.c)}
        if kinds - set(_DTYPES) or not kinds & {torch.float32, torch.float64}:
            raise InputError(
                "contexts c are float32 or float64 tensors, beside masks, not "
                f"{', '.join(sorted(map(str, kinds)))}"
            )
        # What lies in a store is checked when it is read.
        there = [part for part in state.leaves(self.c) if not isinstance(part, Stored)]
        if self.schema.classes or not all(bool(state.finite_rows(p).all()) for p in there):
            raise InputError("contexts c are finite numbers, without classes")

    def __len__(self) -> int:
        return state.rows(self.x)

    @property
    def event_shape(self) -> state.EventShape:
        """The shape of one data point, a tuple of shapes where it has several parts."""
        return state.event_shape(self.x)

    @property
    def symbols(self) -> int:
        """How many entries of one data point are symbols; 1 at least.

        >>> Data(torch.zeros(2, 5, dtype=torch.long)).symbols, Data(torch.zeros(2, 5)).symbols
        (5, 1)
        """
        parts = [leaf[0] for leaf in state.leaves(self.x) if leaf.dtype == torch.int64]
        return max(1, sum(part.numel() for part in parts))

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the features of a table."""
        return self.schema.names

    @property
    def classes(self) -> tuple[Value, ...]:
        """The values of the labels: label `k` in `c` stands for `classes[k]`."""
        return self.schema.classes

    @property
    def counts(self) -> list[int] | None:
        """How many rows each class has; `None` without labels."""
        if self.c is None or self.num_classes is None:
            return None
        found: list[int] = torch.bincount(self.c, minlength=self.num_classes).tolist()
        return found

    @property
    def num_classes(self) -> int | None:
        """How many classes the labels can name; `None` without labels, and for contexts."""
        return len(self.classes) or None

    @property
    def context_size(self) -> int | None:
        """How many numbers a vector of context has; `None` for other contexts, labels, and
        without."""
        shape = self.context_shape
        return shape[0] if isinstance(self.c, Tensor) and shape and len(shape) == 1 else None

    @property
    def context_shape(self) -> state.EventShape | None:
        """The shape of one context; `None` without contexts, and for labels."""
        if self.c is None or (isinstance(self.c, Tensor) and not self.c.is_floating_point()):
            return None
        return state.event_shape(self.c)

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The words of the captions; `None` without captions."""
        return None if self.c is None else self.schema.vocabulary

    @property
    def captions(self) -> list[str] | None:
        """What is said of each data point, in words; `None` without captions."""
        if self.c is None or self.schema.vocabulary is None:
            return None
        return self.schema.vocabulary.decode(self.c)

    @property
    def words(self) -> str:
        """What the data points are, as in "vectors of 2"."""
        if self.states is not None:
            return self.states
        shape = self.event_shape
        if self.kind == "state" and not isinstance(self.x, Tensor):
            return f"states of shape {shape}"
        return f"{self.kind}s of {' x '.join(map(str, shape))}"

    @property
    def modes(self) -> toys.Modes | None:
        """The modes of a built-in mixture of Gaussians; `None` for all other data."""
        return None if self.origin is None else toys.modes(str(self.origin.get("source")))

    @cached_property
    def fingerprint(self) -> str:
        """The sha256 of names, dtypes, shapes and bytes of data and labels, in hexadecimal.

        Of rows that stay in a store, what this says of itself and sixteen of them stand for all
        bytes.
        """
        digest = hashlib.sha256()
        labels = [] if self.c is None else list(state.named_leaves(self.c, "c"))
        for key, tensor in (*state.named_leaves(self.x), *labels):
            digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)};".encode())
            if isinstance(tensor, Stored):
                digest.update(f"{tensor.identity} {tensor.numbers.tolist()};".encode())
                continue
            digest.update(tensor.detach().cpu().contiguous().numpy().data)
        return digest.hexdigest()

    def take(self, index: Tensor) -> Data:
        """The rows that `index` names, `(M,)` of int64 or a mask `(N,)`, with their labels.

        >>> Data(torch.arange(4.0).reshape(4, 1)).take(torch.tensor([3, 0])).x
        tensor([[3.],
                [0.]])
        """
        labels = None if self.c is None else state.take(self.c, index)
        numbers = torch.arange(len(self)) if self.rows is None else self.rows
        x = state.take(self.x, index)
        return dataclasses.replace(self, x=x, c=labels, rows=numbers[index.to(numbers.device)])

    def resident(self) -> Data:
        """The data themselves; of those that stay in a store, as many rows as are read at once,
        evenly spread, in memory."""
        parts = state.leaves(self.x) + ([] if self.c is None else state.leaves(self.c))
        stored = [part for part in parts if isinstance(part, Stored)]
        if not stored:
            return self
        count = min(len(self), *(rows_at_once(tuple(part.shape[1:])) for part in stored))
        return self.take(torch.linspace(0, len(self) - 1, count).round().long())

    def first(self, n: int) -> Data:
        """What is there of the first `n` rows of the source.

        Raises `InputError` if that is nothing.

        >>> len(Data(torch.arange(4.0).reshape(4, 1)).first(3))
        3
        """
        total = min(n, len(self) + self.dropped)
        numbers = torch.arange(len(self)) if self.rows is None else self.rows
        kept = numbers < total
        if not bool(kept.any()):
            raise InputError(f"{self.name}: none of the first {n} rows is there to take")
        return dataclasses.replace(self.take(kept), dropped=total - int(kept.sum()))

    def split(self, holdout: float = 0.1, seed: int = 0) -> tuple[Data, Data]:
        """Two parts, `(train, test)`: each row lands in exactly one, by a random permutation.

        Windows of frames in time are parted by time: the last ones are the test, and those that
        share a frame with them are in neither. Patches of a field stay together. The test part has
        `round(holdout N)` rows, at least one, and leaves at least one to train on. The same seed
        always gives the same parts. Raises `InputError` unless `0 < holdout < 1` and there are two
        rows to part.

        >>> train, test = Data(torch.arange(10.0).reshape(10, 1)).split(0.2, seed=0)
        >>> len(train), len(test)
        (8, 2)
        """
        if not 0 < holdout < 1:
            raise InputError(f"holdout is the fraction of rows to set aside, in (0, 1): {holdout}")
        n = len(self)
        if n < 2:
            raise InputError(f"{self.name} has one row: there is nothing to split")
        held = min(max(round(holdout * n), 1), n - 1)
        if self.schema.windows is not None and self.rows is not None:
            train, test = self.schema.windows.parted(self.rows, held, self.name)
            return self.take(train), self.take(test)
        if self.schema.patches is not None:
            train, test = self.schema.patches.parted(n, holdout, seed, self.name)
            return self.take(train), self.take(test)
        order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
        # In the order of the source, so that a part of a file reads like the file.
        return self.take(order[held:].sort().values), self.take(order[:held].sort().values)

    def describe(self) -> dict[str, Any]:
        """What a manifest keeps: plain values, enough to recognize the data.

        >>> Data(torch.zeros(4, 2), name="zeros").describe()["event_shape"]
        [2]
        """
        return {
            "name": self.name,
            "source": self.source,
            "n": len(self),
            "event_shape": _plain(self.event_shape),
            "kind": self.kind,
            "states": self.states,
            "levels": self.levels,
            "value_range": None if self.value_range is None else list(self.value_range),
            "labels": self.num_classes,
            "context_shape": _plain(self.context_shape),
            "schema": self.schema.describe() or None,
            "counts": self.counts,
            "dropped": self.dropped,
            "notes": list(self.notes) or None,
            "origin": _plain(self.origin),
            "fingerprint": self.fingerprint,
        }

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        parts = [f"{len(self)} {self.words}"]
        if self.levels is not None and self.value_range is not None:
            low, high = self.value_range
            parts.append(f"{self.levels} levels on {low:g}..{high:g}")
        if self.c is not None:
            size = self.context_size or self.context_shape
            what = f"{self.num_classes} classes" if size is None else f"contexts of {size}"
            if self.schema.given:
                what = f"given {', '.join(column.name for column in self.schema.given)}"
            if self.vocabulary is not None:
                what = f"captions of {len(self.vocabulary.words)} words"
            parts.append(what)
        if self.dropped:
            total = len(self) + self.dropped
            parts.append(f"{self.dropped} of {total} rows left out for missing values")
        return "; ".join([f"{self.name}: {', '.join(parts)}", *self.notes])


def _plain(value: Any) -> Any:
    """The value with lists in the place of tuples, as YAML has them."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
