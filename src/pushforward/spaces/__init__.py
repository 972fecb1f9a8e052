"""State spaces: what states are, in which units, how to move, and what unit noise is.

Spaces know nothing of time or of generation. `Euclidean`, `Fields`, `Hilbert` and `Centered` are
linear, and so are `Functions`; `Torus`, `Sphere`, `SO3`, `Hyperbolic` and `SPD` are manifolds;
`Simplex`, `LogRatios`, `FisherRao` hold compositions, `Orthant` amounts; `Tokens`, `Categories`
and `PointCloud` are jumped on; `Product` joins any of them. `rotations` converts quaternions,
rotation vectors and Euler angles, and `poses` composes rigid motions.
"""

from pushforward.spaces import kernels, poses, rotations
from pushforward.spaces.categories import Categories
from pushforward.spaces.centered import Centered
from pushforward.spaces.channel_units import ChannelUnits
from pushforward.spaces.charts import (
    AdditiveLogRatio,
    Chart,
    ChartUnits,
    IsometricLogRatio,
    LogRatios,
)
from pushforward.spaces.compositions import Compositions, closed
from pushforward.spaces.coordinates.proportions import replace_zeros
from pushforward.spaces.data_space import space_of
from pushforward.spaces.euclidean import Euclidean
from pushforward.spaces.fields import Fields
from pushforward.spaces.filled_slots import FilledSlots
from pushforward.spaces.fisher_rao import FisherRao, SquareRoots
from pushforward.spaces.function_noise import Spectral
from pushforward.spaces.function_units import FunctionUnits
from pushforward.spaces.functions import Functions
from pushforward.spaces.hilbert import Hilbert
from pushforward.spaces.hyperbolic import Hyperbolic
from pushforward.spaces.manifold import Manifold
from pushforward.spaces.mean_units import MeanAndDeviation
from pushforward.spaces.means_apart import FieldsWithMeans
from pushforward.spaces.orthant import Orthant
from pushforward.spaces.points import MarkedPoints, PointCloud, Points
from pushforward.spaces.product import Product
from pushforward.spaces.simplex import Simplex
from pushforward.spaces.so3 import SO3
from pushforward.spaces.space import ContinuousSpace, JumpSpace, LinearSpace, Space
from pushforward.spaces.spd import SPD
from pushforward.spaces.sphere import Sphere
from pushforward.spaces.spherical_functions import SphericalFunctions
from pushforward.spaces.spherical_noise import SphericalMatern
from pushforward.spaces.surface_cells import SurfaceCells
from pushforward.spaces.tokens import Tokens
from pushforward.spaces.torus import Torus
from pushforward.spaces.units import NoUnits, ProductUnits, Standardize, Units
from pushforward.spaces.vertices import Vertices
from pushforward.spaces.views import (
    Curves,
    Globe,
    Histogram,
    Images,
    Maps,
    Scatter,
    Sequences,
    Shares,
    View,
)

__all__ = [
    "SurfaceCells",
    "SO3",
    "SPD",
    "AdditiveLogRatio",
    "Categories",
    "Chart",
    "ChartUnits",
    "Compositions",
    "Centered",
    "ChannelUnits",
    "ContinuousSpace",
    "FilledSlots",
    "FisherRao",
    "IsometricLogRatio",
    "LogRatios",
    "Orthant",
    "Shares",
    "Simplex",
    "SquareRoots",
    "Vertices",
    "closed",
    "replace_zeros",
    "space_of",
    "Curves",
    "Globe",
    "Fields",
    "FunctionUnits",
    "Functions",
    "FieldsWithMeans",
    "Euclidean",
    "Hilbert",
    "Hyperbolic",
    "Histogram",
    "Images",
    "JumpSpace",
    "LinearSpace",
    "Manifold",
    "MarkedPoints",
    "MeanAndDeviation",
    "Maps",
    "NoUnits",
    "PointCloud",
    "Points",
    "Product",
    "ProductUnits",
    "Scatter",
    "Sequences",
    "Space",
    "Spectral",
    "SphericalFunctions",
    "SphericalMatern",
    "Sphere",
    "Standardize",
    "Tokens",
    "Torus",
    "Units",
    "View",
    "kernels",
    "poses",
    "rotations",
]
