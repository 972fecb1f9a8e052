"""Molecules in a report: structures, and a view that turns."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np

from pushforward import state
from pushforward.data import Data
from pushforward.errors import MissingExtraError
from pushforward.molecules import (
    Molecule,
    odd_valencies,
    perceived,
    rdkit_molecule,
    with_bonds,
)
from pushforward.report.page import section

__all__ = ["molecule_section", "projection"]

_SHOWN, _TURNING = 8, 12
_SIDE = 180
_COLORS = {"H": "#aab0b8", "N": "#3560c9", "O": "#d0352b", "F": "#4fae4a", "S": "#b8971a",
           "P": "#e08a1e", "Cl": "#2f9e44", "Br": "#9b3b22", "I": "#7a3aa0"}  # fmt: skip


def molecule_section(samples: Any, data: Data) -> str:
    """Structures of samples and data side by side, and samples that turn; nothing for other data.

    Drawn by RDKit where it accepts them, else as atoms and bonds along principal axes. The page
    loads nothing from anywhere.

    >>> import torch
    >>> molecule_section(torch.zeros(1, 2), Data(torch.zeros(1, 2)))
    ''
    """
    known = data.schema.molecules
    if known is None:
        return ""
    ours, theirs = (
        with_bonds(known.atoms(state.take(x, slice(0, n))), known.elements)
        for x, n in ((samples, _TURNING), (data.x, _SHOWN))
    )
    columns = (
        _column("samples of the model", ours[:_SHOWN]),
        _column("data", theirs),
    )
    note = (
        "Bonds by the distance rule. Structures that RDKit does not accept, or all without the "
        "extra molecules, are drawn as they lie along their principal axes."
    )
    return section(
        "Molecules", f'<div class="pair wide">{"".join(columns)}</div>{_turning(ours)}', note
    )


def projection(molecule: Molecule) -> str:
    """A molecule as an SVG picture: atoms and bonds seen along the axis of least extent.

    >>> picture = projection(Molecule(("H", "H"), [[0, 0, 0], [0, 0, 0.74]]))
    >>> picture.count("<circle"), picture.startswith("<svg")
    (2, True)
    """
    x = molecule.positions - molecule.positions.mean(0)
    _, axes = np.linalg.eigh(x.T @ x)
    flat = x @ axes[:, :0:-1]
    reach = max(1.5, float(np.abs(flat).max()) + 0.6)
    at = _SIDE / 2 * (1 + flat / reach)
    unit = _SIDE / 2 / reach
    parts = []
    for bond in molecule.bonds:
        (x1, y1), (x2, y2) = at[bond.first], at[bond.second]
        across = np.array([y1 - y2, x2 - x1]) / (np.hypot(x2 - x1, y2 - y1) or 1.0)
        lines = bond.kind if bond.kind <= 3 else 2
        for k in range(lines):
            dx, dy = across * (k - (lines - 1) / 2) * 0.16 * unit
            parts.append(
                f'<line x1="{x1 + dx:.1f}" y1="{y1 + dy:.1f}" x2="{x2 + dx:.1f}" '
                f'y2="{y2 + dy:.1f}" stroke="#8b929c" stroke-width="2"/>'
            )
    depth = x @ axes[:, 0]
    for k in np.argsort(depth):
        color = _COLORS.get(molecule.symbols[k], "#4a4f57")
        parts.append(
            f'<circle cx="{at[k, 0]:.1f}" cy="{at[k, 1]:.1f}" r="{0.3 * unit:.1f}" '
            f'fill="{color}"><title>{html.escape(molecule.symbols[k])}</title></circle>'
        )
    box = f'viewBox="0 0 {_SIDE} {_SIDE}" role="img"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box}>{"".join(parts)}</svg>'


def _column(title: str, molecules: Sequence[Molecule]) -> str:
    cells = "".join(
        f'<figure style="background:#fff;border-radius:6px">{picture}'
        f'<figcaption style="color:#5b6470">{html.escape(caption)}</figcaption></figure>'
        for picture, caption in map(_drawn, molecules)
    )
    grid = "display:grid;grid-template-columns:repeat(4,1fr);gap:.6rem"
    lead = f'<p class="lead">{html.escape(title)}</p>'
    return f'<div>{lead}<div style="{grid}">{cells}</div></div>'


def _drawn(molecule: Molecule) -> tuple[str, str]:
    """A picture and what stands below it."""
    try:
        [seen] = perceived([molecule])
    except MissingExtraError:
        return projection(molecule), f"{molecule}{_bonds_of(molecule)}"
    if seen.smiles is None:
        return projection(molecule), f"{molecule}, not valid"
    return _by_rdkit(molecule), f"{molecule}, {seen.smiles}"


def _bonds_of(molecule: Molecule) -> str:
    odd = len(odd_valencies(molecule))
    return f", {odd} odd valencies" if odd else ""


def _by_rdkit(molecule: Molecule) -> str:
    from pushforward._extras import require

    chem = require("rdkit.Chem", extra="molecules", purpose="draw molecules")
    draw = require("rdkit.Chem.Draw.rdMolDraw2D", extra="molecules", purpose="draw molecules")
    made = rdkit_molecule(molecule)
    chem.SanitizeMol(made)
    flat = chem.RemoveHs(made)
    flat.RemoveAllConformers()
    canvas = draw.MolDraw2DSVG(_SIDE, _SIDE)
    canvas.drawOptions().clearBackground = False
    draw.PrepareAndDrawMolecule(canvas, flat)
    canvas.FinishDrawing()
    text: str = canvas.GetDrawingText()
    return text[text.index("<svg") :]


def _turning(molecules: Sequence[Molecule]) -> str:
    """A canvas on which samples turn under the pointer."""
    shown = [
        {
            "title": str(molecule),
            "symbols": molecule.symbols,
            "xyz": (molecule.positions - molecule.positions.mean(0)).round(3).tolist(),
            "bonds": [[b.first, b.second, min(b.kind, 3)] for b in molecule.bonds],
        }
        for molecule in molecules
    ]
    # Symbols and numbers alone: nothing in them could end the script.
    script = files("pushforward.report").joinpath("molecule_view.js").read_text(encoding="utf-8")
    return (
        '<div class="molecule-view" style="margin-top:1rem">'
        f'<script type="application/json">{json.dumps(shown)}</script>'
        '<canvas style="width:100%;height:320px;touch-action:none;cursor:grab" '
        'role="img" aria-label="samples in space, to be turned by the pointer"></canvas>'
        '<p class="lead"><button class="before" aria-label="before">‹</button> '
        '<span class="which"></span> <button class="after" aria-label="next">›</button> '
        "drag to turn</p></div>"
        f"<script>{script}</script>"
    )
