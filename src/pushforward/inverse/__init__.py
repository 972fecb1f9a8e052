"""Inverse problems: what was measured of a state, through which operator, with which noise.

Operators act in the units of the data. `check_adjoint` tests one of your own; `pushforward list
operators` and `list noises` print the short names that the command line takes.
"""

from pushforward.inverse.blur import Blur
from pushforward.inverse.checking import check_adjoint
from pushforward.inverse.columns import Columns
from pushforward.inverse.composition import Composition, LinearComposition, compose
from pushforward.inverse.convolution import Convolution
from pushforward.inverse.crop import Crop
from pushforward.inverse.downsample import Downsample
from pushforward.inverse.exact_constraint import ExactConstraint
from pushforward.inverse.fourier import FourierRows
from pushforward.inverse.gaussian_noise import GaussianNoise
from pushforward.inverse.laplace_noise import LaplaceNoise
from pushforward.inverse.mask import Mask
from pushforward.inverse.matrix import Matrix
from pushforward.inverse.measurement import Measurement
from pushforward.inverse.noise import Noise
from pushforward.inverse.operator import Differentiable, LinearOperator, Operator
from pushforward.inverse.poisson_noise import PoissonNoise
from pushforward.inverse.selection import Selection
from pushforward.inverse.separable import SeparableOperator
from pushforward.inverse.spectral_downsample import SpectralDownsample
from pushforward.inverse.svd import SVD

__all__ = [
    "SVD",
    "Blur",
    "Columns",
    "Composition",
    "Convolution",
    "Crop",
    "Differentiable",
    "Downsample",
    "ExactConstraint",
    "FourierRows",
    "GaussianNoise",
    "LaplaceNoise",
    "LinearComposition",
    "LinearOperator",
    "Mask",
    "Matrix",
    "Measurement",
    "Noise",
    "Operator",
    "PoissonNoise",
    "Selection",
    "SeparableOperator",
    "SpectralDownsample",
    "check_adjoint",
    "compose",
]
