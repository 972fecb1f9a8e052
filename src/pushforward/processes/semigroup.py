r"""Transitions of a continuous-time Markov chain on symbols, as functions of what is left.

With rates `R` (row from, column to, rows sum to zero) whose slowest mode decays at rate 1, the
transition after the time `b` is `Q = exp(b R)`. It is a function of `a = exp(-b)`, what is left of
the slowest mode: `Q = I` at `a = 1`, and every row of `Q` is the stationary distribution at
`a = 0`, so that no time need be infinite.

A symbol is moved without forming `Q` for each state: `push` and `column` take `O(K^2)` operations
for each site, by eigenvectors of the rates if they are in detailed balance, and `O(K)` for uniform
rates.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from pushforward._precision import in_double, widest
from pushforward._random import drawn_from_logits, fine_uniform
from pushforward._shapes import like
from pushforward.errors import InputError
from pushforward.protocols import Time

__all__ = ["Semigroup", "SiteSemigroup", "UniformSemigroup", "semigroup_of"]

_LONGEST = 60.0
"""The time after which nothing is left, `exp(-60)`, in any precision."""


class Semigroup(ABC):
    """A chain on `K` symbols: its rates, its transitions, its stationary distribution."""

    symbols: int

    stationary: Tensor
    """`(K,)`, or `(sites, K)`, in double precision."""

    def precision(self, dtype: torch.dtype, device: torch.device) -> torch.dtype:
        """What its numbers are computed in, for predictions of some type."""
        return widest(device)

    @abstractmethod
    def push(self, weights: Tensor, left: Time) -> Tensor:
        """`w Q`, where weights `(B, *sites, K)` of symbols are after the transition."""

    @abstractmethod
    def column(self, x: Tensor, left: Time) -> Tensor:
        """The chance of `x` `(B, *sites)` from every symbol, `(B, *sites, K)`."""

    @abstractmethod
    def out(self, x: Tensor) -> Tensor:
        """The rates from `x` to every other symbol, zero to itself, `(B, *sites, K)`."""

    @abstractmethod
    def into(self, x: Tensor) -> Tensor:
        """The rates from every other symbol to `x`, zero from itself, `(B, *sites, K)`."""

    def row(self, x: Tensor, left: Time) -> Tensor:
        """The chance of every symbol from `x`, `(B, *sites, K)`."""
        dtype = self.precision(torch.float32, x.device)
        return self.push(functional.one_hot(x, self.symbols).to(dtype), left)

    def move(self, x: Tensor, left: Time, generator: torch.Generator | None) -> Tensor:
        """A draw of the transition from `x`, `(B, *sites)`."""
        return drawn_from_logits(self.row(x, left).log(), generator)


class UniformSemigroup(Semigroup):
    """Every symbol is replaced by one drawn from all, at rate 1: `Q = a I + (1 - a) / K`."""

    def __init__(self, symbols: int) -> None:
        self.symbols = symbols
        self.stationary = torch.full((symbols,), 1 / symbols, dtype=torch.float64)

    def precision(self, dtype: torch.dtype, device: torch.device) -> torch.dtype:
        """That of the prediction, at least single."""
        return torch.promote_types(dtype, torch.float32)

    def push(self, weights: Tensor, left: Time) -> Tensor:
        """`a w + (1 - a) / K` of their sum."""
        a = like(left, weights)
        return a * weights + (1 - a) / self.symbols * weights.sum(-1, keepdim=True)

    def column(self, x: Tensor, left: Time) -> Tensor:
        """The same as the row."""
        return self.row(x, left)

    def out(self, x: Tensor) -> Tensor:
        """`1 / K` each."""
        return (1 - functional.one_hot(x, self.symbols).float()) / self.symbols

    def into(self, x: Tensor) -> Tensor:
        """`1 / K` each."""
        return self.out(x)

    def move(self, x: Tensor, left: Time, generator: torch.Generator | None) -> Tensor:
        """Kept with the chance `a`, or else any symbol."""
        u, other = (fine_uniform(x.shape, generator, device=x.device) for _ in range(2))
        chance = like(in_double(left), x) if isinstance(left, Tensor) else left
        kept = (u < chance).to(x.device)
        return torch.where(kept, x, (other * self.symbols).long().to(x.device))


class _MatrixSemigroup(Semigroup):
    """Of a matrix of rates."""

    def __init__(self, rates: Tensor, stationary: Tensor) -> None:
        self.symbols, self.rates, self.stationary = len(rates), rates, stationary
        self._jumps = rates - torch.diag(rates.diagonal())
        self._moved: dict[torch.device, tuple[Tensor, ...]] = {}

    def _here(self, device: torch.device) -> tuple[Tensor, ...]:
        """The tables on a device."""
        if device not in self._moved:
            tables = (self._jumps, *self._tables())
            self._moved[device] = tuple(table.to(device, widest(device)) for table in tables)
        return self._moved[device]

    @abstractmethod
    def _tables(self) -> tuple[Tensor, ...]:
        """What transitions are made of."""

    def out(self, x: Tensor) -> Tensor:
        """Rows of the rates."""
        return self._here(x.device)[0][x]

    def into(self, x: Tensor) -> Tensor:
        """Columns of the rates."""
        return self._here(x.device)[0].mT[x]


class _ReversibleSemigroup(_MatrixSemigroup):
    """Rates in detailed balance: `Q = L a^decays M` with real eigenvalues."""

    def __init__(self, rates: Tensor, stationary: Tensor) -> None:
        super().__init__(rates, stationary)
        root = stationary.sqrt()
        symmetric = root.unsqueeze(1) * rates / root
        values, vectors = torch.linalg.eigh(0.5 * (symmetric + symmetric.mT))
        decays = (-values.flip(0)).clamp_min(0)
        # Exactly, so that nothing of the stationary mode is lost.
        decays[0] = 0.0
        vectors = vectors.flip(1)
        self._factors = vectors / root.unsqueeze(1), decays, vectors.mT * root

    def _tables(self) -> tuple[Tensor, ...]:
        return self._factors

    def push(self, weights: Tensor, left: Time) -> Tensor:
        _, before, decays, after = self._here(weights.device)
        return ((weights.to(before) @ before * _power(left, decays, weights.ndim)) @ after).clamp(0)

    def column(self, x: Tensor, left: Time) -> Tensor:
        _, before, decays, after = self._here(x.device)
        return (after.mT[x] * _power(left, decays, x.ndim + 1) @ before.mT).clamp(0)


class _GeneralSemigroup(_MatrixSemigroup):
    """Any rates, by scaling and squaring: a matrix for each time."""

    def _tables(self) -> tuple[Tensor, ...]:
        return (self.rates,)

    def _matrix(self, left: Time, device: torch.device) -> Tensor:
        """`exp(b R)`, `(K, K)` or `(B, K, K)`."""
        _, rates = self._here(device)
        a = torch.as_tensor(left, dtype=rates.dtype, device=device)
        time = -a.clamp_min(math.exp(-_LONGEST)).log()
        return torch.linalg.matrix_exp(time[..., None, None] * rates).clamp(0)

    def push(self, weights: Tensor, left: Time) -> Tensor:
        matrix = self._matrix(left, weights.device)
        return weights.to(matrix) @ _between(matrix, weights.ndim)

    def column(self, x: Tensor, left: Time) -> Tensor:
        matrix = self._matrix(left, x.device)
        if matrix.ndim == 2:
            return matrix.mT[x]
        rows = torch.arange(len(x), device=x.device).reshape(-1, *[1] * (x.ndim - 1))
        return matrix.mT[rows, x]


class SiteSemigroup(Semigroup):
    """Chains of their own for the sites, states `(B, sites)`."""

    def __init__(self, parts: Sequence[Semigroup]) -> None:
        self.parts, self.symbols = tuple(parts), parts[0].symbols
        self.stationary = torch.stack([part.stationary for part in parts])

    def push(self, weights: Tensor, left: Time) -> Tensor:
        return self._each(weights, lambda part, w: part.push(w, left))

    def column(self, x: Tensor, left: Time) -> Tensor:
        return self._each(x, lambda part, own: part.column(own, left))

    def out(self, x: Tensor) -> Tensor:
        return self._each(x, lambda part, own: part.out(own))

    def into(self, x: Tensor) -> Tensor:
        return self._each(x, lambda part, own: part.into(own))

    def _each(self, x: Tensor, of: Callable[[Semigroup, Tensor], Tensor]) -> Tensor:
        if x.ndim < 2 or x.shape[1] != len(self.parts):
            raise InputError(
                f"rates are given for {len(self.parts)} sites, but states have "
                f"{x.shape[1] if x.ndim > 1 else 0}"
            )
        own = [of(part, x[:, k : k + 1]) for k, part in enumerate(self.parts)]
        return torch.cat([part.to(widest(x.device)) for part in own], 1)


def semigroup_of(rates: Tensor, stationary: Tensor | None = None) -> Semigroup:
    """The semigroup of rates `(K, K)`, scaled so that the slowest mode decays at rate 1.

    The diagonal is not looked at; the stationary distribution is found unless it is known. Raises
    `InputError` for what are no rates, and for a chain that does not come to one distribution from
    all symbols.

    >>> semigroup_of(torch.tensor([[0.0, 3.0], [1.0, 0.0]])).row(torch.tensor([[0]]), 0.5)
    tensor([[[0.6250, 0.3750]]], dtype=torch.float64)
    """
    jumps = rates.detach().cpu().double()
    if jumps.ndim != 2 or jumps.shape[0] != jumps.shape[1] or len(jumps) < 2:
        raise InputError(f"rates are a square matrix of two symbols and more, not {jumps.shape}")
    jumps = jumps - torch.diag(jumps.diagonal())
    if not bool((jumps.isfinite() & (jumps >= 0)).all()):
        raise InputError("rates from one symbol to another are finite and not negative")
    full = jumps - torch.diag(jumps.sum(1))
    gap = _gap(full)
    full = full / gap
    stationary = _stationary(full) if stationary is None else stationary.double()
    flow = stationary.unsqueeze(1) * full
    if bool((stationary > 0).all()) and torch.allclose(flow, flow.mT, rtol=1e-9, atol=1e-15):
        return _ReversibleSemigroup(full, stationary)
    return _GeneralSemigroup(full, stationary)


def _gap(full: Tensor) -> float:
    """The rate at which the slowest mode decays."""
    scale = float(full.diagonal().abs().max())
    decays = (-torch.linalg.eigvals(full / max(scale, 1e-300)).real).sort().values
    if not float(decays[1]) > 1e-10:
        raise InputError(
            "the rates leave symbols apart that never come to one distribution: give rates by "
            "which every symbol leads to a common one"
        )
    return float(decays[1]) * scale


def _stationary(full: Tensor) -> Tensor:
    """The left null vector of rates, with the sum of one as a further equation."""
    system = torch.cat([full.mT / full.abs().max(), full.new_ones(1, len(full))])
    target = full.new_zeros(len(system), 1)
    target[-1] = 1.0
    found = torch.linalg.lstsq(system, target, driver="gelsd").solution.squeeze(1)
    found = torch.where(found < 1e-14, 0.0, found)
    return found / found.sum()


def _power(left: Time, decays: Tensor, ndim: int) -> Tensor:
    """`a^decays`, for a float or `(B,)`, to multiply `(B, *sites, K)`."""
    a = torch.as_tensor(left, dtype=decays.dtype, device=decays.device)
    return a**decays if a.ndim == 0 else a.reshape(-1, *[1] * (ndim - 1)) ** decays


def _between(matrix: Tensor, ndim: int) -> Tensor:
    """A matrix, or one for each row, to multiply `(B, *sites, K)` from the right."""
    if matrix.ndim == 2:
        return matrix
    return matrix.reshape(len(matrix), *[1] * (ndim - 3), *matrix.shape[1:])
