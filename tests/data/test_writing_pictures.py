"""A folder of pictures: the same pixels, mode and classes as those that were read."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.data import picture_files
from pushforward.data.schema import Schema
from pushforward.errors import InputError
from pushforward.spaces import Euclidean, Product

LEVELS = {"levels": 256, "value_range": (0.0, 255.0)}


def _pixels(channels: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (6, channels, 5, 4), generator=generator).float()


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_pictures_come_back_with_their_mode(tmp_path: Path, channels: int, mode: str) -> None:
    x = _pixels(channels)
    pf.data.write(tmp_path / "new", x, space=Euclidean(), **LEVELS)
    files = sorted((tmp_path / "new").iterdir())
    assert [file.name for file in files] == [f"{k:05d}.png" for k in range(6)]
    for file, expected in zip(files, x, strict=True):
        with Image.open(file) as picture:
            assert (picture.mode, picture.size) == (mode, (4, 5))
            pixels = np.array(picture).reshape(5, 4, channels)
            assert np.array_equal(pixels, expected.permute(1, 2, 0).numpy())
    data = pf.data.load(tmp_path / "new")
    assert torch.equal(data.x, x)
    assert (data.levels, data.value_range, data.kind) == (256, (0.0, 255.0), "image")


def test_values_between_levels_go_to_the_nearest(tmp_path: Path) -> None:
    x = (
        torch.tensor([-3.0, 0.4, 0.6, 254.7, 300.0, 128.0])
        .reshape(1, 1, 2, 3)
        .expand(2, -1, -1, -1)
    )
    pf.data.write(f"{tmp_path}/v1.0/", x, space=Euclidean(), **LEVELS)
    found = pf.data.load(tmp_path / "v1.0").x
    assert found[0].flatten().tolist() == [0, 0, 1, 255, 255, 128]


def test_classes_are_folders(tmp_path: Path) -> None:
    x, labels = _pixels(1), torch.tensor([1, 0, 1, 1, 0, 0])
    schema = Schema(classes=("ant", "bee"))
    pf.data.write(tmp_path / "pets", x, space=Euclidean(), schema=schema, labels=labels, **LEVELS)
    assert sorted(os.listdir(tmp_path / "pets")) == ["ant", "bee"]
    data = pf.data.load(tmp_path / "pets")
    assert data.classes == ("ant", "bee")
    for k in (0, 1):
        assert torch.equal(data.x[data.c == k], x[labels == k])


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("precious")
    with pytest.raises(InputError, match="mine exists and is no empty folder"):
        pf.data.write(tmp_path / "mine", _pixels(1), space=Euclidean(), **LEVELS)
    assert os.listdir(tmp_path) == ["mine"]
    assert (tmp_path / "mine" / "notes.txt").read_text() == "precious"
    (tmp_path / "empty").mkdir()
    pf.data.write(tmp_path / "empty", _pixels(1), space=Euclidean(), **LEVELS)
    assert len(os.listdir(tmp_path / "empty")) == 6


def test_pictures_are_written_as_a_whole_or_not_at_all(tmp_path: Path, monkeypatch) -> None:
    save, count = Image.Image.save, 0

    def full(picture: Image.Image, file: Path) -> None:
        nonlocal count
        count += 1
        if count == 3:
            raise OSError(28, "No space left on device")
        save(picture, file)

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(InputError, match="cannot be written: No space left"):
        pf.data.write(tmp_path / "new", _pixels(1), space=Euclidean(), **LEVELS)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("x", "space", "options", "message"),
    [
        (torch.zeros(2, 3), Euclidean(), LEVELS, r"1 or 3 channels, .* shape \(3,\)"),
        (torch.zeros(2, 2, 4, 4), Euclidean(), LEVELS, r"have the shape \(2, 4, 4\)"),
        (torch.zeros(2, 1, 4, 4), Euclidean(), {}, "these data have no levels"),
        (
            torch.zeros(2, 1, 4, 4),
            Euclidean(),
            {"levels": 17, "value_range": (0.0, 16.0)},
            "have 17 levels on 0..16",
        ),
        (
            (torch.zeros(2, 2), torch.zeros(2, 2)),
            Product(Euclidean(2), Euclidean(2)),
            {},
            r"have the shape \(\(2,\), \(2,\)\)",
        ),
        (
            _pixels(1),
            Euclidean(),
            {**LEVELS, "schema": Schema(classes=("../ant", "bee")), "labels": 0},
            r"'\.\./ant/00000\.png' leads out of the folder",
        ),
    ],
)
def test_what_is_no_picture_is_refused(tmp_path: Path, x, space, options, message) -> None:
    with pytest.raises(InputError, match=message):
        pf.data.write(tmp_path / "new", x, space=space, **options)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["../x.png", "/x.png", "a/../../x.png", "..\\x.png", "c:x.png"])
def test_a_name_cannot_lead_out_of_the_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="leads out of the folder"):
        picture_files.write_pictures(
            tmp_path / "in", torch.zeros(1, 1, 2, 2, dtype=torch.uint8), (name,)
        )
    assert list(tmp_path.iterdir()) == []
