"""`pushforward info`."""

from __future__ import annotations

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
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Read every file of a saved model, or of all checkpoints of a run, and compare it "
            "with its checksum.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Describe a run folder, a saved model or a data set."""
    path = Path(what)
    if verify:
        from pushforward.models.saving import check

        found: dict[str, Any] = {"whole": [str(folder) for folder in check(path)]}
    elif (path / "config.yaml").is_file():
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
    from pushforward._records import read_sealed
    from pushforward.data import Schema
    from pushforward.models.checkpoints import checkpoints_in
    from pushforward.training.folder import read_manifest

    found = read_sealed(path / "config.yaml")
    schema = Schema.from_description((found.get("data") or {}).get("schema"))
    if schema.given:
        learned, told = ", ".join(schema.table_names), ", ".join(c.name for c in schema.given)
        found = {"learned": f"p({learned} | {told})", **found}
    if manifest := read_manifest(path):
        found["manifest"] = manifest
    if (weights := _weights(path)) is not None:
        found["weights"] = weights
    found["checkpoints"] = [folder.name for folder in checkpoints_in(path)]
    return found


def _weights(path: Path) -> str | None:
    """Which weights of a run are used, in words; what is wrong with them, if they cannot be."""
    from pushforward.errors import InputError
    from pushforward.models.checkpoints import choose, while_written

    try:
        _, held = while_written(path, lambda: choose(path))
    except InputError as error:
        return str(error)
    return None if held is None else str(held)
