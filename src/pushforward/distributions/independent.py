"""Vectors whose parts are independent: a prior made of priors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.config import configurable
from pushforward.distributions.support import Supported
from pushforward.errors import InputError
from pushforward.protocols import Distribution
from pushforward.transforms import Bijection

__all__ = ["IndependentProduct", "PartByPart"]


@dataclass(frozen=True)
class PartByPart:
    """Bijections of parts of a vector, next to each other; `None` leaves a part as it is."""

    parts: tuple[Bijection | None, ...]
    sizes: tuple[int, ...]

    def __call__(self, z: Tensor) -> Tensor:
        """The image, part by part."""
        pieces = zip(self.parts, z.split(self.sizes, -1), strict=True)
        return torch.cat([piece if f is None else f(piece) for f, piece in pieces], -1)

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The preimage and the sum of the log-determinants."""
        found, total = [], x.new_zeros(len(x))
        for f, piece in zip(self.parts, x.split(self.sizes, -1), strict=True):
            z, log_det = (piece, 0.0) if f is None else f.inverse(piece)
            found.append(z)
            total = total + log_det
        return torch.cat(found, -1), total


@configurable
class IndependentProduct:
    """The product of distributions of vectors: draws side by side, log-densities added.

    Args:
        parts: distributions of vectors `(n, d_k)`.

    It tells its support (`unconstrained`) if all of the parts do.

    Raises `InputError` for none, or for parts that are no vectors.

    >>> from pushforward.distributions import Box, LogNormal
    >>> prior = IndependentProduct(Box([0.0], [1.0]), LogNormal([0.0, 0.0], [1.0, 1.0]))
    >>> prior.sample(4, seed=0).shape
    torch.Size([4, 3])
    """

    unconstrained: Bijection | None

    def __init__(self, *parts: Distribution[Tensor]) -> None:
        if not parts:
            raise InputError("a product needs at least one distribution")
        shapes = [tuple(part.sample(1, seed=0).shape) for part in parts]
        if any(len(shape) != 2 for shape in shapes):
            raise InputError(f"a product is of distributions of vectors (n, d), not {shapes}")
        self.parts = parts
        self.sizes = tuple(shape[1] for shape in shapes)
        known = [part.unconstrained for part in parts if isinstance(part, Supported)]
        if len(known) == len(parts):
            free = all(each is None for each in known)
            self.unconstrained = None if free else PartByPart(tuple(known), self.sizes)

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """`n` draws, `(n, d)`."""
        generator = resolve(seed, generator, rows=n)
        return torch.cat([part.sample(n, generator=generator) for part in self.parts], -1)

    def log_prob(self, x: Tensor) -> Tensor:
        """The sum of the log-densities of the parts, `(B,)`."""
        pieces = zip(self.parts, x.split(self.sizes, -1), strict=True)
        return torch.stack([part.log_prob(piece) for part, piece in pieces]).sum(0)
