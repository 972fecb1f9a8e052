from __future__ import annotations

import contextlib
import io
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.data import load
from pushforward.errors import InputError


class Exploding:
    """Reading the pickle of this object would delete the file that proves it."""

    def __reduce__(self) -> tuple:
        return (Path.write_text, (Path("exploded"), "yes"))


@pytest.mark.parametrize(
    "dtype",
    [
        "int8",
        "uint16",
        "int64",
        "uint64",
        "float16",
        "float32",
        "float64",
        ">f8",
        ">i4",
        "longdouble",
    ],
)
def test_numbers_of_any_dtype_become_float32(dtype: str) -> None:
    data = load(np.arange(6).reshape(3, 2).astype(dtype))
    assert data.x.dtype == torch.float32
    assert data.x.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert data.levels is None


@pytest.mark.parametrize(
    "dtype", [torch.bfloat16, torch.float16, torch.float64, torch.int32, torch.uint8]
)
def test_tensors_of_any_dtype(dtype: torch.dtype) -> None:
    assert load(torch.arange(4).reshape(2, 2).to(dtype)).x.tolist() == [[0, 1], [2, 3]]


def test_tensors_that_need_gradients_or_have_strides() -> None:
    x = torch.arange(6.0).reshape(2, 3).requires_grad_()
    data = load(x.t())
    assert not data.x.requires_grad
    assert data.x.tolist() == [[0, 3], [1, 4], [2, 5]]
    assert load(np.arange(3.0)[::-1]).x.flatten().tolist() == [2, 1, 0]


def test_data_is_a_copy() -> None:
    for x in (np.zeros((3, 2), dtype=np.float32), torch.zeros(3, 2)):
        data = load(x)
        before = data.fingerprint
        x[0, 0] = 7
        assert float(data.x[0, 0]) == 0
        assert load(data).fingerprint == before


def test_bytes_and_booleans_are_discrete() -> None:
    image = load(np.zeros((2, 5, 4), dtype=np.uint8))
    assert (image.kind, image.event_shape, image.levels) == ("image", (1, 5, 4), 256)
    assert image.value_range == (0, 255)
    bits = load(np.eye(3, dtype=bool))
    assert (bits.levels, bits.value_range) == (2, (0, 1))
    assert bits.x.tolist() == np.eye(3).tolist()


@pytest.mark.parametrize(
    ("shape", "kind", "event", "result"),
    [
        ((5,), None, (1,), "vector"),
        ((5, 2), None, (2,), "vector"),
        ((5, 8, 9), None, (8, 9), "vector"),
        ((5, 8, 9), "image", (1, 8, 9), "image"),
        ((5, 3, 8, 9), None, (3, 8, 9), "image"),
        ((5, 8, 9, 3), None, (3, 8, 9), "image"),
        ((5, 3, 8, 3), None, (3, 8, 3), "image"),
        ((5, 4, 8, 3), None, (3, 4, 8), "image"),
        ((5, 2, 8, 9), None, (2, 8, 9), "vector"),
        ((5, 2, 8, 9), "image", (2, 8, 9), "image"),
        ((5, 3, 8, 9), "vector", (3, 8, 9), "vector"),
        ((5, 2, 3, 4, 6), None, (2, 3, 4, 6), "vector"),
    ],
)
def test_shapes_and_kinds(shape: tuple, kind: str | None, event: tuple, result: str) -> None:
    data = load(np.zeros(shape), kind=kind)
    assert (data.event_shape, data.kind) == (event, result)


def test_channels_move_with_their_values() -> None:
    x = np.arange(2 * 8 * 9 * 3).reshape(2, 8, 9, 3)
    data = load(x)
    assert float(data.x[1, 2, 3, 4]) == x[1, 3, 4, 2]


def test_labels_of_arrays() -> None:
    x = np.column_stack([np.arange(4.0), [0, 1, 1, 0]])
    assert load(x, label=1).x.tolist() == [[0], [1], [2], [3]]
    for label in (1, -1, [0, 1, 1, 0], np.array([0, 1, 1, 0]), torch.tensor([0, 1, 1, 0])):
        c = load(x, label=label).c
        assert c is not None
        assert c.tolist() == [0, 1, 1, 0]
    assert load(x, label=list("abba")).classes == ("a", "b")


def test_masked_values_are_missing() -> None:
    x = np.ma.masked_array([[1, 2], [3, 4], [5, 6]], [[0, 1], [0, 0], [0, 0]])
    with pytest.raises(InputError, match=r"row 0 .* column 1 holds nan"):
        load(x)
    assert load(x, drop_nonfinite=True).x.tolist() == [[3, 4], [5, 6]]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros((0, 2)), "no rows"),
        (np.zeros((3, 0)), r"\(3, 0\) has rows without a number"),
        (np.float64(3), "single number"),
        (np.ones(3) * 1j, "np.stack"),
        (torch.ones(3, dtype=torch.complex64), "np.stack"),
        (np.array(["a", "b"]), "dtype <U1"),
        (np.array([1, None]), "dtype object"),
        (np.array(["2020-01-01"] * 2, dtype="datetime64[D]"), "datetime64"),
        (np.zeros(3, dtype=[("a", float)]), "structured_to_unstructured"),
        ([[1, 2], [3]], "ragged"),
        (torch.eye(3).to_sparse(), "sparse"),
        (None, "not data"),
        (load, "not data"),
        (object(), "not data|dtype object"),
    ],
)
def test_arrays_that_cannot_be_read(source: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(source)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ([0, 1], "3 rows but 2 labels"),
        (5, "no such column"),
        ("kind", "no names"),
        (True, "no names"),
        (0.5, "one label per row"),
        ([[0], [1, 2], [3]], "ragged"),
        (np.eye(3), "argmax"),
        ([0, 1, 0.5], "row 2 .* label 0.5"),
    ],
)
def test_labels_that_cannot_be_read(label: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(np.eye(3), label=label)


def test_npy(tmp_path: Path) -> None:
    path = tmp_path / "points.npy"
    np.save(path, np.eye(3))
    data = load(path)
    assert (data.name, data.source) == ("points", str(path))
    assert data.x.tolist() == np.eye(3).tolist()
    assert load(str(path), label=0).event_shape == (2,)


def test_npz_keys(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    x, c = np.eye(3), np.array([2, 0, 1])
    for key in ("c", "y", "labels"):
        np.savez(path, x=x, **{key: c}, other=np.zeros(7))
        data = load(path)
        assert data.x.tolist() == x.tolist()
        assert data.c is not None
        assert data.c.tolist() == [2, 0, 1]
        assert load(path, label=False).c is None
    np.savez(path, pictures=x, y=c)
    assert load(path).num_classes == 3
    np.savez_compressed(path, c=x)
    assert load(path).c is None
    np.savez(path, x_train=x, y_train=c, x_test=x)
    with pytest.raises(
        InputError, match="x_train, y_train, x_test: say which is the data with key="
    ):
        load(path)
    assert load(path, key="x_train", label="y_train").num_classes == 3
    with pytest.raises(InputError, match=r"'x_tran' \(did you mean 'x_train'\?\)"):
        load(path, key="x_tran")
    with pytest.raises(InputError, match="no array 'q'"):
        load(path, key="x_train", label="q")


def test_npz_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez(path)
    with pytest.raises(InputError, match="without arrays"):
        load(path)
    np.savez(path, x=np.eye(3), y=np.array([0.5, 1.0, 2.0]))
    with pytest.raises(InputError, match=r"label 0.5 is not a whole number.*label=False"):
        load(path)
    assert len(load(path, label=False)) == 3
    np.savez(path, x=np.eye(3), y=3)
    with pytest.raises(InputError, match="single value"):
        load(path)
    np.savez(path, x=np.eye(3) + 1j)
    with pytest.raises(InputError, match="array 'x' is complex"):
        load(path)


def test_damaged_archives_at_every_byte(tmp_path: Path) -> None:
    """Whatever a cut or flipped byte does, the answer is data or an InputError."""
    path = tmp_path / "set.npz"
    np.savez(path, x=np.arange(4.0))
    good = path.read_bytes()
    with warnings.catch_warnings():
        # numpy may compare a damaged header with a newer format; the file is refused all the same.
        warnings.simplefilter("ignore", UserWarning)
        for cut in range(1, len(good), 7):
            path.write_bytes(good[:cut])
            with pytest.raises(InputError, match=r"damaged|pickle"):
                load(path)
        for at in range(0, len(good), 3):
            bad = bytearray(good)
            bad[at] ^= 0xFF
            path.write_bytes(bytes(bad))
            # Some bytes of a zip file mean nothing to a reader.
            with contextlib.suppress(InputError):
                assert load(path).x.flatten().tolist() == [0, 1, 2, 3]


def test_damaged_npy(tmp_path: Path) -> None:
    path = tmp_path / "set.npy"
    np.save(path, np.arange(100.0))
    good = path.read_bytes()
    for cut in (3, 20, 100, 300):
        path.write_bytes(good[:cut])
        with pytest.raises(InputError, match=r"set\.npy"):
            load(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="empty"):
        load(path)


def test_pickles_are_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    objects = io.BytesIO()
    np.save(objects, np.array([Exploding()], dtype=object), allow_pickle=True)
    bad = {
        "objects.npy": objects.getvalue(),
        "pickle.npy": pickle.dumps(Exploding()),
        "pickle.pt": pickle.dumps(Exploding()),
        "pickle.npz": pickle.dumps(Exploding()),
    }
    for name, content in bad.items():
        Path(name).write_bytes(content)
        with pytest.raises(InputError, match="can run code"):
            load(name)
    np.savez("objects.npz", x=np.array([Exploding()], dtype=object))
    with pytest.raises(InputError, match="can run code"):
        load("objects.npz")
    assert not Path("exploded").exists()


def test_wrong_suffix(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.eye(3))
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    with pytest.raises(InputError, match="rename"):
        load(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", np.eye(3))
    (tmp_path / "b.npy").rename(tmp_path / "b.npz")
    with pytest.raises(InputError, match="rename"):
        load(tmp_path / "b.npz")


def test_sets_of_points_do_not_lose_their_mask(tmp_path: Path) -> None:
    x, mask = np.zeros((4, 3, 2)), np.ones((4, 3), dtype=bool)
    np.savez(tmp_path / "sets.npz", x=x, mask=mask)
    with pytest.raises(InputError, match=r"'mask' .*space=pf\.spaces\.PointCloud\(\)"):
        load(tmp_path / "sets.npz")
    assert load(tmp_path / "sets.npz", key="x").event_shape == (3, 2)
    assert "points" in str(load(tmp_path / "sets.npz", space=pf.spaces.PointCloud()))
