"""The table: reading it, saving it, printing it."""

from __future__ import annotations

import json
import math

import pytest

from pushforward.errors import InputError
from pushforward.metrics.evaluation import Evaluation, Row

ROWS = (
    Row("sliced W2", 0.3, 0.03, 0.1, 0.04, "lower", "how far mass has to move", "std"),
    Row("recall", 0.7, 0.03, 0.8, 0.04, "higher"),
    Row("memorization", 0.4, 0.03, 0.5, 0.04, "floor"),
    Row("NLL", 101.5, 0.25, unit="nats"),
)
RESULT = Evaluation(ROWS, ("Look out.",), 200, 1000, 200, 1500, seed=3)


def test_excess_counts_standard_errors_towards_worse() -> None:
    assert [row.excess for row in ROWS[:3]] == pytest.approx([4.0, 2.0, 2.0])
    assert ROWS[3].excess is None
    assert Row("a", 0.1, 0.03, 0.3, 0.04, "lower").excess == pytest.approx(-4)
    assert Row("a", 0.9, 0.03, 0.7, 0.04, "higher").excess == pytest.approx(-4)
    assert Row("a", 1.0, 0.0, 1.0, 0.0).excess == 0
    assert Row("a", 2.0, 0.0, 1.0, 0.0).excess == math.inf


def test_round_trip_through_json() -> None:
    assert Evaluation.from_dict(json.loads(json.dumps(RESULT.to_dict()))) == RESULT


@pytest.mark.parametrize("bad", [{}, {"rows": [{"nom": 1}]}, {"rows": [], "warnings": [], "x": 1}])
def test_refuses_what_is_no_evaluation(bad) -> None:
    with pytest.raises(InputError, match="not a saved evaluation"):
        Evaluation.from_dict(bad)


def test_rows_by_name() -> None:
    assert RESULT["recall"].value == 0.7
    with pytest.raises(InputError, match=r"no row 'FID'.*sliced W2, recall"):
        RESULT["FID"]


def test_prints_aligned_columns() -> None:
    lines = str(RESULT).splitlines()
    assert lines[0].startswith("1,000 samples, 200 held-out and 1,500 training points")
    table = lines[2:7]
    start = table[0].index("real data")
    assert [line[start:].split()[0] for line in table[1:]] == ["0.100", "0.800", "0.500", "-"]
    assert "0.300 ± 0.030 std" in table[1]
    assert "as real" in table[3]
    assert "101.50 ± 0.25 nats" in table[4]
    assert lines[-1] == "! Look out."
    assert all(line == line.rstrip() for line in lines)
