"""`pushforward calibrate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward._files import write_text
from pushforward.cli.options import (
    BatchSize,
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
)

__all__ = ["calibrate"]


def calibrate(
    context: typer.Context,
    run: Run,
    file: Annotated[
        str | None,
        typer.Argument(
            help="Rows that the model has not been trained on, with the columns of its data; by "
            "default those that the run held out.",
            metavar="[FILE]",
        ),
    ] = None,
    draws: Annotated[int, typer.Option(help="Number of samples for each row.")] = 99,
    pairs: Annotated[int, typer.Option(help="Number of rows, at most.")] = 500,
    sampler: Sampler = None,
    steps: Steps = None,
    seed: Seed = 0,
    alpha: Annotated[
        float, typer.Option(help="The chance that a check rejects a model that is exact.")
    ] = 0.05,
    batch_size: BatchSize = 512,
    data: MovedData = None,
    as_json: Json = False,
    checkpoint: Checkpoint = None,
    trust: Trust = None,
) -> None:
    """Check the samples of a conditional model: whether true rows are among them as they should.

    For a model that was trained with labels or given columns. Every held-out row is ranked among
    samples for what it was given; the verdicts are printed, and written with a picture to
    calibration.html and calibration.json in the run folder.
    """
    import torch

    from pushforward.cli.rundata import load_like, split_again
    from pushforward.cli.writing import check_file
    from pushforward.errors import CapabilityError, InputError
    from pushforward.metrics import calibrate as calibrated
    from pushforward.models import conditional_sampler, load
    from pushforward.report import calibration_page
    from pushforward.training.progress import Progress

    folder, trusted = Path(run), tuple(trust or ())
    model = load(folder, trust=trusted, checkpoint=checkpoint)
    if not model.condition.conditional:
        raise CapabilityError(
            f"{folder} holds a model that takes no labels or contexts, so that there is nothing to "
            "calibrate: train with labels or given columns, or see `pushforward evaluate`"
        )
    if file is None:
        _, rows = split_again(folder, model.space, data, command=context.command)
    else:
        rows = load_like(folder, file, model, command=context.command)
    if rows.c is None:
        raise InputError(f"{rows.name} has no labels or columns that are given")
    if not isinstance(rows.x, torch.Tensor) or not rows.x.is_floating_point():
        raise CapabilityError("ranks are of real numbers: states of this model are none")
    chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:pairs]
    rows = rows.take(chosen)
    for name in ("calibration.html", "calibration.json"):
        check_file(folder / name)
    asked = accepted(model.sample, sampler=sampler, steps=steps)
    log_prob: Any = None
    if model.capabilities.log_prob == "exact":

        def log_prob(x: Any, c: Any) -> Any:
            with torch.no_grad():
                return model.log_prob(x, c).value

    with Progress("calibration", 1, show=not is_quiet(context)) as progress:
        # All draws at once would not fit into memory for pictures.
        parts = model.understood("sample", batch_size=batch_size, progress=progress)
        posterior_sampler = conditional_sampler(model, **asked, **parts)
        found = calibrated(
            posterior_sampler, (rows.x, rows.c), draws=draws, alpha=alpha, log_prob=log_prob,
            names=rows.columns, seed=seed,
        )  # fmt: skip
    told = {**found.to_dict(), "settings": asked}
    write_text(folder / "calibration.json", json.dumps(told, indent=2) + "\n")
    title = f"Calibration of {folder.name}"
    write_text(folder / "calibration.html", calibration_page(found, title))
    if as_json:
        emit(told)
        return
    typer.echo(str(found))
    typer.echo(f"\npicture: {folder / 'calibration.html'}")
