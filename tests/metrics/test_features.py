"""The classifier of real pictures: how often it is right, what it keeps, what its features see."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import safetensors.torch
import torch

from pushforward.data import Data, load
from pushforward.errors import InputError
from pushforward.metrics import (
    FeatureClassifier,
    class_accuracy,
    frechet_distance,
    frechet_infinity,
    train_features,
)


@pytest.fixture(scope="module")
def parts() -> tuple[Data, Data]:
    return load("digits").split(0.3, seed=0)


@pytest.fixture(scope="module")
def judge(parts: tuple[Data, Data]) -> FeatureClassifier:
    train, _ = parts
    assert train.c is not None
    return train_features(train.x, train.c, steps=150, batch_size=64)


def pictures(n: int, *event: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, *event, generator=torch.Generator().manual_seed(seed))


def test_digits_it_has_not_seen(judge: FeatureClassifier, parts: tuple[Data, Data]) -> None:
    _, test = parts
    assert test.c is not None
    accuracy = judge.accuracy(test.x, test.c)
    assert accuracy.value > 0.95
    assert 0 < accuracy.stderr < 0.01
    assert accuracy.value == float((judge.predict(test.x) == test.c).double().mean())
    classes = class_accuracy(judge, test.x, test.c)
    assert min(estimate.value for estimate in classes) > 0.8
    assert [estimate.n for estimate in classes] == torch.bincount(test.c).tolist()
    mean = sum(estimate.n * estimate.value for estimate in classes) / len(test)
    assert mean == pytest.approx(accuracy.value)


def test_wrong_labels_are_caught(judge: FeatureClassifier, parts: tuple[Data, Data]) -> None:
    _, test = parts
    assert test.c is not None
    assert judge.accuracy(test.x, (test.c + 1) % 10).value < 0.05
    # Conditional samples of which class 3 alone was drawn as something else.
    swapped = torch.where(test.c == 3, 4, test.c)
    accuracy = class_accuracy(judge, test.x, swapped)
    assert math.isnan(accuracy[3].value)
    assert accuracy[3].n == 0
    assert accuracy[4].value < 0.6
    assert accuracy[5].value > 0.8


def test_features_see_what_is_wrong(judge: FeatureClassifier, parts: tuple[Data, Data]) -> None:
    train, test = parts
    assert train.c is not None
    real = judge.features(test.x)
    assert real.shape == (len(test), 64)
    assert real.dtype == torch.float32
    assert not real.requires_grad
    floor = frechet_distance(judge.features(train.x[: len(test)]), real).value
    generator = torch.Generator().manual_seed(0)
    noise = 4 * torch.randn(test.x.shape, generator=generator)
    noisy = judge.features(train.x[: len(test)] + noise)
    few = judge.features(train.x[train.c < 5][: len(test)])
    for bad in (noisy, few):
        estimate = frechet_distance(bad, real)
        assert estimate.value > 2 * floor
        assert estimate.value - floor > 3 * estimate.stderr


def test_the_floor_of_real_halves(judge: FeatureClassifier, parts: tuple[Data, Data]) -> None:
    x, sizes = judge.features(parts[0].x), (150, 300, 600)
    floors, limits = torch.zeros(len(sizes)), []
    for seed in range(8):
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
        for k, n in enumerate(sizes):
            floors[k] += frechet_distance(x[order[:n]], x[order[-n:]]).value / 8
        limits.append(frechet_infinity(x[order[:600]], x[order[-600:]]))
    # Like 1 / n: each floor is about half of the one before.
    assert floors[0] > 1.5 * floors[1] > 1.5**2 * floors[2]
    mean = sum(limit.value for limit in limits) / 8
    # The halves overlap from draw to draw, so that their errors do not average out.
    assert abs(mean) < max(limit.stderr for limit in limits)
    assert abs(mean) < float(floors[2]) / 2


def test_the_same_seed_trains_the_same_classifier() -> None:
    x, labels = pictures(60, 1, 8, 8), torch.arange(60) % 3
    before = torch.get_rng_state()
    first, again, other = (
        train_features(x, labels, steps=5, batch_size=16, seed=seed) for seed in (4, 4, 5)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.features(x), again.features(x))
    assert not torch.equal(first.features(x), other.features(x))


def test_units_do_not_matter() -> None:
    x, labels = pictures(60, 2, 9, 11), torch.arange(60) % 3
    first = train_features(x, labels, steps=5, batch_size=16)
    scaled = train_features(100 * x - 7, labels, steps=5, batch_size=16)
    assert torch.allclose(first.features(x), scaled.features(100 * x - 7), atol=1e-3)


def test_many_pictures_are_judged_in_parts(judge: FeatureClassifier) -> None:
    x = 16 * pictures(2100, 1, 8, 8)
    apart = torch.cat([judge.features(x[:700]), judge.features(x[700:])])
    assert torch.allclose(judge.features(x), apart, atol=1e-5)
    # Left in training mode by someone, it would judge by the batch.
    judge.train()
    assert torch.allclose(judge.features(x), apart, atol=1e-5)
    assert torch.equal(judge.features(x.double()), judge.features(x))


def test_classes_and_width_on_demand() -> None:
    x, labels = pictures(20, 3, 16, 16), torch.arange(20) % 2
    made = train_features(x, labels, classes=5, width=7, steps=1)
    assert made.features(x).shape == (20, 7)
    assert len(class_accuracy(made, x, labels)) == 5


def test_saved_and_loaded(judge: FeatureClassifier, tmp_path: Path) -> None:
    path = judge.save(tmp_path / "new" / "judge.safetensors")
    assert [file.name for file in path.parent.iterdir()] == ["judge.safetensors"]
    before = torch.get_rng_state()
    again = FeatureClassifier.load(path)
    assert torch.equal(torch.get_rng_state(), before)
    x = 16 * pictures(50, 1, 8, 8)
    assert torch.equal(again.features(x), judge.features(x))
    assert torch.equal(again.predict(x), judge.predict(x))
    with pytest.raises(InputError, match=r"saved as NAME\.safetensors, not 'judge\.pt'"):
        judge.save(tmp_path / "judge.pt")


def test_files_that_hold_no_classifier(judge: FeatureClassifier, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with pytest.raises(InputError, match="there is no file"):
        FeatureClassifier.load(path)
    path.write_bytes(b"not safe")
    with pytest.raises(InputError, match="holds no feature classifier"):
        FeatureClassifier.load(path)
    whole = judge.save(tmp_path / "whole.safetensors").read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(InputError, match="holds no feature classifier"):
        FeatureClassifier.load(path)
    good = {"format": 1, "event_shape": [1, 8, 8], "classes": 10, "width": 64}
    for described, message in (
        (None, "KeyError: 'feature_classifier'"),
        ([], "TypeError"),
        (good | {"event_shape": 8}, "TypeError"),
        (good | {"event_shape": [1, 8]}, r"pictures have shape \(C, H, W\)"),
        (good | {"width": 32}, "size mismatch"),
        (good | {"format": 2}, "layout 2, this version reads up to 1"),
    ):
        metadata = None if described is None else {"feature_classifier": json.dumps(described)}
        safetensors.torch.save_file(judge.state_dict(), path, metadata)
        with pytest.raises(InputError, match=message):
            FeatureClassifier.load(path)


@pytest.mark.parametrize(
    ("x", "labels", "options", "message"),
    [
        (torch.zeros(4, 64), torch.arange(4), {}, r"at least 8 x 8 pixels, not \(64,\)"),
        (torch.zeros(4, 1, 8, 7), torch.arange(4), {}, r"not \(1, 8, 7\)"),
        (torch.zeros(4, 1, 8, 8), [0, 1, 2, 3], {}, r"int64 tensor of shape \(4,\), not list"),
        (torch.zeros(4, 1, 8, 8), torch.arange(3), {}, r"shape \(4,\), not torch.int64 \(3,\)"),
        (torch.zeros(4, 1, 8, 8), torch.arange(4.0), {}, r"not torch\.float32 \(4,\)"),
        (torch.zeros(4, 1, 8, 8), torch.arange(4) - 1, {}, "labels run from -1 to 2"),
        (torch.zeros(4, 1, 8, 8), torch.arange(4), {"classes": 3}, "from 0 to 3; .* from 0 to 2"),
        (torch.zeros(4, 1, 8, 8), torch.ones(4).long(), {}, "every label is 1"),
        (torch.zeros(4, 1, 8, 8), torch.arange(4), {"steps": 0}, "steps=0"),
        (torch.zeros(4, 1, 8, 8), torch.arange(4), {"batch_size": 1}, "batch_size=1"),
        (torch.zeros(4, 1, 8, 8), torch.arange(4), {"width": 0}, "width=0"),
        (torch.zeros(4, 1, 8, 8) / 0, torch.arange(4), {}, "4 of 4 rows of x hold NaN"),
        (torch.zeros(1, 1, 8, 8), torch.arange(1), {}, "x has 1 points"),
    ],
)
def test_what_cannot_be_trained_on(x, labels, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        train_features(x, labels, **options)


def test_what_cannot_be_judged(judge: FeatureClassifier) -> None:
    with pytest.raises(InputError, match=r"shape \(1, 9, 9\), .* made for \(1, 8, 8\)"):
        judge.features(torch.zeros(3, 1, 9, 9))
    with pytest.raises(InputError, match="1 of 3 rows of x hold NaN"):
        judge.predict(torch.tensor([0.0, 0, torch.nan])[:, None, None, None].expand(3, 1, 8, 8))
    with pytest.raises(InputError, match="labels run from 0 to 10; they number classes from 0 to"):
        judge.accuracy(torch.zeros(2, 1, 8, 8), torch.tensor([0, 10]))
