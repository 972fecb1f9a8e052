"""Forecasts on the command line: simulate, train, forecast, evaluate."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray

import pushforward as pf

SMALL = ["model.net.class=unet", "model.net.width=8", "model.net.blocks=1", "--steps", "3",
         "--batch-size", "8", "train.holdout=0.2"]  # fmt: skip


@pytest.fixture(scope="module")
def rain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with showers, and runs of an interpolant and a regression of few steps on them."""
    from pushforward.cli import main

    folder = tmp_path_factory.mktemp("rain")
    store = folder / "rain.zarr"
    for words in (
        ["simulate", "blobs", "--n", 8, "--frames", 120, "--out", store],
        *(
            ["train", store, "--forecast", "2:2", "--model", kind, "--out", folder / kind, *SMALL]
            for kind in ("interpolant", "regression")
        ),
    ):
        with pytest.raises(SystemExit) as end:
            main(["--quiet", *map(str, words)])
        assert end.value.code == 0
    return folder


def test_showers_are_a_store_with_times(rain: Path, call: Any) -> None:
    with xarray.open_zarr(rain / "rain.zarr", consolidated=True) as store:
        assert store.rain.units == "mm/h"
        assert float(store.rain.min()) == 0
        assert (np.diff(store.time.values) == np.timedelta64(5, "m")).all()
    found = call("simulate", "blobs", "--frames", 3, "--out", rain / "rain.zarr")
    assert found.code == 2
    assert "is there already" in found.err


def test_the_next_frames_of_a_store(rain: Path, call: Any) -> None:
    out = rain / "next.nc"
    words = ("forecast", rain / "interpolant", rain / "rain.zarr", "-n", 3, "--leads", 5)
    found = call("--quiet", *words, "--steps", 2, "--out", out)
    assert found.code == 0, found.err
    with xarray.open_dataset(out) as made, xarray.open_zarr(rain / "rain.zarr") as store:
        assert dict(made.sizes) == {"member": 3, "time": 5, "y": 8, "x": 8}
        assert made.time.values[0] == store.time.values[-1] + np.timedelta64(5, "m")
        assert made.rain.attrs == store.rain.attrs
        assert np.isfinite(made.rain).all()
    for words, said in (
        ((rain / "interpolant", rain / "none.zarr"), "none.zarr"),
        ((rain / "regression", rain / "rain.zarr", "--diffusion", 1), "--diffusion means nothing"),
    ):
        found = call("forecast", *words, "--out", rain / "other.zarr")
        assert found.code == 2
        assert said in found.err


def test_frames_of_other_values_are_told_and_missing_ones_left_out(rain: Path, call: Any) -> None:
    store = xarray.open_zarr(rain / "rain.zarr", consolidated=True).load()
    far = store.assign(rain=store.rain + 500)
    far["rain"][-1, 2, 3] = np.nan
    far["rain"].attrs.clear()
    far.to_netcdf(rain / "far.nc")
    words = ("--quiet", "forecast", rain / "regression", rain / "far.nc", "-n", 1)
    found = call(*words, "--out", rain / "refused.nc")
    assert found.code == 2
    assert "data.drop_nonfinite=true" in found.err
    with pytest.warns(UserWarning, match="far") as told:
        found = call(*words, "--out", rain / "far-next.nc", "data.drop_nonfinite=true")
    assert found.code == 0, found.err
    said = " ".join(str(one.message) for one in told)
    assert "rain of the frames given is 50" in said
    assert "far.nc: rain says no units: taken for mm/h" in said
    assert "the last 1 of 120 frames lack values" in said
    with xarray.open_dataset(rain / "far-next.nc") as made:
        assert made.time.values[0] == store.time.values[-1]


def test_forecasts_are_judged_by_lead(rain: Path, call: Any) -> None:
    words = ("evaluate", rain / "interpolant", "-n", 4, "--steps", 2, "--leads", 3)
    found = call("--quiet", *words, "--beside", rain / "regression")
    assert found.code == 0, found.err
    assert "persistence" in found.out
    told = json.loads((rain / "interpolant" / "forecast.json").read_text())
    assert [row["lead"] for row in told["rows"]] == [1, 2, 3]
    assert set(told["rows"][0]["crps"]) == {
        "model", "regression", "climatology", "persistence", "advected persistence",
    }  # fmt: skip
    page = (rain / "interpolant" / "forecast.html").read_text()
    assert page.count("data:image/png;base64") == 2
    assert "http" not in page.replace("http://www.w3.org", "")
    assert call("evaluate", rain / "interpolant", "--leads", 200).code == 2


def test_direct_leads_are_learned_drawn_and_judged(rain: Path, call: Any) -> None:
    """One run whose network is told the lead, beside one that draws its leads together."""
    run, store = rain / "direct", rain / "rain.zarr"
    words = ("train", store, "--forecast", "2:1-3", "--model", "regression", "--out", run, *SMALL)
    assert call("--quiet", *words).code == 0
    found = call("evaluate", run, "-n", 2, "--beside", rain / "regression", "--json")
    assert found.code == 0, found.err
    rows = json.loads(found.out)["rows"]
    assert [row["lead"] for row in rows] == [1, 2, 3]
    assert "regression" in rows[0]["crps"]
    out = rain / "frame-by-frame.nc"
    told = ("forecast", run, store, "-n", 1, "--leads", 5, "--out", out)
    found = call("--quiet", *told)
    assert found.code == 2
    assert "--stride 1" in found.err
    found = call("--quiet", *told, "--stride", 1)
    assert found.code == 0, found.err
    with xarray.open_dataset(out) as made:
        assert dict(made.sizes) == {"member": 1, "time": 5, "y": 8, "x": 8}


def test_other_commands_say_what_to_do(rain: Path, call: Any, tmp_path: Path) -> None:
    run, store, out = rain / "interpolant", rain / "rain.zarr", tmp_path / "run"
    for words, said in (
        (("sample", run), "`pushforward forecast"),
        (("evaluate", run, "--folds", 3), "--folds 3 parts rows at random"),
        (("train", store, "--forecast", "2x2", "--out", out), "--forecast 2x2 is not PAST:LEADS"),
        (("train", store, "--model", "interpolant", "--out", out), "--forecast PAST:LEADS"),
        (("train", "digits", "--forecast", "2:2", "--out", out), "means nothing for digits"),
    ):
        found = call(*words)
        assert found.code == 2
        assert said in found.err, found.err
    # Folds part rows at random, so that the advice of other data is none for windows.
    few = ("train", store, "--forecast", "2:2", "--out", out, *SMALL[:-1], "train.holdout=0.05")
    told = call(*few).err
    assert "6 of 117 windows are held out, and `evaluate` wants 8: hold out more" in told
    assert "Holding out 5% of 117 rows" in told
    assert "folds" not in told


class _Killed(Exception):
    pass


class _Kill:
    """A tracker that ends the training as if it had been killed."""

    def log(self, step: int, metrics: dict[str, Any]) -> None:
        """Nothing, until it ends."""
        if step >= 6:
            raise _Killed

    def close(self) -> None:
        """Nothing."""


def test_a_killed_training_goes_on_to_the_same_weights(rain: Path, tmp_path: Path) -> None:
    """With windows that are read from a store as they are needed."""
    data = pf.data.load(rain / "rain.zarr", forecast="2:2", lazy=True)
    settings = {"steps": 10, "batch_size": 8, "checkpoint_every": 2, "log_every": 1, "seed": 0}

    def made() -> Any:
        torch.manual_seed(0)
        net = functools.partial(pf.nn.UNet, width=8, blocks=1)
        return pf.models.PointMatching.for_data(data, net=net)

    whole = pf.fit(made(), data, holdout=0.2, progress=False, **settings)
    with pytest.raises(_Killed):
        pf.fit(
            made(), data, holdout=0.2, out=tmp_path / "run", trackers=(_Kill(),), progress=False,
            **settings,
        )  # fmt: skip
    run = pf.fit(
        made(), data, holdout=0.2, out=tmp_path / "run", resume=True, progress=False, **settings
    )
    assert run.step == 10
    a, b = whole.model.state_dict(), run.model.state_dict()
    assert all((a[name] == b[name]).all() for name in a)
    assert pf.load(tmp_path / "run").process == whole.model.process
