"""The chemical elements: symbols and atomic numbers."""

from __future__ import annotations

from pushforward.errors import InputError

__all__ = ["ELEMENTS", "atomic_number", "element_named"]

_SYMBOLS = """
H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr
Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb
Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf
Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
"""

ELEMENTS: tuple[str, ...] = tuple(_SYMBOLS.split())
"""All symbols; that of atomic number `Z` is `ELEMENTS[Z - 1]`."""

_NUMBERS = {symbol: number for number, symbol in enumerate(ELEMENTS, start=1)}


def atomic_number(symbol: str) -> int:
    """The atomic number of an element. Raises `InputError` for what is none.

    >>> atomic_number("F")
    9
    """
    if symbol not in _NUMBERS:
        raise InputError(f"{symbol!r} is not the symbol of a chemical element, such as C or Cl")
    return _NUMBERS[symbol]


def element_named(text: str) -> str | None:
    """The element that a file means by a symbol in any case, or by an atomic number; `None` if it
    means none.

    >>> element_named("CL"), element_named("6"), element_named("Xx")
    ('Cl', 'C', None)
    """
    if text.isdecimal():
        number = int(text)
        return ELEMENTS[number - 1] if 1 <= number <= len(ELEMENTS) else None
    symbol = text.capitalize()
    return symbol if symbol in _NUMBERS else None
