"""Samples of a table with columns of all kinds beside held-out rows."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

from pushforward.data import Data
from pushforward.metrics import Evaluation, evaluate
from pushforward.metrics.tables import table_rows

__all__ = ["columns_shown", "evaluated_table"]

_MOST_WORDS = 6


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


def columns_shown(data: Data, samples: Any) -> tuple[tuple[str, ...], Any, Any]:
    """The columns of data and of samples by name, for pictures of each; of a table of all kinds in
    the units of the data, with words by their places among those of the column."""
    table = data.schema.mixed
    if table is None:
        return data.columns, data.x, samples
    names: list[str] = []
    parts: tuple[list[Any], list[Any]] = ([], [])
    for column in table.columns:
        few = len(column.symbols) <= _MOST_WORDS
        said = ", ".join(f"{k} {word}" for k, word in enumerate(column.symbols))
        names.append(column.name if column.kind.numeric or not few else f"{column.name}: {said}")
    for part, x in zip(parts, (data.x, samples), strict=True):
        for column, values in zip(table.columns, table.values(x).values(), strict=True):
            places = {word: float(k) for k, word in enumerate(column.symbols)}
            own = values if column.kind.numeric else [places.get(v, float("nan")) for v in values]
            part.append(torch.as_tensor(own, dtype=torch.float64))
    return tuple(names), torch.stack(parts[0], 1), torch.stack(parts[1], 1)
