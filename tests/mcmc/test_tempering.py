"""Parallel tempering: exchanges in balance, and modes in proportion."""

from __future__ import annotations

import pytest
import torch

from pushforward import mcmc
from pushforward.distributions import GaussianMixture, Normal
from pushforward.errors import InputError

DOUBLE = torch.float64


def _seed() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_exchanges_are_in_detailed_balance() -> None:
    """On a grid: `p_i(x) p_j(y) a(x, y) = p_i(y) p_j(x) a(y, x)` for all pairs of five states."""
    generator = torch.Generator().manual_seed(0)
    logs = torch.randn(2, 5, generator=generator, dtype=DOUBLE)
    betas = torch.tensor([0.2, 0.7], dtype=DOUBLE)
    law = torch.lerp(logs[:1], logs[1:], betas[:, None]).softmax(1)
    i, j = (
        part.flatten() for part in torch.meshgrid(torch.arange(5), torch.arange(5), indexing="ij")
    )
    difference = (logs[1] - logs[0])[torch.stack([i, j])]
    _, chance = mcmc.exchanged(difference, betas, False, generator)
    flow = (law[0, i] * law[1, j] * chance[0]).view(5, 5)
    assert torch.allclose(flow, flow.mT)
    assert float(chance.min()) < 0.9


def test_pairs_take_turns() -> None:
    difference = torch.tensor([[9.0], [0.0], [9.0], [0.0]])
    betas = torch.tensor([0.0, 0.3, 0.6, 1.0])
    assert mcmc.exchanged(1e3 * difference, betas, False, _seed())[0][:, 0].tolist() == [1, 0, 3, 2]
    found, chance = mcmc.exchanged(1e3 * difference, betas, True, _seed())
    assert found[:, 0].tolist() == [0, 1, 2, 3]
    assert chance.tolist() == [[0.0]]


@pytest.fixture(scope="module")
def unequal():
    means = torch.tensor([[-9.0, 0.0], [9.0, 0.0]], dtype=DOUBLE)
    return GaussianMixture(means, 1.0, torch.tensor([0.2, 0.8], dtype=DOUBLE))


def test_modes_come_in_proportion(unequal) -> None:
    base = Normal((2,), 8.0, dtype=DOUBLE)
    found = mcmc.parallel_tempering(unequal.log_prob, base, 24, 300, betas=6, warmup=200, seed=0)
    right = (found.x[..., :1] > 0).double()
    error = right.flatten(0, 1).std(0) / mcmc.effective_sample_size(right).sqrt()
    assert abs(float(right.mean()) - 0.8) < 4 * float(error)
    assert float(error) < 0.03
    assert found.restarts > 500
    assert found.warnings() == []
    # Temperatures were placed: exchanges are refused alike often.
    assert float(found.refused.max() - found.refused.min()) < 0.3
    near = (found.x - 9 * found.x[..., :1].sign() * torch.tensor([1.0, 0.0])).flatten(0, 1)
    assert torch.allclose(near.std(0), torch.ones(2, dtype=DOUBLE), atol=0.1)


def test_too_few_temperatures_are_told(unequal) -> None:
    base = Normal((2,), 300.0, dtype=DOUBLE)
    found = mcmc.parallel_tempering(
        unequal.log_prob, base, 8, 30, betas=(0.0, 1.0), warmup=20, seed=0
    )
    words = " ".join(found.warnings())
    assert "exchanges between neighbors are refused" in words
    assert "states came from the base" in words


def test_ladders_that_are_none_are_refused(unequal) -> None:
    with pytest.raises(InputError, match="increase from 0 to 1"):
        mcmc.parallel_tempering(unequal.log_prob, Normal((2,)), 4, 5, betas=(0.1, 1.0))
