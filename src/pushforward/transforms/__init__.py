"""Bijections with their log-determinants."""

from pushforward.transforms.autoregressive import Autoregressive, AutoregressiveSolution
from pushforward.transforms.bijection import Bijection
from pushforward.transforms.condition import Condition
from pushforward.transforms.continuous import Continuous
from pushforward.transforms.coupling import CouplingLayer
from pushforward.transforms.elementwise import Additive, Affine, Elementwise
from pushforward.transforms.linear import ActNorm, LULinear
from pushforward.transforms.multiscale import Multiscale
from pushforward.transforms.planar import Planar, Radial
from pushforward.transforms.residual import Contraction, FixedPoint, Residual
from pushforward.transforms.spline import CircularSpline, Spline
from pushforward.transforms.transform import Composed, Inverse, Transform

__all__ = [
    "ActNorm",
    "Additive",
    "Affine",
    "Autoregressive",
    "AutoregressiveSolution",
    "Bijection",
    "CircularSpline",
    "Composed",
    "Condition",
    "Continuous",
    "Contraction",
    "CouplingLayer",
    "Elementwise",
    "FixedPoint",
    "Inverse",
    "LULinear",
    "Multiscale",
    "Planar",
    "Radial",
    "Residual",
    "Spline",
    "Transform",
]
