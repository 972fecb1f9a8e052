"""Conversions between parametrizations: exact up to rounding times their conditioning."""

from __future__ import annotations

import pytest
import torch

from pushforward import parametrizations, registry, schedules
from pushforward._shapes import like
from pushforward.errors import InputError
from pushforward.models.predictor import Predictor
from pushforward.processes import Gaussian

SCHEDULES = [
    schedules.VP(),
    schedules.SubVP(),
    schedules.Cosine(),
    schedules.Rectified(),
    schedules.OU(),
    schedules.OU(rate=0.5, horizon=8.0),
    schedules.VE(),
    schedules.EDM(),
    schedules.Chain.linear(100),
    schedules.Chain.cosine(100),
    schedules.Chain.ornstein_uhlenbeck(100),
    schedules.Custom(lambda t: 1 - t**2, lambda t: t),
    schedules.LinearSDE(lambda t: -1 - t, lambda t: 1 + t),
]


def _targets(name: str, schedule, t, x0, noise):
    """What each parametrization is defined to predict, from the data and the noise themselves."""
    alpha, sigma, d_alpha, d_sigma = (like(k, x0) for k in schedule.at(t)[:4])
    return {
        "data": x0,
        "noise": noise,
        "v": (alpha * noise - sigma * x0) / (alpha**2 + sigma**2) ** 0.5,
        "score": -noise / sigma,
        "velocity": d_alpha * x0 + d_sigma * noise,
    }[name]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("name", ["data", "noise", "v", "score", "velocity"])
def test_each_table_reads_its_definition(name: str, schedule, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    t = torch.linspace(schedule.t_min, schedule.t_max, 101, dtype=dtype)
    x0, noise = torch.randn(2, 101, 7, generator=generator, dtype=dtype)
    alpha, sigma = (like(k, x0) for k in schedule(t))
    x_t = alpha * x0 + sigma * noise
    row = registry.resolve("predictions", name)(schedule, t)
    target = _targets(name, schedule, t, x0, noise)
    found = parametrizations.read(row, target, x_t)
    # The terms that cancel set the conditioning.
    size = like(row.skip, x_t) * x_t if torch.is_tensor(row.skip) else 0 * x_t
    conditioning = 1 + size.abs() + (like(row.out, x_t) * target).abs() + 1 / alpha
    rounding = 1e-12 if dtype == torch.float64 else 16 * torch.finfo(dtype).eps
    # Derivatives enter the velocity and are themselves rounded.
    assert ((found - x0).abs() / conditioning).max() < rounding * (4 if name == "velocity" else 1)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("name", registry.names("predictions"))
def test_reading_inverts_writing(name: str, schedule) -> None:
    generator = torch.Generator().manual_seed(0)
    t = torch.linspace(schedule.t_min, schedule.t_max, 101, dtype=torch.float64)
    mean, x_t = torch.randn(2, 101, 3, generator=generator, dtype=torch.float64)
    row = registry.resolve("predictions", name)(schedule, t)
    output = parametrizations.write(row, mean, x_t)
    back = parametrizations.read(row, output, x_t)
    conditioning = 1 + (like(row.out, mean) * output).abs()
    assert ((back - mean).abs() / conditioning).max() < 1e-12


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("name", registry.names("predictions"))
def test_a_float_time_gives_the_row_of_a_batch(name: str, schedule) -> None:
    t = 0.41
    one = registry.resolve("predictions", name)(schedule, t)
    many = registry.resolve("predictions", name)(schedule, torch.tensor([t], dtype=torch.float64))
    for a, b in zip(one, many, strict=True):
        assert float(a) == pytest.approx(float(b), rel=1e-9)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
def test_edm_has_unit_variance_in_and_out(schedule) -> None:
    generator = torch.Generator().manual_seed(0)
    for t in (0.05, 0.5, 0.95):
        x0 = 0.7 * torch.randn(100_000, 1, generator=generator)
        noise = torch.randn(100_000, 1, generator=generator)
        alpha, sigma = schedule.values(t)
        x_t = alpha * x0 + sigma * noise
        row = parametrizations.EDMPreconditioning(sigma_data=0.7)(schedule, t)
        assert float((row.scale_in * x_t).var()) == pytest.approx(1.0, abs=0.03)
        assert float(parametrizations.write(row, x0, x_t).var()) == pytest.approx(1.0, abs=0.03)


def test_noise_where_no_signal_is_left_is_refused() -> None:
    net = torch.nn.Module()
    denoiser = Predictor(net, Gaussian(schedules.Rectified()).reading("noise"))
    with pytest.raises(InputError, match=r"undefined at t = 1\.0"):
        denoiser(torch.zeros(1, 2), 1.0)
