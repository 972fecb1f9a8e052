"""`pushforward compare-samples`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward.cli.options import (
    Coordinates,
    Json,
    Seed,
    StateSpace,
    Trust,
    emit,
    label_column,
)

__all__ = ["compare_samples"]


def compare_samples(
    context: typer.Context,
    first: Annotated[
        str,
        typer.Argument(
            help="Data, as for `train`; or a run, of which as many rows are drawn.",
            metavar="DATA|RUN",
        ),
    ],
    second: Annotated[
        str, typer.Argument(help="Data of the same columns, or a run.", metavar="DATA|RUN")
    ],
    words: Annotated[
        list[str] | None,
        typer.Argument(
            help="How to read both, such as data.drop_nonfinite=true or data.columns=a,b; "
            "data.given=a,b takes columns of words.",
            metavar="[data.KEY=VALUE]...",
        ),
    ] = None,
    space: StateSpace = None,
    coordinates: Coordinates = None,
    project: Annotated[
        bool,
        typer.Option("--project", help="Take the nearest point for rows that are off the space."),
    ] = False,
    label: Annotated[
        str | None, typer.Option(help="Column of a table that holds labels, numbers or words.")
    ] = None,
    level: Annotated[
        float, typer.Option(help="The chance that two samples of one distribution differ.")
    ] = 0.05,
    permutations: Annotated[
        int, typer.Option(help="Number of random divisions of all rows that the test takes.")
    ] = 499,
    max_points: Annotated[
        int, typer.Option(help="Number of rows of each that are compared, at most.")
    ] = 2000,
    seed: Seed = 0,
    as_json: Json = False,
    trust: Trust = None,
) -> None:
    """Say whether two data sets differ, by how much, and in which columns.

    One test of all columns together and of each, by permutations, with an exact level; and every
    distance with its error, beside what two samples of one distribution of these sizes give.
    Columns are matched by name. States of a --space are compared by what judges see of them, unit
    vectors for places and cosines and sines of angles: no edge of a map is an edge of the data.
    """
    from pushforward.cli.drawn import is_run
    from pushforward.cli.wording import in_words_of
    from pushforward.data.space_names import space_named
    from pushforward.errors import InputError
    from pushforward.report.side_by_side import compare_samples as compared

    places = (first, second)
    asked = {"coordinates": coordinates, "project": project or None}
    known = {key: value for key, value in asked.items() if value is not None}
    where = None
    if any(map(is_run, places)):
        if space is not None or known:
            raise InputError(
                "a run knows its space and its coordinates: leave --space, --coordinates and "
                "--project out"
            )
        data, where, notes = _with_runs(
            places, label, words or [], max_points, seed, context, tuple(trust or ())
        )
    else:
        where, notes = space_named(space), ()
        data = _read(places, label, words or [], context, space=where, **known)
    found = compared(
        *data, level=level, permutations=permutations, max_points=max_points, seed=seed,
        space=where, notes=notes,
    )  # fmt: skip
    if as_json:
        emit(found.to_dict())
        return
    typer.echo(in_words_of(context.command, str(found)))


def _read(
    places: tuple[str, str], label: str | None, words: list[str], context: Any, **more: Any
) -> list[Any]:
    """Both data sets, read alike."""
    from pushforward.cli.rundata import reading, say
    from pushforward.data import load
    from pushforward.data.mixed_tables import is_mixed

    options = reading(words, more=("columns", "given"))
    plain = label is None and "given" not in options and not any(more.values())
    if plain and any(is_mixed(place, options) for place in places):
        options.setdefault("kinds", "auto")
    data = [load(source, label=label_column(label), **options, **more) for source in places]
    for one in data:
        say(one, context.command)
    return data


def _with_runs(
    places: tuple[str, str],
    label: str | None,
    words: list[str],
    most: int,
    seed: int,
    context: Any,
    trust: tuple[str, ...],
) -> tuple[list[Any], Any, tuple[str, ...]]:
    """Rows that runs draw, as many as the other has, and data in their columns; and the space by
    whose features they are compared, if they are not of numbers."""
    from pushforward.cli.drawn import beside_run, draws_of_run, is_run
    from pushforward.divergences.comparison import FEWEST
    from pushforward.models import load

    models = [load(Path(place), trust=trust) if is_run(place) else None for place in places]
    data: list[Any] = [None, None]
    notes: tuple[str, ...] = ()
    for k, model in enumerate(models):
        if model is None:
            data[k], notes = beside_run(
                Path(places[1 - k]), models[1 - k], places[k], label_column(label), words, context
            )
    for k, model in enumerate(models):
        if model is not None:
            n = most if data[1 - k] is None else min(most, max(len(data[1 - k]), FEWEST))
            # Two runs, or one of them twice, draw from seeds of their own.
            data[k] = draws_of_run(Path(places[k]), model, n, seed + k, context)
    where = next(model.space for model in models if model is not None)
    coordinates = all(one.schema.coordinates is not None for one in data)
    return data, where if coordinates else None, notes
