from __future__ import annotations

import hashlib
import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pushforward.data import Data, Schema
from pushforward.errors import InputError


def numbered(n: int, labels: bool = False) -> Data:
    x = torch.arange(float(n))[:, None]
    return Data(x, torch.arange(n) % 3 if labels else None, name="numbers")


@given(n=st.integers(2, 200), holdout=st.floats(0.001, 0.999), seed=st.integers(0, 2**40))
def test_split_covers_each_row_exactly_once(n: int, holdout: float, seed: int) -> None:
    data = numbered(n, labels=True)
    train, test = data.split(holdout, seed)
    both = torch.cat([train.x, test.x]).flatten().sort().values
    assert torch.equal(both, data.x.flatten())
    assert len(test) == min(max(round(holdout * n), 1), n - 1)
    for part in (train, test):
        assert part.c is not None
        assert torch.equal(part.c, part.x.flatten().long() % 3)
        assert part.classes == data.classes


def test_split_is_a_function_of_the_seed() -> None:
    data = numbered(100)
    first, again, other = (data.split(0.3, seed)[1] for seed in (1, 1, 2))
    assert first.fingerprint == again.fingerprint
    assert first.fingerprint != other.fingerprint


def test_split_draws_rows_uniformly() -> None:
    data = numbered(20)
    drawn = torch.cat([data.split(0.25, seed)[1].x for seed in range(800)]).long().flatten()
    counts = torch.bincount(drawn, minlength=20)
    # 800 splits hold out 5 of 20: each row is out 200 times, with variance 800 / 4 * 3 / 4.
    assert (counts - 200).abs().max() < 4.5 * 150**0.5


@pytest.mark.parametrize("holdout", [0, 1, -0.1, 2, float("nan")])
def test_split_refuses_other_fractions(holdout: float) -> None:
    with pytest.raises(InputError, match="fraction"):
        numbered(4).split(holdout)


def test_split_refuses_one_row() -> None:
    with pytest.raises(InputError, match="one row"):
        numbered(1).split(0.5)


def test_fingerprint_is_the_documented_digest() -> None:
    data = Data(torch.tensor([[1.0, 2.0]]), torch.tensor([0]))
    assert data.x is not None
    assert data.c is not None
    digest = hashlib.sha256(b"x torch.float32 (1, 2);" + data.x.numpy().tobytes())
    digest.update(b"c torch.int64 (1,);" + data.c.numpy().tobytes())
    assert data.fingerprint == digest.hexdigest()


def test_fingerprint_changes_with_one_bit_shape_and_labels() -> None:
    x = torch.ones(4, 6)
    flipped = x.clone()
    flipped.view(torch.int32)[3, 5] ^= 1
    c = torch.zeros(4, dtype=torch.int64)
    other = c.clone()
    other[2] = 1
    prints = [
        Data(x),
        Data(flipped),
        Data(x.reshape(6, 4)),
        Data(x.reshape(4, 2, 3)),
        Data(x, c),
        Data(x, other),
    ]
    assert len({data.fingerprint for data in prints}) == len(prints)


def test_fingerprint_ignores_names_and_strides() -> None:
    x = torch.arange(6.0).reshape(2, 3)
    transposed = x.t().contiguous().t()
    assert not transposed.is_contiguous()
    assert Data(x, name="a").fingerprint == Data(transposed, name="b").fingerprint


def test_classes_survive_taking_rows() -> None:
    part = numbered(9, labels=True).take(torch.tensor([0, 3]))
    assert part.num_classes == 3
    assert part.c is not None
    assert part.c.tolist() == [0, 0]


def test_describe_is_plain() -> None:
    data = Data(
        torch.zeros(5, 1, 2, 2),
        torch.tensor([0, 1, 0, 1, 1]),
        kind="image",
        levels=17,
        value_range=(0.0, 16.0),
        schema=Schema(label="kind", classes=("ant", "bee")),
    )
    said = data.describe()
    assert json.loads(json.dumps(said)) == said
    assert said["n"] == 5
    assert said["event_shape"] == [1, 2, 2]
    assert said["labels"] == 2
    assert said["schema"] == {"label": "kind", "classes": ["ant", "bee"]}
    assert said["fingerprint"] == data.fingerprint
    assert str(data) == "data: 5 images of 1 x 2 x 2, 17 levels on 0..16, 2 classes"


def test_codes_without_values_are_their_own() -> None:
    assert numbered(6, labels=True).classes == (0, 1, 2)
    assert numbered(6).describe()["labels"] is None
    assert numbered(6).describe()["schema"] is None
    assert numbered(6).num_classes is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": torch.zeros(3)}, r"\(N, \*event\)"),
        ({"x": torch.zeros(3, 1, dtype=torch.float16)}, "float16"),
        ({"x": [[1.0]]}, "list"),
        ({"x": torch.zeros(0, 2)}, "no numbers"),
        ({"x": torch.zeros(2, 0)}, "no numbers"),
        ({"kind": "sound"}, "'sound'"),
        ({"kind": "image"}, r"\(N, C, H, W\)"),
        ({"levels": 4}, "value_range"),
        ({"levels": 1, "value_range": (0.0, 1.0)}, "levels=1"),
        ({"value_range": (1.0, 1.0)}, "low < high"),
        ({"schema": Schema.of("a")}, "1 column names"),
        ({"schema": Schema(classes=("a",))}, "without labels"),
        ({"c": torch.zeros(3)}, "int64"),
        ({"c": torch.zeros(2, dtype=torch.int64)}, r"\(3,\)"),
        ({"c": torch.tensor([0, -1, 1])}, "-1 to 1"),
        ({"c": torch.tensor([0, 1, 2]), "schema": Schema(classes=("a", "b"))}, "0 to 2"),
        ({"c": torch.tensor([0, 3, 1])}, r"run to 3, but none is 2.*load\(x, label=c\)"),
    ],
)
def test_fields_that_do_not_fit(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Data(**{"x": torch.zeros(3, 2), **arguments})


def test_data_is_frozen() -> None:
    with pytest.raises(AttributeError):
        numbered(3).name = "other"  # type: ignore[misc]
