"""What the reference of a Schrödinger bridge says of its model: the space, and what is learned."""

from __future__ import annotations

from typing import Any

from pushforward.errors import InputError
from pushforward.processes import ControlledReference, Reading, Reference
from pushforward.processes.reading import PlainReading
from pushforward.schrodinger import Method
from pushforward.spaces import Space

__all__ = ["BridgeReference", "reading_of", "require_fit", "space_of"]

BridgeReference = Reference | ControlledReference
"""What a bridge may have for reference: a linear diffusion, or a motion on another space."""


def space_of(reference: Any) -> Space:
    """Where its paths are, R^d by default. Raises `InputError` for what is no reference.

    >>> from pushforward.spaces import Sphere
    >>> from pushforward.processes import ManifoldBridge
    >>> space_of(ManifoldBridge(Sphere()))
    Sphere(dim=None)
    """
    if reference is None:
        return Reference.space
    if not isinstance(reference, Reference | ControlledReference):
        raise InputError(
            "the reference is processes.Bridge(sigma), processes.OUBridge(sigma, rate), "
            "processes.ManifoldBridge(space, sigma) or processes.TokenBridge(space, rates), not "
            f"{reference!r}"
        )
    return reference.space


def reading_of(reference: Any) -> Reading | None:
    """How the output of a network becomes a control; as it is, if nothing is said. Of fields with
    cells that have no values, zero in these."""
    if isinstance(reference, ControlledReference):
        return reference.reading()
    if isinstance(reference, Reference) and reference.space.subspace:
        return PlainReading(1, reference.space)
    return None


def require_fit(reference: Any, method: Method) -> None:
    """Raise `InputError` for a method that does not work where the reference is."""
    if isinstance(reference, ControlledReference) and not method.curved:
        raise InputError(
            f"{method} fits means of states, which {reference.space} has not: take dsbm-imf or "
            "dsbm-ipf"
        )
