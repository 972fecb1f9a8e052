"""`pushforward list`."""

from __future__ import annotations

from typing import Annotated

import typer

from pushforward.cli.names import AXES
from pushforward.cli.options import Json, emit

__all__ = ["list_names"]


def list_names(
    axis: Annotated[
        str | None,
        typer.Argument(help=f"One of {', '.join(AXES)}.", autocompletion=lambda: list(AXES)),
    ] = None,
    as_json: Json = False,
) -> None:
    """The short names that other commands and recipes take."""
    from pushforward.config import named

    axes = AXES if axis is None else {axis: named(axis, AXES, "axis")}
    if as_json:
        emit({name: list(values) for name, values in axes.items()})
        return
    for name, values in axes.items():
        typer.echo(f"{name}: {', '.join(values)}")
