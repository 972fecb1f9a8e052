"""Samples of molecules beside held-out ones."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

from pushforward._random import resolve
from pushforward.data import Data
from pushforward.errors import MissingExtraError
from pushforward.metrics import Evaluation, Row, evaluate
from pushforward.metrics.molecular_stability import geometry_rows, stability_rows
from pushforward.metrics.molecular_validity import strain_rows, validity_rows
from pushforward.molecules import VALENCES, Atoms, invariants

__all__ = ["evaluated_molecules"]

_MOST = 2000
"""Molecules on each side whose bonds are looked at."""


def evaluated_molecules(samples: Any, test: Data, train: Data, **options: Any) -> Evaluation:
    """`metrics.evaluate` on what does not change when molecules turn, with rows of chemistry.

    Stability, bonds and angles by the distance rule; validity, uniqueness and novelty by RDKit and
    strain by GFN2-xTB, if these are installed: if not, a warning says how.
    """
    known = test.schema.molecules
    assert known is not None
    elements, seed = known.elements, options.get("seed", 0)
    ours, theirs, real = (known.atoms(x) for x in (samples, test.x, train.x))
    found = evaluate(
        ours,
        theirs,
        real,
        features=lambda atoms: invariants(atoms, elements)[0],
        categories=lambda atoms: {"number of atoms": atoms.number},
        **options,
    )
    generator = resolve(seed)
    size = min(_MOST, *(len(atoms.mask) for atoms in (ours, theirs, real)))
    few, held, some = (_some(atoms, size, generator) for atoms in (ours, theirs, real))
    rows: list[Row] = [*stability_rows(few, held, elements)]
    missing: list[str] = []
    if not rows:
        odd = [symbol for symbol in elements if symbol not in VALENCES]
        missing.append(
            f"Stability is left out: there is no valence of {', '.join(odd)} in the table of the "
            "distance rule."
        )
    for more in (
        lambda: validity_rows(few, held, real, elements),
        lambda: geometry_rows(few, held, some, elements, seed=seed),
        lambda: strain_rows(few, held, elements, seed=seed),
    ):
        try:
            rows += more()
        except MissingExtraError as error:
            missing.append(f"Rows are left out: {error}.")
    return dataclasses.replace(
        found, rows=(*rows, *found.rows), warnings=(*found.warnings, *missing)
    )


def _some(atoms: Atoms, n: int, generator: torch.Generator) -> Atoms:
    order = torch.randperm(len(atoms.mask), generator=generator)[:n]
    return Atoms(*(part.detach().cpu()[order] for part in atoms))
