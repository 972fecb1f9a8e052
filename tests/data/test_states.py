"""Data of any space: what they are, how they are cut, recognized and let in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.data import Data
from pushforward.errors import InputError
from pushforward.spaces import Euclidean, PointCloud, Points, Product, Sphere, Tokens, Torus


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _points(n: int = 20) -> Points:
    mask = torch.rand(n, 4, generator=_generator()) < 0.6
    return Points(torch.randn(n, 4, 2, generator=_generator()) * mask.unsqueeze(-1), mask)


def _pair(n: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(n, 2, generator=_generator()), torch.arange(n).remainder(3)[:, None]


def test_a_tree_is_cut_row_by_row() -> None:
    data = Data(_pair(), c=torch.arange(20) % 2)
    assert (len(data), data.event_shape, data.kind) == (20, ((2,), (1,)), "state")
    some = data.take(torch.tensor([3, 5]))
    assert torch.equal(some.x[0], data.x[0][[3, 5]])
    assert torch.equal(some.c, torch.tensor([1, 1]))
    train, test = data.split(0.2, seed=1)
    assert (len(train), len(test)) == (16, 4)
    rows = {tuple(row) for part in (train, test) for row in part.x[0].tolist()}
    assert rows == {tuple(row) for row in data.x[0].tolist()}
    for part in (train, test):
        numbers = [data.x[0].tolist().index(row) for row in part.x[0].tolist()]
        assert part.x[1].flatten().tolist() == [k % 3 for k in numbers]
    masked = Data(_points()).take(torch.arange(20) < 5)
    assert isinstance(masked.x, Points)
    assert len(masked) == 5


def test_a_fingerprint_sees_every_part() -> None:
    x, k = _pair()
    prints = {
        Data(part).fingerprint
        for part in ((x, k), (x, k + 1), (x + 1, k), (x, (k,)), x, k, _points(), tuple(_points()))
    }
    assert len(prints) == 8
    assert Data((x, k)).fingerprint == Data((x.clone(), k.clone())).fingerprint
    # What it was before states had parts.
    ramp = Data(torch.arange(8.0).reshape(4, 2))
    assert ramp.fingerprint.startswith("c3eb64df0c59")


def test_what_it_says_of_itself() -> None:
    about = Data(_pair(), name="pair").describe()
    assert (about["event_shape"], about["states"], about["n"]) == ([[2], [1]], None, 20)
    assert str(Data(_pair(), name="pair")) == "pair: 20 states of shape ((2,), (1,))"
    contexts = Data(torch.zeros(4, 2), c=torch.zeros(4, 3))
    assert (contexts.context_size, contexts.num_classes) == (3, None)
    assert str(contexts) == "data: 4 vectors of 2, contexts of 3"
    labels = Data(torch.zeros(4, 2), c=torch.tensor([0, 1, 1, 0]))
    assert (labels.context_size, labels.num_classes) == (None, 2)
    assert Data(torch.zeros(4, 2)).context_size is None


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ((torch.zeros(3, 1), torch.zeros(2, 1)), r"\[2, 3\] rows"),
        ((torch.zeros(3, 1), torch.zeros(3, 1).half()), "not torch.float16"),
        ((), "not tuple"),
        ([torch.zeros(3, 1)], "not list"),
        (torch.zeros(3), r"\(N, \*event\)"),
        ((torch.zeros(3, 1), torch.zeros(3, 0)), "holds no numbers"),
    ],
)
def test_what_is_no_batch_is_refused(x: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Data(x)
    with pytest.raises(InputError, match="levels=3 are those of numbers"):
        Data(_pair(), levels=3, value_range=(0.0, 1.0))


def test_numbers_become_states() -> None:
    tokens = pf.data.load(np.array([[0, 2], [1, 1]], dtype=np.uint8), space=Tokens(3))
    assert tokens.x.dtype == torch.int64
    assert (tokens.levels, tokens.kind) == (None, "state")
    assert tokens.states == Tokens(3).describe_states((2,))
    turned = pf.data.load([[4.0], [1.0]], space=Torus())
    assert turned.x[:, 0].tolist() == pytest.approx([4.0 - 2 * np.pi, 1.0])
    parts = pf.data.load(torch.tensor([[0.5, 7.0, 2.0], [1.5, 0.0, 1.0]]),
                         space=Product(Euclidean(2), Tokens(3)))  # fmt: skip
    assert parts.x[1].tolist() == [[2], [1]]
    # Data that are states already stay as they are, with the fingerprint.
    assert pf.data.load(parts, space=Product(Euclidean(2), Tokens(3))) is parts
    vectors = pf.data.load(torch.zeros(3, 2))
    assert vectors.fingerprint == pf.data.load(vectors, space=Euclidean()).fingerprint


def test_pictures_keep_their_levels_and_tables_their_columns(tmp_path: Path) -> None:
    pictures = pf.data.load(np.zeros((3, 4, 4), dtype=np.uint8), space=Euclidean())
    assert (pictures.kind, pictures.levels, pictures.event_shape) == ("image", 256, (1, 4, 4))
    path = tmp_path / "a.csv"
    path.write_text("east,north,kind\n0,1,a\n1,0,b\n")
    data = pf.data.load(path, label="kind", space=Sphere())
    assert (data.columns, data.classes) == (("east", "north"), ("a", "b"))
    assert data.origin == {"source": str(path.resolve()), "label": "kind"}


def test_states_of_several_parts_come_in_from_memory_and_files(tmp_path: Path) -> None:
    points = _points()
    named = {"x": points.x.numpy(), "mask": points.mask.numpy()}
    np.savez(tmp_path / "sets.npz", **named, y=np.arange(20) % 2)
    found = [
        pf.data.load(points, space=PointCloud(), label=torch.arange(20) % 2),
        pf.data.load(named, space=PointCloud(), label=np.arange(20) % 2),
        pf.data.load(tmp_path / "sets.npz", space=PointCloud()),
    ]
    assert len({data.fingerprint for data in found}) == 1
    assert found[0].c.tolist() == [0, 1] * 10
    assert torch.equal(found[0].x.number, points.number)
    # Slots that are not there are no numbers, unless whoever asks for them alone says so.
    with pytest.raises(InputError, match="sets of points, 'x' and the 'mask'"):
        pf.data.load(tmp_path / "sets.npz", space=Euclidean())
    alone = pf.data.load(tmp_path / "sets.npz", space=Euclidean(), key="x")
    assert alone.event_shape == (4, 2)
    pair = pf.data.load(_pair(), space=Product(Euclidean(2), Tokens(3)), name="pair")
    words = Product(Euclidean(2), Tokens(3)).describe_states(((2,), (1,)))
    assert str(pair) == f"pair: 20 {words}"


def test_rows_that_are_not_finite_are_left_out_of_all_parts(tmp_path: Path) -> None:
    x, k = _pair()
    x[4, 0] = float("nan")
    np.savez(tmp_path / "a.npz", **{"x.0": x.numpy(), "x.1": k.numpy(), "c": np.arange(20) % 2})
    space = Product(Euclidean(2), Tokens(3))
    with pytest.raises(InputError, match=r"a\.npz, row 4 .* holds nan"):
        pf.data.load(tmp_path / "a.npz", space=space)
    data = pf.data.load(tmp_path / "a.npz", space=space, drop_nonfinite=True)
    assert (len(data), data.dropped) == (19, 1)
    assert data.x[1].flatten().tolist() == [j % 3 for j in range(20) if j != 4]
    assert data.c.tolist() == [j % 2 for j in range(20) if j != 4]
    with pytest.raises(InputError, match="1 of 20 states are not finite"):
        pf.data.load((x, k), space=space)


@pytest.mark.parametrize(
    ("arrays", "space", "message"),
    [
        ({"x": [[0.5], [1.0]]}, Tokens(3), r"a\.npz: tokens are whole numbers, but one is 0\.5"),
        ({"x": [[0.0], [7.0]]}, Tokens(3), r"a\.npz: tokens lie in 0\.\.2"),
        ({"x": [[2.0, 0.0], [1.0, 0.0]]}, Sphere(), r"a\.npz: "),
        ({"x": [[0.0], [1.0]]}, PointCloud(), r"a\.npz: point sets come as the arrays x"),
        (
            {"x.0": [[0.0], [1.0]], "x.1": [[0.0]]},
            Product(Euclidean(1), Tokens(2)),
            r"a\.npz has arrays of \[1, 2\] rows",
        ),
        (
            {"x.0": [[0.0], [1.0]], "x.2": [[0.0], [1.0]]},
            Product(Euclidean(1), Tokens(2)),
            r"a\.npz: a product of 2 takes the arrays 0, 1, not 0, 2",
        ),
    ],
)
def test_files_that_hold_no_states_are_named(
    tmp_path: Path, arrays: dict[str, Any], space: Any, message: str
) -> None:
    np.savez(tmp_path / "a.npz", **{name: np.array(value) for name, value in arrays.items()})
    with pytest.raises(InputError, match=message):
        pf.data.load(tmp_path / "a.npz", space=space)
