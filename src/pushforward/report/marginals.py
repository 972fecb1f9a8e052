"""Each column of a table by itself: how often samples have its values, and how often data."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward._extras import require
from pushforward.report.page import figure, section
from pushforward.report.painters import BLUE, numbers
from pushforward.report.pictures import data_uri

__all__ = ["Ticks", "marginals", "marginals_picture"]

Ticks = Sequence[str] | Callable[[float], str] | None
"""What stands at the values of a column: the words for 0, 1, ..., how a number is written, or the
number."""

_MOST, _ACROSS, _BINS = 24, 4, 40
_FEW = 12
"""Different values that get a bar each."""
_LETTERS, _WORD = 24, 14
"""Letters that stand beside each other below a panel, and of one word."""

_KNOWN: dict[str, Any] = {"color": "#b9bfc8", "fill": True}
_DRAWN: dict[str, Any] = {"edgecolor": BLUE, "fill": False, "linewidth": 1.3}


def marginals(names: Sequence[str], data: Any, samples: Any, ticks: Sequence[Ticks] = ()) -> str:
    """A section of a report on the columns of a table; nothing for other data.

    Args:
        names: of the columns.
        data: `(N, d)`.
        samples: `(n, d)`.
        ticks: of the columns; numbers without.
    """
    if not names or not isinstance(data, Tensor) or data.ndim != 2:
        return ""
    more = len(names) - _MOST
    note = f"The first {_MOST} of {len(names)} columns. " if more > 0 else ""
    note += "Gray: data, blue: samples. Values of samples beyond the picture count at its ends."
    picture = figure(data_uri(marginals_picture(names, data, samples, ticks)), "")
    return section("Columns", f'<div class="pair wide">{picture}</div>', note)


def marginals_picture(
    names: Sequence[str], data: Tensor, samples: Tensor, ticks: Sequence[Ticks] = ()
) -> bytes:
    """A PNG with one panel for each column, under its name and in its units.

    >>> x = torch.arange(20.0).reshape(10, 2)
    >>> marginals_picture(["a", "b"], x, x)[1:4]
    b'PNG'
    """
    figures = require("matplotlib.figure", extra="plots", purpose="draw pictures")
    shown = min(len(names), _MOST)
    across = min(_ACROSS, shown)
    rows = math.ceil(shown / across)
    canvas = figures.Figure(figsize=(2.6 * across, 2.0 * rows), dpi=120, layout="constrained")
    panels = canvas.subplots(rows, across, squeeze=False).flatten()
    for panel in panels:
        panel.set_axis_off()
    for k in range(shown):
        panel = panels[k]
        panel.set_axis_on()
        panel.spines[["top", "right", "left"]].set_visible(False)
        panel.set(yticks=[])
        panel.tick_params(labelsize=7)
        panel.set_xlabel(names[k], fontsize=9)
        _panel(panel, numbers(data[:, k]), numbers(samples[:, k]))
        _spell(panel, ticks[k] if ticks else None)
    stream = io.BytesIO()
    canvas.savefig(stream, format="png")
    return stream.getvalue()


def _panel(panel: Any, known: Tensor, drawn: Tensor) -> None:
    known, drawn = known[known.isfinite()], drawn[drawn.isfinite()]
    values = known.unique()
    if len(values) <= _FEW:
        # A bar for each value, which has what is nearest to it.
        gap = float(values.diff().min()) if len(values) > 1 else 1.0
        middles = (values[1:] + values[:-1]) / 2
        for x, style in ((known, _KNOWN), (drawn, _DRAWN)):
            counts = torch.bincount(torch.bucketize(x, middles), minlength=len(values))
            shares = counts / max(1, len(x))
            panel.bar(values.tolist(), shares.tolist(), 0.7 * gap, **style)
        return
    low, high = torch.quantile(known[:100_000], known.new_tensor([0.005, 0.995])).tolist()
    margin = 0.1 * max(high - low, 1e-9)
    edges = torch.linspace(low - margin, high + margin, _BINS + 1, dtype=torch.float64)
    for x, style in ((known, _KNOWN), (drawn, _DRAWN)):
        counts = torch.histogram(x.clamp(edges[0], edges[-1]), edges).hist / max(1, len(x))
        panel.stairs(counts.numpy(), edges.numpy(), **style)
    panel.xaxis.get_major_locator().set_params(nbins=4)


def _spell(panel: Any, ticks: Ticks) -> None:
    """Words, or numbers as they are written, in the place of numbers."""
    if callable(ticks):
        low, high = panel.get_xlim()
        # Two inside, as dates are long.
        at = [low + share * (high - low) for share in (0.2, 0.8)]
        panel.set_xticks(at, [ticks(float(value)) for value in at])
    elif ticks is not None and len(ticks) <= _FEW:
        upright = sum(map(len, ticks)) <= _LETTERS
        panel.set_xticks(range(len(ticks)), [_short(word) for word in ticks])
        panel.tick_params(axis="x", labelrotation=0 if upright else 90)


def _short(word: str) -> str:
    return word if len(word) <= _WORD else word[: _WORD - 1] + "…"
