"""Dimension from derivatives: exact worlds up to eight dimensions, noise, and what is unclear."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

import pushforward as pf
from pushforward.errors import CapabilityError, InputError
from pushforward.support import (
    Circles,
    Embedded,
    Hypersphere,
    KnownSupport,
    LinearSubspace,
    denoise_with,
    dimension_from_denoiser,
    dimension_from_generator,
)


@pytest.mark.parametrize(
    "support",
    [
        Embedded(Hypersphere(1), 20),
        Embedded(Hypersphere(8), 20),
        Embedded(Circles(5), 20),
        Circles(8),
        LinearSubspace(1, 20),
        LinearSubspace(8, 20),
    ],
    ids=str,
)
def test_exact_denoisers_know_their_dimension(support: KnownSupport) -> None:
    x = support.sample(20, seed=0)
    found = dimension_from_denoiser(support.posterior_mean, x, 0.02)
    assert found.estimate.value == support.dim
    assert found.estimate.converged
    assert found.spectrum.shape == (20, support.ambient)


def test_noise_is_not_counted_above_its_scale_and_is_below() -> None:
    noise, plane = 0.1, LinearSubspace(3, 6)

    def denoise(x: torch.Tensor, sigma: float) -> torch.Tensor:
        """Of the plane with noise in all directions."""
        along = plane.project(x)
        return along * (1 + noise**2) / (1 + noise**2 + sigma**2) + (x - along) * noise**2 / (
            noise**2 + sigma**2
        )

    x = plane.sample(10, noise=noise, seed=0)
    assert dimension_from_denoiser(denoise, x, 0.3).estimate.value == 3
    assert dimension_from_denoiser(denoise, x, 0.01).estimate.value == 6
    unclear = dimension_from_denoiser(denoise, x, 0.1)
    assert not unclear.estimate.converged
    assert "not converged" in str(unclear)


def test_a_denoiser_of_points_sees_points() -> None:
    angle = torch.arange(100, dtype=torch.float64) * (2 * torch.pi / 100)
    points = torch.stack([angle.cos(), angle.sin()], 1)

    def denoise(x: torch.Tensor, sigma: float) -> torch.Tensor:
        return (-torch.cdist(x, points).square() / (2 * sigma**2)).softmax(1) @ points

    assert dimension_from_denoiser(denoise, points, 1e-7).estimate.value == 0
    assert dimension_from_denoiser(denoise, points, 0.1).estimate.value == 1


def test_generators_have_the_rank_of_their_derivative() -> None:
    z = torch.randn(30, 8, generator=torch.Generator().manual_seed(0))
    wide = torch.randn(8, 12, generator=torch.Generator().manual_seed(1))

    def folded(z: torch.Tensor) -> torch.Tensor:
        return torch.cat([z.sin(), z.cos()], 1)[:, :12]

    assert dimension_from_generator(lambda z: z[:, :5] @ wide[:5], z, 0.05).estimate.value == 5
    assert dimension_from_generator(lambda z: z @ wide, z, 0.05).estimate.value == 8
    assert dimension_from_generator(lambda z: z @ wide[:, :3], z, 0.05).estimate.value == 3
    assert dimension_from_generator(folded, z, 1e-4).estimate.value == 8
    # A direction of length sigma is at the threshold.
    thin = wide.clone()
    thin[0] *= 1e-3
    assert dimension_from_generator(lambda z: z @ thin, z, 0.1).estimate.value == 7


def test_the_denoiser_of_a_model_is_asked_at_the_level_of_its_time(
    exact_diffusion: Callable[[KnownSupport], pf.Diffusion],
) -> None:
    circle = Embedded(Hypersphere(1), 4)
    x = circle.sample(20, noise=0.05, seed=0)
    for sigma in (0.02, 0.3, 2.0):
        found = denoise_with(exact_diffusion(circle))(x, sigma)
        torch.testing.assert_close(found, circle.posterior_mean(x, sigma), rtol=1e-3, atol=1e-4)
    found = dimension_from_denoiser(denoise_with(exact_diffusion(circle)), x[:5], 0.1)
    assert found.each.tolist() == [1] * 5


def test_refusals() -> None:
    model = pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=(2,))
    with pytest.raises(InputError, match="outside of the noise levels"):
        denoise_with(model)(torch.zeros(1, 2), 1e-9)
    gan = pf.GAN.for_data(pf.data.load("8gaussians", n=50), width=8)
    with pytest.raises(CapabilityError, match=r"E\[x_0"):
        denoise_with(gan)
    with pytest.raises(InputError, match="not finite"):
        dimension_from_generator(lambda z: z * torch.nan, torch.zeros(1, 2), 0.1)
    with pytest.raises(InputError, match="5000 entries"):
        dimension_from_generator(lambda z: z @ torch.zeros(2, 5000), torch.zeros(1, 2), 0.1)
