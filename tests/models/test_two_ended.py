"""What every model between two laws owes: units, maps both ways, densities, no batch effects."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pushforward.models.two_ended import End, TwoEnded
from torch import Tensor, nn
from torch.distributions import Normal

import pushforward as pf
from pushforward import samplers
from pushforward.config import configurable
from pushforward.dynamics import Flow
from pushforward.errors import CapabilityError, InputError
from pushforward.models import trajectories
from pushforward.processes import Bridge
from pushforward.protocols import Transport
from pushforward.spaces import Euclidean
from pushforward.worlds import PairWorld


@configurable
class Exact(TwoEnded):
    """The bridge of two standard normal laws, known in closed form, at times inside (0, 1)."""

    def __init__(self, event_shape: int | tuple[int, ...] | None = None, source_rows: int = 0):
        super().__init__(event_shape, source_rows)
        self.weight = nn.Parameter(torch.zeros(1))
        self._begin()

    def loss(
        self,
        x: Tensor,
        c: Any = None,
        *,
        source: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        noise = torch.randn(len(x), generator=generator)
        return (self.weight - noise) ** 2

    def _transport(self, context: Tensor | None, towards: End) -> Transport:
        process = Bridge(0.8)
        return Transport(PairWorld(covariance=0.3).model(process), process)

    def _context(self, c: Any, n: int) -> None:
        return None

    def _grid(self, steps: int) -> list[float]:
        return [1e-3 + (1 - 2e-3) * k / steps for k in range(steps + 1)]


def _pair(n: int = 4000) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, n, 2, generator=generator)
    return 3 + 2 * a, -1 + 4 * b


def _fitted(**options: Any) -> Exact:
    a, b = _pair()
    model = Exact()
    pf.fit(model, b, source=a, steps=2, progress=False, **options)
    return model


def test_the_two_laws_share_one_shift_and_one_scale() -> None:
    a, b = _pair()
    model = Exact()
    model.start_from(a)
    model.standardize(b[:1000])
    units = model._units()
    assert (units.shift - 1).abs().max() < 0.2
    # The variance of the mixture of both: (4 + 16) / 2, and the means two away from the middle.
    assert float(units.scale[0]) == pytest.approx((10 + 4) ** 0.5, rel=0.03)
    assert units.scale[0] == units.scale[1]
    assert model.scale == float(units.scale[0])


def test_without_a_source_features_are_standardized_one_by_one() -> None:
    model, (_, b) = Exact(), _pair()
    model.standardize(b * torch.tensor([1.0, 100.0]))
    assert float(model._units().scale[1] / model._units().scale[0]) == pytest.approx(100, rel=0.1)
    assert model.scale == 1.0


def test_the_source_is_kept_and_saved(tmp_path) -> None:
    a, b = _pair(6000)
    model = Exact()
    pf.fit(model, b, source=a, steps=2, out=tmp_path / "run", progress=False, holdout=0.0)
    assert model.source.shape == (5000, 2)
    kept, given = ({tuple(row) for row in x.tolist()} for x in (model.source, a))
    assert len(kept & given) == 5000
    again = pf.load(tmp_path / "run", trust=(__name__,))
    asked = {"n": 7, "sampler": "sde", "seed": 3}
    assert torch.equal(again.sample(**asked), model.sample(**asked))


@pytest.mark.parametrize("sampler", ["heun", "sde", samplers.Euler(churn=0.3)])
def test_batch_composition_never_changes_a_state(sampler) -> None:
    model, (a, _) = _fitted(), _pair()
    kind = {"sampler": sampler, "steps": 5, "seed": 4}
    whole = model.forward(a[:50], **kind)
    assert torch.allclose(model.forward(a[:50], batch_size=7, **kind), whole, atol=1e-5)
    assert torch.allclose(model.forward(a[:9], **kind), whole[:9], atol=1e-5)
    other = torch.cat([a[:20], a[100:130]])
    assert torch.allclose(model.forward(other, **kind)[:20], whole[:20], atol=1e-5)
    back = model.backward(a[:50], **kind)
    assert torch.allclose(model.backward(a[:9], **kind), back[:9], atol=1e-5)
    drawn = model.sample(40, **kind)
    assert torch.allclose(model.sample(40, batch_size=11, **kind), drawn, atol=1e-5)
    assert torch.allclose(model.sample(40, rows=slice(13, 29), **kind), drawn[13:29], atol=1e-5)


def test_draws_are_independent_and_the_first_is_the_only_one() -> None:
    model, (a, _) = _fitted(), _pair()
    many = model.forward(a[:200], n=30, sampler="sde", seed=0)
    assert many.shape == (30, 200, 2)
    assert torch.equal(many[0], model.forward(a[:200], sampler="sde", seed=0))
    # Draws of one row vary about their mean, and one says nothing about the next.
    z = many - many.mean(0)
    assert abs(float((z[:-1] * z[1:]).mean() / z.var())) < 0.05
    assert torch.equal(model(a[:3], seed=1), model.forward(a[:3], seed=1))


@pytest.mark.parametrize("sampler", ["heun", "sde"])
def test_a_way_ends_where_the_map_leads(sampler: str) -> None:
    model, (a, _) = _fitted(), _pair()
    way = trajectories(model, a[:30], sampler=sampler, steps=6, seed=5)
    assert torch.allclose(way[0], a[:30], atol=1e-5)
    assert torch.equal(way[-1], model.forward(a[:30], sampler=sampler, steps=6, seed=5))


def test_the_maps_undo_each_other_without_noise() -> None:
    model, (a, _) = _fitted(), _pair()
    there = model.forward(a[:100], sampler=samplers.Heun(), steps=100)
    assert torch.allclose(model.backward(there, sampler="heun", steps=100), a[:100], atol=1e-2)


def test_every_row_of_the_source_starts_a_sample_as_often() -> None:
    model = _fitted()
    starts = model._units()(model._starts(2 * len(model.source), torch.Generator().manual_seed(1)))
    halves = starts.reshape(2, -1, 2)[..., 0].sort().values
    assert torch.allclose(halves[0], halves[1])
    assert torch.allclose(halves[0], model.source[:, 0].sort().values, atol=1e-5)


class Doubling:
    """The flow `dx/dt = x log 2`, which doubles states from one end to the other."""

    def tabulate(self, grid: Any) -> None: ...

    def dynamics(self, pred: Tensor, x_t: Tensor, t: Any) -> Flow:
        return Flow(Euclidean(), (pred,), (math.log(2),), None, 0.0)


class Doubled(Exact):
    def _transport(self, context: Tensor | None, towards: End) -> Transport:
        return Transport(lambda x, t, c=None: x, Doubling())

    def _grid(self, steps: int) -> list[float]:
        return TwoEnded._grid(self, steps)


def test_the_energy_of_a_path_is_that_of_the_flow() -> None:
    # Along x 2^t, int |x log 2|^2 4^t dt = 1.5 log 2 |x|^2, from the common center in data units.
    model, (a, b) = Doubled(), _pair()
    model.start_from(a)
    model.standardize(b)
    energy = model.path_energy(a[:50], steps=40)
    exact = 1.5 * math.log(2) * (a[:50] - model._units().shift).square().sum(1)
    assert torch.allclose(energy, exact, rtol=2e-3)
    assert torch.allclose(model.path_energy(a[:50], steps=40, batch_size=7), energy)
    ends = model.forward(a[:50], steps=40)
    assert bool((energy > (ends - a[:50]).square().sum(1)).all())


@pytest.mark.parametrize("options", [{}, {"tolerance": 1e-6}, {"divergence": "hutchinson"}])
def test_densities_are_those_of_the_flow(options) -> None:
    model = Doubled((3,))
    model.standardize(5 + 3 * torch.randn(400, 3, generator=torch.Generator().manual_seed(0)))
    units = model._units()
    x = 5 + 4 * torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    exact = Normal(units.shift, 2 * units.scale).log_prob(x).sum(-1)
    found = model.log_prob(x, batch_size=4, **options)
    assert found.kind == "ode"
    assert torch.allclose(found.value, exact, atol=1e-3)


def test_densities_need_a_source_with_a_density() -> None:
    assert Exact(2).capabilities.log_prob == "ode"
    model = _fitted()
    assert model.capabilities.log_prob == "none"
    with pytest.raises(CapabilityError, match="starts from data"):
        model.log_prob(torch.zeros(3, 2))


def test_sources_that_cannot_be_used_are_refused() -> None:
    a, b = _pair(50)
    with pytest.raises(InputError, match=r"source .* has states of shape \(1,\)"):
        pf.fit(Exact(), b, source=a[:, :1], progress=False)
    with pytest.raises(InputError, match="has one row"):
        pf.fit(Exact(), b, source=a[:1], holdout=0.0, progress=False)
    with pytest.raises(InputError, match="at least two rows, not 1"):
        Exact().start_from(a[:1])
    with pytest.raises(InputError, match="no rows"):
        pf.fit(Exact(), b, source=a[:0], progress=False)
    with pytest.raises(InputError, match="not finite"):
        Exact().start_from(torch.full((5, 2), torch.nan))
    model = _fitted()
    with pytest.raises(InputError, match="shape"):
        model.forward(a[:, :1])
    with pytest.raises(InputError, match="1 of 2 states are not finite"):
        model.forward(torch.tensor([[0.0, torch.nan], [1.0, 1.0]]))
    with pytest.raises(InputError, match="at least one"):
        model.forward(a, n=0)
    with pytest.raises(InputError):
        model.forward(a[:0])
