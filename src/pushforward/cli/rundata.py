"""The data that a run was trained on, found again and split as it was."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from pushforward.data import Data, load
from pushforward.errors import InputError

__all__ = ["column_names", "load_like", "split_again", "write_recipe"]


def write_recipe(run: Path, recipe: Any) -> None:
    """Keep the recipe in the run folder, with the place of its data from anywhere."""
    for key in ("data", "source"):
        place = getattr(recipe, key)
        if place is not None and Path(place).exists():
            recipe = recipe.model_copy(update={key: str(Path(place).resolve())})
    partial = run / ".recipe.yaml.partial"
    partial.write_text(recipe.to_yaml(), encoding="utf-8")
    os.replace(partial, run / "recipe.yaml")


def split_again(run: Path, source: str | None = None) -> tuple[Data, Data]:
    """The run's training part and held-out part.

    Raises `InputError` if the data cannot be found or is not what the run was trained on, or if
    nothing was held out.
    """
    config = _config(run)
    if config is None:
        raise InputError(f"{run} is not a run folder made by `pushforward train`")
    saved, settings = config["data"], config["training"]
    origin = dict(saved.get("origin") or {})
    if source is not None:
        origin["source"] = source
    if "source" not in origin:
        raise InputError(
            f"{run} was trained on data in memory: save it to a file and give that with --data"
        )
    data = load(**origin)
    if data.fingerprint != saved["fingerprint"]:
        raise InputError(
            f"{origin['source']} is not what {run} was trained on: {saved['name']} with "
            f"fingerprint {saved['fingerprint'][:12]}, not {data.fingerprint[:12]}"
        )
    if settings["holdout"] == 0:
        raise InputError(f"{run} held no data out (holdout=0), so there is nothing to compare with")
    return data.split(settings["holdout"], settings["seed"])


def load_like(run: Path, source: str, label: str | None) -> Data:
    """Other data for the model of a run; files of the same kind are read as the run's own was."""
    config = _config(run)
    origin = dict(config["data"].get("origin") or {}) if config else {}
    path, before = Path(source), Path(origin.get("source", ""))
    if not (path.suffix and path.is_file() and path.suffix == before.suffix):
        origin = {}
    options = {k: v for k, v in origin.items() if k not in ("source", "name")}
    if label is not None:
        options["label"] = label
    return load(source, **options)


def column_names(run: Path) -> list[str] | None:
    """The names of the features that a run was trained on, if they have names."""
    config = _config(run)
    return config["data"]["columns"] if config else None


def _config(run: Path) -> dict[str, Any] | None:
    """The configuration of a run folder; `None` for anything else."""
    try:
        config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
        return config if {"data", "training"} <= config.keys() else None
    except (OSError, AttributeError, yaml.YAMLError, UnicodeDecodeError):
        return None
