"""Pools of chains are resampled when their weights become uneven, each by itself."""

from __future__ import annotations

import torch

from pushforward.mcmc import PooledResampling

SIZE = 64


def _logs() -> torch.Tensor:
    """Even weights, uneven ones, and one chain that stands for all."""
    uneven = torch.arange(SIZE) / 12
    one = torch.zeros(SIZE)
    one[3] = 50.0
    return torch.cat([torch.zeros(SIZE), uneven, one])


def test_only_uneven_pools_are_resampled() -> None:
    pools, logs = PooledResampling(SIZE, [1, 2, 3]), _logs()
    picks = pools(logs)
    assert picks is not None
    assert picks[:SIZE].tolist() == list(range(SIZE))
    assert set(picks[SIZE : 2 * SIZE].tolist()) < set(range(SIZE, 2 * SIZE))
    assert picks[2 * SIZE :].tolist() == list(range(2 * SIZE, 3 * SIZE))
    assert not logs[: 2 * SIZE].any()
    assert pools.lost == [False, False, True]
    assert pools.ess[2] < 2
    assert PooledResampling(SIZE, [1])(torch.zeros(SIZE)) is None


def test_a_pool_knows_nothing_of_the_others() -> None:
    whole = PooledResampling(SIZE, [1, 2, 3])(_logs())
    alone = PooledResampling(SIZE, [2])(_logs()[SIZE : 2 * SIZE])
    assert whole is not None
    assert alone is not None
    assert torch.equal(whole[SIZE : 2 * SIZE] - SIZE, alone)


def test_errors_of_many_turns_add_up() -> None:
    pools = PooledResampling(SIZE, [0])
    turns = 0
    while not pools.lost[0]:
        pools(torch.arange(SIZE) / 12)
        turns += 1
    assert 2 < turns < 30
