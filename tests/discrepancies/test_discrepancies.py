"""Discrepancies against closed forms, with the best critic and with a trained one."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from pushforward import discrepancies
from pushforward.discrepancies import (
    KL,
    MMD,
    R1,
    Alpha,
    EnergyDistance,
    FDivergence,
    GradientPenalty,
    JensenShannon,
    Pearson,
    ReverseKL,
    SpectralNorm,
    SquaredHellinger,
    TotalVariation,
    Wasserstein,
    WeightClipping,
)
from pushforward.errors import InputError

P = torch.distributions.Normal(torch.tensor(0.3, dtype=torch.float64), 1.0)
Q = torch.distributions.Normal(torch.tensor(-0.5, dtype=torch.float64), 1.3)

KL_PQ = float(torch.distributions.kl_divergence(P, Q))
KL_QP = float(torch.distributions.kl_divergence(Q, P))
GAP, V1, V2 = 0.8, 1.0, 1.3**2


def _power(a: float) -> float:
    """The integral of `p^a q^(1-a)` of the two Gaussians."""
    v = (1 - a) * V1 + a * V2
    return math.sqrt(V1 ** (1 - a) * V2**a / v) * math.exp(-a * (1 - a) * GAP**2 / (2 * v))


CLOSED = {
    "kl": (KL(), KL_PQ),
    "reverse kl": (ReverseKL(), KL_QP),
    "hellinger": (SquaredHellinger(), 2 - 2 * _power(0.5)),
    "pearson": (Pearson(), _power(2.0) - 1),
    "alpha 0.3": (Alpha(alpha=0.3), (_power(0.3) - 1) / (0.3 * -0.7)),
    "alpha 2": (Alpha(alpha=2.0), (_power(2.0) - 1) / 2),
}
ALL = {
    **{name: divergence for name, (divergence, _) in CLOSED.items()},
    "total variation": TotalVariation(),
    "jensen-shannon": JensenShannon(),
}


def _by_quadrature(divergence: FDivergence) -> float:
    x = torch.linspace(-30, 30, 200_001, dtype=torch.float64)
    log_q, log_ratio = Q.log_prob(x), P.log_prob(x) - Q.log_prob(x)
    inside = log_ratio.abs() < 200
    value = log_q.exp() * divergence.f(log_ratio.exp())
    return float(value[inside].sum() * (x[1] - x[0]))


@pytest.mark.parametrize("name", CLOSED)
def test_the_divergence_of_two_gaussians_is_the_closed_form(name: str) -> None:
    divergence, exact = CLOSED[name]
    assert _by_quadrature(divergence) == pytest.approx(exact, abs=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_the_bound_with_the_best_critic_is_the_divergence(name: str) -> None:
    divergence = ALL[name]
    x = torch.linspace(-30, 30, 200_001, dtype=torch.float64)
    p, q = P.log_prob(x), Q.log_prob(x)
    inside = (p - q).abs() < 200
    best = divergence.slope(p - q)
    value = p.exp() * best - q.exp() * divergence.conjugate(best)
    found = float(value[inside].sum() * (x[1] - x[0]))
    # A jump of the total variation's critic costs a step of the grid.
    assert found == pytest.approx(_by_quadrature(divergence), abs=1e-4)


@given(t=st.floats(-3, 3), name=st.sampled_from(list(ALL)))
@settings(max_examples=100, deadline=None)
def test_the_conjugate_is_the_largest_difference(t: float, name: str) -> None:
    divergence = ALL[name]
    v = torch.tensor(t, dtype=torch.float64)
    at = divergence.activation(v)
    u = torch.logspace(-12, 8, 400_001, dtype=torch.float64)
    largest = float((u * at - divergence.f(u)).max())
    assert float(divergence.conjugate(at)) == pytest.approx(largest, abs=1e-4, rel=1e-4)
    assert float(divergence._at_fake(v)) == pytest.approx(largest, abs=1e-4, rel=1e-4)


@pytest.mark.parametrize("name", ALL)
def test_a_trained_critic_comes_from_below(name: str) -> None:
    divergence = ALL[name]
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 1)).double()
    optimizer = torch.optim.Adam(critic.parameters(), 1e-2)
    generator = torch.Generator().manual_seed(0)

    def draw(n: int) -> tuple[Tensor, Tensor]:
        noise = torch.randn(2, n, 1, generator=generator, dtype=torch.float64)
        return P.mean + noise[0], Q.mean + 1.3 * noise[1]

    for _ in range(400):
        optimizer.zero_grad()
        x, y = draw(1000)
        divergence.critic_loss(critic(x), critic(y)).mean().backward()
        nn.utils.clip_grad_norm_(critic.parameters(), 1.0)
        optimizer.step()
    with torch.no_grad():
        x, y = draw(100_000)
        values = divergence.bound(critic(x)[:, 0], critic(y)[:, 0])
    bound, error = float(values.mean()), float(values.std()) / len(values) ** 0.5
    exact = _by_quadrature(divergence)
    # Without critic the bound is f(1): zero, and -log 4 for the original game.
    start = float(divergence.f(torch.tensor(1.0)))
    assert bound <= exact + 4 * error
    assert bound - start > 0.85 * (exact - start)


def test_the_energy_distance_on_the_line() -> None:
    noise = torch.randn(2, 4000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x, y = P.mean + noise[0], Q.mean + 1.3 * noise[1]

    def absolute(mean: float, std: float) -> float:
        return std * math.sqrt(2 / math.pi) * math.exp(-(mean**2) / (2 * std**2)) + mean * math.erf(
            mean / (std * math.sqrt(2))
        )

    exact = 2 * absolute(GAP, math.sqrt(V1 + V2))
    exact -= absolute(0, math.sqrt(2 * V1)) + absolute(0, math.sqrt(2 * V2))
    values = EnergyDistance().estimate(x, y)
    assert float(values.mean()) == pytest.approx(exact, abs=4 * 2 * float(values.std()) / 4000**0.5)


def test_the_discrepancy_of_kernels_is_unbiased() -> None:
    width = 0.7
    mmd = MMD(widths=(width,))

    def mean_kernel(gap: float, variance: float) -> float:
        total = variance + width**2
        return width / math.sqrt(total) * math.exp(-(gap**2) / (2 * total))

    exact = mean_kernel(0, 2 * V1) + mean_kernel(0, 2 * V2) - 2 * mean_kernel(GAP, V1 + V2)
    generator = torch.Generator().manual_seed(0)
    few = []
    for _ in range(4000):
        noise = torch.randn(2, 4, 1, generator=generator, dtype=torch.float64)
        few.append(mmd.estimate(P.mean + noise[0], Q.mean + 1.3 * noise[1]).mean())
    found = torch.stack(few)
    # Four states each: a bias of order 1/4 would be seen.
    assert float(found.mean()) == pytest.approx(exact, abs=4 * float(found.std()) / 4000**0.5)


def test_gradients_of_kernels_are_finite_at_equal_states() -> None:
    for discrepancy in (MMD(), MMD("rational-quadratic"), EnergyDistance()):
        x = torch.zeros(3, 2, requires_grad=True)
        discrepancy.estimate(x, torch.zeros(3, 2)).sum().backward()
        assert x.grad is not None
        assert x.grad.isfinite().all()


class _Line(nn.Module):
    def __init__(self, slope: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[slope, 0.0]]))

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        return nn.functional.linear(x, self.weight)


def test_penalties_are_those_of_the_slope() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 5, 2, generator=generator)
    unit = GradientPenalty(10.0).penalty(_Line(1.0), x, y, None, generator)
    steep = GradientPenalty(10.0).penalty(_Line(3.0), x, y, None, generator)
    assert torch.allclose(unit, torch.zeros(5), atol=1e-6)
    assert torch.allclose(steep, torch.full((5,), 40.0), rtol=1e-5)
    flat = GradientPenalty(10.0, flat=1.0).penalty(_Line(0.5), x, y, None, generator)
    assert torch.allclose(flat, torch.full((5,), 2.5), rtol=1e-5)
    free = GradientPenalty(10.0).penalty(_Line(0.5), x, y, None, generator)
    assert torch.equal(free, torch.zeros(5))
    assert torch.allclose(R1(0.5).penalty(_Line(2.0), x, y, None, None), torch.ones(5), rtol=1e-5)


def test_a_normed_critic_has_no_slope_above_one() -> None:
    torch.manual_seed(0)
    critic = nn.Sequential(
        nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)
    )
    with torch.no_grad():
        for parameter in critic.parameters():
            parameter.mul_(10)
    SpectralNorm().begin(critic)
    for _ in range(50):
        critic(torch.zeros(1, 2))  # each pass in training improves the norm
    critic.eval()
    x = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0)).requires_grad_()
    (slope,) = torch.autograd.grad(critic(x).sum(), x)
    assert float(slope.norm(dim=1).max()) <= 1.01


def test_clipped_weights_stay_in_the_box() -> None:
    critic = nn.Linear(3, 1)
    with torch.no_grad():
        critic.weight.fill_(5.0)
    WeightClipping(0.1).project(critic)
    assert float(critic.weight.detach().abs().max()) == pytest.approx(0.1)


def test_a_penalized_critic_measures_a_shift() -> None:
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(2, 32), nn.SiLU(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(critic.parameters(), 5e-3, betas=(0.0, 0.9))
    generator = torch.Generator().manual_seed(0)
    shift = torch.tensor([2.0, 0.0])
    for _ in range(500):
        optimizer.zero_grad()
        x, y = torch.randn(2, 256, 2, generator=generator)
        x = x + shift
        loss = Wasserstein().critic_loss(critic(x), critic(y))
        more = GradientPenalty(10.0).penalty(lambda v, c: critic(v), x, y, None, generator)
        (loss + more).mean().backward()
        optimizer.step()
    x, y = torch.randn(2, 20_000, 2, generator=generator)
    with torch.no_grad():
        found = -float(Wasserstein().critic_loss(critic(x + shift), critic(y)).mean())
    # A penalty of weight 10 lets the slope be 1 + W / 20.
    assert found == pytest.approx(2 * (1 + 2 / 20), abs=0.1)


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="take KL for 1"):
        Alpha(alpha=1.0)
    with pytest.raises(InputError, match="non-saturating or minimax"):
        KL("maximin")
    with pytest.raises(InputError, match="at least two states"):
        MMD().estimate(torch.zeros(1, 1), torch.zeros(1, 1))
    with pytest.raises(InputError, match="widths of kernels"):
        MMD(widths=(0.0,))
    with pytest.raises(InputError, match="positive weight, not 0"):
        R1(0.0)
    assert set(discrepancies.NAMES) >= {"jensen-shannon", "wasserstein", "mmd", "energy"}
