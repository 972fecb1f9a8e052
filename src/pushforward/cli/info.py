"""`pushforward info`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from pushforward.cli.options import Json, emit

__all__ = ["info"]

_FEW = 16
"""Columns whose means are listed."""


def info(
    what: Annotated[
        str, typer.Argument(help="A run folder, a saved model, or data.", metavar="WHAT")
    ],
    as_json: Json = False,
) -> None:
    """Describe a run folder, a saved model or a data set."""
    path = Path(what)
    if (path / "config.yaml").is_file():
        found = _folder(path)
    else:
        from pushforward.data import load

        data = load(what)
        found = {"data": data.describe()}
        if data.kind == "vector" and len(data.event_shape) == 1 and data.event_shape[0] <= _FEW:
            found["mean"] = data.x.mean(0).tolist()
            found["std"] = data.x.std(0).tolist()
    if as_json:
        emit(found)
    else:
        typer.echo(yaml.safe_dump(found, sort_keys=False, allow_unicode=True), nl=False)


def _folder(path: Path) -> dict[str, Any]:
    from pushforward.errors import InputError

    try:
        found: dict[str, Any] = yaml.safe_load((path / "config.yaml").read_text(encoding="utf-8"))
        manifest = path / "manifest.json"
        if manifest.is_file():
            found["manifest"] = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    found["checkpoints"] = sorted(p.name for p in (path / "checkpoints").glob("step-*"))
    return found
