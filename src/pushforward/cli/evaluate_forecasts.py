"""`pushforward evaluate` for a run of windows of frames: forecasts, lead by lead."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from pushforward._files import write_text
from pushforward.cli.options import accepted, emit, is_quiet

__all__ = ["evaluate_forecasts"]

_MEMBERS = 16


def evaluate_forecasts(
    context: typer.Context,
    run: Path,
    *,
    members: int | None,
    leads: int | None,
    beside: list[str] | None,
    moved: str | None,
    trust: tuple[str, ...],
    checkpoint: str | None,
    seed: int,
    as_json: bool,
    **wishes: Any,
) -> None:
    """Forecasts of held-out windows beside those that anybody has, to `forecast.json` and a page.

    Raises `InputError` for other runs of other windows beside it.
    """
    from pushforward.cli.rundata import schema_of, windows_again
    from pushforward.errors import InputError
    from pushforward.forecasting import verify
    from pushforward.models import load
    from pushforward.report.forecasts import write_forecasts
    from pushforward.training.progress import Progress

    model = load(run, trust=trust, checkpoint=checkpoint)
    schema = schema_of(run)
    train, test = windows_again(run, model.space, leads, moved)
    others = {}
    for place in beside or ():
        theirs = schema_of(Path(place))
        if theirs.windows != schema.windows or theirs.fields != schema.fields:
            raise InputError(
                f"{place} was trained on other windows than {run}: a comparison takes runs with "
                f"--forecast {schema.windows} of the same data"
            )
        others[Path(place).name] = load(place, trust=trust)
    asked = accepted(model.sample, **wishes)
    count = _MEMBERS if members is None else members
    with Progress("forecasts", count, show=not is_quiet(context)) as progress:
        found = verify(
            model, test, train, members=count, beside=others, seed=seed, progress=progress, **asked
        )
    held = model.holds
    told = {"weights": None if held is None else str(held), "seed": seed, **found.to_dict()}
    write_text(run / "forecast.json", json.dumps(told, indent=2) + "\n")
    page = write_forecasts(run, found)
    if as_json:
        emit(told)
        return
    typer.echo(f"{found}\n\nreport:  {page}")
