"""The space that data are of, where they say it: texts, fields, functions, molecules."""

from __future__ import annotations

from typing import Any

from pushforward.spaces.fields import Fields
from pushforward.spaces.functions import Functions
from pushforward.spaces.means_apart import FieldsWithMeans
from pushforward.spaces.points import PointCloud
from pushforward.spaces.space import Space
from pushforward.spaces.tokens import Tokens

__all__ = ["space_of"]


def space_of(data: Any) -> Space[Any] | None:
    """The space of a `pushforward.data.Data`: tokens of the alphabet of texts, the grid of fields
    with its mask, its weights and its periods, the points of functions, points about their center
    for the atoms of molecules, sets with their kinds of points; `None` for data that may be of
    several.

    >>> import pushforward as pf
    >>> space_of(pf.data.load("markov-letters", n=10))
    Tokens(vocabulary=27, sites=None)
    """
    known = data.schema
    if known.alphabet is not None:
        return Tokens(known.alphabet.size)
    if known.functions is not None:
        return Functions(**known.functions.space_options())
    if known.molecules is not None:
        # Of molecules that are told something the number of atoms is inferred, as are their kinds.
        kinds = (len(known.molecules.elements),) if known.given else ()
        return PointCloud(center=3, kinds=kinds)
    if known.sets is not None:
        return PointCloud(kinds=known.sets.kinds)
    if known.fields is None:
        return None
    kind = FieldsWithMeans if known.fields.means == "apart" else Fields
    return kind(**known.fields.grid_options())
