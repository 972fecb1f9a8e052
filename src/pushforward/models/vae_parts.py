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
from pushforward.models.contexts import vector_conditions
from pushforward.nn import (
    ConvolutionalDecoder,
    ConvolutionalEncoder,
    LinearSkip,
    Perceptron,
    suitable_frequencies,
)
from pushforward.transforms import Transform

__all__ = ["checked_parts", "vae_parts"]

_FEATURES = 16
"""What the flow of a posterior is condition of a state."""

_ROWS = 20
"""Data points for each component of a mixture of latents: with fewer, small tables are learned by
heart within a hundred steps."""

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
            `latent` (as many as features, 2 to 32; of images 16, or 32 beyond 256 numbers),
            `width` (channels, or hidden units) and `depth` (levels of convolutions, or layers),
            `decoder` (`gaussian`, `bernoulli`, `logistic`; that of the data's levels by default),
            `encoder` (`diagonal`, `full`, `flow`, or a `Transform` on top of a diagonal one),
            `prior` (`normal`, `mixture`, `vamp`, `flow`, or a `Transform` of a normal one; with a
            diagonal encoder and a Gaussian decoder of vectors a mixture, of one component for 20
            rows and 100 at the most, else normal),
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
    latent = whole("latent", options.get("latent", _latent(shape, is_image(data))))
    choices = {"encoder": "diagonal", "decoder": "auto", **options}
    nets = Networks(data, latent, labels, choices)
    prior, components = options.get("prior"), options.get("components")
    if prior is None:
        prior = "mixture" if nets.linear else "normal"
        if nets.linear and components is None:
            components = min(100, max(2, len(data) // _ROWS))
    return {
        "encoder": _encoder(choices["encoder"], latent, nets),
        "decoder": _decoder(choices["decoder"], options.get("sigma"), data, nets),
        "prior": _prior(prior, latent, shape, components),
    }


def checked_parts(
    encoder: Encoder, decoder: Decoder, prior: Prior | None
) -> tuple[Encoder, Decoder, Prior]:
    """The parts of a `VAE`, with a standard normal prior for none.

    Raises `InputError` for other objects, or a prior of another number of latents.
    """
    for name, part, kind in (("encoder", encoder, Encoder), ("decoder", decoder, Decoder)):
        if not isinstance(part, kind):
            raise InputError(f"the {name} is an object of pushforward.latent, not {part!r}")
    own = StandardNormal(encoder.latent) if prior is None else prior
    if not isinstance(own, Prior):
        raise InputError(f"the prior is an object of pushforward.latent, not {prior!r}")
    if own.latent not in (None, encoder.latent):
        raise InputError(f"the prior has {own.latent} latents, but the encoder {encoder.latent}")
    return encoder, decoder, own


class Networks:
    """Convolutions for images of at least 4 pixels a side, perceptrons for all else.

    `linear` says whether these are around an affine map, where principal components can start both
    a Gaussian encoder and a Gaussian decoder: from the zero function alone, latents may collapse.
    """

    def __init__(self, data: Any, latent: int, labels: bool, options: dict[str, Any]) -> None:
        self.shape, self.latent = tuple(data.event_shape), latent
        self.sizes: dict[str, Any] = vector_conditions(data, labels, of="VAE")
        self.image = is_image(data)
        gaussian = _decoder_of(options["decoder"], data) == "gaussian"
        self.linear = not self.image and options["encoder"] == "diagonal" and gaussian
        usual = 32 if self.image else min(512, max(128, 2 * math.prod(self.shape)))
        self.width = whole("width", options.get("width", usual))
        self.depth = whole("depth", options.get("depth", 2 if self.image else 3))

    def inward(self, outputs: int) -> nn.Module:
        """From states to vectors."""
        if self.image:
            return ConvolutionalEncoder(self.shape, outputs, self.width, self.depth, **self.sizes)
        frequencies = suitable_frequencies(math.prod(self.shape)) if self.linear else 0
        return self._around(self.shape, outputs, frequencies)

    def outward(self, twice: bool) -> nn.Module:
        """From latents to states, with twice the entries on the first axis or not."""
        shape = ((1 + twice) * self.shape[0], *self.shape[1:])
        if self.image:
            return ConvolutionalDecoder(self.latent, shape, self.width, self.depth, **self.sizes)
        return self._around(self.latent, shape)

    def _around(
        self, before: int | tuple[int, ...], after: int | tuple[int, ...], frequencies: int = 0
    ) -> nn.Module:
        """A perceptron; if linear, zero at first and with an affine map: `models.linear_start`."""
        net = Perceptron(
            before, after, self.width, self.depth, **self.sizes,
            zero=self.linear, frequencies=frequencies, normalize=True,
        )  # fmt: skip
        return LinearSkip(net, before, after) if self.linear else net


def is_image(data: Any) -> bool:
    """Whether data are images, of at least 4 pixels a side."""
    return data.kind == "image" and min(data.event_shape[1:]) >= 4


def _latent(shape: tuple[int, ...], image: bool) -> int:
    size = math.prod(shape)
    if image:
        return 16 if size <= 256 else 32
    # As many as a linear model needs to be exact, if they are few.
    return min(max(2, size), 32)


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
    choice = _decoder_of(choice, data)
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


def _decoder_of(choice: Any, data: Any) -> Any:
    """What is chosen, or the name of the decoder that fits the data's levels."""
    if choice != "auto":
        return choice
    return "gaussian" if data.levels is None else "bernoulli" if data.levels == 2 else "logistic"


def gaussian_decoder(nets: Networks, data: Any, sigma: Any) -> Decoder:
    """For real numbers; a scale is learned for each, or for all of an image, unless `sigma` says
    otherwise.
    """
    scale = ("scalar" if nets.image else "dimension") if sigma is None else sigma
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
    """A mixture of normal distributions, a hundred by default."""
    return MixturePrior(latent, 100 if components is None else components)


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
