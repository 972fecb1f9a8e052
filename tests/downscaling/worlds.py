"""Gaussian fields whose spectra, denoisers and optimal maps are known in closed form."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import pushforward as pf
from pushforward.downscaling import Refinement, Unpaired
from pushforward.inverse import SpectralDownsample
from pushforward.processes import Gaussian
from pushforward.spaces import Fields

N, COARSE = 16, 4
GRID = Refinement(SpectralDownsample(N // COARSE), (1, N, N), (1, COARSE, COARSE), "waves")


def wavenumbers(n: int = N) -> Tensor:
    k = torch.fft.fftfreq(n, 1 / n, dtype=torch.float64)
    return (k[:, None].square() + k.square()).sqrt()


def power(slope: float, scale: float = 1.0, n: int = N) -> Tensor:
    """The variance of each wave in the norm in which white noise has one, `(1, n, n)`."""
    return (scale**2 * 100 * (1 + wavenumbers(n)) ** -slope)[None]


def fields(variance: Tensor, rows: int, seed: int, mean: float = 0.0) -> Tensor:
    """Homogeneous Gaussian fields, `(rows, 1, n, n)` in float64."""
    g = torch.Generator().manual_seed(seed)
    noise = torch.randn(rows, *variance.shape, generator=g, dtype=torch.float64)
    waves = torch.fft.fft2(noise, norm="ortho") * variance.sqrt()
    return mean + torch.fft.ifft2(waves, norm="ortho").real


def measured(x: Tensor) -> Tensor:
    """The mean power of each wave of deviations from zero, `(1, n, n)`."""
    return torch.fft.fft2(x.double(), norm="ortho").abs().square().mean(0)


class WaveDenoiser(nn.Module):
    """`E[x_0 | x_t]` of fields of known power about a mean: Wiener's filter."""

    num_classes = context_size = None

    def __init__(self, variance: Tensor, mean: float, process: Gaussian) -> None:
        super().__init__()
        self.variance, self.mean, self.process = variance, mean, process
        self.unused = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, t: Tensor, c: Any = None) -> Tensor:
        alpha, sigma = (
            torch.as_tensor(part).double().reshape(-1, 1, 1, 1)
            for part in self.process.schedule.values(t)
        )
        gain = alpha * self.variance / (alpha.square() * self.variance + sigma.square())
        waves = torch.fft.fft2(x.double() - alpha * self.mean, norm="ortho") * gain
        return (self.mean + torch.fft.ifft2(waves, norm="ortho").real).to(x.dtype)


def exact_model(variance: Tensor, mean: float = 0.0) -> pf.Diffusion:
    process = Gaussian(space=Fields(periodic=(True, True)))
    net = WaveDenoiser(variance, mean, process)
    model = pf.Diffusion(net, process=process, predict="data", label_dropout=0.0)
    model.known_units(torch.zeros(2, *variance.shape))
    return model.eval()


def gaussian_data(
    coarse: Tensor, fine: Tensor, bias: float = 0.0, rows: int = 1500
) -> tuple[Unpaired, Tensor]:
    """Biased coarse fields on the fine grid, fine ones without pairs, and later coarse ones."""
    sides = [GRID.low_pass(fields(coarse, rows, seed, bias)) for seed in (1, 3)]
    return Unpaired(sides[0].float(), fields(fine, rows, 2).float(), GRID), sides[1].float()
