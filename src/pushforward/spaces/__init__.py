"""State spaces: how to move along a tangent vector, and what unit noise is.

Spaces know nothing of time or of generation. `Euclidean` and `Hilbert` are linear; `Torus` and
`Sphere` are curved; `Tokens` and `PointCloud` are jumped on.
"""

from pushforward.spaces.euclidean import Euclidean
from pushforward.spaces.hilbert import Hilbert
from pushforward.spaces.points import PointCloud, Points
from pushforward.spaces.space import JumpSpace, LinearSpace, Manifold, Space
from pushforward.spaces.sphere import Sphere
from pushforward.spaces.tokens import Tokens
from pushforward.spaces.torus import Torus

__all__ = [
    "Euclidean",
    "Hilbert",
    "JumpSpace",
    "LinearSpace",
    "Manifold",
    "PointCloud",
    "Points",
    "Space",
    "Sphere",
    "Tokens",
    "Torus",
]
