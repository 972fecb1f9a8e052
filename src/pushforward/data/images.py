"""A folder of pictures, all of one size, with captions, one subfolder per class, or none."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.data.caption_files import TABLES, read_captions
from pushforward.data.declared import require_room
from pushforward.data.finding import listed
from pushforward.data.picture_reader import SUFFIXES, PictureReader
from pushforward.data.raw import Raw
from pushforward.errors import InputError

__all__ = ["SUFFIXES", "picture_files", "read_folder", "read_pictures"]


def read_folder(
    path: Path,
    label: Any = None,
    size: int | Sequence[int] | None = None,
    channels: int | None = None,
) -> Raw:
    """The pictures of a folder as 8-bit `(N, C, H, W)`, values 0 to 255 in 256 levels.

    Pictures in subfolders are labeled by the name of the subfolder, unless `label=False`; captions
    in a table beside them (`read_captions`) take the place of such labels. The
    result is gray if all pictures are, else RGB; `channels` (1 or 3) decides, and puts transparent
    pictures on white. `size` (a number, or height and width) crops the middle and resizes. Files
    and folders that are not read are counted and named in the notes; hidden ones are not.

    Needs Pillow, and pillow-heif for `.heic`. Raises `InputError` naming the file for pictures that
    are damaged, of another size, transparent, of more than 8 bits a channel, or animated.
    """
    if label is not None and label is not False:
        raise InputError(
            f"label={label!r}: the labels of a folder of images are the names of its subfolders; "
            "label=False leaves them out"
        )
    if channels not in (None, 1, 3):
        raise InputError(f"channels is 1 (gray) or 3 (RGB), not {channels!r}")
    height_width = _size(size)
    found = _look(path)
    files, classes = found.files, found.classes
    captions = None if label is False else read_captions(path, files)
    return Raw(
        read_pictures(files, height_width, channels),
        None if classes is None or label is False or captions else np.array(classes),
        str(path),
        row=lambda i: f"file {files[i].relative_to(path)}",
        levels=256,
        value_range=(0.0, 255.0),
        notes=found.notes,
        captions=tuple(captions or ()),
    )


def read_pictures(
    files: Sequence[Path], size: tuple[int, int] | None = None, channels: int | None = None
) -> NDArray[np.uint8]:
    """Picture files of one size as 8-bit `(N, C, H, W)`: gray if all are, else RGB.

    Raises `InputError` naming the file, as `read_folder` does.
    """
    reader = PictureReader(size, channels)
    pictures: list[NDArray[np.uint8]] = []
    for file in files:
        picture = reader.read(file)
        if not pictures:
            require_room((len(files), *picture.shape), "uint8", f"the folder {file.parent}")
        if pictures and picture.shape[:2] != pictures[0].shape[:2]:
            (h0, w0), (h, w) = pictures[0].shape[:2], picture.shape[:2]
            raise InputError(
                f"{file} is {w} x {h} (width x height), but {files[0].name} is {w0} x {h0}: "
                f"size={min(h0, w0)} or size=({h0}, {w0}) crops and resizes every picture"
            )
        pictures.append(picture)
    if not any(picture.ndim == 3 for picture in pictures):
        return np.stack(pictures)[:, None]
    return np.stack([_channels_first(picture) for picture in pictures])


def picture_files(path: Path) -> list[Path]:
    """The pictures of a folder or of its subfolders, in the order that `read_folder` has them in.

    Raises `InputError` for a folder without any.
    """
    return _look(path).files


@dataclass(frozen=True)
class _Found:
    """The pictures in order of their names, the class of each if there are subfolders, and what
    else lies there."""

    files: list[Path]
    classes: list[str] | None
    skipped: list[str]

    @property
    def notes(self) -> tuple[str, ...]:
        skipped = [name for name in self.skipped if name not in TABLES]
        if not skipped:
            return ()
        entries = "entry" if len(skipped) == 1 else "entries"
        return (
            f"{len(skipped)} {entries} of the folder not read, as no pictures: {listed(skipped)}",
        )


def _look(path: Path) -> _Found:
    """What is in a folder and its subfolders. Raises `InputError` for pictures in both, or none."""
    here, rest, folders = _sorted(path)
    inside, skipped = {}, rest
    for folder in folders:
        inside[folder], others, deeper = _sorted(path / folder)
        skipped = skipped + [f"{folder}/{name}" for name in others]
        skipped += [f"{folder}/{name}/" for name in deeper]
    full = next((folder for folder in folders if inside[folder]), None)
    if here and full is not None:
        raise InputError(
            f"{path} has pictures both beside and inside its subfolders ({here[0]}, "
            f"{full}/{inside[full][0]}): move them so that there is one kind"
        )
    if here:
        return _Found([path / name for name in here], None, skipped + [f"{f}/" for f in folders])
    if full is None:
        raise InputError(_no_pictures(path, rest, folders))
    empty = [folder for folder in folders if not inside[folder]]
    if empty:
        raise InputError(
            f"{path}: the class folder {empty[0]!r} has no pictures in it: fill or remove it"
        )
    files = [path / folder / name for folder in folders for name in inside[folder]]
    return _Found(files, [folder for folder in folders for _ in inside[folder]], skipped)


def _sorted(path: Path) -> tuple[list[str], list[str], list[str]]:
    """The names of pictures, of other files and of folders, without hidden ones."""
    pictures: list[str] = []
    others: list[str] = []
    folders: list[str] = []
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.name.startswith((".", "__")):
                continue
            if entry.is_dir():
                folders.append(entry.name)
            elif os.path.splitext(entry.name)[1].lower() in SUFFIXES:
                pictures.append(entry.name)
            else:
                others.append(entry.name)
    return sorted(pictures), sorted(others), sorted(folders)


def _no_pictures(path: Path, files: list[str], folders: list[str]) -> str:
    deeper = next((path / folder for folder in folders if _sorted(path / folder)[2]), None)
    kinds = {".npy", ".npz", ".csv", ".tsv", ".parquet"}
    table = next((name for name in files if Path(name).suffix.lower() in kinds), None)
    found = f"{path} has no pictures ({' '.join(sorted(SUFFIXES))})"
    if table is not None:
        return f"{found}; to load the file in it, give {path / table}"
    if deeper is not None:
        return f"{found} in it or in its subfolders; go one level down, for example {deeper}"
    return f"{found} in it or in its subfolders"


def _size(size: int | Sequence[int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    pair = tuple(size) if isinstance(size, (list, tuple)) else (size, size)
    if len(pair) != 2 or not all(type(side) is int and side > 0 for side in pair):
        raise InputError(f"size is a number of pixels or (height, width), not {size!r}")
    return pair


def _channels_first(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`(3, H, W)` of a gray or an RGB picture."""
    if picture.ndim == 3:
        return picture.transpose(2, 0, 1)
    return np.repeat(picture[None], 3, axis=0)
