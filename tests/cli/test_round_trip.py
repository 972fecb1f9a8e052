"""A file in, samples of a model of it out: the same kind, names, types, values and classes."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas
import pytest
from PIL import Image

import pushforward as pf
from pushforward.report.pictures import Look

ROOT = Path(__file__).parents[2]


def _script() -> ModuleType:
    found = importlib.util.spec_from_file_location("formats", ROOT / "docs" / "formats.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


formats = _script()
KINDS = {kind.path: kind for kind in formats.KINDS}
READERS = {
    "people.csv": pandas.read_csv,
    "germany.csv": lambda path: pandas.read_csv(path, sep=";", decimal=",", skiprows=[1]),
    "bare.csv": lambda path: pandas.read_csv(path, header=None),
    "people.tsv": lambda path: pandas.read_csv(path, sep="\t"),
    "people.txt": lambda path: pandas.read_csv(path, sep=" "),
    "people.csv.gz": pandas.read_csv,
    "people.parquet": pandas.read_parquet,
    "people.feather": pandas.read_feather,
    "people.xlsx": lambda path: pandas.read_excel(path, engine="openpyxl"),
    "people.jsonl": lambda path: pandas.read_json(path, lines=True),
}
NUMBERS_OF_A_TYPE = {"people.parquet", "people.feather", "people.jsonl"}
"""Whose numbers are written as they are, not with so many digits."""
DRAWN: dict[tuple[Any, ...], bytes] = {}
ARRAYS = [path for path in KINDS if path.startswith("counts.")]
TEXTS = {"book.txt": "text", "lines.txt": "lines", "genes.fasta": "fasta"}
FUNCTIONS = ("curves.csv", "values.csv", "curves.npy")
FIELDS = [path for path in KINDS if path.startswith("fields.")]


def _ran(name: str, folder: Path) -> tuple[Path, Path]:
    """A file, and samples of a model of it, after every command has been run as the page says."""
    kind = KINDS[name]
    found = formats.tried(kind, folder)
    assert set(found.values()) == {""}
    page = formats.PAGE.read_text(encoding="utf-8").splitlines()
    assert formats.row(kind, found) in page, "write the page: python docs/formats.py --write"
    return folder / name, folder / name.replace(name.partition(".")[0], "new")


def test_the_page_has_a_row_for_each_kind() -> None:
    table = formats.PAGE.read_text().split("<!-- matrix -->")[1].split("<!-- end -->")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + len(formats.KINDS)
    assert set(KINDS) == {*READERS, *ARRAYS, *FIELDS, *FUNCTIONS, *TEXTS, "pictures"}


@pytest.fixture(autouse=True)
def _drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that hold one table would all have the same pictures, which take longest of all."""
    draw = Look._png

    def again(look: Look, *args: Any, **options: Any) -> bytes:
        key = (*look.names, options["small"], *(type(p).__name__ for p in look._painters))
        if key not in DRAWN:
            DRAWN[key] = draw(look, *args, **options)
        return DRAWN[key]

    monkeypatch.setattr(Look, "_png", again)


@pytest.mark.parametrize("name", READERS)
def test_tables_come_back(name: str, tmp_path: Path) -> None:
    file, new = _ran(name, tmp_path)
    before, after = READERS[name](file), READERS[name](new)
    assert list(after.columns) == list(before.columns)
    assert after.dtypes.tolist() == before.dtypes.tolist()
    assert len(after) == 60
    age, smokes, visits, dose, height, kind = before.columns
    assert before[age].min() <= after[age].min() <= after[age].max() <= before[age].max()
    for column in (smokes, visits, dose, kind):
        assert set(after[column]) <= set(before[column])
    assert set(after[kind]) == {"ant", "bee"}
    assert after[height].nunique() > 45
    if name not in NUMBERS_OF_A_TYPE:
        # In the text of the file heights have one digit after the point.
        assert (after[height].round(1) == after[height]).all()
    if name == "germany.csv":
        assert new.read_text().splitlines()[:2] == file.read_text().splitlines()[:2]


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_come_back(name: str, tmp_path: Path) -> None:
    file, new = _ran(name, tmp_path)
    label = "y" if name == "counts.nc" else None
    before, after = pf.data.load(file, label=label), pf.data.load(new, label=label)
    assert after.schema.entries.dtype == before.schema.entries.dtype == "int32"
    assert after.event_shape == before.event_shape
    assert before.x.min() <= after.x.min() <= after.x.max() <= before.x.max()
    if name != "counts.npy":
        assert after.classes == before.classes == (2019, 2021)
        assert after.schema.label_dtype == before.schema.label_dtype == "int16"
    if name == "counts.npz":
        assert {k: a.dtype.name for k, a in np.load(new).items()} == {"x": "int32", "y": "int16"}


@pytest.mark.parametrize("name", FIELDS)
def test_fields_come_back(name: str, tmp_path: Path) -> None:
    file, new = _ran(name, tmp_path)
    before, after = pf.data.load(file), pf.data.load(new)
    assert after.event_shape == before.event_shape
    assert after.schema.fields.variables[0].units == "K"
    assert after.schema.fields.coordinates == before.schema.fields.coordinates
    assert len(after) == 60


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_come_back(name: str, tmp_path: Path) -> None:
    file, new = _ran(name, tmp_path)
    if name.endswith(".npy"):
        assert np.load(new).shape == (60, *np.load(file).shape[1:])
        return
    before, after = pandas.read_csv(file), pandas.read_csv(new)
    assert list(after.columns) == list(before.columns)
    assert (after["id"].nunique() if name == "values.csv" else len(after)) == 60


@pytest.mark.parametrize("name", TEXTS)
def test_texts_come_back(name: str, tmp_path: Path) -> None:
    file, new = _ran(name, tmp_path)
    kind = TEXTS[name]
    before = pf.data.load(file, kind=kind, window=8 if kind == "text" else None)
    after = pf.data.load(new, kind=kind, window=8 if kind == "text" else None, like=before)
    assert after.schema.alphabet == before.schema.alphabet
    assert after.event_shape == before.event_shape
    # What parts the samples of a text is a symbol of it as well.
    assert len(after) == 60 or (kind == "text" and 60 <= len(after) < 70)
    assert (new.read_text()[0] == ">") == (kind == "fasta")


def test_pictures_come_back(tmp_path: Path) -> None:
    file, new = _ran("pictures", tmp_path)
    assert sorted(path.name for path in new.iterdir()) == ["dark", "light"]
    files = sorted(new.rglob("*.png"))
    assert len(files) == 60
    for path in files:
        with Image.open(path) as picture, Image.open(next(file.rglob("*.png"))) as known:
            assert (picture.mode, picture.size) == (known.mode, known.size)


def _densities(call: Any, run: Path, file: Path) -> list[float]:
    result = call("logprob", run, file, "--json")
    assert result.code == 0, result.err
    return [row["log_prob"] for row in json.loads(result.out)["rows"]]


def test_the_same_samples_in_any_file_have_the_same_density(call, tmp_path: Path) -> None:
    _, new = _ran("people.csv", tmp_path)
    exact = _densities(call, tmp_path / "run", new)
    for suffix in (
        "tsv",
        "txt",
        "csv.gz",
        "parquet",
        "feather",
        "xlsx",
        "jsonl",
        "npz",
        "mat",
        "h5",
    ):
        other = tmp_path / f"other.{suffix}"
        assert call("sample", tmp_path / "run", "-n", 60, "--out", other).code == 0
        assert _densities(call, tmp_path / "run", other) == pytest.approx(exact, abs=1e-4)


def test_samples_of_a_decoder_have_its_spread_unless_means_are_asked_for(
    call, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    rows = pandas.DataFrame({"a": random.normal(0, 3, 200), "b": random.normal(5, 1, 200)})
    rows.to_csv(tmp_path / "x.csv", index=False)
    run = tmp_path / "run"
    words = ("--model", "vae", "model.sigma=0.5", "--steps", 3, "--out", run)
    assert call("train", tmp_path / "x.csv", *words).code == 0
    spread = {}
    for way in ("", "--mean"):
        out = tmp_path / f"drawn{way}.csv"
        drawn = call("sample", run, "-n", 400, "--out", out, *way.split())
        assert drawn.code == 0
        assert ("means, without its noise" in drawn.err) == bool(way)
        spread[way] = pandas.read_csv(out).std()
    model = pf.load(run)
    drawn = model.sample(400, seed=0).std(0)
    assert spread[""].tolist() == pytest.approx(drawn.tolist(), rel=1e-4)
    assert (spread["--mean"] < 0.95 * spread[""]).all()
    # Judged are samples of the distribution that the likelihood beside them is of.
    assert call("evaluate", run, "-n", 100).code == 0
    judged = pf.data.load(run / "samples.npz").x
    assert judged.numpy() == pytest.approx(model.sample(100, seed=0).numpy(), rel=1e-5)


@pytest.mark.filterwarnings("ignore:The scales of the columns differ")
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_translations_are_files_of_the_same_kind(call, tmp_path: Path, suffix: str) -> None:
    people = formats.people().drop(columns="kind")
    others = people.assign(age=people["age"] + 3, height=people["height"] + 5)
    files = {"source": people, "target": others}
    for name, table in files.items():
        path = tmp_path / f"{name}.{suffix}"
        table.to_csv(path, index=False) if suffix == "csv" else table.to_parquet(path)
    source, target = (tmp_path / f"{name}.{suffix}" for name in files)
    run, there, back = (tmp_path / name for name in ("run", f"there.{suffix}", f"back.{suffix}"))
    words = ("--source", source, "--model", "matching", "--steps", 5, "--out", run)
    assert call("train", target, *words).code == 0
    asked = ("--sampler", "heun", "--steps", 4)
    assert call("translate", run, source, *asked, "--out", there).code == 0
    assert call("translate", run, there, "--backward", *asked, "--out", back).code == 0
    for path in (there, back):
        found = READERS[f"people.{suffix}"](path)
        assert list(found.columns) == list(people.columns)
        assert found.dtypes.tolist() == READERS[f"people.{suffix}"](source).dtypes.tolist()
        assert len(found) == len(people)
    many = tmp_path / f"many.{suffix}"
    assert call("translate", run, source, *asked, "-n", 2, "--out", many).code == 0
    assert len(READERS[f"people.{suffix}"](many)) == 2 * len(people)
    assert call("translate", run, source, *asked, "-n", 2, "--out", tmp_path / "many.npz").code == 0
    assert np.load(tmp_path / "many.npz")["x"].shape == (2, len(people), 5)
