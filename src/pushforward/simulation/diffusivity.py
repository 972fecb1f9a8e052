r"""The constant noise of `dX = b dt + sqrt(2 D) dW`: isotropic, anisotropic or degenerate."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward._random import normal
from pushforward._shapes import flatten
from pushforward.errors import CapabilityError, InputError

__all__ = ["Diffusivity"]


class Diffusivity:
    r"""A constant `D`, symmetric and positive semidefinite, with `D = R R^T`.

    Noise of a step of length `h` is `sqrt(2 h) R n` with `n` standard normal, and the probability
    flow of the SDE is `dx / dt = b - D grad log p_t`. A degenerate `D` has fewer columns in `R`
    than a state has numbers: the score matters in its range alone.

    Args:
        value: a number for `D` times the identity; a tensor of the shape of a state for a diagonal
            `D`, whose entries may be zero; or a matrix `(k, k)` for states of `k` numbers.
        event_shape: the shape of a state.

    Raises `InputError` for another shape, for numbers that are negative or not finite, for a matrix
    that is not symmetric and positive semidefinite, and for no noise at all.

    >>> noise_on_the_second = Diffusivity(torch.tensor([0.0, 0.5]), (2,))
    >>> noise_on_the_second.flux(torch.ones(1, 2)), noise_on_the_second.rank
    (tensor([[0.0000, 0.5000]]), 1)
    """

    def __init__(self, value: float | Tensor, event_shape: tuple[int, ...]) -> None:
        self.event_shape = tuple(event_shape)
        size = math.prod(self.event_shape)
        given = torch.as_tensor(value).detach()
        given = given.double() if given.device.type != "mps" else given.cpu().double()
        if not bool(torch.isfinite(given).all()):
            raise InputError(f"the diffusion has finite numbers, not {value}")
        if given.ndim == 0:
            given = given.expand(size)
        elif given.shape == self.event_shape:
            given = given.flatten()
        elif given.shape != (size, size):
            raise InputError(
                f"the diffusion is a number, {self.event_shape} numbers for a diagonal one, or a "
                f"matrix ({size}, {size}), not of shape {tuple(given.shape)}"
            )
        self._root = _root_of(given)
        self.trace = float(self._root.square().sum())
        if not self.trace > 0:
            raise InputError("the diffusion is zero: without noise there is no score to learn")

    @property
    def rank(self) -> int:
        """How many directions have noise."""
        return len(self._root) if self._root.ndim == 1 and self.full else self._columns.shape[1]

    @property
    def full(self) -> bool:
        """Whether there is noise in every direction."""
        root = self._root
        if root.ndim == 1:
            return bool((root > 0).all())
        return root.shape[0] == root.shape[1]

    @property
    def _columns(self) -> Tensor:
        """`R` as a matrix `(k, r)`."""
        root = self._root
        return torch.diag(root)[:, root > 0] if root.ndim == 1 else root

    def spread(self, z: Tensor) -> Tensor:
        """`R z` of numbers `(B, r)`, one for each direction with noise; `(B, *event)`."""
        root = self._root.to(z)
        if root.ndim == 2:
            x = z @ root.T
        elif self.full:
            x = z * root
        else:
            x = z.new_zeros(len(z), len(root))
            x[:, root > 0] = z * root[root > 0]
        return x.reshape(len(z), *self.event_shape)

    def gather(self, x: Tensor) -> Tensor:
        """`R^T x` of vectors `(B, *event)`; `(B, r)`."""
        root, flat = self._root.to(x), flatten(x)
        if root.ndim == 2:
            return flat @ root
        return flat * root if self.full else flat[:, root > 0] * root[root > 0]

    def flux(self, score: Tensor) -> Tensor:
        """`D s` of scores `(B, *event)`."""
        return self.spread(self.gather(score))

    def inverse(self, x: Tensor) -> Tensor:
        """`D^-1 x` of vectors `(B, *event)`. Raises `CapabilityError` for a degenerate `D`."""
        if not self.full:
            raise CapabilityError(
                f"the diffusion has noise in {self.rank} of {len(self._root)} directions, and no "
                "inverse"
            )
        root = self._root.to(x)
        if root.ndim == 1:
            return (flatten(x) / root.square()).reshape(x.shape)
        return torch.linalg.solve(root @ root.T, flatten(x).mT).mT.reshape(x.shape)

    def noise(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Noise of covariance `2 D`, shaped like `x` `(B, *event)`."""
        drawn = normal((len(x), self.rank), generator, dtype=x.dtype, device=x.device)
        return math.sqrt(2.0) * self.spread(drawn)

    def __repr__(self) -> str:
        return f"Diffusivity(rank {self.rank} of {len(self._root)}, trace {self.trace:g})"


def _root_of(value: Tensor) -> Tensor:
    """The diagonal of `R` for a diagonal, and `R` without its zero columns for a matrix."""
    if value.ndim == 1:
        if not bool((value >= 0).all()):
            raise InputError(f"the diffusion has no negative numbers, not {float(value.min()):g}")
        return value.sqrt()
    if not torch.allclose(value, value.T, rtol=1e-6, atol=1e-9 * float(value.abs().max())):
        raise InputError("the matrix of the diffusion is symmetric: this one is not")
    values, vectors = torch.linalg.eigh(value)
    largest = float(values.max())
    if float(values.min()) < -1e-6 * abs(largest):
        raise InputError(
            "the matrix of the diffusion is positive semidefinite: this one has the eigenvalue "
            f"{float(values.min()):g}"
        )
    kept = values > 1e-10 * largest
    return vectors[:, kept] * values[kept].sqrt()
