"""Which held-out rows of a run are certified, and what each is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward.cli.given import told
from pushforward.cli.rundata import schema_of
from pushforward.cli.writing import label_of
from pushforward.data import Data
from pushforward.data.columns import listed
from pushforward.errors import InputError

__all__ = ["certified_rows", "comparable"]

_FEWEST = 20


def certified_rows(
    run: Path, model: Any, test: Data, label: str | None, given: str | None, context: Any
) -> tuple[Tensor, Any]:
    """The rows of a class, with given values, or all of them; and one thing that they are told, or
    for each its own.

    Raises `InputError` for values that too few rows have: a certificate is an average over draws
    of what it certifies.
    """
    code = label_of(run, label)
    if code is not None:
        x = test.x[test.c == code]
        if not len(x):
            raise InputError("no row of that class was held out")
        return x, code
    if given is None:
        return test.x, test.c if model.condition.conditional else None
    if "=" not in given:
        raise InputError(
            f"--given {given}: rows are chosen by NAME=VALUE; without --given every held-out row "
            "is certified with its own values"
        )
    own = told(run, model, given, 1, context)
    assert own is not None
    assert test.c is not None
    alike = torch.isclose(test.c.double(), own.c.to(test.c.device), rtol=1e-6, atol=0.0).all(1)
    if int(alike.sum()) < _FEWEST:
        raise InputError(
            f"--given {given}: {int(alike.sum())} of {len(test)} held-out rows have these values, "
            f"and a certificate rests on {_FEWEST} and more: numbers hardly ever repeat. Without "
            "--given every held-out row is certified with its own values, which bounds the mean "
            "over them"
        )
    return test.x[alike], own.c[0]


def comparable(run: Path, other: Path) -> None:
    """Raise `InputError` for two runs of different columns, classes or given columns."""
    first, second = schema_of(run), schema_of(other)
    for what, ours, theirs in (
        ("columns", first.names, second.names),
        ("classes", first.classes, second.classes),
        ("given columns", *([c.name for c in s.given] for s in (first, second))),
    ):
        if list(ours) != list(theirs):
            names = [listed([str(n) for n in some]) if some else "none" for some in (ours, theirs)]
            raise InputError(
                f"the runs are not of the same {what}: {run} has {names[0]}, and {other} has "
                f"{names[1]}"
            )
