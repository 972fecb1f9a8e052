"""Classifier-free guidance: its formula, its limits, its cost."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import pushforward as pf
from pushforward.errors import CapabilityError, InputError
from pushforward.guidance import ClassifierFree, GuidanceInterval, conditioned, given
from pushforward.protocols import Transport
from pushforward.samplers import Euler, run


class Counting:
    """`x + 10 c`, with no label worth 3; counts its calls."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, x, t, c=None):
        self.batches.append(len(x))
        shift = torch.where(c < 0, 3.0, 10.0 * c.to(x.dtype))
        return x + shift.unsqueeze(-1)


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0, 4.0])
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
def test_the_formula_row_by_row(strength: float, dtype: torch.dtype) -> None:
    x = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    c = torch.tensor([0, 1, 2], dtype=dtype)
    model = Counting()
    found = ClassifierFree(model, strength)(x, 0.5, c)
    exact = x + 3 + strength * (10 * c - 3).unsqueeze(-1)
    assert torch.allclose(found, exact, atol=1e-5)
    assert model.batches == [6]


def test_contexts_are_guided_away_from_a_row_of_nan() -> None:
    def model(x, t, c=None):
        return x + torch.where(c.isnan(), 3.0, 10.0 * c)

    x, c = torch.zeros(3, 2), torch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    assert torch.allclose(ClassifierFree(model, 4.0)(x, 0.5, c), 3 + 4 * (10 * c - 3))


def test_a_model_of_contexts_is_guided() -> None:
    model = pf.Diffusion(pf.nn.MLP(2, width=8, context=3), event_shape=(2,)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3, generator=torch.Generator().manual_seed(0))
    context, x = torch.ones(4, 3), torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    guided = conditioned(model.predictor, model.condition, context, 2.0)(x, 0.5)
    free, bound = model.predictor(x, 0.5), model.predictor(x, 0.5, context)
    assert torch.allclose(guided, 2 * bound - free, atol=1e-5)
    assert not torch.allclose(bound, free, atol=1e-2)
    assert model.sample(4, context, guidance=2.0, steps=4, seed=0).isfinite().all()


def test_guidance_of_draws_keeps_to_its_interval() -> None:
    model = pf.Diffusion(pf.nn.MLP(2, width=8, context=3), event_shape=(2,)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3, generator=torch.Generator().manual_seed(0))
    c = torch.ones(4, 3)
    drawn = [
        model.sample(4, c, guidance=3.0, guidance_interval=within, steps=6, seed=0, sampler="euler")
        for within in (None, (0.0, 1.0), (0.2, 0.7), (1e-9, 2e-9))
    ]
    # The wrapper by hand, along the same times.
    guided = GuidanceInterval(ClassifierFree(model.predictor, 3.0), model.predictor, 0.2, 0.7)
    times = model.grid(model.process.clock, 5, start=1.0, stop=model.process.interval[1])
    transport = Transport(given(guided, c), model.process)
    with torch.no_grad():
        x = run(Euler(), transport, model._start(4, times[0], 0), times)
        by_hand = transport.model(x, times[-1])
    assert torch.equal(drawn[0], drawn[1])
    assert torch.allclose(drawn[2], by_hand, atol=1e-5)
    assert not torch.allclose(drawn[2], drawn[0], atol=1e-3)
    assert torch.equal(drawn[3], model.sample(4, c, steps=6, seed=0, sampler="euler"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"guidance_interval": (0.2, 0.7)}, "guidance=1 is none"),
        ({"guidance": 2.0, "guidance_interval": 0.5}, "is two times, such as"),
        ({"guidance": 2.0, "guidance_interval": (0.7, 0.2)}, "from 0.7 to 0.2"),
    ],
)
def test_intervals_that_draws_refuse(options, message: str) -> None:
    model = pf.Diffusion(pf.nn.MLP(2, width=8, context=3), event_shape=(2,))
    with pytest.raises(InputError, match=message):
        model.sample(2, torch.ones(3), steps=3, **options)


def test_a_network_that_never_saw_a_missing_context_is_not_guided() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))

        def forward(self, x, t, c=None):
            return x * self.weight + (0 if c is None else c.to(x).unsqueeze(-1))

    model = pf.Diffusion(Own(), event_shape=(2,))
    with pytest.raises(CapabilityError, match="neither num_classes nor context_size"):
        model.sample(3, torch.tensor([0, 1, 2]), guidance=2.0, steps=4)


def test_times_of_a_batch_are_doubled_too() -> None:
    seen = []

    def model(x, t, c=None):
        seen.append(t)
        return x

    ClassifierFree(model, 2.0)(torch.zeros(2, 1), torch.tensor([0.1, 0.2]), torch.tensor([0, 1]))
    assert seen[0].tolist() == pytest.approx([0.1, 0.2, 0.1, 0.2])


@pytest.mark.parametrize(
    "c", [None, 1, torch.tensor([1.0, 2.0]), torch.tensor([True, False]), torch.tensor([1])]
)
def test_labels_are_needed(c) -> None:
    with pytest.raises(InputError, match="needs int64 or int32 labels, one per state"):
        ClassifierFree(Counting(), 2.0)(torch.zeros(2, 1), 0.5, c)


@pytest.mark.parametrize("strength", [-1.0, math.inf, math.nan])
def test_strengths_that_are_refused(strength: float) -> None:
    with pytest.raises(InputError, match="finite and non-negative"):
        ClassifierFree(Counting(), strength)


# EDM tells the network another time than the process has.
@pytest.mark.parametrize("predict", sorted(set(pf.registry.names("predictions")) - {"edm"}))
def test_guiding_the_mean_is_guiding_the_score(predict: str) -> None:
    # Two point masses, one per class: the guided score is known, and so is the guided mean.
    process = pf.processes.Gaussian(pf.schedules.VP())
    table = pf.registry.resolve("predictions", predict)

    class Exact(nn.Module):
        num_classes = 2

        def forward(self, x, t, c=None):
            alpha, sigma = (k.unsqueeze(-1) for k in process.schedule(t))
            free = torch.tanh(alpha * x / sigma**2)
            labels = torch.where(c < 0, torch.zeros_like(c), 2 * c - 1).unsqueeze(-1)
            mean = torch.where(c.unsqueeze(-1) < 0, free, labels.to(x))
            row = table(process.schedule, t)
            return pf.parametrizations.write(row, mean, x)

    model = pf.Diffusion(Exact(), process, predict=predict, event_shape=(1,))
    x, c = torch.tensor([[0.3], [-0.2]]), torch.tensor([1, 0])
    alpha, sigma = process.schedule.values(0.6)
    free = torch.tanh(alpha * x / sigma**2)
    bound = torch.tensor([[1.0], [-1.0]])
    guided = ClassifierFree(model.predictor, 3.0)(x, 0.6, c)
    assert torch.allclose(guided, free + 3 * (bound - free), atol=1e-4)
    scores = [process.dynamics(mean, x, 0.6).score for mean in (free, bound, guided)]
    assert torch.allclose(scores[2], scores[0] + 3 * (scores[1] - scores[0]), atol=1e-3)
