"""Places of data on the disk: those that are there, and words for those that are not."""

from __future__ import annotations

import os
from pathlib import Path

from pushforward import registry
from pushforward.data.columns import closest
from pushforward.data.joined_stores import is_pattern, matches
from pushforward.errors import InputError

__all__ = ["existing", "refuse_run"]


def existing(source: str | os.PathLike[str]) -> Path:
    """The path of a file or folder.

    Raises `InputError` with what is near, if there is none, and for patterns, which
    `stores.is_store` takes if they are of fields.
    """
    path = Path(source).expanduser()
    if str(source).strip() and path.exists():
        return path
    if is_pattern(source):
        if not matches(source):
            raise InputError(f"no file or folder matches {source}")
        raise InputError(
            f"{source} is a pattern, and not all that it matches are NetCDF files with coordinates "
            "or Zarr stores, which alone are read together"
        )
    if isinstance(source, str) and not path.suffix and len(path.parts) < 2:
        known = registry.names("data")
        raise InputError(
            f"there is no built-in data, file or folder {source!r}{closest(source, known)}; "
            f"built in are {', '.join(known)}"
        )
    folder = path.parent
    if not folder.is_dir():
        raise InputError(f"{path} does not exist, nor does the folder {folder}")
    if path.is_symlink():
        raise InputError(f"{path} is a link to {os.readlink(path)}, which does not exist")
    here = [entry.name for entry in folder.iterdir()]
    raise InputError(f"{path} does not exist{closest(path.name, here)}")


def refuse_run(path: Path) -> None:
    """Raise `InputError` for the folder of a run or a saved model."""
    if (path / "config.yaml").exists() and (path / "manifest.json").exists():
        samples = path / "samples.npz"
        instead = f"; its samples are in {samples}" if samples.exists() else ""
        raise InputError(
            f"{path} is a run or a saved model, not data: open it with "
            f"pushforward.load({str(path)!r}){instead}"
        )
