"""Fields on the command line: from a store to a run and to a store again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray

import pushforward as pf
from pushforward.data.field_rows import FieldRows

SMALL = ["model.net.class=unet", "model.net.width=8", "model.net.blocks=1", "--steps", "2",
         "--batch-size", "8", "train.holdout=0.2"]  # fmt: skip


def _store(path: Path, rows: int = 120) -> Path:
    rng = np.random.default_rng(0)
    axes = ("time", "lat", "lon")
    sea = 280 + 10 * rng.normal(size=(rows, 8, 8)).astype("f4")
    sea[:, 2:4, 1:4] = np.nan
    made = xarray.Dataset(
        {
            "sst": (axes, sea, {"units": "K"}),
            "rain": (axes, rng.gamma(1.0, 1e-4, (rows, 8, 8)).astype("f4"), {"units": "mm/s"}),
        },
        {
            "time": np.datetime64("2000-01-01", "ns") + np.arange(rows) * np.timedelta64(6, "h"),
            "lat": ("lat", np.linspace(-70, 70, 8), {"units": "degrees_north"}),
            "lon": ("lon", np.arange(8) * 45.0, {"units": "degrees_east"}),
        },
    )
    made.to_zarr(path, mode="w", zarr_format=2, consolidated=True)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store and a run of a few steps on it."""
    from pushforward.cli import main

    folder = tmp_path_factory.mktemp("fields")
    store = _store(folder / "w.zarr")
    with pytest.raises(SystemExit) as end:
        main([str(w) for w in ("--quiet", "train", store, "--out", folder / "run", *SMALL)])
    assert end.value.code == 0
    return folder


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_samples_lie_on_the_grid_of_the_data(trained: Path, call: Any, suffix: str) -> None:
    out = trained / f"new{suffix}"
    found = call("--quiet", "sample", trained / "run", "-n", 5, "--steps", 4, "--out", out)
    assert found.code == 0, found.err
    with xarray.open_dataset(out, **({"engine": "zarr"} if suffix == ".zarr" else {})) as made:
        assert dict(made.sizes) == {"time": 5, "lat": 8, "lon": 8}
        assert made.sst.units == "K"
        assert made.rain.units == "mm/s"
        assert made.lat.units == "degrees_north"
        assert np.array_equal(made.lon.values, np.arange(8) * 45.0)
        land = np.isnan(made.sst.values)
        assert land[:, 2:4, 1:4].all()
        assert land.sum() == 5 * 6
        assert np.isfinite(made.rain.values).all()
        assert abs(float(made.sst.mean()) - 280) < 30


def test_the_model_lives_on_the_grid(trained: Path) -> None:
    model = pf.load(trained / "run")
    assert model.space.periodic == (False, True)
    assert model.space.names == ("rain (mm/s)", "sst (K)")
    assert model.predictor.net.periodic == (False, True)
    assert model.predictor.net.positions


def test_runs_are_judged_and_go_on(trained: Path, call: Any) -> None:
    found = call("--quiet", "evaluate", trained / "run", "-n", 20, "--steps", 4)
    assert found.code == 0, found.err
    assert "energy distance" in found.out
    found = call("--quiet", "train", "--resume", "--out", trained / "run")
    assert found.code == 0, found.err
    assert (trained / "run" / "report.html").is_file()


def test_the_doctor_shows_variables_units_and_masks(trained: Path, call: Any) -> None:
    found = call("doctor", trained / "w.zarr", *SMALL[:3])
    assert "rows along time; fields along lat (8) and lon (8, periodic)" in found.out
    assert "sst in K, 9.4% of its cells masked" in found.out
    assert "rain in mm/s" in found.out
    found = call("doctor", trained / "w.zarr", "--variables", "rain", *SMALL[:3])
    assert "sst" not in found.out.partition("\n")[2].partition("warning")[0]


def test_other_fields_are_read_as_those_of_the_run(trained: Path, call: Any) -> None:
    with xarray.open_zarr(trained / "w.zarr", consolidated=False, chunks=None) as made:
        part = made.isel(time=slice(0, 3))[["rain", "sst"]].transpose("lon", "time", "lat").load()
    part.to_netcdf(trained / "part.nc")
    found = call("--quiet", "logprob", trained / "run", trained / "part.nc", "--steps", 4)
    assert found.code == 0, found.err
    part.isel(lat=slice(0, 6)).to_netcdf(trained / "cut.nc")
    found = call("logprob", trained / "run", trained / "cut.nc")
    assert found.code == 2
    assert "6 cells along lat" in found.err


def test_a_store_trains_without_being_in_memory(
    tmp_path: Path, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, row = _store(tmp_path / "w.zarr"), 4 * 2 * 8 * 8
    # Room for 16 rows of 120: the training part never fits, and neither does what is held out.
    monkeypatch.setattr("pushforward.data.stored.BLOCK", 16 * row)
    largest = 0
    original, empty = FieldRows.read, torch.empty

    def counted(self: FieldRows, numbers: Any, dtype: Any = None) -> Any:
        nonlocal largest
        largest = max(largest, len(numbers))
        return original(self, numbers, dtype)

    def allocated(*shape: Any, **options: Any) -> Any:
        # What is read is put together here, block by block.
        nonlocal largest
        if shape[1:] == (2, 8, 8):
            largest = max(largest, shape[0])
        return empty(*shape, **options)

    monkeypatch.setattr(FieldRows, "read", counted)
    monkeypatch.setattr(torch, "empty", allocated)
    words = ["--quiet", "train", store, "data.lazy=true", *SMALL, "train.validate_every=100"]
    found = call(*words, "--out", tmp_path / "run")
    assert found.code == 0, found.err
    assert largest <= 24, largest  # the rows held out are validated together
    found = call("--quiet", "sample", tmp_path / "run", "-n", 3, "--steps", 4, "--out",
                 tmp_path / "new.nc")  # fmt: skip
    assert found.code == 0, found.err
