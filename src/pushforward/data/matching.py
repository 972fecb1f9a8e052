"""Other data for the same model: columns by name, labels by value, in the model's own order."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward import state
from pushforward.data.columns import Wanted, listed
from pushforward.data.dataset import Data
from pushforward.data.schema import Column, Schema, Value
from pushforward.errors import InputError

__all__ = ["code_of", "matched"]


def matched(data: Data, wanted: Wanted, shape: state.EventShape | None = None) -> Data:
    """Data with the columns of a schema, in its order, and its codes for the same labels.

    Columns without names on either side are matched by position, which is said in the notes.

    Args:
        data: any data.
        wanted: the columns of the model, which may have been found in a table already.
        shape: of one data point there, if known.

    Raises `InputError` for missing columns, labels that are none of the classes, words that the
    columns do not know, and data points of another shape.

    >>> pets = Data(torch.tensor([[1.0, 2.0]]), torch.tensor([0]),
    ...             schema=Schema.of("width", "height", label="kind", classes=("bee",)))
    >>> like = Schema.of("height", "width", label="kind", classes=("ant", "bee"))
    >>> found = matched(pets, Wanted(like))
    >>> found.x.tolist(), found.c.tolist(), found.schema == like
    ([[2.0, 1.0]], [1], True)
    """
    where = data.name if data.source == "memory" else data.source
    like, x, columns = wanted.schema, data.x, data.schema.columns
    if columns and data.columns != like.names and not wanted.found:
        order, _ = wanted.find(data.columns, where, None)
        if order != list(range(len(columns))):
            if not (isinstance(x, Tensor) and x.ndim == 2):
                raise InputError(
                    f"{where} has the columns {listed(data.columns)} where {listed(like.names)} "
                    "were expected, and is in its space already: load it with like="
                )
            x = x[:, order]
        columns = tuple(columns[i] for i in order)
    elif not columns and like.columns and not wanted.found:
        wanted.notes.append(f"{where}: columns are matched by position, as it has no names")
    size = state.numel(state.event_shape(x))
    if (like.columns and size != len(like.columns)) or (
        shape is not None and state.event_shape(x) != shape
    ):
        expected = len(like.columns) if shape is None else shape
        raise InputError(
            f"{where} has data points of shape {state.event_shape(x)}, where {expected} "
            f"{'columns ' if shape is None else ''}were expected"
        )
    if like.columns and columns and isinstance(x, Tensor) and x.ndim == 2:
        x = _same_words(x, columns, like.columns, where)
    c, schema = data.c, dataclasses.replace(like, classes=())
    if data.schema.classes:
        c, schema = _recoded(data, like, where)
    if data.captions is not None:
        # Words have the numbers of the vocabulary that the model knows, if it reads any.
        c = None if like.vocabulary is None else like.vocabulary.encode(data.captions)
    notes = (*data.notes, *wanted.notes)
    return dataclasses.replace(data, x=x, c=c, schema=schema, notes=notes)


def code_of(value: Any, classes: Sequence[Value]) -> int | None:
    """The code of a value among the classes, as itself or as it is spelled; `None` if none.

    >>> code_of("2", (1, 2)), code_of(1.0, (1, 2)), code_of(7, ("7", "b")), code_of("3", (1, 2))
    (1, 0, 0, None)
    """
    codes = {known: k for k, known in enumerate(classes)}
    if value in codes:
        return codes[value]
    spelled = {_spelled(known): k for k, known in enumerate(classes)}
    return spelled.get(_spelled(value))


def _spelled(value: Value) -> str:
    text = str(value).strip()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if not isinstance(value, str):
        return text
    try:
        # "1.0" is the number 1; "01" is a text of its own.
        number = float(text) if "." in text and not text.startswith(("0", "-0")) else None
    except ValueError:
        return text
    return text if number is None or not number.is_integer() else str(int(number))


def _recoded(data: Data, like: Schema, where: str) -> tuple[Tensor | None, Schema]:
    """The labels in the codes of other classes."""
    assert data.c is not None
    if not like.classes:
        # The model was trained without labels: these are kept, and mean nothing to it.
        return data.c, dataclasses.replace(like, label=data.schema.label, classes=data.classes)
    codes = [code_of(value, like.classes) for value in data.classes]
    present = data.c.unique().tolist()
    unknown = [data.classes[k] for k in present if codes[k] is None]
    if unknown:
        raise InputError(
            f"{where}: the label {unknown[0]!r} is none of the classes that the model knows, "
            f"{', '.join(map(str, like.classes[:50]))}"
        )
    table = torch.tensor([-1 if code is None else code for code in codes])
    return table[data.c], like


def _same_words(x: Any, columns: Sequence[Column], like: Sequence[Column], where: str) -> Any:
    """The codes of spelled columns as the model knows them."""
    for i, (own, other) in enumerate(zip(columns, like, strict=True)):
        if own.words == other.words or own.dtype == other.dtype == "bool":
            continue  # truths are 0 and 1, however they are spelled
        values = x[:, i].unique().tolist()
        if not own.words and set(values) <= set(other.levels or ()):
            continue
        missing = [word for word in own.words if word not in other.words]
        if missing or not own.words:
            found = repr(missing[0]) if missing else f"{values[0]:g}"
            known = ", ".join(other.words) or "the numbers that were expected"
            raise InputError(f"{where}, column {other.name!r}: {found} is none of {known}")
        assert own.levels is not None
        assert other.levels is not None
        new = x[:, i].clone()
        for level, word in zip(own.levels, own.words, strict=True):
            new[x[:, i] == level] = other.levels[other.words.index(word)]
        x = torch.cat([x[:, :i], new[:, None], x[:, i + 1 :]], 1)
    return x
