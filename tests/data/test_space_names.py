"""Spaces said by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import pushforward as pf
from pushforward.errors import InputError
from pushforward.spaces import Sphere


def test_a_table_goes_to_the_space_of_a_name_as_to_its_object(tmp_path: Path) -> None:
    path = tmp_path / "places.csv"
    path.write_text("latitude,longitude\n10,20\n-35.5,170\n", encoding="utf-8")
    named, made = (pf.data.load(path, space=space) for space in ("sphere", Sphere()))
    assert named.event_shape == (3,)
    assert torch.equal(named.x, made.x)
    assert named.fingerprint == made.fingerprint


def test_several_names_are_a_product() -> None:
    x = torch.eye(3).expand(4, 3, 3), torch.zeros(4, 2)
    data = pf.data.load(x, space="so3, euclidean")
    assert data.event_shape == ((3, 3), (2,))


def test_unknown_names_and_other_objects_are_refused() -> None:
    with pytest.raises(InputError, match="sphere"):
        pf.data.load(torch.zeros(3, 3), space="spere")
    with pytest.raises(InputError, match=r"not 3\.5"):
        pf.data.load(torch.zeros(3, 3), space=3.5)
