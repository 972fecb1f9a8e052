"""Sines and cosines of the inputs: what they are, and what a network sees with them."""

from __future__ import annotations

import torch

import pushforward as pf
from pushforward.nn import FourierFeatures


def test_features_are_the_formula() -> None:
    x = torch.tensor([[0.3, -2.0]], dtype=torch.float64)
    features = FourierFeatures(2, 3).double()(x)[0]
    waves = [
        2.0 ** (-k / 2) * function(2.0**k * x[0, i])
        for function in (torch.sin, torch.cos)
        for k in range(3)
        for i in range(2)
    ]
    torch.testing.assert_close(features, torch.stack([*x[0], *waves]))


def test_no_frequencies_pass_the_vector_on() -> None:
    x = torch.randn(4, 3)
    assert FourierFeatures(3, 0)(x) is x


def test_a_perceptron_with_frequencies_fits_a_wave_that_a_plain_one_does_not_see() -> None:
    x = torch.linspace(-1.7, 1.7, 256).unsqueeze(1)
    target = (20 * x).sin()
    error = {}
    for frequencies in (0, 5):
        torch.manual_seed(0)
        net = pf.nn.Perceptron(1, 1, width=32, frequencies=frequencies, normalize=True)
        optimizer = torch.optim.Adam(net.parameters(), 3e-3)
        for _ in range(300):
            optimizer.zero_grad()
            loss = (net(x) - target).square().mean()
            loss.backward()
            optimizer.step()
        error[frequencies] = float(loss.detach())
    assert error[5] < 0.02 < 0.2 < error[0], error
