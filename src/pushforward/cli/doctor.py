"""`pushforward doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward.cli.options import (
    Coordinates,
    IdColumn,
    Json,
    LabelColumn,
    Marks,
    StateSpace,
    Trust,
    emit,
    label_column,
    names_of,
)
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
    model: Annotated[
        str | None,
        typer.Option(help="Kind of model, as for `train`.", autocompletion=names_of("models")),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(help="Data to start from, as for `train`.", autocompletion=names_of("data")),
    ] = None,
    label: LabelColumn = None,
    variables: Annotated[
        str | None, typer.Option(help="Variables of a store of fields, as for `train`.")
    ] = None,
    rows: Annotated[
        str | None, typer.Option(help="Dimension of a store of fields whose entries are rows.")
    ] = None,
    space: StateSpace = None,
    coordinates: Coordinates = None,
    id: IdColumn = None,
    marks: Marks = None,
    as_json: Json = False,
    trust: Trust = None,
) -> None:
    """Check data and recipe, and warn of what will go wrong. Exit code 2 if something will."""
    from pushforward.cli.examining import examine_data, examine_recipe
    from pushforward.cli.recipe import read
    from pushforward.cli.train import listed
    from pushforward.errors import InputError

    values = words or []
    data = [w for w in values if "=" not in w or Path(w).exists()]
    if len(data) > 1:
        raise InputError(f"one data source, not {len(data)}: {', '.join(data)}")
    given: dict[str, Any] = {
        "data": data[0] if data else None,
        "source": source,
        "model.class": model,
        "data.label": label_column(label),
        "data.variables": listed(variables),
        "data.rows": listed(rows),
        "data.coordinates": coordinates,
        "data.id": id,
        "data.marks": listed(marks),
        "model.space": space,
    }
    chosen = read(
        recipe,
        {key: value for key, value in given.items() if value is not None},
        [w for w in values if w not in data],
    )
    made, loaded, start = chosen.prepare(tuple(trust or ()))
    findings = [
        *examine_data(loaded, start),
        *examine_recipe(chosen.sized(made, loaded).train, made, loaded, start),
    ]
    if as_json:
        emit([vars(finding) for finding in findings])
    else:
        typer.echo(in_words_of(context.command, str(loaded)))
        if loaded.schema.mixed is not None:
            for column in loaded.schema.mixed.columns:
                typer.echo(f"    {column.name}: {column.describe_kind()}")
            for rule in loaded.schema.mixed.rules:
                typer.echo(f"    in every row: {rule}")
        if loaded.schema.fields is not None:
            for line in loaded.schema.fields.summary():
                typer.echo(f"    {line}")
        if loaded.schema.functions is not None:
            for line in loaded.schema.functions.summary():
                typer.echo(f"    {line}")
        for finding in findings:
            text = f"{finding.level}: {finding.title}"
            if finding.detail:
                text += f"\n    {finding.detail} {finding.advice}"
            typer.echo(in_words_of(context.command, text))
        if not findings:
            typer.echo("nothing to worry about")
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(2)
