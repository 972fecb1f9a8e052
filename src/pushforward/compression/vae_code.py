"""A variational autoencoder of levels as a code."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor

from pushforward.errors import CapabilityError
from pushforward.latent import DiagonalEncoder, StandardNormal
from pushforward.models.vae import VAE

__all__ = ["VAECode"]

_LEAST = 1e-7
"""Of a level's probability: what the decoder holds for impossible can still be coded."""


class VAECode:
    """What bits-back coding asks of a model, in double precision on the CPU.

    Two machines have to agree on every probability to the last of its 24 bits: double precision
    leaves them many more.

    Args:
        model: a VAE with a decoder of levels, a `DiagonalEncoder` and a `StandardNormal` prior,
            without labels.

    Raises `CapabilityError` for any other model, with the way out.
    """

    def __init__(self, model: Any) -> None:
        if not isinstance(model, VAE) or not model.discrete:
            raise CapabilityError(
                f"this {type(model).__name__} has no code for its data: train a VAE with a decoder "
                "of levels, `pushforward train DATA --model vae model.decoder=logistic "
                "model.labels=false`"
            )
        encoder, prior = type(model.encoder), type(model.prior)
        if encoder is not DiagonalEncoder or prior is not StandardNormal:
            raise CapabilityError(
                "bits-back coding needs latents that are coded one by one: a diagonal encoder and "
                f"a normal prior, not {encoder.__name__} and {prior.__name__}"
            )
        if model.capabilities.conditional:
            raise CapabilityError("the model wants labels, which a file of pictures lacks")
        self.model = copy.deepcopy(model).cpu().double().eval()
        self.event_shape: tuple[int, ...] = model.event_shape
        self.latent, self.size = model.latent, math.prod(self.event_shape)
        decoder: Any = model.decoder
        self.levels: int = decoder.levels
        self.value_range: tuple[float, float] = decoder.value_range

    @torch.no_grad()
    def posterior(self, levels: Tensor) -> tuple[Tensor, Tensor]:
        """Means and standard deviations of the latents of a state `(1, size)`."""
        low, high = self.value_range
        x = low + (high - low) / (self.levels - 1) * levels.double()
        distribution: Any = self.model.encode(x.reshape(1, *self.event_shape))
        return distribution.mean[0], distribution.std[0]

    @torch.no_grad()
    def probabilities(self, z: Tensor) -> Tensor:
        """The probability of each level given latents `(1, latent)`: `(size, levels)`."""
        observed: Any = self.model.decoder(z.double())
        p: Tensor = observed.probabilities().reshape(self.size, self.levels)
        p = p.clamp(min=_LEAST)
        return p / p.sum(1, keepdim=True)
