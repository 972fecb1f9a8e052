"""Inverse problems: what was measured of a state, through which operator, with which noise."""

from pushforward.inverse.matrix import Matrix
from pushforward.inverse.measurement import Measurement
from pushforward.inverse.noise import GaussianNoise, Noise
from pushforward.inverse.operator import Differentiable, LinearOperator, Operator

__all__ = [
    "Differentiable",
    "GaussianNoise",
    "LinearOperator",
    "Matrix",
    "Measurement",
    "Noise",
    "Operator",
]
