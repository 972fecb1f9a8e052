"""Molecules: atoms in space, their files, their bonds, and what real ones look like.

Chemistry alone, which knows no model: readers and writers of `.xyz` and `.sdf`, QM9, the distance
rule for bonds, valencies, and laws of sizes need nothing but numpy and torch; SMILES and validity
need RDKit, energies tblite and ASE (extra `molecules`).
"""

from pushforward.molecules.atoms import Atoms, centered, packed, unpacked
from pushforward.molecules.bond_lengths import (
    MARGINS,
    VALENCES,
    bond_orders,
    stable_atoms,
    with_bonds,
)
from pushforward.molecules.dimension_error import dimension_error, law_of_sizes, sampling_floor
from pushforward.molecules.elements import ELEMENTS, atomic_number, element_named
from pushforward.molecules.geometry import BondGeometry, Measured, geometry
from pushforward.molecules.invariants import invariants
from pushforward.molecules.molecule import (
    AROMATIC,
    Bond,
    Molecule,
    check_apart,
    formula,
    ordered_elements,
)
from pushforward.molecules.perception import Perceived, perceived, rdkit_molecule
from pushforward.molecules.qm9 import QM9, QM9_ELEMENTS, read_qm9
from pushforward.molecules.sdf import parse_sdf, sdf_text
from pushforward.molecules.strain import Relaxed, relaxed
from pushforward.molecules.valency import ALLOWED, odd_valencies, valencies
from pushforward.molecules.xyz import parse_xyz, xyz_text

__all__ = [
    "ALLOWED",
    "AROMATIC",
    "ELEMENTS",
    "MARGINS",
    "QM9",
    "QM9_ELEMENTS",
    "VALENCES",
    "Atoms",
    "Bond",
    "BondGeometry",
    "Measured",
    "Molecule",
    "Perceived",
    "Relaxed",
    "atomic_number",
    "bond_orders",
    "centered",
    "check_apart",
    "dimension_error",
    "element_named",
    "formula",
    "geometry",
    "invariants",
    "law_of_sizes",
    "odd_valencies",
    "ordered_elements",
    "packed",
    "parse_sdf",
    "parse_xyz",
    "perceived",
    "rdkit_molecule",
    "read_qm9",
    "relaxed",
    "sampling_floor",
    "sdf_text",
    "stable_atoms",
    "unpacked",
    "valencies",
    "with_bonds",
    "xyz_text",
]
