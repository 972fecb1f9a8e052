"""The command line on files of every space: train, evaluate, sample, and samples like the data."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import yaml
from PIL import Image

import pushforward as pf

N = 300


class Case(NamedTuple):
    """A file, what the recipe says of the model, and what its report must say of the states."""

    write: Callable[[Path, np.random.Generator], Path]
    model: tuple[str, ...]
    states: str
    kinds: tuple[str, ...] = ()
    label: str | None = None


def _table(path: Path, names: str, *columns: np.ndarray) -> Path:
    np.savetxt(path, np.stack(columns, 1), delimiter=",", header=names, comments="", fmt="%.7g")
    return path


def _angles(folder: Path, g: np.random.Generator) -> Path:
    turn = 3 + 0.4 * g.normal(size=N)
    return _table(folder / "angles.csv", "wind", np.angle(np.exp(1j * turn)))


def _unit(n: int, g: np.random.Generator) -> np.ndarray:
    x = g.normal(size=(n, 3)) + [0, 0, 2]
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def _places(folder: Path, g: np.random.Generator) -> Path:
    return _table(folder / "places.csv", "a,b,c", *_unit(N, g).T)


def _words(folder: Path, g: np.random.Generator) -> Path:
    first = g.integers(0, 3, N)
    return _table(folder / "words.csv", "s0,s1,s2", first, first, g.integers(0, 3, N))


def _sets(folder: Path, g: np.random.Generator) -> Path:
    mask = np.arange(4)[None] < g.integers(0, 4, N)[:, None]
    x = g.normal(size=(N, 4, 2)).astype("float32")
    np.savez(folder / "sets.npz", x=x, mask=mask)
    return folder / "sets.npz"


def _mixed(folder: Path, g: np.random.Generator) -> Path:
    where, turn = _unit(N, g), g.uniform(-1, 1, N)
    return _table(folder / "mixed.csv", "a,b,c,angle,d", *where.T, turn, g.normal(size=N))


def _curves(folder: Path, g: np.random.Generator) -> Path:
    grid = np.linspace(0, 1, 16)
    x = np.sin(2 * math.pi * (grid + g.uniform(size=(N, 1))))
    np.save(folder / "curves.npy", x.astype("float32"))
    return folder / "curves.npy"


CASES = {
    "circle": Case(
        _angles, ("model.process=brownian", "model.process.space=torus"), "300 angles"
    ),
    "sphere": Case(
        _places,
        ("model.process.class=brownian", "model.process.space=sphere"),
        "300 points on the 2-sphere",
    ),
    "sphere, geodesics": Case(
        _places,
        ("model=matching", "model.path={class: geodesic, space: sphere}"),
        "300 points on the 2-sphere",
    ),
    "tokens": Case(
        _words,
        ("model.process=masking", "model.process.space.vocabulary=3"),
        "300 sequences of 3 tokens out of 3 symbols",
        ("symbols", "whole states"),
    ),
    "sets": Case(
        _sets, ("model.process=jump-diffusion",), "300 sets of up to 4 points in R^2",
        ("number of points",),
    ),
    "product": Case(
        _mixed,
        (
            "model.process={class: product, factors: [{class: brownian, space: sphere}, "
            "{class: brownian, space: {class: torus, dim: 1}}, gaussian]}",
        ),
        "300 points on the 2-sphere with angles with vectors of 1",
    ),
    "functions": Case(
        _curves,
        (
            "model.process.space={class: hilbert, points: 16, "
            "covariance: {class: spaces.kernels.Exponential, length: 0.3}}",
        ),
        "300 functions at 16 points",
    ),
}  # fmt: skip


def _inside(name: str, out: Path, header: list[str]) -> None:
    """The samples of a table are states, under the names of the data."""
    with out.open() as file:
        head, *rows = csv.reader(file)
    assert head == header
    x = np.array(rows, dtype=float)
    assert len(x) == 20
    if name in ("sphere", "sphere, geodesics", "product"):
        assert np.allclose(np.linalg.norm(x[:, :3], axis=1), 1, atol=1e-5)
    if name in ("circle", "product"):
        turns = x[:, 3 if name == "product" else 0]
        assert np.abs(turns).max() <= math.pi + 1e-6
    if name == "tokens":
        assert set(np.unique(x)) <= {0, 1, 2}
        assert "." not in rows[0][0]


@pytest.mark.parametrize("name", CASES)
def test_a_file_of_any_space(call, tmp_path: Path, name: str) -> None:
    case = CASES[name]
    file = case.write(tmp_path, np.random.default_rng(0))
    run = tmp_path / "run"
    short = ("--steps", 6, "--batch-size", 16, "train.warmup=0")
    done = call("-q", "train", file, *case.model, "--out", run, *short)
    assert done.code == 0, done.err
    page = (run / "report.html").read_text(encoding="utf-8")
    assert case.states in page
    with Image.open(run / "samples.png") as picture:
        low, high = picture.convert("L").getextrema()
        assert high - low > 100

    found = call("-q", "evaluate", run, "-n", 40, "--steps", 4, "--json")
    assert found.code == 0, found.err
    rows = {row["name"]: row for row in json.loads(found.out)["rows"]}
    assert set(case.kinds) <= set(rows)
    for row in rows.values():
        assert math.isfinite(row["value"])
    assert all(rows[kind]["floor"] < 0.7 for kind in case.kinds)
    assert rows["classifier accuracy"]["floor"] < 0.75

    table = name not in ("sets", "functions")
    out = tmp_path / ("new.csv" if table else "new.npz")
    done = call("sample", run, "-n", 20, "--steps", 4, "--out", out)
    assert done.code == 0, done.err
    if table:
        with file.open() as lines:
            _inside(name, out, next(csv.reader(lines)))
    picture = tmp_path / "new.png"
    assert call("-q", "sample", run, "-n", 20, "--steps", 4, "--out", picture).code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    # What was drawn is data of the same kind.
    again = pf.data.load(out, space=pf.load(run).space)
    assert len(again) == 20
    assert "recipe.yaml" in {entry.name for entry in run.iterdir()}
    model = yaml.safe_load((run / "recipe.yaml").read_text())["model"]
    assert model["labels"] is True


def test_what_a_space_cannot_take_is_refused_before_training(call, tmp_path: Path) -> None:
    g = np.random.default_rng(0)
    words = _words(tmp_path, g)
    for model, message in (
        (("model.process=masking", "model.process.space.vocabulary=2"), "tokens lie in 0..1"),
        (("model.process=brownian", "model.process.space=sphere"), "length 1"),
        (("model.process=masking",), "missing a required argument: 'space'"),
        (("model=matching", "model.path={space: sphere}"), "add model.path.class=NAME"),
        (("model.process=maskin",), "did you mean 'masking'"),
        (("model.process=masking", "model.process.space.vocabulary=3", "model.process.spac=1"),
         "spac"),
    ):  # fmt: skip
        found = call("train", words, *model, "--out", tmp_path / "run")
        assert found.code == 2, message
        assert message in found.err
        assert not (tmp_path / "run").exists()
