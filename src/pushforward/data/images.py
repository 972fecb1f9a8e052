"""A folder of pictures, all of one size, with one subfolder per class or none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward._extras import require
from pushforward.data.raw import Raw
from pushforward.errors import InputError

__all__ = ["SUFFIXES", "picture_files", "read_folder", "read_pictures"]

SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
)

DEEP = {"I", "F", "I;16", "I;16B", "I;16L", "I;16N"}


def read_folder(
    path: Path,
    label: Any = None,
    size: int | Sequence[int] | None = None,
    channels: int | None = None,
) -> Raw:
    """The pictures of a folder as 8-bit `(N, C, H, W)`, values 0 to 255 in 256 levels.

    Pictures in subfolders are labeled by the name of the subfolder, unless `label=False`. The
    result is gray if all pictures are, else RGB; `channels` (1 or 3) decides, and puts transparent
    pictures on white. `size` (a number, or height and width) crops the middle and resizes.

    Needs Pillow. Raises `InputError` naming the file for pictures that are damaged, of another
    size, transparent, of more than 8 bits, or animated.
    """
    if label is not None and label is not False:
        raise InputError(
            f"label={label!r}: the labels of a folder of images are the names of its subfolders; "
            "label=False leaves them out"
        )
    if channels not in (None, 1, 3):
        raise InputError(f"channels is 1 (gray) or 3 (RGB), not {channels!r}")
    height_width = _size(size)
    files, classes = _list(path)
    return Raw(
        read_pictures(files, height_width, channels),
        None if classes is None or label is False else np.array(classes),
        str(path),
        row=lambda i: f"file {files[i].relative_to(path)}",
        levels=256,
        value_range=(0.0, 255.0),
    )


def read_pictures(
    files: Sequence[Path], size: tuple[int, int] | None = None, channels: int | None = None
) -> NDArray[np.uint8]:
    """Picture files of one size as 8-bit `(N, C, H, W)`: gray if all are, else RGB.

    Raises `InputError` naming the file, as `read_folder` does.
    """
    pictures: list[NDArray[np.uint8]] = []
    for file in files:
        picture = _read(file, size, channels)
        if pictures and picture.shape[:2] != pictures[0].shape[:2]:
            (h0, w0), (h, w) = pictures[0].shape[:2], picture.shape[:2]
            raise InputError(
                f"{file} is {w} x {h} (width x height), but {files[0].name} is {w0} x {h0}: "
                f"size={min(h0, w0)} or size=({h0}, {w0}) crops and resizes every picture"
            )
        pictures.append(picture)
    color = any(picture.ndim == 3 for picture in pictures)
    return np.stack([_channels_first(picture, color) for picture in pictures])


def picture_files(path: Path) -> list[Path]:
    """The pictures of a folder or of its subfolders, in the order that `read_folder` has them in.

    Raises `InputError` for a folder without any.
    """
    return _list(path)[0]


def _list(path: Path) -> tuple[list[Path], list[str] | None]:
    """The pictures in order of their names, and the class of each if there are subfolders."""
    entries = [entry for entry in sorted(path.iterdir()) if not entry.name.startswith((".", "__"))]
    here = [entry for entry in entries if entry.is_file() and entry.suffix.lower() in SUFFIXES]
    folders = [entry for entry in entries if entry.is_dir()]
    inside = {
        folder: [
            file
            for file in sorted(folder.iterdir())
            if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
        ]
        for folder in folders
    }
    if here and any(inside.values()):
        folder = next(folder for folder in folders if inside[folder])
        raise InputError(
            f"{path} has pictures both beside and inside its subfolders ({here[0].name}, "
            f"{folder.name}/{inside[folder][0].name}): move them so that there is one kind"
        )
    if here:
        return here, None
    if not any(inside.values()):
        raise InputError(_no_pictures(path, entries, folders))
    empty = [folder.name for folder in folders if not inside[folder]]
    if empty:
        raise InputError(
            f"{path}: the class folder {empty[0]!r} has no pictures in it: fill or remove it"
        )
    files = [file for folder in folders for file in inside[folder]]
    return files, [file.parent.name for file in files]


def _no_pictures(path: Path, entries: list[Path], folders: list[Path]) -> str:
    deeper = next(
        (f for f in folders for g in f.iterdir() if g.is_dir() and not g.name.startswith(".")), None
    )
    table = next(
        (e for e in entries if e.suffix.lower() in {".npy", ".npz", ".csv", ".tsv", ".parquet"}),
        None,
    )
    found = f"{path} has no pictures ({' '.join(sorted(SUFFIXES))})"
    if table is not None:
        return f"{found}; to load the file in it, give {table}"
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


def _read(file: Path, size: tuple[int, int] | None, channels: int | None) -> NDArray[np.uint8]:
    """One picture, `(H, W)` if gray and `(H, W, 3)` if not."""
    pillow = require("PIL.Image", extra="data", purpose="read images")
    ops = require("PIL.ImageOps", extra="data", purpose="read images")
    try:
        with pillow.open(file) as opened:
            frames = getattr(opened, "n_frames", 1)
            opened.load()
            # Cameras store the way up beside the pixels.
            picture = ops.exif_transpose(opened)
    except Exception as error:  # Pillow's readers meet damage with errors of every kind
        raise InputError(f"{file} cannot be read as a picture ({error}): replace it") from None
    if frames > 1:
        raise InputError(f"{file} holds {frames} frames: save each as a picture of its own")
    if picture.mode in DEEP:
        raise InputError(
            f"{file} has more than 8 bits per pixel (mode {picture.mode}): convert it to 8 bits, "
            "or give the pixels as an .npy array"
        )
    if picture.has_transparency_data:
        picture = _flatten(picture, file, channels, pillow)
    gray = picture.mode in ("1", "L", "LA") if channels is None else channels == 1
    picture = picture.convert("L" if gray else "RGB")
    if size is not None:
        picture = ops.fit(picture, (size[1], size[0]), method=pillow.Resampling.LANCZOS)
    return np.array(picture, dtype=np.uint8)


def _flatten(picture: Any, file: Path, channels: int | None, pillow: Any) -> Any:
    """The picture without its alpha channel: dropped if opaque, on white if asked for."""
    gray = picture.mode in ("LA", "La")
    full = picture.convert("RGBA")
    if full.getextrema()[3][0] < 255:
        if channels is None:
            raise InputError(
                f"{file} has transparent pixels: channels=3 (or 1, gray) puts every picture on "
                "white"
            )
        white = pillow.new("RGBA", full.size, "white")
        full = pillow.alpha_composite(white, full)
    return full.convert("L" if gray else "RGB")


def _channels_first(picture: NDArray[np.uint8], color: bool) -> NDArray[np.uint8]:
    if picture.ndim == 3:
        return picture.transpose(2, 0, 1)
    return np.repeat(picture[None], 3 if color else 1, axis=0)
