"""`pushforward doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward.cli.options import Json, LabelColumn, Trust, emit, label_column
from pushforward.cli.wording import in_words_of

__all__ = ["doctor"]


def doctor(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            help="DATA and changes of the recipe, as for `train`.", metavar="[DATA] [KEY=VALUE]..."
        ),
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="Read the recipe from this YAML file.", metavar="FILE")
    ] = None,
    label: LabelColumn = None,
    as_json: Json = False,
    trust: Trust = None,
) -> None:
    """Check data and recipe, and warn of what will go wrong. Exit code 2 if something will."""
    from pushforward.cli.recipe import read
    from pushforward.data import examine

    values = words or []
    data = [w for w in values if "=" not in w or Path(w).exists()]
    given: dict[str, Any] = {"data": data[0]} if data else {}
    if label is not None:
        given["data.label"] = label_column(label)
    chosen = read(recipe, given, [w for w in values if w not in data])
    model, loaded, _ = chosen.prepare(tuple(trust or ()))
    numbers = examine(loaded) if loaded.kind != "state" else ()
    findings = (*numbers, *_examine_recipe(chosen.train, model, loaded))
    if as_json:
        emit([vars(finding) for finding in findings])
    else:
        typer.echo(str(loaded))
        for finding in findings:
            text = f"{finding.level}: {finding.title}"
            if finding.detail:
                text += f"\n    {finding.detail} {finding.advice}"
            typer.echo(in_words_of(context.command, text))
        if not findings:
            typer.echo("nothing to worry about")
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(2)


def _examine_recipe(settings: Any, model: Any, data: Any) -> list[Any]:
    """What the recipe would do to this data."""
    from pushforward import state
    from pushforward.data import Finding

    if settings.standardize:
        model.fit_units(data.x)
    findings = [Finding("warning", doubt, "", "") for doubt in model.doubts(data.x)]
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
    try:
        model.loss(state.take(data.x, slice(2)), **_labels(model, data))
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


def _labels(model: Any, data: Any) -> dict[str, Any]:
    """Two labels, for a model that takes them."""
    if not model.condition.conditional or data.c is None:
        return {}
    return {"c": data.c[:2]}
