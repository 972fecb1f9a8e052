"""Systems of a covariance and noise by iteration, also where it is no covariance."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pushforward.inverse.conjugate_gradients import conjugate_gradients
from pushforward.inverse.lanczos import positive_part_solve


def _symmetric(values: Tensor, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    q = torch.linalg.qr(torch.randn(len(values), len(values), generator=g).double())[0]
    return (q * values) @ q.mT


def _right(n: int, rows: int = 3) -> Tensor:
    return torch.randn(rows, n, generator=torch.Generator().manual_seed(1)).double()


@pytest.mark.parametrize("iterations", [1, 3, 6])
def test_of_a_covariance_it_is_conjugate_gradients(iterations: int) -> None:
    s, b = _symmetric(torch.logspace(-1, 2, 9).double()), _right(9)
    found = positive_part_solve(lambda p: p @ s, b, iterations)
    known = conjugate_gradients(lambda p: p @ s + p, b, iterations)
    torch.testing.assert_close(found.x, known.x)
    torch.testing.assert_close(found.residual, known.residual)
    left = (b - found.x - found.x @ s).norm(dim=1) / b.norm(dim=1)
    torch.testing.assert_close(found.residual, left)


def test_what_is_negative_is_left_out() -> None:
    values = torch.tensor([30.0, 3.0, 0.5, 0.0, -0.5, -0.9999999, -1.0, -40.0]).double()
    s, kept, b = _symmetric(values), _symmetric(values.clamp(min=0)), _right(8)
    found = positive_part_solve(lambda p: p @ s, b, 8)
    torch.testing.assert_close(found.x @ kept + found.x, b)
    assert found.residual.max() < 1e-8


@pytest.mark.parametrize("iterations", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("seed", range(5))
def test_it_never_gets_longer_than_what_it_starts_from(iterations: int, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    s, b = _symmetric(1e3 * torch.randn(40, generator=g).double(), seed), _right(40)
    found = positive_part_solve(lambda p: p @ s, b, iterations)
    assert bool((found.x.norm(dim=1) <= b.norm(dim=1) * (1 + 1e-9)).all())


def test_rows_stop_by_themselves() -> None:
    """Where they are solved, lead nowhere new, are zero, or are not finite."""
    scales = torch.tensor([1e-8, 1.0, 2.0, 3.0, 4.0]).double()
    b = torch.stack([torch.ones(5), torch.eye(5)[1], torch.zeros(5), torch.ones(5) / 0.0]).double()
    b[0] = torch.tensor([1.0, 1e-7, 0, 0, 0])
    calls = []

    def apply(p: Tensor) -> Tensor:
        calls.append(len(p))
        return p * scales

    found = positive_part_solve(apply, b[:3], 4, 1e-6)
    assert len(calls) == 1
    torch.testing.assert_close(found.x, b[:3] / (1 + scales))
    assert found.residual.max() < 1e-6
    more = positive_part_solve(apply, torch.cat([b, _right(5)]), 4, 1e-6)
    torch.testing.assert_close(more.x[:3], found.x)
    assert more.x[3].isnan().all()
    assert more.x[4:].isfinite().all()


def test_more_steps_than_directions() -> None:
    s, b = _symmetric(torch.tensor([2.0, 5.0]).double()).float(), _right(2).float()
    found = positive_part_solve(lambda p: p @ s, b, 7)
    torch.testing.assert_close(found.x @ s + found.x, b)
