"""The data that a run was trained on, found again and split as it was."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from pushforward.data import Data, load
from pushforward.errors import InputError

__all__ = ["split_again", "write_recipe"]


def write_recipe(run: Path, recipe: Any) -> None:
    """Keep the recipe in the run folder, with the place of its data from anywhere."""
    path = Path(recipe.data)
    if path.exists():
        recipe = recipe.model_copy(update={"data": str(path.resolve())})
    partial = run / ".recipe.yaml.partial"
    partial.write_text(recipe.to_yaml(), encoding="utf-8")
    os.replace(partial, run / "recipe.yaml")


def split_again(run: Path, source: str | None = None) -> tuple[Data, Data]:
    """The run's training part and held-out part.

    Raises `InputError` if the data cannot be found or is not what the run was trained on, or if
    nothing was held out.
    """
    try:
        config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
        saved, settings = config["data"], config["training"]
    except (OSError, KeyError, TypeError, yaml.YAMLError):
        raise InputError(f"{run} is not a run folder made by `pushforward train`") from None
    label = None
    if source is None:
        try:
            recipe = yaml.safe_load((run / "recipe.yaml").read_text(encoding="utf-8"))
        except OSError:
            raise InputError(f"{run} does not say where its data is: give it with --data") from None
        source, label = recipe["data"], recipe["label"]
    data = load(source, label=label)
    if data.fingerprint != saved["fingerprint"]:
        raise InputError(
            f"{source} is not what {run} was trained on: {saved['name']} with fingerprint "
            f"{saved['fingerprint'][:12]}, not {data.fingerprint[:12]}"
        )
    if settings["holdout"] == 0:
        raise InputError(f"{run} held no data out (holdout=0), so there is nothing to compare with")
    return data.split(settings["holdout"], settings["seed"])
