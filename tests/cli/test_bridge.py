"""`pushforward bridge` and `translate`: from two files to states carried both ways."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from pushforward.cli.recipe import read


def _table(path: Path, shift: float) -> Path:
    rows = np.random.default_rng(0).normal(size=(60, 2)) + shift
    np.savetxt(path, rows, delimiter=",", header="height,width", comments="")
    return path


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tables")
    return _table(folder / "a.csv", 0.0), _table(folder / "b.csv", 5.0)


SHORT = ("--iterations", "2", "--steps", "4", "--batch-size", "8")


def test_two_files_become_a_map(call, tables: tuple[Path, Path], tmp_path: Path) -> None:
    a, b = tables
    run = tmp_path / "run"
    done = call(
        "bridge", "--source", a, "--target", b, "--out", run, "--sigma", "0.5", "--rate", "1",
        *SHORT, "model.cache.rows=60",
    )  # fmt: skip
    assert done.code == 0, done.err
    saved = yaml.safe_load((run / "config.yaml").read_text())["model"]["args"]
    assert saved["reference"] == {
        "class": "processes.OUBridge",
        "args": {
            "sigma": 0.5,
            "rate": 1.0,
            "space": {"class": "spaces.Euclidean", "args": {"dim": None}},
        },
    }
    assert saved["iterations"]["args"]["steps"] == 2
    assert "outer iteration" in (run / "report.html").read_text()
    again = call("bridge", "--resume", "--out", run)
    assert again.code == 0, again.err

    out = tmp_path / "there.csv"
    assert call("translate", run, a, "--out", out).code == 0
    assert out.read_text().splitlines()[0] == "height,width"
    assert len(out.read_text().splitlines()) == 61
    out = tmp_path / "draws.npz"
    assert call("translate", run, a, "-n", "3", "--out", out).code == 0
    assert np.load(out)["x"].shape == (3, 60, 2)
    out = tmp_path / "back.npy"
    assert call("translate", run, b, "--backward", "--sampler", "heun", "--out", out).code == 0
    assert np.load(out).shape == (60, 2)


def test_mistakes_take_one_line(
    call, tables: tuple[Path, Path], trained: Path, tmp_path: Path
) -> None:
    a, b = tables
    for words, message in (
        (("--target", b), "--source is missing"),
        (("--source", a), "--target is missing"),
        (("--source", a, "--target", b, "--sigma", "0"), "sigma"),
        (("--source", a, "--target", b, "--rate", "1"), "needs a --sigma"),
        (("--source", a, "--target", b, "--method", "dsm"), "did you mean 'dsb'"),
        (("--source", a, "--target", b, "--steps", "3"), "3 steps do not make 20 outer iterations"),
    ):
        found = call("bridge", *words, "--out", tmp_path / "run")
        assert found.code == 2
        assert message in found.err
        assert not (tmp_path / "run").exists()
    found = call("translate", trained, a)
    assert found.code == 2
    assert "a Diffusion maps noise to data" in found.err
    found = call("translate", trained, a, "--out", "x.pt")
    assert "states go to" in found.err


def test_two_texts_become_a_map_and_have_a_duration(call, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    a, b = (tmp_path / name for name in ("a.txt", "b.txt"))
    for path, symbols in ((a, "abx"), (b, "abc")):
        lines = ("".join(random.choice(list(symbols), 5)) for _ in range(60))
        path.write_text("\n".join(lines) + "\n")
    both, run = ("--source", a, "--target", b, "data.kind=lines"), tmp_path / "run"
    short = (*SHORT, "model.cache.rows=30", "--out", run)
    done = call("bridge", *both, "--duration", "0.001", *short)
    assert done.code == 0, done.err
    saved = yaml.safe_load((run / "config.yaml").read_text())
    reference = saved["model"]["args"]["reference"]
    assert (reference["class"], reference["args"]["duration"]) == ("processes.TokenBridge", 0.001)
    # The symbols of both, and it is said which of them one side lacks.
    assert saved["data"]["schema"]["alphabet"]["symbols"] == list("abcx")
    assert "b has no 'x' of a" in done.err
    assert "a has no 'c' of b" in done.err
    out = tmp_path / "there.txt"
    assert call("translate", run, a, "--out", out).code == 0
    # In so short a time hardly a symbol changes.
    before, after = a.read_text().split(), out.read_text().split()
    kept = [
        x == y
        for old, new in zip(before, after, strict=True)
        for x, y in zip(old, new, strict=True)
    ]
    assert np.mean(kept) > 0.9
    for words, said in (
        ((*both, "--sigma", "1"), "symbols of a text take --duration"),
        ((*both, "source.alphabet=bytes"), "symbols that are characters"),
    ):
        found = call("bridge", *words, "--out", tmp_path / "other")
        assert found.code == 2
        assert said in found.err


def test_two_commands_make_one_bridge(call, tables: tuple[Path, Path], tmp_path: Path) -> None:
    """The same recipe, with outer iterations that share the steps."""
    a, b = tables
    sides = ("--source", a, "--steps", "300", "--print-config")
    found = call("bridge", "--target", b, *sides)
    assert found.code == 0, found.err
    assert found.out == call("train", b, "--model", "bridge", *sides).out
    model = read(None, yaml.safe_load(found.out)).prepare().model
    assert (model.iterations.count, model.iterations.steps) == (20, 15)


def test_a_recipe_prints(call, tables: tuple[Path, Path], tmp_path: Path) -> None:
    a, b = tables
    found = call("bridge", "--source", a, "--target", b, "--shared", "--print-config")
    recipe = yaml.safe_load(found.out)
    assert recipe["model"]["class"] == "bridge"
    assert recipe["model"]["shared"] is True
    assert recipe["train"]["steps"] == 10_000
    path = tmp_path / "recipe.yaml"
    path.write_text(found.out)
    assert call("bridge", "--recipe", path, "--print-config").out == found.out
    wider = call("bridge", "--recipe", path, "--sigma", "2", "--print-config")
    model = {**recipe["model"], "reference": {"class": "bridge", "sigma": 2.0}}
    assert yaml.safe_load(wider.out) == {**recipe, "model": model}


def test_columns_of_different_units_are_warned_of_in_the_words_of_the_command(
    call, tmp_path: Path
) -> None:
    files = []
    for name, seed in (("a", 0), ("b", 1)):
        rows = np.random.default_rng(seed).normal(size=(60, 2)) * [0.1, 20]
        files.append(tmp_path / f"{name}.csv")
        np.savetxt(files[-1], rows, delimiter=",", header="height,width", comments="")
    sides = ("--source", files[0], "--target", files[1])
    with pytest.warns(UserWarning, match="differ by a factor"):
        done = call("bridge", *sides, "--out", tmp_path / "one", *SHORT, "model.cache.rows=60")
    assert done.code == 0, done.err
    assert "--scale columns" in done.err
    own = call(
        "bridge", *sides, "--out", tmp_path / "own", *SHORT, "model.cache.rows=60",
        "--scale", "columns",
    )  # fmt: skip
    assert own.code == 0, own.err
    assert "factor of" not in own.err
    saved = yaml.safe_load((tmp_path / "own" / "config.yaml").read_text())["model"]["args"]
    assert saved["scale"] == "columns"
