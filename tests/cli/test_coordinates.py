"""`train --space sphere` on a table of places, and samples in the same columns."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

import pushforward as pf

SHORT = ("--steps", 6, "--batch-size", 32, "train.warmup=0")


def _quakes(path: Path, names: str = "Longitude,Latitude") -> Path:
    """Places around two others, to two decimals."""
    g = np.random.default_rng(0)
    first = g.random(200) < 0.5
    lat = np.where(first, 38.0, -20.0) + 4 * g.normal(size=200)
    lon = np.where(first, 142.0, 178.0) + 4 * g.normal(size=200)
    lon = (lon + 180) % 360 - 180
    size = 5 + g.exponential(0.5, 200)
    rows = np.stack([lon, lat, size], 1)[:, : names.count(",") + 1]
    np.savetxt(path, rows, delimiter=",", header=names, comments="", fmt="%.2f")
    return path


def _rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize(
    ("model", "process"), [("diffusion", "Brownian"), ("matching", "Geodesic")]
)
def test_places_are_learned_and_drawn_in_their_columns(
    call, tmp_path: Path, model: str, process: str
) -> None:
    quakes, run = _quakes(tmp_path / "quakes.csv"), tmp_path / "run"
    words = ("--model", model, "--space", "sphere", "--out", run)
    done = call("train", quakes, *words, *SHORT)
    assert done.code == 0, done.err
    assert "200 points on the 2-sphere from Latitude, Longitude in degrees" in done.err
    assert yaml.safe_load((run / "recipe.yaml").read_text())["model"]["space"] == "sphere"
    made = pf.load(run)
    assert type(getattr(made, "process", None) or made.path).__name__ == process

    out = tmp_path / "new.csv"
    assert call("-q", "sample", run, "-n", 30, "--steps", 4, "--out", out).code == 0
    lines = _rows(out)
    assert lines[0] == ["Longitude", "Latitude"]
    cells = [cell for row in lines[1:] for cell in row]
    assert len(cells) == 60
    assert all(re.fullmatch(r"-?\d+\.\d\d?", cell) for cell in cells)
    table = np.array(lines[1:], dtype=float)
    assert abs(table[:, 0]).max() <= 180
    assert abs(table[:, 1]).max() <= 90

    # What was drawn is read as the data were, from any format.
    array = tmp_path / "new.npz"
    assert call("-q", "sample", run, "-n", 30, "--steps", 4, "--out", array).code == 0
    schema = pf.data.Schema.from_description(made.learned_from["schema"])
    drawn = [pf.data.load(path, space=made.space, like=schema) for path in (out, array)]
    assert drawn[0].fingerprint == drawn[1].fingerprint
    density = call("-q", "logprob", run, out, "-n", 3, "--steps", 4)
    assert density.code == 0, density.err
    assert "per unit of area of the unit sphere" in density.out
    found = call("-q", "evaluate", run, "-n", 30, "--steps", 4, "--json")
    assert found.code == 0, found.err


@pytest.mark.parametrize(
    ("space", "coordinates", "names"),
    [("hyperbolic", "half-space", "mean,std"), ("spd", "upper-triangle", "xx,xy,yy")],
)
def test_points_of_spaces_that_are_not_bounded_come_back_in_their_columns(
    call, tmp_path: Path, space: str, coordinates: str, names: str
) -> None:
    g = np.random.default_rng(1)
    if space == "spd":
        a = g.normal(size=(200, 2, 2))
        rows = (a @ a.swapaxes(1, 2) + 0.1 * np.eye(2))[:, [0, 0, 1], [0, 1, 1]]
    else:
        rows = np.stack([g.normal(size=200), np.exp(g.normal(size=200))], 1)
    table, run = tmp_path / "table.csv", tmp_path / "run"
    np.savetxt(table, rows, delimiter=",", header=names, comments="", fmt="%.4f")
    words = ("--model", "matching", "--space", space, "--coordinates", coordinates)
    done = call("train", table, *words, "--out", run, *SHORT)
    assert done.code == 0, done.err
    out = tmp_path / "new.csv"
    assert call("-q", "sample", run, "-n", 20, "--steps", 4, "--out", out).code == 0
    lines = _rows(out)
    assert lines[0] == names.split(",")
    drawn = np.array(lines[1:], dtype=float)
    if space == "spd":
        assert (np.linalg.eigvalsh(drawn[:, [[0, 1], [1, 2]]]) > 0).all()
    else:
        assert (drawn[:, 1] > 0).all()
    found = call("-q", "evaluate", run, "-n", 20, "--steps", 4, "--json")
    assert found.code == 0, found.err


def test_columns_beside_places_are_given_or_learned_along(call, tmp_path: Path) -> None:
    quakes, run = _quakes(tmp_path / "quakes.csv", "lon,lat,mag"), tmp_path / "run"
    refused = call("train", quakes, "--space", "sphere", "--out", run)
    assert refused.code == 2
    assert "--given mag" in refused.err
    assert "--space ...,euclidean" in refused.err
    told = call("-q", "train", quakes, "--space", "sphere", "--given", "mag", "--out", run, *SHORT)
    assert told.code == 0, told.err
    out = tmp_path / "new.csv"
    words = ("-n", 10, "--steps", 4, "--out", out)
    assert call("-q", "sample", run, "--given", "mag=6.5", *words).code == 0
    lines = _rows(out)
    assert lines[0] == ["lon", "lat", "mag"]
    assert {row[2] for row in lines[1:]} == {"6.5"}

    both = tmp_path / "both"
    along = call("-q", "train", quakes, "--space", "sphere,euclidean", "--out", both, *SHORT)
    assert along.code == 0, along.err
    assert call("-q", "sample", both, *words).code == 0
    lines = _rows(out)
    assert lines[0] == ["lon", "lat", "mag"]
    assert np.array(lines[1:], dtype=float).shape == (10, 3)


def test_what_no_space_takes_is_refused_before_training(call, tmp_path: Path) -> None:
    quakes, run = _quakes(tmp_path / "quakes.csv", "a,b"), tmp_path / "run"
    for words, message in (
        (("--space", "sphere"), "--coordinates latitude-longitude"),
        (("--coordinates", "latitude-longitude"), "such as spaces.Sphere() (--space sphere)"),
        (("--space", "sphere", "--coordinates", "latitude-longitude"), "line 2, column 'a' holds"),
        (("--space", "spere"), "did you mean 'sphere'"),
        (("--space", "sphere", "--model", "vae"), "--model diffusion"),
        (("--space", "sphere", "model.process=gaussian"), "both say where the states are"),
        (("--space", "sphere", "--project"), "does not say what the columns are"),
    ):
        found = call("train", quakes, *words, "--out", run)
        assert found.code == 2, words
        assert message in found.err
        assert not run.exists()


def test_a_short_text_is_the_recipe_of_angles_in_degrees(call, tmp_path: Path) -> None:
    g = np.random.default_rng(1)
    table = np.stack([-63 + 8 * g.normal(size=80), -42 + 8 * g.normal(size=80)], 1)
    path, run = tmp_path / "angles.csv", tmp_path / "run"
    np.savetxt(path, table, delimiter=",", header="phi,psi", comments="", fmt="%.1f")
    words = ("--space", "torus", "--coordinates", "degrees")
    done = call("train", path, *words, "--out", run, *SHORT)
    assert done.code == 0, done.err
    assert "80 states of 2 angles from phi, psi in degrees" in done.err
    out = tmp_path / "new.csv"
    assert call("-q", "sample", run, "-n", 9, "--steps", 4, "--out", out).code == 0
    lines = _rows(out)
    assert lines[0] == ["phi", "psi"]
    assert all(re.fullmatch(r"-?\d+\.\d", cell) for row in lines[1:] for cell in row)


def test_a_bridge_on_the_sphere_maps_places_to_places(call, tmp_path: Path) -> None:
    before, after = _quakes(tmp_path / "before.csv"), _quakes(tmp_path / "after.csv")
    run, out = tmp_path / "run", tmp_path / "moved.csv"
    ends = ("--source", before, "--target", after, "--out", run)
    done = call("bridge", *ends, "--space", "sphere", "--sigma", 0.3, "--iterations", 2, *SHORT)
    assert done.code == 0, done.err
    model = pf.load(run)
    assert repr(model.reference) == "ManifoldBridge(space=Sphere(dim=None), sigma=0.3)"
    assert call("-q", "translate", run, before, "-n", 2, "--out", out).code == 0
    lines = _rows(out)
    assert lines[0][-2:] == ["Longitude", "Latitude"]
    table = np.array([row[-2:] for row in lines[1:]], dtype=float)
    assert len(table) == 400
    assert abs(table[:, 1]).max() <= 90
    # One step of Brownian motion and some: further than rounding, nearer than anywhere.
    done = call("bridge", *ends, "--space", "sphere,torus")
    assert done.code != 0
    assert "--model matching" in done.err
    done = call("bridge", *ends, "--space", "sphere", "--sigma", 1, "--rate", 2)
    assert "not on a --space" in done.err


def test_places_are_compared_as_points_of_the_sphere(call, tmp_path: Path) -> None:
    # Two halves of a cloud across the date line, one written in 0..360: the same places.
    g = np.random.default_rng(2)
    lat, lon = 3 * g.normal(size=240), 180 + 3 * g.normal(size=240)
    for name, turn, rows in (("west", 180, slice(0, 120)), ("east", 0, slice(120, 240))):
        table = np.stack([lat, (lon + turn) % 360 - turn], 1)[rows]
        header = "latitude,longitude"
        np.savetxt(tmp_path / f"{name}.csv", table, "%.4f", ",", header=header, comments="")
    files, few = (tmp_path / "west.csv", tmp_path / "east.csv"), ("--permutations", 99, "--json")
    as_numbers = json.loads(call("compare-samples", *files, *few).out)
    found = json.loads(call("compare-samples", *files, "--space", "sphere", *few).out)
    assert as_numbers["differ"]
    assert not found["differ"]
    done = call("compare-samples", *files, "--coordinates", "degrees")
    assert "--space sphere" in done.err
    done = call("compare-samples", *files, "--space", "torus", "--coordinates", "degrees", *few)
    assert not json.loads(done.out)["differ"]
