from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward import _extras
from pushforward.data import Data, load
from pushforward.errors import InputError, MissingExtraError


def test_digits() -> None:
    data = load("digits")
    assert data.x.shape == (1797, 1, 8, 8)
    assert (data.kind, data.levels, data.value_range) == ("image", 17, (0, 16))
    assert data.x.unique().tolist() == list(range(17))
    assert data.c is not None
    assert data.num_classes == 10
    assert torch.bincount(data.c).min() > 170
    # The first picture is a zero: ink on the ring, none in the middle.
    assert int(data.c[0]) == 0
    assert float(data.x[0, 0, 2, 2]) > 10
    assert float(data.x[0, 0, 3, 3]) == 0
    assert load("digits", label=False).c is None
    assert load("digits").fingerprint == data.fingerprint


def test_digits_need_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(name: str) -> None:
        raise ModuleNotFoundError(name, name="sklearn")

    monkeypatch.setattr(_extras, "import_module", without)
    with pytest.raises(
        MissingExtraError, match=r"to load the digits, sklearn is needed: pip install"
    ):
        load("digits")


# QM9 has tests of its own: it takes a package of 104 MB.
@pytest.mark.parametrize(
    "name", [name for name in pf.registry.names("data") if not name.startswith("qm9")]
)
def test_every_name_loads(name: str, mirror: Path) -> None:
    data = pf.data.load(name)
    assert data.name == name
    sizes = {"digits": 1797, "fashion-mnist": 40, "fashion-mnist-test": 20}
    assert len(data) == sizes.get(name, 10_000)
    assert torch.isfinite(data.x).all()


def test_toys_have_parts_on_demand() -> None:
    assert load("pinwheel", n=100).c is None
    assert load("pinwheel", n=100, label=True).num_classes == 5
    with pytest.raises(InputError, match="swiss_roll has no parts"):
        load("swiss_roll", label=True)
    data = load("8gaussians", n=7, seed=1, name="ring")
    assert (len(data), data.name) == (7, "ring")


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("digts", {}, r"'digts' \(did you mean 'digits'\?\); built in are digits, fashion-mnist"),
        ("two-moons", {}, "did you mean 'two_moons'"),
        ("", {}, "no built-in data"),
        ("zzz", {}, "no built-in data, file or folder 'zzz'; built in"),
        ("digits", {"n": 10}, "n=10 means nothing for the built-in digits"),
        ("two_moons", {"n": 1}, "at least 2, not 1"),
        ("two_moons", {"n": 2.5}, "not 2.5"),
        ("two_moons", {"n": True}, "not True"),
        ("two_moons", {"seed": "a"}, "not 'a'"),
        (
            "two_moons",
            {"size": 8},
            "size=8 means nothing for the toy distribution two_moons; it takes n=",
        ),
        ("two_moons", {"levels": 8}, "levels=8 means nothing"),
        ("two_moons", {"label": "kind"}, "True or False"),
        ("two_moons", {"label": 1}, "True or False"),
        (np.eye(3), {"header": False}, "header=False means nothing for a ndarray"),
    ],
)
def test_what_is_wrong_is_said(source: object, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(source, **options)


def test_missing_files(tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text("1\n2\n")
    with pytest.raises(InputError, match=r"point\.csv does not exist \(did you mean 'points.csv'"):
        load(tmp_path / "point.csv")
    with pytest.raises(InputError, match="nor does the folder"):
        load(str(tmp_path / "none" / "x.npy"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x.pt", "a pickle can run code"),
        ("x.pkl", "a pickle can run code"),
        ("x.safetensors", r"open it with pushforward\.load"),
        ("x.grib", r"\.grib is not read; these are: \.csv"),
        ("x", "a file without a suffix"),
    ],
)
def test_other_formats(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / name).write_text("something")
    with pytest.raises(InputError, match=message):
        load(tmp_path / name)


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.npy")
    with pytest.raises(InputError, match="neither a file nor a folder"):
        load(tmp_path / "x.npy")


def test_run_folders_are_not_data(tmp_path: Path) -> None:
    for name in ("config.yaml", "manifest.json", "samples.png"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(
        InputError, match=r"is a run or a saved model, not data: .*pushforward\.load"
    ):
        load(tmp_path)
    np.savez(tmp_path / "samples.npz", x=np.eye(3))
    with pytest.raises(InputError, match=r"its samples are in .*samples\.npz"):
        load(tmp_path)
    assert load(tmp_path / "samples.npz").x.tolist() == np.eye(3).tolist()


def test_options_of_another_format(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.eye(3))
    with pytest.raises(InputError, match=r"key='x' means nothing for an .npy file"):
        load(tmp_path / "x.npy", key="x")
    (tmp_path / "x.csv").write_text("1\n2\n")
    with pytest.raises(InputError, match="text table; it takes columns=, given=, header="):
        load(tmp_path / "x.csv", n=5)


def test_data_passes_through() -> None:
    data = load(np.eye(3), label=[0, 1, 2])
    assert load(data) is data
    renamed = load(data, name="eye")
    assert (renamed.name, renamed.fingerprint) == ("eye", data.fingerprint)
    bare = load(data, label=False)
    assert (bare.c, bare.classes) == (None, ())
    assert isinstance(bare, Data)
    with pytest.raises(InputError, match="n=3 means nothing for data that is loaded already"):
        load(data, n=3)
    with pytest.raises(InputError, match="loaded already"):
        load(data, label="kind")


def test_a_home_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    np.save(tmp_path / "x.npy", np.eye(3))
    assert len(load("~/x.npy")) == 3


def test_optional_packages_are_not_imported_early(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n3,5\n")
    code = (
        "import sys, pushforward.data as d\n"
        "d.examine(d.load(sys.argv[1])), d.load('pinwheel', n=5)\n"
        "print([m for m in ('pandas', 'pyarrow', 'PIL', 'sklearn', 'scipy', 'matplotlib') "
        "if m in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x.csv")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout.strip() == "[]"


def test_no_hint_proposes_what_was_given(tmp_path: Path) -> None:
    (tmp_path / "x.csv").symlink_to(tmp_path / "gone.csv")
    with pytest.raises(InputError, match=r"x\.csv is a link to .*gone\.csv, which does not exist$"):
        load(tmp_path / "x.csv")
    (tmp_path / "x.csv").unlink()
    (tmp_path / "y.csv").touch()
    with pytest.raises(InputError, match=r"x\.csv does not exist \(did you mean 'y\.csv'\?\)"):
        load(tmp_path / "x.csv")
