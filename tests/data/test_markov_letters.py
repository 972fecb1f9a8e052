"""The chain of letters has the law that is written down."""

from __future__ import annotations

import math

import torch

from pushforward import data
from pushforward.data.markov_letters import LENGTH, entropy_bits, log_prob, transitions


def test_the_chain_is_stationary_and_its_entropy_is_exact():
    start, chances = transitions()
    torch.testing.assert_close(chances.sum(1), torch.ones(27).double())
    torch.testing.assert_close(start @ chances, start, rtol=0, atol=1e-12)
    per_letter, rate = entropy_bits(2)
    pairs = start[:, None] * chances
    assert abs(-float((pairs * pairs.log2()).sum()) / 2 - per_letter) < 1e-12
    assert 2 < rate < 4


def test_draws_have_the_frequencies_of_the_chain():
    found = data.load("markov-letters", n=20_000, seed=1)
    assert found.x.shape == (20_000, LENGTH)
    assert found.schema.alphabet.size == 27
    bits = -log_prob(found.x) / math.log(2) / LENGTH
    assert abs(float(bits.mean()) - entropy_bits()[0]) < 4 * float(bits.std()) / 20_000**0.5
    start, _ = transitions()
    for site in (0, LENGTH - 1):
        share = torch.bincount(found.x[:, site], minlength=27) / 20_000
        assert bool(((share - start).abs() < 4.5 * (start / 20_000).sqrt() + 1e-4).all())
    assert len(found.schema.alphabet.decode(found.x[:2])[0]) == LENGTH
