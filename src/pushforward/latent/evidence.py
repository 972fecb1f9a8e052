"""The evidence `log p(x)` of data under a latent variable model, and its lower bound."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward._random import normal_like
from pushforward.latent.decoders import Decoder
from pushforward.latent.distributions import Reparametrized
from pushforward.protocols import Distribution

__all__ = ["Elbo", "Evidence"]


@dataclass(frozen=True)
class Elbo:
    """The evidence lower bound, in nats, by its parts.

    Args:
        reconstruction: `E_q log p(x | z)`, `(B,)`.
        kl: `KL(q(z | x) || p(z))`, `(B, groups)`, in groups of independent latents.

    >>> import torch
    >>> Elbo(torch.tensor([-1.0]), torch.tensor([[0.5, 0.25]])).value
    tensor([-1.7500])
    """

    reconstruction: Tensor
    kl: Tensor

    @property
    def value(self) -> Tensor:
        """The bound, `(B,)`."""
        return self.reconstruction - self.kl.sum(-1)


@dataclass(frozen=True)
class Evidence:
    """`log p(x, z) - log q(z | x)` as a function of the noise that latents are made of.

    The mean of its exponential over standard normal noise is `p(x)`.

    Args:
        decoder: `p(x | z)`.
        posterior: `q(z | x)`, of `B` states.
        prior: `p(z)`.
        target: the states as the decoder sees them, `(B, *event)`.
        context: labels or contexts, `(B, ...)`, or `None`.
        constant: added to the decoder's log-densities, for a change of units.
    """

    decoder: Decoder
    posterior: Reparametrized
    prior: Distribution
    target: Tensor
    context: Tensor | None
    constant: Tensor

    def __call__(self, noise: Tensor) -> Tensor:
        """The log-weights of noise `(K, B, d)`, `(K, B)`."""
        z, log_q = self.posterior.push_and_log_prob(noise)
        return self.log_likelihood(z) + self.prior.log_prob(z) - log_q

    def noise(self, count: int, generator: torch.Generator | None) -> Tensor:
        """So much noise for each state, `(K, B, d)`, drawn state by state."""
        middle = self.posterior.location
        like = middle.unsqueeze(1).expand(-1, count, -1)
        return normal_like(like, generator).transpose(0, 1)

    def log_likelihood(self, z: Tensor) -> Tensor:
        """`log p(x | z)` at latents `(K, B, d)`, `(K, B)`."""
        count, batch, _ = z.shape
        context = self.context
        if context is not None:
            context = context.expand(count, *context.shape).flatten(0, 1)
        x = self.target.expand(count, *self.target.shape).flatten(0, 1)
        found: Tensor = self.decoder(z.flatten(0, 1), context).log_prob(x)
        return found.reshape(count, batch) + self.constant
