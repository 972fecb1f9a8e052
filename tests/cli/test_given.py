"""`--given` from the training to samples and densities: names, types, units and refusals."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward._records import read_sealed
from pushforward.errors import InputError

SLOPE, NOISE = 0.8, 0.3


def _rows(n: int) -> list[dict[str, Any]]:
    """`y = SLOPE z + w + noise` for `z` in other units and whole numbers `w`; truths."""
    g = torch.Generator().manual_seed(0)
    found = []
    for k in range(n):
        z, e, u = torch.randn(3, generator=g).tolist()
        w, on = int(torch.randint(0, 4, (), generator=g)), k % 2
        y = SLOPE * z + w + NOISE * e
        found.append(
            {
                "y": f"{y:.5f}",
                "w": w,
                "temperature": f"{300 + 50 * z:.4f}",
                "on": ("no", "yes")[on],
                "v": f"{2 * on - y + NOISE * u:.5f}",
            }
        )
    return found


def _write(path: Path, rows: list[dict[str, Any]], columns: list[str] | None = None) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns or list(rows[0]), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> Path:
    return _write(tmp_path_factory.mktemp("data") / "pairs.csv", _rows(1500))


@pytest.fixture(scope="module")
def run(pairs: Path, tmp_path_factory) -> Path:
    """A flow of p(y, v | temperature, on, w)."""
    from pushforward.cli import main

    out = tmp_path_factory.mktemp("runs") / "flow"
    words = [
        *("--quiet", "train", pairs, "--given", "temperature,on,w", "--model", "flow"),
        *("model.kind=maf", "model.layers=2", "model.width=32", "--out", out),
        *("--steps", 500, "--batch-size", 256, "--lr", 3e-3),
    ]
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    assert end.value.code == 0
    return out


def test_draws_have_the_conditional_distribution(run: Path, call, tmp_path: Path) -> None:
    out = tmp_path / "draws.csv"
    given = "w=2,on=yes,temperature=350"
    assert call("sample", run, "--given", given, "-n", 2000, "--out", out).code == 0
    rows = _read(out)
    # In the order, the names and the types of the training data.
    assert list(rows[0]) == ["y", "w", "temperature", "on", "v"]
    assert {(row["w"], float(row["temperature"]), row["on"]) for row in rows} == {
        ("2", 350.0, "yes")
    }
    y = torch.tensor([float(row["y"]) for row in rows])
    v = torch.tensor([float(row["v"]) for row in rows])
    assert abs(float(y.mean()) - (SLOPE + 2)) < 0.15
    assert abs(float(y.std()) - NOISE) < 0.08
    # Given the other column, v is known up to its own noise.
    assert abs(float((v + y).mean()) - 2) < 0.15
    assert abs(float((v + y).std()) - NOISE) < 0.08


def test_each_row_of_a_file_has_draws(run: Path, call, tmp_path: Path) -> None:
    asked = _write(tmp_path / "asked.csv", _rows(20), ["on", "id", "temperature", "w"])
    one, three = tmp_path / "one.csv", tmp_path / "three.csv"
    assert call("sample", run, "--given", asked, "--out", one).code == 0
    known, rows = _rows(20), _read(one)
    for name in ("w", "on"):
        assert [row[name] for row in rows] == [str(row[name]) for row in known]
    for row, own in zip(rows, known, strict=True):
        assert math.isclose(float(row["temperature"]), float(own["temperature"]), rel_tol=1e-6)
    assert call("sample", run, "--given", asked, "-n", 3, "--out", three).code == 0
    rows = _read(three)
    assert next(iter(rows[0])) == "row"
    assert [int(row["row"]) for row in rows] == [k // 3 for k in range(60)]
    assert [row["w"] for row in rows] == [str(known[k // 3]["w"]) for k in range(60)]


def test_densities_are_conditional_and_columns_have_no_order(
    run: Path, pairs: Path, call, tmp_path: Path
) -> None:
    turned = _write(tmp_path / "turned.csv", _rows(1500), ["v", "on", "temperature", "y", "w"])
    found = []
    for data in (pairs, turned):
        out = tmp_path / f"{data.stem}.out.csv"
        result = call("logprob", run, data, "-n", 300, "--out", out)
        assert result.code == 0
        assert "conditional on temperature, on, w of each row" in result.out
        found.append([float(row["log_prob"]) for row in _read(out)])
    assert found[0] == found[1]
    # Two normal columns of the deviation NOISE, independent given the rest.
    entropy = 2 * (0.5 * math.log(2 * math.pi * math.e) + math.log(NOISE))
    assert abs(sum(found[0]) / 300 + entropy) < 0.25


def test_evaluation_compares_the_joint_distribution(run: Path, call) -> None:
    found = call("evaluate", run, "-n", 200)
    assert found.code == 0
    # The samples for what was given are ranked, and the report shows it.
    assert "calibration over 40 pairs with 19 draws each" in found.out
    assert "<h2>Calibration</h2>" in (run / "report.html").read_text()
    kept = pf.data.load(run / "samples.npz")
    assert kept.event_shape == (5,)
    # Contexts shuffled against the draws are told apart, and by the joint distribution alone.
    from pushforward.report.judging import evaluated, told_for

    model = pf.load(run)
    data = pf.data.load(
        read_sealed(run / "config.yaml")["data"]["origin"]["source"],
        given=["temperature", "on", "w"],
    )
    train, test = data.split(0.3)
    told, others = told_for(model, train, test, 200, seed=0)
    x = model.sample(200, told, seed=0)
    accuracy = []
    for c in (told, told.roll(1, 0)):
        table = evaluated(model.space, x, others, train, told=c)
        accuracy.append(next(r.value for r in table.rows if r.name == "classifier accuracy"))
    assert accuracy[0] < 0.65 < accuracy[1]


def test_what_is_given_is_told(run: Path, call, tmp_path: Path) -> None:
    assert call("info", run).out.startswith("learned: p(y, v | temperature, on, w)")
    sizes = ["--out", tmp_path / "x.csv", "-n", 2]
    far = call("sample", run, "--given", "temperature=9000,on=no,w=1", *sizes)
    assert far.code == 0
    assert "temperature = 9000 lies far outside" in far.err
    near = call("sample", run, "--given", "temperature=290,on=no,w=1", *sizes)
    assert "far outside" not in near.err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("on=no,w=1", "does not say 'temperature'"),
        ("temperture=3,on=no,w=1", "did you mean 'temperature'?"),
        ("temperature=3,on=no,w=1,w=2", "says 'w' twice"),
        ("temperature=hot,on=no,w=1", "'hot' is not a finite number"),
        ("temperature=3,on=maybe,w=1", "it is no or yes"),
        ("temperature,on=no,w=1", "does not say NAME=VALUE"),
        ("temperature=3,5,on=no,w=1", "'3,5' is not a finite number"),
        ("nothing.csv", "does not exist"),
    ],
)
def test_what_cannot_be_told(given: str, said: str, run: Path, call, tmp_path: Path) -> None:
    result = call("sample", run, "--given", given, "--out", tmp_path / "x.csv")
    assert result.code == 2
    assert said in " ".join(result.err.split())
    assert not (tmp_path / "x.csv").exists()


def test_what_is_not_said_is_as_in_training(run: Path, pairs: Path, call, tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    found = call("sample", run, "-n", 500, "--out", out)
    assert found.code == 0
    said = "note: without --given, 'temperature', 'on', 'w' are those of 500 rows drawn from the"
    assert said in found.err
    names, known = ("temperature", "on", "w"), _read(pairs)
    there = {(float(row["temperature"]), row["on"], row["w"]) for row in known}
    rows = _read(out)
    assert {(round(float(r["temperature"]), 4), r["on"], r["w"]) for r in rows} <= there
    # As often as there.
    for name, value in (("on", "yes"), ("w", "3")):
        shares = [sum(r[name] == value for r in some) / len(some) for some in (rows, known)]
        assert abs(shares[0] - shares[1]) < 0.08
    assert len({tuple(r[name] for name in names) for r in rows}) > 300
    again = tmp_path / "again.csv"
    assert call("--quiet", "sample", run, "-n", 500, "--out", again).err == ""
    assert again.read_text() == out.read_text()


def test_training_rows_that_are_gone(run: Path, call, tmp_path: Path) -> None:
    saved = pf.load(run).save(tmp_path / "saved")
    result = call("sample", saved, "--out", tmp_path / "x.csv")
    assert result.code == 2
    said = " ".join(result.err.split())
    assert "give --given temperature=VALUE,on=VALUE,w=VALUE, or --given FILE" in said
    assert "its training data cannot be drawn from" in said


def test_words_are_given_by_name(call, tmp_path: Path) -> None:
    g = torch.Generator().manual_seed(0)
    means = {"Oslo": -4.0, "New York": 0.0, "Rome": 4.0}
    cities = [list(means)[k] for k in torch.randint(0, 3, (600,), generator=g).tolist()]
    noise = torch.randn(600, generator=g).tolist()
    rows = [{"city": c, "y": f"{means[c] + e:.4f}"} for c, e in zip(cities, noise, strict=True)]
    data, out = _write(tmp_path / "t.csv", rows), tmp_path / "run"
    words = ("train", data, "--given", "city", "--model", "flow", "model.kind=maf")
    size = ("model.layers=1", "model.width=16", "--steps", 200, "--lr", 1e-2, "--out", out)
    assert call("--quiet", *words, *size).code == 0
    draws = tmp_path / "draws.csv"
    for city, mean in means.items():
        assert call("sample", out, "--given", f"city={city}", "-n", 400, "--out", draws).code == 0
        found = _read(draws)
        assert {row["city"] for row in found} == {city}
        assert abs(sum(float(row["y"]) for row in found) / 400 - mean) < 0.4
    asked = _write(tmp_path / "asked.csv", [{"city": "Rome"}, {"city": "Oslo"}])
    assert call("sample", out, "--given", asked, "--out", draws).code == 0
    assert [row["city"] for row in _read(draws)] == ["Rome", "Oslo"]
    refused = call("sample", out, "--given", "city=Olso", "--out", draws)
    assert refused.code == 2
    known = "(did you mean 'Oslo'?), but 'New York', 'Oslo', 'Rome'"
    assert known in " ".join(refused.err.split())
    lima = _write(tmp_path / "lima.csv", [{"city": "Lima"}])
    refused = call("sample", out, "--given", lima, "--out", draws)
    assert refused.code == 2
    assert "'Lima' is none of New York, Oslo, Rome" in " ".join(refused.err.split())
    assert call("logprob", out, data, "-n", 50).code == 0
    assert call("evaluate", out, "-n", 60).code == 0


def test_files_that_do_not_fit(run: Path, call, tmp_path: Path) -> None:
    rows = _rows(3)
    lacking = _write(tmp_path / "lacking.csv", rows, ["temperature", "w"])
    out = ["--out", tmp_path / "x.csv"]
    assert "no column 'on'" in call("sample", run, "--given", lacking, *out).err
    rows[1]["temperature"] = ""
    empty = _write(tmp_path / "empty.csv", rows)
    result = call("sample", run, "--given", empty, *out)
    assert result.code == 2
    assert "1 of 3 rows have missing or non-finite values" in " ".join(result.err.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--given", "y,heat"], "no column 'heat'"),
        (["--given", "y,y"], "names a column twice"),
        (["--given", "y,w,temperature,on,v"], "none is left to learn"),
        (
            ["--given", "w", "--label", "on"],
            "leave --label out, and name the column of the labels in",
        ),
        (["--given", "w", "--model", "kde"], "learn p(x | c)"),
    ],
)
def test_what_cannot_be_learned(
    words: list[str], said: str, pairs: Path, call, tmp_path: Path
) -> None:
    result = call("train", pairs, *words, "--out", tmp_path / "run", "--steps", 1)
    assert result.code == 2
    assert said in " ".join(result.err.split())
    assert not (tmp_path / "run" / "manifest.json").exists()


def test_recipes_resumed_runs_and_comparisons(pairs: Path, call, tmp_path: Path) -> None:
    printed = call("train", pairs, "--given", "w,on", "--model", "flow", "--print-config")
    assert "given: [w, 'on']" in printed.out or "given:\n  - w\n" in printed.out
    recipe, out = tmp_path / "recipe.yaml", tmp_path / "run"
    recipe.write_text(
        f"data: {{source: '{pairs}', given: [w, 'on']}}\n"
        "model: {class: flow, kind: maf, layers: 1, width: 8}\n"
        "train: {steps: 2, batch_size: 64, schedule: constant}\n"
    )
    quiet = ["--quiet", "train", "--out", out]
    assert call(*quiet, "--recipe", recipe).code == 0
    assert call(*quiet, "--resume", "--steps", 4).code == 0
    given = call("sample", out, "--given", "w=1,on=no", "-n", 2, "--out", tmp_path / "x.csv")
    assert given.code == 0
    page = tmp_path / "compare.html"
    assert call("compare", out, "-n", 60, "--points", 20, "--out", page).code == 0


def test_given_columns_return_to_their_places(pairs: Path) -> None:
    table = pf.data.load(pairs)
    divided = pf.data.load(pairs, given="on,y")
    assert str(divided).endswith("1500 vectors of 3, given on, y")
    assert divided.columns == ("w", "temperature", "v")
    whole = pf.data.joint(divided)
    assert whole.columns == table.columns
    assert torch.equal(whole.x, table.x)
    described = divided.schema.describe()
    assert pf.data.Schema.from_description(described) == divided.schema
    again = pf.data.load(whole, like=divided)
    assert again.fingerprint == divided.fingerprint
    with pytest.raises(InputError, match="columns with names"):
        pf.data.load(torch.zeros(3, 2), given=["0"])


def test_posteriors_are_drawn_in_the_given_context(pairs: Path, call, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ("train", pairs, "--given", "temperature,on,w", "--steps", 150, "--out", out)
    assert call("--quiet", *words, "model.net=mlp").code == 0
    y = _write(tmp_path / "y.csv", [{"y": "0.5"}, {"y": "1.5"}])
    asked = ("posterior", out, "--y", y, "--noise", 0.5, "-n", 2, "--steps", 4)
    found = call(*asked, "--out", tmp_path / "none.npy")
    assert found.code == 2
    assert "--given temperature=VALUE,on=VALUE,w=VALUE" in found.err
    one = ("--given", "temperature=320,on=yes,w=2")
    found = call("--quiet", *asked, *one, "--out", tmp_path / "one.npy")
    assert found.code == 0, found.err
    each = [{"temperature": t, "on": "yes", "w": 2} for t in (320, 280)]
    file = ("--given", _write(tmp_path / "given.csv", each))
    assert call("--quiet", *asked, *file, "--out", tmp_path / "each.npy").code == 0
    # As in Python, and each measurement in its own context.
    model, operator = pf.load(out), pf.inverse.Columns("y")
    measured = torch.tensor([[0.5], [1.5]])
    c = torch.tensor([[320.0, 1.0, 2.0], [280.0, 1.0, 2.0]])
    post = model.posterior(measured, operator=operator, noise=0.5, c=c)
    x = post.sample(2, seed=0, steps=4, check=False)
    drawn = [torch.as_tensor(np.load(tmp_path / name)) for name in ("one.npy", "each.npy")]
    assert torch.allclose(drawn[1], x, atol=1e-4)
    assert torch.allclose(drawn[0][:, 0], x[:, 0], atol=1e-4)
    assert not torch.allclose(drawn[0][:, 1], x[:, 1], atol=1e-2)


def test_rows_repeat_only_with_what_is_given(tmp_path: Path) -> None:
    from pushforward.cli.examining import examine_data

    rows = [{"y": k % 50, "z": k} for k in range(300)]
    data = pf.data.load(_write(tmp_path / "t.csv", rows), given=["z"])
    assert not any("Repeated" in found.title for found in examine_data(data))
    alone = pf.data.load(_write(tmp_path / "y.csv", rows, ["y"]))
    assert any("Repeated" in found.title for found in examine_data(alone))


def test_what_is_given_need_not_be_learned(pairs: Path) -> None:
    from pushforward.cli.examining import examine_data

    few = "Features of few values"
    table, told = pf.data.load(pairs), pf.data.load(pairs, given="on,w")
    assert any(few in found.title for found in examine_data(table))
    assert not any(few in found.title for found in examine_data(told))
