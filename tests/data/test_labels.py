from __future__ import annotations

import numpy as np
import pytest
import torch

from pushforward.data.labels import encode
from pushforward.errors import InputError


@pytest.mark.parametrize(
    ("labels", "codes", "classes"),
    [
        (np.array([2, 0, 1]), [2, 0, 1], (0, 1, 2)),
        (np.array([3, 1], dtype=np.uint8), [1, 0], (1, 3)),
        (np.array([2021, 2019, 2021]), [1, 0, 1], (2019, 2021)),
        (np.array([90210, 10115]), [1, 0], (10115, 90210)),
        (np.array(["01234", "10115"]), [0, 1], ("01234", "10115")),
        (np.array([1.0, 0.0]), [1, 0], (0.0, 1.0)),
        (np.array(["1", "0", "10"]), [1, 0, 2], (0, 1, 10)),
        (np.array(["1.0", "0"]), [1, 0], (0.0, 1.0)),
        (np.array([-1, 1, -1]), [0, 1, 0], (-1, 1)),
        (np.array([True, False]), [1, 0], (False, True)),
        (np.array(["True", "False"]), [1, 0], (False, True)),
        (np.array(["b ", "a", "b"]), [1, 0, 1], ("a", "b")),
        (np.array(["1", "b"]), [0, 1], ("1", "b")),
        (np.array(["1_0", "1_1"]), [0, 1], ("1_0", "1_1")),
        (np.array(["nan", "x"]), [0, 1], ("nan", "x")),
        (np.array([b"b", b"a"]), [1, 0], ("a", "b")),
        (np.array([[1], [0]]), [1, 0], (0, 1)),
        (np.array(["v", "u"], dtype=object), [1, 0], ("u", "v")),
        (np.array([2, 1], dtype=object), [1, 0], (1, 2)),
        (np.array([True, False], dtype=object), [1, 0], (False, True)),
    ],
)
def test_codes_and_names(labels: np.ndarray, codes: list[int], classes: tuple) -> None:
    c, names = encode(labels, "file", str)
    assert c.dtype == torch.int64
    assert c.tolist() == codes
    assert names == classes
    assert [type(name) for name in names] == [type(value) for value in classes]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0.0, 0.5]), r"file, line 1: label 0.5"),
        (np.array([0.0, np.nan]), "line 1: label nan"),
        (np.array(["a", " "]), "line 1: the label is missing"),
        (np.array(["a", None], dtype=object), "line 1: the label is missing"),
        (np.array(["a", np.nan], dtype=object), "line 1: the label is missing"),
        (np.eye(3), "argmax"),
        (np.arange(10_001), "10001 different labels"),
        (np.array([f"id{i}" for i in range(10_001)]), "10001 different labels"),
        (np.array([1j]), "complex"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), "datetime64"),
    ],
)
def test_labels_that_name_no_class(labels: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        encode(labels, "file", lambda i: f"line {i}")
