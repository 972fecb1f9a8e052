"""Encoders: networks that say where the latents of a data point lie, `q(z | x, c)`."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from pushforward.checks import whole
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.latent.distributions import (
    DiagonalNormal,
    FullNormal,
    Transformed,
)
from pushforward.latent.networks import check_network, evaluate
from pushforward.transforms import Transform

__all__ = ["DiagonalEncoder", "Encoder", "FlowEncoder", "FullCovarianceEncoder"]

_LEAST = 1e-4
"""No posterior is narrower than this: its density would have no bound."""


class Encoder(nn.Module):
    """`q(z | x, c)`: a function of standardized states `(B, *event)` that returns distributions."""

    latent: int

    @abstractmethod
    def forward(
        self, x: Tensor, c: Tensor | None = None
    ) -> DiagonalNormal | FullNormal | Transformed:
        """A batch of `B` on the latents, told labels or contexts if the network takes them."""


class _Gaussian(Encoder):
    def __init__(self, net: nn.Module, latent: int) -> None:
        super().__init__()
        self.net, self.latent = check_network(net), whole("latent", latent)


@configurable
class DiagonalEncoder(_Gaussian):
    """`N(m(x), diag s(x)^2)` (Kingma & Welling 2014).

    Args:
        net: `net(x)` or `net(x, c)`, `(B, 2 latent)`: means, and what `softplus` makes deviations.
        latent: the dimension of the latents.

    >>> from pushforward.nn import Perceptron
    >>> DiagonalEncoder(Perceptron(3, 4), latent=2)(torch.zeros(5, 3)).std.shape
    torch.Size([5, 2])
    """

    def forward(self, x: Tensor, c: Tensor | None = None) -> DiagonalNormal:
        """Gaussians with independent dimensions."""
        mean, raw = evaluate(self.net, x, c, (2 * self.latent,)).chunk(2, -1)
        return DiagonalNormal(mean, _LEAST + softplus(raw))

    @staticmethod
    def raw(std: Tensor) -> Tensor:
        """What the network puts out for some deviations."""
        return (std - _LEAST).expm1().log()


@configurable
class FullCovarianceEncoder(_Gaussian):
    """`N(m(x), L(x) L(x)^T)`.

    Args:
        net: `net(x)` or `net(x, c)`, `(B, latent + latent (latent + 1) / 2)`: means, and the lower
            triangle of `L`, its diagonal through `softplus`.
        latent: the dimension of the latents.

    >>> from pushforward.nn import Perceptron
    >>> FullCovarianceEncoder(Perceptron(3, 5), latent=2)(torch.zeros(4, 3)).factor.shape
    torch.Size([4, 2, 2])
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, net: nn.Module, latent: int) -> None:
        super().__init__(net, latent)
        rows, columns = torch.tril_indices(latent, latent)
        self.register_buffer("rows", rows, persistent=False)
        self.register_buffer("columns", columns, persistent=False)

    def forward(self, x: Tensor, c: Tensor | None = None) -> FullNormal:
        """Gaussians with any covariance."""
        d = self.latent
        h = evaluate(self.net, x, c, (d + len(self.rows),))
        lower = h.new_zeros(len(h), d, d)
        lower[:, self.rows, self.columns] = h[:, d:]
        diagonal = _LEAST + softplus(lower.diagonal(dim1=-2, dim2=-1))
        return FullNormal(h[:, :d], lower.tril(-1) + torch.diag_embed(diagonal))


@configurable
class FlowEncoder(Encoder):
    """A Gaussian posterior seen through a bijection (Rezende & Mohamed 2015).

    Args:
        base: the Gaussian encoder.
        transform: any `Transform` of vectors of the latents' dimension. Its `push` is what training
            needs, its `inverse` only a VampPrior.
        features: a network `(B, *event) -> (B, F)`, told labels as the encoder is; the transform
            then takes what it returns as context.

    Raises `InputError` for anything else.
    """

    def __init__(
        self, base: Encoder, transform: Transform, features: nn.Module | None = None
    ) -> None:
        super().__init__()
        if not isinstance(base, Encoder) or not isinstance(transform, Transform):
            raise InputError(
                f"a flow posterior is an encoder and a Transform, not {base!r} and {transform!r}"
            )
        self.base, self.transform, self.features = base, transform, features
        self.latent = base.latent

    def forward(self, x: Tensor, c: Tensor | None = None) -> Transformed:
        """The Gaussians, transformed."""
        context: Tensor | None = None
        if self.features is not None:
            context = self.features(x) if c is None else self.features(x, c)
        return Transformed(self.base(x, c), self.transform, context)
