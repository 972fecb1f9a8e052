"""What is drawn given some tokens of a sequence, or how many points of each kind a set has."""

from __future__ import annotations

from typing import Any

import torch

from pushforward.errors import CapabilityError, InputError
from pushforward.guidance import GivenCounts
from pushforward.models.denoiser import Transports
from pushforward.processes import JumpDiffusion, Jumps, Masking, Thinning, Trimming
from pushforward.protocols import Sampler, Transport
from pushforward.samplers import BirthClocks, Holding

__all__ = ["infilled"]


def infilled(
    process: Any, rule: Sampler, x: Any, transports: Transports, given: Any
) -> tuple[Sampler, Any, Transports]:
    """Sampler, start and transports by which known tokens stay, or sets end with known numbers.

    Under `Masking` they are shown from the start, which draws the others given them. Under `Jumps`
    they move as they do given what they end with (`Jumps.told`). Of sets the numbers of points of
    each kind, of their first mark, are known (`guidance.GivenCounts`).

    Args:
        process: of the model.
        rule: the sampler.
        x: the start of all rows, `(n, *sites)`.
        transports: of the rows.
        given: tokens `(*sites)` for all, or `(n, *sites)`; the mask, or -1, where none is known. Of
            sets numbers `(kinds,)` or `(n, kinds)`, -1 for any.

    Raises `CapabilityError` for another process, or numbers of sets with another sampler than
    `birth-clocks`, `InputError` for another shape, or symbols outside the vocabulary.

    >>> from pushforward import samplers, spaces
    >>> process = Masking(spaces.Tokens(3))
    >>> start = process.prior((3,)).sample(1)
    >>> infilled(process, samplers.Ancestral(), start, None, [0, -1, 3])[1]
    tensor([[0, 3, 3]])
    """
    if isinstance(process, JumpDiffusion | Thinning) and process.space.kinds:
        return rule, x, _counted(process, rule, x, transports, given)
    if not isinstance(process, Masking | Jumps):
        raise CapabilityError(
            "tokens are given to models of Masking or Jumps, numbers of points to those of sets "
            f"with marks, not to one of {type(process).__name__}: train one with process=masking"
        )
    mask = process.space.mask
    known = torch.as_tensor(given, device=x.device)
    if known.dtype != torch.int64 or known.shape not in (x.shape, x.shape[1:]):
        raise InputError(
            f"given= holds whole numbers of shape {tuple(x.shape[1:])}, or {tuple(x.shape)} for "
            f"each row its own, not {known.dtype} of shape {tuple(known.shape)}"
        )
    if known.numel() and not (int(known.min()) >= -1 and int(known.max()) <= mask):
        raise InputError(
            f"given tokens lie in 0..{mask - 1}, or are -1 where none is known, not in "
            f"{int(known.min())}..{int(known.max())}"
        )
    known = torch.where(known == mask, -1, known).expand_as(x)
    if isinstance(process, Masking):
        return Holding(rule), torch.where(known < 0, x, known), transports

    def told(rows: Any) -> Transport:
        model, own = transports(rows).model, known[rows]
        return Transport(lambda x, t, c=None: process.told(model(x, t, c), own), process)

    return rule, x, told


def _counted(process: Any, rule: Sampler, x: Any, transports: Transports, given: Any) -> Transports:
    """Transports whose sets end with numbers of points of each kind."""
    if isinstance(getattr(process, "thinning", process), Trimming):
        raise CapabilityError(
            "the first mark of a sequence is the place of an element, of which there is one each: "
            "numbers are given to models of sets"
        )
    if not isinstance(rule, BirthClocks):
        raise CapabilityError(
            f"numbers of points are met where they are born one at a time, not by {rule}: give "
            "sampler='birth-clocks'"
        )
    counts = torch.as_tensor(given, device=x.mask.device)
    kinds = process.space.kinds[0]
    if counts.dtype != torch.int64 or counts.shape not in ((kinds,), (len(x.mask), kinds)):
        raise InputError(
            f"given= holds the number of points of each of {kinds} kinds, -1 for any, of shape "
            f"{(kinds,)} or {(len(x.mask), kinds)}, not {counts.dtype} of shape "
            f"{tuple(counts.shape)}"
        )
    counts = counts.expand(len(x.mask), -1)

    def counted(rows: Any) -> Transport:
        return Transport(GivenCounts(transports(rows).model, counts[rows]), process)

    return counted
