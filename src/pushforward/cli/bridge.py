"""`pushforward bridge`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward.cli.options import (
    Coordinates,
    Device,
    Resume,
    RunFolder,
    SeedOfRun,
    StateSpace,
    Trust,
    names_of,
)
from pushforward.cli.train import carry_out, print_recipe

__all__ = ["bridge"]

_FIELD_STEPS = 30
"""Of simulated paths of fields, as of Shi et al. (2023)."""


def bridge(
    context: typer.Context,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="Changes of the recipe such as model.ema=0.99.", metavar="[KEY.PATH=VALUE]..."
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(help="Data to start from, as for `train`.", autocompletion=names_of("data")),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="Data to arrive at, as for `train`.", autocompletion=names_of("data")),
    ] = None,
    out: RunFolder = None,
    space: StateSpace = None,
    coordinates: Coordinates = None,
    sigma: Annotated[
        float | None,
        typer.Option(
            help="Noise of the reference process, in the units of the data, by default as large "
            "as the data sets are wide; on a --space a length there, 1 by default; of fields in "
            "standard deviations of each variable, .55 by default."
        ),
    ] = None,
    duration: Annotated[
        float | None,
        typer.Option(
            help="How long symbols of texts change by chance, in the place of a sigma; 1 by "
            "default."
        ),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(
            help="Unit of distances: common, that of the data for all columns, the default; or "
            "columns, the standard deviation of each, in which --sigma is then given."
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            help="Use an Ornstein-Uhlenbeck reference, pulled to the center at this rate."
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="Training method, a name of `pushforward list bridges`; dsbm-imf by default.",
            autocompletion=names_of("bridges"),
        ),
    ] = None,
    iterations: Annotated[
        int | None,
        typer.Option(
            help="Number of outer iterations, which learn the two directions in turns and share "
            "the steps; 20 by default."
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Number of optimizer steps of all outer iterations.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Number of data points in each step.")
    ] = None,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    seed: SeedOfRun = None,
    shared: Annotated[
        bool, typer.Option("--shared", help="Use one network for both directions.")
    ] = False,
    resume: Resume = False,
    recipe: Annotated[
        Path | None, typer.Option(help="Read the recipe from this YAML file.", metavar="FILE")
    ] = None,
    device: Device = "auto",
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the complete recipe and stop.")
    ] = False,
    trust: Trust = None,
) -> None:
    """Train a Schrödinger bridge between two data sets: a random map in both directions.

    The same as `train --model bridge`, with options for what a bridge has. Leaves a run folder with
    the marginal error of each outer iteration in its report, and goes on with
    `pushforward bridge --resume --out RUN`. Fields of a coarser grid than those of the target are
    brought to it first.

      pushforward bridge --source coarse.zarr --target fine.zarr --out runs/fine
    """
    from pushforward.cli.recipe import read
    from pushforward.cli.rundata import recipe_of
    from pushforward.data.stores import is_store
    from pushforward.data.texts import form_of
    from pushforward.errors import InputError

    if rate and space is not None:
        raise InputError(f"--rate {rate:g} is of a reference on R^d, not on a --space")
    if rate and sigma is None:
        raise InputError(f"--rate {rate:g} needs a --sigma, in data units")
    known = recipe_of(out, recipe, resume=resume)
    if known is None and (source is None or target is None):
        missing = "--source" if source is None else "--target"
        raise InputError(f"a bridge joins two data sets: {missing} is missing")
    given: dict[str, Any] = {
        "data": target,
        "source": source,
        "model.class": "bridge",
        "model.method": method,
        "model.iterations": iterations,
        "model.shared": shared or None,
        "model.scale": scale,
        "data.coordinates": coordinates,
        "model.space": space if sigma is None else None,
        "model.reference": _reference(sigma, rate, space, duration),
        "model.steps": _FIELD_STEPS if known is None and is_store(target) else None,
        "train.steps": steps,
        "train.batch_size": batch_size,
        "train.lr": lr,
        "train.seed": seed,
    }
    chosen = read(
        known, {key: value for key, value in given.items() if value is not None}, overrides or []
    )
    texts = form_of(chosen.data.get("source"), chosen.data.get("kind")) is not None
    if texts and sigma is not None:
        raise InputError(f"--sigma {sigma:g} is of numbers; symbols of a text take --duration")
    if duration is not None and not texts:
        raise InputError(f"--duration {duration:g} is of symbols of texts; numbers take --sigma")
    if print_config:
        print_recipe(chosen, tuple(trust or ()))
        return
    carry_out(context, chosen, out, resume=resume, trust=trust, device=device)


def _reference(
    sigma: float | None, rate: float | None, space: str | None, duration: float | None
) -> dict[str, Any] | None:
    """The reference process, as a recipe has it; of a space alone that space has one."""
    if duration is not None:
        return {"class": "token-bridge", "duration": duration}
    if sigma is None:
        return None
    if space is not None:
        return {"class": "manifold-bridge", "space": space, "sigma": sigma}
    return {"class": "ou-bridge", "sigma": sigma, "rate": rate} if rate else {
        "class": "bridge", "sigma": sigma
    }  # fmt: skip
