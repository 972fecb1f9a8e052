"""Pictures to a folder of PNG files, without loss, and classes as its subfolders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward import state
from pushforward._extras import require
from pushforward.errors import InputError

__all__ = ["check_pixels", "names_of_pictures", "pixels", "write_pictures"]

_CHANNELS = (1, 3)


def check_pixels(
    event_shape: state.EventShape, levels: int | None, value_range: tuple[float, float] | None
) -> None:
    """Raise `InputError` for what PNG files cannot hold in the units that it has.

    They hold pictures of 1 or 3 channels whose levels are 0, 1, ..., 255.
    """
    if len(event_shape) != 3 or event_shape[0] not in _CHANNELS:
        raise InputError(
            f"a folder holds pictures (channels, height, width) of 1 or 3 channels, and these data "
            f"have the shape {event_shape}: give the name of a file, such as samples.npz"
        )
    low, high = value_range or (0.0, 0.0)
    if levels != 256 or value_range != (0.0, 255.0):
        found = "no levels" if levels is None else f"{levels} levels on {low:g}..{high:g}"
        raise InputError(
            f"pixels of PNG files are whole numbers from 0 to 255, but these data have {found}: "
            "give the name of a file, such as samples.npz, or .png for one picture of all"
        )


def pixels(x: Tensor) -> Tensor:
    """Pictures with 256 levels as bytes, each number at the nearest level."""
    return x.round().clamp(0, 255).to(torch.uint8)


def names_of_pictures(labels: NDArray[Any] | None, n: int) -> tuple[str, ...]:
    """A name for each of `n` pictures, in order; with labels in the folder of its class.

    >>> import numpy as np
    >>> names_of_pictures(np.array(["cat", "ant"]), 2)
    ('cat/00000.png', 'ant/00001.png')
    """
    width = max(5, len(str(n - 1)))
    names = [f"{k:0{width}d}.png" for k in range(n)]
    if labels is None:
        return tuple(names)
    return tuple(f"{label}/{name}" for label, name in zip(labels.tolist(), names, strict=True))


def write_pictures(folder: Path, x: Tensor, names: Sequence[str]) -> None:
    """Pictures `(N, C, H, W)` of uint8 to PNG files in a folder, gray for one channel, else RGB.

    Raises `InputError` for a name that leads out of the folder, before anything is written.
    """
    image = require("PIL.Image", extra="data", purpose="write pictures")
    for name in names:
        # A file from elsewhere must not choose where on this machine it writes.
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in name:
            raise InputError(f"the name {name!r} leads out of the folder {folder}")
    for picture, name in zip(x, names, strict=True):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        image.fromarray(picture.permute(1, 2, 0).squeeze(-1).cpu().numpy()).save(file)
