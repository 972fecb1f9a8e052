"""Bijections with their log-determinants."""

from typing import TYPE_CHECKING

from pushforward._lazy import attach

_HOMES = {
    "ActNorm": "linear",
    "Additive": "elementwise",
    "Affine": "elementwise",
    "Autoregressive": "autoregressive",
    "AutoregressiveSolution": "autoregressive",
    "Bijection": "bijection",
    "CircularSpline": "spline",
    "Composed": "transform",
    "TransformCondition": "condition",
    "Continuous": "continuous",
    "Contraction": "residual",
    "CouplingLayer": "coupling",
    "Elementwise": "elementwise",
    "FixedPoint": "residual",
    "Inverse": "transform",
    "LULinear": "linear",
    "Multiscale": "multiscale",
    "Planar": "planar",
    "Radial": "planar",
    "Residual": "residual",
    "Spline": "spline",
    "Transform": "transform",
}

__all__ = [
    "ActNorm",
    "Additive",
    "Affine",
    "Autoregressive",
    "AutoregressiveSolution",
    "Bijection",
    "CircularSpline",
    "Composed",
    "TransformCondition",
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

if TYPE_CHECKING:
    from pushforward.transforms.autoregressive import Autoregressive, AutoregressiveSolution
    from pushforward.transforms.bijection import Bijection
    from pushforward.transforms.condition import TransformCondition
    from pushforward.transforms.continuous import Continuous
    from pushforward.transforms.coupling import CouplingLayer
    from pushforward.transforms.elementwise import Additive, Affine, Elementwise
    from pushforward.transforms.linear import ActNorm, LULinear
    from pushforward.transforms.multiscale import Multiscale
    from pushforward.transforms.planar import Planar, Radial
    from pushforward.transforms.residual import Contraction, FixedPoint, Residual
    from pushforward.transforms.spline import CircularSpline, Spline
    from pushforward.transforms.transform import Composed, Inverse, Transform

__getattr__, __dir__ = attach(__name__, _HOMES)
