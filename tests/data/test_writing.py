"""What is written is read back equal, and a write that fails leaves what was there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward import state
from pushforward.data import Schema
from pushforward.errors import CapabilityError, InputError
from pushforward.spaces import Euclidean, PointCloud, Points, Product, Sphere, Tokens, Torus


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _floats(*shape: int) -> torch.Tensor:
    """Numbers of all sizes, with all the digits that float32 has."""
    size = torch.randint(-20, 20, shape, generator=_generator())
    return torch.randn(shape, generator=_generator()) * 10.0**size


def _points(n: int) -> Points:
    mask = torch.rand(n, 4, generator=_generator()) < 0.6
    return Points(torch.randn(n, 4, 2, generator=_generator()) * mask.unsqueeze(-1), mask)


def _tokens(n: int) -> torch.Tensor:
    return torch.randint(0, 5, (n, 3), generator=_generator())


STATES: dict[str, tuple[Any, Any]] = {
    "euclidean": (Euclidean(), _floats(50, 3)),
    "one number": (Euclidean(), _floats(50, 1)),
    "image": (Euclidean(), _floats(20, 1, 4, 4)),
    "torus": (Torus(), Torus().uniform(50, (2,), _generator())),
    "sphere": (Sphere(), Sphere().uniform(50, (3,), _generator())),
    "tokens": (Tokens(5), _tokens(50)),
    "points": (PointCloud(), _points(50)),
    "product": (
        Product(Euclidean(2), Torus(1), Tokens(5)),
        (_floats(50, 2), Torus().uniform(50, (1,), _generator()), _tokens(50)),
    ),
    "nested": (
        Product(PointCloud(), Product(Euclidean(2), Tokens(5))),
        (_points(50), (_floats(50, 2), _tokens(50))),
    ),
}
TABLES = [name for name in STATES if name not in ("image", "points", "nested")]


def _equal(a: Any, b: Any) -> bool:
    """Whether states are the same bit for bit; point sets in any order of their slots."""
    if isinstance(a, Points):
        return type(b) is Points and all(map(_same_set, a.x, a.mask, b.x, b.mask))
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(_equal, a, b))
    return a.dtype == b.dtype and torch.equal(a, b)


def _same_set(x: Any, mask: Any, y: Any, other: Any) -> bool:
    return sorted(x[mask].tolist()) == sorted(y[other].tolist())


ONE_NAME, TWO_CLASSES = Schema.of("a"), Schema(classes=("a", "b"))


@pytest.mark.parametrize("name", STATES)
def test_an_archive_is_read_back_equal(tmp_path: Path, name: str) -> None:
    space, x = STATES[name]
    labels = torch.arange(state.rows(x)) % 3
    path = tmp_path / "new" / "states.npz"
    pf.data.write(path, x, space=space, labels=labels)
    data = pf.data.load(path, space=space)
    assert _equal(data.x, x)
    assert torch.equal(data.c, labels)
    assert data.states == space.describe_states(state.event_shape(x))
    assert os.listdir(path.parent) == ["states.npz"]
    # Once more: what has been read is written as it was.
    pf.data.write(path, data.x, space=space)
    assert _equal(pf.data.load(path, space=space).x, x)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_read_back_equal(tmp_path: Path, name: str, suffix: str) -> None:
    space, x = STATES[name]
    path = tmp_path / f"states{suffix}"
    pf.data.write(path, x, space=space)
    data = pf.data.load(path, space=space)
    assert _equal(data.x, x)
    assert data.columns == space.to_table(x)[1]


@pytest.mark.parametrize("name", [n for n in STATES if not isinstance(STATES[n][1], tuple)])
def test_an_array_is_read_back_equal(tmp_path: Path, name: str) -> None:
    space, x = STATES[name]
    pf.data.write(tmp_path / "states.npy", x, space=space)
    assert _equal(pf.data.load(tmp_path / "states.npy", space=space).x, x)


def test_integers_are_written_as_integers(tmp_path: Path) -> None:
    pf.data.write(tmp_path / "a.csv", torch.tensor([[0, 12], [3, 4]]), space=Tokens(13))
    assert (tmp_path / "a.csv").read_text().splitlines() == ["token0,token1", "0,12", "3,4"]
    mixed = torch.tensor([[0.5], [2.0]]), torch.tensor([[7], [0]])
    pf.data.write(tmp_path / "b.csv", mixed, space=Product(Euclidean(1), Tokens(8)))
    assert (tmp_path / "b.csv").read_text().splitlines()[1:] == ["0.5,7", "2.0,0"]


def test_columns_and_classes_have_their_names(tmp_path: Path) -> None:
    path = tmp_path / "pets.csv"
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    schema = Schema.of("height", "c", classes=("ant", "cat"))
    pf.data.write(path, x, space=Euclidean(), labels=torch.tensor([1, 0]), schema=schema)
    assert path.read_text().splitlines() == ["height,c,label", "1.0,2.0,cat", "3.0,4.0,ant"]
    data = pf.data.load(path, label="label", space=Euclidean())
    assert (data.classes, data.c.tolist(), data.columns) == (
        ("ant", "cat"),
        [1, 0],
        ("height", "c"),
    )
    years = Schema(label="year", classes=(2019, 2021))
    pf.data.write(tmp_path / "one.npz", x, space=Euclidean(), labels=1, schema=years)
    found = np.load(tmp_path / "one.npz")["year"]
    assert (found.dtype, found.tolist()) == (np.int64, [2021, 2021])


def test_a_failed_write_leaves_the_former_file(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "states.npz"
    x = torch.randn(3, 2, generator=_generator())
    pf.data.write(path, x, space=Euclidean())
    before = path.read_bytes()

    def full(file: Any, **arrays: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(InputError, match=r"states\.npz cannot be written: No space left"):
        pf.data.write(path, x + 1, space=Euclidean())
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["states.npz"]


@pytest.mark.parametrize(
    ("name", "file", "options", "error", "message"),
    [
        ("euclidean", "a.pt", {}, InputError, r"\.csv, .* \.npz, .* files, .* not 'a\.pt'"),
        ("product", "a.npy", {}, InputError, "one array, but a state has 3 parts"),
        ("points", "a.csv", {}, CapabilityError, "npz"),
        (
            "euclidean",
            "a.csv",
            {"schema": Schema.of("a")},
            InputError,
            "1 names do not fit .* 3 columns",
        ),
        ("tokens", "a.npz", {"labels": [1, 2]}, InputError, "one for each of 50 states"),
        (
            "tokens",
            "a.npz",
            {"labels": 2, "schema": TWO_CLASSES},
            InputError,
            r"0\.\.1",
        ),
    ],
)
def test_what_cannot_be_written_is_refused_before(
    tmp_path: Path, name: str, file: str, options: dict[str, Any], error: Any, message: str
) -> None:
    space, x = STATES[name]
    with pytest.raises(error, match=message):
        pf.data.write(tmp_path / "folder" / file, x, space=space, **options)
    assert os.listdir(tmp_path) == []
