from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset, Subset, TensorDataset

from pushforward.data import load
from pushforward.errors import InputError


class Items:
    """A map-style data set that is no subclass of anything."""

    def __init__(self, *items: Any) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> Any:
        return self.items[i]


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[int]:
        return iter(range(3))


def test_tensor_datasets() -> None:
    x, c = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(5)
    data = load(TensorDataset(x, c))
    assert torch.equal(data.x, x)
    assert data.c is not None
    assert torch.equal(data.c, c)
    assert (data.kind, data.name) == ("image", "TensorDataset")
    assert load(TensorDataset(x)).c is None
    assert load(TensorDataset(x, c), label=False).c is None
    part = load(Subset(TensorDataset(x, c), [3, 1]))
    assert torch.equal(part.x, x[[3, 1]])


def test_other_items() -> None:
    assert load(Items(1.0, 2.0)).x.tolist() == [[1], [2]]
    assert load(Items([1, 2], [3, 4])).x.tolist() == [[1, 2], [3, 4]]
    assert load(Items((torch.zeros(2), "v"), (torch.ones(2), "u"))).classes == ("u", "v")
    image = Image.fromarray(np.zeros((4, 6, 3), dtype=np.uint8))
    data = load(Items(image, image))
    assert (data.event_shape, data.levels) == ((3, 4, 6), 256)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (Items(), "Items has no rows"),
        (Items(torch.zeros(2), torch.zeros(3)), r"item 1 has shape \(3,\), but item 0 has \(2,\)"),
        (Items((1, 2, 3)), "item 0 has 3 entries"),
        (Items(1.0, {"x": 1.0}), "item 1 is a dict, but the ones before are none"),
        (Items("text"), "item 0 has dtype"),
        (Items((torch.zeros(2), 0), torch.zeros(2)), "item 1 .* do not all have labels"),
        (Items(torch.zeros(2), (torch.zeros(2), 0)), "item 1 .* do not all have labels"),
        (Items((1.0, 0.5), (1.0, 0.7)), "item 0: label 0.5"),
        (Items((1.0, [1, 0]), (1.0, [0, 1])), "argmax"),
        (Items((1.0, [1]), (1.0, [0, 1])), "different shapes"),
        (Items(torch.zeros(2), torch.full((2,), torch.nan)), "item 1, column 0 holds nan"),
        (Stream(), "Stream is a stream .* n=1000 reads"),
        (DataLoader([1.0, 2.0]), "loader.dataset"),
    ],
)
def test_datasets_that_cannot_be_read(dataset: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(dataset)


def test_streams_are_read_from_their_start() -> None:
    assert load(Stream(), n=2).x.tolist() == [[0], [1]]
    assert load(Stream(), n=9).x.tolist() == [[0], [1], [2]]
    with pytest.raises(InputError, match=r"^n .* 0"):
        load(Stream(), n=0)
    with pytest.raises(InputError, match="n=2 means nothing"):
        load(Items(1.0, 2.0), n=2)


def test_labels_are_in_the_items() -> None:
    with pytest.raises(InputError, match="second entry of its items"):
        load(Items(1.0, 2.0), label=[0, 1])


def test_errors_of_the_dataset_are_its_own() -> None:
    class Broken(Items):
        def __getitem__(self, i: int) -> Any:
            raise KeyError("theirs")

    with pytest.raises(KeyError, match="theirs"):
        load(Broken(1, 2))
