"""From a coarse store and a fine one to fine fields with the times of other coarse ones."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray

import pushforward as pf

SMALL = ["model.net.class=unet", "model.net.width=8", "model.net.blocks=1", "model.cache.rows=8",
         "--iterations", "2", "--steps", "4", "--batch-size", "4", "model.steps=2"]  # fmt: skip


def _fields(n: int, rows: int, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    at = ("x", 2 * math.pi * np.arange(n) / n, {"periodic": 1, "units": "rad"})
    axes = ("time", "y", "x")
    return xarray.Dataset(
        {
            "u": (axes, rng.normal(size=(rows, n, n)).astype("f4"), {"units": "m/s"}),
            "p": (axes, 1000 + 50 * rng.normal(size=(rows, n, n)).astype("f4"), {"units": "hPa"}),
        },
        {
            "time": np.datetime64("2001-01-01", "ns") + np.arange(rows) * np.timedelta64(6, "h"),
            "y": ("y", *at[1:]),
            "x": at,
        },
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with stores and a bridge of a few steps between them."""
    from pushforward.cli import main

    folder = tmp_path_factory.mktemp("downscaling")
    for name, n, rows, seed in (("fine", 16, 40, 0), ("coarse", 4, 30, 1), ("later", 4, 5, 2)):
        made = _fields(n, rows, seed)
        made.to_zarr(folder / f"{name}.zarr", zarr_format=2, consolidated=True)
    with pytest.raises(SystemExit) as end:
        main([str(w) for w in ("--quiet", "bridge", "--source", folder / "coarse.zarr", "--target",
                               folder / "fine.zarr", "--out", folder / "run", *SMALL)])  # fmt: skip
    assert end.value.code == 0
    return folder


def test_the_bridge_is_one_of_fields_with_the_published_noise(trained: Path) -> None:
    model = pf.load(trained / "run")
    assert model.reference.sigma**2 == pytest.approx(0.3)
    assert model.space.periodic == (True, True)
    assert model.loop.directions.network(True).periodic == (True, True)
    # Whatever the units: a standard deviation is one.
    assert model.length == 1.0
    scale = model.units.scale.flatten().tolist()
    assert scale == pytest.approx([50, 1], rel=0.3)


def test_steps_and_noise_are_what_the_command_says(trained: Path, call: Any) -> None:
    words = ("bridge", "--source", trained / "coarse.zarr", "--target", trained / "fine.zarr")
    assert "steps: 30\n" in call(*words, "--print-config").out
    found = call(*words, "--sigma", "0.2", "--print-config").out
    assert "sigma: 0.2" in found


def test_translated_fields_have_the_fine_grid_and_the_times_of_the_coarse(
    trained: Path, call: Any
) -> None:
    out = trained / "new.zarr"
    found = call("translate", trained / "run", trained / "later.zarr", "--out", out, "--steps", 2)
    assert found.code == 0, found.err
    assert "from 4 x 4 cells by the waves of every 4th point" in found.err
    fine, later = _fields(16, 1, 0), _fields(4, 5, 2)
    with xarray.open_zarr(out) as made:
        assert dict(made.sizes) == {"time": 5, "y": 16, "x": 16}
        assert made.u.units == "m/s"
        assert made.p.units == "hPa"
        assert np.array_equal(made.x.values, fine.x.values)
        assert np.array_equal(made.time.values, later.time.values)
        assert np.isfinite(made.u.values).all()


def test_several_draws_are_members(trained: Path, call: Any) -> None:
    out = trained / "members.nc"
    found = call("--quiet", "translate", trained / "run", trained / "later.zarr", "-n", 3,
                 "--out", out, "--steps", 2)  # fmt: skip
    assert found.code == 0, found.err
    with xarray.open_dataset(out) as made:
        assert made.u.dims == ("member", "time", "y", "x")
        assert dict(made.sizes) == {"member": 3, "time": 5, "y": 16, "x": 16}
        assert np.array_equal(made.time.values, _fields(4, 5, 2).time.values)
        assert float(made.u.std("member").min()) > 0


def test_exact_fields_have_the_coarse_fields_that_they_came_from(trained: Path, call: Any) -> None:
    words = ("--quiet", "translate", trained / "run", trained / "later.zarr", "--steps", 2)
    out = trained / "exact.zarr"
    found = call(*words, "--exact", "-n", 2, "--out", out)
    assert found.code == 0, found.err
    operator = pf.inverse.SpectralDownsample(4)
    coarse = pf.data.load(_fields(4, 5, 2)).x
    # Of a coarse field counts what is no wave of half its grid.
    known = operator(operator.upsample(coarse, (2, 16, 16)))
    with xarray.open_zarr(out) as made:
        for member in (0, 1):
            fine = pf.data.load(made.isel(member=member)).x
            assert float((operator(fine) - known).abs().max() / known.std()) < 1e-5
    found = call("translate", trained / "run", trained / "fine.zarr", "--exact", "--out", out)
    assert found.code == 2
    assert "lies on the grid of the fine fields" in found.err


def test_fine_fields_go_back_on_their_grid(trained: Path, call: Any) -> None:
    words = ("translate", trained / "run", trained / "fine.zarr", "--backward", "--steps", 2)
    found = call("--quiet", *words, "--out", trained / "back.nc")
    assert found.code == 0, found.err
    with xarray.open_dataset(trained / "back.nc") as made:
        assert dict(made.sizes) == {"time": 40, "y": 16, "x": 16}
    # Only what starts at the source is refined.
    words = ("translate", trained / "run", trained / "later.zarr", "--backward")
    found = call(*words, "--out", trained / "odd.nc")
    assert found.code == 2
    assert "4 cells along y" in found.err


def test_a_factor_that_does_not_divide_is_an_error(trained: Path, call: Any) -> None:
    _fields(6, 10, 0).to_netcdf(trained / "six.nc")
    words = ("bridge", "--source", trained / "six.nc", "--target", trained / "fine.zarr")
    found = call(*words, "--out", trained / "none", *SMALL)
    assert found.code == 2
    assert "6 cells along y and the target 16, which is no multiple" in found.err
    words = ("bridge", "--source", trained / "coarse.zarr", "--target", trained / "fine.zarr")
    found = call(*words, "source.variables=u", "--out", trained / "none", *SMALL)
    assert found.code == 2
    assert "source.variables means nothing" in found.err
