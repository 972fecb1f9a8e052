"""`pushforward list`."""

from __future__ import annotations

from typing import Annotated

import typer

from pushforward import registry
from pushforward.cli.options import Json, Trust, emit

__all__ = ["list_names"]


def list_names(
    axis: Annotated[
        str | None,
        typer.Argument(
            help=f"Which names to list: {', '.join(registry.axes())}.",
            autocompletion=lambda: list(registry.axes()),
        ),
    ] = None,
    as_json: Json = False,
    trust: Trust = None,
) -> None:
    """List the short names that other commands and recipes take."""
    axes = registry.axes() if axis is None else (axis,)
    known = {name: list(registry.names(name)) for name in axes}
    if as_json:
        emit(known)
        return
    for name, values in known.items():
        typer.echo(f"{name}: {', '.join(values)}")
