"""`pushforward downscale`: every method from store to store, judged, exact, and refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray

import pushforward as pf
from pushforward import registry
from pushforward.cli.app import command_of
from pushforward.cli.wording import in_words_of
from pushforward.downscaling import Refinement, SpectralTransport
from pushforward.errors import InputError
from pushforward.inverse import SpectralDownsample

TRAINED = {"noise-bridge": "fine", "constrained-diffusion": "fine", "learned": "bridge"}
SMALL = ["model.net.class=unet", "model.net.width=8", "model.net.blocks=1"]


def _fields(n: int, rows: int, seed: int, *, bias: float = 0.0) -> Any:
    rng = np.random.default_rng(seed)
    axis = 2 * math.pi * np.arange(n) / n
    at = {name: (name, axis, {"periodic": 1, "units": "rad"}) for name in ("y", "x")}
    time = np.datetime64("2001-01-01", "ns") + np.arange(rows) * np.timedelta64(6, "h")
    # Large waves that both grids know, and small ones of the fine grid alone.
    phase = rng.uniform(0, 2 * math.pi, (2, rows, 1, 1))
    u = np.cos(axis[:, None] + phase[0]) + np.sin(axis + phase[1]) + bias
    u = u + (0.1 if n > 4 else 0) * rng.normal(size=(rows, n, n))
    p = 1000 + 50 * u + rng.normal(size=(rows, n, n))
    axes = ("time", "y", "x")
    variables = {"u": (axes, u.astype("f4"), {"units": "m/s"}),
                 "p": (axes, p.astype("f4"), {"units": "hPa"})}  # fmt: skip
    return xarray.Dataset(variables, {"time": time, **at})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stores, and a diffusion of the fine fields and a bridge that were trained for a few steps."""
    from pushforward.cli import main

    folder = tmp_path_factory.mktemp("downscale")
    for name, n, rows, seed, bias in (
        ("fine", 16, 40, 0, 0.0), ("held", 16, 20, 5, 0.0), ("coarse", 4, 30, 1, 0.5),
        ("later", 4, 12, 2, 0.5), ("few", 16, 7, 5, 0.0),
    ):  # fmt: skip
        made = _fields(n, rows, seed, bias=bias)
        made.to_zarr(folder / f"{name}.zarr", zarr_format=2, consolidated=True)
    for words in (
        ["train", folder / "fine.zarr", "--out", folder / "run-fine", "--steps", 3, *SMALL],
        ["bridge", "--source", folder / "coarse.zarr", "--target", folder / "fine.zarr", "--out",
         folder / "run-bridge", *SMALL, "model.cache.rows=8", "--iterations", "2", "--steps", "4",
         "--batch-size", "4", "model.steps=2"],
    ):  # fmt: skip
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in ("--quiet", *words)])
        assert end.value.code == 0
    return folder


def _words(place: Path, method: str, out: Path) -> list[Any]:
    words = ["downscale", place / "later.zarr", "--source", place / "coarse.zarr", "--target",
             place / "fine.zarr", "--method", method, "--out", out]  # fmt: skip
    if method in TRAINED:
        words += ["--model", place / f"run-{TRAINED[method]}", "--steps", 3]
    return words


@pytest.mark.parametrize("method", registry.names("downscalers"))
def test_every_method_goes_from_store_to_store(
    method: str, place: Path, tmp_path: Path, call: Any
) -> None:
    out = tmp_path / "new.zarr"
    found = call("--quiet", *_words(place, method, out), "--exact")
    assert found.code == 0, found.err
    assert "from 4 x 4 cells by the waves of every 4th point" in found.err
    later, coarse = _fields(4, 12, 2, bias=0.5), pf.data.load(place / "later.zarr").x
    operator = pf.inverse.SpectralDownsample(4)
    known = operator(operator.upsample(coarse, (2, 16, 16)))
    with xarray.open_zarr(out) as made:
        assert dict(made.sizes) == {"time": 12, "y": 16, "x": 16}
        assert (made.u.units, made.p.units) == ("m/s", "hPa")
        assert np.array_equal(made.time.values, later.time.values)
        assert np.array_equal(made.x.values, _fields(16, 1, 0).x.values)
        fine = pf.data.load(made).x
    assert float((operator(fine) - known).abs().max() / known.std()) < 1e-5


def test_a_judged_ensemble_prints_its_table(place: Path, tmp_path: Path, call: Any) -> None:
    out = tmp_path / "new.nc"
    words = [*_words(place, "constrained-diffusion", out), "-n", 2, "--judge", place / "held.zarr"]
    found = call("--quiet", *words)
    assert found.code == 0, found.err
    for row in ("spectrum of u, k <= 7", "cells of p", "quantile 0.999 of u", "spread of p"):
        assert row in found.out
    with xarray.open_dataset(out) as made:
        assert made.u.dims == ("member", "time", "y", "x")
        assert float(made.u.std("member").min()) > 0
        first = made.u[0].values
    one = call("--quiet", *_words(place, "constrained-diffusion", tmp_path / "one.nc"))
    assert one.code == 0, one.err
    with xarray.open_dataset(tmp_path / "one.nc") as made:
        assert np.allclose(made.u.values, first, atol=1e-5)
    told = call("--quiet", *_words(place, "quantiles", tmp_path / "q.nc"), "--judge",
                place / "held.zarr", "--json")  # fmt: skip
    rows = {row["name"]: row for row in json.loads(told.out)["rows"]}
    assert rows["cells of u"]["value"] < 0.2


def test_the_bias_is_taken_off_as_asked(place: Path, tmp_path: Path, call: Any) -> None:
    means = {}
    for debias in ("none", "mean-shift"):
        out = tmp_path / f"{debias}.zarr"
        words = _words(place, "constrained-diffusion", out)
        assert call("--quiet", *words, "--debias", debias).code == 0
        with xarray.open_zarr(out) as made:
            means[debias] = float(made.u.mean())
    assert means["none"] == pytest.approx(0.5, abs=0.1)
    assert means["mean-shift"] == pytest.approx(0.0, abs=0.1)


def test_what_does_not_fit_says_what_would(place: Path, tmp_path: Path, call: Any) -> None:
    out = tmp_path / "none.zarr"
    base = ["downscale", place / "later.zarr", "--source", place / "coarse.zarr", "--target"]
    fine = [*base, place / "fine.zarr", "--out", out]
    cases = [
        ([*fine, "--method", "noise-bridge"], "needs --model RUN, a diffusion of the fine fields"),
        ([*fine, "--method", "learned"], "needs --model RUN, that of `pushforward bridge"),
        ([*fine, "--model", place / "run-fine"], "leave --model out"),
        ([*fine, "--debias", "waves"], "--debias means nothing to --method quantiles"),
        ([*fine, "--method", "wave"], "no downscaler is called 'wave'"),
        (
            [*fine, "--judge", place / "coarse.zarr"],
            "4 cells along y, and the target has 16: give fields on its grid",
        ),
        ([*fine, "--judge", place / "few.zarr"], "7 held out and 40 to fit are too few"),
        ([*fine, "data.period=x"], "did you mean 'data.periodic'"),
        (
            [*fine, "--method", "noise-bridge", "--model", place / "run-fine", "data.periodic=x"],
            "data.periodic= is as the data of --model had it",
        ),
        ([*fine, "-n", 0], "-n is 1 or more, not 0"),
        ([*base, place / "coarse.zarr", "--out", out], "lies on the grid of the fine fields"),
        ([*base, place / "fine.zarr", "--out", tmp_path / "x.csv"], "fields go to .nc or .zarr"),
        (
            [*fine, "--method", "learned", "--model", place / "run-fine"],
            "give a model between two data sets",
        ),
        (
            [*fine, "--method", "noise-bridge", "--model", place / "run-bridge"],
            "does not predict fields under noise",
        ),
    ]
    for words, message in cases:
        found = call("--quiet", *words)
        assert found.code == 2, (words, found.out)
        assert message in found.err, found.err
    assert not out.exists()


def test_times_of_other_calendars_come_out(place: Path, tmp_path: Path, call: Any) -> None:
    """A year of 360 days, as climate models count it, in which February has thirty."""
    times = xarray.date_range("2001-02-29", periods=12, freq="12h", calendar="360_day",
                              use_cftime=True)  # fmt: skip
    later, out = tmp_path / "later.nc", tmp_path / "made.nc"
    xarray.open_zarr(place / "later.zarr").load().assign_coords(time=times).to_netcdf(later)
    words = _words(place, "persistence", out)
    found = call("--quiet", words[0], later, *words[2:])
    assert found.code == 0, found.err
    with xarray.open_dataset(out) as made:
        assert str(made.time.values[2]) == "2001-02-30 00:00:00"
        assert (made.time.values == times.values).all()


def test_data_are_read_as_the_words_say(place: Path, tmp_path: Path, call: Any) -> None:
    stores = {name: xarray.open_zarr(place / f"{name}.zarr").load() for name in ("fine", "later")}
    for name, store in stores.items():
        for axis in "yx":
            store[axis].attrs.pop("periodic")
        store.u[3, 0, 0] = math.nan
        store.to_netcdf(tmp_path / f"{name}.nc")
    out = tmp_path / "new.nc"
    words = ["--quiet", "downscale", tmp_path / "later.nc", "--source", tmp_path / "later.nc",
             "--target", tmp_path / "fine.nc", "--out", out]  # fmt: skip
    # Each refusal names words that the command takes, until nothing is left to say.
    found = call(*words)
    assert found.code == 2
    assert "data.drop_nonfinite=true" in found.err
    words.append("data.drop_nonfinite=true")
    found = call(*words)
    assert found.code == 2
    assert "or say data.periodic=" in found.err
    found = call(*words, "data.periodic=[y, x]")
    assert found.code == 0, found.err
    assert found.err.count("later.nc: 1 of 12 rows were left out for missing values") == 1
    with xarray.open_dataset(out) as made:
        assert np.array_equal(made.time.values, np.delete(stores["later"].time.values, 3))
        assert made.sizes["x"] == 16
    # Without a model nothing is said of one.
    other = stores["later"].assign(u=stores["later"].u.assign_attrs(units="km/h"))
    other.to_netcdf(tmp_path / "other.nc")
    words[2] = tmp_path / "other.nc"
    found = call(*words, "data.periodic=[y, x]")
    assert found.code == 2
    assert "u is in km/h, and the target has m/s: convert it" in found.err
    open_ends = Refinement(SpectralDownsample(4), (1, 16, 16), (1, 4, 4), "waves", periodic=False)
    with pytest.raises(InputError) as refused:
        SpectralTransport().fit_on(open_ends, *[torch.zeros(2, 1, 16, 16)] * 2)
    told = in_words_of(command_of(["downscale"]), str(refused.value))
    assert told.endswith("take quantiles-by-cell, moments or samples by --debias")


def test_stores_that_stay_where_they_are_are_downscaled(
    place: Path, tmp_path: Path, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, lazy = tmp_path / "whole.zarr", tmp_path / "lazy.zarr"
    assert call("--quiet", *_words(place, "quantiles", whole)).code == 0
    monkeypatch.setattr("pushforward.data.fields.IN_MEMORY", 1)
    assert call("--quiet", *_words(place, "quantiles", lazy)).code == 0
    with xarray.open_zarr(whole) as a, xarray.open_zarr(lazy) as b:
        assert np.allclose(a.u.values, b.u.values)
    assert torch.equal(pf.data.load(whole).x, pf.data.load(lazy).x)
