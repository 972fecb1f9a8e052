"""Every sampler of sets on every exact world: sizes, places, marks, and densities without order."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor

from pushforward import Transport, grids, samplers, schedules
from pushforward.analytic import AnalyticCounts
from pushforward.distributions import GaussianMixture
from pushforward.processes import (
    JumpDiffusion,
    Missing,
    PointMixtures,
    PointPrediction,
    SizedNoise,
    Thinning,
)
from pushforward.spaces import MarkedPoints, PointCloud, Points

N = 1500


def _poisson(mean: float, most: int) -> Tensor:
    k = torch.arange(most + 1.0)
    log = k * math.log(mean) - torch.lgamma(k + 1)
    return log.softmax(0)


MIXTURE = GaussianMixture(torch.tensor([[-1.0, 0.5], [2.0, -0.5]]), 0.25)
WORLDS = {
    "dimensions 1 to 5": AnalyticCounts(torch.tensor([0.0, 0.35, 0.1, 0.05, 0.2, 0.3]), MIXTURE),
    "poisson": AnalyticCounts(_poisson(2.0, 8), MIXTURE),
}
WORLD = "dimensions 1 to 5"
RULES: dict[str, tuple[Any, int]] = {
    "pinned": (samplers.Ancestral(), 60),
    "tau-leap": (samplers.TauLeaping("exponential"), 200),
    "corrected": (samplers.TauLeaping("exponential", churn=0.5), 200),
    "clocks": (samplers.BirthClocks(), 3),
}
RATES = {
    "linear": schedules.Rectified(),
    "constant": schedules.ConstantRate(9.0),
    "stepped": schedules.ConstantRate(10.0, start=0.1),
    "cosine": schedules.Cosine(),
}


def check_shares(found: Tensor, exact: Tensor, n: int, more: float = 0.0) -> None:
    """The squared Hellinger distance of `n` draws from their own law is chi-squared over `8 n`.

    Its mean is the floor `(K - 1) / (8 n)`, which an exact sampler exceeds twofold now and then; it
    is beyond the quantile of one in a thousand as seldom as that says.
    """
    distance = float(1 - (found * exact).sqrt().sum())
    kinds = int((exact * n > 1).sum())
    assert distance < stats.chi2.ppf(0.999, kinds - 1) / (8 * n) + more


def _drawn(process: Any, model: Any, rule: Any, steps: int, shape: tuple[int, int], n: int = N):
    # Where noise moves the points, steps are even in its logarithm.
    noise = process.diffusion.schedule if isinstance(process, JumpDiffusion) else None
    grid = grids.UniformGrid() if noise is None else grids.LogSNRGrid()
    start = 0.999 if getattr(rule, "churn", 0) == 0.5 else 1.0
    times = grid(noise or process.clock, steps, start=start)
    x = process.prior(shape).sample(n)
    return samplers.run(rule, Transport(model, process), x, [*times, 0.0], seed=1)


@pytest.mark.parametrize(
    ("world", "diffusing"),
    [(WORLD, False), (WORLD, True), ("poisson", False)],
    ids=["thinning", "jump-diffusion", "poisson"],
)
@pytest.mark.parametrize("rule", RULES)
def test_sizes_and_places(rule: str, world: str, diffusing: bool) -> None:
    problem, (sampler, steps) = WORLDS[world], RULES[rule]
    process = JumpDiffusion() if diffusing else Thinning()
    model = problem.model(process) if diffusing else problem.thinning_model(process)
    # Noise takes more steps than births do.
    x = _drawn(process, model, sampler, max(steps, 150 * diffusing), (problem.slots, 2))
    shares = torch.bincount(x.number, minlength=problem.slots + 1) / N
    # Leaps are of first order in their length.
    check_shares(shares, problem.sizes, N, 0.01 if rule in ("tau-leap", "corrected") else 0.0)
    where = x.x[x.mask]
    error = 4 * (problem.points.covariance.diagonal() / len(where)).sqrt() + 0.02 * diffusing
    assert bool(((where.mean(0) - problem.points.mean).abs() < error).all())
    assert where.T.cov() == pytest.approx(problem.points.covariance, abs=0.2)
    assert bool((x.x[~x.mask] == 0).all())


@pytest.mark.parametrize("rate", RATES)
def test_deletion_rates_of_any_form(rate: str) -> None:
    process = JumpDiffusion(thinning=Thinning(RATES[rate]))
    problem = WORLDS[WORLD]
    x = _drawn(process, problem.model(process), samplers.Ancestral(), 30, (5, 2))
    shares = torch.bincount(x.number, minlength=6) / N
    check_shares(shares, problem.sizes, N)
    if rate == "stepped":
        # The births are over before the last of the noise.
        z = problem.sample(500, seed=0)
        early = process.sample(z, 0.09, torch.Generator().manual_seed(0))
        assert bool((early.number == z.number).all())


@pytest.mark.parametrize("rate", RATES)
def test_a_network_says_a_number_for_each_size(rate: str) -> None:
    """Where places tell nothing of the number, the logarithm of its law is the exact answer, at
    all times and for all sets."""
    problem, process = WORLDS["poisson"], Thinning(RATES[rate])
    z = problem.sample(40, seed=3)
    reading: Any = process.reading()
    sizes = reading.network_sizes(((8, 2), (8,)))
    numbers = (sizes.pooled, sizes.vectors * 2, sizes.outputs)
    pooled, vectors, each = (torch.zeros(40, *shape) for shape in (
        numbers[:1], (8, numbers[1]), (8, numbers[2])
    ))  # fmt: skip
    pooled[:, :9] = problem.sizes.log() + 3.0
    for t in (0.05, 0.7, 1.0, torch.linspace(0.01, 1.0, 40)):
        x_t = process.sample(z, t, torch.Generator().manual_seed(0))
        found = reading.read(t, (pooled, vectors, each), x_t)
        exact = problem.missing(process, x_t, t)
        assert torch.allclose(found.counts.exp(), exact.counts.exp(), atol=1e-5)


def test_points_born_at_once_about_their_center_are_as_far_apart_as_any() -> None:
    """Two points of one place each and unit noise: their gap has the variance 2, also where both
    come into an empty set in one step."""
    space = PointCloud(center=1)
    process, n = JumpDiffusion(space=space), 4000
    empty = process.prior((2, 1)).sample(n)
    counts = torch.tensor([-torch.inf, -torch.inf, 0.0]).expand(n, -1)
    still = PointMixtures(torch.zeros(n, 1), torch.zeros(n, 1, 1), torch.full((n, 1, 1), -20.0))
    pred = PointPrediction(Missing(counts, still), torch.zeros(n, 2, 1))
    x = process.bridge(pred, empty, 1.0, 0.5, generator=torch.Generator().manual_seed(0))
    both = x.x[x.number == 2][..., 0]
    sigma = float(process.diffusion.schedule.at(0.5).sigma)
    # The variance of a variance of normal numbers is 2 / n.
    gap = both.diff(dim=1).square().mean() / (2 * sigma**2)
    assert float(gap) == pytest.approx(1.0, abs=4 * math.sqrt(2 / len(both)))


def test_no_birth_of_a_long_step_is_lost() -> None:
    """One step from nothing to data has the law of the size, however many are born at once."""
    problem, process = WORLDS["poisson"], Thinning()
    transport = Transport(problem.thinning_model(process), process)
    x = samplers.run(
        samplers.Ancestral(), transport, process.prior((8, 2)).sample(N), [1.0, 0.0], seed=0
    )
    shares = torch.bincount(x.number, minlength=9) / N
    check_shares(shares, problem.sizes, N)


# -- points that repel each other: brute force over all subsets of a few cells --------------------

CELLS = 6
CODES = torch.arange(2**CELLS)
SETS = (CODES.unsqueeze(1) >> torch.arange(CELLS)) & 1
PAIRS = (SETS[:, 1:] * SETS[:, :-1]).sum(1)
STRAUSS = (SETS.sum(1) * math.log(1.2) + PAIRS * math.log(0.2)).double().softmax(0)
"""A Strauss process on a line of cells: neighbors have a fifth of the weight."""
PLACES = 0.5 * torch.arange(CELLS)


def _code(x: Points) -> Tensor:
    """Which subset a set is."""
    cell = (x.x[..., 0] / 0.5).round().long().clamp(0, CELLS - 1)
    return torch.zeros(len(x.mask), CELLS, dtype=torch.long).scatter_add(
        1, cell, x.mask.long()
    ).clamp_max(1) @ (2 ** torch.arange(CELLS))  # fmt: skip


@dataclass(frozen=True)
class _Strauss:
    """The exact prediction, from the posterior of the whole set given what is left of it."""

    process: Thinning

    def __call__(self, x_t: Points, t: Any, c: Any = None) -> Missing:
        left = _code(x_t)
        alpha = torch.as_tensor(self.process.schedule.values(t)[0]).double().reshape(-1, 1)
        here = SETS[left]
        inside = (here.unsqueeze(1) <= SETS.unsqueeze(0)).all(-1)
        lost = (SETS.sum(1) - here.sum(1, keepdim=True)).clamp_min(0)
        weights = STRAUSS.log() + torch.xlogy(lost, 1 - alpha)
        posterior = weights.masked_fill(~inside, -torch.inf).softmax(-1)
        counts = torch.zeros(len(left), CELLS + 1).double().scatter_add(1, lost, posterior)
        at = posterior @ SETS.double() * (1 - here)
        means = PLACES.reshape(1, -1, 1).expand(len(left), -1, -1)
        narrow = torch.full_like(means, math.log(1e-3))
        point = PointMixtures(at.clamp_min(1e-30).log().float(), means, narrow)
        return Missing(counts.log().float(), point)


def test_births_by_clocks_have_the_law_of_points_that_repel() -> None:
    process = Thinning()
    model = _Strauss(process)
    empty, n = process.prior((CELLS, 1)), 2000
    transport = Transport(model, process)
    x = samplers.run(samplers.BirthClocks(), transport, empty.sample(n), [1.0, 1e-3, 0.0], seed=0)
    found = torch.bincount(_code(x), minlength=2**CELLS) / n
    check_shares(found.double(), STRAUSS, n)
    # Steps in which several are born without seeing each other let neighbors in: less so, the
    # shorter they are.
    exact = float((STRAUSS * PAIRS).sum())
    excess = []
    for steps in (1, 8, 64):
        times = [1 - k / steps for k in range(steps + 1)]
        y = samplers.run(samplers.Ancestral(), transport, empty.sample(n), times, seed=steps)
        excess.append(float(PAIRS[_code(y)].double().mean()) - exact)
    error = float((STRAUSS * (PAIRS - exact) ** 2).sum() / n) ** 0.5
    assert excess[0] > 5 * error
    assert excess[1] < 0.7 * excess[0]
    assert abs(excess[2]) < 4 * error


# -- densities without order ----------------------------------------------------------------------


def _bound(process: Any, model: Any, x: Any, copies: int = 60) -> tuple[Tensor, Tensor]:
    many = type(x)(*(part.repeat(copies, *(1,) * (part.ndim - 1)) for part in x))
    found = samplers.evidence_bound(
        Transport(model, process), many, *process.interval, draws=128, seed=0
    )
    value = found.value.reshape(copies, -1)
    return value.mean(0), value.std(0) / math.sqrt(copies)


@pytest.mark.parametrize("diffusing", [False, True], ids=["thinning", "jump-diffusion"])
def test_the_bound_has_the_factor_of_the_orders(diffusing: bool) -> None:
    """`log n! + log p(n) + sum log f`, set by set: an exact model loses nothing."""
    problem = AnalyticCounts.example()
    process = JumpDiffusion() if diffusing else Thinning()
    model = problem.model(process) if diffusing else problem.thinning_model(process)
    x = problem.sample(6, seed=1)
    exact = torch.tensor([
        math.lgamma(n + 1) + math.log(problem.sizes[n])
        + float(problem.points.log_prob(row[mask]).sum())
        for n, row, mask in zip(x.number.tolist(), x.x, x.mask, strict=True)
    ])  # fmt: skip
    value, stderr = _bound(process, model, x)
    assert float(stderr.max()) < 0.3
    assert bool(((value - exact).abs() < 4 * stderr).all())
    # Without the factor it would be far off.
    assert float((math.lgamma(7) - 4 * stderr).min()) > 5


@pytest.mark.parametrize("diffusing", [False, True], ids=["thinning", "jump-diffusion"])
def test_a_birth_moves_the_center(diffusing: bool) -> None:
    """Points about their center: the bound knows the volume that a new point takes."""
    spread, sizes = 0.8, torch.tensor([0.1, 0.2, 0.0, 0.4, 0.3])
    space = PointCloud(center=2)
    law = SizedNoise(sizes, spread, 2, space)
    counts = AnalyticCounts(sizes, MIXTURE)
    process = JumpDiffusion(space=space) if diffusing else Thinning(space=space)
    thinning = process.thinning if isinstance(process, JumpDiffusion) else process

    def model(x_t: Points, t: Any, c: Any = None) -> Any:
        n = x_t.number
        # About the center of n points, which has a spread of its own.
        std = spread * torch.where(n > 0, (1 + 1 / n.clamp_min(1)).sqrt(), 1.0)
        std = std.reshape(-1, 1, 1).expand(-1, 1, 2)
        point = PointMixtures(torch.zeros(len(n), 1), torch.zeros(len(n), 1, 2), std.log())
        missing = Missing(counts.missing(thinning, x_t, t).counts, point)
        if not isinstance(process, JumpDiffusion):
            return missing
        alpha, sigma = process.diffusion.schedule.values(t)
        gain = torch.as_tensor(alpha * spread**2 / (alpha**2 * spread**2 + sigma**2))
        return PointPrediction(missing, gain.reshape(-1, 1, 1) * x_t.x)

    x = law.sample(5, seed=2)
    value, stderr = _bound(process, model, x)
    assert float(stderr.max()) < 0.5
    assert bool(((value - law.log_prob(x)).abs() < 4 * stderr + 1e-3).all())
    y = _drawn(process, model, samplers.BirthClocks(), 180 if diffusing else 3, (4, 2), 500)
    shares = torch.bincount(y.number, minlength=5) / 500
    check_shares(shares, sizes, len(y.mask))
    assert float(y.x.sum(1).abs().max()) < 1e-5
    for n in (3, 4):
        squares = y.x[y.number == n].square().sum((1, 2)) / (2 * (n - 1) * spread**2)
        assert float(squares.mean()) == pytest.approx(1, abs=0.12)


def test_marks_are_born_with_their_points() -> None:
    space = PointCloud(kinds=(2, 3))
    law = PointMixtures(
        torch.tensor([[0.0, math.log(3)]]).expand(50, -1),
        torch.tensor([[[0.0], [5.0]]]).expand(50, -1, -1),
        torch.zeros(50, 2, 1),
        (
            torch.tensor([[[0.0, -40.0], [-40.0, 0.0]]]).expand(50, -1, -1),
            torch.zeros(50, 2, 3),
        ),
    )
    x, kinds = law.sample(400, seed=0)
    assert float((kinds[..., 0] == 1).float().mean()) == pytest.approx(0.75, abs=0.02)
    assert float(((x[..., 0] > 2.5) == (kinds[..., 0] == 1)).float().mean()) > 0.98
    by_hand = (
        torch.tensor([0.25, 0.75]).log()[kinds[..., 0]]
        - math.log(3) - 0.5 * (x[..., 0] - 5.0 * kinds[..., 0]).square()
        - 0.5 * math.log(2 * math.pi)
    )  # fmt: skip
    assert torch.allclose(law.log_prob(x, kinds), by_hand, atol=1e-4)
    # A point keeps its marks for as long as it lives.
    z = MarkedPoints(torch.zeros(9, 4, 1), torch.ones(9, 4).bool(), torch.ones(9, 4, 2).long())
    x_t = JumpDiffusion(space=space).sample(z, 0.5, torch.Generator().manual_seed(0))
    assert bool((x_t.kinds[x_t.mask] == 1).all())
    assert bool((x_t.kinds[~x_t.mask] == 0).all())
    assert 0 < int(x_t.mask.sum()) < 36
