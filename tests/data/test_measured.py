"""Tables are measured before they are read: what does not fit, or is a trap, is refused by size."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forked import Server
from pushforward import _memory
from pushforward.data import load
from pushforward.data.measured import check_json_lines, count_lines
from pushforward.errors import InputError

TABLES = [".csv", ".csv.gz", ".txt", ".jsonl", ".jsonl.gz", ".parquet", ".feather", ".xlsx"]


def little(monkeypatch) -> None:
    monkeypatch.setattr(_memory, "available", lambda: 1000)


def _table(path: Path, rows: int = 400) -> Path:
    import pandas

    frame = pandas.DataFrame({"a": np.arange(rows) / 8, "b": -np.arange(rows) / 4})
    if ".csv" in path.name or path.suffix == ".txt":
        frame.to_csv(path, index=False)
    elif ".jsonl" in path.name:
        frame.to_json(path, orient="records", lines=True)
    else:
        writers: dict[str, Callable[[Path], Any]] = {
            ".parquet": frame.to_parquet,
            ".feather": frame.to_feather,
            ".xlsx": lambda path: frame.to_excel(path, index=False),
        }
        writers[path.suffix](path)
    return path


@pytest.mark.parametrize("suffix", TABLES)
def test_a_table_beyond_memory_is_refused_before_it_is_read(
    tmp_path: Path, suffix: str, monkeypatch
) -> None:
    path = _table(tmp_path / f"x{suffix}")
    assert load(path).x.shape == (400, 2)
    little(monkeypatch)
    for reader in ("pushforward.data.tables._carefully", "pyarrow.json.read_json"):
        monkeypatch.setattr(reader, None)
    monkeypatch.setattr("pandas.read_parquet", None)
    monkeypatch.setattr("pyarrow.feather.read_table", None)
    message = r"promises numbers of the shape \(40\d, 2\), which take .* 1000 bytes of memory"
    with pytest.raises(InputError, match=message):
        load(path)


@pytest.mark.parametrize("line", [b"0,0\n", b'{"a":0,"b":1}\n'])
def test_a_packed_text_that_inflates_beyond_reason_is_not_unpacked(
    tmp_path: Path, line: bytes, monkeypatch
) -> None:
    monkeypatch.setattr("pushforward.data.declared._SMALL", 2**20)
    suffix = "csv" if line[:1] == b"0" else "jsonl"
    path = tmp_path / f"x.{suffix}.gz"
    path.write_bytes(gzip.compress(line * 500_000))
    little(monkeypatch)
    check = count_lines if suffix == "csv" else check_json_lines
    with pytest.raises(InputError, match=r"inflates from .* KiB to .* MiB or more"):
        check(path)


def test_a_line_without_end(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"0," * 2**20)
    monkeypatch.setattr(_memory, "available", lambda: 2**21)
    with pytest.raises(InputError, match=r"has a line of 1\.0 MiB or more"):
        load(path)
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"a": [' + b"0," * 2**20)
    with pytest.raises(InputError, match=r"has a line longer than 1,048,576 bytes"):
        load(path)


JSON = {
    "a new name on each line": (
        b"".join(b'{"a%d": 1}\n' % k for k in range(5000)),
        r"has 2049 values in its first 2049 lines, .* a table of 4198401 cells",
    ),
    "new names within": (
        b"".join(b'{"x": 1, "b": {"a%d": 1}}\n' % k for k in range(5000)),
        "nearly all of them empty",
    ),
    "lists in lists": (b'{"a": ' + b"[" * 400_000 + b"]" * 400_000 + b"}\n", "nested too deep"),
    "a few lists in lists": (b'{"a": ' + b"[" * 300 + b"]" * 300 + b"}\n", "nested too deep"),
    "objects in objects": (b'{"a": ' * 300 + b"1" + b"}" * 300 + b"\n", "nested too deep"),
    "a list": (b"[1, 2]\n", r"line 1 is no object of names and values, but b'\[1, 2\]"),
    "no JSON": (b'{"a": 1}\n{"a": \n', r"not a file of JSON lines \(line 2: "),
    "no text": (b'{"a": 1}\n{"a": "\xff"}\n', r"not a file of JSON lines \(line 2: "),
}


@pytest.mark.parametrize("fault", JSON)
def test_json_that_stands_for_more_than_it_holds(tmp_path: Path, fault: str) -> None:
    content, message = JSON[fault]
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        load(path)


@pytest.mark.parametrize("suffix", [".csv.gz", ".jsonl.gz"])
def test_a_damaged_gz_is_named(tmp_path: Path, suffix: str) -> None:
    path = _table(tmp_path / f"x{suffix}")
    whole = path.read_bytes()
    for content in (whole[:-9], whole[:30] + b"xxxx" + whole[34:], b"abc", whole + b"abc"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"is damaged or not"):
            load(path)


def test_a_parquet_file_of_more_rows_than_memory_holds(tmp_path: Path, monkeypatch) -> None:
    import pyarrow
    from pyarrow import parquet

    path = tmp_path / "x.parquet"
    table = pyarrow.table({"a": np.zeros(1 << 20)})
    with parquet.ParquetWriter(path, table.schema, compression="zstd") as writer:
        for _ in range(4):
            writer.write_table(table)
    assert path.stat().st_size < 2**15
    monkeypatch.setattr(_memory, "available", lambda: 2**26)
    monkeypatch.setattr("pandas.read_parquet", None)
    with pytest.raises(InputError, match=r"promises numbers of the shape \(4194304, 1\)"):
        load(path)


def test_text_of_parquet_is_in_memory_once(forked: Server, tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    path = tmp_path / "x.parquet"
    words = pyarrow.DictionaryArray.from_arrays(np.arange(800) % 2, ["x" * 2**17, "y"])
    table = pyarrow.table({"a": np.arange(800.0), "kind": words.cast(pyarrow.string())})
    parquet.write_table(table, path, store_schema=False)
    assert path.stat().st_size < 2**18
    code = f"""
import pyarrow
from pushforward.data import load
found = load({str(path)!r}, label="kind")
assert found.x.shape == (800, 1) and len(found.classes) == 2
print(pyarrow.default_memory_pool().max_memory())
"""
    done = forked.run("-c", code)
    assert done.returncode == 0, done.stderr
    # The text of half the rows is 52 MB.
    assert int(done.stdout) < 2**24


def test_a_file_of_arrow_whose_batches_are_listed_twice(tmp_path: Path) -> None:
    import pyarrow

    path = tmp_path / "x.arrow"
    table = pyarrow.table({"a": np.arange(4.0)})
    with pyarrow.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)
        writer.write_table(table)
    assert load(path).x.shape == (8, 1)
    whole = path.read_bytes()
    with pyarrow.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)
    short = path.read_bytes()
    # The table of contents of another file.
    footer = struct.unpack("<i", whole[-10:-6])[0] + 10
    own = struct.unpack("<i", short[-10:-6])[0] + 10
    path.write_bytes(short[:-own] + whole[-footer:])
    with pytest.raises(InputError, match="is damaged"):
        load(path)


def test_a_file_of_arrow_that_inflates_beyond_reason(tmp_path: Path, monkeypatch) -> None:
    import pyarrow

    path = tmp_path / "x.arrow"
    table = pyarrow.table({"a": np.zeros(1 << 18)})
    options = pyarrow.ipc.IpcWriteOptions(compression="zstd")
    with pyarrow.ipc.new_stream(str(path), table.schema, options=options) as writer:
        writer.write_table(table)
    assert load(path).x.shape == (1 << 18, 1)
    monkeypatch.setattr("pushforward.data.declared._SMALL", 2**20)
    with pytest.raises(InputError, match=r"inflates from .* to 2\.0 MiB or more"):
        load(path)


def _sheet(path: Path, rows: str) -> None:
    """A workbook with a sheet of the given rows."""
    import openpyxl

    book = openpyxl.Workbook()
    book.active.append([1, 2])
    file = io.BytesIO()
    book.save(file)
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "xl/worksheets/sheet1.xml":
                start, _, rest = content.decode().partition("<sheetData>")
                end = rest.partition("</sheetData>")[2]
                start = start.replace("A1:B1", "A1:XFD1048576")
                content = f"{start}<sheetData>{rows}</sheetData>{end}".encode()
            target.writestr(name, content)


def test_a_sheet_is_as_large_as_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "x.xlsx"
    _sheet(
        path, '<row r="1"><c r="A1"><v>1</v></c></row><row r="9000"><c r="A9000"><v>2</v></c></row>'
    )
    assert load(path).x.tolist() == [[1.0], [2.0]]


@pytest.mark.parametrize(
    "rows",
    [
        '<row r="1000000000000"><c r="A1000000000000"><v>1</v></c></row>',
        "".join(f'<row r="{k}"><c r="XFD{k}"><v>1</v></c></row>' for k in range(1, 300)),
    ],
    ids=["far down", "far out"],
)
def test_a_sheet_of_more_cells_than_there_are(tmp_path: Path, rows: str, monkeypatch) -> None:
    monkeypatch.setattr("pushforward.data.sheets._MOST", 2**22)
    path = tmp_path / "x.xlsx"
    _sheet(path, rows)
    with pytest.raises(InputError, match=r"has more than 1,048,576 rows or 4,194,304 cells"):
        load(path)


def test_a_damaged_sheet_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.xlsx"
    for rows in ("<row>", '<row r="x"><c r="A1"><v>1</v></c></row>', '<row r="1"><c r="!"/></row>'):
        _sheet(path, rows)
        with pytest.raises(InputError, match=r"x\.xlsx is damaged"):
            load(path)


def test_a_variable_of_matlab_that_inflates_beyond_reason(tmp_path: Path, monkeypatch) -> None:
    import scipy.io

    path = tmp_path / "x.mat"
    scipy.io.savemat(path, {"x": np.arange(8.0)})
    # A cell, of whose content the list of variables tells nothing.
    element = struct.pack("<II", 14, 2**22) + bytes(2**22)
    packed = zlib.compress(element)
    path.write_bytes(path.read_bytes() + struct.pack("<II", 15, len(packed)) + packed)
    monkeypatch.setattr("pushforward.data.declared._SMALL", 2**20)
    monkeypatch.setattr("scipy.io.whosmat", lambda path: [])
    monkeypatch.setattr("scipy.io.loadmat", None)
    with pytest.raises(InputError, match=r"inflates from .* KiB to .* MiB or more"):
        load(path)


def test_damaged_notes_of_pandas_are_named(tmp_path: Path) -> None:
    path = _table(tmp_path / "x.feather")
    path.write_bytes(path.read_bytes().replace(b"pandas_type", b"pandas_typx"))
    with pytest.raises(InputError, match="is damaged or not a file of Arrow"):
        load(path)
