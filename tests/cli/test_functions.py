"""`--space functions`: from a user's table to a run, and to a table again."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pushforward as pf
from pushforward.spaces import Spectral, kernels

SMALL = ["model.net.class=fourier-operator", "model.net.width=8", "model.net.depth=1",
         "--steps", "4", "--batch-size", "16", "train.holdout=0.2"]  # fmt: skip


def _curves(path: Path, rows: int = 120, gaps: bool = False) -> Path:
    rng = np.random.default_rng(0)
    place = np.linspace(0, 2, 9)
    values = np.sin(3 * place + rng.uniform(0, 6, (rows, 1))) + 20
    cells = [[f"{v:.4f}" for v in row] for row in values]
    if gaps:
        for row in cells:
            row[int(rng.integers(9))] = ""
    lines = [",".join(f"t{p:g}" for p in place), *(",".join(row) for row in cells)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table of functions with gaps, and a run of a few steps on it."""
    from pushforward.cli import main

    folder = tmp_path_factory.mktemp("functions")
    table = _curves(folder / "curves.csv", gaps=True)
    words = ("--quiet", "train", table, "--space", "functions", "--out", folder / "run", *SMALL)
    with pytest.raises(SystemExit) as end:
        main([str(w) for w in words])
    assert end.value.code == 0
    return folder


def _table(path: Path) -> tuple[list[str], np.ndarray]:
    with path.open() as file:
        head, *rows = csv.reader(file)
    return head, np.array([[float(cell or "nan") for cell in row] for row in rows])


def test_samples_have_the_columns_of_the_data(trained: Path, call: Any) -> None:
    out = trained / "new.csv"
    found = call("--quiet", "sample", trained / "run", "-n", 5, "--steps", 4, "--out", out)
    assert found.code == 0, found.err
    head, x = _table(out)
    assert head[:3] == ["t0", "t0.25", "t0.5"]
    assert x.shape == (5, 9)
    assert np.isfinite(x).all()
    assert abs(x.mean() - 20) < 3


def test_the_noise_is_in_the_configuration_by_name(trained: Path) -> None:
    text = (trained / "run" / "config.yaml").read_text()
    assert "spaces.function_noise.Spectral" in text or "Spectral" in text
    model = pf.load(trained / "run")
    assert model.space.noise == Spectral(kernels.Matern(0.5, 0.02))
    assert model.space.domain == ((-0.125, 2.125),)
    assert model.predictor.net.masked


def test_given_values_are_kept_and_others_drawn(trained: Path, call: Any) -> None:
    part = trained / "part.csv"
    head = (trained / "curves.csv").read_text().splitlines()[0]
    part.write_text(f"{head}\n20,20.5,,,,,,,\n,,,,19,,,,\n")
    out = trained / "whole.csv"
    found = call("--quiet", "sample", trained / "run", "-n", 2, "--steps", 4,
                 "--given-file", part, "--out", out)  # fmt: skip
    assert found.code == 0, found.err
    _, x = _table(out)
    assert x.shape == (4, 9)
    assert np.isfinite(x).all()
    assert x[:2, :2].tolist() == [[20.0, 20.5]] * 2
    assert x[2:, 4].tolist() == [19.0, 19.0]
    found = call("sample", trained / "run", "--given-file", out, "--out", trained / "no.csv")
    assert found.code == 2
    assert "nothing is missing" in found.err
    found = call("sample", trained / "run", "--given-file", part, "--sampler", "heun")
    assert "--sampler means nothing for the values of functions" in found.err


def test_runs_are_judged_go_on_and_refuse_other_grids(trained: Path, call: Any) -> None:
    found = call("--quiet", "evaluate", trained / "run", "-n", 20, "--steps", 4)
    assert found.code == 0, found.err
    found = call("--quiet", "train", "--resume", "--out", trained / "run")
    assert found.code == 0, found.err
    other = trained / "other.csv"
    other.write_text("t0,t1\n1,2\n")
    found = call("logprob", trained / "run", other)
    assert found.code == 2
    assert "at 2 points, the model knows 9" in found.err
    whole = _curves(trained / "whole_curves.csv", 3)
    found = call("--quiet", "logprob", trained / "run", whole, "--steps", 4)
    assert found.code == 0, found.err


def test_a_long_table_with_options_of_the_space(tmp_path: Path, call: Any) -> None:
    rng = np.random.default_rng(0)
    rows = [f"{name},{t},{rng.normal():.3f},{rng.normal():.3f}"
            for name in range(40) for t in sorted(rng.choice(12, 5, replace=False))]  # fmt: skip
    path = tmp_path / "long.csv"
    path.write_text("\n".join(["name,t,u,v", *rows]) + "\n")
    found = call("doctor", path, "--space", "functions", "--id", "name")
    assert "functions told apart by 'name'" in found.out
    assert "t: 12 points from 0 to 11" in found.out
    assert "of the values are missing" in found.out
    run = tmp_path / "run"
    space = "{class: functions, noise: {class: matern, nu: 1.5, length: 0.2}, periodic: [true]}"
    found = call(
        "--quiet", "train", path, "--id", "name", f"model.space={space}", "--out", run,
        "model.net.class=point-attention", "model.net.width=8", "model.net.depth=1",
        "--steps", 2, "--batch-size", 8,
    )  # fmt: skip
    assert found.code == 0, found.err
    model = pf.load(run)
    assert model.space.noise == kernels.Matern(1.5, 0.2)
    assert model.space.periodic == (True,)
    out = tmp_path / "new.csv"
    found = call("--quiet", "sample", run, "-n", 2, "--steps", 2, "--out", out)
    assert found.code == 0, found.err
    head, x = _table(out)
    assert head == ["name", "t", "u", "v"]
    assert x[:, 1].tolist() == [*range(12), *range(12)]


def test_scattered_points_from_training_to_given_values(tmp_path: Path, call: Any) -> None:
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 100, (6, 2)).round(2)
    rows = [
        f"{name},{x},{y},{rng.normal():.3f}"
        for name in ("oslo", "kyiv", *map(str, range(210)))
        for x, y in places
    ]
    path, run = tmp_path / "scatter.csv", tmp_path / "run"
    path.write_text("\n".join(["station,x,y,temp", *rows]) + "\n")
    net = ["model.net.class=point-attention", "model.net.width=8", "model.net.depth=1"]
    words = ["--id", "station", "--coordinates", "x,y", *net, "--steps", 2, "--batch-size", 8]
    found = call("--quiet", "train", path, "--space", "functions", "--out", run, *words)
    assert found.code == 0, found.err
    assert pf.load(run).space.noise == kernels.Matern(0.5, 0.02)
    found = call("--quiet", "sample", run, "-n", 2, "--steps", 2, "--out", tmp_path / "new.csv")
    assert found.code == 0, found.err
    head, x = _table(tmp_path / "new.csv")
    assert head == ["station", "x", "y", "temp"]
    assert sorted(map(tuple, x[:6, 1:3])) == sorted(map(tuple, places))
    found = call("--quiet", "evaluate", run, "-n", 20, "--steps", 2)
    assert found.code == 0, found.err
    part, whole = tmp_path / "part.csv", tmp_path / "whole.csv"
    told = [f"7,{x},{y},{0.5 + k}" for k, (x, y) in enumerate(places[[4, 1]])]
    part.write_text("\n".join(["station,x,y,temp", *told]) + "\n")
    asked = ("--given-file", part, "--out", whole)
    found = call("--quiet", "sample", run, "-n", 2, "--steps", 2, *asked)
    assert found.code == 0, found.err
    head, x = _table(whole)
    assert head == ["station", "draw", "x", "y", "temp"]
    assert x[:, 0].tolist() == 12 * [7.0]
    assert x[:, 1].tolist() == 6 * [0.0] + 6 * [1.0]
    kept = {tuple(row[-3:-1]): row[-1] for row in x[:6]}
    assert len(kept) == 6
    assert [kept[tuple(places[k])] for k in (4, 1)] == [0.5, 1.5]
    (x_0, y_0), (x_1, y_1) = places[:2]
    part.write_text(
        "temp,note,y,x,station\n"
        f"0.3,a,{y_0},{x_0},Lviv\n0.2,b,{y_1},{x_1},Lviv\n0.1,c,{y_1},{x_1},Bergen\n"
    )
    found = call("sample", run, "--steps", 2, *asked)
    assert found.code == 0, found.err
    assert "knows no note" in found.err.replace("'", "")
    rows = [line.split(",") for line in whole.read_text().splitlines()]
    assert rows[0] == ["station", "x", "y", "temp"]
    assert [row[0] for row in rows[1:]] == 6 * ["Lviv"] + 6 * ["Bergen"]
    assert [f"{x_1}", f"{y_1}", "0.1"] in [row[1:] for row in rows[7:]]
    part.write_text("station,x,y,temp\n7,1,2,3\n")
    found = call("--quiet", "sample", run, "--given-file", part, "--out", whole)
    assert found.code == 2
    assert "the model knows" in found.err


def test_options_of_the_space_leave_the_rest_to_the_data(tmp_path: Path, call: Any) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "scatter.csv"
    rows = [f"{name},{x},{y},{rng.normal():.3f}" for name in range(9) for x, y in ((0, 1), (2, 5))]
    path.write_text("\n".join(["station,x,y,temp", *rows]) + "\n")
    space = "{class: functions, noise: {class: matern, nu: 1.5, length: 0.2}}"
    words = [
        "--id", "station", "--coordinates", "x,y", f"model.space={space}", "--steps", 1,
        "model.net.class=point-attention", "model.net.width=8", "model.net.depth=1",
    ]  # fmt: skip
    found = call("--quiet", "train", path, "--out", tmp_path / "run", *words)
    assert found.code == 0, found.err
    assert pf.load(tmp_path / "run").space.noise == kernels.Matern(1.5, 0.2)


def test_other_grids_from_the_command_line(trained: Path, call: Any) -> None:
    run, out = trained / "run", trained / "fine.csv"
    found = call("--quiet", "sample", run, "-n", 2, "--steps", 2, "--at", 18, "--out", out)
    assert found.code == 0, found.err
    head, x = _table(out)
    assert head[:2] == ["t-0.0625", "t0.0625"]
    assert x.shape == (2, 18)
    spreads = []
    for at in (9, 18, 36):
        found = call("--quiet", "sample", run, "-n", 300, "--steps", 4, "--at", at, "--out", out)
        assert found.code == 0, found.err
        x = _table(out)[1]
        assert x.shape == (300, at)
        spreads.append(x.mean(1).std())
    # Integrals are the same random number on every grid, within four errors of 300 of them.
    assert max(spreads) < (1 + 4 * (2 / 300) ** 0.5) * min(spreads)
    places = trained / "places.csv"
    places.write_text("t\n0\n0.3\n2\n")
    for at, said in (
        (places, "takes grids of its whole domain alone"),
        ("3,3", "2 axes, and functions have 1"),
        ("0.5", "a table of coordinates that is there"),
    ):
        found = call("sample", run, "--at", at, "--out", out)
        assert found.code == 2
        assert said in " ".join(found.err.split())


def test_densities_of_some_values_given_others(trained: Path, call: Any) -> None:
    """Of curves with gaps, and of targets given contexts in another file."""
    head = (trained / "curves.csv").read_text().splitlines()[0]
    targets, known = trained / "targets.csv", trained / "known.csv"
    targets.write_text(f"{head}\n,,20,,,,,,\n,,,21,,,,,\n")
    known.write_text(f"{head}\n20,,,,,,,,\n,20,,,,,,,19\n")
    asked = ("--quiet", "logprob", trained / "run", targets, "--steps", 4, "--json")
    values = []
    for more in ((), ("--given-file", known)):
        found = call(*asked, *more)
        assert found.code == 0, found.err
        values.append([row["log_prob"] for row in json.loads(found.out)["rows"]])
    assert np.isfinite(values).all()
    assert len(values[0]) == 2
    assert values[0] != values[1]
    known.write_text(f"{head}\n20,,,,,,,,\n")
    found = call(*asked, "--given-file", known)
    assert found.code == 2
    assert "has 1 functions, and DATA 2" in found.err


def test_a_model_that_is_told_labels_and_values(tmp_path: Path, call: Any) -> None:
    """A long table with a label: learned, drawn, completed, and judged given its values."""
    rng = np.random.default_rng(0)
    rows = [
        f"{name},{'calm' if name % 2 else 'storm'},{t},{rng.normal():.3f}"
        for name in range(40) for t in range(5) if rng.random() < 0.9
    ]  # fmt: skip
    path, run, out = tmp_path / "buoys.csv", tmp_path / "run", tmp_path / "out.csv"
    path.write_text("\n".join(["buoy,sea,t,height", *rows]) + "\n")
    found = call(
        "--quiet", "train", path, "--space", "functions", "--id", "buoy", "--label", "sea",
        "--model", "function-diffusion", "--out", run, "--steps", 3, "--batch-size", 8,
        "model.net.class=point-attention", "model.net.width=8", "model.net.depth=1",
    )  # fmt: skip
    assert found.code == 0, found.err
    assert pf.load(run).num_classes == 2
    found = call("--quiet", "sample", run, "-n", 3, "--class", "calm", "--steps", 2, "--out", out)
    assert found.code == 0, found.err
    rows = [line.split(",") for line in out.read_text().splitlines()]
    assert rows[0] == ["buoy", "sea", "t", "height"]
    assert {row[1] for row in rows[1:]} == {"calm"}
    part, target = tmp_path / "part.csv", tmp_path / "target.csv"
    part.write_text("buoy,sea,t,height\na,calm,1,0.5\nb,storm,2,0.25\n")
    found = call("--quiet", "sample", run, "-n", 2, "--given-file", part, "--steps", 2,
                 "--out", out)  # fmt: skip
    assert found.code == 0, found.err
    rows = [line.split(",") for line in out.read_text().splitlines()]
    assert sorted(rows[0]) == ["buoy", "draw", "height", "sea", "t"]
    assert len(rows) == 1 + 2 * 2 * 5
    cells = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    assert {(c["buoy"], c["sea"]) for c in cells} == {("a", "calm"), ("b", "storm")}
    assert {c["height"] for c in cells if (c["buoy"], c["t"]) == ("a", "1")} == {"0.5"}
    target.write_text("buoy,sea,t,height\nb,storm,4,0.1\na,calm,3,0.2\n")
    found = call("--quiet", "logprob", run, target, "--given-file", part, "--steps", 4, "--json")
    assert found.code == 0, found.err
    assert len(json.loads(found.out)["rows"]) == 2
    target.write_text("buoy,sea,t,height\nc,calm,3,0.2\n")
    found = call("logprob", run, target, "--given-file", part)
    assert found.code == 2
    assert "DATA have no buoy a" in found.err
    found = call("--quiet", "sample", run, "--given-file", part, "--at", 3, "--out", out)
    assert found.code == 2
    assert "leave --at out" in found.err


def test_functions_on_the_sphere(tmp_path: Path, call: Any) -> None:
    rng = np.random.default_rng(0)
    rows = [
        f"{k},{lat},{lon},{np.sin(np.deg2rad(lat)) + rng.normal():.3f}"
        for k in range(20) for lat in (67.5, 22.5, -22.5, -67.5) for lon in range(0, 360, 60)
    ]  # fmt: skip
    path, run, out = tmp_path / "maps.csv", tmp_path / "run", tmp_path / "new.csv"
    path.write_text("\n".join(["day,lat,lon,t", *rows]) + "\n")
    found = call(
        "--quiet", "train", path, "--space", "spherical-functions", "--id", "day", "--coordinates",
        "lat,lon", "--out", run, "--steps", 2, "--batch-size", 8,
        "model.net.class=spherical-operator", "model.net.width=6", "model.net.depth=1",
    )  # fmt: skip
    assert found.code == 0, found.err
    model = pf.load(run)
    assert isinstance(model.space, pf.spaces.SphericalFunctions)
    assert type(model.predictor.net).__name__ == "SphericalOperator"
    for at, count in ((None, 24), ("8,12", 96)):
        more = () if at is None else ("--at", at)
        asked = ("-n", 2, "--steps", 2, "--out", out, *more)
        found = call("--quiet", "sample", run, *asked)
        assert found.code == 0, found.err
        head, x = _table(out)
        assert head == ["day", "lat", "lon", "t"]
        assert len(x) == 2 * count
        assert np.isfinite(x).all()
