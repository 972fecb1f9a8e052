"""Encoder, decoder and prior that fit some data, for those who do not want to choose them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import nn

from pushforward import registry
from pushforward.checks import whole
from pushforward.config import check_options
from pushforward.errors import InputError
from pushforward.latent import (
    BernoulliDecoder,
    Decoder,
    DiagonalEncoder,
    Encoder,
    FlowEncoder,
    FlowPrior,
    FullCovarianceEncoder,
    GaussianDecoder,
    LogisticDecoder,
    MixturePrior,
    Prior,
    StandardNormal,
    VampPrior,
)
from pushforward.models import flow_architectures
from pushforward.nn import ConvolutionalDecoder, ConvolutionalEncoder, Perceptron
from pushforward.transforms import Transform

__all__ = ["vae_parts"]

_FEATURES = 16
"""What the flow of a posterior is condition of a state."""

_OPTIONS = ("latent", "width", "depth", "decoder", "encoder", "prior", "sigma", "components")


def vae_parts(
    data: Any, *, labels: bool = True, names: Sequence[str] = (), **options: Any
) -> dict[str, Any]:
    """The `encoder`, `decoder` and `prior` of a `VAE` for some data.

    Args:
        data: a `pushforward.data.Data`.
        labels: make a model of the labels' distributions, if the data has labels or contexts.
        names: further options that a caller takes, for the message about an unknown one.
        options: any of
            `latent` (2 to 8 for as many features, 16, or 32 beyond 256 numbers),
            `width` (channels, or hidden units) and `depth` (levels of convolutions, or layers),
            `decoder` (`gaussian`, `bernoulli`, `logistic`; that of the data's levels by default),
            `encoder` (`diagonal`, `full`, `flow`, or a `Transform` on top of a diagonal one),
            `prior` (`normal`, `mixture`, `vamp`, `flow`, or a `Transform` of a normal one),
            `sigma` (of a Gaussian decoder, or the scale of a logistic one),
            `components` (of a mixture or VampPrior).

    Raises `InputError` for another option, or a decoder of levels for data without.

    >>> import torch
    >>> from pushforward.data import Data
    >>> type(vae_parts(Data(torch.zeros(4, 2)))["decoder"]).__name__
    'GaussianDecoder'
    """
    check_options(options, [*_OPTIONS, *names])
    shape = data.event_shape
    latent = whole("latent", options.get("latent", _latent(shape)))
    nets = Networks(data, latent, labels, options)
    return {
        "encoder": _encoder(options.get("encoder", "diagonal"), latent, nets),
        "decoder": _decoder(options.get("decoder", "auto"), options.get("sigma"), data, nets),
        "prior": _prior(options.get("prior", "normal"), latent, shape, options.get("components")),
    }


class Networks:
    """Convolutions for images of at least 4 pixels a side, perceptrons for all else."""

    def __init__(self, data: Any, latent: int, labels: bool, options: dict[str, Any]) -> None:
        self.shape, self.latent = tuple(data.event_shape), latent
        self.sizes: dict[str, Any] = flow_architectures.condition(data, labels)
        self.image = data.kind == "image" and min(self.shape[1:]) >= 4
        usual = 32 if self.image else min(512, max(128, 2 * math.prod(self.shape)))
        self.width = whole("width", options.get("width", usual))
        self.depth = whole("depth", options.get("depth", 2 if self.image else 3))

    def inward(self, outputs: int) -> nn.Module:
        """From states to vectors."""
        if self.image:
            return ConvolutionalEncoder(self.shape, outputs, self.width, self.depth, **self.sizes)
        return Perceptron(self.shape, outputs, self.width, self.depth, **self.sizes)

    def outward(self, twice: bool) -> nn.Module:
        """From latents to states, with twice the entries on the first axis or not."""
        shape = ((1 + twice) * self.shape[0], *self.shape[1:])
        if self.image:
            return ConvolutionalDecoder(self.latent, shape, self.width, self.depth, **self.sizes)
        return Perceptron(self.latent, shape, self.width, self.depth, **self.sizes)


def _latent(shape: tuple[int, ...]) -> int:
    size = math.prod(shape)
    return max(2, size) if size <= 8 else 16 if size <= 256 else 32


def _encoder(choice: Any, latent: int, nets: Networks) -> Encoder:
    if isinstance(choice, Encoder):
        return choice
    if isinstance(choice, Transform):
        return FlowEncoder(diagonal_encoder(nets, latent), choice)
    encoder: Encoder = registry.find("encoders", choice)(nets, latent)
    return encoder


def diagonal_encoder(nets: Networks, latent: int) -> Encoder:
    """A Gaussian of independent latents."""
    return DiagonalEncoder(nets.inward(2 * latent), latent)


def full_encoder(nets: Networks, latent: int) -> Encoder:
    """A Gaussian of correlated latents."""
    return FullCovarianceEncoder(nets.inward(latent + latent * (latent + 1) // 2), latent)


def flow_encoder(nets: Networks, latent: int) -> Encoder:
    """A Gaussian bent by a flow that is condition features of the state."""
    flow = _flow("affine-coupling", latent, _FEATURES)
    return FlowEncoder(diagonal_encoder(nets, latent), flow, nets.inward(_FEATURES))


def _decoder(choice: Any, sigma: Any, data: Any, nets: Networks) -> Decoder:
    if isinstance(choice, Decoder):
        return choice
    levels, values = data.levels, data.value_range
    if choice == "auto":
        choice = "gaussian" if levels is None else "bernoulli" if levels == 2 else "logistic"
    if choice in ("bernoulli", "logistic") and (levels is None or values is None):
        raise InputError(
            f"a {choice} decoder is for data of equally spaced levels, and {data.name} has none: "
            "give Data(levels=, value_range=), or take decoder='gaussian'"
        )
    if choice == "bernoulli" and levels != 2:
        raise InputError(
            f"a Bernoulli decoder is for data of two levels, and {data.name} has {levels}: take "
            "decoder='logistic'"
        )
    if choice == "bernoulli" and sigma is not None:
        raise InputError(f"sigma={sigma!r} means nothing to a Bernoulli decoder: leave it out")
    decoder: Decoder = registry.find("decoders", choice)(nets, data, sigma)
    return decoder


def gaussian_decoder(nets: Networks, data: Any, sigma: Any) -> Decoder:
    """For real numbers; one scale for all of them is learned unless `sigma` says otherwise."""
    scale = "scalar" if sigma is None else sigma
    return GaussianDecoder(nets.outward(scale == "network"), scale, nets.shape)


def bernoulli_decoder(nets: Networks, data: Any, sigma: Any) -> Decoder:
    """For two levels."""
    return BernoulliDecoder(nets.outward(False), data.value_range)


def logistic_decoder(nets: Networks, data: Any, sigma: Any) -> Decoder:
    """For equally spaced levels; a network gives the scale of each unless `sigma` does."""
    scale = "network" if sigma is None else sigma
    net = nets.outward(scale == "network")
    return LogisticDecoder(net, data.levels, data.value_range, scale, nets.shape)


def _prior(choice: Any, latent: int, shape: tuple[int, ...], components: int | None) -> Prior:
    if isinstance(choice, Prior):
        return choice
    if isinstance(choice, Transform):
        return FlowPrior(choice, latent)
    if components is not None and choice not in ("mixture", "vamp"):
        raise InputError(f"components={components} means something to a mixture or VampPrior only")
    prior: Prior = registry.find("priors", choice)(latent, shape, components)
    return prior


def normal_prior(latent: int, shape: tuple[int, ...], components: int | None) -> Prior:
    """A standard normal distribution, nothing to learn."""
    return StandardNormal(latent)


def mixture_prior(latent: int, shape: tuple[int, ...], components: int | None) -> Prior:
    """A mixture of normal distributions, ten by default."""
    return MixturePrior(latent, 10 if components is None else components)


def vamp_prior(latent: int, shape: tuple[int, ...], components: int | None) -> Prior:
    """The mixture of the posteriors of pseudo-inputs, fifty by default."""
    return VampPrior(shape, 50 if components is None else components)


def flow_prior(latent: int, shape: tuple[int, ...], components: int | None) -> Prior:
    """A normal distribution bent by a spline flow."""
    return FlowPrior(_flow("spline-coupling", latent, None), latent)


def _flow(kind: str, latent: int, context: int | None) -> Transform:
    """A bijection of latents, small beside the networks of the states."""
    sizes = {"num_classes": None, "context": context}
    return flow_architectures.build(kind, (latent,), sizes, {"layers": 4, "width": 64})
