"""Expectations: truths in closed form, errors that cover, and what pairs and Sobol points gain."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pushforward as pf
from pushforward.errors import CapabilityError, InputError
from pushforward.models import noise_map
from pushforward.processes import Gaussian
from pushforward.schedules import VP

MEAN, SPREAD = 1.5, 0.7


def _linear() -> pf.GAN:
    """`x = MEAN + SPREAD z` in two dimensions."""
    generator = nn.Linear(2, 2)
    with torch.no_grad():
        generator.weight.copy_(SPREAD * torch.eye(2))
        generator.bias.fill_(MEAN)
    return pf.GAN(generator, nn.Linear(2, 1), latent=2, event_shape=2)


class _ExactNormal(nn.Module):
    """`E[x_0 | x_t]` of normal data."""

    def forward(self, x_t: Tensor, t: Tensor, c: Any = None) -> Tensor:
        alpha, sigma = (value.unsqueeze(1) for value in VP().values(t))
        gain = alpha * SPREAD**2 / (alpha**2 * SPREAD**2 + sigma**2)
        return MEAN + gain * (x_t - alpha * MEAN)


def _first(x: Tensor) -> Tensor:
    return x[:, 0]


@pytest.mark.parametrize("draws", ["independent", "antithetic", "sobol"])
def test_errors_cover_the_truth(draws: str) -> None:
    model, trials, inside = _linear(), 200, 0
    truth = math.exp(MEAN + SPREAD**2 / 2)
    for seed in range(trials):
        found = model.expect(lambda x: x[:, 0].exp(), 256, draws=draws, seed=seed)
        inside += abs(float(found.value) - truth) < 2 * float(found.stderr)
    assert 0.9 <= inside / trials <= 0.99


def test_pairs_cancel_what_is_odd() -> None:
    model = _linear()
    found = model.expect(lambda x: torch.stack([x[:, 0], x[:, 0].square()], 1), 1000,
                         draws="antithetic", seed=0)  # fmt: skip
    plain = model.expect(lambda x: x, 1000, seed=0)
    assert abs(float(found.value[0]) - MEAN) < 1e-6
    assert float(found.stderr[0]) < 1e-6 < float(plain.stderr[0])
    # Of the square the even part is left: sqrt(2) times as much, less the odd part.
    assert float(found.stderr[1]) == pytest.approx(SPREAD**2 * math.sqrt(2 / 500), rel=0.15)


def test_sobol_points_are_far_better_than_draws() -> None:
    model = _linear()
    independent, sobol = (
        model.expect(lambda x: (x[:, 0] * x[:, 1]).cos(), 2048, draws=draws, seed=1)
        for draws in ("independent", "sobol")
    )
    assert float(sobol.stderr) < float(independent.stderr) / 5
    between = math.hypot(float(sobol.stderr), float(independent.stderr))
    assert abs(float(sobol.value - independent.value)) < 3 * between
    assert sobol.n == 2048


def test_a_diffusion_is_a_map_of_noise() -> None:
    model = pf.Diffusion(_ExactNormal(), Gaussian(VP()), predict="data", event_shape=1)
    z = torch.linspace(-2, 2, 9)[:, None]
    torch.testing.assert_close(noise_map(model)(z), MEAN + SPREAD * z, rtol=0, atol=0.03)
    found = model.expect(_first, 64, draws="antithetic", seed=0)
    assert abs(float(found.value) - MEAN) < 0.02


def test_maps_of_noise_have_the_distribution_of_samples() -> None:
    data = pf.data.load("8gaussians", n=100, label=False)
    torch.manual_seed(0)
    for model in (
        pf.VAE.for_data(data, width=8, prior="normal"),
        pf.NormalizingFlow.for_data(data, width=8, layers=2),
        pf.FlowMatching(pf.nn.MLP(2, width=8), event_shape=2),
    ):
        model.known_units(data.x).fit(data.x)
        one = model.expect(lambda x: x.abs(), 4000, seed=1)
        other = model.expect(lambda x: x.abs(), 4096, draws="sobol", seed=2)
        spread = torch.hypot(one.stderr, other.stderr)
        assert ((one.value - other.value).abs() < 4 * spread).all(), type(model).__name__


def test_the_tail_is_watched() -> None:
    model = _linear()
    # The square of exp(z^2 / 2.5) has no mean.
    heavy = model.expect(lambda x: (((x[:, 0] - MEAN) / SPREAD).square() / 2.5).exp(), 4000, seed=0)
    assert not heavy.converged
    assert "NOT CONVERGED" in str(heavy)
    assert model.expect(_first, 4000, seed=0).converged
    assert model.expect(lambda x: torch.ones(len(x)), 100, seed=0).stderr == 0
    assert not model.expect(_first, 5, seed=0).converged


def test_parts_do_not_matter() -> None:
    model = _linear()
    whole, parts = (model.expect(_first, 100, seed=3, batch_size=size) for size in (100, 7))
    torch.testing.assert_close(whole.value, parts.value)


def test_refusals() -> None:
    model = _linear()
    density = pf.KernelDensity()
    with pytest.raises(CapabilityError, match="KernelDensity are no function of normal noise"):
        density.expect(_first, 100, draws="sobol")
    with pytest.raises(InputError, match="not finite at"):
        model.expect(lambda x: x[:, 0].log(), 100, seed=0)
    with pytest.raises(InputError, match="a row for each of 100 states"):
        model.expect(lambda x: x.mean(), 100)
    with pytest.raises(InputError, match="halton"):
        model.expect(_first, 100, draws="halton")
    with pytest.raises(InputError, match="16 scramblings"):
        model.expect(_first, 20, draws="sobol")
    with pytest.raises(InputError, match="no steps"):
        model.expect(_first, 100, draws="sobol", steps=3)
