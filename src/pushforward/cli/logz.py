"""`pushforward logz`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from pushforward.cli.options import Json, Seed, Trust, emit
from pushforward.cli.unnormalized import DataFolder, Shape, TargetName, target_from

__all__ = ["logz"]


def logz(
    target: TargetName,
    method: Annotated[
        str,
        typer.Option(
            help="smc, tempered from two starts that have to agree; ais, annealed one way; or bar, "
            "both ways, for targets with exact draws."
        ),
    ] = "smc",
    shape: Shape = None,
    data: DataFolder = None,
    particles: Annotated[
        int | None,
        typer.Option(help="Of each run, 512 by default; or chains of ais and bar."),
    ] = None,
    runs: Annotated[int | None, typer.Option(help="Independent runs of smc; 8 by default.")] = None,
    temperatures: Annotated[
        int | None, typer.Option(help="Of ais and bar; 100 by default. smc finds its own.")
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
    trust: Trust = None,
) -> None:
    """Estimate the normalizing constant of a density, as an interval.

    Prints log Z in nats, its standard error, an interval that holds it nine times in ten, and
    whether these can be trusted.

      pushforward logz ionosphere --data folder --json
      pushforward logz model:log_density --shape 8 --trust model
    """
    from pushforward.errors import InputError
    from pushforward.evidence import log_z

    options: dict[str, Any] = {}
    if method == "smc":
        if temperatures is not None:
            raise InputError("--temperatures means nothing to smc, which finds its own")
        options = {"particles": particles, "islands": runs}
    else:
        if runs is not None:
            raise InputError("--runs are those of smc")
        options = {"chains": particles, "temperatures": temperatures}
    given = {name: value for name, value in options.items() if value is not None}
    chosen = target_from(target, shape, data, trust)
    found = log_z(chosen, method, seed=seed, **given)
    known = chosen.reference
    if as_json:
        emit({"target": chosen.name, **asdict(found), "reference": known.log_z})
        return
    typer.echo(str(found))
    for bound in found.bounds:
        typer.echo(str(bound))
    for note in found.notes:
        typer.echo(note, err=True)
    if known.log_z is not None:
        error = f" ± {known.stderr:g}" if known.stderr else ""
        typer.echo(f"known: {known.log_z:.4f}{error}, by {known.how}")
