"""What `logz` says of a run whose model is a learned sampler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from pushforward.cli.options import emit
from pushforward.errors import InputError

__all__ = ["is_run", "logz_of_run"]

_PATHS = 4096


def is_run(text: str) -> bool:
    """Whether a word is the folder of a run or of a saved model, and no name of a target."""
    from pushforward.models.sealed_folder import CONFIG

    return (Path(text) / CONFIG).is_file()


def logz_of_run(
    run: str, paths: int | None, steps: int | None, seed: int, as_json: bool,
    trust: Sequence[str] | None,
) -> None:  # fmt: skip
    """Print the estimates of a trained sampler, from some paths of some steps.

    Raises `InputError` for a model that is no sampler.
    """
    from pushforward.models import LearnedSampler, load

    model: Any = load(run, trust=tuple(trust or ()))
    if not isinstance(model, LearnedSampler):
        raise InputError(
            f"{run} is a {type(model).__name__}, no learned sampler: its densities, and those of a "
            "target, give log Z by `evidence.importance(target, model)`"
        )
    found = model.estimates(paths or _PATHS, steps=steps, seed=seed)
    known = model.target.reference
    if not as_json:
        typer.echo(str(found))
        for note in found.log_z.notes:
            typer.echo(note, err=True)
        if known.log_z is not None:
            error = f" ± {known.stderr:g}" if known.stderr else ""
            typer.echo(f"known: {known.log_z:.4f}{error}, by {known.how}")
        return
    more = asdict(found)
    emit({
        "target": model.target.name, **more.pop("log_z"), "reference": known.log_z,
        "paths_ess": more.pop("ess"), **more,
    })  # fmt: skip
