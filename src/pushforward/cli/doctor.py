"""`pushforward doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward.cli.options import Json, Trust, emit

__all__ = ["doctor"]


def doctor(
    words: Annotated[
        list[str] | None,
        typer.Argument(help="DATA and overrides, as for train.", metavar="[DATA] [KEY=VALUE]..."),
    ] = None,
    recipe: Annotated[Path | None, typer.Option(help="A YAML file.", metavar="FILE")] = None,
    label: Annotated[str | None, typer.Option(help="The column of labels.")] = None,
    as_json: Json = False,
    trust: Trust = None,
) -> None:
    """Look at data and recipe, and warn of what will go wrong. Exit code 2 if something will."""
    from pushforward.cli.recipe import read
    from pushforward.data import examine

    values = words or []
    data = [w for w in values if "=" not in w or Path(w).exists()]
    given: dict[str, Any] = {"data": data[0]} if data else {}
    if label is not None:
        given["load.label"] = label
    chosen = read(recipe, given, [w for w in values if w not in data])
    loaded = chosen.load_data()
    findings = (*examine(loaded), *_examine_recipe(chosen, loaded, tuple(trust or ())))
    if as_json:
        emit([vars(finding) for finding in findings])
    else:
        typer.echo(str(loaded))
        for finding in findings:
            typer.echo(f"{finding.level}: {finding.title}")
            typer.echo(f"    {finding.detail} {finding.advice}")
        if not findings:
            typer.echo("nothing to worry about")
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(2)


def _examine_recipe(recipe: Any, data: Any, trust: tuple[str, ...]) -> list[Any]:
    """What the recipe would do to this data."""
    from pushforward.data import Finding

    model = recipe.make_model(data, trust)
    schedule, settings = model.process.schedule, recipe.train
    if settings.standardize:
        model.standardize(data.x)
    findings = []
    z = data.x if not settings.standardize else model.standardizer.standardized(data.x)
    alpha, sigma = schedule.values(schedule.t_max)
    left = float(alpha) ** 2 * float(z.square().mean()) / float(sigma) ** 2
    if left > 0.01:
        findings.append(
            Finding(
                "warning",
                "The prior is not reached",
                f"At the end of {schedule} the signal still has {left:.1%} of the variance of "
                "the noise, but sampling starts from noise alone.",
                "Take a longer horizon, a larger beta_max or sigma_max, or standardize the data.",
            )
        )
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
        model.loss(data.x[: min(2, len(data))])
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
