"""Bijections with their log-determinants."""

from pushforward.transforms.autoregressive import Autoregressive, Solution
from pushforward.transforms.coupling import Coupling
from pushforward.transforms.elementwise import Additive, Affine, Elementwise
from pushforward.transforms.spline import CircularSpline, Spline
from pushforward.transforms.standardize import Bijection, Standardize
from pushforward.transforms.transform import Composed, Inverse, Transform

__all__ = [
    "Additive",
    "Affine",
    "Autoregressive",
    "Bijection",
    "CircularSpline",
    "Composed",
    "Coupling",
    "Elementwise",
    "Inverse",
    "Solution",
    "Spline",
    "Standardize",
    "Transform",
]
