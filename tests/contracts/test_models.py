"""One contract for every model: awkward data is survived, or refused in words."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import pytest
import torch
from tests.families import OF_NUMBERS
from torch import Tensor

import pushforward as pf
from pushforward.cli.recipe import read
from pushforward.data import Data
from pushforward.errors import CapabilityError, InputError

few_steps = pytest.mark.filterwarnings("ignore:.*Langevin steps at each of")
"""A few steps show a contract; that they are too few for a distribution is said, and tested where
distributions are."""

NAMES = OF_NUMBERS

SMALL: dict[str, dict[str, Any]] = {
    "diffusion": {"net": {"class": "mlp", "width": 8}},
    "vae": {"width": 8, "depth": 1},
    "flow": {"width": 8, "layers": 2},
    "gan": {"width": 8, "depth": 1},
}
"""What makes the networks of a model tiny."""

FEW: dict[str, dict[str, Any]] = {"energy": {"steps": 10}, "score": {"steps": 10}}
"""What makes drawing short, for the models whose default takes long."""


def _rows(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


CONSTANT = torch.cat([_rows(30, 1), torch.full((30, 1), 5.0)], 1)
TWICE = _rows(10, 2).repeat(3, 1)

CASES: dict[str, tuple[Tensor, int]] = {
    "a constant feature": (CONSTANT, 8),
    "only constants": (torch.ones(30, 2), 8),
    "duplicated rows": (TWICE, 8),
    "one dimension": (_rows(30, 1), 8),
    "double precision": (_rows(30, 2).double(), 8),
    "a batch of one": (_rows(30, 2), 1),
    "two points": (torch.tensor([[0.0, 1.0], [1.0, 3.0]]), 2),
    "far from zero": (1e4 + 1e-2 * _rows(30, 2), 8),
}
"""Data, and the size of a batch."""


def _made(name: str, data: Data) -> Any:
    """The model that the command line would make, tiny."""
    recipe = read(None, {"data": "given", "model": {"class": name, **SMALL.get(name, {})}})
    return recipe.prepare(data=data).model


def _fitted(name: str, x: Tensor, batch: int, **settings: Any) -> Any:
    torch.manual_seed(0)
    model = _made(name, Data(x.float()))
    source = inspect.signature(model.loss).parameters.get("source")
    if source is not None and source.default is inspect.Parameter.empty:
        settings["source"] = _rows(30, x.shape[1], 7)
    pf.fit(model, x, steps=3, batch_size=batch, holdout=0.0, progress=False, **settings)
    return model


@few_steps
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", NAMES)
def test_awkward_data_is_survived(name: str, case: str) -> None:
    """Trained for a few steps, a model draws numbers, and has densities if it says so."""
    x, batch = CASES[case]
    model = _fitted(name, x, batch)
    drawn = model.sample(4, seed=0, **FEW.get(name, {}))
    assert drawn.shape == (4, *x.shape[1:])
    assert drawn.dtype == torch.float32
    assert drawn.isfinite().all()
    assert model.sample(1, seed=0, **FEW.get(name, {})).shape == (1, *x.shape[1:])
    if model.capabilities.log_prob == "none":
        with pytest.raises(CapabilityError):
            model.log_prob(x[:1])
        return
    if name == "energy":
        with warnings.catch_warnings():
            # From few chains, whose constant is too uncertain, as is said.
            warnings.simplefilter("ignore")
            model.estimate_log_z(32, 10, seed=0)
    found = model.log_prob(x[:1])
    assert found.value.isfinite().all()
    assert found.stderr.shape == found.value.shape == (1,)


@few_steps
@pytest.mark.parametrize("name", NAMES)
def test_expectations_are_means_of_samples(name: str) -> None:
    model = _fitted(name, _rows(30, 2), 8)
    options = FEW.get(name, {})
    found = model.expect(lambda x: x, 12, seed=0, **options)
    torch.testing.assert_close(found.value.float(), model.sample(12, seed=0, **options).mean(0))
    assert found.stderr.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_one_data_point_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"(one|two) data points?"):
        _fitted(name, torch.ones(1, 2), 1)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_number_is_refused(name: str) -> None:
    x = _rows(30, 2)
    x[3, 1] = torch.nan
    with pytest.raises(InputError, match=r"finite|NaN"):
        _fitted(name, x, 8)


@few_steps
@pytest.mark.parametrize("name", NAMES)
def test_a_model_in_double_precision_stays_there(name: str) -> None:
    model = _fitted(name, _rows(30, 2).double(), 8).double()
    assert model.sample(2, seed=0, **FEW.get(name, {})).dtype == torch.float64


@pytest.mark.parametrize("name", [name for name in NAMES if name != "energy"])  # takes long
def test_warnings_are_sentences(name: str) -> None:
    x = torch.ones(30, 2)
    for text in _fitted(name, x, 8).warnings(x):
        assert text[0].isupper() or text[0].isdigit()
        assert text.endswith(".")


@few_steps
@pytest.mark.parametrize("name", NAMES)
def test_the_noise_of_a_state_belongs_to_its_row(name: str) -> None:
    """A state is the same among more others, in other batches and in another process."""
    model = _fitted(name, _rows(30, 2), 8).double()
    more = FEW.get(name, {})
    x = model.sample(6, seed=0, **more)
    for other in (
        model.sample(9, seed=0, **more)[:6],
        model.sample(6, seed=0, batch_size=4, **more),
        torch.cat([model.sample(6, seed=0, rows=part, **more) for part in (slice(5), slice(5, 6))]),
    ):
        torch.testing.assert_close(other, x)
