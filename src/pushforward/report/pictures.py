"""Pictures of states as PNG bytes, by what their space says there is to see of them."""

from __future__ import annotations

import base64
import dataclasses
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from pushforward import state
from pushforward._extras import require
from pushforward._files import write_bytes
from pushforward.report.angle_plots import AnglePlot
from pushforward.report.compositions import SharesPainter
from pushforward.report.globes import GlobePainter
from pushforward.report.maps import MapPainter
from pushforward.report.painters import Kinds, Painter, painter_of
from pushforward.report.pair_plots import PairPlot, is_table
from pushforward.spaces import Space
from pushforward.spaces.views import Globe, Histogram, Maps, Scatter, Shares, View

__all__ = ["Look", "data_uri", "named_view", "png_of", "save_picture", "side_by_side", "subsample"]

_ENOUGH = 20_000
"""Reference states that a scale is fitted to."""


class Look:
    """How states of a space are shown, on a scale fitted to reference data for all pictures.

    Each of the views of the space is drawn beside the other. Axes have the `names` of the columns
    of a table, where the space has none for them.
    """

    def __init__(self, space: Space, reference: Any, names: Sequence[str] = ()) -> None:
        self.space, self.names = space, tuple(names)
        self._painters = [_painter(view) for view in self._views(subsample(reference, _ENOUGH))]
        several = any(isinstance(painter, PairPlot) for painter in self._painters)
        self.layout = "pair wide" if several or len(self._painters) > 1 else "pair"
        self.sharp = all(painter.sharp for painter in self._painters)
        self.many = max(painter.many for painter in self._painters)
        self.few = max(painter.few for painter in self._painters)

    def picture(self, x: Any, count: int | None = None, kinds: Kinds | None = None) -> bytes:
        """A PNG of states, of as many as can be told apart, or of at most `count`."""
        return self._png(x, count, small=False, kinds=kinds)

    def frame(self, x: Any) -> bytes:
        """A PNG of states for a strip of many small pictures."""
        return self._png(x, None, small=True)

    def missing(self, x: Any) -> str:
        """What of some states is not to be seen in their picture, in a few words."""
        n = state.rows(x)
        cut = f"{self.many:,} of {n:,} drawn" if n > self.many else ""
        pairs = zip(self._painters, self._views(state.take(x, slice(self.many))), strict=True)
        return ", ".join(filter(None, [cut, *(p.missing(view, p.many) for p, view in pairs)]))

    def _views(self, x: Any) -> list[View]:
        return [named_view(view, self.names) for view in self.space.views(x)]

    def _png(self, x: Any, count: int | None, *, small: bool, kinds: Kinds | None = None) -> bytes:
        views = self._views(state.take(x, slice(self.few if small else self.many)))
        drawn = []
        for painter, view in zip(self._painters, views, strict=True):
            most = painter.few if small else painter.many
            drawn.append(painter.draw(view, min(most, count or most), small=small, kinds=kinds))
        return png_of(_sheet(drawn, upright=small))


def _painter(view: View) -> Painter:
    if isinstance(view, Globe):
        return GlobePainter(view)
    if isinstance(view, Maps):
        return MapPainter(view)
    if isinstance(view, Shares):
        return SharesPainter(view)
    if isinstance(view, Scatter) and view.period is not None:
        return AnglePlot(view)
    return PairPlot(view) if isinstance(view, Scatter) and is_table(view) else painter_of(view)


def named_view(view: View, names: tuple[str, ...]) -> View:
    """A view with the names of columns, if they are those of what it shows and it has none."""
    if isinstance(view, Scatter) and not view.names and len(names) == view.points.shape[1]:
        return dataclasses.replace(view, names=names)
    if isinstance(view, Histogram) and not view.name and len(names) == 1:
        return dataclasses.replace(view, name=names[0])
    if isinstance(view, Shares) and not view.names and len(names) == view.values.shape[1]:
        return dataclasses.replace(view, names=names)
    return view


def subsample(x: Any, n: int) -> Any:
    """At most `n` states from all over a batch, which may be sorted."""
    rows = state.rows(x)
    return x if rows <= n else state.take(x, torch.linspace(0, rows - 1, n).long())


def side_by_side(pictures: dict[str, bytes], columns: int = 4) -> bytes:
    """One PNG of several, each under its name."""
    figure = require("matplotlib.figure", extra="plots", purpose="draw pictures")
    image = require("PIL.Image", extra="plots", purpose="draw pictures")
    opened = {name: image.open(io.BytesIO(png)).convert("RGB") for name, png in pictures.items()}
    # As wide as its pictures are: a space may be seen in several views.
    shape = max((picture.width / picture.height for picture in opened.values()), default=1.0)
    columns = max(1, min(columns, len(pictures), round(columns / shape)))
    rows = math.ceil(len(pictures) / columns)
    canvas = figure.Figure(figsize=(3 * shape * columns, 3.2 * rows), dpi=150, layout="constrained")
    panels = canvas.subplots(rows, columns, squeeze=False).flatten()
    for panel in panels:
        panel.set_axis_off()
    for panel, (name, picture) in zip(panels, opened.items(), strict=False):
        panel.set_title(name, fontsize=10)
        panel.imshow(picture, interpolation="antialiased")
    stream = io.BytesIO()
    canvas.savefig(stream, format="png")
    return stream.getvalue()


def save_picture(
    path: Path,
    x: Any,
    *,
    space: Space,
    reference: Any = None,
    names: Sequence[str] = (),
    kinds: Kinds | None = None,
) -> str:
    """Write a PNG of states of a space, on the scale of `reference` if given, told apart by kind.

    Returns what of the states is not to be seen in it, in a few words.

    >>> import tempfile
    >>> from pushforward.spaces import Euclidean
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_picture(Path(folder) / "x.png", torch.zeros(80, 1, 8, 8), space=Euclidean())
    ...     (Path(folder) / "x.png").read_bytes()[1:4]
    '64 of 80 drawn'
    b'PNG'
    """
    look = Look(space, x if reference is None else reference, names)
    write_bytes(path, look.picture(x, kinds=kinds))
    return look.missing(x)


def data_uri(png: bytes) -> str:
    """A PNG as an address that needs no other file."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def png_of(picture: Any) -> bytes:
    """A `PIL.Image` as the bytes of a PNG."""
    stream = io.BytesIO()
    picture.save(stream, format="PNG", optimize=True)
    return stream.getvalue()


def _sheet(pictures: list[Any], *, upright: bool = False) -> Any:
    """Pictures from left to right, or from top to bottom, each in the middle."""
    if len(pictures) == 1:
        return pictures[0]
    image = require("PIL.Image", extra="plots", purpose="draw pictures")
    sides = [(p.height, p.width) if upright else (p.width, p.height) for p in pictures]
    along, across = sum(length for length, _ in sides), max(breadth for _, breadth in sides)
    found, start = image.new("RGB", (across, along) if upright else (along, across), "white"), 0
    for picture, (length, breadth) in zip(pictures, sides, strict=True):
        middle = (across - breadth) // 2
        found.paste(picture.convert("RGB"), (middle, start) if upright else (start, middle))
        start += length
    return found
