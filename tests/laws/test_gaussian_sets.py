"""Gaussian noise on sets about their center: degrees of freedom in prior, loss and likelihood."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pushforward import Transport, grids, samplers
from pushforward.distributions import Normal
from pushforward.errors import CapabilityError, InputError
from pushforward.processes import Gaussian, GaussianSets, SizedNoise
from pushforward.spaces import Centered, FilledSlots, MarkedPoints, PointCloud, Points

SPACE = PointCloud(center=3)
SIZES = (0.0, 0.1, 0.3, 0.0, 0.6)
SPREAD = 0.7
PROCESS = GaussianSets(space=SPACE, sizes=SIZES)


def _data(n: int, seed: int = 0, dim: int = 3) -> Points:
    """Normal coordinates of another width than the noise."""
    return SizedNoise(torch.tensor(SIZES), SPREAD, dim, SPACE).sample(n, seed=seed)


def _exact(x_t: Points, t, c=None) -> Tensor:
    """`E[x_0 | x_t]` of these data."""
    alpha, sigma = PROCESS.schedule.values(t)
    weight = torch.as_tensor(alpha * SPREAD**2 / (alpha**2 * SPREAD**2 + sigma**2))
    return weight.reshape(-1, 1, 1) * x_t.x


def test_noise_has_the_degrees_of_freedom_of_the_subspace() -> None:
    mask = torch.tensor([[True] * 4, [True, True, False, False], [True, *[False] * 3]])
    filled = FilledSlots(mask, center=3)
    assert filled.freedom(3).tolist() == [9, 3, 0]
    assert filled.freedom(5).tolist() == [17, 7, 2]
    many = FilledSlots(mask.repeat(4000, 1), center=3)
    noise = many.randn(torch.zeros(12_000, 4, 3).double(), torch.Generator().manual_seed(0))
    squares = noise.square().sum((1, 2)).reshape(-1, 3)
    assert squares.mean(0) == pytest.approx([9, 3, 0], abs=0.15)
    # The law of the square is chi-squared, so its variance is twice the number.
    for found, freedom in zip(squares.var(0).tolist(), (9, 3, 0), strict=True):
        error = 2 * freedom * math.sqrt((12 / max(freedom, 1) + 2) / 4000)
        assert found == pytest.approx(2 * freedom, abs=4 * error + 1e-12)
    assert float(noise.sum(1).abs().max()) < 1e-12
    assert float(many.squared_norm(noise, noise).reshape(-1, 3)[:, :2].mean()) == pytest.approx(
        1, abs=0.02
    )
    known = Normal((4, 3), 1.0, Centered()).log_prob(noise[::3])
    assert torch.allclose(many.noise_log_prob(noise)[::3], known)


@pytest.mark.parametrize("churn", [0.0, 1.0])
@pytest.mark.parametrize("name", ["pinned", "euler"])
def test_samplers_draw_sets_about_their_center(name: str, churn: float) -> None:
    rule = samplers.Ancestral(churn) if name == "pinned" else samplers.Euler(churn)
    times = grids.LogSNRGrid()(PROCESS.schedule, 300)
    x = PROCESS.prior((4, 3)).sample(6000, seed=1)
    y = samplers.run(rule, Transport(_exact, PROCESS), x, times, seed=2)
    shares = torch.bincount(y.number, minlength=5) / len(y.mask)
    assert shares == pytest.approx(SIZES, abs=4 * 0.5 / math.sqrt(6000))
    assert float(y.x.sum(1).abs().max()) < 1e-5
    for n in (2, 4):
        squares = y.x[y.number == n].square().sum((1, 2)) / (3 * (n - 1) * SPREAD**2)
        assert float(squares.mean()) == pytest.approx(1, abs=0.05)
    assert float(y.x[y.number == 1].abs().max()) < 1e-6


def test_the_bound_is_the_density_of_unordered_sets() -> None:
    # With the exact prediction nothing is lost, point by point.
    x = _data(6, seed=3)
    copies, times = 100, PROCESS.interval
    many = Points(x.x.double().repeat(copies, 1, 1), x.mask.repeat(copies, 1))
    found = samplers.evidence_bound(Transport(_exact, PROCESS), many, *times, draws=256, seed=0)
    value = found.value.reshape(copies, -1)
    exact = SizedNoise(torch.tensor(SIZES), SPREAD, 3, SPACE).log_prob(x)
    # log n! + log p(n) + the log-density of 3 (n - 1) normal numbers.
    by_hand = [
        math.lgamma(n + 1) + math.log(SIZES[n])
        + float(-0.5 * row.square().sum() / SPREAD**2)
        - 1.5 * (n - 1) * math.log(2 * math.pi * SPREAD**2)
        for n, row in zip(x.number.tolist(), x.x, strict=True)
    ]  # fmt: skip
    assert exact == pytest.approx(by_hand, rel=1e-5)
    stderr = value.std(0) / math.sqrt(copies)
    assert float(stderr.max()) < 0.2
    # A single point has no place, so that its set costs its size alone.
    assert bool(((value.mean(0) - exact).abs() < 4 * stderr + 1e-6).all())


def test_the_bound_agrees_with_the_probability_flow() -> None:
    """Of sets of one size: the same states as vectors of a `Centered` space."""
    x = _data(200, seed=4)
    own = x.x[x.number == 4].double()[:5]
    process = Gaussian(PROCESS.schedule, Centered())

    def model(x_t: Tensor, t, c=None) -> Tensor:
        return _exact(Points(x_t, torch.ones(x_t.shape[:2], dtype=torch.bool)), t)

    times = grids.LogSNRGrid()(process.schedule, 80)[::-1]
    flow = samplers.log_prob(
        Transport(model, process), process.prior((4, 3)), own, times, divergence="hutchinson",
        probes=64, seed=0,
    )  # fmt: skip
    sets = Points(own, torch.ones(5, 4, dtype=torch.bool))
    exact = SizedNoise(torch.tensor(SIZES), SPREAD, 3, SPACE).log_prob(sets)
    known = exact - math.lgamma(5) - math.log(SIZES[4])
    # Probes have their mean taken off, or the trace would be that of 12 dimensions.
    assert bool(((flow.value - known).abs() < 4 * flow.stderr + 0.05).all())


def test_units_count_the_degrees_of_freedom() -> None:
    x = _data(500)
    x = x._replace(x=5.0 * x.x)
    units = SPACE.units(((4, 3), (4,)))
    units.fit(x)
    assert float(units.scale[0]) == pytest.approx(5 * SPREAD, rel=0.03)
    assert units.scale[0] == units.scale[1]
    assert float(units.shift.abs().max()) == 0
    z = units.standardized(x)
    assert torch.allclose(units(z).x, x.x, atol=1e-5)
    volume = units.log_volume(z)
    expected = -3 * (x.number - 1).double() * math.log(float(units.scale[0]))
    assert volume == pytest.approx(expected, rel=1e-5)


def test_sets_without_a_center_have_all_degrees_of_freedom() -> None:
    process = GaussianSets(sizes=(0.5, 0.5))
    x = process.prior((1, 2)).sample(4000, seed=0)
    assert float((x.number == 0).float().mean()) == pytest.approx(0.5, abs=0.04)
    assert x.x[x.mask].var(0) == pytest.approx([1, 1], abs=0.1)
    empty = Points(torch.zeros(1, 1, 2), torch.zeros(1, 1, dtype=torch.bool))
    assert float(process.prior_cost(empty, 1.0)) == pytest.approx(math.log(2), rel=1e-5)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="chances that sum to one, not to"):
        GaussianSets(sizes=(0.5, 0.2))
    with pytest.raises(InputError, match="take JumpDiffusion"):
        GaussianSets(space=PointCloud(kinds=(2,)))
    with pytest.raises(InputError, match=r"sizes 0\.\.4, but sets of up to 9"):
        PROCESS.prior((9, 3))
    with pytest.raises(CapabilityError, match="sizes up to 9"):
        PROCESS.prior_cost(Points(torch.zeros(1, 9, 3), torch.ones(1, 9, dtype=torch.bool)), 1.0)
    with pytest.raises(InputError, match="cannot be positions"):
        SPACE.check(Points(torch.zeros(1, 2, 2), torch.ones(1, 2, dtype=torch.bool)))
    marked = PointCloud(kinds=(2,))
    x = MarkedPoints(torch.zeros(1, 1, 2), torch.ones(1, 1).bool(), torch.tensor([[[2]]]))
    with pytest.raises(InputError, match=r"mark 0 lies in 0\.\.1, but 2 was found"):
        marked.check(x)
    with pytest.raises(InputError, match="coordinates are not finite"):
        SPACE.check(Points(torch.full((1, 1, 3), math.nan), torch.ones(1, 1).bool()))
