"""Laws of data given latents: probabilities of levels, means, and samples."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, distributions

from pushforward._random import resolve
from pushforward.errors import InputError
from pushforward.latent import (
    Bernoulli,
    BernoulliDecoder,
    DiagonalNormal,
    GaussianDecoder,
    Logistic,
    LogisticDecoder,
)
from pushforward.nn import Perceptron

RANGE = (-1.0, 3.0)


def logistic(location: float, scale: float, levels: int = 9) -> Logistic:
    place = torch.full((1, 1), location, dtype=torch.float64)
    return Logistic(place, torch.tensor(scale, dtype=torch.float64), levels, RANGE)


def all_levels(law) -> Tensor:
    return law.values(torch.arange(law.levels, dtype=torch.float64)).unsqueeze(1)


@settings(deadline=None, max_examples=50)
@given(st.floats(-30, 30), st.floats(0.01, 30), st.integers(2, 40))
def test_levels_have_probabilities_that_sum_to_one(location, scale, levels) -> None:
    law = logistic(location, scale, levels)
    each = law.probabilities()[0, 0]
    assert float(each.sum()) == pytest.approx(1, abs=1e-12)
    assert (each >= 0).all()
    logs = law.log_prob(all_levels(law))
    assert float(logs.logsumexp(0)) == pytest.approx(0, abs=1e-9)
    assert torch.allclose(logs.exp(), each, rtol=1e-6, atol=1e-12)
    # A rounded law differs from the unrounded one by at most half a level.
    exact = float((each * all_levels(law)[:, 0]).sum())
    assert abs(float(law.mean) - exact) <= law.width / 2 + 1e-9


def test_log_probabilities_far_out_neither_vanish_nor_lose_their_gradient() -> None:
    location = torch.tensor([[-50.0]], requires_grad=True)
    law = Logistic(location, torch.tensor(0.01), 256, (0.0, 1.0))
    value = law.log_prob(torch.tensor([[0.5]]))
    # The tail is exponential: log F(a) - log F(b) at distance (0.5 - w/2 + 50) / s.
    width = 1 / 255
    exact = -(50.5 - width / 2) / 0.01 + math.log1p(-math.exp(-width / 0.01))
    middle = 127.5 * width  # 0.5 lies between two levels, and is rounded to the even one
    exact -= (law.values(law.index(torch.tensor(0.5))).item() - middle) / 0.01
    assert value.item() == pytest.approx(exact, rel=1e-6)
    value.sum().backward()
    assert location.grad is not None
    assert float(location.grad) == pytest.approx(100, rel=1e-4)


@pytest.mark.parametrize("law", [logistic(0.3, 0.6), logistic(2.9, 0.05), logistic(-4.0, 1.0)])
def test_samples_have_the_probabilities(law) -> None:
    # Noise on a regular grid: each frequency is off by one in n at most.
    n = 100_000
    noise = ((torch.arange(n, dtype=torch.float64) + 0.5) / n).unsqueeze(1)
    index = law.index(law.push(noise)).long()[:, 0]
    found = torch.bincount(index, minlength=law.levels) / n
    assert torch.allclose(found.double(), law.probabilities()[0, 0], atol=1.5 / n)


def test_two_levels_are_those_of_torch() -> None:
    logits = torch.randn(4, 3, generator=resolve(0))
    law = Bernoulli(logits, RANGE)
    bits = torch.randint(0, 2, (4, 3), generator=resolve(1)).float()
    peer = distributions.Bernoulli(logits=logits)
    x = law.values(bits)
    assert torch.allclose(law.log_prob(x), peer.log_prob(bits).sum(-1))
    assert torch.allclose(law.probabilities()[..., 1], peer.probs)
    assert torch.allclose(law.mean, -1 + 4 * peer.probs)
    assert set(law.push(torch.rand(4, 3, generator=resolve(2))).unique().tolist()) <= {-1.0, 3.0}


def test_a_gaussian_is_that_of_torch() -> None:
    mean, x = torch.randn(2, 4, 3, generator=resolve(0))
    sigma = torch.tensor([0.1, 1.0, 2.0])
    exact = distributions.Normal(mean, sigma).log_prob(x).sum(-1)
    assert torch.allclose(DiagonalNormal(mean, sigma).log_prob(x), exact)
    assert torch.equal(DiagonalNormal(mean, sigma).push(torch.zeros(4, 3)), mean)


@pytest.mark.parametrize("sigma", [0.3, "scalar", "dimension", "network"])
def test_deviations_of_a_decoder(sigma) -> None:
    twice = 2 if sigma == "network" else 1
    decoder = GaussianDecoder(Perceptron(2, (3 * twice, 2)), sigma, event_shape=(3, 2))
    law = decoder(torch.randn(5, 2, generator=resolve(0)))
    assert law.mean.shape == (5, 3, 2)
    assert (law.std > 0).all()
    learned = [name for name, _ in decoder.scale.named_parameters()]
    assert bool(learned) == (sigma in ("scalar", "dimension"))
    if sigma == 0.3:
        assert float(law.std) == pytest.approx(0.3)
    if sigma == "network":
        assert law.std.shape == (5, 3, 2)


def test_a_decoder_of_levels_in_data_units() -> None:
    decoder = LogisticDecoder(Perceptron(2, 4), 5, (0.0, 16.0), scale=0.5, event_shape=(4,))
    for weight in decoder.net.parameters():
        torch.nn.init.zeros_(weight)
    law = decoder(torch.zeros(1, 2))
    # The network's zero is the middle of the range.
    assert torch.equal(law.location, torch.full((1, 4), 8.0))
    assert float(law.scale) == pytest.approx(4.0)


def test_what_decoders_refuse() -> None:
    net = Perceptron(2, 3)
    with pytest.raises(InputError, match="'dimension' or 'network', not 'pixel'"):
        GaussianDecoder(net, "pixel")
    with pytest.raises(InputError, match=r"above 0\.001"):
        GaussianDecoder(net, -1.0)
    with pytest.raises(InputError, match="needs event_shape"):
        GaussianDecoder(net, "dimension")
    with pytest.raises(InputError, match="twice the entries"):
        GaussianDecoder(net, "network")(torch.zeros(1, 2))
    with pytest.raises(InputError, match=r"1 levels on 0\.\.1"):
        LogisticDecoder(net, 1, (0.0, 1.0))
    with pytest.raises(InputError, match=r"0\.5 is none of them"):
        BernoulliDecoder(net).check(torch.tensor([[0.0, 0.5]]))
    with pytest.raises(InputError, match="nan is none of them"):
        BernoulliDecoder(net).check(torch.tensor([[0.0, math.nan]]))
