"""`--given`: what a model of p(other columns | these) is told, from words or a file."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any, NamedTuple

import torch
import typer
from torch import Tensor

from pushforward._random import resolve
from pushforward.cli.assignments import assignments
from pushforward.cli.options import is_quiet
from pushforward.cli.rundata import reading_like, schema_of, training_rows
from pushforward.cli.wording import in_words_of
from pushforward.data import Column, Schema, joint_table, load
from pushforward.data.cells import truth
from pushforward.data.columns import closest, listed
from pushforward.data.levels import from_one_hot, one_hot, one_hot_names
from pushforward.errors import InputError

__all__ = ["Told", "told", "whole_table"]

_ROW = "row"


class Told(NamedTuple):
    """What each state is told.

    Args:
        c: the contexts, a row each, in the order of the columns in training.
        rows: the row of the file that each comes from, counted from 0; `None` where each row has
            one state, and without a file.
    """

    c: Tensor
    rows: Tensor | None


def told(
    run: Path,
    model: Any,
    given: str | None,
    n: int | None,
    context: Any,
    seed: int | None = None,
) -> Told | None:
    """The contexts of samples of a run, and a warning for those far from what it learned from.

    Args:
        run: the run, or a saved model.
        model: its model.
        given: `a=1.2,b=3`, or a file that has these columns.
        n: how many states, or with a file how many for each of its rows: by default 64, and 1.
        context: of the command.
        seed: without `given`, take the values of rows of the training data, drawn with it, and say
            so. Without a seed too there are none.

    `None` for a model that was trained without `--given`. Raises `InputError` for names that are
    not those of the training, values that are missing or no numbers, words that are not known, and
    training data that are not there.
    """
    columns = schema_of(run).given
    names = [column.name for column in columns]
    if not columns:
        if given is not None:
            raise InputError(
                f"--given {given}: {run} was not trained with --given, and is told no columns"
            )
        return None
    if given is None:
        example = ",".join(f"{name}=VALUE" for name in names)
        wish = (
            f"{run} learned the distribution of {listed(schema_of(run).table_names)} given "
            f"{listed(names)}: give --given {example}, or --given FILE with these columns"
        )
        if seed is None:
            raise InputError(wish)
        return _from_training(run, model, 64 if n is None else n, seed, wish, context)
    if "=" in given and not Path(given).exists():
        found = Told(_context(given, columns).expand(64 if n is None else n, -1), None)
    else:
        found = _from_file(run, given, columns, 1 if n is None else n)
    contexts = model.condition.contexts
    for doubt in [] if contexts is None else contexts.doubts(found.c, one_hot_names(columns)):
        # Said even if quiet: whoever reads the file must know.
        typer.echo(f"! {in_words_of(context.command, doubt)}", err=True)
    return found


def _context(text: str, columns: tuple[Column, ...]) -> Tensor:
    """One context of `a=1.2,b=3`."""
    names, values = [column.name for column in columns], {}
    for name, value in assignments(text).items():
        if name not in names:
            raise InputError(
                f"--given {text}: the model is not told {name!r}{closest(name, names)}, but "
                f"{listed(names)}"
            )
        values[name] = _value(name, value, columns[names.index(name)])
    missing = [name for name in names if name not in values]
    if missing:
        raise InputError(f"--given {text} does not say {listed(missing)}, which the model is told")
    table = torch.tensor([[values[name] for name in names]], dtype=torch.float64)
    return one_hot(table, columns)


def _value(name: str, text: str, column: Column) -> float:
    """The number that a word stands for in a column."""
    if column.words:
        for level, word in zip(column.levels or (), column.words, strict=True):
            if text == word or (not column.categorical and text.lower() == word.lower()):
                return float(level)
    if column.categorical:
        known = listed(column.words)
        raise InputError(
            f"--given {name}={text}: the model knows no such {name}"
            f"{closest(text, column.words)}, but {known}"
        )
    if column.dtype == "bool":
        found = truth(text)
        if found is not None or text in ("0", "1"):
            return float(text) if found is None else found[0]
        raise InputError(f"--given {name}={text}: it is {' or '.join(column.words or ('0', '1'))}")
    try:
        number = math.nan if "_" in text else float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"--given {name}={text}: {text!r} is not a finite number")
    return number


def _from_file(run: Path, place: str, columns: tuple[Column, ...], draws: int) -> Told:
    """The rows of a file, each as often as states are drawn for it."""
    options = reading_like(run, place) | {"drop_nonfinite": True, "double": True, "label": False}
    try:
        data = load(place, **options, like=Schema(columns))
    except InputError as error:
        raise InputError(f"--given {error}") from None
    if data.dropped:
        raise InputError(
            f"--given {place}: {data.dropped} of {len(data) + data.dropped} rows have missing or "
            f"non-finite values in {listed(data.columns)}: fill them in, or leave the rows out"
        )
    rows = torch.arange(len(data)).repeat_interleave(draws)
    return Told(one_hot(data.x[rows].double(), columns), None if draws == 1 else rows)


def _from_training(run: Path, model: Any, n: int, seed: int, wish: str, context: Any) -> Told:
    """The contexts of some rows of the training data, drawn at random with replacement.

    Raises `InputError` where the data cannot be read again, with what to give in their place.
    """
    try:
        train = training_rows(run, model.space)
    except InputError as error:
        raise InputError(f"{wish}; its training data cannot be drawn from: {error}") from None
    assert train.c is not None
    rows = torch.randint(len(train), (n,), generator=resolve(seed))
    if not is_quiet(context):
        names = listed([column.name for column in train.schema.given])
        typer.echo(
            f"note: without --given, {names} are those of {n} rows drawn from the training data",
            err=True,
        )
    return Told(train.c[rows].double(), None)


def whole_table(x: Tensor, own: Told, schema: Schema) -> tuple[Tensor, Schema]:
    """Draws beside what was given, in the columns of the training data, and a schema for them.

    Given values are written as they are, and not rounded to those of the training data. Several
    draws for each row of a file have the number of the row first.
    """
    given = []
    told = from_one_hot(own.c, schema.given).unbind(1)
    for column, values in zip(schema.given, told, strict=True):
        whole = column.dtype != "float64" and bool((values == values.round()).all())
        known = column.words and set(values.tolist()) <= set(column.levels or ())
        plain = Column(column.name, column.dtype if whole else "float64")
        given.append(column if known else plain)
    c = own.c.to(x.device)
    # In the precision of the draws, unless that would blur what was given.
    if bool(((c.to(x.dtype).double() - c).abs() <= 1e-6 * c.abs()).all()):
        c = c.to(x.dtype)
    table, found = joint_table(x, c, dataclasses.replace(schema, given=tuple(given)))
    if own.rows is not None:
        name = _ROW if _ROW not in found.names else f"{_ROW}_of_file"
        table = torch.cat([own.rows[:, None].to(table), table], 1)
        found = dataclasses.replace(found, columns=(Column(name, "int64"), *found.columns))
    return table, found
