"""Discrepancies against closed forms, with the best critic and with a trained one."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from pushforward import registry
from pushforward.discrepancies import (
    KL,
    MMD,
    R1,
    R1R2,
    Alpha,
    EnergyDistance,
    FDivergence,
    GradientPenalty,
    JensenShannon,
    LearnedMMD,
    Pearson,
    RelativisticPairs,
    ReverseKL,
    SinkhornDivergence,
    SpectralNorm,
    SquaredHellinger,
    TotalVariation,
    Wasserstein,
    WeightClipping,
)
from pushforward.errors import CapabilityError, InputError
from pushforward.ot import GaussianPlan


def _normal(mean: float, std: float) -> torch.distributions.Normal:
    return torch.distributions.Normal(torch.tensor(mean, dtype=torch.float64), std)


P, Q = _normal(0.3, 1.0), _normal(-0.5, 1.3)
GAP, V1, V2 = 0.8, 1.0, 1.3**2
PAIRS = {
    "wider": (P, Q),
    "shifted": (_normal(0.0, 1.0), _normal(1.5, 1.0)),
    "narrower": (_normal(0.0, 1.1), _normal(0.2, 0.9)),
    "equal": (P, P),
}


def _power(p, q, a: float) -> float:
    """The integral of `p^a q^(1-a)` of two Gaussians."""
    v1, v2, gap = float(p.variance), float(q.variance), float(p.mean - q.mean)
    v = (1 - a) * v1 + a * v2
    return math.sqrt(v1 ** (1 - a) * v2**a / v) * math.exp(-a * (1 - a) * gap**2 / (2 * v))


def _crossings(p, q) -> list[float]:
    """Where two Gaussian densities are equal: the roots of a quadratic."""
    v1, v2, m1, m2 = (float(v) for v in (p.variance, q.variance, p.mean, q.mean))
    a, b = 1 / v2 - 1 / v1, 2 * (m1 / v1 - m2 / v2)
    c = m2**2 / v2 - m1**2 / v1 + math.log(v2 / v1)
    if a == 0:
        return [-c / b] if b else []
    root = math.sqrt(b * b - 4 * a * c)
    return sorted([(-b - root) / (2 * a), (-b + root) / (2 * a)])


def _total_variation(p, q) -> float:
    """Half the sum of what one law has more than the other between the crossings."""
    edges = torch.tensor([-torch.inf, *_crossings(p, q), torch.inf], dtype=torch.float64)
    return 0.5 * float((p.cdf(edges) - q.cdf(edges)).diff().abs().sum())


def _jensen_shannon(p, q) -> float:
    """`2 JS - log 4`, by the two entropies relative to the mixture: it has no closed form."""
    x = torch.linspace(-30, 30, 200_001, dtype=torch.float64)
    a, b = p.log_prob(x), q.log_prob(x)
    middle = torch.logaddexp(a, b) - math.log(2)
    value = a.exp() * (a - middle) + b.exp() * (b - middle)
    return float(value.sum() * (x[1] - x[0])) - math.log(4)


kl = torch.distributions.kl_divergence
CLOSED = {
    "kl": (KL(), lambda p, q: float(kl(p, q))),
    "reverse kl": (ReverseKL(), lambda p, q: float(kl(q, p))),
    "total variation": (TotalVariation(), _total_variation),
    "hellinger": (SquaredHellinger(), lambda p, q: 2 - 2 * _power(p, q, 0.5)),
    "pearson": (Pearson(), lambda p, q: _power(p, q, 2.0) - 1),
    "alpha 0.3": (Alpha(alpha=0.3), lambda p, q: (_power(p, q, 0.3) - 1) / (0.3 * -0.7)),
    "alpha 2": (Alpha(alpha=2.0), lambda p, q: (_power(p, q, 2.0) - 1) / 2),
    "jensen-shannon": (JensenShannon(), _jensen_shannon),
}
ALL = {name: divergence for name, (divergence, _) in CLOSED.items()}


def test_every_divergence_has_its_closed_form() -> None:
    kinds = {registry.find("discrepancies", name) for name in registry.names("discrepancies")}
    named = {kind for kind in kinds if issubclass(kind, FDivergence)}
    assert named == {type(divergence) for divergence in ALL.values()}


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("name", CLOSED)
def test_the_bound_with_the_best_critic_is_the_closed_form(name: str, pair: str) -> None:
    (divergence, closed), (p, q) = CLOSED[name], PAIRS[pair]
    x = torch.linspace(-30, 30, 200_001, dtype=torch.float64)
    log_p, log_q = p.log_prob(x), q.log_prob(x)
    # Beyond, neither law has mass and the conjugates lose all digits.
    inside = (log_p - log_q).abs() < 40

    def integral(value: Tensor) -> float:
        return float(value[inside].sum() * (x[1] - x[0]))

    best = divergence.slope(log_p - log_q)
    bound = integral(log_p.exp() * best - log_q.exp() * divergence.conjugate(best))
    definition = integral(log_q.exp() * divergence.f((log_p - log_q).exp()))
    # A jump of the total variation's critic costs a step of the grid.
    allowed = 1e-4 if name == "total variation" else 1e-6
    assert bound == pytest.approx(closed(p, q), abs=allowed)
    assert definition == pytest.approx(closed(p, q), abs=1e-6)


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
    exact = CLOSED[name][1](P, Q)
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


def test_the_witness_is_the_difference_of_mean_kernels() -> None:
    """`E k(v, x) - E k(v, y)`, in closed form for Gaussians; its mean difference is the square."""
    noise = torch.randn(2, 1000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x, y = P.mean + noise[0], Q.mean + 1.3 * noise[1]
    v, width = torch.linspace(-3, 3, 7, dtype=torch.float64).unsqueeze(1), 0.7
    mmd = MMD(widths=(width,))

    def mean_kernel(law, variance: float) -> Tensor:
        total = variance + width**2
        return width / math.sqrt(total) * (-(v[:, 0] - law.mean).square() / (2 * total)).exp()

    exact = mean_kernel(P, V1) - mean_kernel(Q, V2)
    # A kernel is at most one, so that each mean has a standard error of at most half over the root.
    assert (mmd.witness(v, x, y) - exact).abs().max() < 4 * math.sqrt(2) * 0.5 / 1000**0.5
    between = mmd.witness(x, x, y).mean() - mmd.witness(y, x, y).mean()
    # This is the biased estimate, with each state's kernel with itself.
    assert float(between) == pytest.approx(float(mmd.estimate(x, y).mean()), abs=2 / 1000)


def _learned(p, q) -> Tensor:
    """Estimates on fresh batches, with a kernel learned on others."""
    torch.manual_seed(0)
    game = LearnedMMD(outputs=4)
    critic = nn.Sequential(nn.Linear(2, 32), nn.SiLU(), nn.Linear(32, 4))
    optimizer = torch.optim.Adam(critic.parameters(), 1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        game.critic_loss(critic(p()), critic(q())).mean().backward()
        optimizer.step()
    with torch.no_grad():
        return torch.stack([game.estimate(critic(p()), critic(q())).mean() for _ in range(200)])


def test_a_learned_kernel_tells_laws_apart_and_equal_ones_not() -> None:
    """Two laws with the same variances, one of them correlated; and one law twice."""
    generator = torch.Generator().manual_seed(0)

    def plain() -> Tensor:
        return torch.randn(64, 2, generator=generator)

    def correlated() -> Tensor:
        a, b = plain().unbind(1)
        return torch.stack([a, 0.6 * a + 0.8 * b], 1)

    fixed = torch.stack([LearnedMMD().estimate(plain(), correlated()).mean() for _ in range(200)])
    found, nothing = _learned(plain, correlated), _learned(plain, plain)
    error = 200**-0.5
    assert float(found.mean() - fixed.mean()) > 4 * error * float(found.std() + fixed.std())
    # Unbiased even so: what was learned on other batches finds no difference where there is none.
    assert abs(float(nothing.mean())) < 4 * error * float(nothing.std())


def test_the_divergence_of_a_shifted_batch_is_the_square_of_the_shift() -> None:
    """And its gradient leads back, whatever the entropy."""
    x = torch.randn(60, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    shift = torch.tensor([1.0, -0.5, 0.25], dtype=torch.float64)
    for epsilon in (0.1, 0.5):
        game = SinkhornDivergence(epsilon=epsilon, tolerance=1e-7)
        y = (x + shift).requires_grad_()
        value = game.generator_loss(x, y)
        assert torch.allclose(value, shift.square().sum().expand(60), atol=1e-6)
        (slope,) = torch.autograd.grad(value.mean(), y)
        assert torch.allclose(slope, 2 * shift.expand(60, 3) / 60, atol=1e-6)
        assert torch.allclose(game.generator_loss(x, x), torch.zeros(60).double(), atol=1e-6)
        assert torch.equal(game.critic_loss(x, y), -game.generator_loss(x, y))


def test_the_divergence_of_gaussians_is_the_closed_form() -> None:
    """Of the laws, by `ot.GaussianPlan`, within the error of two halves of the sample."""
    mean, spread = torch.tensor([0.5, 0.0]), torch.tensor([1.0, 0.6])
    noise = torch.randn(2, 1500, 2, generator=torch.Generator().manual_seed(0))
    x, y = noise[0].double(), (mean + spread * noise[1]).double()
    game = SinkhornDivergence(epsilon=0.5, tolerance=1e-6)
    eye, other = torch.eye(2).double(), spread.square().diag().double()
    nothing, shift = torch.zeros(2).double(), mean.double()

    def cost(m1: Tensor, c1: Tensor, m2: Tensor, c2: Tensor) -> float:
        return GaussianPlan(m1, c1, m2, c2, epsilon=1.0).regularized_cost

    exact = cost(nothing, eye, shift, other)
    exact -= 0.5 * (cost(nothing, eye, nothing, eye) + cost(shift, other, shift, other))
    found = torch.stack(
        [game.generator_loss(a, b)[0] for a, b in zip(x.chunk(5), y.chunk(5), strict=True)]
    )
    # The bias of 300 points, of the order of the divergence over the number, is below the error.
    assert float(found.mean()) == pytest.approx(exact, abs=4 * float(found.std()) / 5**0.5)


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
    # Half the squared slope at data, which is also paid where the slope is allowed.
    damped = GradientPenalty(10.0, data=0.2).penalty(_Line(0.5), x, y, None, generator)
    assert torch.allclose(damped, free + 0.5 * 0.2 * 0.5**2)


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
    with pytest.raises(InputError, match="or 'minimax'"):
        KL("maximin")
    with pytest.raises(InputError, match="at least two states"):
        MMD().estimate(torch.zeros(1, 1), torch.zeros(1, 1))
    with pytest.raises(InputError, match="at least two states"):
        SinkhornDivergence().generator_loss(torch.zeros(1, 1), torch.zeros(1, 1))
    with pytest.raises(InputError, match="positive"):
        SinkhornDivergence(epsilon=0.0)
    with pytest.raises(CapabilityError, match="no critic"):
        SinkhornDivergence().witness(torch.zeros(2, 1), torch.zeros(2, 1), torch.zeros(2, 1))
    with pytest.raises(InputError, match="take MMD"):
        LearnedMMD(outputs=0)
    with pytest.raises(InputError, match="widths of kernels"):
        MMD(widths=(0.0,))
    with pytest.raises(InputError, match="weight is a positive finite number, not 0"):
        R1(0.0)
    assert set(registry.names("discrepancies")) >= {
        "jensen-shannon",
        "wasserstein",
        "mmd",
        "energy",
    }


def test_a_relativistic_critic_finds_the_divergence_of_the_two_orders_of_a_pair() -> None:
    """`JS(p x q, q x p)` at `h = log p / q + const`, on a grid of pairs, and nowhere more."""
    x = torch.linspace(-13, 13, 1041, dtype=torch.float64)
    step = float(x[1] - x[0])
    game = RelativisticPairs()

    def value(h: Tensor, weights: Tensor) -> float:
        real, fake = (side.reshape(-1, 1) for side in torch.broadcast_tensors(h[:, None], h[None]))
        loss = game.critic_loss(real, fake)
        assert torch.equal(loss, game.generator_loss(fake, real))
        return math.log(2) - float((loss * weights.flatten()).sum()) * step**2

    for p, q in PAIRS.values():
        log_p, log_q = p.log_prob(x), q.log_prob(x)
        one, other = (a[:, None] + b[None] for a, b in ((log_p, log_q), (log_q, log_p)))
        middle = torch.logaddexp(one, other) - math.log(2)
        exact = sum(float((a.exp() * (a - middle)).sum()) * step**2 / 2 for a in (one, other))
        best = value(log_p - log_q + 3.0, one.exp())
        assert best == pytest.approx(exact, abs=1e-9)
        for wrong in (0.8 * (log_p - log_q), log_p - log_q + 0.1 * x.sin()):
            assert value(wrong, one.exp()) < best + 1e-12


def test_slopes_at_data_and_samples_are_penalized_row_by_row() -> None:
    """Of `h = a x^2 / 2` the slope is `a x`; labels go with both."""
    real, fake = torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [-1.0]])
    c = torch.tensor([1.0, 10.0])
    told = R1R2(0.5).penalty(lambda x, c: c * x[:, 0].square() / 2, real, fake, c, None)
    squares = c.square() * (real.square() + fake.square())[:, 0]
    assert torch.allclose(told, 0.25 * squares)
    alone = R1R2(0.5).penalty(lambda x, c: x[:, 0].square() / 2, real, fake, None, None)
    assert torch.allclose(alone, 0.25 * (real.square() + fake.square())[:, 0])
    with pytest.raises(InputError, match="weight"):
        R1R2(0.0)
