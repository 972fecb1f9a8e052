"""Networks `net(x, t, c)` that return the shape of `x`. Any module with that signature will do.

`t` has shape `(B,)` or `()`; `c` holds integer labels `(B,)`, with -1 (or `None` for all) for the
learned "no label" of classifier-free guidance, or vectors `(B, context)`, with a row of NaN (or
`None`) for none.
"""

from pushforward.nn.affine_skip import AffineSkip
from pushforward.nn.convolutional import ConvolutionalDecoder, ConvolutionalEncoder
from pushforward.nn.default import default_network
from pushforward.nn.dit import DiT
from pushforward.nn.masked import MaskedPerceptron
from pushforward.nn.mlp import MLP
from pushforward.nn.perceptron import Perceptron
from pushforward.nn.unet import UNet

__all__ = [
    "MLP",
    "AffineSkip",
    "ConvolutionalDecoder",
    "ConvolutionalEncoder",
    "DiT",
    "MaskedPerceptron",
    "Perceptron",
    "UNet",
    "default_network",
]
