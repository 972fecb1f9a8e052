"""`pushforward compare-samples`."""

from __future__ import annotations

from typing import Annotated

import typer

from pushforward.cli.options import Json, Seed, emit, label_column

__all__ = ["compare_samples"]


def compare_samples(
    context: typer.Context,
    first: Annotated[str, typer.Argument(help="Data, as for `train`.", metavar="DATA")],
    second: Annotated[str, typer.Argument(help="Data of the same columns.", metavar="DATA")],
    words: Annotated[
        list[str] | None,
        typer.Argument(
            help="How to read both, such as data.drop_nonfinite=true or data.columns=a,b; "
            "data.given=a,b takes columns of words.",
            metavar="[data.KEY=VALUE]...",
        ),
    ] = None,
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
) -> None:
    """Say whether two data sets differ, by how much, and in which columns.

    One test of all columns together and of each, by permutations, with an exact level; and every
    distance with its error, beside what two samples of one distribution of these sizes give.
    Columns are matched by name.
    """
    from pushforward.cli.rundata import reading, say
    from pushforward.cli.wording import in_words_of
    from pushforward.data import load
    from pushforward.report.side_by_side import compare_samples as compared

    options = reading(words or (), more=("columns", "given"))
    data = [load(source, label=label_column(label), **options) for source in (first, second)]
    for one in data:
        say(one, context.command)
    found = compared(
        *data, level=level, permutations=permutations, max_points=max_points, seed=seed
    )
    if as_json:
        emit(found.to_dict())
        return
    typer.echo(in_words_of(context.command, str(found)))
