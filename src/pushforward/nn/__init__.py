"""Networks `net(x, t, c)` that return the shape of `x`, or the one they were made for. Any module
with that signature will do.

`t` has shape `(B,)` or `()`; `c` holds integer labels `(B,)`, with -1 (or `None` for all) for the
learned "no label" of classifier-free guidance, or vectors `(B, context)`, with a row of NaN (or
`None`) for none.
"""

from typing import TYPE_CHECKING

from pushforward._lazy import attach

_HOMES = {
    "MLP": "mlp",
    "AffineSkip": "affine_skip",
    "AsVectors": "picture_context",
    "AtPoints": "on_functions",
    "Blended": "blended",
    "BlockTransformer": "block_transformer",
    "ConvolutionalDecoder": "convolutional",
    "ConvolutionalEncoder": "convolutional",
    "CrossAttention": "cross_attention",
    "DiT": "dit",
    "EquivariantNetwork": "equivariant",
    "EquivariantSets": "equivariant_sets",
    "FourierFeatures": "fourier",
    "FourierOperator": "fourier_operator",
    "GridConvolution": "grid_convolution",
    "LinearSkip": "linear_skip",
    "MaskedPerceptron": "masked",
    "OnAnyGrid": "on_functions",
    "Perceptron": "perceptron",
    "PictureContext": "picture_context",
    "PointAttention": "point_attention",
    "SphericalOperator": "spherical_operator",
    "RotaryAttention": "rotary",
    "TakesGaps": "on_functions",
    "TextEncoder": "text_encoder",
    "TokenTransformer": "token_transformer",
    "UNet": "unet",
    "SequenceEncoder": "sequences",
    "SpectralConvolution": "fourier_operator",
    "SetEncoder": "sets",
    "SetTransformer": "set_transformer",
    "SteeredMLP": "steered",
    "default_context_network": "default",
    "default_network": "default",
    "default_set_network": "default_sets",
    "suitable_frequencies": "fourier",
}

__all__ = [
    "MLP",
    "AffineSkip",
    "AsVectors",
    "AtPoints",
    "Blended",
    "BlockTransformer",
    "ConvolutionalDecoder",
    "ConvolutionalEncoder",
    "CrossAttention",
    "DiT",
    "EquivariantNetwork",
    "EquivariantSets",
    "FourierFeatures",
    "FourierOperator",
    "GridConvolution",
    "LinearSkip",
    "MaskedPerceptron",
    "OnAnyGrid",
    "Perceptron",
    "PictureContext",
    "PointAttention",
    "SphericalOperator",
    "RotaryAttention",
    "TakesGaps",
    "TextEncoder",
    "SequenceEncoder",
    "SetEncoder",
    "SetTransformer",
    "SpectralConvolution",
    "SteeredMLP",
    "TokenTransformer",
    "UNet",
    "default_context_network",
    "default_network",
    "default_set_network",
    "suitable_frequencies",
]

if TYPE_CHECKING:
    from pushforward.nn.affine_skip import AffineSkip
    from pushforward.nn.blended import Blended
    from pushforward.nn.block_transformer import BlockTransformer
    from pushforward.nn.convolutional import ConvolutionalDecoder, ConvolutionalEncoder
    from pushforward.nn.cross_attention import CrossAttention
    from pushforward.nn.default import default_context_network, default_network
    from pushforward.nn.default_sets import default_set_network
    from pushforward.nn.dit import DiT
    from pushforward.nn.equivariant import EquivariantNetwork
    from pushforward.nn.equivariant_sets import EquivariantSets
    from pushforward.nn.fourier import FourierFeatures, suitable_frequencies
    from pushforward.nn.fourier_operator import FourierOperator, SpectralConvolution
    from pushforward.nn.grid_convolution import GridConvolution
    from pushforward.nn.linear_skip import LinearSkip
    from pushforward.nn.masked import MaskedPerceptron
    from pushforward.nn.mlp import MLP
    from pushforward.nn.on_functions import AtPoints, OnAnyGrid, TakesGaps
    from pushforward.nn.perceptron import Perceptron
    from pushforward.nn.picture_context import AsVectors, PictureContext
    from pushforward.nn.point_attention import PointAttention
    from pushforward.nn.rotary import RotaryAttention
    from pushforward.nn.sequences import SequenceEncoder
    from pushforward.nn.set_transformer import SetTransformer
    from pushforward.nn.sets import SetEncoder
    from pushforward.nn.spherical_operator import SphericalOperator
    from pushforward.nn.steered import SteeredMLP
    from pushforward.nn.text_encoder import TextEncoder
    from pushforward.nn.token_transformer import TokenTransformer
    from pushforward.nn.unet import UNet

__getattr__, __dir__ = attach(__name__, _HOMES)
