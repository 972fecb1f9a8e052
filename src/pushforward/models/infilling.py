"""What is drawn given some tokens of a sequence."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pushforward.errors import CapabilityError, InputError
from pushforward.models.denoiser import Transports
from pushforward.processes import Jumps, Masking
from pushforward.protocols import Sampler, Transport
from pushforward.samplers import Holding

__all__ = ["infilled"]


def infilled(
    process: Any, rule: Sampler, x: Tensor, transports: Transports, given: Any
) -> tuple[Sampler, Tensor, Transports]:
    """Sampler, start and transports by which known tokens stay.

    Under `Masking` they are shown from the start, which draws the others given them. Under `Jumps`
    they move as they do given what they end with (`Jumps.told`).

    Args:
        process: of the model.
        rule: the sampler.
        x: the start of all rows, `(n, *sites)`.
        transports: of the rows.
        given: tokens `(*sites)` for all, or `(n, *sites)`; the mask, or -1, where none is known.

    Raises `CapabilityError` for another process, `InputError` for another shape, or symbols outside
    the vocabulary.

    >>> from pushforward import samplers, spaces
    >>> process = Masking(spaces.Tokens(3))
    >>> start = process.prior((3,)).sample(1)
    >>> infilled(process, samplers.Ancestral(), start, None, [0, -1, 3])[1]
    tensor([[0, 3, 3]])
    """
    if not isinstance(process, Masking | Jumps):
        raise CapabilityError(
            f"tokens are given to models of Masking or Jumps, not of {type(process).__name__}: "
            "train one with process=masking"
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
