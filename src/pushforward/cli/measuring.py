"""Operators, noise and measurements as words and files of the command line."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pushforward import registry
from pushforward.errors import InputError

__all__ = ["noise_from", "operator_from", "read_measurement", "read_states", "rows_from"]

_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif")
_ARRAYS = (".npy", ".npz")


def operator_from(text: str, columns: Sequence[str] = ()) -> Any:
    """The operator that words such as `downsample:4` say; `blur:1.5+downsample:4` is one after the
    other.

    Args:
        text: a name of `pushforward list operators` and, after a colon, its arguments: numbers, the
            name of a file for `mask`, `matrix` and `fourier`, or names for `columns`.
        columns: the names that a table has.

    Raises `InputError` for names that do not exist, and for arguments that do not fit.

    >>> operator_from("crop:0,0,4,8").observed_shape((1, 8, 8))
    (1, 4, 8)
    """
    from pushforward.inverse import compose

    found = None
    for part in text.split("+"):
        own = _one(part.strip(), columns)
        found = own if found is None else compose(own, found)
    return found


def _one(text: str, columns: Sequence[str]) -> Any:
    name, _, rest = text.partition(":")
    words = [word.strip() for word in rest.split(",")] if rest else []
    if name == "columns" and words:
        return registry.find("operators", name)(*(_column(word, columns) for word in words))
    make = registry.find("operators", name)
    if not callable(make):
        return make
    if name == "mask" and len(words) == 1:
        return make(_mask(Path(words[0])))
    values = [_value(word) for word in words]
    try:
        inspect.signature(make).bind(*values)
    except TypeError:
        taken = ",".join(p.upper() for p in inspect.signature(make).parameters)
        raise InputError(
            f"--operator {name}:{taken.lower()} is how it is written, not {text!r}"
        ) from None
    return make(*values)


def _column(word: str, columns: Sequence[str]) -> int | str:
    return int(word) if word not in columns and word.isdigit() else word


def _value(word: str) -> Any:
    """A number, the array in a file, or a word."""
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    if Path(word).suffix.lower() in (*_ARRAYS, *_PICTURES):
        path = Path(word)
        return _mask(path) if path.suffix.lower() in _PICTURES else _array(path)
    return word


def noise_from(text: str | None, value_range: tuple[float, float] | None) -> Any:
    """What `--noise` says: `0.05`, one level for each number `0.1,0.2`, `5%` of the range of the
    data, `exact`, `estimated`, `laplace:0.1`, `poisson` or `poisson:GAIN`.

    >>> noise_from("5%", (0.0, 255.0))
    12.75
    """
    import torch

    if text is None:
        raise InputError(
            "give --noise: the standard deviation in the units of y, such as 0.05 or 5% of the "
            "range of the data; exact where there is none, or estimated"
        )
    name, _, rest = text.partition(":")
    if name in registry.names("noises") and name != "gaussian":
        make = registry.find("noises", name)
        values = [_number(word) for word in rest.split(",")] if rest else []
        try:
            inspect.signature(make).bind(*values)
        except TypeError:
            raise InputError(f"--noise {name}:LEVEL is how it is written, not {text!r}") from None
        return make(*values)
    if text == "estimated":
        return text
    levels = [
        _level(word, value_range) for word in (rest if name == "gaussian" else text).split(",")
    ]
    if not all(0 < level < math.inf for level in levels):
        raise InputError(
            f"--noise {text}: a standard deviation is positive and finite; where there is no noise "
            "give --noise exact"
        )
    return levels[0] if len(levels) == 1 else torch.tensor(levels)


def _level(word: str, value_range: tuple[float, float] | None) -> float:
    if not word.strip().endswith("%"):
        return _number(word)
    if value_range is None:
        raise InputError(f"--noise {word}: the range of these data is not known, give a number")
    return _number(word.strip()[:-1]) / 100 * (value_range[1] - value_range[0])


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        known = ", ".join(name for name in registry.names("noises") if name != "gaussian")
        raise InputError(
            f"--noise is a standard deviation, 5% of the range of the data, estimated, or one of "
            f"{known}, not {word!r}"
        ) from None


# -- files --------------------------------------------------------------------------------------


def read_measurement(
    path: str, run: Path, model: Any, command: Any = None
) -> tuple[Any, list[str]]:
    """A measurement in data units, and the names of its columns if it is a table.

    One measurement of an array or a picture, a batch of a table. Pixels of a picture, 0 to 255, are
    put on the range of the data of the model.
    """
    file = Path(path)
    if file.suffix.lower() in _PICTURES:
        return _picture(file, run, model), []
    if file.suffix.lower() in _ARRAYS:
        return _array(file), []
    from pushforward.cli.rundata import load_columns

    data = load_columns(run, path, model, command=command)
    return data.x, list(data.schema.names)


def read_states(path: str, run: Path, model: Any, command: Any = None) -> Any:
    """States `(n, *event)` in data units: a picture, or data like those of the run."""
    from pushforward.cli.rundata import load_like

    if Path(path).suffix.lower() in _PICTURES:
        return _picture(Path(path), run, model).unsqueeze(0)
    return load_like(run, path, model, False, command=command).x


def rows_from(text: str, count: int) -> list[int]:
    """The rows of `count` that words such as `0:4` or `3,7` say.

    Raises `InputError` for what says no rows, and for rows that are not there.

    >>> rows_from("2:5", 9), rows_from("3,7", 9), rows_from(":2", 9)
    ([2, 3, 4], [3, 7], [0, 1])
    """
    found: list[int] = []
    for part in text.split(","):
        own = re.fullmatch(r"(?P<one>\d+)|(?P<first>\d*):(?P<last>\d*)", part.strip())
        if own is None:
            raise InputError(f"--rows {text}: rows are numbers from 0, such as 0:4 or 3,7")
        start = int(own["one"] or own["first"] or 0)
        stop = start + 1 if own["one"] else int(own["last"] or count)
        if not start < stop <= count:
            raise InputError(
                f"--rows {text}: {part.strip()} says none of the rows 0 to {count - 1}, or too many"
            )
        found += range(start, stop)
    return found


def _picture(file: Path, run: Path, model: Any) -> Any:
    """A picture `(C, H, W)` on the range of the data."""
    import torch

    from pushforward.cli.rundata import levels_of

    shape, limits = model.event_shape, levels_of(run)["value_range"]
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise InputError(f"{file} is a picture, and the states of this model have shape {shape}")
    if limits is None:
        raise InputError(
            f"{file}: the model does not know which numbers stand for black and white: give y as "
            "an .npy file in the units of the data"
        )
    pixels = torch.from_numpy(_pixels(file, shape[0])).double()
    low, high = limits
    return (low + (high - low) * pixels / 255).float()


def _pixels(file: Path, channels: int) -> Any:
    """The pixels of a file, `(C, H, W)`."""
    from pushforward.data.picture_reader import PictureReader

    found = PictureReader(channels=channels).read(file)
    return found[None].copy() if found.ndim == 2 else found.transpose(2, 0, 1).copy()


def _mask(path: Path) -> Any:
    """A mask from a picture, whose white pixels are 1, or from an array."""
    import torch

    if path.suffix.lower() not in _PICTURES:
        return _array(path)
    return torch.from_numpy(_pixels(path, 1)[0] > 127)


def _array(path: Path) -> Any:
    """The one array of an `.npy` or `.npz` file."""
    import numpy as np
    import torch

    from pushforward._regular import require_file

    require_file(path)
    try:
        found: Any = np.load(path, allow_pickle=False)
        if not isinstance(found, np.ndarray):
            if len(found.files) != 1:
                raise InputError(f"{path} holds {len(found.files)} arrays, {found.files}: give one")
            found = found[found.files[0]]
        return torch.from_numpy(np.ascontiguousarray(found, dtype=_kind(found)))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (OSError, ValueError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read as an array of numbers ({error})") from None


def _kind(found: Any) -> Any:
    import numpy as np

    return bool if found.dtype == bool else np.float32 if found.dtype == np.float32 else np.float64
