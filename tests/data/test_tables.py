from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushforward.data import Data, load
from pushforward.errors import InputError


def read(folder: Path, text: str | bytes, **options: object) -> Data:
    path = folder / "t.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(path, **options)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a,b\n1,2\n3,4\n", ("a", "b")),
        ("1,2\n3,4\n", ("0", "1")),
        ("1,2\r\n3,4", ("0", "1")),
        ("\n\na , b\n\n1, 2\n\n3 ,4\n\n", ("a", "b")),
        ("\ufeffa;b\n1;2\n3;4\n", ("a", "b")),
        ("a\tb\n1\t2\n3\t4\n", ("a", "b")),
        ('"a, first",b\n"1",2\n3,"4"\n', ("a, first", "b")),
        ("# a,b\n1,2\n3,4\n", ("a", "b")),
        ("# from somewhere\n# on a day, at 3\n\na,b\n1,2\n3,4\n", ("a", "b")),
        ("# from somewhere\n1,2\n3,4\n", ("0", "1")),
        ("a,\n1,2\n3,4\n", ("a", "")),
        ("a,2020\n1,2\n3,4\n", ("a", "2020")),
        ("1e0,2E0\n+3,4.\n", ("0", "1")),
    ],
)
def test_tables_that_read_the_same(tmp_path: Path, text: str, columns: tuple[str, ...]) -> None:
    data = read(tmp_path, text)
    assert data.x.tolist() == [[1, 2], [3, 4]]
    assert data.columns == columns


def test_headers_of_numbers(tmp_path: Path) -> None:
    # pandas names the columns of a bare array 0, 1, ...; a row of data may read so too.
    assert len(read(tmp_path, "0,1\n1.5,2.5\n0.5,1\n")) == 2
    assert len(read(tmp_path, "0,1\n1,0\n1,1\n")) == 3
    assert len(read(tmp_path, "400,410\n1.5,2.5\n0.5,1\n")) == 3
    data = read(tmp_path, "400,410\n1.5,2.5\n0.5,1\n", header=True)
    assert data.columns == ("400", "410")
    assert data.x.tolist() == [[1.5, 2.5], [0.5, 1]]
    with pytest.raises(InputError, match="line 1, column '0': 'a' is not a number"):
        read(tmp_path, "a,b\n1,2\n3,4\n", header=False)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("x,kind\n1,cat\n2,dog\n3,cat\n", "kind"),
        ("1,cat\n2,dog\n3,cat\n", 1),
        ("1,cat\n2,dog\n3,cat\n", "1"),
        ("1,cat\n2,dog\n3,cat\n", -1),
        ('kind;x\n"cat";1\n"dog";2\n cat;3\n', "kind"),
    ],
)
def test_text_labels(tmp_path: Path, text: str, label: str | int) -> None:
    data = read(tmp_path, text, label=label)
    assert data.x.tolist() == [[1], [2], [3]]
    assert data.classes == ("cat", "dog")
    assert data.c is not None
    assert data.c.tolist() == [0, 1, 0]


def test_quoted_labels_may_hold_commas_and_lines(tmp_path: Path) -> None:
    data = read(tmp_path, 'x,kind\n1,"a, ""b"""\n2,"c\nd"\n3,"c\nd"\n', label="kind")
    assert data.classes == ('a, "b"', "c\nd")


@pytest.mark.parametrize("hole", ["", " ", "NA", "n/a", "nan", "NULL", "None"])
def test_missing_values(tmp_path: Path, hole: str) -> None:
    text = f"a,b,k\n1,2,0\n\n3,{hole},1\n5,6,1\n"
    with pytest.raises(InputError, match=r"t\.csv, line 4, column 'b' holds nan.*; 1 of 3 rows"):
        read(tmp_path, text)
    data = read(tmp_path, text, label="k", drop_nonfinite=True)
    assert data.x.tolist() == [[1, 2], [5, 6]]
    assert data.c is not None
    assert data.c.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3,x\n", r"line 3, column 'b': 'x' is not a number: make .* label='b'"),
        ("a,b\n1,True\n3,yes\n", r"column 'b': .* in several ways, 'True', 'yes': write them"),
        ("a,b\n1,2_0\n3,4\n", "line 2, column 'b': '2_0' is not a number"),
        ("a;b\n1,5;2\n2;3\n", "line 2, column 'a': '1,5' .* read it as 1.5 with decimal=','"),
        ("1.0 2.0\n3.0 4.0\n", "by commas or tabs, not by spaces"),
        ("a,b\n1,2\n3\n", "line 3: 1 cells where 2 were expected"),
        ("a,b\n1,2,3\n3,4\n", "line 2: 3 cells where 2"),
        ('a,b\n1,"2\n3,4\n', "line 2: .* quotation mark"),
        ("a,b\n", "no rows"),
        ("", "empty"),
        ("\n \n", "empty"),
        ("# only a comment\n", "empty"),
        ("caf\u00e9,b\n1,2\n".encode("latin-1"), "not UTF-8 text .byte 0xe9."),
        ("a,b\n1,2\n".encode("utf-16"), "not UTF-8"),
        ("a,b\n1,1e160\n2,3\n", r"line 2, column 'b' holds 1e\+160, beyond 1e\+150"),
        ("a,b\n1,inf\n2,3\n", "line 2, column 'b' holds inf"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, text)


def test_label_errors_name_the_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 3: the label is missing"):
        read(tmp_path, "a,k\n1,u\n2,\n3,v\n", label="k")
    with pytest.raises(InputError, match=r"line 4: label 0.5"):
        read(tmp_path, "a,k\n1,0\n\n2,0.5\n3,1\n", label="k")
    with pytest.raises(InputError, match="no column left"):
        read(tmp_path, "k\n1\n2\n", label="k")
    # The line stays right when rows before it were left out.
    with pytest.raises(InputError, match=r"line 4: label 0.5"):
        read(tmp_path, "a,k\n1,0\n,1\n2,0.5\n3,1\n", label="k", drop_nonfinite=True)


def test_columns_in_the_order_asked_for(tmp_path: Path) -> None:
    data = read(tmp_path, "a,b,t\n1,2,x\n3,4,y\n", columns=["b", "a"])
    assert data.x.tolist() == [[2, 1], [4, 3]]
    assert data.columns == ("b", "a")
    assert read(tmp_path, ",a\n1,1.5\n2,2.5\n", columns="1:").x.tolist() == [[1.5], [2.5]]


@given(
    st.lists(
        st.tuples(*[st.floats(width=32, allow_nan=False, allow_infinity=False)] * 3), min_size=2
    )
)
def test_what_numpy_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list
) -> None:
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    x = np.array(rows, dtype=np.float32)
    np.savetxt(path, x, delimiter=",", header="u,v,w")
    data = load(path)
    assert data.columns == ("u", "v", "w")
    assert np.array_equal(data.x.numpy(), x)


def test_long_tables_are_read_in_blocks(tmp_path: Path) -> None:
    n = 120_001
    lines = [f"{i},{i % 7}" for i in range(n)]
    lines[100_000] = "oops,1"
    with pytest.raises(InputError, match="line 100002, column 'a': 'oops'"):
        read(tmp_path, "\n".join(["a,k", *lines]))
    lines[100_000] = "100000,5"
    data = read(tmp_path, "\n".join(["a,k", *lines]), label="k")
    assert np.array_equal(data.x.numpy()[:, 0], np.arange(n))
    assert data.num_classes == 7
