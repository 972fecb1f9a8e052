"""`pushforward mcmc` and `pushforward logz`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pushforward import targets
from pushforward.errors import InputError
from pushforward.report.chain_files import write_draws

SMALL = ("--chains", 4, "--draws", 60, "--warmup", 40)


@pytest.fixture
def module(tmp_path: Path, monkeypatch) -> str:
    """A module of the user with a function, a target, and what is neither."""
    (tmp_path / "own_density.py").write_text(
        "import torch\n"
        "from pushforward.targets import Target\n"
        "def log_p(x):\n"
        "    return -x.square().sum(-1) / 2\n"
        "def made():\n"
        "    return Target(log_p, 2, names=('a', 'b'), name='mine')\n"
        "def nothing():\n"
        "    return 5\n"
        "ready = made()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return "own_density"


def test_a_function_of_ones_own(call, module) -> None:
    words = ("mcmc", f"{module}:log_p", "--shape", 3, "--trust", module, *SMALL, "--json")
    found = json.loads(call("--quiet", *words).out)
    assert [row["name"] for row in found["numbers"]] == ["x0", "x1", "x2"]
    assert all(abs(row["mean"]) < 5 * row["mcse"] for row in found["numbers"])
    assert json.loads(call("--quiet", *words).out) == found


def test_draws_go_to_files(call, module, tmp_path) -> None:
    for name in ("draws.nc", "draws.npz", "draws.csv"):
        done = call("--quiet", "mcmc", f"{module}:made", "--trust", module, *SMALL, "--out", name)
        assert done.code == 0, done.err
        assert name in done.out.splitlines()
        assert done.out.strip().endswith("report: draws.html")
    page = Path("draws.html").read_text()
    assert "Draws of mine" in page
    assert page.count('class="panel"') >= 5
    assert "http" not in page
    with np.load("draws.npz") as file:
        arrays = {key: file[key] for key in file}
    assert arrays["a"].shape == arrays["lp"].shape == (4, 60)
    with Path("draws.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 240
    assert list(rows[0])[:5] == ["chain", "draw", "a", "b", "lp"]
    assert float(rows[61]["b"]) == arrays["b"][1, 1]
    import netCDF4 as netcdf

    with netcdf.Dataset("draws.nc") as file:
        posterior, stats = file["posterior"], file["sample_stats"]
        assert posterior["a"].dimensions == ("chain", "draw")
        assert np.array_equal(posterior["a"][:], arrays["a"])
        assert stats["diverging"].getncattr("dtype") == "bool"
        assert np.array_equal(stats["energy"][:], arrays["energy"])


def test_states_of_any_shape_go_to_files(tmp_path) -> None:
    target = targets.Target(lambda x: -x.square().sum((1, 2)) / 2, (2, 3))
    found = target.chains(4, 10, warmup=5, kernel="random-walk", seed=0)
    write_draws(tmp_path / "x.npz", found)
    write_draws(tmp_path / "x.csv", found)
    with np.load(tmp_path / "x.npz") as file:
        assert file["theta"].shape == (4, 10, 2, 3)
        assert torch.equal(torch.from_numpy(file["theta"])[1, 2], found.x[2, 1])
    with (tmp_path / "x.csv").open(newline="") as file:
        assert "theta_5" in next(csv.reader(file))
    with pytest.raises(InputError, match=r"\.nc, \.npz, \.csv files, not 'x\.txt'"):
        write_draws(tmp_path / "x.txt", found)


def test_log_z_as_json(call) -> None:
    words = ("logz", "many-well-5", "--method", "bar", "--particles", 200, "--temperatures", 10)
    done = call(*words, "--json")
    found = json.loads(done.out)
    wanted = {"value", "stderr", "lower", "upper", "method", "ess", "converged"}
    assert wanted <= set(found)
    assert abs(found["value"] - found["reference"]) < 5 * found["stderr"] + 0.1
    assert [bound["name"] for bound in found["bounds"]] == ["ELBO", "EUBO"]
    text = call(*words).out
    assert text.startswith("log Z = ")
    assert "a bound from below" in text
    assert "known: -0.5411, by quadrature" in text


def test_log_z_of_a_function(call, module) -> None:
    words = ("--particles", 64, "--runs", 4, "--aim", 0.1, "--json")
    done = call("logz", f"{module}:log_p", "--shape", 2, "--trust", module, *words)
    found = json.loads(done.out)
    assert found["lower"] - 0.2 < 1.8379 < found["upper"] + 0.2
    assert len(found["runs"]) == 4


def test_log_z_goes_to_a_file(call, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("many-well-5", "--particles", 64, "--runs", 3, "--aim", 1.0)
    done = call("logz", *words, "--out", "found/z.json", "--json")
    assert done.code == 0, done.err
    told = json.loads(Path("found/z.json").read_text())
    assert told == json.loads(done.out)
    page = Path("found/z.html").read_text()
    assert all(start["kind"] in page for start in told["starts"])
    assert "entropic coverage" in page
    assert f"{told['value']:.4f}" in page
    done = call("logz", *words, "--out", "z.txt")
    assert done.code == 2
    assert "goes to a .json file" in done.err


RECIPES = Path(__file__).parents[2] / "recipes" / "densities"


@pytest.mark.parametrize("name", ["chains", "log-z"])
def test_recipes_are_options(call, tmp_path, monkeypatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    command = "mcmc" if name == "chains" else "logz"
    path = RECIPES / f"{name}.yaml"
    assert f"pushforward {command} recipes/densities/{path.name}" in path.read_text()
    few = SMALL if name == "chains" else ("--particles", 64, "--runs", 3, "--aim", 1.0)
    done = call("--quiet", command, path, *few, "--seed", 3)
    assert done.code == 0, done.err
    written = "draws.nc" if name == "chains" else "log-z.json"
    assert Path("runs/schools", written).is_file()
    page = Path("runs/schools", written).with_suffix(".html").read_text()
    # The seed of the command line goes first.
    assert "seed <b>3</b>" in page
    assert "eight schools" in page


def test_recipes_that_are_none(call, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for text, message in (
        ("target: funnel\nchain: 3\n", "'chain' is no option of mcmc"),
        ("chains: 3\n", "has no target"),
        ("target: funnel\nchains: many\n", "chains: 'many': Input should be a valid integer"),
        ("target: own:code\ntrust: own\n", "'trust' is no option"),
    ):
        Path("r.yaml").write_text(text)
        done = call("mcmc", "r.yaml")
        assert done.code == 2
        assert message in done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("funel",), "no target is called 'funel'"),
        (("sonar",), "the sonar data are not part of the library"),
        (("funnel", "--data", "."), "funnel needs no data"),
        (("funnel", "--shape", "3"), "funnel has its own"),
        (("own_density:log_p", "--shape", "3"), "give --trust own_density"),
        (("own_density:log_p", "--trust", "own_density"), "give --shape"),
        (("own_density:log_p", "--trust", "own_density", "--shape", "a"), "whole numbers"),
        (("own_density:other", "--trust", "own_density"), "has no function 'other'"),
        (("own_density:nothing", "--trust", "own_density"), "returns a int, no Target"),
    ],
)
def test_mistakes_are_one_line(call, module, words, message: str) -> None:
    for command in ("mcmc", "logz"):
        done = call(command, *words)
        assert done.code == 2
        assert message in done.err
        assert "Traceback" not in done.err


def test_options_that_mean_nothing(call) -> None:
    for words, message in (
        (("mcmc", "funnel", "--out", "x.txt"), "draws go to .nc, .npz, .csv files"),
        (("logz", "funnel", "--temperatures", 5), "means nothing to smc"),
        (("logz", "funnel", "--method", "ais", "--runs", 5), "--runs and --aim are those of smc"),
        (("logz", "funnel", "--method", "nested"), "method is 'smc' or"),
    ):
        done = call(*words)
        assert done.code == 2
        assert message in done.err
