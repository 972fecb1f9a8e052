"""Days of calendars that numpy does not know, as climate models count them, as numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward._extras import require

__all__ = ["in_hours", "of_calendar"]


def of_calendar(values: NDArray[Any]) -> bool:
    """Whether some times are of such a calendar, such as one of 360 days.

    >>> of_calendar(np.array(["2000-01-01"], dtype="datetime64[D]"))
    False
    """
    return bool(values.dtype.kind == "O" and len(values) and hasattr(values[0], "calendar"))


def in_hours(values: NDArray[Any]) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Times as hours since the day of the first one, and the attributes that say so, as the
    conventions of climate and forecast files have them. Raises `MissingExtraError` without cftime.

    >>> import cftime
    >>> hours, said = in_hours(np.array([cftime.Datetime360Day(2001, 2, 30, 6)]))
    >>> hours, said["units"], said["calendar"]
    (array([6.]), 'hours since 2001-02-30 00:00:00', '360_day')
    """
    cftime = require("cftime", extra="fields", purpose="count in other calendars")
    units = f"hours since {values[0].strftime('%Y-%m-%d')} 00:00:00"
    calendar = values[0].calendar
    hours = np.asarray(cftime.date2num(values, units, calendar), np.float64)
    return hours, {"units": units, "calendar": calendar}
