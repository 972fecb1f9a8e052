"""Columns are found by name and labels by value, whatever command reads the file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import pushforward as pf

N = 240


def rows() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "height": rng.normal(5, 1, N),
        "width": rng.normal(100, 5, N),
        "kind": rng.choice(["ant", "bee", "cow"], N, p=[0.5, 0.3, 0.2]),
        "extra": rng.normal(100, 8, N),
    }


def write(path: Path, names: list[str], keep: np.ndarray | None = None) -> Path:
    found = rows()
    columns = [found[name] if keep is None else found[name][keep] for name in names]
    lines = [",".join(map(str, line)) for line in zip(*columns, strict=True)]
    path.write_text("\n".join([",".join(names), *lines]) + "\n")
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("identity")


@pytest.fixture
def run(home: Path, call) -> Path:
    """Trained once, by the first test that asks for it."""
    if not (home / "run").exists():
        table = write(home / "train.csv", ["height", "width", "kind"])
        words = ("--label", "kind", "--model", "flow", "--steps", 30, "--out", home / "run")
        assert call("train", table, *words).code == 0
    return home / "run"


def densities(call, run: Path, file: Path, *more: object) -> list[float]:
    result = call("logprob", run, file, "--json", *more)
    assert result.code == 0, result.err
    return [row["log_prob"] for row in json.loads(result.out)["rows"]]


def test_log_densities_follow_the_names(call, run: Path, home: Path) -> None:
    exact = densities(call, run, home / "train.csv")
    swapped = write(home / "swapped.csv", ["width", "kind", "height"])
    assert densities(call, run, swapped) == pytest.approx(exact, rel=1e-6)
    wider = write(home / "wider.csv", ["extra", "width", "kind", "height"])
    result = call("logprob", run, wider, "--json")
    assert "left out 'extra', which the model does not know" in result.err
    assert [row["log_prob"] for row in json.loads(result.out)["rows"]] == pytest.approx(exact)
    other = write(home / "other.csv", ["height", "extra", "kind"])
    result = call("logprob", run, other)
    assert result.code == 2
    assert "no column 'width'" in result.err


def test_labels_keep_their_codes_where_a_class_is_missing(call, run: Path, home: Path) -> None:
    keep = rows()["kind"] != "ant"
    exact = np.array(densities(call, run, home / "train.csv"))[keep]
    some = write(home / "some.csv", ["height", "width", "kind"], keep)
    assert densities(call, run, some) == pytest.approx(list(exact), rel=1e-6)


def test_a_file_in_another_order_is_what_the_run_was_trained_on(
    call, run: Path, home: Path
) -> None:
    moved = write(home / "moved.csv", ["width", "kind", "height"])
    result = call("evaluate", run, "--data", moved, "-n", 20, "--points", 4)
    assert result.code == 0, result.err


def test_a_bridge_joins_columns_by_name(call, home: Path) -> None:
    target = write(home / "target.csv", ["height", "width"])
    outs = []
    for name, columns in (("same", ["height", "width"]), ("swapped", ["width", "height"])):
        source = write(home / f"{name}-source.csv", columns)
        out = home / f"{name}-bridge"
        words = ("--steps", 8, "--iterations", 2, "--batch-size", 16, "model.cache.rows=60")
        asked = ("--source", source, "--target", target, "--out", out)
        assert call("bridge", *asked, *words).code == 0
        outs.append(pf.load(out))
    for a, b in zip(outs[0].parameters(), outs[1].parameters(), strict=True):
        assert torch.equal(a, b)
    odd = write(home / "odd.csv", ["height", "extra"])
    words = ("--target", target, "--out", home / "odd", *words)
    refused = call("bridge", "--source", odd, *words)
    assert refused.code == 2
    assert "no column 'width'" in refused.err
    # In words of the user's own, the columns stand for those of the target, in its order.
    chosen = call("bridge", "--source", odd, *words, "source.columns=[height, extra]")
    assert chosen.code == 0, chosen.err
    swapped = write(home / "to-translate.csv", ["width", "height"])
    found = []
    for name, file in (("a", target), ("b", swapped)):
        out = home / f"{name}.npz"
        assert call("translate", home / "same-bridge", file, "--out", out, "--seed", 1).code == 0
        found.append(np.load(out)["x"])
    assert np.allclose(*found)


@pytest.mark.parametrize("suffix", [".csv", ".npz"])
def test_samples_carry_their_labels(call, run: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"new{suffix}"
    assert call("sample", run, "-n", 400, "--out", out, "--seed", 3).code == 0
    data = pf.data.load(
        out, label="kind", like=pf.data.load(run.parent / "train.csv", label="kind")
    )
    assert data.counts is not None
    trained = np.array([(rows()["kind"] == name).mean() for name in data.classes])
    error = np.sqrt(trained * (1 - trained) / 400)
    assert (np.abs(np.array(data.counts) / 400 - trained) < 4 * error).all()
    # The documented sequence goes on with them, each under its own label.
    model = pf.load(run)
    assert densities(call, run, out) == pytest.approx(model.log_prob(data.x, data.c).value.tolist())
    one = call("sample", run, "-n", 5, "--out", out, "--class", "cow")
    assert one.code == 0
    assert pf.data.load(out, label="kind").classes == ("cow",)


def test_labels_are_written_with_the_name_and_the_type_of_the_file(call, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(90, 2))
    years = np.array([2019, 2021, 90210])[np.arange(90) % 3]
    np.savez(tmp_path / "years.npz", x=x, year=years)
    words = ("--label", "year", "--model", "flow", "--steps", 2, "--out", tmp_path / "run")
    assert call("train", tmp_path / "years.npz", *words).code == 0
    model = pf.load(tmp_path / "run")
    assert model.num_classes == 3
    for file in ("new.npz", "new.csv"):
        assert call("sample", tmp_path / "run", "-n", 50, "--out", tmp_path / file).code == 0
    with np.load(tmp_path / "new.npz") as found:
        assert set(found) == {"x", "year"}
        assert (found["year"].dtype, set(found["year"])) == (np.int64, {2019, 2021, 90210})
    assert (tmp_path / "new.csv").read_text().splitlines()[0].endswith(",year")
    a, b = (densities(call, tmp_path / "run", tmp_path / file) for file in ("new.npz", "new.csv"))
    assert a == pytest.approx(b, rel=1e-4)
    refused = call("sample", tmp_path / "run", "--class", 2020)
    assert refused.code == 2
    assert "--class is one of 2019, 2021, 90210, not '2020'" in refused.err
    two = ("--class", 2021, "--out", tmp_path / "two.npz")
    assert call("sample", tmp_path / "run", "-n", 3, *two).code == 0
    with np.load(tmp_path / "two.npz") as found:
        assert found["year"].tolist() == [2021] * 3


def test_log_densities_are_those_given_the_label(call, run: Path, home: Path) -> None:
    data = pf.data.load(home / "train.csv", label="kind")
    plain = write(home / "plain.csv", ["height", "width"])
    refused = call("logprob", run, plain)
    assert refused.code == 2
    assert "give --class" in refused.err
    found = densities(call, run, plain, "--class", "bee")
    assert found == pytest.approx(pf.load(run).log_prob(data.x, 1).value.tolist(), rel=1e-5)
    said = call("logprob", run, home / "train.csv", "--class", "bee").out
    assert "conditional on the label bee" in said
    assert densities(call, run, home / "train.csv", "--class", "bee") == pytest.approx(found)
    assert "conditional on the label of each row" in call("logprob", run, home / "train.csv").out


@pytest.mark.parametrize(("n", "rows_out"), [(None, 240), (6, 6)])
def test_log_densities_have_a_row_for_each_of_the_file(
    call, run: Path, home: Path, tmp_path: Path, n: int | None, rows_out: int
) -> None:
    lines = (home / "train.csv").read_text().splitlines()
    for row in (2, 5, 100):
        lines[1 + row] = "," + lines[1 + row].partition(",")[2]
    gaps = tmp_path / "gaps.csv"
    gaps.write_text("\n".join(lines) + "\n")
    kept = tmp_path / "run"
    words = ("--label", "kind", "--model", "flow", "--steps", 2, "--out", kept)
    assert call("train", gaps, *words, "data.drop_nonfinite=true").code == 0
    asked = () if n is None else ("-n", n)
    out = tmp_path / "out.csv"
    said = call("logprob", kept, gaps, *asked, "--out", out)
    assert f"{3 if n is None else 2} of {rows_out} rows were left out" in said.out
    header, *cells = [line.split(",") for line in out.read_text().splitlines()]
    assert header == ["row", "log_prob", "stderr"]
    assert [int(row[0]) for row in cells] == list(range(rows_out))
    empty = [int(row[0]) for row in cells if row[1:] == ["", ""]]
    assert empty == [row for row in (2, 5, 100) if row < rows_out]
    call("logprob", kept, gaps, *asked, "--out", tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as found:
        assert found["row"].tolist() == list(range(rows_out))
        assert np.flatnonzero(np.isnan(found["log_prob"])).tolist() == empty
    exact = pf.load(kept).log_prob(
        torch.tensor([[float(cell) for cell in lines[4].split(",")[:2]]]),
        ["ant", "bee", "cow"].index(lines[4].split(",")[2]),
    )
    assert float(cells[3][1]) == pytest.approx(exact.value.item(), rel=1e-4)
    summary = json.loads(call("logprob", kept, gaps, *asked, "--json").out)
    assert [row["row"] for row in summary["rows"]] == [
        row for row in range(rows_out) if row not in (2, 5, 100)
    ]


def test_a_model_that_ignores_labels_says_so(call, home: Path, tmp_path: Path) -> None:
    table = write(home / "ignored.csv", ["height", "width", "kind"])
    words = ("--label", "kind", "--model", "kde", "--out", tmp_path / "run")
    with pytest.warns(UserWarning, match="takes no labels: those of ignored are ignored"):
        assert call("train", table, *words).code == 0
    out = tmp_path / "new.csv"
    assert call("sample", tmp_path / "run", "-n", 5, "--out", out).code == 0
    assert out.read_text().splitlines()[0] == "height,width"
    assert len(densities(call, tmp_path / "run", table)) == N
    assert len(densities(call, tmp_path / "run", out)) == 5


def test_translations_carry_the_labels_of_their_data(call, home: Path, tmp_path: Path) -> None:
    table = write(home / "labeled.csv", ["height", "width", "kind"])
    swapped = write(home / "labeled-source.csv", ["kind", "width", "height"])
    words = ("--label", "kind", "--model", "matching", "--steps", 3, "--out", tmp_path / "run")
    assert call("train", table, "--source", swapped, *words).code == 0
    keep = rows()["kind"] != "ant"
    some = write(tmp_path / "some.csv", ["kind", "height", "width"], keep)
    asked = ("translate", tmp_path / "run", some, "--sampler", "heun", "--steps", 4)
    assert call(*asked, "--out", tmp_path / "moved.csv").code == 0
    moved = pf.data.load(tmp_path / "moved.csv", label="kind")
    assert moved.c is not None
    assert [moved.classes[k] for k in moved.c.tolist()] == rows()["kind"][keep].tolist()
    model, data = pf.load(tmp_path / "run"), pf.data.load(table, label="kind")
    assert data.c is not None
    part = torch.tensor(keep)
    exact = model.forward(data.x[part], data.c[part], sampler="heun", steps=4, seed=0)
    assert torch.allclose(moved.x, exact, rtol=1e-4, atol=1e-4)
    assert call(*asked, "--class", "cow", "--out", tmp_path / "cows.csv").code == 0
    cows = pf.data.load(tmp_path / "cows.csv", label="kind")
    assert cows.classes == ("cow",)
    exact = model.forward(data.x[part], 2, sampler="heun", steps=4, seed=0)
    assert torch.allclose(cows.x, exact, rtol=1e-4, atol=1e-4)


def test_a_saved_model_knows_its_columns_and_classes(call, home: Path, tmp_path: Path) -> None:
    table = write(home / "saved.csv", ["height", "width", "kind"])
    data = pf.data.load(table, label="kind")
    model = pf.models.NormalizingFlow.for_data(data)
    pf.fit(model, data, steps=5, progress=False)
    pf.load(model.save(tmp_path / "one")).save(tmp_path / "two")
    for saved in (tmp_path / "one", tmp_path / "two"):
        drawn = tmp_path / f"{saved.name}.csv"
        assert call("sample", saved, "-n", 200, "--out", drawn).code == 0
        known = pf.data.load(drawn, label="kind")
        assert (known.columns, known.classes) == (("height", "width"), ("ant", "bee", "cow"))
        assert known.counts[0] > known.counts[2]
        result = call("sample", saved, "--class", "dog", "--out", tmp_path / "dog.csv")
        assert "--class is one of ant, bee, cow, not 'dog'" in result.err
        exact = densities(call, saved, table)
        assert exact == pytest.approx(model.log_prob(data.x, data.c).value.tolist(), rel=1e-4)
        keep = rows()["kind"] != "ant"
        some = write(tmp_path / "some.csv", ["kind", "width", "height"], keep)
        found = densities(call, saved, some)
        assert found == pytest.approx(list(np.array(exact)[keep]), rel=1e-6)
    # Where the data lay is nobody's business.
    assert str(home) not in (tmp_path / "one" / "config.yaml").read_text()


def test_what_a_saved_model_knows_is_sealed(call, home: Path, tmp_path: Path) -> None:
    data = pf.data.load(write(home / "sealed.csv", ["height", "width", "kind"]), label="kind")
    model = pf.models.NormalizingFlow.for_data(data)
    pf.fit(model, data, steps=1, progress=False)
    config = model.save(tmp_path / "model") / "config.yaml"
    config.write_text(config.read_text().replace("- ant", "- bat"))
    result = call("sample", tmp_path / "model", "--out", tmp_path / "new.csv")
    assert result.code == 2
    assert "is not as it was written" in result.err


def test_a_run_goes_on_with_its_columns_in_another_order(call, home: Path, tmp_path: Path) -> None:
    table = write(tmp_path / "table.csv", ["height", "width", "kind"])
    run = tmp_path / "run"
    words = ("--label", "kind", "--model", "flow", "--out", run)
    assert call("train", table, *words, "--steps", 4).code == 0
    write(table, ["width", "kind", "height"])
    with pytest.warns(UserWarning, match="cosine schedule"):
        assert call("train", "--resume", "--out", run, "--steps", 6).code == 0
    assert [
        c["name"]
        for c in yaml.safe_load((run / "config.yaml").read_text())["data"]["schema"]["columns"]
    ] == ["height", "width"]
    model, data = pf.load(run), pf.data.load(table, label="kind")
    with pytest.warns(UserWarning, match="cosine schedule"):
        again = pf.fit(model, data, out=run, resume=True, steps=8, progress=False)
    assert again.step == 8
    write(table, ["width", "kind", "extra"])
    result = call("train", "--resume", "--out", run, "--steps", 8)
    assert result.code == 2
    assert "no column 'height'" in result.err
