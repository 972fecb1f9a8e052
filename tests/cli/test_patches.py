"""A domain learned from patches of it on the command line, and drawn as a whole."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray

import pushforward as pf

SMALL = ["model.net.class=unet", "model.net.width=8", "model.net.blocks=1", "--steps", "2",
         "--batch-size", "4", "train.holdout=0.2"]  # fmt: skip


def _fields(n: int, rows: int) -> Any:
    """Normal numbers on `n x 2n` cells that are periodic, an hour apart."""
    rng = np.random.default_rng(n)
    return xarray.Dataset(
        {"u": (("time", "y", "x"), rng.normal(size=(rows, n, 2 * n)).astype("f4"), {"units": "m"})},
        {
            "time": np.datetime64("2001-01-01", "ns") + np.arange(rows) * np.timedelta64(1, "h"),
            "y": ("y", 16 / n * np.arange(n), {"periodic": 1}),
            "x": ("x", 16 / n * np.arange(2 * n), {"periodic": 1}),
        },
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fine and a coarse store, and runs on patches of the fine one."""
    from pushforward.cli import main

    place = tmp_path_factory.mktemp("patches")
    for name, n in (("fine", 16), ("coarse", 8)):
        _fields(n, 12).to_netcdf(place / f"{name}.nc")
    fine = place / "fine.nc"
    for words in (
        ["train", fine, "--patches", "8:4", "--out", place / "plain", *SMALL],
        ["train", fine, "--patches", "8:4", "--forecast", "2:1", "--model", "interpolant",
         "--out", place / "next", *SMALL],
        ["bridge", "--source", place / "coarse.nc", "--target", fine, "data.patches=8:4", "--out",
         place / "bridge", *SMALL[:3], "--iterations", 2, "--steps", 4, "--batch-size", 4,
         "model.steps=2", "model.cache.rows=8"],
    ):  # fmt: skip
        with pytest.raises(SystemExit) as end:
            main(["--quiet", *map(str, words)])
        assert end.value.code == 0
    return place


def test_patches_are_learned_and_the_domain_is_drawn(folder: Path, call: Any) -> None:
    assert pf.load(folder / "plain").event_shape == (1, 8, 8)
    found = call("--quiet", "sample", folder / "plain", "-n", 2, "--steps", 2, "--out",
                 folder / "drawn.nc")  # fmt: skip
    assert found.code == 0, found.err
    with xarray.open_dataset(folder / "drawn.nc") as drawn:
        assert dict(drawn.sizes) == {"time": 2, "y": 16, "x": 32}
        assert drawn.u.units == "m"
        assert drawn.x.attrs["periodic"] == 1
        assert np.isfinite(drawn.u).all()


def test_the_next_frames_of_the_domain(folder: Path, call: Any) -> None:
    words = ("forecast", folder / "next", folder / "fine.nc", "-n", 2, "--leads", 2, "--steps", 2)
    found = call("--quiet", *words, "--out", folder / "next.nc")
    assert found.code == 0, found.err
    with xarray.open_dataset(folder / "next.nc") as made:
        assert dict(made.sizes) == {"member": 2, "time": 2, "y": 16, "x": 32}
        assert np.isfinite(made.u).all()


def test_coarse_fields_of_the_domain_become_fine(folder: Path, call: Any) -> None:
    found = call("--quiet", "translate", folder / "bridge", folder / "coarse.nc", "--steps", 2,
                 "--exact", "--out", folder / "carried.nc")  # fmt: skip
    assert found.code == 0, found.err
    coarse, fine = ("--source", folder / "coarse.nc"), ("--target", folder / "fine.nc")
    for method, run in (("learned", "bridge"), ("constrained-diffusion", "plain")):
        out = folder / f"{method}.nc"
        found = call("--quiet", "downscale", folder / "coarse.nc", *coarse, *fine, "--method",
                     method, "--model", folder / run, "--steps", 3, "--out", out)  # fmt: skip
        assert found.code == 0, found.err
    for name in ("carried", "learned", "constrained-diffusion"):
        with xarray.open_dataset(folder / f"{name}.nc") as made:
            assert dict(made.sizes) == {"time": 12, "y": 16, "x": 32}
            assert np.isfinite(made.u).all()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--patches", "8"), "is not SIZE:OVERLAP"),
        (("--patches", "40:4"), "a patch of 40 cells does not fit an axis of 16"),
        (("--patches", "8:8"), "an overlap of 8 cells is not below a patch of 8"),
    ],
)
def test_patches_that_do_not_fit(folder: Path, call: Any, words: Any, said: str) -> None:
    found = call("train", folder / "fine.nc", *words, "--out", folder / "refused")
    assert found.code == 2
    assert said in found.err


def test_patches_of_a_field_are_all_trained_on_or_all_held_out(folder: Path) -> None:
    data = pf.data.load(folder / "fine.nc", patches="8:4")
    train, test = data.split(0.25, seed=0)
    cut = pf.data.patches_of(pf.data.load(folder / "fine.nc"), 8, 4)
    assert (len(train), len(test)) == (9 * cut.count, 3 * cut.count)
    whole = pf.data.load(folder / "fine.nc").x
    first = cut.blend(test.x)[:, None]
    assert float((first - whole).abs().amax((2, 3, 4)).amin(1).max()) < 1e-6
    again = pf.data.Schema.from_description(data.schema.describe())
    assert again == data.schema
    assert again.whole == pf.data.load(folder / "fine.nc").schema
    assert math.prod(pf.data.load(folder / "fine.nc", like=data).event_shape) == 64
