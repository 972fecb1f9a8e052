"""Gaussian mixtures: density, and noised law, score and posterior mean under any schedule."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from pushforward import schedules
from pushforward.distributions import GaussianMixture
from pushforward.errors import InputError

WEIGHTS = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
MEANS = torch.tensor([[0.0, 1.0], [2.0, -1.0], [-1.5, 0.5]], dtype=torch.float64)
FULL = torch.tensor(
    [[[1.0, 0.4], [0.4, 0.5]], [[0.3, -0.1], [-0.1, 0.6]], [[0.2, 0.0], [0.0, 0.2]]],
    dtype=torch.float64,
)
LAWS = {
    "full": (GaussianMixture(MEANS, FULL, WEIGHTS), FULL),
    "diagonal": (
        GaussianMixture(MEANS, FULL.diagonal(dim1=1, dim2=2), WEIGHTS),
        torch.diag_embed(FULL.diagonal(dim1=1, dim2=2)),
    ),
    "isotropic": (
        GaussianMixture(MEANS, torch.tensor([1.0, 0.5, 0.2], dtype=torch.float64), WEIGHTS),
        torch.diag_embed(torch.tensor([[1.0, 1.0], [0.5, 0.5], [0.2, 0.2]], dtype=torch.float64)),
    ),
}


def _points(n: int = 40) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return 2 * torch.randn(n, 2, generator=generator, dtype=torch.float64)


@pytest.fixture(params=LAWS)
def case(request):
    return LAWS[request.param]


def test_the_density_is_the_sum_of_the_components(case) -> None:
    law, covariances = case
    x = _points()
    exact = sum(
        w * stats.multivariate_normal(m, c).pdf(x.numpy())
        for w, m, c in zip(WEIGHTS.tolist(), MEANS.numpy(), covariances.numpy(), strict=True)
    )
    assert torch.allclose(law.log_prob(x), torch.as_tensor(exact).log(), atol=1e-10)


def test_moments_of_the_law_and_of_its_draws(case) -> None:
    law, covariances = case
    mean = WEIGHTS @ MEANS
    second = covariances + MEANS[:, :, None] * MEANS[:, None]
    covariance = (WEIGHTS[:, None, None] * second).sum(0) - mean[:, None] * mean
    assert torch.allclose(law.mean, mean)
    assert torch.allclose(law.covariance, covariance)
    x = law.sample(100_000, seed=0)
    error = covariance.diagonal().sqrt() / math.sqrt(len(x))
    assert ((x.mean(0) - mean).abs() < 4.5 * error).all()
    assert torch.allclose(x.T.cov(), covariance, atol=0.03)
    assert torch.equal(law.sample(5, seed=1), law.sample(5, seed=1))


@pytest.mark.parametrize("schedule", [schedules.VP(), schedules.VE(sigma_max=3.0), schedules.OU()])
@pytest.mark.parametrize("t", [0.05, 0.5, 1.0])
def test_the_noised_law_is_a_mixture_again(case, schedule, t: float) -> None:
    law, covariances = case
    alpha, sigma = schedule.values(t)
    x = _points()
    spread = alpha**2 * covariances + sigma**2 * torch.eye(2, dtype=torch.float64)
    exact = GaussianMixture(alpha * MEANS, spread, WEIGHTS)
    assert torch.allclose(law.noised(alpha, sigma).log_prob(x), exact.log_prob(x), atol=1e-9)


@pytest.mark.parametrize("schedule", [schedules.VP(), schedules.Rectified()])
@pytest.mark.parametrize("t", [0.1, 0.6])
def test_score_and_posterior_mean_obey_tweedie(case, schedule, t: float) -> None:
    law, _ = case
    alpha, sigma = schedule.values(t)
    noised = law.noised(alpha, sigma)
    x = _points().requires_grad_()
    (slope,) = torch.autograd.grad(noised.log_prob(x).sum(), x)
    x = x.detach()
    assert torch.allclose(noised.score(x), slope, atol=1e-9)
    # E[x_0 | x_t] = (x_t + sigma^2 score) / alpha.
    mean = law.posterior_mean(x, alpha, sigma)
    assert torch.allclose(mean, (x + sigma**2 * slope) / alpha, atol=1e-8)
    times = torch.full((len(x),), t, dtype=torch.float64)
    assert torch.allclose(law.posterior_mean(x, *schedule(times)), mean, atol=1e-9)


def test_the_posterior_mean_by_quadrature() -> None:
    law = GaussianMixture(torch.tensor([[-1.0], [2.0]], dtype=torch.float64), 0.3)
    grid = torch.linspace(-8, 9, 20_001, dtype=torch.float64)[:, None]
    alpha, sigma, x = 0.7, 0.5, 0.4
    weight = law.log_prob(grid).exp() * torch.exp(-0.5 * ((x - alpha * grid[:, 0]) / sigma) ** 2)
    exact = (weight * grid[:, 0]).sum() / weight.sum()
    found = law.posterior_mean(torch.tensor([[x]], dtype=torch.float64), alpha, sigma)
    assert float(found) == pytest.approx(float(exact), rel=1e-8)


def test_weights_and_covariances_come_in_the_precision_of_the_means() -> None:
    single = GaussianMixture(MEANS, torch.ones(3), WEIGHTS.float())
    double = GaussianMixture(MEANS, torch.ones(3).double(), WEIGHTS.float().double())
    assert MEANS.dtype == torch.float64 == single.mean.dtype
    x = double.sample(5, seed=0)
    assert torch.equal(single.sample(5, seed=0), x)
    assert torch.equal(single.log_prob(x), double.log_prob(x))
    assert torch.equal(single.covariance, double.covariance)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianMixture(MEANS[0], 1.0), r"shape \(K, d\)"),
        (lambda: GaussianMixture(MEANS * torch.nan, 1.0), "finite"),
        (lambda: GaussianMixture(MEANS, 1.0, WEIGHTS * 2), "summing to"),
        (lambda: GaussianMixture(MEANS, 1.0, WEIGHTS * torch.nan), "positive weights"),
        (lambda: GaussianMixture(MEANS, 1.0, WEIGHTS[:2]), "3 components"),
        (lambda: GaussianMixture(MEANS, -1.0), "positive definite"),
        (lambda: GaussianMixture(MEANS, torch.ones(2, 2)), "do not fit"),
        (
            lambda: GaussianMixture(
                MEANS, FULL + torch.tensor([[0.0, 0.5], [0.0, 0.0]], dtype=torch.float64)
            ),
            "symmetric",
        ),
        (lambda: LAWS["full"][0].log_prob(torch.zeros(5, 1)), r"shape \(B, 2\)"),
        (lambda: LAWS["full"][0].log_prob(torch.zeros(5, 2)), "float64, the states are"),
    ],
)
def test_what_is_refused(make, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize("spread", [0.04, torch.linspace(0.02, 0.5, 900, dtype=torch.float64)])
def test_many_isotropic_components_have_the_mean_that_few_have(spread) -> None:
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(900, 16, generator=generator, dtype=torch.float64)
    law = GaussianMixture(means, spread)
    x = law.sample(400, seed=1)
    x = 0.8 * x + 0.3 * torch.randn(x.shape, generator=generator, dtype=torch.float64)
    # All at once without the gaps, and some at a time with them.
    found = law.posterior_mean(x, 0.8, 0.3)
    parts = torch.cat([law.posterior_mean(part, 0.8, 0.3) for part in x.split(100)])
    assert torch.allclose(found, parts, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("spread", ["one", "each", "diagonal"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("offset", [0.0, 2.0**13])
def test_products_of_matrices_lose_no_digits(
    spread: str, dtype: torch.dtype, offset: float
) -> None:
    g = torch.Generator().manual_seed(0)
    # Few digits, so that the offset takes none; and two clusters, so that no center takes it off.
    means = (torch.randn(60, 5, generator=g, dtype=torch.float64) * 64).round() / 64
    means[::2] += 2.0**12
    x = (means[:40] + (torch.randn(40, 5, generator=g) * 16).round() / 64).requires_grad_()
    variances = 0.05 + 0.2 * torch.rand(60, 5, generator=g, dtype=torch.float64)
    given = {"one": 0.1, "each": variances[:, 0], "diagonal": variances}[spread]
    full = given[:, None] if spread == "each" else given
    gap = x[:, None] - means
    v = (
        torch.as_tensor(full).expand(60, 5)
        if spread != "one"
        else torch.full((60, 5), 0.1, dtype=torch.float64).double()
    )
    each = -0.5 * (gap.square() / v + v.log() + math.log(2 * math.pi)).sum(-1) - math.log(60)
    right = each.logsumexp(1)
    (score,) = torch.autograd.grad(right.sum(), x)
    given = given.to(dtype) if isinstance(given, torch.Tensor) else given
    law = GaussianMixture((means + offset).to(dtype), given)
    at = (x.detach() + offset).to(dtype).requires_grad_()
    found = law.log_prob(at)
    tolerance = (
        {"rtol": 1e-6, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 1e-9, "atol": 1e-7}
    )
    torch.testing.assert_close(found.double(), right.double(), **tolerance)
    torch.testing.assert_close(
        law.score(at.detach()).double(),
        score,
        rtol=1e-4,
        atol=1e-3 if dtype == torch.float32 else 1e-6,
    )
    (slope,) = torch.autograd.grad(found.sum(), at, create_graph=True)
    torch.testing.assert_close(
        slope.double(), score, rtol=1e-4, atol=1e-3 if dtype == torch.float32 else 1e-6
    )
    assert torch.autograd.grad(slope.sum(), at)[0].isfinite().all()


def test_draws_of_turned_components_hold_no_matrix_for_each() -> None:
    dim, n = 60, 4000
    g = torch.Generator().manual_seed(0)
    root = torch.randn(3, dim, dim, generator=g) / dim**0.5
    law = GaussianMixture(torch.zeros(3, dim), root @ root.mT + 0.1 * torch.eye(dim))
    with torch.profiler.profile(profile_memory=True) as seen:
        x = law.sample(n, seed=0)
    largest = max(event.self_cpu_memory_usage for event in seen.events())
    assert largest < 8 * x.numel() * x.element_size()
    torch.testing.assert_close(x.mT.cov(), law.covariance, rtol=0, atol=0.15)


def _measured(dim: int = 2):
    matrix = torch.tensor([[1.0, -0.5], [0.3, 2.0]], dtype=torch.float64)[:dim]
    return matrix, torch.tensor([0.7, -1.2], dtype=torch.float64)[:dim]


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("variance", [0.3, [0.3, 0.05]])
def test_the_posterior_of_a_measurement_follows_bayes(case, dim: int, variance) -> None:
    prior, _ = case
    matrix, y = _measured(dim)
    noise = torch.as_tensor(variance, dtype=torch.float64)
    noise = noise.expand(dim) if noise.ndim == 0 else noise[:dim]
    x = _points()
    likelihood = torch.distributions.Normal(x @ matrix.mT, noise.sqrt()).log_prob(y).sum(-1)
    exact = prior.log_prob(x) + likelihood - prior.log_evidence(matrix, y, noise)
    assert torch.allclose(prior.posterior(matrix, y, noise).log_prob(x), exact, atol=1e-9)


def test_the_evidence_is_the_density_of_the_measurement(case) -> None:
    prior, covariances = case
    matrix, y = _measured()
    spread = matrix @ covariances @ matrix.mT + 0.3 * torch.eye(2)
    pushed = GaussianMixture(prior.means @ matrix.mT, spread, prior.weights)
    assert float(prior.log_evidence(matrix, y, 0.3)) == pytest.approx(
        float(pushed.log_prob(y[None]))
    )


def test_components_without_weight_leave_the_posterior() -> None:
    prior = GaussianMixture(torch.tensor([[-100.0], [0.0]]), 0.01)
    found = prior.posterior(torch.ones(1, 1), torch.zeros(1), 0.01)
    assert found.weights.tolist() == [1.0]
    assert found.means.abs().max() < 1e-6


@pytest.mark.parametrize("per_row", [False, True])
def test_the_posterior_covariance_is_the_derivative_of_the_mean(case, per_row: bool) -> None:
    prior, _ = case
    x, n = _points(8), 8
    alpha, sigma = (0.8, 0.6)
    if per_row:
        alpha, sigma = torch.linspace(0.3, 0.9, n).double(), torch.linspace(0.5, 0.2, n).double()
    slope = torch.autograd.functional.jacobian(lambda x: prior.posterior_mean(x, alpha, sigma), x)
    own = torch.stack([slope[k, :, k] for k in range(n)])
    factor = torch.as_tensor(sigma**2 / alpha).expand(n).reshape(-1, 1, 1)
    assert torch.allclose(prior.posterior_covariance(x, alpha, sigma), factor * own, atol=1e-10)


@pytest.mark.parametrize(
    ("matrix", "y", "variance", "message"),
    [
        (torch.ones(1, 3), torch.ones(1), 1.0, "matrix"),
        (torch.ones(1, 2), torch.ones(2), 1.0, "matrix"),
        (torch.ones(1, 2), torch.ones(1), 0.0, "positive"),
    ],
)
def test_measurements_that_a_mixture_refuses(matrix, y, variance, message: str) -> None:
    with pytest.raises(InputError, match=message):
        LAWS["full"][0].posterior(matrix, y, variance)
