"""Sets that are given numbers of points of their kinds: exactly these, and the rest by its law."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from tests.laws.test_sets import check_shares
from torch import Tensor

import pushforward as pf
from pushforward import Transport, samplers
from pushforward.errors import CapabilityError, InputError
from pushforward.guidance import GivenCounts
from pushforward.processes import JumpDiffusion, Missing, PointMixtures, Thinning
from pushforward.spaces import MarkedPoints, PointCloud

SLOTS, N = 6, 1500
SIZES = torch.tensor([0.05, 0.1, 0.2, 0.15, 0.2, 0.1, 0.2], dtype=torch.float64)
SHARE = 0.3
"""Of the first kind; the points of the two kinds lie about -2 and 3."""

SPACE = PointCloud(kinds=(2,))


def _point(n: int, share: float) -> PointMixtures:
    marks = torch.tensor([[[0.0, -40.0], [-40.0, 0.0]]]).expand(n, -1, -1)
    return PointMixtures(
        torch.tensor([[share, 1 - share]]).log().expand(n, -1),
        torch.tensor([[[-2.0], [3.0]]]).expand(n, -1, -1),
        torch.full((n, 2, 1), math.log(0.5)),
        (marks,),
    )


def _binomial(n: Tensor, k: Tensor) -> Tensor:
    ways = torch.lgamma(n + 1.0) - torch.lgamma(k + 1.0) - torch.lgamma((n - k).clamp_min(0) + 1.0)
    return torch.where(k <= n, ways.double(), -torch.inf)


def _untold(process: Thinning) -> Any:
    """The exact prediction of independent kinds, told nothing."""

    def model(x_t: MarkedPoints, t: Any, c: Any = None) -> Missing:
        k = torch.arange(SLOTS + 1)
        n = x_t.number.unsqueeze(-1) + k
        alpha = torch.as_tensor(process.schedule.values(t)[0]).double().reshape(-1, 1)
        weights = SIZES.log()[n.clamp_max(SLOTS)] + _binomial(n, k) + torch.xlogy(k, 1 - alpha)
        weights = weights.masked_fill(n > SLOTS, -torch.inf)
        return Missing(weights.log_softmax(-1).float(), _point(len(n), SHARE))

    return model


def _joint(first: int) -> Tensor:
    """The law of the size where so many points are of the first kind."""
    n = torch.arange(SLOTS + 1)
    chance = _binomial(n, torch.full_like(n, first)) + (n - first) * math.log(1 - SHARE)
    return (SIZES.log() + chance).softmax(0)


def _told(process: Thinning, first: int) -> Any:
    """The exact number of missing points where so many are of the first kind; the shares of kinds
    are wrong on purpose."""

    def model(x_t: MarkedPoints, t: Any, c: Any = None) -> Missing:
        k = torch.arange(SLOTS + 1)
        left = ((x_t.kinds[..., 0] == 0) & x_t.mask).sum(-1, keepdim=True)
        other = k - (first - left)
        n = x_t.number.unsqueeze(-1) + k
        alpha = torch.as_tensor(process.schedule.values(t)[0]).double().reshape(-1, 1)
        weights = _joint(first).log()[n.clamp_max(SLOTS)]
        weights = weights + _binomial(n - first, other) + torch.xlogy(k, 1 - alpha)
        weights = weights.masked_fill((n > SLOTS) | (other < 0), -torch.inf)
        return Missing(weights.log_softmax(-1).float(), _point(len(n), 0.5))

    return model


def _drawn(model: Any, process: Any) -> MarkedPoints:
    start = process.prior((SLOTS, 1)).sample(N)
    transport = Transport(model, process)
    # Late enough that two are missing at the end in no more than 1e-8 of the sets.
    return samplers.run(samplers.BirthClocks(), transport, start, [1.0, 1e-5, 0.0], seed=0)


def _numbers(x: MarkedPoints) -> Tensor:
    return torch.stack([((x.kinds[..., 0] == k) & x.mask).sum(-1) for k in range(2)], -1)


def _check_places(x: MarkedPoints) -> None:
    for kind, mean in ((0, -2.0), (1, 3.0)):
        own = x.x[..., 0][x.mask & (x.kinds[..., 0] == kind)]
        assert float(own.mean()) == pytest.approx(mean, abs=4 * 0.5 / math.sqrt(len(own)))
        assert float(own.std()) == pytest.approx(0.5, rel=4 / math.sqrt(2 * len(own)))


def test_all_kinds_given_are_met_exactly() -> None:
    process = Thinning(space=SPACE)
    counts = torch.tensor([[2, 1], [0, 4], [0, 0], [5, 1]]).repeat(N // 4, 1)
    x = _drawn(GivenCounts(_untold(process), counts), process)
    assert torch.equal(_numbers(x), counts)
    _check_places(x)


@pytest.mark.parametrize("first", [0, 2])
def test_open_kinds_have_the_conditional_law(first: int) -> None:
    process = Thinning(space=SPACE)
    x = _drawn(GivenCounts(_told(process, first), torch.tensor([first, -1])), process)
    assert bool((_numbers(x)[:, 0] == first).all())
    shares = torch.bincount(x.number, minlength=SLOTS + 1) / N
    check_shares(shares, _joint(first), N)
    if first:
        _check_places(x)


def test_nothing_given_changes_nothing() -> None:
    process = Thinning(space=SPACE)
    x = process.prior((SLOTS, 1)).sample(3)
    plain = _untold(process)
    told = GivenCounts(plain, torch.tensor([-1, -1]))(x, 0.7)
    assert torch.allclose(told.counts, plain(x, 0.7).counts, atol=1e-5)
    where = torch.linspace(-4, 4, 9).reshape(1, 9, 1).expand(3, -1, -1)
    for kind in (0, 1):
        kinds = torch.full((3, 9, 1), kind)
        exact = plain(x, 0.7).point.log_prob(where, kinds)
        assert torch.allclose(told.point.log_prob(where, kinds), exact, atol=1e-4)


def test_models_of_sets_take_numbers() -> None:
    g = torch.Generator().manual_seed(0)
    mask = torch.rand(40, 4, generator=g) < 0.6
    kinds = torch.randint(0, 3, (40, 4, 1), generator=g)
    space = PointCloud(kinds=(3,))
    data = pf.data.load(MarkedPoints(torch.randn(40, 4, 2, generator=g), mask, kinds), space=space)
    model = pf.Diffusion.for_data(data, process=JumpDiffusion(space=space))
    model.fit_units(data.x)
    some = {"sampler": "birth-clocks", "steps": 3, "seed": 0}
    x = model.sample(20, given=[1, 0, 2], **some)
    numbers = torch.stack([((x.kinds[..., 0] == k) & x.mask).sum(-1) for k in range(3)], -1)
    assert numbers.tolist() == [[1, 0, 2]] * 20
    x = model.sample(20, given=[1, -1, 0], **some)
    assert bool((((x.kinds[..., 0] == 0) & x.mask).sum(-1) == 1).all())
    assert not bool(((x.kinds[..., 0] == 2) & x.mask).any())
    with pytest.raises(CapabilityError, match="sampler='birth-clocks'"):
        model.sample(2, given=[1, 0, 2], steps=3)
    with pytest.raises(InputError, match=r"5 points are asked for, .* up to 4"):
        model.sample(2, given=[1, 2, 2], **some)
    with pytest.raises(InputError, match="each of 3 kinds"):
        model.sample(2, given=[1, 2], **some)
