"""What every sampler promises, whatever the process."""

from __future__ import annotations

import pytest
import torch

from pushforward import Transport, grids, processes, registry, samplers, schedules, spaces
from pushforward.analytic import AnalyticMixture, AnalyticPair, AnalyticTokens
from pushforward.distributions import GaussianMixture
from pushforward.errors import CapabilityError, InputError

OF_JUMPS = {
    *("tau-leap", "euler-leap", "remdm", "gibbs", "first-hitting", "uniformization"),
    *("confidence", "entropy-bounded", "birth-clocks"),
}
GAUSSIAN = [name for name in registry.names("samplers") if name not in OF_JUMPS]


def _gaussian(dim: int = 2):
    process = processes.Gaussian(schedules.Cosine())
    problem = AnalyticMixture(GaussianMixture(torch.ones(1, dim, dtype=torch.float64), 0.25))
    return Transport(problem.model(process), process), process


def _start(process, n: int = 64, dim: int = 2) -> torch.Tensor:
    return process.prior((dim,), process.schedule.t_max).sample(n, seed=0).double()


@pytest.mark.filterwarnings("ignore:.*Langevin moves each are too few")
@pytest.mark.parametrize("name", GAUSSIAN)
def test_evaluations_per_step_are_what_is_stated(name: str) -> None:
    transport, process = _gaussian()
    calls = []

    def model(x, t, c=None):
        calls.append(t)
        return transport.model(x, t, c)

    sampler = registry.resolve("samplers", name)
    times = grids.LogSNRGrid()(process.schedule, 6)
    samplers.run(sampler, Transport(model, process), _start(process), times, seed=0)
    # Zero stands for as many as it takes.
    assert len(calls) == 6 * sampler.evaluations or sampler.evaluations == 0


@pytest.mark.filterwarnings("ignore:.*Langevin moves each are too few")
@pytest.mark.parametrize("name", GAUSSIAN)
def test_the_last_frame_is_the_result(name: str) -> None:
    transport, process = _gaussian()
    times = grids.LogSNRGrid()(process.schedule, 5)
    sampler, x = registry.resolve("samplers", name), _start(process)
    frames = samplers.trajectory(sampler, transport, x, times, seed=3)
    result = samplers.run(sampler, transport, x, times, seed=3)
    assert len(frames) == 6
    assert torch.equal(frames[0], x)
    assert torch.equal(frames[-1], result)
    assert result.isfinite().all()


@pytest.mark.filterwarnings("ignore:.*Langevin moves each are too few")
@pytest.mark.parametrize("name", GAUSSIAN)
def test_the_start_is_left_alone(name: str) -> None:
    transport, process = _gaussian()
    x = _start(process)
    before = x.clone()
    samplers.run(registry.resolve("samplers", name), transport, x, [0.9, 0.5, 0.1], seed=0)
    assert torch.equal(x, before)


@pytest.mark.filterwarnings("ignore:.*Langevin moves each are too few")
@pytest.mark.parametrize("name", GAUSSIAN)
def test_callbacks_see_every_step(name: str) -> None:
    transport, process = _gaussian()
    times = [0.9, 0.5, 0.1]
    seen = []
    samplers.run(
        registry.resolve("samplers", name),
        transport,
        _start(process),
        times,
        seed=0,
        callback=lambda k, t, state: seen.append((k, t)),
    )
    assert seen == [(1, 0.5), (2, 0.1)]


@pytest.mark.parametrize("name", registry.names("samplers"))
@pytest.mark.parametrize("grid", [[0.5], [0.9, 0.9], [0.9, 0.1, 0.5], [1.2, 0.1], [0.5, -0.1]])
def test_grids_that_are_refused(name: str, grid: list[float]) -> None:
    transport, process = _gaussian()
    with pytest.raises(InputError, match="grid"):
        samplers.run(registry.resolve("samplers", name), transport, _start(process), grid, seed=0)


def _tokens():
    problem, process = AnalyticTokens.random(3, 2, seed=0), processes.Masking(spaces.Tokens(3))
    return Transport(problem.model(process), process), process.prior((2,)).sample(4)


def _circle():
    process = processes.Brownian(spaces.Torus())
    return Transport(lambda x, t, c=None: 0 * x, process), torch.zeros(4, 1)


def _pair():
    process = processes.Bridge(1.0)
    return Transport(AnalyticPair().model(process), process), torch.zeros(4, 1)


CANNOT = [
    ("heun", _tokens, "needs a flow, not Jump"),
    ("dpm++2m", _tokens, "Gaussian processes, not Masking"),
    ("dpm++2m", _circle, "Gaussian processes, not Brownian"),
    ("dpm++2m", _pair, "Gaussian processes, not Bridge"),
    ("ddpm", _circle, "Brownian has no pinned kernel"),
    ("ddim", _pair, "Bridge has no pinned kernel"),
]


@pytest.mark.parametrize(("name", "case", "message"), CANNOT)
def test_a_sampler_says_what_it_cannot_do(name: str, case, message: str) -> None:
    transport, x = case()
    with pytest.raises(CapabilityError, match=message):
        samplers.run(registry.resolve("samplers", name), transport, x, [0.9, 0.5], seed=0)


@pytest.mark.parametrize("name", ["ddpm", "dpm++2m", "deis", "edm", "pc", "langevin"])
def test_some_run_towards_the_data_only(name: str) -> None:
    transport, process = _gaussian()
    with pytest.raises(InputError, match="towards the data"):
        samplers.run(
            registry.resolve("samplers", name), transport, _start(process), [0.1, 0.9], seed=0
        )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: samplers.Euler(-1.0), "churn is a finite number"),
        (lambda: samplers.Euler(float("inf")), "churn is a finite number"),
        (lambda: samplers.Ancestral(1.5), "at most 1, not 1.5"),
        (lambda: registry.resolve("samplers", "hein"), "did you mean 'heun'"),
        (lambda: registry.resolve("samplers", samplers.Heun), r"make one, Heun\(\)"),
    ],
)
def test_what_is_refused(make, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


# An adaptive step depends on the state, so a slope of its noise would be none of its law.
@pytest.mark.filterwarnings("ignore:.*Langevin moves each are too few")
@pytest.mark.parametrize("name", [name for name in GAUSSIAN if name != "adaptive-sde"])
def test_gradients_flow_through_a_run(name: str) -> None:
    transport, process = _gaussian()
    x = _start(process, 3).requires_grad_()
    times = [0.8, 0.5, 0.2]
    sampler = registry.resolve("samplers", name)
    (slope,) = torch.autograd.grad(
        samplers.run(sampler, transport, x, times, seed=0).square().sum(), x
    )
    h = 1e-6
    ends = [
        samplers.run(sampler, transport, x.detach() + s * h, times, seed=0).square().sum()
        for s in (-1, 1)
    ]
    assert float(slope.sum()) == pytest.approx(float((ends[1] - ends[0]) / (2 * h)), rel=1e-5)
