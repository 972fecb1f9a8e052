"""What RDKit makes of molecules: SMILES, and whether they are valid."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pushforward._extras import require
from pushforward.molecules.molecule import AROMATIC, Molecule

__all__ = ["Perceived", "perceived", "rdkit_molecule"]


@dataclass(frozen=True)
class Perceived:
    """A molecule as RDKit sees it.

    Args:
        smiles: the canonical SMILES without hydrogen, of a valid molecule; `None` otherwise.
        fragments: how many connected parts it has.
        fault: why it is not valid, in RDKit's words or "disconnected"; empty for a valid one.
    """

    smiles: str | None
    fragments: int
    fault: str = ""

    @property
    def valid(self) -> bool:
        """Connected, with valences that RDKit accepts."""
        return self.smiles is not None


def perceived(molecules: Iterable[Molecule]) -> list[Perceived]:
    """What RDKit makes of molecules with bonds.

    Valid are those in one piece that sanitization accepts. A published validity is often that of
    the largest piece: a molecule that fell apart then passes by its larger half.

    Raises `MissingExtraError` without RDKit.
    """
    chem = require("rdkit.Chem", extra="molecules", purpose="read SMILES off molecules")
    log = require("rdkit.rdBase", extra="molecules", purpose="read SMILES off molecules")
    found = []
    # What is wrong with a molecule is returned, not printed.
    with log.BlockLogs():
        for molecule in molecules:
            made = rdkit_molecule(molecule)
            pieces = len(chem.GetMolFrags(made))
            if pieces > 1:
                found.append(Perceived(None, pieces, "disconnected"))
                continue
            try:
                chem.SanitizeMol(made)
                smiles = chem.MolToSmiles(chem.RemoveHs(made))
            except chem.MolSanitizeException as error:
                found.append(Perceived(None, pieces, str(error)))
                continue
            found.append(Perceived(smiles, pieces))
    return found


def rdkit_molecule(molecule: Molecule) -> Any:
    """A molecule with its bonds, charges and positions as one of RDKit's, not sanitized.

    Raises `MissingExtraError` without RDKit.
    """
    chem = require("rdkit.Chem", extra="molecules", purpose="make molecules of RDKit")
    kinds = {
        1: chem.BondType.SINGLE,
        2: chem.BondType.DOUBLE,
        3: chem.BondType.TRIPLE,
        AROMATIC: chem.BondType.AROMATIC,
    }
    made = chem.RWMol()
    for symbol, charge in zip(molecule.symbols, molecule.formal_charges, strict=True):
        atom = chem.Atom(symbol)
        atom.SetFormalCharge(charge)
        made.AddAtom(atom)
    for bond in molecule.bonds:
        made.AddBond(bond.first, bond.second, kinds[bond.kind])
        if bond.kind == AROMATIC:
            for end in (bond.first, bond.second):
                made.GetAtomWithIdx(end).SetIsAromatic(True)
            made.GetBondBetweenAtoms(bond.first, bond.second).SetIsAromatic(True)
    conformer = chem.Conformer(len(molecule))
    for k, position in enumerate(molecule.positions.tolist()):
        conformer.SetAtomPosition(k, position)
    made.AddConformer(conformer)
    return made
