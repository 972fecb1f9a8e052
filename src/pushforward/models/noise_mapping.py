"""Models whose samples are a function of standard normal noise, `x = g(z)`."""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any, NamedTuple

from torch import Tensor

from pushforward import state
from pushforward.distributions import Normal
from pushforward.errors import CapabilityError
from pushforward.latent.distributions import DiagonalNormal
from pushforward.latent.priors import StandardNormal
from pushforward.models.diffusion import Diffusion
from pushforward.models.flow_matching import FlowMatching
from pushforward.models.gan import GAN
from pushforward.models.normalizing_flow import NormalizingFlow
from pushforward.models.vae import VAE

__all__ = ["NoiseMap", "noise_map"]

_TOLERANCE = 1e-4

_HAVE_ONE = (
    "a GAN, a NormalizingFlow from normal noise, a VAE with a normal prior and decoder, a "
    "Diffusion on a Gaussian process and a FlowMatching from noise have one"
)


class NoiseMap(NamedTuple):
    """`x = g(z)`: states in data units of standard normal noise.

    Args:
        size: how many numbers make a state.
        map: states `(B, *event)` of noise `(B, size)`, row by row.
    """

    size: int
    map: Callable[[Tensor], Tensor]

    def __call__(self, z: Tensor) -> Tensor:
        """The states of noise `(B, size)`."""
        return self.map(z)


@singledispatch
def noise_map(model: Any, c: Any = None) -> NoiseMap:
    """Samples of a model, in one label or context, as a function of standard normal noise.

    The states have the distribution of `sample`. A `Diffusion` is followed along its probability
    flow to where its path ends, which has the same distribution for an exact network. Gradients go
    back to the noise through all but `FlowMatching`.

    Raises `CapabilityError` for a model whose noise is of another kind, or has no fixed size.

    >>> import pushforward as pf
    >>> import torch
    >>> gan = pf.GAN.for_data(pf.data.load("8gaussians", n=50), labels=False, width=8)
    >>> noise_map(gan)(torch.zeros(3, 2)).shape
    torch.Size([3, 2])
    """
    raise CapabilityError(
        f"samples of a {type(model).__name__} are no function of normal noise: {_HAVE_ONE}"
    )


@noise_map.register
def _of_gan(model: GAN, c: Any = None) -> NoiseMap:
    def made(z: Tensor) -> Tensor:
        context = model.condition.required(c, len(z), model.device)
        z = z.to(model.device, model.dtype)
        with model.evaluating():
            found = model.generator(z) if context is None else model.generator(z, context)
        out: Tensor = model.outward(found)
        return out

    model.known_units()
    return NoiseMap(model.latent, made)


@noise_map.register
def _of_normalizing_flow(model: NormalizingFlow, c: Any = None) -> NoiseMap:
    if model.base != "normal":
        raise CapabilityError(f"the base of this flow is {model.base}, not normal: {_HAVE_ONE}")
    model.known_units()

    def made(z: Tensor) -> Tensor:
        context = model.condition.required(c, len(z), model.device)
        z = z.to(model.device, model.dtype).reshape(len(z), *model.event_shape)
        with model.evaluating():
            out: Tensor = model.outward(model.transform(z, context))
        return out

    return NoiseMap(state.numel(model.event_shape), made)


@noise_map.register
def _of_vae(model: VAE, c: Any = None) -> NoiseMap:
    normal = isinstance(model.prior, StandardNormal)
    if not normal or model.decoder.family is not DiagonalNormal:
        raise CapabilityError(
            f"the prior of this VAE is a {type(model.prior).__name__} and its decoder a "
            f"{type(model.decoder).__name__}: {_HAVE_ONE}"
        )
    model.known_units()

    def made(z: Tensor) -> Tensor:
        context = model.condition.required(c, len(z), model.device)
        z = z.to(model.device, model.dtype)
        with model.evaluating():
            found = model.decoder(z[:, : model.latent], context)
        noise = z[:, model.latent :].reshape(len(z), *model.event_shape)
        return model.outward(found.push(noise))

    return NoiseMap(model.latent + state.numel(model.event_shape), made)


@noise_map.register
def _of_diffusion(model: Diffusion, c: Any = None) -> NoiseMap:
    model.known_units()
    prior = model.process.prior(model.event_shape, model.process.interval[0])
    if not isinstance(prior, Normal) or not prior.space.white:
        raise CapabilityError(f"the noise of {model.process} is not white and normal: {_HAVE_ONE}")

    def made(z: Tensor) -> Tensor:
        z = prior.scale * z.to(model.device, model.dtype).reshape(len(z), *model.event_shape)
        with model.evaluating():
            out: Tensor = model.outward(model.flow(c, len(z), tolerance=_TOLERANCE)(z))
        return out

    return NoiseMap(state.numel(model.event_shape), made)


@noise_map.register
def _of_flow_matching(model: FlowMatching, c: Any = None) -> NoiseMap:
    if not model.starts_from_noise or not getattr(model.space, "white", False):
        raise CapabilityError(f"this flow does not start from white normal noise: {_HAVE_ONE}")
    model.known_units()

    def made(z: Tensor) -> Tensor:
        z = z.to(model.device, model.dtype).reshape(len(z), *model.event_shape)
        out: Tensor = model.forward(z, c)
        return out

    return NoiseMap(state.numel(model.event_shape), made)
