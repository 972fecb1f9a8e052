"""Which axis of an array of pictures is which: heights, widths and channels, found and put back."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pushforward.data.dataset import Kind
from pushforward.errors import InputError

__all__ = ["Arranged", "arrange", "in_layout"]

CHANNELS = (1, 3, 4)
LAYOUTS = ("HWC", "CHW")

_LARGE = 8
"""Pixels of a side from which on two equal sides tell a picture."""


class Arranged(NamedTuple):
    """Rows as they are learned, `(N, C, H, W)` for pictures, how they lay, and notes on that."""

    x: NDArray[Any]
    kind: Kind
    layout: str | None = None
    notes: tuple[str, ...] = ()


def arrange(x: NDArray[Any], kind: str | None, layout: str | None, source: str) -> Arranged:
    """Rows of an array as pictures `(N, C, H, W)` where they are some.

    `kind` and `layout` decide. Without them, rows `(C, H, W)` or `(H, W, C)` with 1, 3 or 4
    channels are pictures, the smaller number of channels if both fit, and so are rows with two
    equal large sides beside a smaller number of channels, and 8-bit rows `(H, W)`. Whatever is not
    plain from 1, 3 or 4 channels first is said in a note.

    Raises `InputError` for a kind or a layout that there is not, or that the rows do not have.

    >>> arrange(np.zeros((5, 16, 16, 7)), None, None, "an array")[1:3]
    ('image', 'HWC')
    """
    if kind not in (None, "vector", "image"):
        raise InputError(f"kind is 'vector' or 'image', not {kind!r}")
    if layout is not None and (layout not in LAYOUTS or kind == "vector" or x.ndim != 4):
        what = "vectors" if kind == "vector" else f"rows of shape {x.shape[1:]}"
        raise InputError(
            f"layout={layout!r} means nothing for {what}: it is 'HWC' or 'CHW', of pictures with "
            "three axes"
        )
    if kind == "vector":
        return Arranged(x, "vector")
    if x.ndim == 3 and (kind == "image" or x.dtype == np.uint8):
        return Arranged(x[:, None], "image", "HW")
    if x.ndim == 4:
        return _of_three_axes(x, kind, layout, source)
    if kind == "image":
        raise InputError(
            f"{source} has rows of shape {x.shape[1:]}, but images are (H, W), (C, H, W) or "
            "(H, W, C): reshape it"
        )
    return Arranged(x, "vector")


def _of_three_axes(x: NDArray[Any], kind: str | None, layout: str | None, source: str) -> Arranged:
    """Rows of three axes, of which one may be the channels."""
    shape = x.shape[1:]
    first, last = shape[0], shape[2]
    chosen = layout or _by_channels(first, last) or _by_sides(*shape)
    if chosen is None and kind == "image" and first != last:
        chosen = "HWC" if last < first else "CHW"
    if chosen is None and kind == "image":
        raise InputError(
            f"{source} has rows of shape {shape}, whose channels could be first or last: give "
            "layout='HWC' or layout='CHW'"
        )
    if chosen is None:
        note = (
            f"rows of shape {shape} are taken for vectors; kind='image' with layout='HWC' or "
            "layout='CHW' makes them pictures"
        )
        return Arranged(x, "vector", None, (note,))
    channels = last if chosen == "HWC" else first
    known = layout is not None or (chosen == "CHW" and channels in CHANNELS)
    note = (
        f"rows of shape {shape} are taken for pictures {chosen} of {channels} channels; layout= or "
        "kind='vector' says otherwise"
    )
    notes = () if known else (note,)
    if chosen == "HWC":
        return Arranged(x.transpose(0, 3, 1, 2), "image", "HWC", notes)
    return Arranged(x, "image", None, notes)


def _by_channels(first: int, last: int) -> str | None:
    """The layout with 1, 3 or 4 channels."""
    if last in CHANNELS and (first not in CHANNELS or last < first):
        return "HWC"
    return "CHW" if first in CHANNELS else None


def _by_sides(first: int, middle: int, last: int) -> str | None:
    """The layout with two equal large sides."""
    if first == middle >= _LARGE and last < first:
        return "HWC"
    return "CHW" if middle == last >= _LARGE and first < last else None


def in_layout(x: NDArray[Any], layout: str | None) -> NDArray[Any]:
    """Pictures `(N, C, H, W)` as they lay in the array that they came from.

    >>> in_layout(np.zeros((5, 3, 8, 9)), "HWC").shape
    (5, 8, 9, 3)
    """
    if layout == "HWC":
        return np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    return x[:, 0] if layout == "HW" else x
