"""Score matching on mixtures whose scores are known: expectations, variances, learning, chains."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from pushforward import score_matching as sm
from pushforward.distributions import GaussianMixture
from pushforward.errors import ConvergenceWarning, InputError

LINE = GaussianMixture(
    torch.tensor([[-1.5], [1.0]], dtype=torch.float64),
    torch.tensor([0.3, 0.5], dtype=torch.float64),
    torch.tensor([0.4, 0.6], dtype=torch.float64),
)
PLANE = GaussianMixture(
    torch.tensor([[-1.0, 0.0], [1.0, 1.0], [1.0, -1.0]], dtype=torch.float64),
    torch.tensor(
        [[[0.4, 0.1], [0.1, 0.3]], [[0.3, 0.0], [0.0, 0.3]], [[0.5, -0.2], [-0.2, 0.4]]],
        dtype=torch.float64,
    ),
)
LAWS = [pytest.param(LINE, id="1-d"), pytest.param(PLANE, id="2-d")]
SIGMA = 0.4
SIGMAS = (1.0, 0.5, 0.25)

Loss = Callable[[Callable[..., Tensor], Tensor, torch.Generator], Tensor]
NOISELESS: dict[str, Loss] = {
    "implicit": lambda s, x, g: sm.implicit(s, x),
    "sliced": lambda s, x, g: sm.sliced(s, x, 2, generator=g),
    "sliced-vr": lambda s, x, g: sm.sliced_variance_reduced(s, x, generator=g),
}


def _seed(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _is_zero(values: Tensor, errors: float = 4.0) -> None:
    """The mean of independent values is zero within a number of standard errors."""
    stderr = float(values.std() / len(values) ** 0.5)
    assert stderr > 0
    assert abs(float(values.mean())) < errors * stderr, (float(values.mean()), stderr)


def _bend(x: Tensor) -> Tensor:
    """A vector field that is no gradient."""
    return torch.tanh(x.roll(1, -1) - 0.5 * x + 0.3)


def _setting(name: str, law: GaussianMixture) -> tuple[Loss, Callable[..., Tensor], Callable]:
    """A loss, the score that it should learn, and states with levels where it is learned."""
    if name in NOISELESS:
        return NOISELESS[name], law.score, lambda x, g: (x, ())
    if name == "denoising":
        noised = law.noised(1.0, SIGMA)
        return (
            lambda s, x, g: sm.denoising(s, x, SIGMA, generator=g),
            noised.score,
            lambda x, g: (noised.sample(len(x), generator=g), (torch.tensor(SIGMA),)),
        )

    if name == "antithetic":
        noised = law.noised(1.0, SIGMA)
        return (
            lambda s, x, g: sm.antithetic(s, x, SIGMA, generator=g),
            noised.score,
            lambda x, g: (noised.sample(len(x), generator=g), ()),
        )

    def score(x: Tensor, sigma: Tensor) -> Tensor:
        parts = [law.noised(1.0, level).score(x) for level in SIGMAS]
        return sum(
            (sigma == level).unsqueeze(-1) * part for level, part in zip(SIGMAS, parts, strict=True)
        )

    def states(x: Tensor, g: torch.Generator) -> tuple[Tensor, tuple[Tensor]]:
        sigma = torch.tensor(SIGMAS, dtype=x.dtype)[torch.randint(3, x.shape[:1], generator=g)]
        noise = torch.empty_like(x).normal_(generator=g)
        return x + sigma.unsqueeze(-1) * noise, (sigma,)

    return lambda s, x, g: sm.denoising_levels(s, x, SIGMAS, generator=g), score, states


METHODS = [*NOISELESS, "denoising", "antithetic", "denoising-levels"]


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("direction", ["bent", "scaled"])
def test_the_expected_loss_is_the_fisher_divergence(
    law: GaussianMixture, name: str, direction: str
) -> None:
    """Up to a constant: no slope at the exact score, and the right loss at a distance.

    40,000 draws, independent ones on the two sides; 4 standard errors.
    """
    loss, score, states = _setting(name, law)
    n = 40_000

    def gap(x: Tensor, *told: Tensor) -> Tensor:
        return _bend(x) if direction == "bent" else score(x, *told[: name == "denoising-levels"])

    x = law.sample(n, seed=1)
    size = torch.zeros(n, 1, dtype=torch.float64, requires_grad=True)
    at = loss(lambda y, *told: score(y, *told) + size * gap(y, *told), x, _seed(2))
    (slope,) = torch.autograd.grad(at.sum(), size)
    _is_zero(slope.squeeze(-1))

    away = loss(lambda y, *told: score(y, *told) + 0.7 * gap(y, *told), x, _seed(2)).detach()
    y, told = states(law.sample(n, seed=3), _seed(4))
    weight = (told[0] ** 2) if told else 1.0
    fisher = weight * (0.7 * gap(y, *told)).square().sum(-1) / 2
    _is_zero(away - at.detach() - fisher)


def test_the_constant_is_the_one_that_is_stated() -> None:
    """At the exact score the loss is `-E |grad log p|^2 / 2`; denoising has its own constant."""
    x = PLANE.sample(40_000, seed=0)
    half = PLANE.score(x).square().sum(-1) / 2
    _is_zero(sm.implicit(PLANE.score, x).detach() + half)
    noised = PLANE.noised(1.0, SIGMA)
    y = noised.sample(len(x), seed=1)
    least = sm.denoising(noised.score, x, SIGMA, generator=_seed(2))
    _is_zero(least - (1 - SIGMA**2 * noised.score(y).square().sum(-1) / 2))


def test_projections_have_the_trace_in_expectation_and_less_variance_where_they_should() -> None:
    x = PLANE.sample(20_000, seed=0)

    def score(x: Tensor) -> Tensor:
        return PLANE.score(x) + _bend(x)

    exact = sm.implicit(score, x).detach()
    plain = sm.sliced(score, x, generator=_seed(1)).detach()
    reduced = sm.sliced_variance_reduced(score, x, generator=_seed(1)).detach()
    many = sm.sliced(score, x, 8, generator=_seed(1)).detach()
    for estimate in (plain, reduced, many):
        _is_zero(estimate - exact)
    spread = [float((e - exact).var()) for e in (plain, reduced, many)]
    assert spread[1] < 0.7 * spread[0], spread
    # The mean of eight independent ones: an eighth, within the error of a variance.
    assert spread[2] == pytest.approx(spread[0] / 8, rel=0.15)


def test_any_event_shape() -> None:
    """An image is the same as its pixels in a row."""
    weight = torch.randn(12, 12, generator=_seed(0), dtype=torch.float64)
    images = torch.randn(5, 3, 2, 2, generator=_seed(1), dtype=torch.float64)

    def score(x: Tensor) -> Tensor:
        return torch.tanh(x.flatten(1) @ weight).reshape(x.shape)

    rows = images.flatten(1)
    expected = (1 - torch.tanh(rows @ weight) ** 2) @ weight.diagonal() + (
        torch.tanh(rows @ weight).square().sum(-1) / 2
    )
    assert torch.allclose(sm.implicit(score, images), expected)
    for loss in (sm.sliced, sm.sliced_variance_reduced):
        flat, shaped = (loss(score, x, 3, generator=_seed(2)) for x in (rows, images))
        assert torch.allclose(flat, shaped)
    flat, shaped = (sm.denoising(score, x, 0.3, generator=_seed(2)) for x in (rows, images))
    assert torch.allclose(flat, shaped)


@pytest.mark.parametrize("name", METHODS)
def test_without_gradients_the_loss_is_the_same(name: str) -> None:
    loss, score, _ = _setting(name, PLANE)
    x = PLANE.sample(10, seed=0)
    factor = torch.ones((), dtype=torch.float64, requires_grad=True)
    learning = loss(lambda *at: factor * score(*at), x, _seed(1))
    with torch.no_grad():
        judged = loss(lambda *at: factor * score(*at), x, _seed(1))
    assert learning.requires_grad
    assert not judged.requires_grad
    assert torch.allclose(learning, judged)


# Learning: what each method leaves of `E |s - grad log p|^2 / E |grad log p|^2`.


class Told(nn.Module):
    """A score network told a level: `s(x, sigma)`."""

    def __init__(self) -> None:
        super().__init__()
        self.net = _net(3, 2)

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        return self.net(torch.cat([x, sigma.log().unsqueeze(-1)], -1)) / sigma.unsqueeze(-1)


def _net(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(inputs, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, outputs)
    )


def _train(loss: Callable[[Tensor, torch.Generator], Tensor], net: nn.Module, steps: int) -> None:
    data = PLANE.sample(20_000, seed=7).float()
    generator = _seed(8)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        rows = torch.randint(len(data), (512,), generator=generator)
        optimizer.zero_grad()
        loss(data[rows], generator).mean().backward()
        optimizer.step()
        schedule.step()


@torch.no_grad()
def _relative_fisher(score: Callable[[Tensor], Tensor], law: GaussianMixture) -> float:
    x = law.sample(10_000, seed=9)
    gap = score(x.float()).double() - law.score(x)
    return float(gap.square().sum() / law.score(x).square().sum())


@pytest.mark.slow
@pytest.mark.parametrize("name", NOISELESS)
def test_learning_the_score_without_noise(name: str) -> None:
    net = _net(2, 2)
    _train(lambda x, g: NOISELESS[name](net, x, g), net, 500)
    # Three starts gave 0.010 to 0.012.
    assert _relative_fisher(net, PLANE) < 0.03


@pytest.mark.slow
def test_learning_the_score_of_one_level() -> None:
    net = _net(2, 2)
    _train(lambda x, g: sm.denoising(net, x, SIGMA, generator=g), net, 800)
    # Three starts gave 0.007 to 0.009.
    assert _relative_fisher(net, PLANE.noised(1.0, SIGMA)) < 0.02


@pytest.mark.slow
def test_learning_the_scores_of_many_levels() -> None:
    net = Told()
    _train(lambda x, g: sm.denoising_levels(net, x, SIGMAS, generator=g), net, 1200)
    # Three starts gave 0.003 to 0.005, 0.016 to 0.020 and 0.041 to 0.046.
    for sigma, bound in zip(SIGMAS, (0.015, 0.04, 0.08), strict=True):
        found = _relative_fisher(
            lambda x, sigma=sigma: net(x, torch.full((len(x),), sigma)), PLANE.noised(1.0, sigma)
        )
        assert found < bound, sigma


@pytest.mark.slow
@pytest.mark.parametrize("name", ["implicit", "sliced-vr", "denoising"])
def test_learning_an_energy(name: str) -> None:
    """Its differences are those of the log-density, its score that of the law."""
    law = PLANE.noised(1.0, SIGMA) if name == "denoising" else PLANE
    energy = sm.Energy(_net(2, 1))
    loss = _setting(name, PLANE)[0]
    _train(lambda x, g: loss(energy, x, g), energy, 500)
    # Two starts gave 0.005 to 0.014, and errors of 0.06 to 0.08 where the density varies by 0.83.
    assert _relative_fisher(energy, law) < 0.03
    x = law.sample(2000, seed=10)
    with torch.no_grad():
        error = law.log_prob(x) + energy.energy(x.float()).double()
    assert float(error.std()) < 0.12
    assert float(law.log_prob(x).std()) > 0.5


# Energies.


def test_the_score_of_an_energy() -> None:
    x = PLANE.sample(50, seed=0)
    score = sm.score_of(lambda x: -PLANE.log_prob(x))
    assert torch.allclose(score(x), PLANE.score(x))
    with torch.no_grad():
        assert not score(x).requires_grad
    assert torch.allclose(sm.implicit(score, x), sm.implicit(PLANE.score, x))
    column = sm.score_of(lambda x: -PLANE.log_prob(x).unsqueeze(-1))
    assert torch.equal(column(x), score(x))


def test_the_score_of_an_energy_trains_the_energy() -> None:
    rate = torch.tensor(2.0, requires_grad=True)
    score = sm.score_of(lambda x: rate * x.square().sum(-1) / 2)
    x = torch.randn(1000, 3, generator=_seed(0))
    # Of `-rate x`, the loss is `-3 rate + rate^2 |x|^2 / 2`.
    for loss in (sm.implicit(score, x), sm.sliced_variance_reduced(score, x, generator=_seed(1))):
        assert torch.allclose(loss, -3 * rate + rate**2 * x.square().sum(-1) / 2, atol=1e-4)
        (slope,) = torch.autograd.grad(loss.mean(), rate)
        assert float(slope) == pytest.approx(-3 + 2 * float(x.square().sum(-1).mean()), rel=1e-4)


def test_a_reconstruction_is_an_energy() -> None:
    shrink = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        shrink.weight.copy_(torch.eye(2) / 2)
    x = torch.randn(5, 2, generator=_seed(0))
    energy = sm.Energy(sm.Reconstruction(shrink))
    assert torch.allclose(energy.energy(x), x.square().sum(-1) / 8)
    assert torch.allclose(energy(x), -x / 4)


# Chains.


def test_langevin_ends_at_the_variance_of_its_discretization() -> None:
    """`v / (1 - h / (4 v))` on a Gaussian, `h = v / 2`; 40,000 chains, 4 standard errors."""
    variance = torch.tensor([1.0, 0.3], dtype=torch.float64)
    x = torch.zeros(40_000, 2, dtype=torch.float64)
    for coordinate, v in enumerate(variance.tolist()):
        h = v / 2
        # (1 - h / (2 v))^(2 k) is what is left of the start: nothing, after 100 steps.
        end = sm.langevin(lambda x: -x / variance, x, h, 100, seed=0)[:, coordinate]
        exact = v / (1 - h / (4 * v))
        assert float(end.var()) == pytest.approx(exact, rel=4 * (2 / len(end)) ** 0.5)
        _is_zero(end)


@pytest.mark.parametrize("dim", [1, 5])
@pytest.mark.parametrize(
    ("start", "spread", "step", "steps", "match"),
    [
        (0.0, 0.0, 0.02, 20, r"size 0.02 E\[\(x - c\) . s\] / d is -0\.\d+ ± .* more of them"),
        (50.0, 1.0, 0.02, 20, "the mean of the score is"),
        (0.0, 0.0, 3.0, 50, r"size 3 E\[\(x - c\) . s\] / d is -[234]\.\d* ± .* smaller steps"),
        (0.0, 0.0, 4.5, 20, r"size 4.5 E\[\(x - c\) . s\] / d is -\S+ ± .* smaller steps"),
        (0.0, 0.0, 4e4, 20, "500 of 500 chains are not finite"),
    ],
)
def test_langevin_says_where_chains_do_not_rest(
    start: float, spread: float, step: float, steps: int, match: str, dim: int
) -> None:
    """A standard normal score: the variance is `1 / (1 - h / 4)`, with none from `h = 4`."""
    x = start + spread * torch.randn(500, dim, generator=_seed(0))
    with pytest.warns(ConvergenceWarning, match=match):
        sm.langevin(lambda x: -x, x, step, steps, seed=0)


@pytest.mark.parametrize("count", [8, 500])
def test_langevin_that_rests_is_not_warned_of(count: int) -> None:
    """Any warning is an error here: heavy tails, modes apart, an offset, a start far away."""
    law = GaussianMixture(torch.tensor([[-4.0, 1e3], [4.0, 1e3]]), 0.3, torch.tensor([0.2, 0.8]))
    for seed in range(20):
        sm.langevin(law.score, law.sample(count, seed=seed), 0.05, 20, seed=seed)
        normal = torch.randn(count, 2, 4, generator=_seed(seed))
        # Student's distribution of three degrees of freedom.
        heavy = normal[..., 0] / normal[..., 1:].square().mean(-1).sqrt()
        sm.langevin(lambda x: -4 * x / (3 + x.square()), heavy, 0.05, 20, seed=seed)
        sm.langevin(lambda x: -x, torch.full((count, 3), 100.0), 0.3, 100, seed=seed)


def test_annealed_langevin_follows_its_schedule() -> None:
    """The variance of every chain follows `V <- (1 - h / (2 v))^2 V + h` level by level."""
    levels, step, steps, v0 = sm.geometric(3.0, 0.1, 8), 0.002, 60, 1.7
    x = 5 * torch.randn(40_000, 1, generator=_seed(0), dtype=torch.float64)
    variance = float(x.var())
    for sigma in levels:
        h, v = step * sigma**2 / levels[-1] ** 2, v0 + sigma**2
        for _ in range(steps):
            variance = (1 - h / (2 * v)) ** 2 * variance + h

    def score(x: Tensor, sigma: Tensor) -> Tensor:
        return -x / (v0 + sigma.unsqueeze(-1) ** 2)

    end = sm.annealed_langevin(score, x, levels, step, steps, seed=1)
    error = (2 / len(x)) ** 0.5
    assert float(end.var()) == pytest.approx(variance, rel=4 * error)


@pytest.mark.parametrize("steps", [3, 10, 20, 100])
def test_annealed_langevin_says_where_steps_are_too_few(steps: int) -> None:
    """What is foretold of normal data is what comes out."""
    levels = sm.geometric(5.0, 0.02, 12)
    x = (1 + levels[0] ** 2) ** 0.5 * torch.randn(
        20_000, 1, generator=torch.Generator().manual_seed(0)
    )
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        end = sm.annealed_langevin(
            lambda x, sigma: -x / (1 + sigma[:, None] ** 2), x, levels, 0.2 * 0.02**2, steps, seed=1
        )
    ratio = float(end.std()) / (1 + 0.02**2) ** 0.5
    said = [str(w.message) for w in raised if w.category is ConvergenceWarning]
    assert (len(said) == 1) == (ratio > 1.25) == (steps < 20)
    if said:
        told = float(said[0].split("come out with ")[1].split(" times")[0])
        assert told == pytest.approx(ratio, rel=0.03)


def test_annealed_langevin_finds_the_data() -> None:
    """Mean and covariance of a mixture with modes far apart, which one level would not mix."""
    law = GaussianMixture(torch.tensor([[-4.0], [4.0]]), 0.25, weights=torch.tensor([0.3, 0.7]))
    levels = sm.geometric(8.0, 0.05, 24)

    def score(x: Tensor, sigma: Tensor) -> Tensor:
        return law.noised(1.0, float(sigma[0])).score(x)

    x = 8 * torch.randn(4000, 1, generator=_seed(0))
    end = sm.annealed_langevin(score, x, levels, 0.2 * 0.05**2, 100, seed=1)
    share = float((end > 0).float().mean())
    assert share == pytest.approx(0.7, abs=4 * (0.21 / len(x)) ** 0.5)
    # The noise of the last levels, and the finite number of steps.
    assert float(end[end > 0].var()) == pytest.approx(0.25, rel=0.15)


def test_a_seed_fixes_the_chains() -> None:
    x = torch.zeros(4, 2)
    first, again = (sm.langevin(lambda x: -x, x, 0.1, 5, seed=3) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, sm.langevin(lambda x: -x, x, 0.1, 5, seed=4))
    assert torch.equal(x, torch.zeros(4, 2))


def test_levels_are_geometric() -> None:
    levels = sm.geometric(1.0, 0.01, 10)
    assert (len(levels), levels[0], levels[-1]) == (10, 1.0, 0.01)
    ratios = [math.log(a / b) for a, b in pairwise(levels)]
    assert max(ratios) == pytest.approx(min(ratios))


# What is refused.


def _score(x: Tensor, *told: Tensor) -> Tensor:
    return -x


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sm.implicit(_score, torch.full((3, 2), torch.nan)), "3 of 3 states are not"),
        (lambda: sm.sliced(_score, torch.zeros(3, 2, dtype=torch.long)), "not torch.int64"),
        (lambda: sm.denoising(_score, [1.0], 0.1), "not list"),
        (lambda: sm.denoising(_score, torch.zeros(3), 0.1), r"\(B, \*event\) with B > 0, not \(3,"),
        (lambda: sm.implicit(_score, torch.zeros(0, 2)), r"not \(0, 2\)"),
        (lambda: sm.denoising(_score, torch.zeros(3, 2), 0.0), "positive finite number, not 0.0"),
        (lambda: sm.denoising(_score, torch.zeros(3, 2), -1), "positive finite number, not -1"),
        (
            lambda: sm.denoising(_score, torch.zeros(3, 2), math.nan),
            "finite number, not nan",
        ),
        (
            lambda: sm.denoising(_score, torch.zeros(3, 2), "big"),
            "finite number, not 'big'",
        ),
        (lambda: sm.denoising_levels(_score, torch.zeros(3, 2), (1.0, 1.0)), "1.0 follows 1.0"),
        (lambda: sm.denoising_levels(_score, torch.zeros(3, 2), (1.0, 2.0)), "2.0 follows 1.0"),
        (lambda: sm.denoising_levels(_score, torch.zeros(3, 2), ()), "no noise levels"),
        (lambda: sm.denoising_levels(_score, torch.zeros(3, 2), (1.0, -2.0)), "not -2.0"),
        (lambda: sm.sliced(_score, torch.zeros(3, 2), 0), "at least 1, not 0"),
        (lambda: sm.implicit(lambda x: x[:, :1], torch.zeros(3, 2)), r"returned \(3, 1\)"),
        (lambda: sm.denoising(lambda x: None, torch.zeros(3, 2), 0.1), "returned NoneType"),
        (lambda: sm.implicit(lambda x: -x.detach(), torch.zeros(3, 2)), "no derivative in x"),
        (lambda: sm.score_of(lambda x: x)(torch.zeros(3, 2)), r"energy network returned \(3, 2\)"),
        (lambda: sm.score_of(lambda x: x.detach().sum(-1))(torch.zeros(3, 2)), "no derivative"),
        (lambda: sm.Reconstruction(nn.Linear(2, 1))(torch.zeros(3, 2)), r"returned \(3, 1\)"),
        (lambda: sm.geometric(1.0, 2.0, 3), "largest > smallest, not 1.0 and 2.0"),
        (lambda: sm.geometric(1.0, 0.1, 1), "at least 2, not 1"),
        (lambda: sm.geometric(1.0, 0.0, 3), "not 0.0"),
        (lambda: sm.langevin(_score, torch.zeros(3, 2), 0.0, 5), "positive finite number, not 0.0"),
        (lambda: sm.langevin(_score, torch.zeros(3, 2), 0.1, 2.5), "at least 1, not 2.5"),
        (lambda: sm.langevin(lambda x: x[0], torch.zeros(3, 2), 0.1, 2), r"returned \(2,\)"),
        (lambda: sm.annealed_langevin(_score, torch.zeros(3, 2), (1.0, 0.1), 0.05, 5), "too large"),
        (
            lambda: sm.annealed_langevin(_score, torch.zeros(3, 2), (0.1, 1.0), 0.01, 5),
            "1.0 follows 0.1",
        ),
        (lambda: sm.Denoising(sigma=-0.1), "not -0.1"),
        (lambda: sm.Sliced(0), "not 0"),
        (lambda: sm.VarianceReduced(True), "not True"),
        (lambda: sm.DenoisingLevels(1.0, 2.0), "largest > smallest"),
        (lambda: sm.Energy(_score), "nn.Module"),
        (lambda: sm.Reconstruction(_score), "nn.Module"),
        (lambda: sm.Untimed(_score), "nn.Module"),
    ],
)
def test_bad_input_is_named(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
