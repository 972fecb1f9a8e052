"""States to files: what `pushforward.data` reads again, or a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pushforward.errors import InputError

__all__ = ["checked", "label_of", "write_states"]

_PICTURE = ".png"


def checked(path: Path) -> None:
    """Raise `InputError` for a file that states cannot be written to, before they are made."""
    from pushforward.data.writing import WRITERS

    known = (*WRITERS, _PICTURE)
    if path.suffix not in known:
        raise InputError(f"states go to {', '.join(known)} files, not {path.name!r}")


def label_of(run: Path, label: str | None) -> int | None:
    """The code of a label that was given by the name or the value that it has in the file.

    A saved model without a run knows no values: its labels are codes. Raises `InputError` for
    anything else.
    """
    from pushforward.cli.rundata import schema_of
    from pushforward.data.matching import code_of

    if label is None:
        return None
    classes = schema_of(run).classes
    if classes:
        code = code_of(label, classes)
        if code is None:
            known = ", ".join(map(str, classes[:50])) + (", ..." if len(classes) > 50 else "")
            raise InputError(f"--class is one of {known}, not {label!r}")
        return code
    try:
        return int(label)
    except ValueError:
        raise InputError(
            f"--class is the number of a label, as {run} does not know their names, not {label!r}"
        ) from None


def write_states(
    path: Path,
    x: Any,
    space: Any,
    run: Path,
    *,
    labels: Any = None,
    draws: int | None = None,
) -> None:
    """Write states of a space as the data of a run came, or draw them.

    `labels` are codes, one for all of them or one for each. Of `draws` of each state, on a first
    axis, a table and a picture have one after the other.
    """
    from pushforward import state
    from pushforward.cli.rundata import schema_of
    from pushforward.data.writing import write

    if draws is not None and path.suffix in (".csv", ".tsv", _PICTURE):
        x = state.map_leaves(lambda a: a.flatten(0, 1), x)
    if path.suffix == _PICTURE:
        from pushforward.report import save_picture

        path.parent.mkdir(parents=True, exist_ok=True)
        save_picture(path, x, space=space)
        return
    write(path, x, space=space, schema=schema_of(run), labels=labels)
