"""Text tables as people export them: marks, codes, words, dates, titles, units and encodings."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushforward.data import Data, arrow_tables, load, tables
from pushforward.errors import InputError


def read(folder: Path, text: str | bytes, name: str = "t.csv", **options: object) -> Data:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load(path, **options)


def advised(folder: Path, text: str | bytes, message: str, **options: object) -> None:
    with pytest.raises(InputError, match=message):
        read(folder, text, **options)


@pytest.fixture(params=["arrow", "standard library"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both readers, which must read the same."""
    monkeypatch.setattr(tables, "SMALL", 0 if request.param == "arrow" else 1 << 40)
    return request.param


MARKS = [
    ("a;b\n1,5;2\n-2,25;3\n", {"decimal": ","}, [[1.5, 2], [-2.25, 3]]),
    ("a;b\n1.234,5;2\n2;1.000.000\n", {"decimal": ",", "thousands": "."}, [[1234.5, 2], [2, 1e6]]),
    ('a,b\n"1,234.5",2\n3,4\n', {"thousands": ","}, [[1234.5, 2], [3, 4]]),
    ("a,b\n1 234,2\n3,4\n", {"thousands": " "}, [[1234, 2], [3, 4]]),
]


@pytest.mark.parametrize(("text", "options", "rows"), MARKS)
def test_decimal_marks(tmp_path: Path, reader: str, text: str, options: dict, rows: list) -> None:
    assert read(tmp_path, text, **options).x.tolist() == rows


def test_a_comma_before_three_digits_has_two_readings(tmp_path: Path) -> None:
    advised(
        tmp_path,
        "a;b\n5,125;2\n7,250;3\n",
        r"'5,125' is not a number: it reads as 5\.125 with decimal=',' and as 5125 with "
        r"thousands=','",
    )
    assert read(tmp_path, "a;b\n5,125;2\n7,250;3\n", thousands=",").x[0, 0] == 5125
    assert read(tmp_path, "a;b\n5,125;2\n7,250;3\n", decimal=",").x[0, 0] == 5.125
    # A point is neither mark where the comma is decimal: 5.125 may be 5125.
    advised(tmp_path, "a;b\n5.125;2\n7;3\n", "'5.125' is not a number", decimal=",")
    advised(tmp_path, "a;b\n1,25;2\n7,2505;3\n", "read it as 1.25 with decimal=','$")
    advised(tmp_path, "a;b\n1.234,5;2\n7;3\n", r"1234\.5 with decimal=',' and thousands='\.'$")
    advised(tmp_path, 'a,b\n"1,234.5",2\n7,3\n', "1234.5 with thousands=','$")


@pytest.mark.parametrize("words", ["false,true", "No,Yes", "F,T", "n,y", "FALSE,TRUE", "Off,On"])
def test_booleans_in_any_spelling(tmp_path: Path, reader: str, words: str) -> None:
    no, yes = words.split(",")
    data = read(tmp_path, f"a,b\n1.5,{yes}\n2.5,{no}\n3.5,\n", drop_nonfinite=True)
    assert data.x.tolist() == [[1.5, 1], [2.5, 0]]
    column = data.schema.columns[1]
    assert (column.dtype, column.levels, column.words) == ("bool", (0.0, 1.0), (no, yes))
    only = read(tmp_path, f"a,b\n1.5,{yes}\n2.5,{yes}\n")
    assert only.schema.columns[1].words == (no, yes)


def test_booleans_in_several_cases(tmp_path: Path, reader: str) -> None:
    data = read(tmp_path, "a,b\n1.5,True\n2.5,false\n3.5,TRUE\n")
    assert data.x[:, 1].tolist() == [1, 0, 1]
    assert data.schema.columns[1].words == ("False", "True")


def test_truths_beside_numbers_are_no_booleans(tmp_path: Path, reader: str) -> None:
    text = "a,b\n1,0\n2,yes\n3,1\n4,1\n"
    advised(tmp_path, text, "line 3, column 'b': 'yes' is not a number, but 3 of the first 4")
    advised(tmp_path, "a\nyes\nfalse\n", "line 2, column 'a': 'yes' is not a number")


def test_missing_codes(tmp_path: Path, reader: str) -> None:
    text = "a,b\n1,?\n2,3\n-999,4\n5,.\n6,7\n8,#N/A\n9,1\n10,1\n"
    advised(tmp_path, text, r"missing=\['\?', '\.', '#N/A'\]; or leave it out with columns=\['a'\]")
    data = read(tmp_path, text, missing=["?", ".", "#n/a", -999], drop_nonfinite=True)
    assert data.x.tolist() == [[2, 3], [6, 7], [9, 1], [10, 1]]
    assert [column.dtype for column in data.schema.columns] == ["int64", "int64"]
    assert read(tmp_path, "a\n1\n2\n-1.0\n", missing=-1, drop_nonfinite=True).dropped == 1
    advised(tmp_path, "a\n1\n2\nx\n", "missing='x'")


def test_text_columns_are_labels_or_left_out(tmp_path: Path) -> None:
    text = "a,k,b\n1,u,2\n3,v,4\n"
    advised(
        tmp_path,
        text,
        r"make the column the label with label='k', give it to the model with "
        r"given='k', or leave .*=\['a', 'b'\]$",
    )
    assert read(tmp_path, text, label="k").columns == ("a", "b")
    assert read(tmp_path, text, columns=["a", "b"]).columns == ("a", "b")
    # All columns of text are left out at once; the label is named already.
    several = "k,a,m,b\nu,1,p,2\nv,3,q,4\n"
    advised(tmp_path, several, r": leave it out with columns=\['a', 'b'\]$", label="m")
    assert read(tmp_path, several, label="m", columns=["a", "b"]).x.tolist() == [[1, 2], [3, 4]]
    many = ",".join(f"x {i}:" for i in range(9)) + ",k\n"
    row = ",".join("1" * 9)
    advised(tmp_path, f"{many}{row},u\n{row},v\n", "with columns=':9'$")
    assert read(tmp_path, f"{many}{row},u\n{row},v\n", columns=":9").event_shape == (9,)


def test_dates_are_days_or_left_out(tmp_path: Path, reader: str) -> None:
    text = "when,b\n2024-02-28,1\n2024-03-01T12:00,2\n"
    advised(
        tmp_path, text,
        r"but a date: read dates as days with since='2024-02-28', or leave it out with "
        r"columns=\['b'\]",
    )  # fmt: skip
    assert read(tmp_path, text, since="2024-02-28").x.tolist() == [[0, 1], [2.5, 2]]
    assert read(tmp_path, text, columns=["b"]).x.tolist() == [[1], [2]]
    advised(tmp_path, text, "since is a date", since="yesterday")


def test_titles_and_units(tmp_path: Path, reader: str) -> None:
    titled = "Our station\na,b\n1,2\n3,4\n"
    advised(tmp_path, titled, "line 2: 2 cells where 1 .* title, leave it out with skip=1$")
    assert read(tmp_path, titled, skip=1).columns == ("a", "b")
    united = "a,b\nm,kg\n1,2\n3,4\n"
    advised(tmp_path, united, r"line 2, column 'a': 'm' .* holds units .* with skip=\[2\]$")
    data = read(tmp_path, united, skip=[2])
    assert (data.columns, data.x.tolist()) == (("a", "b"), [[1, 2], [3, 4]])
    # Errors still name the line of the file.
    advised(tmp_path, "a,b\nm,kg\n1,2\n3,nan\n", "line 4, column 'b' holds nan", skip=[2])
    advised(tmp_path, "t\nu\na,b\n1,2\n3,nan\n", "line 5, column 'b' holds nan", skip=2)
    advised(tmp_path, united, "skip is how many lines", skip=[0])


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "latin-1"])
def test_encodings(tmp_path: Path, reader: str, encoding: str) -> None:
    content = "größe,kind\n1,früh\n2,spät\n".encode(encoding)
    advised(tmp_path, content, r"not UTF-8 text .*: read it with encoding='(cp1252|utf-16)'")
    data = read(tmp_path, content, encoding=encoding, label="kind")
    assert (data.columns, data.classes) == (("größe",), ("früh", "spät"))
    advised(tmp_path, content, "encoding='utf-88' is not known", encoding="utf-88")


def test_a_comma_at_the_end_of_each_line(tmp_path: Path, reader: str) -> None:
    for text in ("a,b,\n1,2,\n3,4,\n", "a,b\n1,2,\n3,4,\n"):
        data = read(tmp_path, text)
        assert (data.columns, data.x.tolist()) == (("a", "b"), [[1, 2], [3, 4]])
        assert data.notes == ("the last column, which is empty and has no name, was left out",)
    assert read(tmp_path, "1,2,\n3,4,\n").event_shape == (2,)
    advised(tmp_path, "a,b\n1,\n3,\n", r"column 'b' is empty in every row: leave .*=\['a'\]")


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("2019,2020,2021\n1.5,2,3\n4,5,6.5\n", ("2019", "2020", "2021")),
        ("2019,2020,2021\n15,22,38\n4,5,6\n", ("2019", "2020", "2021")),
        ("city,2019,2020\n,1,2\n,3,4\n", ("2019", "2020")),
        ("0,1,2,3,4\n7,2,5,9,1\n4,5,6,0,0\n", ("0", "1", "2", "3", "4")),
        (
            "400,402,404,406,408\n0.1,0.2,0.2,0.1,0\n1,2,3,1,0\n",
            ("400", "402", "404", "406", "408"),
        ),
        (
            "1990,1991,1992,1993,1994\n2001,1999,2004,1990,1991\n2,1,0,3,4\n",
            tuple(map(str, range(1990, 1995))),
        ),
        ("5,6,7,8,9\n10,11,12,13,14\n15,16,17,18,19\n", ("0", "1", "2", "3", "4")),
        ("0,1,2,3,4\n4,2,3,0,1\n1,0,2,3,4\n", ("0", "1", "2", "3", "4")),
        ("2019,2020\n2021,2022\n2023,2024\n", ("0", "1")),
        ("2020,2019\n1,2\n3,4\n", ("0", "1")),
        ("1,2\n2019,2020\n3,4\n", ("0", "1")),
    ],
)
def test_a_header_of_years(tmp_path: Path, reader: str, text: str, columns: tuple) -> None:
    chosen = {"columns": list(columns)} if text.startswith("city") else {}
    assert read(tmp_path, text, **chosen).columns == columns
    assert len(read(tmp_path, text.replace("city", "2018"), header=False, columns="1:")) == 3


@pytest.mark.parametrize("name", ["t.txt", "t.dat"])
def test_white_space_between_cells(tmp_path: Path, name: str) -> None:
    data = read(tmp_path, "# depth  temp\n  1.0\t 2.0 \n\n 3.0   4e1\n".replace("\t", " "), name)
    assert (data.columns, data.x.tolist()) == (("depth", "temp"), [[1, 2], [3, 40]])
    assert read(tmp_path, "a b\n1,5 2\n3 4\n", name, decimal=",").x[0, 0] == 1.5
    assert read(tmp_path, "a;b\n1;2\n3;4\n", name).columns == ("a", "b")
    assert read(tmp_path, 'a b\n1 "u v"\n3 "w"\n', name, label="b").classes == ("u v", "w")


def test_packed_text(tmp_path: Path, reader: str) -> None:
    for name in ("t.csv.gz", "T.TSV.GZ", "t.txt.gz"):
        mark = {"c": ",", "s": "\t", "x": " "}[name.lower()[3]] if "s" in name.lower() else " "
        text = "a,b\n1,2\n3,4\n".replace(",", mark)
        assert read(tmp_path, gzip.compress(text.encode()), name).columns == ("a", "b")
    packed = gzip.compress(b"a,b\n1,2\n" * 1000)
    for bad in (packed[:-20], b"a,b\n1,2\n", packed[:30] + b"x" + packed[31:]):
        with pytest.raises(InputError, match=r"damaged or not a \.gz file|not UTF-8|cells where"):
            read(tmp_path, bad, "t.csv.gz")


def test_types_of_columns(tmp_path: Path, reader: str) -> None:
    data = read(tmp_path, "a,b,c,d\n,2.0,3,4\n5,6,7.5,8\n9,1,2,\n4,4,4,4\n", drop_nonfinite=True)
    types = [column.dtype for column in data.schema.columns]
    assert types == ["int64", "float64", "float64", "int64"]
    near = "a,b\n9007199254740993,1\n9007199254740995,2\n"
    advised(tmp_path, near, r"whole numbers such as 90071.* blurs: .* it out with columns=\['b'\]")


CELLS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(10**18), 10**18).map(str),
    st.sampled_from(["", "NA", "n/a", "nan", "inf", "-inf", " 5", "5 ", "+1", ".5", "5.", "-0"]),
    st.sampled_from(["1e5", "1E+5", "007", "0x10", "1_0", "yes", "no", "x", '"7"', '" 7"', "1d3"]),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(CELLS, CELLS, st.sampled_from(["u", "NA", "'v'", " w"])), min_size=1))
def test_both_readers_read_the_same(tmp_path_factory: pytest.TempPathFactory, rows: list) -> None:
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_text("a,b,k\n" + "".join(f"{','.join(row)}\n" for row in rows))

    def outcome() -> object:
        try:
            raw = tables.read_table(path, "k")
        except InputError as error:
            return str(error)
        return raw.x.tobytes(), raw.labels.tolist(), raw.columns

    quick = None
    for small in (0, 1 << 40):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tables, "SMALL", small)
            quick, before = outcome(), quick
    assert before == quick


def test_long_tables_go_through_arrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors name the line there too, whose cells are read only to find it."""
    lines = [f"{i / 7},{'yes' if i % 3 else 'no'}" for i in range(60_000)]
    lines[50_001] = "inf,no"
    calls = []

    def counted(*given: object) -> arrow_tables.Rows | None:
        calls.append(arrow_tables.read_rows(*given))
        return calls[-1]

    monkeypatch.setattr(tables, "read_rows", counted)
    advised(tmp_path, "a,b\n" + "\n\n".join(lines), "line 100004, column 'a' holds inf")
    assert calls[0] is not None
    assert np.array_equal(calls[0].x[:, 1], np.arange(60_000) % 3 > 0)


@pytest.mark.parametrize(
    "option",
    [
        {"columns": {1: None}}, {"columns": 1.5}, {"columns": [True]}, {"missing": {"a": 1}},
        {"skip": 1.5}, {"skip": True}, {"skip": [0]}, {"skip": ["a"]}, {"header": "no"},
        {"encoding": 5}, {"decimal": ",,"}, {"thousands": ""}, {"since": 3}, {"since": "1.2.2024"},
    ],
)  # fmt: skip
def test_options_of_another_kind_are_refused(tmp_path: Path, option: dict) -> None:
    advised(tmp_path, "a,b\n1,2\n3,4\n", f"{next(iter(option))} is ", **option)


def test_what_is_neither_a_label_nor_a_unit(tmp_path: Path) -> None:
    for when in ("29.2.2024", "2/29/24", "12:30", "1.3.2024 12:30:05"):
        text = f"when,b\n{when},1\n{when},2\n"
        advised(tmp_path, text, r"looks like a date or time: .* leave it out with columns=\['b'\]$")
    advised(tmp_path, "a,b\n$2.50,1\n3%,2\n", r"write numbers without '\$' and '%', or leave")
    advised(tmp_path, "a,b\n-,1\n3,2\n4,5\n", r"missing='-'; or leave it out")


def test_bars_between_cells(tmp_path: Path, reader: str) -> None:
    assert read(tmp_path, "a|b\n1|2\n3|4\n").columns == ("a", "b")
    assert read(tmp_path, "a|b,c\n1,2\n3,4\n").columns == ("a|b", "c")


@pytest.mark.parametrize(("no", "yes"), [("FALSCH", "WAHR"), ("nein", "ja"), ("Non", "Oui")])
def test_truths_in_other_languages_come_back_as_they_were(
    tmp_path: Path, no: str, yes: str
) -> None:
    rows = [f"{k / 7:.3f},{yes if k % 3 else no}" for k in range(30)]
    data = read(tmp_path, "\n".join(["x,open", *rows]) + "\n")
    assert data.x[:3, 1].tolist() == [0, 1, 1]
    assert data.schema.columns[1].words == (no, yes)
