"""Processes of symbols and compositions on a device without double precision."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pushforward import Transport, samplers
from pushforward._random import RowNoise
from pushforward.distributions import Dirichlet, DirichletMixture, GammaProduct
from pushforward.guidance import GivenCounts
from pushforward.processes import (
    CoxIngersollRoss,
    DirichletPath,
    Gaussian,
    GaussianSets,
    JumpDiffusion,
    Jumps,
    Masking,
    MatrixRates,
    ProductProcess,
    Thinning,
    Trimming,
    WrightFisher,
)
from pushforward.spaces import MarkedPoints, PointCloud, Points, Tokens, Vertices
from single_precision import single_precision

N = 400
SYMBOLS = torch.arange(N * 2).view(N, 2) % 3
SHARES = torch.tensor([0.2, 0.3, 0.5]).expand(N, 3)
TOKENS = (Masking, Jumps)
CASES = {
    "masking": (Masking(Tokens(3)), SYMBOLS),
    "uniform": (Jumps(Tokens(3)), SYMBOLS),
    "birth-death": (Jumps(Tokens(3), "birth-death"), SYMBOLS),
    "matrix": (Jumps(Tokens(3), MatrixRates([[0, 2, 1], [1, 0, 0.5], [0.3, 3, 0]])), SYMBOLS),
    "wright-fisher": (WrightFisher(2.0), SHARES),
    "cox-ingersoll-ross": (CoxIngersollRoss(2.0), 8 * SHARES),
    "dirichlet": (DirichletPath(Vertices(3)), torch.eye(3).repeat(N // 3 + 1, 1)[:N]),
}


def _prediction(process, x):
    if isinstance(process, TOKENS):
        return torch.stack([torch.cos(x.float() + k) for k in range(3)], -1)
    return torch.cos(x) * x


def _all(process, z, device):
    """What training and sampling ask of a process, and its values."""
    noise = RowNoise(3, slice(0, N), device)
    z = z.to(device)
    found = []
    for t in (torch.linspace(0.2, 0.8, N).to(device), 0.6):
        x = process.sample(z, t, noise)
        pred = _prediction(process, x)
        kinds = process.descend(z, t, noise)[0] if isinstance(process, WrightFisher) else z
        # Slopes of schedules at tensors are automatic, which the simulation does not follow.
        found += [x, process.loss(pred, kinds, x, 0.6 if isinstance(process, TOKENS) else t)]
    churn = 0.0 if isinstance(process, DirichletPath) else 1.0
    x = process.dynamics(pred, x, 0.6).advance(x, -0.01, churn, noise)
    found += [x, process.finish(_prediction(process, x), x, 0.01, noise)]
    if isinstance(process, TOKENS):
        found += [
            process.bridge(pred, x, 0.6, 0.3, 1.0, noise),
            process.redrawn(pred, x, 0.6, noise),
        ]
        found += [process.cost_rate(pred, z, x, 0.6), process.data_cost(pred, z, x, 0.1)]
    return [value.cpu().double() for value in found]


@pytest.mark.parametrize("name", CASES)
def test_a_device_without_doubles_gives_nearly_the_same_numbers(name: str) -> None:
    process, z = CASES[name]
    exact = _all(process, z, "cpu")
    with single_precision() as device:
        found = _all(process, z, device)
    for one, other in zip(found, exact, strict=True):
        assert bool(one.isfinite().all())
        # Noise of 48 bits and other normal numbers: the same in law, not row by row.
        spread = other.std(0).clamp_min(1e-3) * (2 / N) ** 0.5
        assert bool(((one.mean(0) - other.mean(0)).abs() <= 5 * spread).all())


@pytest.mark.parametrize("name", ["jump-diffusion", "thinning", "trimming", "gaussian"])
def test_sets_on_a_device_without_doubles(name: str) -> None:
    space = PointCloud(kinds=() if name == "gaussian" else (3,))
    kinds = {"jump-diffusion": JumpDiffusion, "thinning": Thinning, "trimming": Trimming}
    process: Any = kinds.get(name, GaussianSets)(space=space)
    g = torch.Generator().manual_seed(0)
    mask = torch.arange(3) < torch.randint(0, 4, (9, 1), generator=g)
    x = torch.randn(9, 3, 2, generator=g) * mask.unsqueeze(-1)
    place = (torch.arange(3) * mask).unsqueeze(-1)
    z: Any = Points(x, mask) if name == "gaussian" else MarkedPoints(x, mask, place)
    reading: Any = process.reading()
    shapes = reading.output_shape(((3, 2), (3,), (3, 1))[: len(z)])
    output = tuple(torch.randn(9, *shape, generator=g) for shape in shapes)

    def values(device: Any) -> list[torch.Tensor]:
        here = type(z)(*(part.to(device) for part in z))
        told = tuple(part.to(device) for part in output)
        t = torch.linspace(0.2, 0.8, 9).to(device)
        found = []
        for time in (t, 0.6):
            pred = reading.read(reading.at(time), told, here)
            # Nothing is lost here, so that the loss does not hang on the noise.
            found += [process.loss(pred, here, here, time)]
        noise = RowNoise(3, slice(0, 9), device)
        x_t = process.sample(here, 0.6, noise)
        if name != "trimming":
            cost = process.descend(here, 0.6, noise)[0] if name == "jump-diffusion" else here
            process.cost_rate(reading.read(reading.at(0.6), told, x_t), cost, x_t, 0.6)
            found += [process.data_cost(pred, here, here, 0.01), process.prior_cost(here, 0.9)]
        moved = process.bridge(pred, here, 0.6, 0.3, 1.0, noise)
        process.dynamics(pred, here, 0.6).advance(here, -0.01, 0.0, noise)
        process.finish(pred, here, 0.01, noise)
        assert moved.x.device.type == device.type
        if name in ("jump-diffusion", "thinning"):
            transport = Transport(
                GivenCounts(lambda x, s, c=None: pred, torch.tensor([1, 1, -1])), process
            )
            samplers.run(samplers.BirthClocks(), transport, x_t, [0.6, 0.3], generator=noise)
        return [value.cpu().double() for value in found]

    exact = values(torch.device("cpu"))
    with single_precision() as device:
        found = values(device)
    for one, other in zip(found, exact, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-4)


def test_distributions_of_shares_and_bounds_of_products() -> None:
    a = torch.tensor([2.0, 0.4, 5.0])
    with single_precision() as device:
        there = a.to(device)
        for made, own in (
            (Dirichlet(there), Dirichlet(a)),
            (GammaProduct(there), GammaProduct(a)),
            (
                DirichletMixture(torch.stack([there, 2 * there])),
                DirichletMixture(torch.stack([a, 2 * a])),
            ),
        ):
            x = made.sample(N, generator=RowNoise(0, slice(0, N), device))
            assert x.device.type == "mps"
            exact = own.log_prob(x.cpu())
            assert torch.allclose(made.log_prob(x).cpu(), exact, rtol=1e-5, atol=1e-5)
        process = ProductProcess([Gaussian(), Jumps(Tokens(3))])
        z = (torch.ones(N, 2).to(device), SYMBOLS.to(device))
        pred = (0.9 * z[0], torch.zeros(N, 2, 3).to(device))
        found = process.prior_cost(z, 0.9), process.cost_rate(pred, z, z, 0.5)
        found += (process.data_cost(pred, z, z, 0.01),)
        found = [value.cpu() for value in found]
    z, pred = (torch.ones(N, 2), SYMBOLS), (0.9 * torch.ones(N, 2), torch.zeros(N, 2, 3))
    exact = process.prior_cost(z, 0.9), process.cost_rate(pred, z, z, 0.5)
    exact += (process.data_cost(pred, z, z, 0.01),)
    for one, other in zip(found, exact, strict=True):
        assert torch.allclose(one.double(), other.double(), rtol=1e-4)
