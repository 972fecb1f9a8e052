"""Which points take part in a plan, and whether costs that forbid pairs allow one at all."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.ot import checks
from pushforward.ot.geometry import Geometry

__all__ = ["check_feasible", "support"]

_ROUNDING = 1e-6
"""The mass that weights may lack by rounding."""


def support(
    geometry: Geometry, a: Tensor, b: Tensor, taus: tuple[float, float]
) -> tuple[Tensor | None, Tensor | None]:
    """The rows and the columns that have mass and a partner; `None` for all of them.

    Raises `InputError` where mass has to go and no pair is allowed.
    """
    rows, columns = a > 0, b > 0
    if geometry.forbids:
        some_row, some_column = torch.zeros_like(rows), torch.zeros_like(columns)
        for part in geometry.blocks():
            allowed = (geometry.costs(part) < torch.inf) & rows[part, None] & columns
            some_row[part] = allowed.any(1)
            some_column |= allowed.any(0)
        for name, mass, some, tau in (
            ("row", rows, some_row, taus[0]),
            ("column", columns, some_column, taus[1]),
        ):
            alone = (mass & ~some).nonzero()[:, 0]
            if len(alone) and math.isinf(tau):
                raise InputError(
                    f"the mass of {name} {int(alone[0])} has nowhere to go: all its costs, to "
                    "points with mass, are infinite. Allow a pair, or take a finite tau"
                )
        if not bool(some_row.any()):
            raise InputError("every cost is infinite: no pair is allowed")
        rows, columns = some_row, some_column
    return _index(rows), _index(columns)


def check_feasible(geometry: Geometry, a: Tensor, b: Tensor, f: Tensor) -> None:
    """Raise `InputError` if some rows have more mass than all columns that they are allowed.

    That is Hall's condition, which all sets of rows meet if there is a plan. If there is none the
    first potential grows without bound on a set that does not, so that the sets tried are those of
    its largest values.
    """
    order = f.where(a > 0, -torch.inf).argsort(descending=True)[: int((a > 0).sum())]
    first = torch.full((len(b),), len(order), device=b.device)
    place = torch.full((len(a),), len(order), device=a.device)
    place[order] = torch.arange(len(order), device=a.device)
    for rows in geometry.blocks():
        allowed = geometry.costs(rows) < torch.inf
        first = torch.minimum(first, place[rows, None].where(allowed, len(order)).amin(0))
    wide = checks.wide(a)
    mass = a.to(wide)[order].cumsum(0)
    room = torch.zeros(len(order) + 1, dtype=wide, device=b.device)
    room = room.index_add_(0, first, b.to(wide))[:-1].cumsum(0)
    worst = int((mass - room).argmax())
    if float(mass[worst] - room[worst]) > _ROUNDING:
        raise InputError(
            f"no plan avoids infinite costs: {worst + 1} rows, row {int(order[0])} among them, "
            f"have the mass {float(mass[worst]):.6g}, and all columns that they may go to have "
            f"{float(room[worst]):.6g}. Allow more pairs, or take a finite tau"
        )


def _index(mask: Tensor) -> Tensor | None:
    return None if bool(mask.all()) else mask.nonzero()[:, 0]
