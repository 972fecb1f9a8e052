"""Folders whose configuration names their files with checksums, and ends with one of itself."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from pushforward import __version__
from pushforward._files import checksum
from pushforward._records import read_json, read_sealed
from pushforward.errors import InputError

__all__ = [
    "ARGUMENTS",
    "AVERAGES",
    "CONFIG",
    "FORMAT",
    "FORMER",
    "MANIFEST",
    "WEIGHTS",
    "check_layout",
    "checksums",
    "former_path",
    "read_config",
    "verified",
    "versions",
]

ARGUMENTS = "arguments.safetensors"
"""Tensors among the arguments of a model's parts, such as a noise covariance, by fingerprint."""

WEIGHTS, AVERAGES = "model.safetensors", "ema.safetensors"

CONFIG, MANIFEST = "config.yaml", "manifest.json"

FORMER = ".former"
"""What ends the name of a file that is being replaced."""

FORMAT = 5
"""The version of the folder's layout and of the networks' weights; any other is refused.

4 has networks of vectors with other layers, under other names; 3 and before are not sealed."""


def versions() -> dict[str, Any]:
    """What a saved folder records of its making.

    >>> sorted(versions())
    ['format', 'platform', 'pushforward', 'python', 'torch']
    """
    return {
        "format": FORMAT,
        "pushforward": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def checksums(folder: Path, names: Iterable[str]) -> dict[str, dict[str, str]]:
    """The part of a configuration that names its files, each with its sha256."""
    return {"files": {name: checksum(folder / name) for name in names}}


def verified(folder: Path, name: str, files: dict[str, str]) -> Path:
    """The file of a name that a configuration was written with.

    That of a model which was being replaced when the writing broke off lies beside the new one.
    Raises `InputError` if there is none, or only one with other contents.
    """
    if name not in files:
        raise InputError(f"{folder}/config.yaml does not name {name} among its files")
    path = folder / name
    for candidate in (path, former_path(path)):
        if candidate.is_file() and checksum(candidate) == files[name]:
            return candidate
    what = (
        "is not the file that its configuration was written with" if path.is_file() else "is lost"
    )
    raise InputError(f"{path} {what}: it is damaged, or belongs to another model")


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration of a saved model or checkpoint: at least `model` and `files`.

    Raises `InputError` if it is damaged or was changed, or if another version wrote it.
    """
    path = folder / CONFIG
    check_layout(folder)
    found = read_sealed(path)
    files = found.get("files")
    if not isinstance(found.get("model"), dict) or not isinstance(files, dict):
        raise InputError(f"{path} does not describe a model with its files")
    for name, digest in files.items():
        if not isinstance(digest, str) or not _is_plain_name(name):
            raise InputError(f"{path} names {name!r}, which is no file beside it")
    return found


def _is_plain_name(name: str) -> bool:
    """Whether a name is that of a file in the same folder, and no path to elsewhere."""
    return name not in ("", ".", "..") and not set(name) & set("/\\:\0")


def former_path(path: Path) -> Path:
    """Where a file of the former model lies while another one replaces it."""
    return path.with_name(path.name + FORMER)


def check_layout(folder: Path) -> None:
    """Raise `InputError` for what another version wrote. Not yet verified: to be told first."""
    manifest = folder / MANIFEST
    if not manifest.is_file():
        return
    layout = read_json(manifest).get("format")
    if isinstance(layout, bool) or not isinstance(layout, int):
        raise InputError(f"{manifest} is damaged: format is {layout!r}")
    if layout > FORMAT:
        raise InputError(
            f"{folder} has layout {layout}, this version reads {FORMAT}: "
            "pip install --upgrade pushforward"
        )
    if layout < FORMAT:
        raise InputError(
            f"{folder} has layout {layout}, of an older version, and this version reads "
            f"{FORMAT}: use the version that wrote it, or train again"
        )
