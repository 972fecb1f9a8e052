"""`pushforward simulate`: data from equations."""

from __future__ import annotations

import typer

from pushforward.cli.simulate_blobs import simulate_blobs
from pushforward.cli.simulate_fluid import simulate_fluid
from pushforward.cli.simulate_sde import simulate_sde

__all__ = ["simulate"]

simulate = typer.Typer(
    help="Simulate a fluid or rain to learn from, or an SDE of your own by its probability flow.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
simulate.command("fluid")(simulate_fluid)
simulate.command("blobs")(simulate_blobs)
simulate.command("sde")(simulate_sde)
