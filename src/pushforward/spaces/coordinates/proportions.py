"""Parts of a whole: fractions of one, percent, or counts, as they stand in tables."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.spaces.coordinates.system import CLOSE, Counted, Where

__all__ = ["PARTS", "Proportions", "kind_of_parts", "replace_zeros", "rounded_parts"]

PARTS = {"fractions": 1.0, "percent": 100.0, "counts": None}
"""What the parts of a row sum to, by their kind; counts sum to anything."""

SHARE_OF_LEAST = 0.65
"""What a zero is replaced by, over the least positive share of its column."""

_MOST_DECIMALS = {"fractions": 9, "percent": 7, "counts": 0}


@configurable
@dataclass(frozen=True)
class Proportions(Counted):
    """Parts `(N, K)` of a whole, and shares that sum to one.

    Rows are divided by their sum. What is written again has the decimals of the data and sums to
    the total exactly: parts are rounded down, and the last units go to those that lost most. Zeros
    stay, or where states must be `positive` become 65 % of the least positive share of their
    column, while the other shares of the row shrink in proportion (multiplicative replacement,
    Martín-Fernández et al. 2003).

    Args:
        kind: `fractions`, which sum to one, `percent`, or `counts`, which sum to any number.
        many: how many parts there are.
        positive: whether states have no zeros.
        total: what written parts sum to; known once data have been seen, the median for counts.
        decimals: of written parts; known once data have been seen.
        least: what zeros of each column become; known once data have been seen.
        zeros: how many were replaced.

    >>> Proportions("percent").states(torch.tensor([[20.0, 30.0, 50.0]]))
    tensor([[0.2000, 0.3000, 0.5000]])
    """

    kind: str
    many: int | None = None
    positive: bool = False
    total: float | None = None
    decimals: int | None = None
    least: tuple[float, ...] = ()
    zeros: int = 0

    def __post_init__(self) -> None:
        # Written to a configuration as a list.
        object.__setattr__(self, "least", tuple(self.least))

    @property
    def short(self) -> str:
        """The kind."""
        return self.kind

    def sized(self, size: int) -> Proportions:
        """So many parts."""
        return replace(self, many=size)

    def words(self, names: tuple[str, ...]) -> str:
        """Names and kind, the total of counts, and what became of zeros."""
        found = f"{', '.join(names)} in {self.kind}"
        if self.kind == "counts" and self.total is not None:
            found += f" of {self.total:,.0f}"
        if self.zeros:
            found += (
                f", {self.zeros:,} {'zeros' if self.zeros > 1 else 'zero'} replaced by "
                f"{SHARE_OF_LEAST:.0%} of the least share of the column"
            )
        return found

    def check(self, table: Tensor, where: Where) -> None:
        """Not negative, not all zero, and counts are whole numbers."""
        where.require(table >= 0, table, f"{self.kind} are not negative")
        empty = table.sum(1) <= 0
        if bool(empty.any()):
            i = int(empty.nonzero()[0])
            raise InputError(
                f"{where.row(i)} holds nothing but zeros, which are shares of nothing; "
                f"{int(empty.sum()):,} of {len(table):,} rows do: leave them out"
            )
        if self.kind == "counts":
            where.require(table == table.round(), table, "counts are whole numbers")
        if self.positive and not self.least:
            never = ~(table > 0).any(0)
            if bool(never.any()):
                name = where.names[int(never.nonzero()[0])]
                raise InputError(
                    f"column {name!r} is zero in every row, which has no logarithm: leave it out "
                    "with columns="
                )

    def check_off(self, table: Tensor, where: Where, *, project: bool) -> None:
        """Sums as the kind says, to the rounding of the numbers; any with `project`."""
        wanted = PARTS[self.kind]
        if wanted is None or project:
            return
        sums = table.sum(1)
        bad = (sums - wanted).abs() > _slack(table, wanted)
        if not bool(bad.any()):
            return
        i = int(bad.nonzero()[0])
        raise InputError(
            f"{where.row(i)}: columns {', '.join(where.names)} sum to {float(sums[i]):.6g}, not to "
            f"{wanted:g}; {int(bad.sum()):,} of {len(table):,} rows are off: choose the parts with "
            "columns=, add the part that is missing, let project=True divide rows by their sums, "
            "or read counts of any total by coordinates='counts'"
        )

    def states(self, table: Tensor) -> Tensor:
        """Shares."""
        shares = table / table.sum(1, keepdim=True)
        if not self.positive:
            return shares
        return replace_zeros(shares, shares.new_tensor(self.least) if self.least else None)

    def numbers(self, x: Tensor) -> Tensor:
        """Parts of the total, that sum to it exactly once their decimals are known."""
        total = self.total or PARTS[self.kind] or 1.0
        shares = x.double().flatten(1)
        shares = shares / shares.sum(1, keepdim=True)
        if self.decimals is None:
            return total * shares
        return rounded_parts(shares, round(total * 10**self.decimals)) / 10**self.decimals

    def fitted(self, table: Tensor, decimals: tuple[int | None, ...]) -> Proportions:
        """With total, decimals and the treatment of zeros that a table has."""
        if self.total is not None:
            return self
        most = _MOST_DECIMALS[self.kind]
        digits = max(most if d is None else min(d, most) for d in decimals)
        total = PARTS[self.kind] or float(table.sum(1).median())
        shares = table / table.sum(1, keepdim=True)
        known = replace(self, total=total, decimals=digits)
        if not self.positive:
            return known
        return replace(known, least=tuple(_least(shares).tolist()), zeros=int((shares <= 0).sum()))

    def digits(self, decimals: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The same for all parts, so that they can sum to the total."""
        return (self.decimals,) * len(decimals)


def kind_of_parts(table: Tensor) -> str:
    """Which of `PARTS` a table `(N, K)` holds, by its sums.

    Raises `InputError` for a table of none.

    >>> kind_of_parts(torch.tensor([[20.0, 80.0], [50.5, 49.5]]).double())
    'percent'
    """
    middle = float(table.sum(1).median())
    for kind, wanted in PARTS.items():
        if wanted is not None and abs(middle - wanted) <= 0.02 * wanted:
            return kind
    if bool((table == table.round()).all()):
        return "counts"
    raise InputError(
        f"half of the rows sum to {middle:.6g} or more: not to 1 (fractions) nor to 100 (percent), "
        "and they are no counts. Choose the parts with columns=, or divide rows by their sums with "
        "coordinates='fractions' and project=True"
    )


def replace_zeros(x: Tensor, least: Tensor | None = None) -> Tensor:
    """Shares without zeros: these become `least`, `(K,)`, and the others shrink in proportion.

    By default 65 % of the least positive share of the column in `x` `(N, K)`.

    >>> replace_zeros(torch.tensor([[0.0, 1.0], [0.2, 0.8]]))
    tensor([[0.1300, 0.8700],
            [0.2000, 0.8000]])
    """
    added = torch.where(x > 0, 0.0, _least(x) if least is None else least.to(x))
    total = added.sum(-1, keepdim=True)
    # Many zeros at once must not take more than half of the row.
    added = added * (0.5 / total.clamp_min(0.5))
    return torch.where(x > 0, x * (1 - added.sum(-1, keepdim=True)), added)


def rounded_parts(shares: Tensor, units: int) -> Tensor:
    """Whole numbers `(N, K)` in proportion to shares, with the sum `units` (largest remainders).

    >>> rounded_parts(torch.tensor([[1.0, 1.0, 1.0]]).double() / 3, 100)
    tensor([[34., 33., 33.]], dtype=torch.float64)
    """
    exact = shares.double() * units
    whole = exact.floor()
    missing = (units - whole.sum(1, keepdim=True)).round()
    place = (exact - whole).argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    return whole + (place < missing)


def _least(shares: Tensor) -> Tensor:
    """What zeros of each column become."""
    smallest = torch.where(shares > 0, shares, torch.inf).amin(0)
    return SHARE_OF_LEAST * torch.where(smallest.isfinite(), smallest, 0.0)


def _slack(table: Tensor, wanted: float) -> float:
    """How far sums may be off, by the rounding of the parts to as many digits as they have; no
    more than a tenth."""
    # Whole fractions are exact: zeros and a one.
    for digits in range(1 if wanted == 1 else 0, 9):
        if bool(((table - table.round(decimals=digits)).abs() <= 1e-9 * wanted).all()):
            rounding = 0.5 * table.shape[1] * 10.0**-digits
            return min(max(CLOSE * wanted, rounding), 0.1 * wanted) * (1 + 1e-9)
    return CLOSE * wanted
