"""Patches of large domains: a partition of unity, no seams, and stores that stay where they are."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray

import pushforward as pf
from pushforward._patches import Patches
from pushforward.data.stored import Stored
from pushforward.errors import CapabilityError, InputError
from pushforward.spaces import Fields

GRIDS = [
    ((8, 8), (4, 4), (2, 2), (False, False)),
    ((9, 13), (4, 5), (1, 3), (False, True)),
    ((16, 10), (16, 4), (3, 0), (True, True)),
    ((7, 5), (7, 5), (2, 2), (True, False)),
    ((12, 12), (5, 5), (4, 4), (True, True)),
    ((20,), (6,), (2,), (True,)),
]


def _store(n: int, rows: int = 6, periodic: int = 1) -> Any:
    at = 2 * math.pi * np.arange(n) / n
    u = np.cos(at) + np.sin(2 * at[:, None]) + np.arange(rows)[:, None, None]
    axes = {name: (name, at, {"periodic": periodic}) for name in ("y", "x")}
    axes["time"] = ("time", np.arange(rows))  # type: ignore[assignment]
    return xarray.Dataset({"u": (("time", "y", "x"), u.astype("f4"), {"units": "m"})}, axes)


@pytest.mark.parametrize("grid", GRIDS)
def test_weights_are_a_partition_of_unity(grid: Any) -> None:
    patches = Patches(*grid)
    ones = torch.ones(1, 1, *patches.sizes, dtype=torch.float64)
    assert torch.allclose(patches.blend(patches.cut(ones)), ones, atol=1e-14)
    for weights, cells, overlap, size in zip(
        patches.weights, patches.cells, patches.overlap, patches.size, strict=True
    ):
        assert bool((weights > 0).all())
        # Every cell is covered, and neighbors share what was asked for at least.
        assert set(cells.flatten().tolist()) == set(range(int(cells.max()) + 1))
        for a, b in itertools.pairwise(cells):
            assert len(set(a.tolist()) & set(b.tolist())) >= min(overlap, size)


@pytest.mark.parametrize("grid", GRIDS)
def test_fields_come_back_exactly_whatever_they_are(grid: Any) -> None:
    patches = Patches(*grid)
    g = torch.Generator().manual_seed(0)
    x = torch.randn(3, 2, *patches.sizes, generator=g, dtype=torch.float64)
    parts = patches.cut(x)
    assert parts.shape == (3 * patches.count, 2, *patches.size)
    assert torch.allclose(patches.blend(parts), x, atol=1e-13)
    smooth = torch.ones(1, 1, *patches.sizes, dtype=torch.float64)
    for axis, size in enumerate(patches.sizes):
        along = torch.cos(2 * math.pi * torch.arange(size, dtype=torch.float64) / size)
        smooth = smooth + along.reshape(-1, *(1 for _ in patches.sizes[axis + 1 :]))
    assert torch.allclose(patches.blend(patches.cut(smooth)), smooth, atol=1e-13)


def test_patches_that_disagree_are_joined_without_a_jump() -> None:
    patches = Patches((32, 32), (16, 16), (8, 8), (True, True))
    levels = torch.arange(patches.count, dtype=torch.float64)[:, None, None, None]
    made = patches.blend(levels.expand(-1, 1, 16, 16))
    # A planted fault, patches put side by side, jumps by the whole difference of levels.
    side_by_side = Patches((32, 32), (16, 16), (0, 0), (True, True))
    apart = side_by_side.blend(torch.arange(4.0)[:, None, None, None].expand(-1, 1, 16, 16))
    jumps = []
    for x in (made, apart):
        most = max(float((x - x.roll(1, axis)).abs().max()) for axis in (2, 3))
        jumps.append(most / float(x.max() - x.min()))
    assert jumps[0] < 0.25
    assert jumps[1] > 0.6


def test_a_network_on_patches_is_the_network_where_it_looks_at_a_cell_alone() -> None:
    class Pointwise(torch.nn.Module):
        num_classes = 3
        context_size = None

        def forward(self, x: Any, t: Any, c: Any = None) -> Any:
            told = 0.0 if c is None else c[:, None, None, None]
            return x.sin() * t[:, None, None, None] + told

    net = pf.nn.Blended(Pointwise(), 6, 3, (True, False))
    g = torch.Generator().manual_seed(0)
    x, t = torch.randn(2, 1, 12, 15, generator=g), torch.tensor([0.3, 0.8])
    c = torch.tensor([0, 2])
    assert torch.allclose(net(x, t, c), Pointwise()(x, t, c), atol=1e-5)


def test_a_store_is_read_patch_by_patch(tmp_path: Path) -> None:
    _store(16).to_netcdf(tmp_path / "large.nc")
    whole = pf.data.load(tmp_path / "large.nc")
    lazy = pf.data.load(tmp_path / "large.nc", lazy=True)
    cut, kept = (pf.data.in_patches(data, (8, 16), (4, 0)) for data in (whole, lazy))
    assert type(kept.x) is Stored
    assert cut.x.shape == (6 * 4, 1, 8, 16)
    order = torch.tensor([23, 0, 7, 8])
    assert torch.equal(kept.x[order], cut.x[order])
    space = pf.spaces.space_of(cut)
    assert space is not None
    assert space.periodic == (False, True)  # whole along x alone
    assert kept.fingerprint != lazy.fingerprint
    patches = pf.data.patches_of(whole, (8, 16), (4, 0))
    assert torch.allclose(patches.blend(cut.x), whole.x, atol=1e-6)
    train, test = kept.split(0.25, seed=0)
    assert len(train) + len(test) == 24
    process = pf.processes.Gaussian(space=space)
    model = pf.Diffusion.for_data(cut, process=process, net=pf.nn.UNet(width=8, blocks=1))
    pf.fit(model, kept, steps=2, batch_size=4, progress=False)


def test_a_model_of_patches_makes_fields_of_the_whole_domain() -> None:
    data = pf.data.load(_store(16))
    cut = pf.data.in_patches(data, 8, 4)
    process = pf.processes.Gaussian(space=pf.spaces.space_of(cut))
    torch.manual_seed(0)
    small = pf.Diffusion(pf.nn.UNet(width=8, blocks=1), process, event_shape=(1, 8, 8))
    small.fit_units(cut.x)
    large = pf.models.on_domain(small, (16, 24), overlap=4, periodic=(True, False))
    assert large.sample(2, steps=3, seed=0).shape == (2, 1, 16, 24)
    assert torch.equal(large.units.shift, small.units.shift)
    assert large.space.periodic == (True, False)
    # One patch is the model itself, to the bit.
    same = pf.models.on_domain(small, (8, 8), overlap=4)
    assert torch.equal(same.sample(2, steps=3, seed=0), small.sample(2, steps=3, seed=0))
    with pytest.raises(InputError, match="does not fit an axis of 4"):
        pf.models.on_domain(small, (4, 16), overlap=2)
    masked = pf.processes.Gaussian(space=Fields(mask=torch.tensor([[True, False]])))
    one = pf.Diffusion(pf.nn.UNet(width=8), masked, event_shape=(1, 1, 2))
    with pytest.raises(InputError, match="masks or weights"):
        pf.models.on_domain(one, (8, 8), overlap=2)


def test_exact_predictions_of_patches_draw_the_domain_without_seams() -> None:
    """White fields: the blended prediction of a larger domain is the exact one, cell by cell."""

    class White(torch.nn.Module):
        num_classes = context_size = None

        def __init__(self) -> None:
            super().__init__()
            self.unused = torch.nn.Parameter(torch.zeros(()))

        def forward(self, x: Any, t: Any, c: Any = None) -> Any:
            alpha, _ = pf.schedules.VP().values(t)
            return alpha.reshape(-1, 1, 1, 1) * x  # E[x_0 | x_t] of unit variance

    process = pf.processes.Gaussian(space=Fields(periodic=(True, True)))
    small = pf.Diffusion(White(), process, predict="data", label_dropout=0.0, event_shape=(1, 8, 8))
    large = pf.models.on_domain(small, (16, 16), overlap=4, periodic=(True, True))
    variance = large.sample(2000, steps=10, seed=0)[:, 0].var(0)
    alone = float(small.sample(4000, steps=10, seed=1).var())  # with the error of ten steps
    # Each cell has the variance that it has in a patch, on their edges as elsewhere.
    assert float((variance / alone - 1).abs().max()) < 5 * math.sqrt(2 / 2000)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 20}, "does not fit an axis of 16"),
        ({"overlap": 8}, "not below a patch of 8"),
        ({"size": (8, 8, 8)}, "as many axes"),
    ],
)
def test_patches_that_do_not_fit_are_refused(change: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pf.data.in_patches(pf.data.load(_store(16)), **{"size": 8, "overlap": 2, **change})


def test_what_belongs_to_a_place_is_refused() -> None:
    land = _store(16)
    land["u"][:, 0, 0] = np.nan
    with pytest.raises(InputError, match="cells without values"):
        pf.data.in_patches(pf.data.load(land), 8, 2)
    globe = _store(16, periodic=0).rename(y="lat", x="lon")
    globe = globe.assign_coords(lat=("lat", np.linspace(-70, 70, 16), {"units": "degrees_north"}))
    with pytest.raises(InputError, match="weights='none'"):
        pf.data.in_patches(pf.data.load(globe), 8, 2)
    assert len(pf.data.in_patches(pf.data.load(globe, weights="none"), 8, 0).x) == 24
    with pytest.raises(InputError, match="no fields on a grid"):
        pf.data.in_patches(pf.data.Data(torch.zeros(3, 2)), 1, 0)


class _Relaxing(torch.nn.Module):
    """What changes in one step of `u -> u / 2`, from the frames given beside a state, cell by
    cell."""

    num_classes = context_size = None

    def __init__(self) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(()))

    def forward(self, x: Any, t: Any, c: Any = None) -> Any:
        return -0.5 * x[:, 2:]  # after the state the two frames given, the last one last


def test_forecasts_of_patches_are_those_of_the_domain_without_seams() -> None:
    """A world of cells on their own: what patches say of it is what the whole says, exactly."""
    start = pf.models.ContextChannels((1,), given=2, sizes=(8, 8))
    net = pf.nn.PictureContext(_Relaxing(), (2, 8, 8))
    space = Fields()
    small = pf.models.FrameRegression(net, start, space, (1, 8, 8), pf.nn.AsVectors())
    past = torch.randn(3, 2, 16, 24, generator=torch.Generator().manual_seed(0))
    small.fit_contexts(past[..., :8, :8])
    small.known_units(torch.zeros(2, 1, 8, 8)).fit(3 + 2 * past[:, 1:, :8, :8])
    large = pf.models.on_domain(small, (16, 24), overlap=4, periodic=(False, True))
    units = {name: part.flatten() for name, part in small.contexts.state_dict().items()}
    shift, scale = (units[f"parts.0.{name}"][1] for name in ("shift", "scale"))
    told = (past[:, 1:] - shift) / scale  # what a network is told of the last frame
    outward = large.outward(large.inward(past[:, 1:]) - 0.5 * told)
    assert torch.allclose(large.sample(3, past), outward, atol=1e-5)
    # The same on each patch alone.
    assert torch.allclose(small.sample(3, past[..., :8, :8]), outward[..., :8, :8], atol=1e-5)


def test_a_model_of_something_else_says_what_it_is() -> None:
    mixture = pf.models.GaussianMixtureModel(2, event_shape=2)
    with pytest.raises(CapabilityError, match="a GaussianMixtureModel cannot be put together"):
        pf.models.on_domain(mixture, (8, 8), overlap=2)
    vectors = pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=(2,))
    with pytest.raises(CapabilityError, match="a space of spaces"):
        pf.models.on_domain(vectors, (8, 8), overlap=2)
    net = pf.nn.PictureContext(_Relaxing(), (2, 4, 4))
    told = pf.Diffusion(net, pf.processes.Gaussian(space=Fields()), event_shape=(1, 8, 8))
    with pytest.raises(InputError, match="must be cut like the state"):
        pf.models.on_domain(told, (16, 16), overlap=2)
