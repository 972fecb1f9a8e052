"""`pushforward evaluate` for a run of windows of frames: forecasts, lead by lead."""

from __future__ import annotations

import json
from dataclasses import replace
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
    stride: int | None,
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
        if _given(theirs) != _given(schema):
            raise InputError(
                f"{place} was trained on other windows than {run}: a comparison takes runs of the "
                f"same data that are given as many frames, {schema.windows} of it"
            )
        others[Path(place).name] = load(place, trust=trust)
    asked = accepted(model.sample, **wishes)
    count = _MEMBERS if members is None else members
    with Progress("forecasts", count, show=not is_quiet(context)) as progress:
        found = verify(
            model, test, train, members=count, beside=others, stride=stride, seed=seed,
            progress=progress, **asked,
        )  # fmt: skip
    held = model.holds
    told = {"weights": None if held is None else str(held), "seed": seed, **found.to_dict()}
    write_text(run / "forecast.json", json.dumps(told, indent=2) + "\n")
    page = write_forecasts(run, found)
    if as_json:
        emit(told)
        return
    typer.echo(f"{found}\n\nreport:  {page}")


def _given(schema: Any) -> Any:
    """What a forecast is given, whatever its leads are."""
    windows = schema.windows
    return None if windows is None else (replace(windows, leads=1, direct=False), schema.frames)
