"""The options that put a class of models on a space."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pushforward.errors import InputError
from pushforward.models.model import GenerativeModel
from pushforward.molecules import Atoms
from pushforward.processes import (
    PointInterpolant,
    bridge_on,
    molecule_process,
    noising_on,
    path_on,
)
from pushforward.spaces import LinearSpace, Space
from pushforward.spaces.data_space import space_of

__all__ = ["on_space_of", "options_on", "sized_options", "told_options"]

_MADE: dict[str, Callable[[Any], Any]] = {
    "process": noising_on,
    "path": path_on,
    "reference": bridge_on,
    "interpolant": lambda space: PointInterpolant(space=space),
    "space": lambda space: space,
}
"""What goes with a space, by the option that takes it."""


def options_on(cls: type[GenerativeModel], space: Space) -> dict[str, Any]:
    """The option of a class of models that puts its states on a space, where one has to be said.

    >>> from pushforward.models import FlowMatching
    >>> from pushforward.spaces import Sphere
    >>> list(options_on(FlowMatching, Sphere()))
    ['path']

    Raises `InputError` for a space that the states of the class are not of.
    """
    if type(space) is type(cls.space) and not cls.space_from:
        return {}
    if cls.space_from not in _MADE:
        raise InputError(
            f"the states of a {cls.__name__} are of {cls.space}, not of {space}: take a Diffusion "
            "(--model diffusion) or FlowMatching (--model matching), which live on any"
        )
    found = _MADE[cls.space_from](space)
    return {} if found is None else {cls.space_from: found}


def sized_options(cls: type[GenerativeModel], sets: Any) -> dict[str, Any]:
    """The option of a class of models for molecules, whose sizes are as frequent as in some sets.

    >>> import torch
    >>> from pushforward.models import Diffusion
    >>> from pushforward.spaces import Points
    >>> list(sized_options(Diffusion, Points(torch.zeros(1, 2, 8), torch.ones(1, 2).bool())))
    ['process']

    Raises `InputError` for a class without a process that draws sizes first.
    """
    if cls.space_from != "process":
        raise InputError(
            f"a {cls.__name__} draws no number of atoms: molecules are learned by a Diffusion "
            "(--model diffusion)"
        )
    return {cls.space_from: molecule_process(sets)}


def on_space_of(cls: type[GenerativeModel], options: dict[str, Any], data: Any) -> dict[str, Any]:
    """The options with the space of the data, where these say one and the options do not.

    Raises `InputError` for molecules as they were read, which are no states yet.
    """
    if isinstance(data.x, Atoms):
        raise InputError(
            "molecules as they were read are no states of a space yet: data = pf.data.load(data, "
            "space=pf.spaces.space_of(data))"
        )
    return told_options(cls, options, data) if options.get(cls.space_from) is None else options


def told_options(cls: type[GenerativeModel], options: dict[str, Any], data: Any) -> dict[str, Any]:
    """The options of a model of some data, with their space where the data say one: texts, fields,
    functions, sets, molecules. A process that is named without a space gets that of the data.

    >>> import pushforward as pf
    >>> data = pf.data.load("markov-letters", n=10)
    >>> told_options(pf.Diffusion, {}, data)["process"].space
    Tokens(vocabulary=27, sites=None)
    """
    space = space_of(data)
    if space is None or (
        not cls.space_from and isinstance(space, LinearSpace) and not space.subspace
    ):
        return options  # of all arrays of the shape
    said = options.get(cls.space_from)
    if said is None:
        sized = data.schema.molecules is not None and not data.schema.given
        return options | (sized_options(cls, data.x) if sized else options_on(cls, space))
    named = {"class": said} if isinstance(said, str) else said
    if isinstance(named, dict) and "space" not in named:
        return options | {cls.space_from: {**named, "space": space}}
    return options
