"""Priors of the latents, `p(z)`: fixed, or learned with the rest."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor, nn

from pushforward.checks import whole
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.latent.distributions import DiagonalNormal, Mixture, Reparametrized, Transformed
from pushforward.latent.encoders import Encoder
from pushforward.protocols import Distribution
from pushforward.transforms import Transform

__all__ = ["FlowPrior", "MixturePrior", "Prior", "StandardNormal", "VampPrior"]


class Prior(nn.Module):
    """A distribution of latents that may know the encoder."""

    latent: int | None = None

    rate: float = 1.0
    """A factor of the run's learning rate for the networks."""

    @abstractmethod
    def forward(self, encoder: Encoder) -> Distribution:
        """The distribution as it is now."""

    def divergence(self, posterior: Reparametrized) -> Tensor | None:
        """`KL(q || p)` in closed form, `(B, groups)`, or `None`."""
        return None

    def prepare(self, z: Tensor, generator: torch.Generator) -> None:
        """Take what a data-dependent start needs from standardized states; mostly nothing."""


@configurable
class StandardNormal(Prior):
    """`N(0, I)`.

    >>> StandardNormal(2).latent
    2
    """

    origin: Tensor

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.latent = whole("latent", latent)
        self.register_buffer("origin", torch.zeros(latent), persistent=False)

    def forward(self, encoder: Encoder) -> DiagonalNormal:
        """The Gaussian."""
        return DiagonalNormal(self.origin, torch.ones_like(self.origin))

    def divergence(self, posterior: Reparametrized) -> Tensor | None:
        """What the posterior knows of its divergence."""
        return posterior.divergence()


@configurable
class MixturePrior(Prior):
    """A learned mixture of Gaussians with independent dimensions.

    Args:
        latent: the dimension of the latents.
        components: how many Gaussians.

    Raises `InputError` for sizes below one.
    """

    rate = 10.0

    def __init__(self, latent: int, components: int = 10) -> None:
        super().__init__()
        self.latent = whole("latent", latent)
        self.means = nn.Parameter(torch.randn(whole("components", components), latent))
        self.log_stds = nn.Parameter(torch.zeros(components, latent))
        self.logits = nn.Parameter(torch.zeros(components))

    def forward(self, encoder: Encoder) -> Mixture:
        """The mixture."""
        return Mixture(DiagonalNormal(self.means, self.log_stds.exp()), self.logits.log_softmax(0))

    @torch.no_grad()
    def start(self, posterior: DiagonalNormal) -> None:
        """Begin as a kernel density of the latents of as many states as there are components.

        Of the width of Scott's rule, and drawn together, so that it is no wider than the latents.
        """
        middle = posterior.mean.mean(0)
        count, latent = posterior.mean.shape
        width = count ** (-1 / (latent + 4))
        self.means.copy_(middle + math.sqrt(1 - width**2) * (posterior.mean - middle))
        spread = posterior.mean.var(0, correction=0)
        self.log_stds.copy_((width**2 * spread + posterior.std.square()).log() / 2)


@configurable
class VampPrior(Prior):
    """The mean of the posteriors of learned pseudo-inputs (Tomczak & Welling 2018).

        p(z) = 1/K sum_k q(z | u_k)

    Pseudo-inputs are standardized states, and start at data. A posterior that takes labels or a
    context is asked for those of none.

    Args:
        event_shape: the shape of one data point.
        components: how many pseudo-inputs, `K`.

    Raises `InputError` for sizes below one.
    """

    def __init__(self, event_shape: int | tuple[int, ...], components: int = 50) -> None:
        super().__init__()
        shape = (event_shape,) if isinstance(event_shape, int) else tuple(event_shape)
        self.inputs = nn.Parameter(torch.randn(whole("components", components), *shape))

    def forward(self, encoder: Encoder) -> Mixture:
        """The mixture of the encoder's distributions."""
        count = len(self.inputs)
        return Mixture(encoder(self.inputs), self.inputs.new_full((count,), -math.log(count)))

    @torch.no_grad()
    def prepare(self, z: Tensor, generator: torch.Generator) -> None:
        """Start the pseudo-inputs at random data points."""
        if z.shape[1:] != self.inputs.shape[1:]:
            raise InputError(
                f"the VampPrior is made for events of shape {tuple(self.inputs.shape[1:])}, "
                f"not {tuple(z.shape[1:])}"
            )
        rows = torch.randint(len(z), (len(self.inputs),), generator=generator)
        self.inputs.copy_(z[rows.to(z.device)])


@configurable
class FlowPrior(Prior):
    """A standard normal distribution seen through a learned bijection.

    Args:
        transform: any `Transform` of vectors; training needs its `inverse`, sampling its `push`.
        latent: the dimension of the latents.

    Raises `InputError` for anything that is no transform.
    """

    def __init__(self, transform: Transform, latent: int) -> None:
        super().__init__()
        if not isinstance(transform, Transform):
            raise InputError(f"a flow prior is made of a Transform, not {transform!r}")
        self.transform, self.latent = transform, latent
        self.base = StandardNormal(latent)

    def forward(self, encoder: Encoder) -> Transformed:
        """The Gaussian, transformed."""
        return Transformed(self.base(encoder), self.transform)
