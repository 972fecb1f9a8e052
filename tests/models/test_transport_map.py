"""What every transport map owes: units, maps both ways, densities, no batch effects."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal

import pushforward as pf
from pushforward import samplers
from pushforward.analytic import AnalyticPair
from pushforward.config import configurable
from pushforward.dynamics import Flow
from pushforward.errors import CapabilityError, InputError
from pushforward.models import Trainable, TransportMap
from pushforward.models.source import Source
from pushforward.processes import Bridge, GenerativeProcess, Linear, StochasticInterpolant
from pushforward.processes.path import Path
from pushforward.protocols import Transport


class Inside(StochasticInterpolant):
    """A path that predicts its ends, at times inside (0, 1), where they say all."""

    interval = (1 - 1e-3, 1e-3)  # type: ignore[assignment]

    def dynamics(self, pred: Any, x_t: Tensor, t: Any) -> Flow:
        return self.path.dynamics(pred, x_t, t)


@configurable
class Exact(TransportMap, Trainable):
    """The bridge of two standard normal distributions, known in closed form."""

    takes_source = True

    def __init__(self, event_shape: int | tuple[int, ...] | None = None, source_rows: int = 0):
        super().__init__(event_shape)
        self.source = Source(source_rows, self._given_shape)
        self.weight = nn.Parameter(torch.zeros(1))
        self._ready()

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

    def process_in_units(self) -> GenerativeProcess:
        return Inside(Bridge(0.8))

    def _transport(self, context: Any) -> Callable[[slice], Transport]:
        process = self.process_in_units()
        path: Path = Bridge(0.8)
        return lambda rows: Transport(AnalyticPair(covariance=0.3).model(path), process)


def _pair(n: int = 4000) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, n, 2, generator=generator)
    return 3 + 2 * a, -1 + 4 * b


def _fitted(**options: Any) -> Exact:
    a, b = _pair()
    model = Exact()
    pf.fit(model, b, source=a, steps=2, progress=False, **options)
    return model


def test_both_sides_share_one_shift_and_one_scale() -> None:
    a, b = _pair()
    model = Exact()
    model.keep_source(a)
    model.fit_units(b[:1000])
    units: Any = model.known_units()
    assert (units.shift - 1).abs().max() < 0.2
    # The variance of the mixture of both: (4 + 16) / 2, and the means two away from the middle.
    assert float(units.scale[0]) == pytest.approx((10 + 4) ** 0.5, rel=0.03)
    assert units.scale[0] == units.scale[1]
    assert model.length == float(units.scale[0])


def test_without_a_source_features_are_standardized_one_by_one() -> None:
    model, (_, b) = Exact(), _pair()
    model.fit_units(b * torch.tensor([1.0, 100.0]))
    scale: Tensor = model.known_units().scale  # type: ignore[union-attr, assignment]
    assert float(scale[1] / scale[0]) == pytest.approx(100, rel=0.1)
    assert model.length == 1.0


def test_the_source_is_kept_and_saved(tmp_path) -> None:
    a, b = _pair(6000)
    model = Exact()
    pf.fit(model, b, source=a, steps=2, out=tmp_path / "run", progress=False, holdout=0.0)
    assert model.source.x.shape == (5000, 2)
    kept, given = ({tuple(row) for row in x.tolist()} for x in (model.source.x, a))
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
    assert torch.allclose(model.sample(25, **kind), drawn[:25], atol=1e-5)
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
def test_a_trajectory_ends_where_the_map_leads(sampler: str) -> None:
    model, (a, _) = _fitted(), _pair()
    way = model.trajectory(a[:30], sampler=sampler, steps=6, seed=5)
    assert torch.allclose(way[0], a[:30], atol=1e-5)
    assert torch.equal(way[-1], model.forward(a[:30], sampler=sampler, steps=6, seed=5))


def test_the_maps_undo_each_other_without_noise() -> None:
    model, (a, _) = _fitted(), _pair()
    there = model.forward(a[:100], sampler=samplers.Heun(), steps=100)
    assert torch.allclose(model.backward(there, sampler="heun", steps=100), a[:100], atol=1e-2)


def test_every_row_of_the_source_starts_a_sample_as_often() -> None:
    model = _fitted()
    n = len(model.source)
    starts = model.outward(model._starts(2 * n, torch.Generator(), seed=1))
    halves = starts.reshape(2, -1, 2)[..., 0].sort().values
    assert torch.allclose(halves[0], halves[1])
    assert torch.allclose(halves[0], model.source.x[:, 0].sort().values, atol=1e-5)


def test_the_noise_of_the_steps_is_not_that_of_the_start() -> None:
    # Without velocity and score a random step only adds noise, which must be independent of the
    # start; that of the start itself in the first of 20 steps would correlate with it by 0.22.
    model = Still((2,))
    start, end = (model.sample(4000, sampler=name, steps=20, seed=3) for name in ("heun", "sde"))
    added = end - start
    assert abs(float((added * start).mean() / added.std())) < 0.05


class Standing(Inside):
    """Noise and nothing else."""

    def dynamics(self, pred: Any, x_t: Tensor, t: Any) -> Flow:
        return Flow(self.space, (x_t,), (0.0,), (0.0,), 1.0)


class Still(Exact):
    def process_in_units(self) -> GenerativeProcess:
        return Standing(Bridge(1.0))

    def _transport(self, context: Any) -> Callable[[slice], Transport]:
        process = self.process_in_units()
        return lambda rows: Transport(lambda x, t, c=None: x, process)


class Doubled(Exact):
    """The flow `dx/dt = -x log 2`, which doubles states from the source to the target."""

    def process_in_units(self) -> GenerativeProcess:
        return StochasticInterpolant(Linear())

    def _transport(self, context: Any) -> Callable[[slice], Transport]:
        process = self.process_in_units()
        return lambda rows: Transport(lambda x, t, c=None: -math.log(2) * x, process)


def test_the_energy_of_a_path_is_that_of_the_flow() -> None:
    # Along x 2^s, int |x log 2|^2 4^s ds = 1.5 log 2 |x|^2, from the common center in data units.
    model, (a, b) = Doubled(), _pair()
    model.keep_source(a)
    model.fit_units(b)
    units: Any = model.known_units()
    energy = model.path_energy(a[:50], steps=40)
    exact = 1.5 * math.log(2) * (a[:50] - units.shift).square().sum(1)
    assert torch.allclose(energy, exact, rtol=2e-3)
    assert torch.allclose(model.path_energy(a[:50], steps=40, batch_size=7), energy)
    ends = model.forward(a[:50], steps=40)
    assert torch.allclose(ends - units.shift, 2 * (a[:50] - units.shift), rtol=1e-3)
    assert bool((energy > (ends - a[:50]).square().sum(1)).all())


def test_the_energy_is_integrated_over_the_steps_that_are_made() -> None:
    # On a grid that is finer at one end; the rate itself is exact at every time.
    class Uneven(Doubled):
        def _times(self, steps: int | None) -> list[float]:
            return [1 - (k / steps) ** 2 for k in range(steps + 1)]

    model = Uneven(2)
    x = torch.ones(1, 2)
    assert float(model.path_energy(x, steps=60)) == pytest.approx(3 * math.log(2), rel=2e-3)


@pytest.mark.parametrize("options", [{}, {"tolerance": 1e-6}, {"divergence": "hutchinson"}])
def test_densities_are_those_of_the_flow(options) -> None:
    model = Doubled((3,))
    model.fit_units(5 + 3 * torch.randn(400, 3, generator=torch.Generator().manual_seed(0)))
    units: Any = model.known_units()
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
        Exact().keep_source(a[:1])
    with pytest.raises(InputError, match="no rows"):
        pf.fit(Exact(), b, source=a[:0], progress=False)
    with pytest.raises(InputError, match="not finite"):
        Exact().keep_source(torch.full((5, 2), torch.nan))
    model = _fitted()
    with pytest.raises(InputError, match="shape"):
        model.forward(a[:, :1])
    with pytest.raises(InputError, match="1 of 2 states are not finite"):
        model.forward(torch.tensor([[0.0, torch.nan], [1.0, 1.0]]))
    with pytest.raises(InputError, match="n is a whole number of at least 1"):
        model.forward(a, n=0)
    with pytest.raises(InputError):
        model.forward(a[:0])


def test_draws_of_one_seed_are_none_of_the_next() -> None:
    model, (a, _) = _fitted(), _pair()
    several = [model.forward(a[:20], n=3, sampler="sde", seed=seed) for seed in (4, 5)]
    for one in several[0]:
        for other in several[1]:
            assert float((one - other).abs().max()) > 0.1
