"""Strain: the energy that a molecule loses when it relaxes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pushforward._extras import require
from pushforward.molecules.elements import atomic_number
from pushforward.molecules.molecule import Molecule

__all__ = ["Relaxed", "relaxed"]

_KCAL_PER_EV = 23.060547830619

_FORCE = 0.05
"""Of a relaxed molecule at the most, in eV / Ångström."""
_STEPS = 200


@dataclass(frozen=True)
class Relaxed:
    """A molecule relaxed by GFN2-xTB.

    Args:
        strain: the energy it lost, in kcal/mol; NaN if it could not be relaxed.
        moved: how far atoms moved, the root of the mean square in Ångström.
        fault: why it could not be relaxed; empty otherwise.
    """

    strain: float
    moved: float
    fault: str = ""


def relaxed(molecules: Sequence[Molecule]) -> list[Relaxed]:
    """Each molecule relaxed with GFN2-xTB (Bannwarth, Ehlert & Grimme 2019), one after the other.

    By BFGS until no force is above 0.05 eV/Å, in 200 steps at the most; 0.2 s for a molecule of
    QM9. What cannot be computed is told for each molecule, and stops none of the others. The method
    itself errs by 1.5 to 2 kcal/mol between conformers: a smaller difference is no result.

    Raises `MissingExtraError` without tblite and ASE.
    """
    calculators = require("tblite.ase", extra="molecules", purpose="compute energies by GFN2-xTB")
    ase = require("ase", extra="molecules", purpose="relax molecules")
    optimizers = require("ase.optimize", extra="molecules", purpose="relax molecules")
    found = []
    for molecule in molecules:
        atoms = ase.Atoms(
            numbers=[atomic_number(symbol) for symbol in molecule.symbols],
            positions=molecule.positions,
        )
        charge = sum(molecule.formal_charges)
        atoms.calc = calculators.TBLite(method="GFN2-xTB", verbosity=0, charge=charge)
        try:
            # Overflow in a hopeless geometry ends in an energy that is not finite.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                before = atoms.get_potential_energy()
                fine = optimizers.BFGS(atoms, logfile=None).run(fmax=_FORCE, steps=_STEPS)
                after = atoms.get_potential_energy()
        except Exception as error:  # the packages raise errors of many kinds for one molecule
            found.append(Relaxed(np.nan, np.nan, str(error).splitlines()[0]))
            continue
        strain = (before - after) * _KCAL_PER_EV
        moved = float(np.sqrt(((atoms.positions - molecule.positions) ** 2).sum(1).mean()))
        if not fine or not np.isfinite(strain):
            fault = f"not relaxed in {_STEPS} steps" if np.isfinite(strain) else "no finite energy"
            found.append(Relaxed(np.nan, np.nan, fault))
            continue
        found.append(Relaxed(float(strain), moved))
    return found
