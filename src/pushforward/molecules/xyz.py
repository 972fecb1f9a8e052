"""Files of Cartesian coordinates, `.xyz`: a count, a comment, then an atom in each line."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from pushforward.errors import InputError
from pushforward.molecules.elements import element_named
from pushforward.molecules.molecule import Molecule

__all__ = ["number_in", "parse_xyz", "xyz_text"]


def parse_xyz(text: str, source: str) -> Iterator[Molecule]:
    """The molecules of a file of one or several frames, positions in Ångström.

    The first four words of a line count: an element, by its symbol or its atomic number, and three
    numbers. What follows, such as velocities, is left out. Numbers may have the exponents of
    Fortran, `1.5D-3` or `1.5*^-3`.

    Raises `InputError` naming the line for anything else, and for a file that ends too early.

    >>> [molecule] = parse_xyz("2\\nhydrogen\\nH 0 0 0\\nH 0 0 0.74\\n", "h2.xyz")
    >>> molecule.title, molecule.symbols
    ('hydrogen', ('H', 'H'))
    """
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        n = _count(lines[at], source, at + 1)
        body = lines[at + 2 : at + 2 + n]
        if len(body) < n:
            raise InputError(
                f"{source}, line {at + 1} announces {n} atoms, but the file ends after {len(body)} "
                "of them"
            )
        atoms = [_atom(line, source, at + 3 + k) for k, line in enumerate(body)]
        yield Molecule(
            tuple(symbol for symbol, _ in atoms),
            [position for _, position in atoms],
            title=lines[at + 1].strip(),
        )
        at += 2 + n


def xyz_text(molecules: Iterable[Molecule]) -> str:
    """Molecules as frames of a file, with the digits that bring float32 positions back.

    >>> print(xyz_text([Molecule(("H",), [[0.0, 0.5, -1.0]], title="atom")]), end="")
    1
    atom
    H 0.0 0.5 -1.0
    """
    lines = []
    for molecule in molecules:
        lines += [str(len(molecule)), " ".join(molecule.title.split()) or str(molecule)]
        for symbol, position in zip(molecule.symbols, molecule.positions, strict=True):
            lines.append(f"{symbol} {' '.join(repr(float(f'{x:.9g}')) for x in position)}")
    return "\n".join(lines) + "\n"


def number_in(text: str) -> float | None:
    """A number with an exponent in any style of Fortran; `None` for what is none, or not finite.

    >>> number_in("-2.5*^-6"), number_in("1.0D+2"), number_in("x")
    (-2.5e-06, 100.0, None)
    """
    plain = text.replace("*^", "e").replace("D", "e").replace("d", "e")
    try:
        value = float(plain)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _count(line: str, source: str, number: int) -> int:
    try:
        n = int(line)
    except ValueError:
        raise InputError(
            f"{source}, line {number} holds {line.strip()!r}, where a frame begins with its number "
            "of atoms"
        ) from None
    if n < 1:
        raise InputError(f"{source}, line {number} announces {n} atoms: one at least")
    return n


def _atom(line: str, source: str, number: int) -> tuple[str, list[float]]:
    words = line.split()
    values = [number_in(word) for word in words[1:4]]
    if len(values) < 3 or None in values:
        raise InputError(
            f"{source}, line {number} holds {line.strip()!r}: an atom is a symbol and three "
            "coordinates"
        )
    symbol = element_named(words[0])
    if symbol is None:
        raise InputError(f"{source}, line {number}: {words[0]!r} is no chemical element")
    return symbol, [value for value in values if value is not None]
