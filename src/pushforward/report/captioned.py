"""Pictures with what is said of them below."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from pushforward._extras import require
from pushforward.errors import InputError

__all__ = ["captioned_grid"]

_INCHES, _DOTS = 1.25, 130
_LETTERS = 24
"""In a line of a caption."""


def captioned_grid(
    x: Tensor, captions: Sequence[str], low: float, high: float, columns: int | None = None
) -> Any:
    """Images `(n, C, H, W)` side by side, a caption below each, as a `PIL.Image`.

    Raises `InputError` unless there are 1 or 3 channels, and a caption for each image.
    """
    figure = require("matplotlib.figure", extra="plots", purpose="draw pictures")
    image = require("PIL.Image", extra="plots", purpose="draw pictures")
    if x.ndim != 4 or x.shape[1] not in (1, 3) or len(captions) != len(x):
        raise InputError(
            f"pictures with captions are (n, 1 or 3, H, W) with n captions, not {tuple(x.shape)} "
            f"with {len(captions)}"
        )
    levels = ((x.detach().cpu().float() - low) / (high - low)).nan_to_num(0.5).clamp(0, 1)
    levels = 1 - levels if x.shape[1] == 1 else levels
    texts = ["\n".join(textwrap.wrap(caption, _LETTERS)) for caption in captions]
    lines = max((text.count("\n") + 1 for text in texts), default=1)
    columns = columns or math.ceil(math.sqrt(len(x)))
    rows = math.ceil(len(x) / columns)
    size = (columns * _INCHES, rows * (_INCHES + 0.1 * lines))
    canvas = figure.Figure(figsize=size, dpi=_DOTS, layout="constrained")
    canvas.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0, hspace=0)
    panels = canvas.subplots(rows, columns, squeeze=False).flatten()
    for panel in panels:
        panel.set(xticks=[], yticks=[])
        panel.spines[:].set_visible(False)
    for panel, picture, text in zip(panels, levels, texts, strict=False):
        pixels = picture.permute(1, 2, 0).squeeze(-1).numpy()
        panel.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        panel.set_xlabel(text, fontsize=5.5, labelpad=2)
    stream = io.BytesIO()
    canvas.savefig(stream, format="png")
    return image.open(stream).convert("RGB")
