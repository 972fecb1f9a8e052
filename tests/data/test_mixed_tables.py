"""Tables with columns of all kinds: what goes in comes out, cell by cell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pushforward.data import Schema, load, write
from pushforward.data.cells import Cells
from pushforward.data.coded_column import CodedColumn
from pushforward.data.found_kinds import found_kind, given_kind
from pushforward.data.kinds import Kind
from pushforward.data.quantile_units import QuantileUnits
from pushforward.data.row_rules import rules_of
from pushforward.errors import InputError


def people(rows: int = 120, seed: int = 0) -> dict[str, list[str]]:
    """Numbers, counts, money with many zeros, dates, truths, words, and cells that are missing."""
    g = np.random.default_rng(seed)
    income = np.where(g.random(rows) < 0.4, 0.0, np.exp(g.normal(7, 1, rows)))
    day = np.datetime64("2020-01-01") + g.integers(0, 900, rows)
    return {
        "age": [f"{v:.1f}" if g.random() > 0.1 else "" for v in g.normal(40, 9, rows)],
        "kids": [str(v) for v in g.integers(0, 5, rows)],
        "income": [f"{v:.2f}" for v in income],
        "joined": [d.item().strftime("%d.%m.%Y") for d in day],
        "member": ["yes" if v else "no" for v in g.random(rows) < 0.5],
        "city": [("Oslo, N", "Rome", "Bonn")[k] for k in g.integers(0, 3, rows)],
        "steps": [str(v) for v in g.integers(-500, 5000, rows)],
    }


def saved(table: dict[str, list[str]], path: Path, mark: str = ",") -> Path:
    def cell(text: str) -> str:
        return f'"{text}"' if mark in text else text

    lines = [
        mark.join(table),
        *(mark.join(map(cell, row)) for row in zip(*table.values(), strict=True)),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_kinds_are_found_by_cells() -> None:
    data = load(people(), kinds="auto")
    kinds = {column.name: column.kind.name for column in data.schema.mixed.columns}
    assert kinds == {
        "age": "number",
        "kids": "count",
        "income": "number",
        "joined": "date",
        "member": "boolean",
        "city": "category",
        "steps": "integer",
    }
    coded = {column.name: column for column in data.schema.mixed.columns}
    assert coded["age"].missing
    assert coded["age"].words == ("a number", "missing")
    assert coded["income"].symbols == ("0.00",)
    assert coded["kids"].units is None
    # Frequencies of the symbols of a number are not those of its values.
    assert [*data.schema.mixed.kinds(data.x)] == [
        *("age: a number, missing", "kids", "income: a number, 0.00", "member", "city")
    ]


def test_a_file_comes_out_byte_by_byte(tmp_path: Path) -> None:
    path = saved(people(), tmp_path / "people.csv")
    data = load(str(path), kinds="auto")
    write(tmp_path / "again.csv", data.x, space=None, schema=data.schema)
    assert (tmp_path / "again.csv").read_bytes() == path.read_bytes()
    described = Schema.from_description(data.schema.describe())
    write(tmp_path / "third.csv", data.x, space=None, schema=described)
    assert (tmp_path / "third.csv").read_bytes() == path.read_bytes()


def test_decimal_commas_come_out(tmp_path: Path) -> None:
    table = people()
    for name in ("age", "income"):
        table[name] = [cell.replace(".", ",") for cell in table[name]]
    path = saved(table, tmp_path / "people.csv", ";")
    data = load(str(path), kinds="auto", decimal=",")
    write(tmp_path / "again.csv", data.x, space=None, schema=data.schema)
    assert (tmp_path / "again.csv").read_bytes() == path.read_bytes()


def test_other_rows_are_coded_alike_in_any_order(tmp_path: Path) -> None:
    table = people()
    data = load(table, kinds="auto")
    turned = {name: table[name] for name in reversed(table)} | {"more": table["age"]}
    again = load(saved(turned, tmp_path / "t.csv").as_posix(), like=data)
    assert torch.equal(again.x[1], data.x[1])
    assert torch.equal(again.x[0], data.x[0])
    assert "left out 'more'" in again.notes[0]


def test_numbers_are_normal_and_fill_is_noise() -> None:
    """Scores of a heavy-tailed column, with 40 % zeros and a fill, are standard normal."""
    data = load(people(4000), kinds={"income": "number"})
    scores = data.x[0].double()
    for k in range(scores.shape[1]):
        ordered = scores[:, k].sort().values
        exact = (torch.arange(4000) + 0.5).double() / 4000
        distance = (torch.special.ndtr(ordered) - exact).abs().max()
        assert distance < 1.95 / 4000**0.5  # Kolmogorov-Smirnov at one in a thousand


def test_columns_of_like_names_have_noise_of_their_own() -> None:
    g = np.random.default_rng(0)
    gone = g.random(400) < 0.5
    one, other = (
        ["" if lost else f"{v:.1f}" for v, lost in zip(g.normal(0, 1, 400), gone, strict=True)]
        for _ in range(2)
    )
    x, _ = load({"temperature_low": one, "temperature_high": other}, kinds="auto").x
    pair = x[torch.from_numpy(gone)].mT
    assert abs(float(torch.corrcoef(pair)[0, 1])) < 0.3


def test_parts_of_a_step_keep_their_number() -> None:
    """Whole numbers are spread over their cells, and come back as they were."""
    values = np.random.default_rng(0).poisson(60, 3000)
    column = CodedColumn.fitted("n", Kind("count"), [str(v) for v in values], Cells())
    scores, symbols = column.codes([str(v) for v in values], Cells(), "t")
    assert len(np.unique(scores)) > 2900
    assert np.array_equal(column.values(scores, symbols, Cells()), values)


def test_log_slope_is_the_derivative() -> None:
    values = np.exp(np.random.default_rng(0).normal(size=500))
    units = QuantileUnits.fitted(values)
    at, h = np.array([0.3, 0.9, 2.2, 9.0]), 1e-6
    slope = (units.score(at + h) - units.score(at - h)) / (2 * h)
    assert np.allclose(units.log_slope(at), np.log(slope), atol=1e-5)
    assert np.allclose(units.value(units.score(values)), values)
    # A law on the scores has mass one on the values.
    grid = np.linspace(-2, 40, 400_001)
    density = np.exp(-(units.score(grid) ** 2) / 2 + units.log_slope(grid)) / np.sqrt(2 * np.pi)
    assert abs(density.sum() * (grid[1] - grid[0]) - 1) < 1e-3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"age": ["old", *people()["age"][1:]]}, "has numbers and words, such as 'old'"),
        ({"city": [f"city {k}" for k in range(120)]}, "120 different words in 120 rows"),
        ({"age": [""] * 120}, "is empty in every row"),
        ({"joined": ["01/02/2020", "03/04/2020"] * 60}, r"dates both as %d/%m/%Y and as %m/%d/%Y"),
    ],
)
def test_columns_of_no_kind_are_refused(change: dict[str, list[str]], words: str) -> None:
    with pytest.raises(InputError, match=words):
        load(people() | change, kinds="auto")


def test_kinds_that_are_given_must_fit() -> None:
    with pytest.raises(InputError, match="is to be count, but '"):
        load(people(), kinds={"city": "count"})
    with pytest.raises(InputError, match="a column is number, integer, count"):
        load(people(), kinds={"city": "colour"})
    with pytest.raises(InputError, match="has no column 'towns', but"):
        load(people(), kinds={"towns": "category"})
    with pytest.raises(InputError, match="is not a whole number from 0"):
        load(people(), kinds={"steps": "count"})
    assert given_kind("d", "date %d.%m.%y", ["01.02.20"], Cells(), "t").form == "%d.%m.%y"
    found = load(people(), kinds={"kids": "category"}).schema.mixed.columns[1]
    assert found.kind.name == "category"


def test_cells_that_were_not_in_training_are_refused() -> None:
    data = load(people(), kinds="auto")
    with pytest.raises(InputError, match="column 'city': 'Lima' was not in the data"):
        load(people() | {"city": ["Lima"] * 120}, like=data)
    with pytest.raises(InputError, match="column 'city': a cell is missing, but none was"):
        load(people() | {"city": [""] * 120}, like=data)
    with pytest.raises(InputError, match="column 'age': 'old' is no number"):
        load(people() | {"age": ["old"] * 120}, like=data)
    with pytest.raises(InputError, match="has no column 'age', which the model was trained on"):
        load({k: v for k, v in people().items() if k != "age"}, like=data)
    with pytest.raises(InputError, match="leave label= and given= out"):
        load(people(), kinds="auto", label="city")
    with pytest.raises(InputError, match="size= means nothing"):
        load(people(), kinds="auto", size=3)


def test_whole_numbers_and_truths() -> None:
    assert found_kind("a", ["0", "1"], Cells(), "t").name == "boolean"
    assert found_kind("a", ["0", "-1"], Cells(), "t").name == "integer"
    assert found_kind("a", ["1.0", "2"], Cells(), "t").name == "number"
    assert found_kind("a", ["Yes", "No"], Cells(), "t").name == "boolean"
    assert found_kind("a", ["12:30", "23:59"], Cells(), "t").form == "%H:%M"


def test_rules_of_rows_are_found_and_counted() -> None:
    g = np.random.default_rng(0)
    a, b = g.random(200), g.random(200)
    word = np.array(["x", "y", "z"], dtype=object)[g.integers(0, 3, 200)]
    told = np.array(["u" if w == "x" else "v" for w in word], dtype=object)
    a[3] = np.nan
    columns = {"a": a, "b": b, "c": a + b, "w": word, "t": told, "far": b + 10}
    rules = rules_of(columns)
    assert [str(rule) for rule in rules] == ["a <= c", "b <= c", "a + b = c", "w tells t"]
    assert all(rule.broken(columns) == 0 for rule in rules)
    broken = columns | {"c": np.where(np.arange(200) < 50, -1.0, a + b), "t": told[::-1]}
    found = {str(rule): rule.broken(broken) for rule in rules}
    assert found["b <= c"] == 0.25
    assert found["a + b = c"] == found["a <= c"] == 49 / 200
    assert found["w tells t"] == pytest.approx(np.mean(told != told[::-1]))


def test_codes_that_begin_with_zeros_keep_them(tmp_path: Path) -> None:
    """As numbers they would come out without; row numbers are no categories."""
    zips = [f"{7 * (k % 30):05d}" for k in range(200)]
    path = saved({"zip": zips, "a": [f"{k}.5" for k in range(200)]}, tmp_path / "zips.csv")
    data = load(path, kinds="auto")
    assert data.schema.mixed.cells(data.x)["zip"] == zips
    ids = [f"{k:03d}" for k in range(200)]
    with pytest.raises(InputError, match=r"'000'.*written without these zeros"):
        found_kind("id", ids, Cells(), "t.csv")
    assert given_kind("id", "count", ids, Cells(), "t.csv") == Kind("count")
    # A zero alone, and fractions, are numbers.
    assert found_kind("n", ["0", "10", "25"], Cells(), "t.csv") == Kind("count")
    assert found_kind("x", ["0.5", "00.5"], Cells(), "t.csv") == Kind("number")


def test_numbers_that_were_told_are_written_to_the_last_digit(tmp_path: Path) -> None:
    """Scores in single precision are off by some units in nine digits."""
    counts = [str(10**8 + 8_765_431 * k) for k in range(100)]
    seconds = [f"20{k % 90 + 10}-05-17 13:{k % 60:02d}:{(k * 7) % 60:02d}" for k in range(100)]
    data = load({"n": counts, "at": seconds}, kinds="auto")
    table = data.schema.mixed
    assert table.cells(data.x) != {"n": counts, "at": seconds}
    told = table.told({"n": [*counts[:-1], ""], "at": seconds}, Cells())
    written = table.cells(data.x, told)
    assert written["n"][:-1] == counts[:-1]
    assert written["at"] == seconds
    write(tmp_path / "new.csv", data.x, space=None, schema=data.schema, told=told)
    assert (tmp_path / "new.csv").read_text().splitlines()[1] == f"{counts[0]},{seconds[0]}"
    typed = table.columns_of(data.x, spelled=False, told=told)
    assert typed["n"][:-1].tolist() == list(map(int, counts[:-1]))
