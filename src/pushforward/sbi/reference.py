"""Observations and reference draws of the benchmark, read out of its wheel."""

from __future__ import annotations

import bz2
import io
import os
import zipfile
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from pushforward import checks
from pushforward.errors import InputError

__all__ = ["ReferencePosterior", "read_reference"]

_MOST = 1 << 26
"""Bytes of one file of the wheel: those of the benchmark have a few million."""


@dataclass(frozen=True)
class ReferencePosterior:
    """An observation of a task, the parameters that made it, and draws of its posterior.

    Args:
        y: `(k,)`.
        theta: `(d,)`.
        draws: `(10000, d)`.
    """

    y: Tensor = field(repr=False)
    theta: Tensor = field(repr=False)
    draws: Tensor = field(repr=False)


def read_reference(name: str, number: int, wheel: str | os.PathLike[str]) -> ReferencePosterior:
    """One of the ten observations of a task of sbibm, and its 10,000 reference draws.

    They are in the wheel of the package sbibm 1.1.0 (MIT license), which need not be installed:
    `pip download --no-deps sbibm==1.1.0` fetches it. Nothing of it is run.

    Args:
        name: of the task, such as `two_moons`.
        number: 1 to 10.
        wheel: the file.

    Raises `InputError` for a file that is no such wheel, or a task or number that it does not have.
    """
    number = checks.whole("number", number)
    place = f"sbibm/tasks/{name}/files/num_observation_{number}/"
    files = ("observation.csv", "true_parameters.csv", "reference_posterior_samples.csv.bz2")
    try:
        with zipfile.ZipFile(wheel) as archive:
            y, theta, draws = (_table(archive, place + file) for file in files)
    except FileNotFoundError:
        raise InputError(
            f"{os.fspath(wheel)} is not there: pip download --no-deps sbibm==1.1.0 fetches it"
        ) from None
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise InputError(f"{os.fspath(wheel)} is no wheel of sbibm: {error}") from None
    except KeyError:
        raise InputError(
            f"{os.fspath(wheel)} has no observation {number} of {name!r}: ten of each task are in "
            "sbibm 1.1.0"
        ) from None
    return ReferencePosterior(y[0], theta[0], draws)


def _table(archive: zipfile.ZipFile, name: str) -> Tensor:
    """A file of comma-separated numbers below one line of names."""
    size = archive.getinfo(name).file_size
    if size > _MOST:
        raise InputError(f"{name} has {size:,} bytes: sbibm has no file that large")
    raw = archive.read(name)
    if name.endswith(".bz2"):
        raw = bz2.BZ2Decompressor().decompress(raw, max_length=_MOST)
    rows = np.loadtxt(io.StringIO(raw.decode()), delimiter=",", skiprows=1, ndmin=2)
    return torch.from_numpy(rows).float()
