"""One step of every kind of dynamics, against its own formula and law."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward import Transport, grids, processes, samplers, schedules, spaces
from pushforward.analytic import AnalyticCircle, AnalyticMixture
from pushforward.distributions import WrappedNormal
from pushforward.dynamics import Flow, Jump, Parallel, Reaction, Split
from pushforward.errors import CapabilityError, InputError


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _flow(x: torch.Tensor, score: bool = True, g2: float = 0.8) -> Flow:
    weights = (-0.5, 0.25) if score else None
    return Flow(spaces.Euclidean(), (x, x**2), (2.0, -1.0), weights, g2)


def test_velocity_and_score_are_combinations() -> None:
    x = torch.randn(4, 3, generator=_generator())
    flow = _flow(x)
    assert torch.allclose(flow.velocity, 2 * x - x**2)
    assert torch.allclose(flow.score, -0.5 * x + 0.25 * x**2)


@pytest.mark.parametrize("h", [-0.1, 0.1])
def test_an_euler_step(h: float) -> None:
    x = torch.randn(4, 3, generator=_generator())
    assert torch.allclose(_flow(x).advance(x, h), x + h * (2 * x - x**2))


@pytest.mark.parametrize("h", [-0.1, 0.1])
@pytest.mark.parametrize("churn", [0.5, 1.0, 2.0])
def test_an_euler_maruyama_step(h: float, churn: float) -> None:
    x = torch.full((100_000, 1), 0.7)
    y = _flow(x).advance(x, h, churn, _generator())
    variance = churn * 0.8 * abs(h)
    mean = 0.7 + h * (1.4 - 0.49) + 0.5 * variance * (-0.35 + 0.25 * 0.49)
    assert float(y.mean()) == pytest.approx(mean, abs=4.5 * math.sqrt(variance / 100_000))
    assert float(y.var()) == pytest.approx(variance, rel=0.03)


def test_noise_needs_a_score_and_a_finite_diffusion() -> None:
    x = torch.zeros(2, 1)
    with pytest.raises(CapabilityError, match="no score"):
        _flow(x, score=False).advance(x, -0.1, 1.0, _generator())
    with pytest.raises(InputError, match="diffusion is infinite"):
        _flow(x, g2=math.inf).advance(x, -0.1, 1.0, _generator())


def test_on_a_manifold_a_step_is_a_retraction() -> None:
    north = torch.tensor([[0.0, 0.0, 1.0]])
    east = torch.tensor([[1.0, 0.0, 0.0]])
    flow = Flow(spaces.Sphere(), (east,), (math.pi,), None, 0.0)
    assert torch.allclose(flow.advance(north, 0.5), east, atol=1e-6)


def _jump(restore: float, destroy: float, n: int = 50_000) -> tuple[Jump, torch.Tensor]:
    x = torch.full((n, 1), 5)
    rates = torch.ones(n, 1)
    jump = Jump(
        spaces.Tokens(9),
        restore=Reaction(restore * rates, lambda generator: torch.zeros_like(x)),
        destroy=Reaction(destroy * rates, lambda generator: torch.full_like(x, 9)),
    )
    return jump, x


@pytest.mark.parametrize(
    ("h", "churn", "restored", "destroyed"),
    [
        (-0.5, 0.0, 1 - math.exp(-1.0), 0.0),
        (0.5, 0.0, 0.0, 1 - math.exp(-0.3)),
        # Both fire at (1 + churn) and churn times their rates; the first to fire wins.
        (-0.5, 0.5, (1 - math.exp(-1.65)) * 1.5 / 1.65, (1 - math.exp(-1.65)) * 0.15 / 1.65),
    ],
)
def test_a_tau_leap(h: float, churn: float, restored: float, destroyed: float) -> None:
    jump, x = _jump(2.0, 0.6)
    y = jump.advance(x, h, churn, _generator())
    error = 4.5 * 0.5 / math.sqrt(len(x))
    assert float((y == 0).float().mean()) == pytest.approx(restored, abs=error)
    assert float((y == 9).float().mean()) == pytest.approx(destroyed, abs=error)


def test_split_is_one_after_the_other() -> None:
    x = torch.randn(5, 2, generator=_generator())
    first, second = _flow(x), _flow(2 * x)
    both = Split((first, second)).advance(x, 0.1)
    assert torch.allclose(both, second.advance(first.advance(x, 0.1), 0.1))


def test_parallel_is_side_by_side() -> None:
    x, y = torch.randn(2, 5, 2, generator=_generator())
    moved = Parallel((_flow(x), _flow(y))).advance((x, y), -0.2)
    assert torch.allclose(moved[0], _flow(x).advance(x, -0.2))
    assert torch.allclose(moved[1], _flow(y).advance(y, -0.2))


@pytest.mark.parametrize("churn", [0.0, 1.0])
def test_a_product_has_the_law_of_each_factor(churn: float) -> None:
    plane = processes.Gaussian(schedules.VP())
    circle = processes.Brownian(spaces.Torus())
    flat = AnalyticMixture.gaussian(1.5, 0.7, dim=2)
    angles = AnalyticCircle(WrappedNormal(1.0, 0.5))
    models = flat.model(plane), angles.model(circle)
    product = processes.ProductProcess((plane, circle))

    def model(x, t, c=None):
        return tuple(m(part, t) for m, part in zip(models, x, strict=True))

    x = product.prior(((2,), (1,))).sample(20_000, seed=0)
    times = grids.UniformGrid()(plane.schedule, 200)
    found = samplers.run(samplers.Euler(churn), Transport(model, product), x, times, seed=1)
    assert float(found[0].mean()) == pytest.approx(1.5, abs=0.03)
    assert float(found[0].std()) == pytest.approx(0.7, abs=0.03)
    resultant = torch.cos(found[1] - 1.0).mean()
    assert float(resultant) == pytest.approx(math.exp(-(0.5**2) / 2), abs=0.02)
    # Coupled by nothing, they stay independent.
    together = torch.corrcoef(torch.stack([found[0][:, 0], torch.cos(found[1][:, 0] - 1.0)]))
    assert abs(float(together[0, 1])) < 4.5 / math.sqrt(20_000)
