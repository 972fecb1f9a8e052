"""Coordinates: what the columns of a table stand for whose states are points of a manifold.

Latitude and longitude, azimuth and altitude, angles in degrees, quaternions, Euler angles, matrices
and poses become unit vectors, angles in radians, rotation matrices and tuples of these, parts of a
whole become shares, points of a ball or a half-space those of the Lorentz model, upper triangles
matrices, and samples become the same columns again.
"""

from pushforward.spaces.coordinates.hyperbolic import HalfSpace, PoincareBall
from pushforward.spaces.coordinates.matrices import UpperTriangle
from pushforward.spaces.coordinates.naming import parse
from pushforward.spaces.coordinates.numbers import (
    Angles,
    CenteredPositions,
    JointCoordinates,
    Numbers,
)
from pushforward.spaces.coordinates.of_space import HasCoordinates
from pushforward.spaces.coordinates.proportions import Proportions
from pushforward.spaces.coordinates.rotations import (
    EulerAngles,
    PoseMatrix,
    Quaternion,
    RotationMatrix,
    RotationVector,
)
from pushforward.spaces.coordinates.sphere import AzimuthAltitude, LatitudeLongitude, UnitVector
from pushforward.spaces.coordinates.system import CoordinateSystem, Where

__all__ = [
    "Angles",
    "AzimuthAltitude",
    "CenteredPositions",
    "CoordinateSystem",
    "EulerAngles",
    "HalfSpace",
    "HasCoordinates",
    "JointCoordinates",
    "LatitudeLongitude",
    "Numbers",
    "PoincareBall",
    "PoseMatrix",
    "Proportions",
    "Quaternion",
    "RotationMatrix",
    "RotationVector",
    "UnitVector",
    "UpperTriangle",
    "Where",
    "parse",
]
