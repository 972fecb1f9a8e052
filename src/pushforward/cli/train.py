"""`pushforward train`."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward.cli.options import (
    Coordinates,
    Device,
    GivenColumns,
    IdColumn,
    LabelColumn,
    Marks,
    Resume,
    RunFolder,
    SeedOfRun,
    StateSpace,
    Trust,
    is_first,
    is_quiet,
    label_column,
    names_of,
)
from pushforward.cli.wording import in_words_of

__all__ = ["carry_out", "print_recipe", "train"]


def train(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            help="DATA (a built-in name, a .npy, .npz, .csv, .parquet or NetCDF file, a Zarr "
            "store, or a folder of images; for --model sampler the density, a name of `pushforward "
            "list targets` or MODULE:FUNCTION of a trusted module) and changes of the recipe such "
            "as model.predict=noise.",
            metavar="[DATA] [KEY.PATH=VALUE]...",
            autocompletion=names_of("data"),
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Kind of model: a name of `pushforward list models`, or module:Class of a "
            "trusted module. A diffusion model by default.",
            autocompletion=names_of("models"),
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            help="Data to start from instead of noise, for a model between two data sets.",
            autocompletion=names_of("data"),
        ),
    ] = None,
    out: RunFolder = None,
    steps: Annotated[
        int | None,
        typer.Option(help="Number of optimizer steps; by default as many as the data need."),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="Train for a time in place of --steps, such as 30s, 5m or 2h."),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(help="Number of data points in each step; by default as the data need."),
    ] = None,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    seed: SeedOfRun = None,
    checkpoint_every: Annotated[
        int | None, typer.Option(help="Save a checkpoint every so many steps.")
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            help="Stop when so many validations in a row are clearly worse than the best; 0 never "
            "stops."
        ),
    ] = None,
    resume: Resume = False,
    recipe: Annotated[
        Path | None, typer.Option(help="Read the recipe from this YAML file.", metavar="FILE")
    ] = None,
    label: LabelColumn = None,
    columns: GivenColumns = None,
    id: IdColumn = None,
    marks: Marks = None,
    variables: Annotated[
        str | None,
        typer.Option(help="Variables of a store of fields to learn, such as t2m,precip."),
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option(help="Dimension of a store of fields whose entries are rows, such as time."),
    ] = None,
    forecast: Annotated[
        str | None,
        typer.Option(
            help="Learn the next frames of a store of fields from the past ones: 20:8 gives 20 "
            "and learns the 8 that follow together, 20:1-8 each of these by itself, by one network "
            "that is told the lead. `pushforward forecast` draws them.",
            metavar="PAST:LEADS",
        ),
    ] = None,
    patches: Annotated[
        str | None,
        typer.Option(
            help="Learn a large domain of a store of fields from patches of it: 32:8 takes 32 x 32 "
            "cells, of which neighbors share 8. What is drawn later is the whole domain.",
            metavar="SIZE:OVERLAP",
        ),
    ] = None,
    space: StateSpace = None,
    coordinates: Coordinates = None,
    project: Annotated[
        bool,
        typer.Option("--project", help="Take the nearest point for rows that are off the space."),
    ] = False,
    device: Device = "auto",
    precision: Annotated[
        str | None,
        typer.Option(help="Of the arithmetic: 32-true, bf16-mixed, or 16-mixed on older GPUs."),
    ] = None,
    standardize: Annotated[
        bool, typer.Option(help="Shift and scale the data inside the model, or not.")
    ] = True,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write event files for TensorBoard.")
    ] = False,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the complete recipe and stop.")
    ] = False,
    trust: Trust = None,
) -> None:
    """Train a model on data, with or without a recipe.

    Leaves a run folder with checkpoints, metrics and a first report. Runs can be stopped with
    Ctrl-C, or killed, and resumed exactly: `pushforward train --resume --out RUN`.
    """
    from pushforward.cli.recipe import read
    from pushforward.cli.rundata import recipe_of
    from pushforward.errors import InputError

    values = words or []
    data = [w for w in values if "=" not in w or Path(w).exists()]
    if len(data) > 1:
        # What a shell made of a pattern without quotation marks.
        way = "" if not all(Path(name).exists() for name in data) else (
            "; fields of several files are read as one by a pattern in quotation marks, 'era5/*.nc'"
        )  # fmt: skip
        raise InputError(f"one data source, not {len(data)}: {', '.join(data)}{way}")
    given: dict[str, Any] = {
        "data": data[0] if data else None,
        "source": source,
        "model.class": model,
        "data.label": label_column(label),
        "data.given": listed(columns),
        "data.coordinates": coordinates,
        "data.id": id,
        "data.marks": listed(marks),
        "data.variables": listed(variables),
        "data.rows": listed(rows),
        "data.forecast": forecast,
        "data.patches": patches,
        "data.project": True if project else None,
        "model.space": space,
        "train.steps": steps,
        "train.budget": budget,
        "train.batch_size": batch_size,
        "train.lr": lr,
        "train.seed": seed,
        "train.checkpoint_every": checkpoint_every,
        "train.patience": patience,
        "train.precision": precision,
        "train.standardize": None if standardize else False,
    }
    chosen = read(
        recipe_of(out, recipe, resume=resume),
        {key: value for key, value in given.items() if value is not None},
        [w for w in values if w not in data],
    )
    if print_config:
        print_recipe(chosen, tuple(trust or ()))
        return
    carry_out(
        context, chosen, out, resume=resume, trust=trust, device=device, tensorboard=tensorboard
    )


def listed(names: str | None) -> list[str] | None:
    """Names between commas, as a list.

    >>> listed("u, v")
    ['u', 'v']
    """
    return None if names is None else [name.strip() for name in names.split(",")]


def print_recipe(recipe: Any, trust: tuple[str, ...]) -> None:
    """The complete recipe on standard output, with what is chosen by the data."""
    recipe = recipe.resolved(trust)
    train = recipe.train
    if train.steps is None or train.batch_size is None or train.lr is None:
        model, data, _ = recipe.prepare(trust)
        recipe = recipe.sized(model, data)
    typer.echo(recipe.to_yaml(), nl=False)


def carry_out(
    context: typer.Context,
    recipe: Any,
    out: Path | None,
    *,
    resume: bool,
    trust: list[str] | None,
    device: str,
    tensorboard: bool = False,
) -> None:
    """Train as a recipe says, and leave a report; the exit code tells an interrupted run."""
    from pushforward.cli.examining import serious
    from pushforward.cli.rundata import kept_recipe, schema_of
    from pushforward.errors import InputError, TrainingError
    from pushforward.training import TensorBoard, fit

    if out is None:
        raise InputError("no run folder: give one with --out runs/NAME")
    trusted, quiet = tuple(trust or ()), is_quiet(context)
    recipe = recipe.resolved(trusted)
    like = schema_of(out) if resume else None
    model, data, source = recipe.prepare(trusted, like=like)
    asked, recipe = recipe.train, recipe.sized(model, data)
    if not quiet:
        size = sum(p.numel() for p in model.parameters())
        sides = in_words_of(context.command, f"{data}" if source is None else f"{source} to {data}")
        if model.learns_without_data:
            sides = f"{model.target.name}: a density of states {model.event_shape}"
        kind = type(model).__name__
        typer.echo(f"{sides}; {kind} with {size:,} parameters; run in {out}", err=True)
        if not (model.closed_form or resume):
            rows = None if model.learns_without_data else len(data)
            typer.echo(_length(asked, recipe.train, rows), err=True)
    forecasts = data.schema.windows is not None
    if (few := _too_few(recipe.train, len(data), forecasts)) and not quiet:
        typer.echo(f"note: {few}", err=True)
    if model.closed_form and recipe.train.holdout and not quiet:
        held = round(recipe.train.holdout * len(data))
        typer.echo(
            f"note: nothing is tuned on the {held:,} of {len(data):,} rows that are held out for "
            "`evaluate`; train.holdout=0 fits all rows",
            err=True,
        )
    findings = _said(context, serious(recipe.train, model, data, source)) if is_first() else []
    keep = kept_recipe(out, recipe, resume=resume) if is_first() else contextlib.nullcontext()
    try:
        with keep:
            trackers = (TensorBoard(out / "tensorboard"),) if tensorboard else ()
            run = fit(
                model,
                data,
                source=source,
                out=out,
                resume=resume,
                device=device,
                trackers=trackers,
                progress=not quiet,
                settings=recipe.train,
            )
    except TrainingError as error:
        # Where nothing can be written, there is no report to write either.
        if error.run is not None and error.run.path is not None:
            _finish(context, error.run, data, findings)
        raise
    _finish(context, run, data, findings)
    if run.status == "interrupted":
        if is_first():
            typer.echo(f"interrupted at step {run.step}, saved; go on with --resume", err=True)
        raise typer.Exit(130)


def _too_few(settings: Any, rows: int, forecasts: bool) -> str:
    """What `evaluate` will say of a run that holds few rows out, before it is trained."""
    from pushforward.forecasting.verification import FEWEST as FEWEST_WINDOWS
    from pushforward.metrics.evaluating import FEWEST
    from pushforward.training.sizing import training_rows

    held = rows - training_rows(settings, rows)
    if forecasts:
        # Folds part rows at random, and windows are parted by time.
        if not 0 < held < FEWEST_WINDOWS:
            return ""
        return (
            f"{held} of {rows} windows are held out, and `evaluate` wants {FEWEST_WINDOWS}: hold "
            "out more (train.holdout), or take a longer series"
        )
    if not 0 < held < FEWEST:
        return ""
    advice = "`evaluate RUN --folds 5` will train five times more and judge every row"
    if rows >= 2 * FEWEST:
        advice += f", or hold out more: train.holdout={FEWEST / rows:.2g}"
    return f"{held} of {rows} rows are held out, and `evaluate` wants {FEWEST}. {advice}"


def _length(asked: Any, chosen: Any, rows: int | None) -> str:
    """How long the training will be, and what was chosen of it."""
    steps = f"{chosen.steps:,} steps" if chosen.steps else f"{chosen.budget:g} s"
    found = [
        name
        for name, value in (("steps", asked.steps or asked.budget), ("batches", asked.batch_size))
        if value is None
    ]
    why = f" ({' and '.join(found)} chosen for {rows:,} rows)" if found and rows else ""
    return f"{steps} of batches of {chosen.batch_size:,}{why}"


def _said(context: typer.Context, findings: list[Any]) -> list[str]:
    """The findings, printed in the words of the command, a line each, and returned in these."""
    parts = ((f"{found.title.rstrip('.')}.", found.detail, found.advice) for found in findings)
    lines = [in_words_of(context.command, " ".join(filter(None, part))) for part in parts]
    for line in lines:
        # Said even if quiet: it is of no use after the training.
        typer.echo(f"! {line}", err=True)
    return lines


def _finish(context: typer.Context, run: Any, data: Any, findings: list[str]) -> None:
    """Leave a first report beside the checkpoints, in the first process."""
    if not is_first():
        return
    from pushforward.errors import MissingExtraError
    from pushforward.report import glance, write
    from pushforward.training.judge import early_end, overfitting

    run.model.normalize()
    if run.model.learns_without_data:
        data = replace(data, x=run.model.reference(len(data)).cpu())
    seen = glance(run.path, run.model, data, show=not is_quiet(context))
    report = f"report: {run.path / 'report.html'}"
    try:
        write(run.path, run.model, data, seen=seen, findings=findings)
    except MissingExtraError as error:
        # The training was what was asked for, and it is whole.
        report = "no report"
        typer.echo(f"no report was written: {error}", err=True)
    noted = [early_end(run.step)] if run.stopped_early else []
    overfit = overfitting(run.history, run.best, run.weights)
    for fault in (*noted, *([overfit] if overfit else ()), *seen.faults):
        # Said even if quiet: whoever waits for the end must not take it for a success.
        typer.echo(f"! {in_words_of(context.command, fault)}", err=True)
    if not is_quiet(context):
        last = run.history[-1] if run.history else {}
        loss = f", loss {last['loss']:.4f}" if "loss" in last else ""
        typer.echo(
            f"{run.status} at step {run.step}{loss}\nweights: {run.weights}\n"
            f"{report}\nnext: pushforward "
            f"{'logz' if run.model.learns_without_data else 'evaluate'} {run.path}",
            err=True,
        )
