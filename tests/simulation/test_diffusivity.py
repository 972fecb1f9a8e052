"""The constant noise of an SDE: its products, its noise, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.errors import CapabilityError, InputError
from pushforward.simulation import Diffusivity

MATRIX = torch.tensor([[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
CASES = {
    "isotropic": (0.7, 0.7 * torch.eye(3, dtype=torch.float64), 3),
    "diagonal": (torch.tensor([1.0, 2.0, 3.0]), torch.diag(torch.tensor([1.0, 2, 3])), 3),
    "degenerate": (torch.tensor([0.0, 2.0, 0.0]), torch.diag(torch.tensor([0.0, 2, 0])), 1),
    "matrix": (MATRIX + torch.eye(3), MATRIX + torch.eye(3), 3),
    "singular": (MATRIX, MATRIX, 2),
}


@pytest.mark.parametrize("name", CASES)
def test_products_are_those_of_the_matrix(name: str) -> None:
    value, matrix, rank = CASES[name]
    noise, matrix = Diffusivity(value, (3,)), matrix.double()
    x = torch.randn(20_000, 3, dtype=torch.float64, generator=resolve(seed=0))
    assert (noise.rank, noise.full) == (rank, rank == 3)
    assert noise.trace == pytest.approx(float(matrix.trace()))
    torch.testing.assert_close(noise.flux(x), x @ matrix)
    drawn = noise.noise(x, resolve(seed=1))
    torch.testing.assert_close(drawn.T @ drawn / len(x), 2 * matrix, atol=0.12, rtol=0)
    if noise.full:
        torch.testing.assert_close(noise.inverse(x), x @ torch.linalg.inv(matrix))
    else:
        with pytest.raises(CapabilityError, match=f"noise in {rank} of 3 directions"):
            noise.inverse(x)


def test_states_of_any_shape_are_vectors() -> None:
    value = torch.rand(2, 3, dtype=torch.float64, generator=resolve(seed=0))
    x = torch.randn(5, 2, 3, dtype=torch.float64, generator=resolve(seed=1))
    torch.testing.assert_close(Diffusivity(value, (2, 3)).flux(x), value * x)
    whole = torch.diag(value.flatten())
    torch.testing.assert_close(Diffusivity(whole, (2, 3)).flux(x), value * x)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0, "zero"),
        (-1.0, "negative"),
        (float("nan"), "finite"),
        (torch.ones(2), "of shape"),
        (torch.tensor([[1.0, 0.3, 0], [0, 1, 0], [0, 0, 1]]), "symmetric"),
        (torch.diag(torch.tensor([1.0, 1.0, -1.0])), "semidefinite"),
    ],
)
def test_what_is_no_diffusion_is_refused(value: float | Tensor, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Diffusivity(value, (3,))
