"""`pushforward evaluate`."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward._files import write_text
from pushforward.cli.options import (
    Checkpoint,
    Json,
    MovedData,
    Run,
    Sampler,
    Seed,
    Steps,
    Trust,
    accepted,
    emit,
    is_quiet,
    unsaid,
)

__all__ = ["evaluate"]


def evaluate(
    context: typer.Context,
    run: Run,
    n: Annotated[int, typer.Option("-n", "--n", help="Number of samples to draw.")] = 1000,
    sampler: Sampler = None,
    steps: Steps = None,
    seed: Seed = 0,
    data: MovedData = None,
    points: Annotated[
        int, typer.Option(help="Number of held-out points whose likelihood is computed.")
    ] = 128,
    folds: Annotated[
        int | None,
        typer.Option(
            help="For tables of few rows: train so many times without a part of the rows, and "
            "judge every row by the model that has not seen it."
        ),
    ] = None,
    leads: Annotated[
        int | None,
        typer.Option(
            help="For forecasts: how many frames ahead are judged; by default as many as the model "
            "has learned."
        ),
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(
            help="For forecasts: frames after which a member goes on from its own; by default all "
            "that the model has learned. 1 goes frame by frame."
        ),
    ] = None,
    beside: Annotated[
        list[str] | None,
        typer.Option(
            help="For forecasts: another run on the same windows to compare with, such as one of "
            "--model regression. May be repeated.",
            metavar="RUN",
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            help="Number of states that go through the network at a time; by default 512 to "
            "sample, and what fits into a GiB for likelihoods."
        ),
    ] = None,
    as_json: Json = False,
    checkpoint: Checkpoint = None,
    trust: Trust = None,
) -> None:
    """Compare samples of a trained model with held-out data, and write the report.

    Every metric stands beside its floor, the same metric of training data against held-out data.
    A run of forecasts is judged lead by lead, by ensembles of -n members, 16 by default, beside
    climatology and persistence.
    """
    from pushforward import state
    from pushforward.cli.evaluate_forecasts import evaluate_forecasts
    from pushforward.cli.given import Told
    from pushforward.cli.refusals import require_memory
    from pushforward.cli.rundata import schema_of, split_again
    from pushforward.cli.writing import checked, require_finite, write_states
    from pushforward.errors import InputError
    from pushforward.metrics.evaluating import FEWEST
    from pushforward.models import load
    from pushforward.models.row_memory import advising
    from pushforward.report import write
    from pushforward.report.beside_mixture import behind_mixture
    from pushforward.report.judging import calibrated, evaluated, held_out_likelihood, told_for
    from pushforward.training.progress import Progress

    folder, show = Path(run), not is_quiet(context)
    if schema_of(folder).windows is not None:
        if folds is not None:
            raise InputError(
                f"--folds {folds} parts rows at random, and frames are parted by time: hold out a "
                "longer stretch of it (train.holdout)"
            )
        evaluate_forecasts(
            context, folder, members=None if unsaid(context, "n") else n, leads=leads,
            stride=stride, beside=beside, moved=data, trust=tuple(trust or ()),
            checkpoint=checkpoint, seed=seed, as_json=as_json, sampler=sampler, steps=steps,
            batch_size=batch_size,
        )  # fmt: skip
        return
    if leads is not None or stride is not None or beside:
        option = "--beside" if beside else "--leads" if leads is not None else "--stride"
        raise InputError(f"{option} is for forecasts, from `train --forecast`, which {run} has not")
    if folds is not None:
        _in_folds(folder, folds, seed, data, tuple(trust or ()), show=show, as_json=as_json)
        return
    model = load(folder, trust=tuple(trust or ()), checkpoint=checkpoint)
    train, test = split_again(folder, model.space, data, command=context.command)
    if min(n, len(test)) < FEWEST:
        raise InputError(
            f"an evaluation needs {FEWEST} samples and held-out points, not {n} and {len(test)}: "
            + (
                "give -n more"
                if len(test) >= FEWEST
                else "train with a larger train.holdout, or cross-validate with --folds 5"
            )
        )
    require_memory(n, state.numel(model.event_shape))
    checked(str(folder / "samples.npz"), folder, model, n)
    rows = test
    labels, test = told_for(model, train, test, n, seed)
    asked = accepted(model.sample, sampler=sampler, steps=steps)
    with Progress("sampling", 1, show=show) as progress:
        size = 512 if batch_size is None else batch_size
        each = model.understood("sample", seed=seed, batch_size=size, progress=progress)

        def draw(k: int) -> Any:
            own = None if labels is None else state.take(labels, slice(0, k))
            return model.sample(k, own, **each, **asked)

        with advising(draw, min(n, size)):
            x = draw(n)
    require_finite(x, folder / "samples.npz")
    with Progress("likelihood", 1, show=show) as progress:

        def valued(rows: int) -> Any:
            return held_out_likelihood(model, test, rows, seed, progress, batch_size)

        with advising(valued, min(points, len(test), batch_size or points), learns=True):
            log_prob = valued(points)
    with Progress("metrics", 1, show=show) as progress:
        evaluation = evaluated(
            model.space,
            x,
            test,
            train,
            told=labels,
            seed=seed,
            log_prob=log_prob,
            progress=progress,
        )
    calibration, doubts = None, []
    if rows.schema.given:
        with Progress("calibration", 1, show=show) as progress:
            parts = model.understood("sample", batch_size=size, progress=progress)
            try:
                calibration = calibrated(model, rows, 2 * n, seed=seed, **parts, **asked)
            except InputError as error:
                doubts.append(f"Calibration could not be checked: {error}.")
    if log_prob is not None:
        behind = behind_mixture(model, train, test, log_prob, seed=seed)
        doubts += [] if behind is None else [behind]
    evaluation = dataclasses.replace(evaluation, warnings=(*evaluation.warnings, *doubts))
    settings = {**asked, "n": n, "seed": seed}
    held = model.holds
    found = {
        "settings": settings,
        "weights": None if held is None else asdict(held),
        **evaluation.to_dict(),
    }
    if calibration is not None:
        found["calibration"] = calibration.to_dict()
    write_text(folder / "evaluation.json", json.dumps(found, indent=2) + "\n")
    # Contexts without names have no place in a file.
    written = labels if train.num_classes is not None else None
    own = Told(labels.double(), None) if train.schema.given else None
    write_states(folder / "samples.npz", x, model.space, folder, labels=written, own=own)
    write(
        folder,
        model,
        train,
        evaluation=evaluation,
        calibration=calibration,
        samples=x,
        labels=labels,
    )
    if as_json:
        emit(found)
        return
    typer.echo(str(evaluation))
    if calibration is not None:
        typer.echo(f"\n{calibration}")
    if held is not None:
        typer.echo(f"\nweights: {held}")
        if held.caveat:
            typer.echo(held.caveat)
    typer.echo(f"\nreport:  {folder / 'report.html'}\nsamples: {folder / 'samples.png'}")


def _in_folds(
    run: Path,
    folds: int,
    seed: int,
    moved: str | None,
    trust: tuple[str, ...],
    *,
    show: bool,
    as_json: bool,
) -> None:
    """Train the recipe of a run without each fold in turn, and a Gaussian mixture beside it."""
    from pushforward.cli.recipe import read
    from pushforward.cli.rundata import recipe_of, schema_of
    from pushforward.cli.writing import check_file
    from pushforward.errors import InputError
    from pushforward.models import GaussianMixtureModel
    from pushforward.report import cross_validate
    from pushforward.report.beside_mixture import uneven
    from pushforward.training import Settings
    from pushforward.training.progress import Progress

    path = recipe_of(run, None, resume=True)
    if path is None:
        raise InputError(
            f"{run} has no recipe to train again by: in Python, pushforward.report.cross_validate "
            "takes a function that makes the model"
        )
    check_file(run / "cross_validation.json")
    recipe = read(path, {} if moved is None else {"data": moved})
    if recipe.source is not None:
        raise InputError(f"{run} maps one data set to another, which --folds does not judge")
    model, data, _ = recipe.prepare(trust, like=schema_of(run))

    def make(part: Any) -> Any:
        return recipe.prepare(trust, data=part).model

    with Progress("folds", folds, show=show) as progress:
        found = cross_validate(make, data, recipe.train, folds=folds, seed=seed, progress=progress)
    told = {"cross_validation": found.to_dict(), "seed": seed}
    lines = [str(found)]
    if data.kind == "vector":
        whole = dataclasses.replace(
            data,
            c=None,
            schema=dataclasses.replace(data.schema, label=None, classes=(), given=(), given_at=()),
        )
        mixture = cross_validate(
            lambda part: GaussianMixtureModel.for_data(part),
            whole,
            Settings(holdout=0.0),
            folds=folds,
            seed=seed,
        )
        gap, notes = found.above(mixture), uneven(model, data)
        told |= {"mixture": mixture.to_dict(), "above": gap.value, "above_stderr": gap.stderr}
        told["notes"] = notes
        lines += [str(mixture), f"{found.model} minus {mixture.model}: {gap} nats a row"]
        lines += [f"! {note}" for note in notes]
    write_text(run / "cross_validation.json", json.dumps(told, indent=2) + "\n")
    if as_json:
        emit(told)
        return
    typer.echo("\n".join(lines))
