"""Where data live: the support of a distribution, its dimension, and the distance to it.

`dimension_from_denoiser` and `dimension_from_generator` count the directions along which a model
varies (from points alone: `metrics.intrinsic_dimension`). A `Support` has a nearest point to every
other one, and a distance: `DenoiserSupport` and `GeneratorSupport` are what models have learned,
`NeighborBalls` an estimate without a model, and `manifolds` known ones. `AnomalyDetector` tells
points outside, at a rate of false alarms that is kept.
"""

from pushforward.support.balls import NeighborBalls
from pushforward.support.comparison import SupportDistances, compare_with_known
from pushforward.support.denoised import DenoiserSupport
from pushforward.support.denoising import Denoise, denoise_with
from pushforward.support.detector import AnomalyDetector
from pushforward.support.generated import GeneratorSupport
from pushforward.support.manifolds import (
    Circles,
    Embedded,
    Hypersphere,
    KnownSupport,
    LinearSubspace,
    RingTorus,
    SwissRoll,
)
from pushforward.support.support import Support
from pushforward.support.tangent import (
    TangentDimension,
    dimension_from_denoiser,
    dimension_from_generator,
)

__all__ = [
    "AnomalyDetector",
    "Circles",
    "Denoise",
    "DenoiserSupport",
    "Embedded",
    "GeneratorSupport",
    "Hypersphere",
    "KnownSupport",
    "LinearSubspace",
    "NeighborBalls",
    "RingTorus",
    "Support",
    "SupportDistances",
    "SwissRoll",
    "TangentDimension",
    "compare_with_known",
    "denoise_with",
    "dimension_from_denoiser",
    "dimension_from_generator",
]
