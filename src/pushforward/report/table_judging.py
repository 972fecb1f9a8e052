"""Samples of a table with columns of all kinds beside held-out rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward.data import Data
from pushforward.data.coded_column import CodedColumn
from pushforward.metrics import Evaluation, evaluate
from pushforward.metrics.tables import table_rows
from pushforward.report.marginals import Ticks

__all__ = ["columns_shown", "evaluated_table"]


def evaluated_table(samples: Any, test: Data, train: Data, **options: Any) -> Evaluation:
    """`metrics.evaluate` on numbers and symbols, with the rows of `metrics.table_rows`.

    Distances are between scores of numbers, beside zeros and ones of the symbols; what is of few
    kinds is called by its column.
    """
    table = test.schema.mixed
    assert table is not None
    numbers = table.dimension > 0
    found = evaluate(
        samples,
        test.x,
        train.x,
        features=table.shown if numbers else table.indicators,
        corners=table.indicators if numbers and table.kinds(test.x) else None,
        categories=table.kinds,
        **options,
    )
    rows = table_rows(
        *(table.values(x) for x in (samples, test.x, train.x)),
        broken={str(rule): rule.broken for rule in table.rules},
        seed=found.seed,
    )
    return dataclasses.replace(found, rows=(*rows, *found.rows))


def columns_shown(data: Data, samples: Any) -> tuple[Sequence[str], Any, Any, Sequence[Ticks]]:
    """The columns of data and of samples by name, for pictures of each, and what their ticks say.

    Those of a table of all kinds are in the units of the data, words at their places among those of
    the column, and missing words behind them; how many numbers are missing stands at the name.
    """
    table = data.schema.mixed
    if table is None:
        return data.columns, data.x, samples, ()
    known, drawn = (
        [_shown(column, values) for column, values in zip(table.columns, own, strict=True)]
        for own in (table.values(data.x).values(), table.values(samples).values())
    )
    names = []
    for column, *both in zip(table.columns, known, drawn, strict=True):
        shares = [100 * float(x.isnan().double().mean()) for x in both]
        said = f", {shares[0]:.0f} % missing, drawn {shares[1]:.0f} %"
        names.append(column.name + (said if column.missing and column.kind.numeric else ""))
    ticks = [_ticks(column) for column in table.columns]
    return names, torch.stack(known, 1), torch.stack(drawn, 1), ticks


def _shown(column: CodedColumn, values: Any) -> Tensor:
    """Numbers as they are, and the places of words."""
    if column.kind.numeric:
        return torch.as_tensor(values, dtype=torch.float64)
    places = {word: k for k, word in enumerate((*column.symbols, None))}
    return torch.tensor([places[value] for value in values], dtype=torch.float64)


def _ticks(column: CodedColumn) -> Ticks:
    """The words of a column, or how its dates are written."""
    if column.kind.name == "date":
        return column.written
    return None if column.kind.numeric else column.words
