"""Coordinates by their short texts."""

from __future__ import annotations

import re

from pushforward.errors import InputError
from pushforward.spaces.coordinates.hyperbolic import HalfSpace, PoincareBall
from pushforward.spaces.coordinates.matrices import UpperTriangle
from pushforward.spaces.coordinates.numbers import (
    Angles,
    CenteredPositions,
    JointCoordinates,
    Numbers,
)
from pushforward.spaces.coordinates.proportions import PARTS, Proportions
from pushforward.spaces.coordinates.rotations import (
    EulerAngles,
    PoseMatrix,
    Quaternion,
    RotationMatrix,
    RotationVector,
)
from pushforward.spaces.coordinates.sphere import AzimuthAltitude, LatitudeLongitude, UnitVector
from pushforward.spaces.coordinates.system import UNITS, CoordinateSystem

__all__ = ["parse"]

_KINDS = {
    "latitude-longitude": LatitudeLongitude(),
    "azimuth-altitude": AzimuthAltitude(),
    "unit-vector": UnitVector(),
    "degrees": Angles("degrees"),
    "radians": Angles("radians"),
    "quaternion-wxyz": Quaternion("wxyz"),
    "quaternion-xyzw": Quaternion("xyzw"),
    "rotation-vector": RotationVector(),
    "euler-ZYX degrees": EulerAngles("ZYX", "degrees"),
    "matrix": RotationMatrix(),
    "pose-matrix": PoseMatrix(),
    "fractions": Proportions("fractions"),
    "percent": Proportions("percent"),
    "counts": Proportions("counts"),
    "positions": CenteredPositions(),
    "poincare-ball": PoincareBall(),
    "half-space": HalfSpace(),
    "upper-triangle": UpperTriangle(),
    "numbers": Numbers(),
}
"""Each kind, as it is written."""

_SIZED = {one.kind: one for one in (PoincareBall, HalfSpace, UpperTriangle)}
"""Kinds with any number of columns, by their name."""

_AXES = re.compile(r"euler-([xyz]{3}|[XYZ]{3})")


def parse(text: str) -> CoordinateSystem:
    """The coordinates that a text stands for: a kind, and where it has one, the unit.

    `latitude-longitude`, `azimuth-altitude`, `unit-vector`; `degrees`, `radians`;
    `quaternion-wxyz` (scalar first), `quaternion-xyzw`, `rotation-vector`, `euler-ZYX degrees` (any
    sequence, in small letters for axes that stay), `matrix`; `pose-matrix`; `positions 3` of points
    about their center; `poincare-ball`, `half-space`; `upper-triangle` of symmetric matrices;
    `fractions`, `percent`, `counts`; several for the factors of a product, with commas between,
    where `numbers` stand for themselves.

    >>> parse("azimuth-altitude radians")
    AzimuthAltitude(said='radians')
    >>> parse("quaternion-xyzw, numbers").spec
    'quaternion-xyzw, numbers'

    Raises `InputError` for another text, and for Euler angles without their unit.
    """
    if "," in text:
        return JointCoordinates(tuple(parse(part) for part in text.split(",")))
    kind, *rest = text.split() or [""]
    unit = rest[0] if rest and rest[0] in UNITS else None
    rest = rest[1:] if unit else rest
    many = int(rest.pop()) if rest and rest[0].isdigit() and len(rest) == 1 else None
    if not rest:
        if kind in UNITS and unit is None:
            return Angles(kind, many)
        if kind == "numbers" and unit is None:
            return Numbers(many)
        if kind in PARTS and unit is None:
            return Proportions(kind, many)
        if kind == "positions" and unit is None:
            return CenteredPositions(many or 3)
        if kind in _SIZED and unit is None:
            return _SIZED[kind](many)
        if many is None:
            if kind in ("latitude-longitude", "azimuth-altitude"):
                return (LatitudeLongitude if kind[0] == "l" else AzimuthAltitude)(unit)
            if kind == "rotation-vector":
                return RotationVector(unit or "radians")
            if (axes := _AXES.fullmatch(kind)) is not None:
                return _euler(axes[1], unit)
            if kind in _KINDS and unit is None:
                return _KINDS[kind]
    hint = "; say the order of a quaternion" if kind == "quaternion" else ""
    raise InputError(
        f"{text!r} are no coordinates{hint}: there are {', '.join(map(repr, _KINDS))}, with "
        "another unit or sequence of axes, or several for a product with commas between"
    )


def _euler(axes: str, unit: str | None) -> EulerAngles:
    if unit is None:
        raise InputError(
            f"Euler angles do not say their unit: 'euler-{axes} degrees' or 'euler-{axes} radians'"
        )
    if axes[0] == axes[1] or axes[1] == axes[2]:
        raise InputError(f"'euler-{axes}' turns about one axis twice in a row")
    return EulerAngles(axes, unit)
