"""Patches of photographs: where they are from, and what is refused."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.data.photographs import read_photographs
from pushforward.errors import InputError, MissingExtraError


def _inside(patch: torch.Tensor, picture: np.ndarray) -> bool:
    """Whether a patch `(3, size, size)` is somewhere in a photograph `(H, W, 3)`."""
    pixels, size = patch.permute(1, 2, 0).numpy(), patch.shape[-1]
    rows, columns = (picture[..., :] == pixels[0, 0]).all(-1).nonzero()
    return any(
        np.array_equal(picture[i : i + size, j : j + size], pixels)
        for i, j in zip(rows, columns, strict=True)
    )


def test_patches_are_of_the_photographs_of_their_part_alone() -> None:
    from matplotlib.cbook import get_sample_data
    from PIL import Image
    from sklearn.datasets import load_sample_image

    landscapes = [load_sample_image(name) for name in ("china.jpg", "flower.jpg")]
    with Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False)) as file:
        portrait = np.asarray(file.convert("RGB"))
    train = pf.data.load("photographs", n=30, size=8).x
    test = pf.data.load("photographs-test", n=30, size=8).x
    found = [[_inside(patch, picture) for patch in train] for picture in landscapes]
    assert all(a or b for a, b in zip(*found, strict=True))
    assert all(any(one) for one in found)
    assert all(_inside(patch, portrait) for patch in test)
    assert not any(_inside(patch, portrait) for patch in train)


def test_a_seed_says_the_places_and_the_largest_patch_is_a_photograph() -> None:
    data = pf.data.load("photographs", n=5, seed=3)
    assert (data.event_shape, data.levels, data.value_range) == ((3, 16, 16), 256, (0.0, 255.0))
    assert torch.equal(data.x, read_photographs(5, seed=3).x)
    assert not torch.equal(data.x, read_photographs(5, seed=4).x)
    assert read_photographs(2, size=427).event_shape == (3, 427, 427)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 1}, "n is a whole number of at least 2"),
        ({"size": 3}, "size is a whole number of at least 4"),
        ({"size": 428}, "size=428: the photographs have 427 pixels along a side"),
        ({"n": 429, "size": 427}, "there are 428 places"),
        ({"label": True}, "photographs has no labels: leave label out"),
        ({"key": "x"}, "key"),
    ],
)
def test_other_numbers_are_refused(options, message) -> None:
    with pytest.raises(InputError, match=message):
        pf.data.load("photographs", **options)


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [
        ("photographs", "sklearn.datasets", "data"),
        ("photographs-test", "matplotlib.cbook", "plots"),
    ],
)
def test_a_package_that_is_missing_is_named(monkeypatch, name, module, extra) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'pushforward\[{extra}\]'"):
        pf.data.load(name, n=2)
