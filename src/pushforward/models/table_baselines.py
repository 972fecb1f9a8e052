"""Baselines for tables with columns of all kinds: a Gaussian copula, and rows drawn again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from pushforward import config, state
from pushforward._random import normal, resolve, uniform
from pushforward.config import configurable, made
from pushforward.errors import CapabilityError, InputError
from pushforward.estimates import Capabilities, LogProb
from pushforward.models.model import GenerativeModel, parts_of
from pushforward.models.trainable import Trainable
from pushforward.processes import table_process

__all__ = ["Bootstrap", "GaussianCopula"]

_LEAST = 1e-4
"""Of the eigenvalues of a correlation matrix, so that it has a root."""


class _FittedTable(GenerativeModel, Trainable):
    """A model of the rows of a table that is fitted at once."""

    closed_form = True
    learns_kinds = True
    loss_measures_quality = False

    def __init__(self, numbers: int, sizes: Sequence[int], event_shape: Any) -> None:
        super().__init__(event_shape)
        self.numbers, self.sizes = numbers, tuple(sizes)
        self.space = table_process(numbers, self.sizes).space

    @classmethod
    def for_data(cls, data: Any, *, labels: bool = True, **options: Any) -> Self:
        """The baseline of a table that was read with `kinds=`. Raises `InputError` for others."""
        coded = data.schema.mixed
        if coded is None:
            raise InputError(
                f"a {cls.__name__} is of the columns of a table by their kinds: load "
                f"{data.name} with kinds='auto' (data.kinds=auto)"
            )
        return made(
            cls, options, numbers=coded.dimension, sizes=coded.sizes, event_shape=data.event_shape
        )

    @classmethod
    def space_for(cls, options: dict[str, Any]) -> Any:
        """None before the data are known, whose columns say it."""
        return None

    @property
    def capabilities(self) -> Capabilities:
        """Samples alone."""
        return Capabilities(True, "none", False)

    def log_prob(self, x: Any, c: Any = None) -> LogProb:
        """Raises `CapabilityError`."""
        raise CapabilityError(f"a {type(self).__name__} has no densities")

    def loss(
        self, x: Any, c: Any = None, *, generator: Any = None, rows: slice = slice(None)
    ) -> Tensor:
        """Zeros, `(B,)`: there is nothing left to train."""
        return torch.zeros(state.rows(state.take(x, rows)))

    def _halves(self, x: Any) -> tuple[Tensor, Tensor]:
        """The numbers `(N, d)` and the symbols `(N, s)` of rows, empty where they have none."""
        parts = x if isinstance(x, tuple) else (x,)
        n = len(parts[0])
        numbers = next((p for p in parts if p.is_floating_point()), torch.zeros(n, 0))
        symbols = next(
            (p for p in parts if not p.is_floating_point()), torch.zeros(n, 0, dtype=torch.int64)
        )
        return numbers, symbols

    def _row(self, numbers: Tensor, symbols: Tensor) -> Any:
        if self.numbers and self.sizes:
            return numbers, symbols
        return numbers if self.numbers else symbols


@configurable
class GaussianCopula(_FittedTable):
    r"""Each column by its own law, and normal scores of all with one correlation matrix.

    A symbol is the interval of a normal number that has its frequency; its score in the data is
    drawn in that interval (Patki, Wedge & Veeramachaneni 2016). Numbers have scores already. So
    marginals are those of the data, and of the dependence there is what correlations say.

    Args:
        numbers: how many numbers a row has.
        sizes: how many symbols each site has.
        event_shape: the shape of one row.
        fitted: whether there is a fit; written by the model itself.

    >>> import pushforward as pf
    >>> table = {"a": ["x", "y", "x", "x"] * 9, "b": ["u", "u", "v", "v"] * 9}
    >>> data = pf.data.load(table, kinds="auto")
    >>> model = pf.fit(GaussianCopula.for_data(data), data, progress=False).model
    >>> model.sample(3, seed=0).shape
    torch.Size([3, 2])
    """

    defaults: ClassVar[dict[str, Any]] = {}
    root: Tensor
    edges: Tensor
    center: Tensor

    def __init__(
        self,
        numbers: int,
        sizes: Sequence[int] = (),
        event_shape: state.EventShape | None = None,
        fitted: bool = False,
    ) -> None:
        super().__init__(numbers, sizes, event_shape)
        size = numbers + len(self.sizes)
        self.fitted = fitted
        self.register_buffer("root", torch.eye(size, dtype=torch.float64))
        most = max(self.sizes, default=1)
        self.register_buffer("edges", torch.ones(len(self.sizes), most + 1, dtype=torch.float64))
        self.register_buffer("center", torch.zeros(2, numbers, dtype=torch.float64))
        self._ready()

    def prepare(self, x: Any, c: Any = None, *, generator: torch.Generator) -> None:
        """The frequencies of the symbols, and the correlations of all scores."""
        numbers, symbols = self._halves(state.to(x, "cpu"))
        n = len(numbers)
        if n < 2:
            raise InputError(f"correlations need at least two rows, not {n}")
        scores = numbers.double()
        if self.numbers:
            self.center[0] = scores.mean(0)
            self.center[1] = scores.std(0).clamp_min(1e-12)
        columns = [(scores - self.center[0]) / self.center[1]]
        for k, size in enumerate(self.sizes):
            share = torch.bincount(symbols[:, k], minlength=size).double() / n
            self.edges[k, : size + 1] = torch.cat([share.new_zeros(1), share.cumsum(0)])
            low, high = self.edges[k][symbols[:, k]], self.edges[k][symbols[:, k] + 1]
            u = low + (high - low) * torch.rand(n, dtype=torch.float64, generator=generator)
            columns.append(torch.special.ndtri(u.clamp(1e-9, 1 - 1e-9))[:, None])
        every = torch.cat(columns, 1)
        matrix = torch.corrcoef(every.mT).reshape(every.shape[1], every.shape[1])
        matrix = torch.where(matrix.isfinite(), matrix, torch.eye(len(matrix), dtype=matrix.dtype))
        values, axes = torch.linalg.eigh(matrix)
        root = axes * values.clamp_min(_LEAST).sqrt()
        self.root.copy_(root / root.square().sum(1, keepdim=True).sqrt())
        self.fitted = True
        config.amend(self, fitted=True)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        c: Any = None,
        *,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = None,
        rows: slice = slice(None),
        progress: Callable[[int, int], None] | None = None,
    ) -> Any:
        """Draw `n` rows. Raises `InputError` before a fit."""
        if not self.fitted:
            raise InputError("this GaussianCopula has not been fitted: pushforward.fit")
        parts_of(n, batch_size, rows)
        noise = resolve(seed, generator, self.root.device, rows=n)
        scores = normal((n, len(self.root)), noise, dtype=torch.float64) @ self.root.mT
        numbers = self.center[0] + self.center[1] * scores[:, : self.numbers]
        u = torch.special.ndtr(scores[:, self.numbers :])
        symbols = [
            (torch.bucketize(u[:, k].contiguous(), self.edges[k, 1:size].contiguous(), right=True))
            for k, size in enumerate(self.sizes)
        ]
        stacked = torch.stack(symbols, 1) if symbols else torch.zeros(n, 0, dtype=torch.int64)
        if progress is not None:
            progress(1, 1)
        return state.take(self._row(numbers.float(), stacked), rows)


@configurable
class Bootstrap(_FittedTable):
    """Rows of the training data, drawn with replacement: all that can be had but new rows.

    Args:
        numbers: how many numbers a row has.
        sizes: how many symbols each site has.
        event_shape: the shape of one row.
        known: how many rows are kept; written by the model itself.

    >>> import pushforward as pf
    >>> data = pf.data.load({"a": ["x", "y", "x", "x"] * 9}, kinds="auto")
    >>> model = pf.fit(Bootstrap.for_data(data), data, progress=False).model
    >>> model.sample(3, seed=0).shape
    torch.Size([3, 1])
    """

    defaults: ClassVar[dict[str, Any]] = {}
    kept_numbers: Tensor
    kept_symbols: Tensor

    def __init__(
        self,
        numbers: int,
        sizes: Sequence[int] = (),
        event_shape: state.EventShape | None = None,
        known: int = 0,
    ) -> None:
        super().__init__(numbers, sizes, event_shape)
        self.register_buffer("kept_numbers", torch.zeros(known, numbers))
        self.register_buffer("kept_symbols", torch.zeros(known, len(self.sizes)).long())
        self._ready()

    def prepare(self, x: Any, c: Any = None, *, generator: torch.Generator) -> None:
        """Keep the rows."""
        self.kept_numbers, self.kept_symbols = self._halves(state.to(x, "cpu"))
        config.amend(self, known=len(self.kept_numbers))

    @torch.no_grad()
    def sample(
        self,
        n: int,
        c: Any = None,
        *,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = None,
        rows: slice = slice(None),
        progress: Callable[[int, int], None] | None = None,
    ) -> Any:
        """Draw `n` rows. Raises `InputError` before a fit."""
        known = len(self.kept_numbers)
        if not known:
            raise InputError("this Bootstrap has not been fitted: pushforward.fit")
        parts_of(n, batch_size, rows)
        u = uniform((n,), resolve(seed, generator, rows=n), dtype=torch.float64)
        at = (u * known).long().clamp_max(known - 1)
        if progress is not None:
            progress(1, 1)
        return state.take(self._row(self.kept_numbers[at], self.kept_symbols[at]), rows)
