"""Bits-back coding: exact round trips, at the rate that theory gives."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pushforward.compression import Archive, decode, encode
from pushforward.errors import InputError


class Steps:
    """A latent tilts the levels of all pixels; the posterior is read off their mean."""

    def __init__(self, latent: int, size: int, levels: int, tilt: float = 1.0) -> None:
        self.latent, self.size, self.levels, self.tilt = latent, size, levels, tilt

    def posterior(self, levels: Tensor) -> tuple[Tensor, Tensor]:
        mean = (levels.double().mean() - (self.levels - 1) / 2) / self.levels
        return mean.expand(self.latent), torch.full((self.latent,), 0.3, dtype=torch.float64)

    def probabilities(self, z: Tensor) -> Tensor:
        k = torch.arange(self.levels, dtype=torch.float64) / self.levels
        p = torch.softmax(self.tilt * z.double().sum() * k, 0)
        return p.expand(self.size, self.levels)

    def bound(self, states: Tensor, draws: int) -> float:
        """The negative evidence lower bound in bits a state, by Monte Carlo."""
        generator = torch.Generator().manual_seed(0)
        normal = torch.distributions.Normal(0.0, 1.0)
        total = 0.0
        for state in states:
            mean, std = self.posterior(state)
            q = torch.distributions.Normal(mean, std)
            for _ in range(draws):
                z = mean + std * torch.randn(self.latent, generator=generator)
                p = self.probabilities(z.unsqueeze(0))
                cost = -p.log()[torch.arange(self.size), state].sum()
                total += float(cost - normal.log_prob(z).sum() + q.log_prob(z).sum())
        return total / (len(states) * draws * math.log(2))


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 6),
    latent=st.integers(1, 8),
    size=st.integers(1, 12),
    levels=st.integers(2, 40),
    seed=st.integers(0, 1000),
)
def test_the_round_trip_is_exact(n: int, latent: int, size: int, levels: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    states = torch.randint(0, levels, (n, size), generator=generator)
    code = Steps(latent, size, levels)
    assert torch.equal(decode(code, encode(code, states), n), states)


def test_the_rate_is_the_negative_lower_bound() -> None:
    code = Steps(latent=2, size=32, levels=16)
    generator = torch.Generator().manual_seed(0)
    states = torch.randint(0, 16, (400, 32), generator=generator)
    rate = 32 * len(encode(code, states)) / len(states)
    # 400 states share what the first one borrows, of some 20 bits, and the last word.
    assert rate == pytest.approx(code.bound(states, 5), rel=0.005)


def test_another_model_is_noticed() -> None:
    states = torch.randint(0, 16, (20, 32), generator=torch.Generator().manual_seed(0))
    words = encode(Steps(2, 32, 16), states)
    with pytest.raises(InputError, match="does not end as it began"):
        decode(Steps(2, 32, 16, tilt=1.1), words, 20)


def test_a_damaged_file_is_refused() -> None:
    whole = Archive(b"12345678", 3, 5, (), np.arange(9, dtype=np.uint32)).to_bytes()
    assert Archive.from_bytes(whole, "x").count == 3
    for k in range(4, len(whole)):
        damaged = whole[:k] + bytes([whole[k] ^ 1]) + whole[k + 1 :]
        with pytest.raises(InputError, match="damaged"):
            Archive.from_bytes(damaged, "x.pf")
        with pytest.raises(InputError, match="damaged"):
            Archive.from_bytes(whole[:k], "x.pf")
    with pytest.raises(InputError, match="was not written by"):
        Archive.from_bytes(b"GIF89a", "x.gif")
