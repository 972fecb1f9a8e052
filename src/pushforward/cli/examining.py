"""What the doctor looks at: data, a source, and what a recipe would do to them."""

from __future__ import annotations

import dataclasses
from typing import Any

__all__ = ["examine_data", "examine_recipe", "serious"]


def examine_data(data: Any, source: Any = None, holdout: float = 0.1) -> list[Any]:
    """The findings about data of which a part is held out, and about a source, whose name then
    stands before them."""
    from pushforward.data import examine

    found = [] if data.kind == "state" else [*examine(data, holdout=holdout)]
    if source is not None and source.kind != "state":
        found += [
            dataclasses.replace(finding, title=f"{source.name}: {finding.title}")
            for finding in examine(source, holdout=holdout)
        ]
    return found


def serious(settings: Any, model: Any, data: Any, source: Any = None) -> list[Any]:
    """What must not be found out after the training: errors and warnings, gravest first."""
    if model.learns_without_data:
        return []
    found = examine_data(data, source, settings.holdout or 0.1)
    if source is None:
        found += _doubts(settings, model, data)
    return [finding for finding in found if finding.level != "info"]


def examine_recipe(settings: Any, model: Any, data: Any, source: Any = None) -> list[Any]:
    """What the recipe would do to this data."""
    from pushforward import state
    from pushforward.data import Finding

    if source is not None:
        model.keep_source(source.resident().x)
    findings = _doubts(settings, model, data)
    if model.closed_form:
        return findings
    if settings.batch_size > len(data):
        findings.append(
            Finding(
                "info",
                "The batch is larger than the data",
                f"Each batch of {settings.batch_size} repeats some of the {len(data)} points.",
                f"A batch of {len(data)} or less costs less per step.",
            )
        )
    if settings.steps is None:
        # A budget of time: how far it goes is seen when it is counted out.
        return findings
    passes = settings.steps * settings.batch_size / len(data)
    if passes < 5:
        findings.append(
            Finding(
                "warning",
                "The training is short",
                f"{settings.steps} steps see each of the {len(data)} points {passes:.1f} times.",
                "Train for more steps.",
            )
        )
    start = {} if source is None else {"source": state.take(source.x, slice(2))}
    try:
        model.loss(state.take(data.x, slice(2)), **_labels(model, data), **start)
    except Exception as error:
        findings.append(
            Finding(
                "error",
                "The network does not fit the data",
                f"One evaluation of the loss failed: {error}.",
                "Leave the network to `auto`, or give it the shape of the data.",
            )
        )
    return findings


def _doubts(settings: Any, model: Any, data: Any) -> list[Any]:
    """What a model says of the data that it will be trained on, in the units that it will have."""
    from pushforward.data import Finding

    if len(data) < 2:
        text = "One data point shows no distribution.", "Reshape one series of many to (N, 1)."
        return [Finding("error", "One row", *text)]
    x = data.resident().x
    if settings.standardize:
        model.fit_units(x)
    return [Finding("warning", doubt, "", "") for doubt in model.doubts(x)]


def _labels(model: Any, data: Any) -> dict[str, Any]:
    """Two labels, for a model that takes them."""
    if not model.condition.conditional or data.c is None:
        return {}
    from pushforward import state

    return {"c": state.take(data.c, slice(0, 2))}
