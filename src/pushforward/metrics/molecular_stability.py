"""How molecules compare with real ones by the distance rule: stability, bonds and angles."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.metrics.estimate import Estimate
from pushforward.metrics.evaluation import Better, Row
from pushforward.molecules import (
    VALENCES,
    Atoms,
    BondGeometry,
    Measured,
    bond_orders,
    geometry,
    stable_atoms,
)

__all__ = [
    "atom_stability",
    "geometry_rows",
    "molecule_stability",
    "row_of",
    "share_of",
    "stability_rows",
    "wasserstein",
]

_RESAMPLES = 50


def atom_stability(stable: Tensor, number: Tensor) -> Estimate:
    """The share of stable atoms of all, with the error of whole molecules drawn at random.

    Args:
        stable: how many atoms of each molecule are stable, `(B,)`.
        number: how many it has.

    >>> print(atom_stability(torch.tensor([4, 4, 2, 4]), torch.tensor([4, 4, 4, 4])))
    0.88 ± 0.12
    """
    s, n = stable.double(), number.double()
    share = float(s.sum() / n.sum())
    # The delta method of a ratio of means: atoms of one molecule belong together.
    spread = float((s - share * n).var()) if len(s) > 1 else math.nan
    return Estimate(share, math.sqrt(spread / len(s)) / float(n.mean()), len(s))


def molecule_stability(stable: Tensor, number: Tensor) -> Estimate:
    """The share of molecules of which all atoms are stable; a set without atoms is none.

    >>> print(molecule_stability(torch.tensor([4, 4, 2, 4]), torch.tensor([4, 4, 4, 4])))
    0.75 ± 0.22
    """
    return share_of((stable == number) & (number > 0))


def share_of(flags: Tensor) -> Estimate:
    """The share of true ones, with the error of as many draws; of none, NaN.

    >>> print(share_of(torch.tensor([True, False, True, True])))
    0.75 ± 0.22
    """
    n = len(flags)
    if n == 0:
        return Estimate(math.nan, math.nan, 0)
    share = float(flags.double().mean())
    # All or none of few is no certainty: half a success and half a failure more.
    safe = (share * n + 0.5) / (n + 1)
    spread = share * (1 - share) if 0 < share < 1 else safe * (1 - safe)
    return Estimate(share, math.sqrt(spread / n), n)


def stability_rows(samples: Atoms, test: Atoms, elements: Sequence[str]) -> tuple[Row, ...]:
    """The shares of stable atoms and molecules, beside those of held-out data, which are no 100 %;
    nothing where an element is not in the table of the rule."""
    if not set(elements) <= set(VALENCES):
        return ()
    ours, theirs = (
        (stable_atoms(atoms, elements).sum(1), atoms.number) for atoms in (samples, test)
    )
    atoms = atom_stability(*ours), atom_stability(*theirs)
    whole = molecule_stability(*ours), molecule_stability(*theirs)
    note = "by the distance rule; the floor is that of held-out molecules"
    return (
        row_of("stable atoms", atoms, "higher", note),
        row_of("stable molecules", whole, "higher", "all of their atoms are"),
    )


def geometry_rows(
    samples: Atoms, test: Atoms, train: Atoms, elements: Sequence[str], *, seed: int = 0
) -> tuple[Row, ...]:
    """How far kinds of bonds, their lengths and the angles between them are from held-out ones.

    Kinds by the total variation distance of their frequencies, lengths and angles by the
    Wasserstein distance within each kind, averaged with the frequencies of held-out data. Standard
    errors are those of a bootstrap of molecules.
    """
    ours, theirs, real = (
        geometry(atoms, elements, bond_orders(atoms, elements)) for atoms in (samples, test, train)
    )
    sizes = [len(atoms.mask) for atoms in (samples, test, train)]
    if not all(found.lengths for found in (ours, theirs, real)):
        return ()
    generator = resolve(seed)

    def measured(
        what: Callable[[BondGeometry], Mapping[str, Measured]],
        distance: Callable[[Mapping[str, Measured], Mapping[str, Measured], Tensor, Tensor], float],
    ) -> tuple[Estimate, Estimate]:
        found = []
        for own, n in ((ours, sizes[0]), (real, sizes[2])):
            pair = what(own), what(theirs)
            value = distance(*pair, torch.ones(n), torch.ones(sizes[1]))
            again = [
                distance(*pair, _resampled(n, generator), _resampled(sizes[1], generator))
                for _ in range(_RESAMPLES)
            ]
            found.append(Estimate(value, float(torch.tensor(again).std()), n))
        return found[0], found[1]

    lengths, angles = (lambda g: g.lengths), (lambda g: g.angles)
    within = "within each kind, weighted by its frequency; the floor is training data"
    rows = [
        row_of("bond kinds", measured(lengths, _kinds_apart), "lower",
               "total variation distance of the frequencies of C-H, O=C, ..."),
        row_of("bond lengths", measured(lengths, _values_apart), "lower",
               f"Wasserstein distance {within}", "Å"),
    ]  # fmt: skip
    if all(found.angles for found in (ours, theirs, real)):
        note = "the same of the angles at each element"
        rows.append(row_of("bond angles", measured(angles, _values_apart), "lower", note, "°"))
    return tuple(rows)


def row_of(
    name: str, pair: tuple[Estimate, Estimate], better: Better, note: str, unit: str = ""
) -> Row:
    """A row of an estimate and its floor."""
    found, floor = pair
    known = found.value, found.stderr, floor.value, floor.stderr
    return Row(name, *known, better, note, unit)


def _resampled(n: int, generator: torch.Generator) -> Tensor:
    """How often each of `n` molecules is drawn."""
    drawn = torch.randint(0, n, (n,), generator=generator)
    return torch.bincount(drawn, minlength=n).float()


def _kinds_apart(
    ours: Mapping[str, Measured], theirs: Mapping[str, Measured], w: Tensor, v: Tensor
) -> float:
    p, q = _frequencies(ours, w), _frequencies(theirs, v)
    return sum(abs(p.get(kind, 0.0) - q.get(kind, 0.0)) for kind in {*p, *q}) / 2


def _values_apart(
    ours: Mapping[str, Measured], theirs: Mapping[str, Measured], w: Tensor, v: Tensor
) -> float:
    """The mean over the kinds that both have, with the frequencies of the second."""
    q = _frequencies(theirs, v)
    both = [kind for kind in theirs if kind in ours]
    weighted = [
        (q[kind], wasserstein(ours[kind], theirs[kind], w, v)) for kind in both if q[kind] > 0
    ]
    fine = [(weight, value) for weight, value in weighted if math.isfinite(value)]
    total = sum(weight for weight, _ in fine)
    return sum(weight * value for weight, value in fine) / total if total else math.nan


def _frequencies(found: Mapping[str, Measured], weights: Tensor) -> dict[str, float]:
    counts = {kind: float(weights[measured.rows].sum()) for kind, measured in found.items()}
    total = sum(counts.values()) or 1.0
    return {kind: count / total for kind, count in counts.items()}


def wasserstein(x: Measured, y: Measured, w: Tensor, v: Tensor) -> float:
    """The Wasserstein-1 distance of two weighted sets of numbers, the area between their
    distribution functions; NaN if a set has no weight.

    >>> at = torch.tensor([0, 0])
    >>> x, y = Measured(torch.tensor([0.0, 1.0]), at), Measured(torch.tensor([2.0, 3.0]), at)
    >>> wasserstein(x, y, torch.ones(1), torch.ones(1))
    2.0
    """
    values = torch.cat([x.values, y.values]).double()
    own, other = w[x.rows].double(), v[y.rows].double()
    if float(own.sum()) == 0 or float(other.sum()) == 0:
        return math.nan
    mass = torch.cat([own / own.sum(), -other / other.sum()])
    order = values.argsort()
    gaps, heights = values[order].diff(), mass[order].cumsum(0)[:-1]
    return float((gaps * heights.abs()).sum())
