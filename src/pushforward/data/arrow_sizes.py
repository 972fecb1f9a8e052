"""What files of Arrow and parquet say that they hold, read before any of it is unpacked."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, NamedTuple

from pushforward._extras import require
from pushforward.data.declared import check_ratio, require_room
from pushforward.errors import InputError

__all__ = ["check_arrow", "check_parquet"]

_BATCH, _DICTIONARY = 3, 2
"""The kinds of messages that hold data (Message.fbs of the format of Arrow)."""


def check_parquet(path: Path) -> list[str]:
    """Raise `InputError` for more values than memory holds; the names of the columns of text.

    Text is stored once for all rows that have it, and has to stay so in memory: a file of a
    megabyte can stand for a million copies of one long text.
    """
    parquet = require("pyarrow.parquet", extra="data", purpose="read parquet files")
    types = require("pyarrow.types", extra="data", purpose="read parquet files")
    file = parquet.ParquetFile(path)
    about = file.metadata
    groups = [about.row_group(k) for k in range(about.num_row_groups)]
    # Of a list there are more values than rows.
    values = sum(
        max(group.num_rows, group.column(k).num_values)
        for group in groups
        for k in range(group.num_columns)
    )
    columns = max(1, about.num_columns)
    rows = max(about.num_rows, -(-values // columns))
    require_room((rows, columns), "float64", str(path), copies=2)
    text = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    return [field.name for field in file.schema_arrow if any(holds(field.type) for holds in text)]


def check_arrow(path: Path) -> None:
    """Raise `InputError` for more rows than memory holds, or what inflates beyond reason."""
    pyarrow = require("pyarrow", extra="data", purpose="read files of Arrow")
    size, rows, columns, batches = 0, 0, 1, 0
    with pyarrow.memory_map(str(path)) as source:
        start = source.read(8)
        if start.startswith(b"FEA1"):
            # The first version of feather packs nothing.
            return
        is_file = start.startswith(b"ARROW1")
        # A file is a stream between two marks, with a table of contents behind it.
        source.seek(8 if is_file else 0)
        for message in pyarrow.ipc.MessageReader.open_stream(source):
            try:
                found = _declared(message.metadata.to_pybytes(), message.body)
            except (struct.error, IndexError):
                raise InputError(f"{path} is damaged: save it again") from None
            size += found.size
            columns = max(columns, found.columns)
            if found.kind == _BATCH:
                rows, batches = rows + found.rows, batches + 1
    check_ratio(path.stat().st_size, size, str(path))
    require_room((rows, columns), "float64", str(path), copies=2)
    if is_file and pyarrow.ipc.open_file(str(path)).num_record_batches != batches:
        raise InputError(f"{path} is damaged: its table of contents is that of another file")


class _Declared(NamedTuple):
    """What a message says: its kind, its rows and columns, and its bytes when unpacked."""

    kind: int
    rows: int = 0
    columns: int = 0
    size: int = 0


def _declared(about: bytes, body: Any) -> _Declared:
    """Read the few numbers of a message that matter: flatbuffers, tables of offsets to fields."""
    message = _Table(about, _number("<I", about, 0))
    kind = _number("<B", about, message.at(1)) if message.at(1) else 0
    if kind not in (_BATCH, _DICTIONARY):
        return _Declared(kind)
    batch = message.inner(2)
    if kind == _DICTIONARY:
        batch = batch.inner(1)
    rows = _number("<q", about, batch.at(0)) if batch.at(0) else 0
    columns, size = 0, 0
    if batch.at(1):
        nodes = batch.target(1)
        columns = _number("<I", about, nodes)
    if batch.at(2):
        buffers = batch.target(2)
        for k in range(_number("<I", about, buffers)):
            start, length = struct.unpack_from("<qq", about, buffers + 4 + 16 * k)
            if batch.at(3) and length >= 8:
                # Packed: its size when unpacked comes first, -1 for one that is not.
                inflated = _number("<q", body.slice(start, 8).to_pybytes(), 0)
                length = max(length, inflated)
            size += length
    return _Declared(kind, max(0, rows), columns, size)


class _Table:
    """A table of a flatbuffer: where its fields are."""

    def __init__(self, content: bytes, place: int) -> None:
        self.content, self.place = content, place
        self.fields = place - _number("<i", content, place)

    def at(self, field: int) -> int:
        """Where a field is, 0 if it is left out."""
        entry = 4 + 2 * field
        if entry >= _number("<H", self.content, self.fields):
            return 0
        offset = _number("<H", self.content, self.fields + entry)
        return self.place + offset if offset else 0

    def target(self, field: int) -> int:
        """Where that lies to which a field points."""
        return self.at(field) + _number("<I", self.content, self.at(field))

    def inner(self, field: int) -> _Table:
        """The table to which a field points."""
        return _Table(self.content, self.target(field))


def _number(kind: str, content: bytes, place: int) -> int:
    if place < 0:
        raise IndexError(place)
    return int(struct.unpack_from(kind, content, place)[0])
