"""Structure-data files, `.sdf` and `.mol`: molecules with bonds in the table format V2000.

The fixed columns are those of the CTfile formats: a header of three lines, counts, an
atom block, a bond block, properties, then data items up to `$$$$`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pushforward.errors import InputError
from pushforward.molecules.elements import element_named
from pushforward.molecules.molecule import AROMATIC, Bond, Molecule
from pushforward.molecules.xyz import number_in

__all__ = ["parse_sdf", "sdf_text"]

_END = "$$$$"
_CHARGES = {1: 3, 2: 2, 3: 1, 5: -1, 6: -2, 7: -3}
"""What the codes of an atom line stand for; `M  CHG` lines replace them."""
_MOST = 999


def parse_sdf(text: str, source: str) -> Iterator[Molecule]:
    """The molecules of a file, positions in Ångström, with bonds, formal charges and data items.

    Raises `InputError` naming the record and the line for what is broken, and for the format V3000.

    >>> text = sdf_text([Molecule(("O", "H"), [[0, 0, 0], [0, 0, 1]], (Bond(0, 1, 1),), (-1, 0))])
    >>> [molecule] = parse_sdf(text, "hydroxide.sdf")
    >>> molecule.bonds, molecule.charges
    ((Bond(first=0, second=1, kind=1),), (-1, 0))
    """
    lines = text.splitlines()
    start = record = 0
    while start < len(lines):
        stop = next((k for k in range(start, len(lines)) if lines[k].startswith(_END)), len(lines))
        if any(line.strip() for line in lines[start:stop]):
            record += 1
            yield _record(lines[start:stop], f"{source}, molecule {record}", start)
        start = stop + 1


def sdf_text(molecules: Iterable[Molecule]) -> str:
    """Molecules as a file: positions in Ångström with four digits, as the format has them.

    Raises `InputError` for a molecule of more atoms or bonds than V2000 has columns for.

    >>> print(sdf_text([Molecule(("H", "H"), [[0, 0, 0], [0, 0, 0.74]], (Bond(0, 1, 1),))]))
    H2
      pushforward       3D
    <BLANKLINE>
      2  1  0  0  0  0  0  0  0  0999 V2000
        0.0000    0.0000    0.0000 H   0  0  0  0  0  0  0  0  0  0  0  0
        0.0000    0.0000    0.7400 H   0  0  0  0  0  0  0  0  0  0  0  0
      1  2  1  0
    M  END
    $$$$
    <BLANKLINE>
    """
    return "".join(_written(molecule) for molecule in molecules)


def _written(molecule: Molecule) -> str:
    n, bonds = len(molecule), molecule.bonds
    if max(n, len(bonds)) > _MOST:
        raise InputError(
            f"{molecule} has {n} atoms and {len(bonds)} bonds, and an .sdf of V2000 has room for "
            f"{_MOST} of each: write an .xyz"
        )
    title = " ".join(molecule.title.split()) or str(molecule)
    lines = [title, "  pushforward       3D", ""]
    lines.append(f"{n:3d}{len(bonds):3d}  0  0  0  0  0  0  0  0999 V2000")
    for symbol, (x, y, z) in zip(molecule.symbols, molecule.positions.tolist(), strict=True):
        lines.append(f"{x:10.4f}{y:10.4f}{z:10.4f} {symbol:<3} 0" + "  0" * 11)
    lines += [f"{b.first + 1:3d}{b.second + 1:3d}{b.kind:3d}  0" for b in bonds]
    charged = [(k + 1, q) for k, q in enumerate(molecule.charges) if q]
    for at in range(0, len(charged), 8):
        few = charged[at : at + 8]
        lines.append(f"M  CHG{len(few):3d}" + "".join(f"{k:4d}{q:4d}" for k, q in few))
    items = [line for name, text in molecule.items.items() for line in (f">  <{name}>", text, "")]
    return "\n".join([*lines, "M  END", *items, _END]) + "\n"


def _record(lines: list[str], where: str, start: int) -> Molecule:
    if len(lines) < 4:
        raise InputError(f"{where} ends before its counts, which are in its fourth line")
    counts = lines[3]
    if "V3000" in counts:
        raise InputError(f"{where} is in the format V3000: convert it to V2000")
    try:
        n, m = int(counts[:3]), int(counts[3:6])
    except ValueError:
        raise InputError(
            f"{where}: line {start + 4} holds {counts.strip()!r}, where the numbers of atoms and "
            "bonds are"
        ) from None
    if n < 1:
        raise InputError(f"{where} is empty: it has no atoms")
    if len(lines) < 4 + n + m:
        raise InputError(
            f"{where} announces {n} atoms and {m} bonds, but ends after {len(lines) - 4} lines of "
            "them"
        )
    symbols, positions, charges = [], [], []
    for k, line in enumerate(lines[4 : 4 + n]):
        symbol, position, charge = _atom(line, f"{where}: line {start + 5 + k}")
        symbols.append(symbol)
        positions.append(position)
        charges.append(charge)
    bonds = [
        _bond(line, n, f"{where}: line {start + 5 + n + k}")
        for k, line in enumerate(lines[4 + n : 4 + n + m])
    ]
    charges = _charges(lines[4 + n + m :], charges, where)
    return Molecule(
        tuple(symbols),
        positions,
        tuple(bonds),
        tuple(charges) if any(charges) else (),
        lines[0].strip(),
        _items(lines[4 + n + m :]),
    )


def _atom(line: str, where: str) -> tuple[str, list[float], int]:
    values = [number_in(line[at : at + 10]) for at in (0, 10, 20)]
    words = line[30:].split()
    if None in values or not words:
        raise InputError(f"{where} holds {line.strip()!r}, which is no atom: x, y, z and a symbol")
    symbol = element_named(words[0]) if not words[0].isdecimal() else None
    if symbol is None:
        raise InputError(f"{where}: {words[0]!r} is no chemical element")
    code = line[36:39].strip()
    charge = _CHARGES.get(int(code), 0) if code.isdecimal() else 0
    return symbol, [value for value in values if value is not None], charge


def _bond(line: str, n: int, where: str) -> Bond:
    try:
        first, second, kind = (int(line[at : at + 3]) for at in (0, 3, 6))
    except ValueError:
        raise InputError(f"{where} holds {line.strip()!r}, which is no bond") from None
    fits = 1 <= first <= n and 1 <= second <= n and first != second
    if not fits or kind not in (1, 2, 3, AROMATIC):
        raise InputError(
            f"{where}: a bond of type {kind} between atoms {first} and {second} of {n}; types 1, "
            "2, 3 and 4 (aromatic) are read"
        )
    return Bond(first - 1, second - 1, kind)


def _items(lines: list[str]) -> dict[str, str]:
    """The data items behind a molecule: a line `> <name>`, then those of its value."""
    found: dict[str, list[str]] = {}
    own: list[str] | None = None
    for line in lines:
        if line.startswith(">") and "<" in line:
            own = found.setdefault(line[line.index("<") + 1 :].split(">")[0], [])
        elif own is not None and line.strip():
            own.append(line.strip())
    return {name: "\n".join(values) for name, values in found.items()}


def _charges(properties: list[str], charges: list[int], where: str) -> list[int]:
    """The formal charges, with those of `M  CHG` lines in the place of all others."""
    found = [line for line in properties if line.startswith("M  CHG")]
    if not found:
        return charges
    charges = [0] * len(charges)
    for line in found:
        words = line[9:].split()
        try:
            pairs = [(int(a), int(q)) for a, q in zip(words[::2], words[1::2], strict=True)]
        except ValueError:
            pairs = []
        if not pairs or not all(1 <= atom <= len(charges) for atom, _ in pairs):
            raise InputError(f"{where}: {line.strip()!r} does not say charges of atoms")
        for atom, charge in pairs:
            charges[atom - 1] = charge
    return charges
