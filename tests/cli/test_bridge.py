"""`pushforward bridge` and `translate`: from two files to states carried both ways."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml


def _table(path: Path, shift: float) -> Path:
    rows = np.random.default_rng(0).normal(size=(60, 2)) + shift
    np.savetxt(path, rows, delimiter=",", header="height,width", comments="")
    return path


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tables")
    return _table(folder / "a.csv", 0.0), _table(folder / "b.csv", 5.0)


SHORT = ("--halves", "2", "--steps", "4", "--batch-size", "8")


def test_two_files_become_a_map(call, tables: tuple[Path, Path], tmp_path: Path) -> None:
    a, b = tables
    run = tmp_path / "run"
    refresh = ("options.refresh.class=schrodinger.Refresh", "options.refresh.args={rows: 60}")
    done = call(
        "bridge", "--source", a, "--target", b, "--out", run, "--sigma", "0.5", "--rate", "1",
        *SHORT, *refresh,
    )  # fmt: skip
    assert done.code == 0, done.err
    saved = yaml.safe_load((run / "config.yaml").read_text())["model"]["args"]
    assert saved["reference"] == {
        "class": "processes.OUBridge",
        "args": {"sigma": 0.5, "rate": 1.0},
    }
    assert saved["halves"]["args"]["length"] == 2
    assert "Marginals over the half-iterations" in (run / "report.html").read_text()
    again = call("bridge", "--source", a, "--target", b, "--out", run, "--sigma", "0.5", "--rate",
                 "1", *SHORT, *refresh, "--resume")  # fmt: skip
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
        (("--source", a, "--target", b, "--sigma", "0"), "sigma > 0"),
        (("--source", a, "--target", b, "--rate", "1"), "needs a --sigma"),
        (("--source", a, "--target", b, "--method", "dsm"), "did you mean 'dsb'"),
        (("--source", a, "--target", b, "--steps", "3"), "3 steps do not make 20"),
    ):
        found = call("bridge", *words, "--out", tmp_path / "run")
        assert found.code == 2
        assert message in found.err
        assert not (tmp_path / "run").exists()
    found = call("translate", trained, a)
    assert found.code == 2
    assert "a Diffusion maps noise to data" in found.err
    found = call("translate", trained, a, "--out", "x.txt")
    assert "states go to .npz" in found.err


def test_a_recipe_prints(call, tables: tuple[Path, Path]) -> None:
    a, b = tables
    found = call("bridge", "--source", a, "--target", b, "--shared", "--print-config")
    recipe = yaml.safe_load(found.out)
    assert recipe["family"] == "bridge"
    assert recipe["options"]["shared"] is True
    assert recipe["train"]["steps"] == 10_000


def test_a_recipe_is_not_said_again(call, tables: tuple[Path, Path], tmp_path: Path) -> None:
    a, b = tables
    printed = call("bridge", "--source", a, "--target", b, "--steps", "300", "--print-config")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(printed.out)
    again = call("bridge", "--recipe", recipe, "--print-config")
    assert yaml.safe_load(again.out) == yaml.safe_load(printed.out)
    found = call(
        "bridge", "--recipe", recipe, "--sigma", "1", "--shared", "--out", tmp_path / "run"
    )
    assert found.code == 2
    assert "--sigma, --shared would say it again" in found.err
