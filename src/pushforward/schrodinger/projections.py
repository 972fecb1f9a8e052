r"""The two projections whose alternation is iterative Markovian fitting (IMF).

* The **reciprocal projection** of a distribution of paths keeps the coupling of its ends and joins
  them by bridges of the reference: of all mixtures of such bridges the nearest to it.
* The **Markovian projection** of a mixture of bridges is the diffusion with the same distribution
  at every time, whose drift expects the end ahead: of all Markov processes the nearest to it.

The Schrödinger bridge is the one distribution that both leave alone, and iterating them leads to it
(Shi et al. 2023; Peluchetti 2023).
"""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.processes import ControlledReference, Reference
from pushforward.protocols import Time
from pushforward.schrodinger.controlled import Control, end_error

__all__ = ["markovian_projection", "reciprocal_projection"]

Pair = tuple[Tensor, Tensor]


def reciprocal_projection(
    reference: Reference | ControlledReference,
    pair: Pair,
    t: Time,
    generator: torch.Generator | None = None,
) -> Tensor:
    """States at time `t` of bridges of the reference between coupled ends, `(B, *event)`.

    The pair is `(x_0, x_1)`, target and source.

    >>> from pushforward.processes import Bridge
    >>> pair = torch.zeros(1, 1), torch.ones(1, 1)
    >>> reciprocal_projection(Bridge(1e-6), pair, 0.25).round(decimals=3)
    tensor([[0.2500]])
    """
    return reference.sample(pair, t, generator)


def markovian_projection(
    control: Control,
    reference: Reference | ControlledReference,
    pair: Pair,
    t: Tensor,
    *,
    forward: bool,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The regression that projects a coupling onto Markov processes, in one direction, `(B,)`.

    At times `t` `(B,)` inside (0, 1), the error of the expected end at states of the reciprocal
    projection. Its least value at a time is the ratio that `ControlledDiffusion` takes as
    `variance_ratios`.
    """
    x_t = reciprocal_projection(reference, pair, t, generator)
    return end_error(reference, control(x_t, t), pair, x_t, t, forward)
