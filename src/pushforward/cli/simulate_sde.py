"""`pushforward simulate sde`."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward.cli.options import Json, Trust, emit, is_quiet

__all__ = ["simulate_sde"]

_SHOWN = ("entropy_rate", "expansion", "production", "dissipation")


def simulate_sde(
    context: typer.Context,
    made_by: Annotated[
        str,
        typer.Argument(
            help="MODULE:FUNCTION with --trust MODULE: a function without arguments that returns a "
            "simulation.Simulation, or a Simulation.",
            metavar="MODULE:FUNCTION",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for checkpoints and the result.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint in the folder.")
    ] = False,
    checkpoint_every: Annotated[
        int, typer.Option(help="Time steps from one checkpoint to the next.")
    ] = 100,
    keep: Annotated[
        int, typer.Option(help="Intervals between the times whose particles are kept.")
    ] = 10,
    as_json: Json = False,
    trust: Trust = None,
) -> None:
    """Move the particles of an SDE by its probability flow, while the score is learned.

    Prints the rates of entropy at the last time, and says in words what is wrong with the scores.
    `pushforward.simulation.load(FOLDER)` reads particles, densities and all rates.

      pushforward simulate sde model:wells --trust model --out runs/wells
    """
    simulation = _simulation(made_by, tuple(trust or ()))
    found = simulation.run(
        out,
        resume=resume,
        checkpoint_every=checkpoint_every,
        keep=keep,
        progress=not is_quiet(context),
    )
    last = {name: _last(found, name) for name in _SHOWN}
    said = found.warnings()
    if as_json:
        emit({"out": str(out), "time": float(found.times[-1]), "rates": last, "warnings": said})
        return
    for name, numbers in last.items():
        if numbers is not None:
            typer.echo(f"{name:12} {numbers['value']:.4g} ± {numbers['stderr']:.2g}")
    for warning in said:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(str(out))


def _last(found: Any, name: str) -> dict[str, float] | None:
    """A rate at the last time and its standard error; `None` if it is not known."""
    from pushforward.errors import CapabilityError

    try:
        value, stderr = found.column(name), found.column(f"{name}_stderr")
    except CapabilityError:
        return None
    return {"value": float(value[-1]), "stderr": float(stderr[-1])}


def _simulation(text: str, trust: tuple[str, ...]) -> Any:
    """The simulation of a module that is trusted."""
    from pushforward.errors import InputError
    from pushforward.simulation import Simulation

    module, _, name = text.partition(":")
    if not name:
        raise InputError(f"{text} is no place: give MODULE:FUNCTION")
    if module not in trust:
        raise InputError(f"{text} is code of the module {module}: give --trust {module} to run it")
    found = getattr(import_module(module), name, None)
    if found is None:
        raise InputError(f"the module {module} has no {name!r}")
    if callable(found) and inspect.signature(found).parameters:
        raise InputError(f"{text} is called without arguments, and returns a Simulation")
    made = found() if callable(found) else found
    if not isinstance(made, Simulation):
        raise InputError(f"{text} is or returns a {type(made).__name__}, no Simulation")
    return made
