"""`pushforward simulate fluid`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pushforward.cli.options import Json, Seed, emit, is_quiet

__all__ = ["simulate_fluid"]


def simulate_fluid(
    context: typer.Context,
    out: Annotated[
        Path,
        typer.Option(help="Where to write frames: .zarr, .nc or .npz; not there yet."),
    ],
    n: Annotated[int, typer.Option("--n", help="Points a side.")] = 64,
    frames: Annotated[int, typer.Option(help="How many frames.")] = 500,
    every: Annotated[
        float, typer.Option(help="Time between frames; they are independent after about ten.")
    ] = 1.0,
    spinup: Annotated[float, typer.Option(help="Time before the first frame.")] = 200.0,
    step: Annotated[
        float | None, typer.Option(help="Length of a time step; one that is stable by default.")
    ] = None,
    waves: Annotated[
        int | None,
        typer.Option(help="Wavenumber of saturation: 1, 2, 4, 8 or 16 as published; none without."),
    ] = None,
    seed: Seed = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint in OUT.partial.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Simulate two-dimensional turbulence with moisture: vorticity and supersaturation.

    Writes variables (time, y, x) with coordinates and units. A run of few points is one of the
    coarse model, with a viscosity of its own.

      pushforward simulate fluid --n 64 --frames 500 --out flow.zarr

      pushforward simulate fluid --n 16 --frames 500 --out coarse.zarr
    """
    from pushforward.fluids import FluidSimulator, MoistFlow, record_fluid

    fluid = FluidSimulator(n, MoistFlow.published(n, waves), step=step, seed=seed)
    found = record_fluid(
        fluid, out, frames, every=every, spinup=spinup, resume=resume,
        progress=not is_quiet(context),
    )  # fmt: skip
    means = {name: float(value.mean()) for name, value in found._asdict().items()}
    if as_json:
        emit({"out": str(out), "frames": frames, "means": means})
        return
    for name in ("energy", "enstrophy", "moisture", "condensation"):
        typer.echo(f"{name:12} {means[name]:.4g}")
    typer.echo(str(out))
