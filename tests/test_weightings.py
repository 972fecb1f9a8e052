"""Weights of the loss: each is the published one, and none moves the minimum."""

from __future__ import annotations

import pytest
import torch

import pushforward as pf
from pushforward import parametrizations, registry, schedules, weightings
from pushforward.analytic import AnalyticMixture
from pushforward.config import build, describe
from pushforward.errors import InputError

SCHEDULES = [schedules.VP(), schedules.Rectified(), schedules.EDM(), schedules.VE(sigma_max=9.0)]
T = torch.linspace(0.05, 0.95, 19, dtype=torch.float64)


def _noise_error(schedule, t):
    """The squared error of the noise for a unit error of the data."""
    alpha, sigma = schedule.values(t)
    return (alpha / sigma) ** 2


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
def test_published_weights(schedule: schedules.Schedule) -> None:
    data, ratio = parametrizations.DataPrediction(), _noise_error(schedule, T)
    for name, exact in {
        "output": torch.ones_like(T),
        "simple": ratio,
        "snr": ratio.clamp(min=1),
        "min-snr": ratio.clamp(max=5),
        "edm": ratio + 1,
    }.items():
        found = registry.resolve("weightings", name)(schedule, T, data)
        assert torch.allclose(torch.as_tensor(found, dtype=T.dtype).expand_as(T), exact), name
    # Of a network that predicts the noise, its own error is the simple loss.
    found = weightings.Output()(schedule, T, parametrizations.NoisePrediction())
    assert torch.allclose(found, ratio)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
def test_the_likelihood_weight_is_the_slope_of_the_ratio(schedule: schedules.Schedule) -> None:
    h = 1e-6
    slope = (_noise_error(schedule, T + h) - _noise_error(schedule, T - h)) / (2 * h)
    found = weightings.Likelihood()(schedule, T, parametrizations.DataPrediction())
    assert torch.allclose(found, -0.5 * slope, rtol=1e-5)
    # And half of g^2 times the squared error of the score (Song, Durkan, Murray & Ermon 2021).
    k = schedule.at(T)
    assert torch.allclose(found, 0.5 * k.g2 * k.alpha**2 / k.sigma**4, rtol=1e-9)


@pytest.mark.parametrize("weight", registry.names("weightings"))
@pytest.mark.parametrize("predict", ["noise", "data", "v", "score", "velocity", "edm"])
def test_the_exact_model_is_the_minimum_under_every_weight(predict: str, weight: str) -> None:
    # The derivative of the expected loss along a shift of the exact prediction is zero.
    problem = AnalyticMixture.ring()
    process = pf.processes.Gaussian(schedules.VP())
    model = pf.Diffusion(
        _Exact(problem, process, predict), process, predict, weight=weight, event_shape=(2,)
    ).double()
    x = problem.data.sample(40_000, seed=0).double()
    losses = []
    for shift in (-0.05, 0.05):
        model.predictor.net.shift = shift
        generator = torch.Generator().manual_seed(1)
        losses.append(model.loss(x, generator=generator))
    slope = (losses[1] - losses[0]) / 0.1
    assert abs(float(slope.mean())) < 4 * float(slope.std()) / len(x) ** 0.5


class _Exact(torch.nn.Module):
    """The network that a parametrization reads as the exact posterior mean plus a shift."""

    def __init__(self, problem, process, predict: str) -> None:
        super().__init__()
        self.model, self.process, self.shift = problem.model(process), process, 0.0
        self.table = registry.resolve("predictions", predict)
        self.anchor = torch.nn.Parameter(torch.zeros(()))

    def forward(self, x, t, c=None):
        # Told the time as the table says; its scale and time are undone.
        schedule = self.process.schedule
        if isinstance(self.table, parametrizations.EDMPreconditioning):
            t = schedule.time_at_log_snr(-8 * t)
        row = self.table(schedule, t)
        scale = row.scale_in if isinstance(row.scale_in, float) else row.scale_in[:, None]
        x_t = x / scale
        mean = self.model(x_t.float(), t.float()).to(x.dtype) + self.shift
        return parametrizations.write(row, mean, x_t)


def test_weights_are_written_down_and_read_back() -> None:
    named = [registry.resolve("weightings", name) for name in registry.names("weightings")]
    for weight in (*named, weightings.SNR(0.5, 7.0)):
        assert build(describe(weight)) == weight


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: weightings.SNR(least=2.0, most=1.0), "least < most"),
        (lambda: weightings.EDMWeight(sigma_data=0.0), "positive and finite"),
        (lambda: pf.Diffusion(pf.nn.MLP(2), weight="min-snrr"), "did you mean 'min-snr'"),
    ],
)
def test_what_is_refused(make, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()
