"""`pushforward forecast`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pushforward.cli.options import (
    Checkpoint,
    Device,
    Reading,
    Run,
    Sampler,
    Seed,
    Steps,
    Trust,
    accepted,
    is_quiet,
)

__all__ = ["forecast"]


def forecast(
    context: typer.Context,
    run: Run,
    file: Annotated[
        str,
        typer.Argument(
            help="A store of fields, NetCDF or Zarr, after whose last frames the forecast begins.",
            metavar="RECENT",
        ),
    ],
    words: Reading = None,
    n: Annotated[int, typer.Option("-n", "--n", help="Members of the ensemble.")] = 16,
    leads: Annotated[
        int | None,
        typer.Option(
            help="Frames ahead; by default as many as the model has learned. Further ones "
            "follow from those of each member."
        ),
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(
            help="Frames after which a member goes on from its own; by default all that the model "
            "has learned. 1 goes frame by frame."
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Where to write the ensemble: .zarr or .nc; not there yet.")
    ] = Path("next.zarr"),
    sampler: Sampler = None,
    steps: Steps = None,
    diffusion: Annotated[
        float | None,
        typer.Option(
            help="Of the SDE of an interpolant: 0 has its own noise, 1 that of the Föllmer process."
        ),
    ] = None,
    seed: Seed = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint in OUT.partial.")
    ] = False,
    device: Device = "auto",
    checkpoint: Checkpoint = None,
    trust: Trust = None,
) -> None:
    """Forecast the next frames of fields: an ensemble, with the times that follow.

    The run comes from `train --forecast PAST:LEADS`. Dimensions, grid, names, units and types are
    those of the data, with `member` before them; packed integers are written unpacked.

      pushforward forecast runs/flow recent.zarr -n 16 --out next.zarr
    """
    from pushforward.cli.rundata import reading
    from pushforward.forecasting import forecast as drawn
    from pushforward.forecasting.forecast import schema_of_model
    from pushforward.models import load
    from pushforward.parallel import launch

    model = load(run, trust=tuple(trust or ()), checkpoint=checkpoint)
    schema_of_model(model)
    said = reading(words or ())
    model.to(launch(device).device)
    asked = accepted(model.sample, sampler=sampler, steps=steps, diffusion=diffusion)
    place = drawn(
        model,
        file,
        n,
        leads,
        stride=stride,
        out=out,
        seed=seed,
        resume=resume,
        progress=not is_quiet(context),
        reading=said,
        **asked,
    )
    typer.echo(place)
