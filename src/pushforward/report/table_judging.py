"""Samples of a table with columns of all kinds beside held-out rows."""

from __future__ import annotations

import dataclasses
from typing import Any

from pushforward.data import Data
from pushforward.metrics import Evaluation, evaluate
from pushforward.metrics.tables import table_rows

__all__ = ["evaluated_table"]


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
