"""Solvers under their published names give the published numbers.

The numbers are those that the tests of diffusers state for full loops of ten steps over its dummy
model, a network that answers `x n / (n + 1)` at step `n` of a chain, with the settings given there.
"""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from pushforward import Transport, grids, parametrizations, registry, samplers, schedules
from pushforward.analytic import AnalyticMixture
from pushforward.distributions import GaussianMixture
from pushforward.guidance import StaticThreshold
from pushforward.processes import Gaussian
from pushforward.samplers import Multistep

CHAIN = Gaussian(schedules.Chain.linear(1000, 1e-4, 0.02))
CHAIN_GRID = [(step + 1) / 1000 for step in (999, 899, 799, 699, 599, 500, 400, 300, 200, 100)]
SIGMA_MIN = 1 / 1000


def start() -> Tensor:
    """Numbers in equal steps from 0 to 1, `(4, 3, 8, 8)`."""
    size = 4 * 3 * 8 * 8
    return (torch.arange(size).reshape(3, 8, 8, 4) / size).permute(3, 0, 1, 2)


def dummy(predict: str):
    table = registry.resolve("predictions", predict)

    def model(x: Tensor, t: float, c=None) -> Tensor:
        step = round(1000 * t) - 1
        return parametrizations.read(table(CHAIN.schedule, t), x * step / (step + 1), x)

    return model


@pytest.mark.parametrize(
    ("name", "predict", "mean"),
    [
        ("dpm++2m", "noise", 0.3301),
        ("dpm++2m", "v", 0.2251),
        ("deis", "noise", 0.23916),
        ("deis", "v", 0.091),
        ("unipc", "noise", 0.2464),
        ("unipc", "v", 0.1014),
    ],
)
def test_full_loops_of_diffusers(name: str, predict: str, mean: float) -> None:
    transport = Transport(dummy(predict), CHAIN)
    y = samplers.run(
        registry.resolve("samplers", name), transport, start(), [*CHAIN_GRID, SIGMA_MIN]
    )
    assert float(y.abs().mean()) == pytest.approx(mean, abs=1e-4)


@pytest.mark.parametrize(("predict", "total"), [("noise", 172.0067), ("v", 52.5302)])
def test_full_loop_of_ddim(predict: str, total: float) -> None:
    times = [*((100 * k + 1) / 1000 for k in range(9, -1, -1)), 0.0]
    transport = Transport(StaticThreshold(dummy(predict)), CHAIN)
    y = samplers.run(registry.resolve("samplers", "ddim"), transport, start(), times)
    assert float(y.abs().sum()) == pytest.approx(total, abs=1e-3)


@pytest.mark.parametrize(("predict", "total"), [("noise", 258.9606), ("v", 202.0296)])
def test_full_loop_of_ddpm(predict: str, total: float) -> None:
    """All thousand steps, clipped, with the noise of a plain generator."""
    times = [k / 1000 for k in range(1000, -1, -1)]
    transport = Transport(StaticThreshold(dummy(predict)), CHAIN)
    generator = torch.Generator().manual_seed(0)
    y = samplers.run(
        registry.resolve("samplers", "ddpm"), transport, start(), times, generator=generator
    )
    assert float(y.abs().sum()) == pytest.approx(total, abs=5e-3)


def test_full_loop_of_diffusers_with_thresholding() -> None:
    # Its thresholding with a largest value below one clips to that, and scales it to one.
    clipped = StaticThreshold(dummy("noise"), -0.5, 0.5)
    transport = Transport(lambda x, t, c=None: 2 * clipped(x, t), CHAIN)
    y = samplers.run(
        registry.resolve("samplers", "dpm++2m"), transport, start(), [*CHAIN_GRID, SIGMA_MIN]
    )
    assert float(y.abs().mean()) == pytest.approx(1.1364, abs=1e-4)


@pytest.mark.parametrize("name", ["euler", "ddim"])
def test_full_loop_of_edm_euler(name: str) -> None:
    process, table = Gaussian(schedules.EDM()), parametrizations.EDMPreconditioning(sigma_data=0.5)

    def model(x: Tensor, t: float, c=None) -> Tensor:
        row = table(process.schedule, t)
        told = row.scale_in * x * row.time / (row.time + 1)
        return parametrizations.read(row, told, x)

    times = [*grids.KarrasGrid()(process.schedule, 9), 0.0]
    x = start() * math.sqrt(80.0**2 + 1)
    y = samplers.run(registry.resolve("samplers", name), Transport(model, process), x, times)
    assert float(y.abs().sum()) == pytest.approx(34.1855, abs=1e-3)


def test_dpm_solver_of_the_sde_is_the_published_recursion() -> None:
    """Lu et al. (2022b), SDE-DPM-Solver++(2M), written out."""
    schedule = CHAIN.schedule
    model, x = dummy("noise"), start()
    times, generator = [*CHAIN_GRID, SIGMA_MIN], torch.Generator().manual_seed(3)
    found = samplers.run(
        registry.resolve("samplers", "dpm++2m-sde"),
        Transport(model, CHAIN),
        x,
        times,
        generator=generator,
    )
    generator.manual_seed(3)
    before, last = None, 0.0
    for t, s in pairwise(times):
        now, then = schedule.at(t), schedule.at(s)
        h = 0.5 * (schedule.log_snr(s) - schedule.log_snr(t))
        data = model(x, t)
        change = 0.0 if before is None else (data - before) * h / last
        noise = torch.empty(x.shape).normal_(generator=generator)
        x = (
            then.sigma / now.sigma * math.exp(-h) * x
            + then.alpha * -math.expm1(-2 * h) * (data + 0.5 * change)
            + then.sigma * math.sqrt(-math.expm1(-2 * h)) * noise
        )
        before, last = data, h
    assert found.numpy() == pytest.approx(x.numpy(), rel=1e-3, abs=1e-4)


def test_our_own_variants_are_others() -> None:
    """A corrected first step, and the order kept to the end."""
    process = Gaussian(schedules.VP())
    problem = AnalyticMixture(GaussianMixture(torch.tensor([[2.0, 0.0], [-1.0, 1.0]]), 0.09))
    transport, times = (
        Transport(problem.model(process), process),
        [0.7 - 0.065 * k for k in range(11)],
    )
    x = process.prior((2,)).sample(100, seed=0)
    ours = {
        "dpm++2m": Multistep(2, integral="midpoint"),
        "dpm++2m-sde": Multistep(2, churn=1.0, integral="midpoint"),
        "deis": Multistep(2, predict="noise"),
        "unipc": Multistep(2, corrector=True, integral="midpoint"),
    }
    for name, sampler in ours.items():
        ends = [
            samplers.run(s, transport, x, times, seed=0)
            for s in (registry.resolve("samplers", name), sampler)
        ]
        assert float((ends[0] - ends[1]).abs().mean()) > 1e-4, name


def test_the_last_steps_have_lower_orders_where_that_is_published() -> None:
    def predictions(name: str, steps: int) -> list[int]:
        grid = [1 - 0.9 * k / steps for k in range(steps + 1)]
        return [len(row.gains) for row in registry.resolve("samplers", name).plan(Gaussian(), grid)]

    assert predictions("unipc3", 6) == [1, 2, 3, 3, 2, 1]
    assert predictions("unipc", 20) == [1, *(18 * [2]), 1]
    assert predictions("deis", 14) == [1, *(12 * [2]), 1]
    assert predictions("deis", 15) == [1, *(14 * [2])]
    assert predictions("dpm++2m", 6) == [1, *(5 * [2])]
    assert predictions("adams4", 6) == [1, *(5 * [2])]
    assert predictions("adams4", 8) == [1, 2, *(6 * [3])]
