"""What a space says of the coordinates that its states may come from."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from pushforward.errors import InputError
from pushforward.spaces.coordinates.naming import parse
from pushforward.spaces.coordinates.system import CoordinateSystem

__all__ = ["HasCoordinates"]


class HasCoordinates:
    """States that tables may have in other coordinates. A space names these in `coordinates`."""

    @property
    def coordinates(self) -> tuple[CoordinateSystem, ...]:
        """What the columns of a table may be that states are made of, one of each kind."""
        return ()

    @property
    def names_coordinates(self) -> bool:
        """Whether the names of columns may say that they are coordinates."""
        return any(one.names for one in self.coordinates)

    def has_coordinates(self, found: CoordinateSystem) -> bool:
        """Whether states may come from these."""
        return found.is_one_of(self.coordinates)

    def coordinates_named(self, names: Sequence[str]) -> CoordinateSystem | None:
        """The coordinates that the names of columns say; `None` if they say none."""
        return next((one for one in self.coordinates if one.found_in(names) is not None), None)

    def coordinates_seen(self, table: Tensor) -> str | None:
        """The text of the coordinates that the numbers `(N, k)` of a table say; `None` if they say
        none."""
        return None

    def coordinates_asked(self, text: str) -> CoordinateSystem:
        """The coordinates that a text stands for, see `coordinates.parse`.

        Raises `InputError` for those that states do not have.
        """
        found = parse(text)
        if not self.has_coordinates(found):
            kinds = " or ".join(repr(one.short) for one in self.coordinates if not one.plain)
            known = "say which space they are of, such as spaces.Sphere() (--space sphere)"
            if kinds:
                known = f"these may be {kinds}"
            raise InputError(f"coordinates={text!r} are not of {self}: {known}")
        return found
