"""Files that hold several arrays by name: which is the data, and which the labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pushforward.data.arrays import LABEL_KEYS, load_numpy, numeric, read_array, unreadable
from pushforward.data.columns import closest
from pushforward.data.declared import check_inflation, check_npy
from pushforward.data.raw import Raw
from pushforward.errors import InputError

__all__ = ["Chosen", "read_members", "read_npz"]


class Chosen(NamedTuple):
    """Which arrays of a file are asked for.

    Args:
        key: the array of data; by default `x`, or the only one.
        label: the array of labels, `False` for none; by default `c`, `y` or `labels`.
        parts: the names of the parts of a state: if all are there, they are read together, and so
            are arrays named `x.0`, `x.1`, `x.mask`, ..., which are the parts of written states.
        label_key: another name under which labels are looked for.
    """

    key: str | None = None
    label: Any = None
    parts: Sequence[str] = ()
    label_key: str | None = None


def read_npz(path: Path, chosen: Chosen) -> Raw:
    """The arrays of an `.npz` archive. Nothing in it is unpickled.

    Raises `InputError` for damaged archives, pickled objects, and archives in which the data cannot
    be told apart.
    """
    with path.open("rb") as file:
        archive = load_numpy(file, path)
        if isinstance(archive, np.ndarray):
            raise InputError(f"{path} is a single .npy array under another name: rename it")

        def member(name: str) -> NDArray[Any]:
            where = f", array {name!r}"
            try:
                _check_member(archive, name, f"{path}{where}")
                array: NDArray[Any] = archive[name]
            except InputError:
                raise
            except Exception as error:  # members are read one by one, and may be damaged
                raise InputError(unreadable(path, error, where)) from None
            return array

        return read_members(path, list(archive.files), member, chosen)


def _check_member(archive: Any, name: str, what: str) -> None:
    """Raise `InputError` for an array that is not what its headers promise, or too large."""
    inside = archive.zip.namelist()
    info = archive.zip.getinfo(name if name in inside else f"{name}.npy")
    check_inflation(info.compress_size, info.file_size, what)
    with archive.zip.open(info) as file:
        check_npy(file, info.file_size, what)


def read_members(
    path: Path | str, keys: list[str], member: Callable[[str], NDArray[Any]], chosen: Chosen
) -> Raw:
    """The arrays of a file, or of what `path` names, that are asked for; `member` reads one.

    Raises `InputError` if the data cannot be told apart, or an array is not there.
    """
    key, label = chosen.key, chosen.label

    def array(name: str) -> NDArray[Any]:
        if name not in keys:
            raise InputError(
                f"{path} has no array {name!r}{closest(name, keys)}; it holds {', '.join(keys)}"
            )
        return member(name)

    if not keys:
        raise InputError(f"{path} is a file without arrays")
    wanted = label if isinstance(label, str) else None
    if label is None:
        likely = LABEL_KEYS if chosen.label_key is None else (chosen.label_key, *LABEL_KEYS)
        wanted = next((k for k in likely if k in keys and k != key), None)
    named = _named(keys, chosen.parts) if key is None else {}
    if key is None and not named:
        rest = [k for k in keys if k not in LABEL_KEYS and k != wanted]
        key = "x" if "x" in keys else rest[0] if len(rest) == 1 else None
    if key is None and len(keys) == 1:
        key = keys[0]
    if key is None and not named:
        raise InputError(
            f"{path} holds the arrays {', '.join(keys)}: say which is the data with key=, "
            "and which the labels with label="
        )
    x: Any = {}
    if chosen.key is None and key is not None and "mask" in keys and wanted != "mask":
        raise InputError(
            f"{path} holds sets of points, {key!r} and the 'mask' of those that are there: read "
            "them with space=pf.spaces.PointCloud(), as `train` does with "
            f"model.process=jump-diffusion, or take {key!r} alone with key={key!r}"
        )
    if key is not None:
        named = {key: ()}
    for name, place in named.items():
        x = _put(x, place, numeric(array(name), f"{path}, array {name!r}"))
    if wanted is not None and (wanted != key or label is not None):
        labels = np.asarray(array(wanted))
        if labels.ndim == 2 and 1 in labels.shape:
            labels = labels.reshape(-1)
        if labels.ndim == 0:
            raise InputError(f"{path}, array {wanted!r} is a single value, not labels")
        return Raw(x, labels, str(path), label=wanted, key=key)
    if key is None:
        return Raw(x, None, str(path))
    return dataclasses.replace(read_array(x, label, str(path)), key=key)


def _named(keys: list[str], parts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The arrays that make states together, each with its place among nested names."""
    if not parts:
        return {}
    written = {k: tuple(k.split(".")[1:]) for k in keys if k.startswith("x.")}
    if written:
        return written
    whole = len(parts) > 1 and set(parts) <= set(keys)
    return {name: (name,) for name in parts} if whole else {}


def _put(named: Any, place: tuple[str, ...], array: NDArray[Any]) -> Any:
    """Nested names with an array at a place."""
    if not place:
        return array
    return {**named, place[0]: _put(named.get(place[0], {}), place[1:], array)}
