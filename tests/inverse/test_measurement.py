"""Measurements in the units of a model."""

from __future__ import annotations

import pytest
import torch

from pushforward.errors import CapabilityError, InputError
from pushforward.inverse import (
    Differentiable,
    Downsample,
    ExactConstraint,
    GaussianNoise,
    LaplaceNoise,
    Matrix,
    Measurement,
    compose,
)
from pushforward.spaces import Standardize


def _random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_measurement_of_a_model_acts_in_data_units() -> None:
    x = 5 + 3 * _random(50, 4)
    x[:, 2] = 7.0  # A constant has the scale 0: whatever the model says, it is 7.
    units = Standardize((4,)).double()
    units.fit(x)
    matrix = _random(2, 4, seed=1)
    found = Measurement.of(torch.zeros(2), Matrix(matrix), GaussianNoise(0.5), (4,), units)
    z = _random(6, 4, seed=2)
    torch.testing.assert_close(found.clean(z), units(z) @ matrix.mT)
    torch.testing.assert_close(found.residual(z), -units(z) @ matrix.mT)
    u = _random(6, 2, seed=3)
    torch.testing.assert_close((found.tangent(z) * u).sum(), (z * found.adjoint(u)).sum())
    wanted = GaussianNoise(0.5).log_prob(torch.zeros(6, 2), units(z) @ matrix.mT)
    torch.testing.assert_close(found.log_likelihood(z), wanted)


def test_pictures_have_the_units_of_their_channels() -> None:
    x = 100 + 20 * _random(50, 3, 4, 4)
    units = Standardize((3, 4, 4)).double()
    units.fit(x)
    found = Measurement.of(
        torch.zeros(3, 2, 2), Downsample(2), GaussianNoise(1.0), (3, 4, 4), units
    )
    z = _random(2, 3, 4, 4, seed=1)
    torch.testing.assert_close(found.clean(z), Downsample(2)(units(z)))


def test_one_measurement_for_all_rows_or_one_for_each() -> None:
    operator, noise = Matrix(torch.ones(1, 2)), GaussianNoise(1.0)
    one = Measurement(torch.ones(1), operator, noise, (2,))
    each = Measurement(torch.tensor([[1.0], [2.0]]), operator, noise, (2,))
    assert not one.batched
    assert each.batched
    z = torch.zeros(2, 2)
    assert one.residual(z).tolist() == [[1.0], [1.0]]
    assert each.take(slice(1, 2)).residual(z[1:]).tolist() == [[2.0]]
    assert one.take(slice(1, 2)).residual(z[1:]).tolist() == [[1.0]]


def test_what_does_not_fit_is_refused() -> None:
    operator = Matrix(torch.ones(1, 2))
    with pytest.raises(InputError, match=r"makes measurements of shape \(1,\)"):
        Measurement(torch.ones(3), operator, GaussianNoise(1.0), (2,))
    with pytest.raises(InputError, match="finite numbers"):
        Measurement(torch.tensor([torch.nan]), operator, GaussianNoise(1.0), (2,))
    for noise in (LaplaceNoise(1.0), ExactConstraint()):
        with pytest.raises(CapabilityError, match="needs Gaussian noise"):
            Measurement(torch.ones(1), operator, noise, (2,)).variance()
    bent = Measurement(torch.ones(2), Differentiable(torch.sin), GaussianNoise(1.0), (2,))
    with pytest.raises(CapabilityError, match="needs a linear operator"):
        bent.linear()


@pytest.mark.parametrize("composed", [False, True])
def test_functions_are_only_shown_states_like_those_of_the_data(composed: bool) -> None:
    """In their precision, and where a logarithm and a quotient are numbers; and once."""
    matrix, seen = _random(2, 3), []

    def function(x: torch.Tensor) -> torch.Tensor:
        seen.append(len(x))
        if not bool((x > 0).all()):
            raise ValueError("the logarithm of a negative number")
        return x.log() @ matrix.mT / x[:, :1]

    operator = Differentiable(function)
    if composed:
        operator = compose(operator, Differentiable(lambda x: 2 * x))
    shift = torch.tensor([3.0, 5.0, 4.0], dtype=torch.float64)
    found = Measurement(torch.ones(4, 2).double(), operator, GaussianNoise(1.0), (3,), shift, 0.1)
    assert found.observed_shape == (2,)
    assert found.batched
    assert len(seen) == 1
    assert found.clean(torch.zeros(1, 3).double()).shape == (1, 2)
    # By itself it is shown ones.
    assert Differentiable(lambda x: (1 / x.log1p()).reshape(len(x), -1)).observed_shape((2, 2)) == (
        4,
    )
