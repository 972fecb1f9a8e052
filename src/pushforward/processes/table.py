"""How the rows of a table get lost: numbers in noise, symbols behind masks, on one clock."""

from __future__ import annotations

from collections.abc import Sequence

from pushforward.errors import InputError
from pushforward.processes.gaussian import Gaussian
from pushforward.processes.masking import Masking
from pushforward.processes.process import GenerativeProcess
from pushforward.processes.product import ProductProcess
from pushforward.schedules import Cosine
from pushforward.spaces import Categories, Euclidean

__all__ = ["table_process"]


def table_process(numbers: int, sizes: Sequence[int]) -> GenerativeProcess:
    """Gaussian noise on some numbers, beside masks on symbols of some alphabets; one alone where
    there is no other.

    The clock of the noise is a quarter turn, on which steps even in time suit both.

    Raises `InputError` for neither.

    >>> table_process(2, (2, 3)).space
    Product(Euclidean(dim=2), Categories(sizes=(2, 3)))
    """
    factors: list[GenerativeProcess] = []
    if numbers:
        factors.append(Gaussian(Cosine(), Euclidean(numbers)))
    if sizes:
        factors.append(Masking(Categories(tuple(sizes))))
    if not factors:
        raise InputError("a row has numbers or symbols")
    return ProductProcess(tuple(factors)) if len(factors) > 1 else factors[0]
