"""One picture file as its 8-bit pixels, or an error that says why that would lose something."""

from __future__ import annotations

import contextlib
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward._extras import require
from pushforward._regular import require_file
from pushforward.errors import InputError, MissingExtraError

__all__ = ["HEIF", "SUFFIXES", "PictureReader"]

HEIF = frozenset({".heic", ".heif"})
"""What phones write, and Pillow does not read by itself."""

SUFFIXES = HEIF | {
    ".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm",
    ".ppm", ".tif", ".tiff", ".webp",
}  # fmt: skip

_DEEP_MODES = {"I", "F", "I;16", "I;16B", "I;16L", "I;16N"}

# How the bytes of a file are unpacked; Pillow keeps the high byte of each of these without a word.
_DEEP_PACKING = re.compile(r";(16|32)F?[BLN]")

_TURNED = ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp")
"""Where Pillow looks for the way up of a picture."""


class PictureReader:
    """Reads picture files as gray `(H, W)` or RGB `(H, W, 3)` pixels of 8 bits.

    Args:
        size: height and width to crop the middle and resize to; as they are by default.
        channels: 1 for gray, 3 for RGB; by default what each file is.

    Needs Pillow, and pillow-heif for `.heic`. Raises `MissingExtraError` without them.
    """

    def __init__(self, size: tuple[int, int] | None = None, channels: int | None = None) -> None:
        self.size, self.channels = size, channels
        self._pillow = require("PIL.Image", extra="data", purpose="read images")
        self._ops = require("PIL.ImageOps", extra="data", purpose="read images")

    def read(self, file: Path) -> NDArray[np.uint8]:
        """The pixels of a file.

        Raises `InputError` naming the file for pictures that are damaged, transparent, of more than
        8 bits a channel, or animated.
        """
        picture = self._opened(file)
        if picture.mode == "L" and self.channels != 3 and "transparency" not in picture.info:
            gray = True
        else:
            if picture.has_transparency_data:
                picture = self._flatten(picture, file)
            known = picture.mode in ("1", "L", "LA")
            gray = known if self.channels is None else self.channels == 1
        mode = "L" if gray else "RGB"
        if picture.mode != mode:
            picture = picture.convert(mode)
        if self.size is not None:
            height, width = self.size
            picture = self._ops.fit(
                picture, (width, height), method=self._pillow.Resampling.LANCZOS
            )
        return np.asarray(picture)

    def _opened(self, file: Path) -> Any:
        """A picture of one frame and 8 bits, with its pixels and the right way up."""
        require_file(file)
        phone = file.suffix.lower() in HEIF
        bombs = self._pillow.DecompressionBombError, self._pillow.DecompressionBombWarning
        try:
            with (
                self._strictly(),
                _heif(file) if phone else self._pillow.open(file) as opened,
            ):
                if opened.format == "PNG":
                    _require_whole_png(file)
                bits = _bits(opened, file)
                frames = getattr(opened, "n_frames", 1)
                if bits is None and frames == 1:
                    opened.load()
                # Cameras store the way up beside the pixels.
                turned = opened.format == "TIFF" or any(key in opened.info for key in _TURNED)
                picture = self._ops.exif_transpose(opened) if turned else opened
        except (MissingExtraError, InputError):
            raise
        except bombs as error:
            raise InputError(
                f"{file} is larger than Pillow takes for safe ({error}): make it smaller, or "
                "raise PIL.Image.MAX_IMAGE_PIXELS if you know where it comes from"
            ) from None
        except Exception as error:  # Pillow's readers meet damage with errors of every kind
            raise InputError(
                f"{file} cannot be read as a picture ({error}): {_hint(file)}"
            ) from None
        if frames > 1:
            raise InputError(f"{file} holds {frames} frames: save each as a picture of its own")
        if bits is not None:
            raise InputError(
                f"{file} has more than 8 bits per channel ({bits}), which would be cut: convert it "
                "to 8 bits, or read the files with cv2.imread(file, cv2.IMREAD_UNCHANGED) or "
                "another reader of 16 bits and give the pixels as an .npy array"
            )
        return picture

    @contextlib.contextmanager
    def _strictly(self) -> Iterator[None]:
        """Pillow reads whole pictures or none, and warnings of bombs are errors, whatever the
        program around this one has told it."""
        files: Any = require("PIL.ImageFile", extra="data", purpose="read images")
        before, files.LOAD_TRUNCATED_IMAGES = files.LOAD_TRUNCATED_IMAGES, False
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", self._pillow.DecompressionBombWarning)
                yield
        finally:
            files.LOAD_TRUNCATED_IMAGES = before

    def _flatten(self, picture: Any, file: Path) -> Any:
        """The picture without its alpha channel: dropped if opaque, on white if asked for."""
        gray = picture.mode in ("L", "LA", "La")
        full = picture.convert("RGBA")
        if full.getextrema()[3][0] < 255:
            if self.channels is None:
                raise InputError(
                    f"{file} has transparent pixels: channels=3 (or 1, gray) puts every picture on "
                    "white"
                )
            white = self._pillow.new("RGBA", full.size, "white")
            full = self._pillow.alpha_composite(white, full)
        return full.convert("L" if gray else "RGB")


def _heif(file: Path) -> Any:
    """A picture of a phone, by pillow-heif."""
    heif = require("pillow_heif", extra="heic", purpose=f"read {file.name}")
    return heif.open_heif(file).to_pillow()


def _require_whole_png(file: Path) -> None:
    """Raise `InputError` for a PNG with a damaged part, or without its end.

    Pillow skips the checksums of the pixels, and does not miss what comes after them.
    """
    content = file.read_bytes()
    at = 8
    while at + 12 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        end = at + 8 + size
        if content[end : end + 4] != zlib.crc32(content[at + 4 : end]).to_bytes(4, "big"):
            name = kind.decode("latin-1")
            raise InputError(
                f"{file} cannot be read as a picture (its part {name!r} at byte {at} is damaged): "
                "replace it"
            )
        if kind == b"IEND":
            return
        at = end + 4
    raise InputError(
        f"{file} cannot be read as a picture (cut off after {len(content)} bytes): replace it"
    )


def _bits(picture: Any, file: Path) -> str | None:
    """What tells that a picture, opened but not loaded, has more than 8 bits; `None` otherwise."""
    if picture.mode in _DEEP_MODES:
        return f"mode {picture.mode}"
    depth = picture.info.get("bit_depth", 8)
    if depth > 8:
        return f"mode {picture.mode} of {depth} bits"
    if picture.format == "AVIF" and _deep_avif(file):
        return f"mode {picture.mode} of 10 or 12 bits"
    for tile in getattr(picture, "tile", ()):
        packing = tile.args if isinstance(tile.args, tuple) else (tile.args,)
        if isinstance(packing[0], str) and _DEEP_PACKING.search(packing[0]):
            return f"mode {packing[0]}"
        if picture.format == "PPM" and len(packing) > 1 and packing[1] > 255:
            return f"mode {picture.mode} up to {packing[1]}"
    return None


def _deep_avif(file: Path) -> bool:
    """The bit `high_bitdepth` of the AV1 configuration box, which Pillow does not tell."""
    with file.open("rb") as stream:
        head = stream.read(65536)
    box = head.find(b"av1C")
    return 0 <= box < len(head) - 6 and bool(head[box + 6] & 0x40)


def _hint(file: Path) -> str:
    if file.suffix.lower() == ".avif":
        return "Pillow reads AVIF from version 11.3 on; if yours does, replace it"
    return "replace it"
