"""Maps between tables whose columns have different units: their distance, and warnings."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward import couplings, ot
from pushforward.errors import InputError
from pushforward.training.rectifying import straightness

SPREADS = torch.tensor([0.1, 20.0])


def table(n: int, seed: int, shift: float = 0.0) -> Tensor:
    """A narrow column beside a wide one."""
    return SPREADS * (torch.randn(n, 2, generator=torch.Generator().manual_seed(seed)) + shift)


def flow(**options: Any) -> pf.FlowMatching:
    return pf.FlowMatching(pf.nn.MLP(2, width=32), **options)


def bridge(**options: Any) -> pf.SchrodingerBridge:
    nets = (pf.nn.AffineSkip(pf.nn.MLP(2, width=16)) for _ in range(2))
    rounds = pf.schrodinger.OuterIterations(count=6, steps=60)
    return pf.SchrodingerBridge(*nets, iterations=rounds, **options)


MAKE = pytest.mark.parametrize("make", [flow, bridge])


@MAKE
def test_unequal_columns_are_warned_of_and_each_may_have_its_own_scale(make) -> None:
    a, b = table(300, 0), table(300, 1, 1.0)
    model = make()
    with pytest.warns(UserWarning, match="differ by a factor of 2.* scale='columns'"):
        pf.fit(model, b, source=a, steps=2, progress=False)
    assert any("scale='columns'" in said for said in model.warnings(b))
    own = make(scale="columns")
    pf.fit(own, b, source=a, steps=2, progress=False)
    assert not any("scale=" in said for said in own.warnings(b))
    units: Any = own.known_units()
    both = torch.cat([a, b]).std(0)
    torch.testing.assert_close(units.scale, both, rtol=0.05, atol=0)
    assert own.length == 1.0


@MAKE
def test_comparable_columns_and_pixels_are_not_warned_of(make) -> None:
    model = make()
    a, b = table(200, 0) / SPREADS, table(200, 1) / SPREADS * torch.tensor([1.0, 3.0])
    # A column that does not vary has no scale.
    model = make()
    pf.fit(model, b, source=a, steps=2, progress=False)
    assert not any("scale" in said for said in model.warnings(b))


def test_a_constant_column_has_no_scale() -> None:
    a, b = (torch.cat([table(100, k) / SPREADS * 0.01, torch.ones(100, 1)], 1) for k in (0, 1))
    model = pf.FlowMatching(pf.nn.MLP(3, width=8))
    model.keep_source(a)
    model.fit_units(b)
    assert model.warnings(b) == []


def test_a_narrow_column_survives_the_bridge() -> None:
    a, b = table(1000, 0), table(1000, 1, 2.0)
    torch.manual_seed(0)
    model = bridge(scale="columns")
    pf.fit(model, b, source=a, steps=360, batch_size=128, progress=False, seed=0, lr=3e-3)
    y = model.forward(a, seed=0)
    torch.testing.assert_close(y.std(0) / b.std(0), torch.ones(2), rtol=0, atol=0.35)
    torch.testing.assert_close(y.mean(0) / SPREADS, torch.full((2,), 2.0), rtol=0, atol=0.5)


def test_noise_is_in_the_units_of_the_distance() -> None:
    a, b = table(300, 0), table(300, 1)
    sigma = 0.5
    sizes = {}
    for scale in ("common", "columns"):
        model = flow(scale=scale, path=pf.processes.Bridge(sigma), event_shape=2)
        model.keep_source(a)
        if scale == "common":
            with pytest.warns(UserWarning, match="differ"):
                model.fit_units(b)
        else:
            model.fit_units(b)
        process: Any = model.process_in_units()
        sizes[scale] = process.path.sigma
        units: Any = model.known_units()
        if scale == "common":
            assert sizes[scale] == pytest.approx(sigma / float(units.scale[0]))
    assert sizes["columns"] == sigma


@pytest.mark.parametrize("coupling", ["ot", "whole"])
def test_the_coupling_goes_by_the_same_distance(coupling: str) -> None:
    a, b = table(50, 0), table(50, 1)
    for scale, weights in (("common", torch.ones(2)), ("columns", 1 / torch.cat([a, b]).std(0))):
        model = flow(scale=scale, coupling=coupling, event_shape=2)
        model.keep_source(a)
        if scale == "common":
            with pytest.warns(UserWarning, match="differ"):
                model.fit_units(b)
        else:
            model.fit_units(b)
        found = (
            model.pair(b, None, a)
            if coupling == "whole"
            else model.couple(b, None, a, torch.Generator().manual_seed(0))
        )
        assert torch.equal(found, ot.assignment(b * weights, a * weights))


def test_energies_and_straightness_are_in_the_same_units() -> None:
    a, b = table(400, 0), table(400, 1)
    model = flow(scale="columns")
    pf.fit(model, b, source=a, steps=5, progress=False, holdout=0.0)
    _, cost = straightness(model, 400, steps=10)
    energy = float(model.path_energy(a, steps=10).mean())
    # The energy of a path is at least its squared displacement, and not a hundred times that.
    assert 0.5 * cost.value < energy < 10 * cost.value + 1e-3
    done = pf.rectify(model, b, source=a, rounds=1, steps=2, progress=False)
    # Independent pairs of two equal columns: twice the variance each.
    assert done.cost.value == pytest.approx(4, rel=0.2)


def test_the_scale_is_saved(tmp_path) -> None:
    a, b = table(100, 0), table(100, 1)
    model = flow(scale="columns", coupling=couplings.Exact())
    pf.fit(model, b, source=a, steps=2, progress=False)
    model.save(tmp_path / "model")
    again = pf.load(tmp_path / "model")
    assert again.scale == "columns"
    assert torch.equal(again.forward(a, seed=0), model.forward(a, seed=0))


def test_what_shares_a_unit_by_nature_has_no_columns() -> None:
    x = torch.randn(10, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    model = pf.FlowMatching(pf.nn.UNet(1, width=8), scale="columns")
    model.keep_source(x)
    with pytest.raises(InputError, match="images of 1 x 8 x 8 share one: take scale='common'"):
        model.fit_units(x)
    for make in (flow, bridge):
        with pytest.raises(InputError, match="scale is 'common' or 'columns', not 'rows'"):
            make(scale="rows")


def test_a_product_has_a_scale_for_each_column_of_each_factor() -> None:
    path = pf.processes.ProductProcess(
        (pf.processes.Linear(0.5), pf.processes.Geodesic(pf.spaces.Torus()))
    )
    angles = torch.rand(100, 1, generator=torch.Generator().manual_seed(0))
    target, source = (table(100, 0), angles), (table(100, 1), angles.flip(0))
    model = pf.FlowMatching.for_data(pf.data.Data(target), path=path, scale="columns")
    pf.fit(model, target, source=source, steps=2, batch_size=8, progress=False)
    assert model.length == (1.0, 1.0)
    model = pf.FlowMatching.for_data(pf.data.Data(target), path=path)
    with pytest.warns(UserWarning, match="differ"):
        pf.fit(model, target, source=source, steps=2, batch_size=8, progress=False)
