"""Models judged over and over, as cells of a table: means over seeds with their errors."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from typing import Any

from pushforward.importance import WIDEST
from pushforward.metrics import Estimate

__all__ = ["cell", "mean"]

_LIKELIHOODS = ("NLL", "bits per dimension")
_UNCERTAIN = re.compile(r"log Z has a standard error of ([\d.]+) nats")


def mean(values: Sequence[float], error: float, fine: bool = True) -> str:
    """The mean over seeds with its error; of a single one with the `error` that it has itself."""
    if len(values) > 1:
        error = statistics.stdev(values) / len(values) ** 0.5
    return str(Estimate(statistics.fmean(values), error, len(values), fine))


def cell(results: list[dict[str, Any]], name: str, key: str) -> str:
    """The `value` or `floor` of a measurement in results, each with its `evaluation`."""
    rows = [
        row for result in results for row in result["evaluation"]["rows"] if row["name"] == name
    ]
    seeds = {result["seed"] for result in results}
    values = [row[key] for row in rows if row[key] is not None]
    if not values:
        return "–"
    fine = key != "value" or all(_converged(result, name) for result in results)
    error = statistics.fmean(row["stderr" if key == "value" else "floor_stderr"] for row in rows)
    if len(seeds) > 1:
        # The floor is measured with every method: the same numbers again and again.
        return mean(values if key == "value" else list(dict.fromkeys(values)), 0.0, fine)
    return str(Estimate(statistics.fmean(values), error, len(values), fine))


def _converged(result: dict[str, Any], name: str) -> bool:
    """Whether a measurement of a model can be trusted.

    Results recorded before rows said so have the warning of an uncertain log Z.
    """
    row = next((row for row in result["evaluation"]["rows"] if row["name"] == name), None)
    if row is None:
        return True
    if "converged" in row or name not in _LIKELIHOODS:
        return bool(row.get("converged", True))
    found = [_UNCERTAIN.match(warning) for warning in result["warnings"]]
    return not any(float(match[1]) > WIDEST for match in found if match)
