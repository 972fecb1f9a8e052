"""Arrays of pictures: which axis is which, said, and put back when samples are written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.data import Data, load, write
from pushforward.errors import InputError
from pushforward.models import Diffusion
from pushforward.spaces import Euclidean


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    ("rows", "event", "layout"),
    [
        ((16, 16, 7), (7, 16, 16), "HWC"),
        ((7, 16, 16), (7, 16, 16), None),
        ((12, 12, 2), (2, 12, 12), "HWC"),
        ((10, 9, 3), (3, 10, 9), "HWC"),
        ((3, 10, 9), (3, 10, 9), None),
    ],
)
def test_channels_are_found(rows: tuple[int, ...], event: tuple[int, ...], layout: str) -> None:
    x = numbers(6, *rows)
    data = load(x)
    assert (data.kind, data.event_shape, data.schema.layout) == ("image", event, layout)
    turned = x.transpose(0, 3, 1, 2) if layout else x
    assert np.array_equal(data.x.numpy(), turned)
    if rows != (3, 10, 9):
        (note,) = data.notes
        assert f"rows of shape {rows} are taken for pictures {layout or 'CHW'}" in note
        assert note in str(data)
    else:
        assert data.notes == ()


def test_the_option_decides() -> None:
    x = numbers(6, 16, 16, 7)
    data = load(x, layout="CHW")
    assert (data.kind, data.event_shape, data.notes) == ("image", (16, 16, 7), ())
    data = load(x, layout="HWC")
    assert (data.event_shape, data.notes) == ((7, 16, 16), ())
    assert load(x, kind="vector").event_shape == (16, 16, 7)
    assert load(numbers(6, 20, 30, 5), kind="image").event_shape == (5, 20, 30)
    assert load(numbers(6, 5, 20, 30), kind="image").event_shape == (5, 20, 30)


def test_what_is_open_is_said_or_asked() -> None:
    data = load(numbers(6, 20, 30, 7))
    assert data.kind == "vector"
    assert "are taken for vectors; kind='image'" in data.notes[0]
    with pytest.raises(InputError, match=r"first or last: give layout='HWC' or layout='CHW'"):
        load(numbers(6, 9, 8, 9), kind="image")
    for odd in ({"layout": "WHC"}, {"layout": "HWC", "kind": "vector"}):
        with pytest.raises(InputError, match="means nothing"):
            load(numbers(6, 16, 16, 7), **odd)
    with pytest.raises(InputError, match=r"layout='HWC' means nothing for rows of shape \(4,\)"):
        load(numbers(6, 4), layout="HWC")


def test_a_folder_has_no_layout(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="layout='HWC' means nothing for a folder of images"):
        load(tmp_path, layout="HWC")


@pytest.mark.parametrize("shape", [(6, 5, 3), (6, 5), (3, 6, 5), (9, 9, 2)])
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_what_comes_in_goes_out(tmp_path: Path, shape: tuple[int, ...], suffix: str) -> None:
    """Bytes with their channels last become samples of bytes with their channels last."""
    pixels = np.random.default_rng(0).integers(0, 256, (5, *shape), dtype=np.uint8)
    before, after = tmp_path / f"before{suffix}", tmp_path / f"after{suffix}"
    if suffix == ".npy":
        np.save(before, pixels)
    else:
        np.savez(before, x=pixels)
    data = load(before)
    about = {"schema": data.schema, "levels": data.levels, "value_range": data.value_range}
    write(after, data.x + 0.3, space=Euclidean(), **about)
    found = np.load(after) if suffix == ".npy" else np.load(after)["x"]
    assert found.dtype == np.uint8
    assert np.array_equal(found, np.clip(pixels, 0, 255))
    assert torch.equal(load(after).x, data.x)


def test_a_network_of_pictures_is_for_pictures() -> None:
    x = torch.from_numpy(numbers(6, 16, 16, 7))
    rows = load(x.numpy(), kind="vector", space=Euclidean())
    assert "6 vectors of 16 x 16 x 7" in str(rows)
    net = Diffusion.for_data(rows).predictor.net
    assert isinstance(net, pf.nn.MLP)
    net = Diffusion.for_data(load(x.numpy())).predictor.net
    assert isinstance(net, pf.nn.UNet)
    voxels = load(numbers(6, 6, 6, 6))
    assert isinstance(Diffusion.for_data(voxels).predictor.net, pf.nn.MLP)
    image = Data(x.permute(0, 3, 1, 2).contiguous(), kind="image")
    assert isinstance(Diffusion.for_data(image).predictor.net, pf.nn.UNet)
