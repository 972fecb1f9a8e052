"""What notebooks show: data as a picture, a run as its loss, a model as a table.

Asked for by `pushforward._notebook.Displayed`. Nothing is sampled or trained for it, and all that
is shown is inside the HTML: it stays when a notebook is saved, and loads nothing from anywhere.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from functools import singledispatch
from html import escape
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from pushforward import state
from pushforward.data import Data, Schema
from pushforward.errors import MissingExtraError
from pushforward.metrics import Calibration
from pushforward.models import GenerativeModel
from pushforward.report.calibration_pictures import calibration_picture
from pushforward.report.charts import line_chart, standalone
from pushforward.report.pictures import Look, data_uri, subsample
from pushforward.report.writing import kinds_of, loss_series
from pushforward.training import Run

__all__ = ["html_of"]

_POINTS, _PICTURES = 1000, 25
"""Rows that are drawn: a cell is small, and must be there at once."""

_SIDE = 64
"""Pixels of the longer side of a picture of many, about."""

_WIDEST = 10_000
"""Numbers of one row, beyond which principal axes take too long."""

_MOST_NAMES = 8

_NARROW, _WIDE = 380, 600
"""Pixels of a picture in a cell."""


@singledispatch
def html_of(shown: Any) -> str | None:
    """HTML of an object for a cell of a notebook; `None` if its `repr` says it all.

    >>> import torch
    >>> html_of(Data(torch.zeros(2, 1, 8, 8), kind="image", name="blank"))[:37]
    '<p>blank: 2 images of 1 x 8 x 8</p><i'
    """
    return None


@html_of.register
def _(data: Data) -> str | None:
    """A picture of some rows, colored by label, below the line; nothing where none can be drawn."""
    if data.kind == "state" or (data.kind == "vector" and state.numel(data.event_shape) > _WIDEST):
        return None
    try:
        picture, drawn, width = _picture(data)
    except MissingExtraError:
        return None
    cut = f"<p>{drawn:,} of {len(data):,} rows:</p>" if drawn < len(data) else ""
    return f"{_line(data)}{cut}<img src='{data_uri(picture)}' style='{_style(width)}'/>"


@html_of.register
def _(run: Run) -> str:
    """How the run ended, and its loss by step."""
    series = loss_series(run.history)
    if not series:
        return _line(run)
    chart = standalone(line_chart(series, "step", "loss")).encode()
    source = "data:image/svg+xml;base64," + base64.b64encode(chart).decode()
    return f"{_line(run)}<img src='{source}' style='{_style(_WIDE)}'/>"


@html_of.register
def _(model: GenerativeModel) -> str:
    """What the model is, what it has learned from, and what it can do."""
    size = sum(parameter.numel() for parameter in model.parameters())
    precision = str(model.dtype).removeprefix("torch.")
    facts = {
        "states": None if model.event_shape is None else f"of shape {model.event_shape}",
        "parameters": f"{size:,} in {precision} on {model.device}" if size else None,
        **_told(model),
        "learned from": _origin(model.learned_from),
        "weights": None if model.holds is None else str(model.holds),
        "can": ", ".join(_abilities(model)),
    }
    rows = "".join(
        f"<tr><th style='text-align: left'>{name}</th>"
        f"<td style='text-align: left'>{escape(fact)}</td></tr>"
        for name, fact in facts.items()
        if fact
    )
    return f"<table><caption>{escape(type(model).__name__)}</caption><tbody>{rows}</tbody></table>"


@html_of.register
def _(found: Calibration) -> str:
    """The verdicts in words, and the picture of ranks."""
    words = f"<pre>{escape(str(found))}</pre>"
    try:
        picture = calibration_picture(found)
    except MissingExtraError:
        return words
    return f"{words}<img src='{data_uri(picture)}' style='{_style(_WIDE)}'/>"


def _line(shown: Any) -> str:
    return f"<p>{escape(str(shown))}</p>"


def _style(width: int) -> str:
    return f"width: {width}px; max-width: 100%; background: white"


def _picture(data: Data) -> tuple[bytes, int, int]:
    """A PNG of some rows, how many, and how wide it is shown."""
    pictures = data.kind == "image" and data.x.shape[1] in (1, 3)
    some = data.take(state.finite_rows(data.x).nonzero()[:, 0])
    some = some.take(subsample(torch.arange(len(some)), _PICTURES if pictures else _POINTS))
    x: Tensor = some.x
    if pictures:
        factor = max(1, max(x.shape[2:]) // _SIDE)
        x = avg_pool2d(x, factor) if factor > 1 else x
    # Data know no space; numbers are in that of models that name none.
    look = Look(GenerativeModel.space, x, data.columns)
    png = look.picture(x, kinds=kinds_of(some.c, data))
    return png, min(len(some), look.many), _WIDE if look.layout == "pair wide" else _NARROW


def _told(model: GenerativeModel) -> dict[str, str | None]:
    """What the model can be told, with the values of its labels and their rows in the data."""
    if model.context_size is not None:
        return {"contexts": f"of {model.context_size}"}
    words = model.condition.vocabulary
    if words is not None:
        return {"texts": f"of up to {words.length} words: {_listed(list(words.words))}"}
    if model.num_classes is None:
        return {}
    known = model.learned_from or {}
    classes = list((known.get("schema") or {}).get("classes") or range(model.num_classes))
    counts = known.get("counts") or [None] * len(classes)
    named = [
        str(value) if count is None else f"{value} ({count:,})"
        for value, count in zip(classes, counts, strict=True)
    ]
    return {"labels": _listed(named)}


def _origin(known: Mapping[str, Any] | None) -> str | None:
    """Where the data came from, if that is known, and what they were."""
    if not known:
        return None
    source = (known.get("origin") or {}).get("source")
    columns = Schema.from_description(known.get("schema")).table_names
    shape = known.get("event_shape")
    what = None
    if columns:
        what = f"columns {_listed(columns)}"
    elif shape and known.get("kind") in ("vector", "image"):
        what = f"{known['kind']}s of {' x '.join(map(str, shape))}"
    levels = known.get("levels")
    return ", ".join(filter(None, [source, what, f"{levels} levels" if levels else None])) or None


def _abilities(model: GenerativeModel) -> list[str]:
    can = model.capabilities
    found = {
        "sample": can.sample,
        f"log_prob ({can.log_prob})": can.log_prob != "none",
        "guidance": can.guidance,
        "trajectory": can.trajectory,
        "variational_bound": can.variational_bound,
        "forward and backward": model.maps_distributions,
    }
    return [name for name, there in found.items() if there]


def _listed(names: Sequence[str]) -> str:
    """Names, the first few of many."""
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
