"""`pushforward simulate blobs`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pushforward.cli.options import Json, Seed, emit

__all__ = ["simulate_blobs"]


def simulate_blobs(
    out: Annotated[Path, typer.Option(help="Where to write frames: .zarr or .nc; not there yet.")],
    n: Annotated[int, typer.Option("--n", help="Cells a side.")] = 32,
    frames: Annotated[int, typer.Option(help="How many frames, five minutes apart.")] = 2000,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Simulate showers of rain that grow, move with the wind and fade, to learn forecasts from.

    Writes the rate of rain in mm/h, (time, y, x), with coordinates and units, in seconds.

      pushforward simulate blobs --frames 2000 --out rain.zarr
    """
    from pushforward.fluids import Showers, record_showers

    found = record_showers(Showers(n), out, frames, seed=seed)
    wet = float((found > 0).float().mean())
    if as_json:
        emit({"out": str(out), "frames": frames, "mean": float(found.mean()), "wet": wet})
        return
    typer.echo(f"mean {float(found.mean()):.3g} mm/h, rain in {wet:.0%} of the cells\n{out}")
