"""Validity, uniqueness and novelty of molecules, as RDKit sees them, and their strain."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from pushforward._random import resolve
from pushforward.metrics.estimate import Estimate
from pushforward.metrics.evaluation import Row
from pushforward.metrics.molecular_stability import row_of, share_of
from pushforward.molecules import Atoms, Molecule, Perceived, perceived, relaxed, with_bonds

__all__ = ["Strain", "strain", "strain_rows", "uniqueness", "validity_rows"]

_KNOWN = 20_000
"""Training molecules, at the most, that novelty is looked for beside."""
_RESAMPLES = 200


def validity_rows(
    samples: Atoms, test: Atoms, train: Atoms, elements: Sequence[str]
) -> tuple[Row, ...]:
    """Shares of valid molecules, of different ones among the valid, and of new ones among these.

    Valid are molecules in one piece that RDKit accepts with the bonds of the distance rule.
    Uniqueness is that of the valid, at equal number on both sides, as it falls with the number of
    molecules that are looked at. Novelty is no merit by itself: of data that list all molecules
    of a kind, as QM9 does, what is new has left the kind.

    Raises `MissingExtraError` without RDKit.
    """
    ours, theirs = (_seen(atoms, elements) for atoms in (samples, test))
    few = Atoms(*(part[:_KNOWN] for part in train))
    known = {one.smiles for one in perceived(with_bonds(few, elements))} - {None}
    smiles = [[one.smiles for one in side if one.smiles is not None] for side in (ours, theirs)]
    n = min(map(len, smiles))
    beside = "all" if len(few.mask) == len(train.mask) else f"{_KNOWN:,} of {len(train.mask):,}"

    def shares(what: Callable[[Perceived], bool]) -> tuple[Estimate, Estimate]:
        first, second = (share_of(torch.tensor([what(one) for one in side])) for side in both)
        return first, second

    def new(found: Sequence[str]) -> Estimate:
        return share_of(torch.tensor([one not in known for one in sorted(set(found))]))

    both = ours, theirs
    return (
        row_of("connected molecules", shares(lambda one: one.fragments == 1), "higher",
               "in one piece, by the distance rule"),
        row_of("valid molecules", shares(lambda one: one.valid), "higher",
               "in one piece, and accepted by RDKit with the bonds of the distance rule"),
        row_of("unique of the valid", (uniqueness(smiles[0][:n]), uniqueness(smiles[1][:n])),
               "higher", f"different SMILES among {n} on each side"),
        row_of("novel of the unique", (new(smiles[0]), new(smiles[1])), "floor",
               f"SMILES that {beside} training molecules do not have: as many as of held-out data"),
    )  # fmt: skip


def _seen(atoms: Atoms, elements: Sequence[str]) -> list[Perceived]:
    """What RDKit makes of the molecules, and of sets without atoms, which are none."""
    empty = int((atoms.number == 0).sum())
    return [*perceived(with_bonds(atoms, elements)), *[Perceived(None, 0, "no atoms")] * empty]


def uniqueness(smiles: Sequence[str]) -> Estimate:
    """The share of different ones among some, with the error of a jackknife.

    Without one molecule there is one different less if it came once.

    >>> print(uniqueness(["C", "CC", "CCC", "C"]))
    0.75 ± 0.29
    """
    n = len(smiles)
    if n < 2:
        return Estimate(math.nan, math.nan, n)
    counts: dict[str, int] = {}
    for one in smiles:
        counts[one] = counts.get(one, 0) + 1
    different = len(counts)
    without = torch.tensor([(different - (counts[one] == 1)) / (n - 1) for one in smiles])
    spread = float((without.double() - without.double().mean()).square().sum()) * (n - 1) / n
    return Estimate(different / n, math.sqrt(spread), n)


class Strain(NamedTuple):
    """What relaxation gains of some molecules."""

    median: Estimate
    """Of those that could be relaxed, in kcal/mol."""
    high: Estimate
    """The 90 % quantile."""
    failed: Estimate
    """The share that could not be relaxed."""


def strain(molecules: Sequence[Molecule], *, seed: int = 0) -> Strain:
    """Median and 90 % quantile of the strain of molecules by GFN2-xTB, with bootstrapped errors.

    Raises `MissingExtraError` without tblite and ASE.
    """
    found = relaxed(molecules)
    values = torch.tensor([one.strain for one in found], dtype=torch.float64)
    fine = values[values.isfinite()]
    failed = share_of(~values.isfinite())
    if len(fine) == 0:
        nothing = Estimate(math.nan, math.nan, 0)
        return Strain(nothing, nothing, failed)
    drawn = torch.randint(0, len(fine), (_RESAMPLES, len(fine)), generator=resolve(seed))
    levels = torch.tensor([0.5, 0.9], dtype=torch.float64)
    errors = torch.quantile(fine[drawn], levels, dim=1).std(1).tolist()
    both = torch.quantile(fine, levels).tolist()
    median, high = (Estimate(q, e, len(fine)) for q, e in zip(both, errors, strict=True))
    return Strain(median, high, failed)


def strain_rows(
    samples: Atoms, test: Atoms, elements: Sequence[str], *, most: int = 30, seed: int = 0
) -> tuple[Row, ...]:
    """The strain of `most` valid molecules of each side; nothing where there are none.

    Raises `MissingExtraError` without RDKit, tblite and ASE.
    """
    sides = [_valid(atoms, elements, most) for atoms in (samples, test)]
    if not all(sides):
        return ()
    ours, theirs = (strain(side, seed=seed) for side in sides)
    apart = "below 2 apart is no result"
    note = f"lost by relaxation of {len(sides[0])} valid molecules; {apart}"
    return (
        row_of("strain, median", (ours.median, theirs.median), "floor", note, "kcal/mol"),
        row_of("strain, 90 %", (ours.high, theirs.high), "floor", apart, "kcal/mol"),
        row_of("not relaxed", (ours.failed, theirs.failed), "lower", "share without an energy"),
    )


def _valid(atoms: Atoms, elements: Sequence[str], most: int) -> list[Molecule]:
    """The first valid molecules of a batch."""
    found: list[Molecule] = []
    for start in range(0, len(atoms.mask), most):
        part = with_bonds(Atoms(*(own[start : start + most] for own in atoms)), elements)
        seen: list[Perceived] = perceived(part)
        found += [molecule for molecule, one in zip(part, seen, strict=True) if one.valid]
        if len(found) >= most:
            break
    return found[:most]
