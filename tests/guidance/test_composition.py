"""Posteriors of several observations, composed of models of one each, against closed forms."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from pushforward import guidance, registry, samplers
from pushforward.errors import InputError
from pushforward.metrics import sliced_wasserstein
from pushforward.models.simulation import times_of
from pushforward.processes import Gaussian
from pushforward.protocols import Transport

PROCESS = Gaussian()
D = 2
COVARIANCE = torch.tensor([[1.0, 0.5], [0.5, 0.8]])
NOISE = torch.tensor([[0.6, -0.2], [-0.2, 0.3]])
GAIN = COVARIANCE @ torch.linalg.inv(COVARIANCE + NOISE)
ONE = COVARIANCE - GAIN @ COVARIANCE
"""The covariance of the posterior given one observation, `y ~ N(theta, NOISE)`."""


def _values(t: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    alpha, sigma = PROCESS.schedule.values(t)
    return alpha.reshape(-1, 1), sigma.reshape(-1, 1)


def linear(x: Tensor, t: Any, c: Any = None) -> Tensor:
    """`E[theta | x_t, y]` with one observation a row."""
    alpha, sigma = _values(t, x)
    moment_a, moment_s = float(alpha[0]), float(sigma[0])
    mean = c @ GAIN.mT
    noised = moment_a**2 * ONE + moment_s**2 * torch.eye(D)
    gain = moment_a * ONE @ torch.linalg.inv(noised)
    return mean + (x - moment_a * mean) @ gain.mT


def observations(n: int, seed: int, narrow: bool = False) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    theta = torch.linalg.cholesky(COVARIANCE) @ torch.randn(D, generator=g)
    noise = torch.randn(n, D, generator=g)
    if narrow:
        scale = torch.where(torch.rand(n, 1, generator=g) < 0.5, *map(torch.tensor, SCALES))
        return 0.7 * theta + scale * noise
    return theta + noise @ torch.linalg.cholesky(NOISE).mT


def _times(steps: int) -> list[float]:
    return list(times_of(PROCESS, PROCESS.grid, steps, None, None))


def _drawn(model: Any, n: int, steps: int = 50) -> Tensor:
    """Draws by the default sampler, denoised at the end."""
    times = _times(steps)
    start = torch.randn(n, D, generator=torch.Generator().manual_seed(5))
    rule = registry.resolve("samplers", PROCESS.sampler)
    with torch.no_grad():
        x = samplers.run(rule, Transport(model, PROCESS), start, times, seed=1)
        return model(x, torch.tensor(times[-1]))


def _exact(y: Tensor) -> torch.distributions.MultivariateNormal:
    precision = torch.linalg.inv(COVARIANCE) + len(y) * torch.linalg.inv(NOISE)
    pull = torch.linalg.inv(NOISE) @ y.sum(0)
    covariance = torch.linalg.inv(precision)
    covariance = (covariance + covariance.mT) / 2
    return torch.distributions.MultivariateNormal(covariance @ pull, covariance)


def _composed(kind: Any, y: Tensor, model: Any = linear, **more: Any) -> Any:
    return kind(
        model=model, contexts=y, process=PROCESS, mean=torch.zeros(D), covariance=COVARIANCE, **more
    )


@pytest.mark.parametrize("n", [1, 8, 90])
@pytest.mark.parametrize("kind", ["gauss", "jac"])
def test_normal_posteriors_are_exact_at_every_time(kind: str, n: int) -> None:
    y = observations(n, n)
    if kind == "gauss":
        model = _composed(guidance.GaussComposition, y, covariances=ONE.expand(n, D, D))
    else:
        model = _composed(guidance.JacobianComposition, y)
    exact = _exact(y)
    x = torch.randn(20, D, generator=torch.Generator().manual_seed(0))
    for t in (0.9, 0.5, 0.1):
        alpha, sigma = (float(v) for v in PROCESS.schedule.values(t))
        noised = alpha**2 * exact.covariance_matrix + sigma**2 * torch.eye(D)
        score = -(x - alpha * exact.mean) @ torch.linalg.inv(noised)
        assert torch.allclose(
            model.score(x, t), score, rtol=2e-2, atol=2e-2 * float(score.abs().max())
        )


@pytest.mark.parametrize("n", [1, 2, 30, 90])
def test_gauss_draws_are_those_of_the_closed_form_at_fifty_steps(n: int) -> None:
    y = observations(n, 10 + n)
    model = _composed(guidance.GaussComposition, y, covariances=ONE.expand(n, D, D))
    exact = _exact(y)
    deviation = float(exact.covariance_matrix.diagonal().max().sqrt())
    noise = torch.randn(1000, D, generator=torch.Generator().manual_seed(0))
    reference = exact.mean + noise @ exact.scale_tril.mT
    # In deviations of the answer, which shrinks with the number of observations.
    found = sliced_wasserstein(_drawn(model, 1000) / deviation, reference / deviation)
    assert found.value < 0.25


def test_adding_scores_without_care_is_wrong_at_intermediate_times() -> None:
    y = observations(8, 3)
    exact, x = _exact(y), torch.randn(20, D, generator=torch.Generator().manual_seed(0))
    alpha, sigma = (float(v) for v in PROCESS.schedule.values(0.5))
    noised = alpha**2 * exact.covariance_matrix + sigma**2 * torch.eye(D)
    score = -(x - alpha * exact.mean) @ torch.linalg.inv(noised)
    found = _composed(guidance.FactorizedComposition, y).score(x, 0.5)
    assert float((found - score).norm() / score.norm()) > 0.5
    # At the end there is no difference.
    late = _composed(guidance.FactorizedComposition, y).score(x, 1e-4)
    answer = -(x - exact.mean) @ exact.precision_matrix
    assert torch.allclose(late, answer, rtol=5e-2, atol=5e-2 * float(answer.abs().max()))


# -- several modes: noise that is wide or narrow ------------------------------------------------

SCALES = (1.5, 1 / 3)


def _parts(y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Log-weights `(B, 2)`, means `(B, 2, d)` and variances `(2,)`; the prior is `N(0, I)`."""
    noise = torch.tensor(SCALES).square()
    variance = 1 / (1 + 1 / noise)
    total = (1 + noise)[None]
    log_weight = -0.5 * (y.square().sum(-1, keepdim=True) / total + D * total.log())
    return log_weight, y[:, None] * (variance / noise)[None, :, None], variance


def mixed(x: Tensor, t: Any, c: Any = None) -> Tensor:
    """`E[theta | x_t, y]` of the mixture."""
    alpha, sigma = (v[..., None] for v in _values(t, x))
    log_weight, means, variance = _parts(c)
    spread = alpha[..., 0] ** 2 * variance + sigma[..., 0] ** 2
    gap = x[:, None] - alpha * means
    log_joint = log_weight - 0.5 * (gap.square().sum(-1) / spread + D * spread.log())
    parts = means + (alpha * variance[None, :, None] / spread[..., None]) * gap
    return (log_joint.softmax(-1)[..., None] * parts).sum(1)


def _reference(y: Tensor, n: int) -> Tensor:
    """Draws of the posterior, from its density on a grid."""
    low, high = y.mean(0) - 1.8, y.mean(0) + 1.8
    low, high = (
        torch.minimum(low, torch.full((D,), -0.5)),
        torch.maximum(high, torch.full((D,), 0.5)),
    )
    side = [torch.linspace(float(a), float(b), 500) for a, b in zip(low, high, strict=True)]
    grid = torch.cartesian_prod(*side)
    noise = torch.tensor(SCALES).square()
    log_density = -0.5 * grid.square().sum(-1)
    for row in y:
        gap = (grid - row).square().sum(-1, keepdim=True)
        log_density = log_density + torch.logsumexp(-0.5 * (gap / noise + D * noise.log()), -1)
    g = torch.Generator().manual_seed(0)
    chosen = torch.multinomial((log_density - log_density.max()).exp(), n, True, generator=g)
    cell = torch.tensor([float(s[1] - s[0]) for s in side])
    return grid[chosen] + cell * (torch.rand(n, D, generator=g) - 0.5)


@pytest.mark.parametrize("n", [2, 10, 90])
def test_langevin_steps_find_the_posterior_of_a_mixture(n: int) -> None:
    y = observations(n, 40 + n, narrow=True)
    model = guidance.FactorizedComposition(
        model=mixed, contexts=y, process=PROCESS, mean=torch.zeros(D), covariance=torch.eye(D)
    )

    def covariance(t: float) -> Tensor:
        # Narrow noise counts most: between its precision alone and none of it.
        alpha, sigma = (float(v) for v in PROCESS.schedule.values(t))
        each = 1 / (alpha**2 / (1 + 9 / 2) + sigma**2)
        return torch.eye(D) / (1 + n * each)

    # Two draws of 300 are a tenth of a standard deviation apart, which two observations leave wide.
    draws = 800 if n == 2 else 300
    start = torch.randn(draws, D, generator=torch.Generator().manual_seed(2))
    rule = samplers.PreconditionedLangevin(steps=8, step=0.2, last=80)
    x = rule.run(model.score, covariance, start, _times(40), seed=0)
    assert sliced_wasserstein(x, _reference(y, draws)).value < 0.05 + 0.04 * (n == 2)


def test_langevin_steps_stay_within_modes_far_apart() -> None:
    """Of modes at -2 and 2, a hundred times narrower than the covariance of both."""
    spread = torch.tensor(0.04)

    def score(x: Tensor, t: float) -> Tensor:
        weights = (x[..., None] * torch.tensor([-2.0, 2.0]) / spread).softmax(-1)
        return ((weights * torch.tensor([-2.0, 2.0])).sum(-1) - x) / spread

    start = 2 * torch.randn(500, 1, generator=torch.Generator().manual_seed(0)).sign()
    rule = samplers.PreconditionedLangevin(steps=30, last=60)
    x = rule.run(score, lambda t: 4 * torch.eye(1), start, [0.5, 0.1], seed=0)
    assert float((x.abs() - 2).square().mean()) == pytest.approx(float(spread), rel=0.25)


def test_bad_covariances_are_named() -> None:
    y = observations(3, 0)
    with pytest.raises(InputError, match="covariance of the prior is a positive definite"):
        guidance.FactorizedComposition(
            model=linear, contexts=y, process=PROCESS, mean=torch.zeros(D),
            covariance=-torch.eye(D),
        )  # fmt: skip
    with pytest.raises(InputError, match=r"3 observations have covariances of shape \(3, 2, 2\)"):
        _composed(guidance.GaussComposition, y, covariances=ONE[None])
    with pytest.raises(InputError, match=r"below 1, not 1\.5"):
        samplers.PreconditionedLangevin(step=1.5)


def test_a_total_precision_that_errors_made_indefinite_is_mended() -> None:
    y = observations(6, 0)
    # Individual posteriors wider than the prior: the formula subtracts more than there is.
    wide = (1.3 * COVARIANCE).expand(6, D, D)
    model = _composed(guidance.GaussComposition, y, covariances=wide)
    assert bool((torch.linalg.eigvalsh(model.composed - model.precision) > -1e-4).all())
    assert math.isfinite(float(_drawn(model, 20).sum()))
