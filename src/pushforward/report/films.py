"""Films: maps of a variable from frame to frame, side by side, as one animated picture."""

from __future__ import annotations

import io
from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward._extras import require
from pushforward.report.maps import MapPainter
from pushforward.spaces.views import Maps

__all__ = ["film"]

_SIDE = 150
"""Pixels of a map, about."""

_LINE, _GAP = 14, 6
"""Pixels of a line of text, and between maps."""

_LAST = 4
"""How many times longer the last frame is shown."""


def film(
    panels: Sequence[tuple[str, Tensor]],
    titles: Sequence[str],
    *,
    upward: bool = False,
    milliseconds: int = 350,
) -> bytes:
    """An animated PNG of several films next to each other, on one scale of color.

    Every browser plays it, and one that does not shows its first frame.

    Args:
        panels: what each film is called, and its maps `(T, H, W)`, NaN in gray.
        titles: what each frame is, `T` of them.
        upward: whether the first row of cells is at the bottom.
        milliseconds: of a frame.

    >>> made = film([("truth", torch.rand(3, 8, 8))], ["1", "2", "3"])
    >>> made[:4], b"acTL" in made
    (b'\\x89PNG', True)
    """
    image = require("PIL.Image", extra="plots", purpose="draw pictures")
    draw = require("PIL.ImageDraw", extra="plots", purpose="draw pictures")
    maps = require("matplotlib", extra="plots", purpose="draw pictures").colormaps
    values = torch.stack([x.detach().cpu().float() for _, x in panels])
    look = MapPainter(Maps(values[0], ""))
    colors = maps[look.colors].with_extremes(bad="#c9cdd3")
    count, frames, height, width = values.shape
    times = max(1, round(_SIDE / max(height, width)))
    across, down = width * times, height * times
    made = []
    for k in range(frames):
        canvas = image.new("RGB", (count * (across + _GAP) - _GAP, down + 2 * _LINE), "white")
        pen = draw.Draw(canvas)
        pen.text((2, 0), titles[k], fill="#1b1f24")
        for panel in range(count):
            one = values[panel, k].flip(0) if upward else values[panel, k]
            level = ((one - look.low) / (look.high - look.low)).clamp(0, 1)
            level = level.masked_fill(one.isnan(), torch.nan)
            pixels = (255 * torch.from_numpy(colors(level.numpy()))[..., :3]).round().byte()
            picture = image.fromarray(pixels.numpy()).resize((across, down), image.NEAREST)
            left = panel * (across + _GAP)
            pen.text((left + 2, _LINE), panels[panel][0], fill="#5b6470")
            canvas.paste(picture, (left, 2 * _LINE))
        made.append(canvas)
    stream = io.BytesIO()
    lengths = [milliseconds] * (frames - 1) + [_LAST * milliseconds]
    made[0].save(stream, "PNG", save_all=True, append_images=made[1:], duration=lengths, loop=0)
    return stream.getvalue()
