"""State spaces: what states are, in which units, how to move, and what unit noise is.

Spaces know nothing of time or of generation. `Euclidean` and `Hilbert` are linear; `Torus`,
`Sphere`, `SO3`, `Hyperbolic` and `SPD` are manifolds; `Tokens` and `PointCloud` are jumped on;
`Product` joins any of them. `rotations` converts quaternions, rotation vectors and Euler angles.
"""

from pushforward.spaces import kernels, rotations
from pushforward.spaces.euclidean import Euclidean
from pushforward.spaces.hilbert import Hilbert
from pushforward.spaces.hyperbolic import Hyperbolic
from pushforward.spaces.manifold import Manifold
from pushforward.spaces.points import PointCloud, Points
from pushforward.spaces.product import Product
from pushforward.spaces.so3 import SO3
from pushforward.spaces.space import ContinuousSpace, JumpSpace, LinearSpace, Space
from pushforward.spaces.spd import SPD
from pushforward.spaces.sphere import Sphere
from pushforward.spaces.tokens import Tokens
from pushforward.spaces.torus import Torus
from pushforward.spaces.units import NoUnits, ProductUnits, Standardize, Units
from pushforward.spaces.views import Curves, Globe, Histogram, Images, Scatter, Sequences, View

__all__ = [
    "SO3",
    "SPD",
    "ContinuousSpace",
    "Curves",
    "Globe",
    "Euclidean",
    "Hilbert",
    "Hyperbolic",
    "Histogram",
    "Images",
    "JumpSpace",
    "LinearSpace",
    "Manifold",
    "NoUnits",
    "PointCloud",
    "Points",
    "Product",
    "ProductUnits",
    "Scatter",
    "Sequences",
    "Space",
    "Sphere",
    "Standardize",
    "Tokens",
    "Torus",
    "Units",
    "View",
    "kernels",
    "rotations",
]
