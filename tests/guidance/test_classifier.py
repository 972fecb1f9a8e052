"""Guidance by classifiers, by worse models, and in an interval."""

from __future__ import annotations

import pytest
import torch

from pushforward import guidance, processes, schedules
from pushforward.analytic import AnalyticMixture
from pushforward.distributions import GaussianMixture
from pushforward.errors import CapabilityError, InputError

MEANS = torch.tensor([[-1.0, 0.5], [2.0, -0.3], [0.0, 1.0]], dtype=torch.float64)
DATA = GaussianMixture(MEANS, torch.tensor([0.3, 0.5, 0.2], dtype=torch.float64))
SCHEDULES = [schedules.VP(), schedules.Rectified(), schedules.VE()]


def _states() -> torch.Tensor:
    return 2 * torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def _classifier(process: processes.Gaussian, label: int):
    """`log p(component | x_t)`, exactly."""

    def log_prob(x, t, c):
        return DATA._log_joint(x, *process.schedule.values(t)).log_softmax(-1)[:, label]

    return log_prob


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("t", [0.1, 0.6])
def test_an_exact_classifier_leaves_the_component_alone(schedule, t: float) -> None:
    process, x = processes.Gaussian(schedule), _states()
    model = AnalyticMixture(DATA).model(process)
    found = guidance.ClassifierGuidance(model, process, _classifier(process, 1)).guide(x, t)
    alone = GaussianMixture(MEANS[1:2], torch.tensor([0.5], dtype=torch.float64))
    assert torch.allclose(found.free, model(x, t))
    assert torch.allclose(found.guided, AnalyticMixture(alone).model(process)(x, t), atol=1e-8)


def test_each_row_has_a_strength_of_its_own() -> None:
    process, x, t = processes.Gaussian(), _states(), 0.4
    model = AnalyticMixture(DATA).model(process)
    strength = torch.arange(6, dtype=torch.float64)
    plain = guidance.ClassifierGuidance(model, process, _classifier(process, 0)).guide(x, t)
    found = guidance.ClassifierGuidance(model, process, _classifier(process, 0), strength)(x, t)
    exact = plain.free + strength.unsqueeze(1) * (plain.guided - plain.free)
    assert torch.allclose(found, exact)


def test_the_classifier_reads_the_context() -> None:
    process = processes.Gaussian()
    model = guidance.ClassifierGuidance(
        lambda x, t, c=None: 0 * x, process, lambda x, t, c: (c * x).sum(1)
    )
    alpha, sigma = process.schedule.values(0.5)
    found = guidance.given(model, torch.full((6, 2), 3.0).double())(_states(), 0.5)
    assert torch.allclose(found, torch.full_like(found, 3 * sigma**2 / alpha))


@pytest.mark.parametrize(
    ("log_prob", "error", "message"),
    [
        (lambda x, t, c: x, InputError, r"shape \(6,\), not \(6, 2\)"),
        (lambda x, t, c: x.detach().sum(1), CapabilityError, "derivative"),
    ],
)
def test_classifiers_that_are_refused(log_prob, error, message: str) -> None:
    model = guidance.ClassifierGuidance(lambda x, t, c=None: x, processes.Gaussian(), log_prob)
    with pytest.raises(error, match=message):
        model(_states(), 0.5)


@pytest.mark.parametrize("strength", [-1.0, float("inf"), torch.ones(2, 2)])
def test_strengths_that_are_refused(strength) -> None:
    with pytest.raises(InputError, match="strength"):
        guidance.ClassifierGuidance(lambda x, t, c=None: x, processes.Gaussian(), len, strength)


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0, 3.0])
def test_autoguidance_goes_away_from_the_bad_model(strength: float) -> None:
    x = _states()
    model = guidance.Autoguidance(lambda x, t, c: x + c, lambda x, t, c: 2 * x, strength)
    assert torch.allclose(model(x, 0.5, 1.0), 2 * x + strength * (1 - x))


def test_guidance_stays_within_its_interval() -> None:
    x, calls = _states(), []

    def guided(x, t, c=None):
        calls.append("guided")
        return x + 1

    def free(x, t, c=None):
        calls.append("free")
        return x

    model = guidance.GuidanceInterval(guided, free, 0.2, 0.6)
    for t, added in [(0.1, 0), (0.2, 1), (0.4, 1), (0.6, 1), (0.7, 0)]:
        assert torch.equal(model(x, t), x + added)
    assert calls == ["free", "guided", "guided", "guided", "free"]
    times = torch.tensor([0.1, 0.2, 0.4, 0.6, 0.7, 0.9])
    assert torch.equal(
        (model(x, times) - x)[:, 0].round(), torch.tensor([0, 1, 1, 1, 0, 0]).double()
    )
    assert torch.equal(model(x, times.clamp(0.3, 0.5)), x + 1)
    assert torch.equal(model(x, times.clamp(min=0.7)), x)


@pytest.mark.parametrize("ends", [(0.6, 0.2), (0.2, 0.2), (-0.1, 0.5), (0.5, 1.5)])
def test_intervals_that_are_refused(ends) -> None:
    with pytest.raises(InputError):
        guidance.GuidanceInterval(lambda x, t: x, lambda x, t: x, *ends)
