"""Patches of photographs that other packages bring along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward import checks
from pushforward._extras import require
from pushforward.data.dataset import Data
from pushforward.data.declared import require_room
from pushforward.data.picture_reader import PictureReader
from pushforward.errors import InputError

__all__ = ["read_photographs"]

Pixels = NDArray[np.uint8]


def read_photographs(n: int = 10_000, seed: int = 0, size: int = 16, *, test: bool = False) -> Data:
    """`n` patches of photographs, `(n, 3, size, size)`, 8-bit colors.

    From a temple and a flower, `china.jpg` and `flower.jpg` of 427 x 640 pixels, which scikit-learn
    has; the test part from a portrait, `grace_hopper.jpg` of 600 x 512 pixels, which Matplotlib
    has. No photograph is in both parts. Patches lie at random places, all different and equally
    likely, and many of them overlap: their number tells nothing of how much there is to learn.

    Args:
        n: how many, at least two.
        seed: of the places.
        size: pixels along a side, from 4 to the height of the photographs.
        test: whether those of the test part.

    Raises `InputError` for other numbers, or where there is no room for the patches, and
    `MissingExtraError` without the packages.

    >>> print(read_photographs(5, seed=1, size=8))
    photographs: 5 images of 3 x 8 x 8, 256 levels on 0..255
    """
    checks.whole("n", n, least=2)
    checks.whole("size", size, least=4)
    seed = checks.seed("seed", seed)
    name = "photographs-test" if test else "photographs"
    pictures = _portrait() if test else _landscapes()
    lowest = min(min(picture.shape[:2]) for picture in pictures)
    if size > lowest:
        raise InputError(f"size={size}: the photographs have {lowest} pixels along a side")
    require_room((n, 3, size, size), "float32", f"{name}(n={n}, size={size})")
    generator = torch.Generator().manual_seed(seed)
    rows = torch.tensor([len(picture) - size + 1 for picture in pictures])
    columns = torch.tensor([picture.shape[1] - size + 1 for picture in pictures])
    places = rows * columns
    if n > int(places.sum()):
        raise InputError(f"n={n}: there are {int(places.sum())} places for patches of this size")
    patches = np.empty((n, size, size, 3), np.uint8)
    drawn = torch.randperm(int(places.sum()), generator=generator)[:n]
    which = torch.bucketize(drawn, places.cumsum(0), right=True)
    inside = drawn - (places.cumsum(0) - places)[which]
    for k, (own, place) in enumerate(zip(which.tolist(), inside.tolist(), strict=True)):
        top, left = divmod(place, int(columns[own]))
        patches[k] = pictures[own][top : top + size, left : left + size]
    return Data(
        torch.from_numpy(patches).permute(0, 3, 1, 2).float(),
        name=name,
        kind="image",
        levels=256,
        value_range=(0.0, 255.0),
        source=f"{name}(n={n}, seed={seed}, size={size})",
    )


def _landscapes() -> list[Pixels]:
    datasets: Any = require("sklearn.datasets", extra="data", purpose="read its photographs")
    require("PIL.Image", extra="data", purpose="read photographs")
    found: list[Pixels] = datasets.load_sample_images().images
    return found


def _portrait() -> list[Pixels]:
    cbook: Any = require("matplotlib.cbook", extra="plots", purpose="read its photograph")
    path = Path(str(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)))
    if not path.is_file():
        raise InputError(f"this installation of Matplotlib lacks its sample data: no {path}")
    return [PictureReader(channels=3).read(path)]
