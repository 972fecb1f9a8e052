"""Where data live: the support of a distribution, its dimension, and the distance to it.

`dimension_from_denoiser` and `dimension_from_generator` count the directions along which a model
varies (from points alone: `metrics.intrinsic_dimension`). `manifolds` are known supports with exact
projections, to check estimates by.
"""

from pushforward.support.denoising import Denoise, denoise_with
from pushforward.support.manifolds import (
    Circles,
    Embedded,
    Hypersphere,
    KnownSupport,
    LinearSubspace,
    RingTorus,
    SwissRoll,
)
from pushforward.support.tangent import (
    TangentDimension,
    dimension_from_denoiser,
    dimension_from_generator,
)

__all__ = [
    "Circles",
    "Denoise",
    "Embedded",
    "Hypersphere",
    "KnownSupport",
    "LinearSubspace",
    "RingTorus",
    "SwissRoll",
    "TangentDimension",
    "denoise_with",
    "dimension_from_denoiser",
    "dimension_from_generator",
]
