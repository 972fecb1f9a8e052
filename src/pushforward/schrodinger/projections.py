r"""The two projections whose alternation is iterated Markovian fitting.

* The **reciprocal projection** of a law of paths keeps the coupling of its ends and joins them by
  bridges of the reference: of all mixtures of such bridges the nearest to it.
* The **Markovian projection** of a mixture of bridges is the diffusion with the same law at every
  time, whose drift expects the end ahead: of all Markov processes the nearest to it.

The Schrödinger bridge is the one law that both leave alone, and iterating them leads to it (Shi et
al. 2023; Peluchetti 2023).
"""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward._shapes import like, per_event_mean
from pushforward.processes import Reference
from pushforward.protocols import Time
from pushforward.schrodinger.steering import Heading, expected_end

__all__ = ["markovian_projection", "reciprocal_projection"]

Pair = tuple[Tensor, Tensor]


def reciprocal_projection(
    reference: Reference, pair: Pair, t: Time, generator: torch.Generator | None = None
) -> Tensor:
    """States at time `t` of bridges of the reference between coupled ends, `(B, *event)`.

    >>> from pushforward.processes import Bridge
    >>> pair = torch.zeros(1, 1), torch.ones(1, 1)
    >>> reciprocal_projection(Bridge(1e-6), pair, 0.25).round(decimals=3)
    tensor([[0.2500]])
    """
    return reference.sample(pair, t, generator)


def markovian_projection(
    heading: Heading,
    reference: Reference,
    pair: Pair,
    t: Tensor,
    *,
    forward: bool,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""The regression that projects a coupling onto Markov processes, in one direction, `(B,)`.

    At times `t` `(B,)` inside (0, 1), the squared error of the expected end, per dimension and in
    units of its variance under the reference, so that every time counts the same:

        |end - E[end | x_t]|^2 / (d Var_ref(end | x_t)).

    Its least value at a time is the variance of the end given the state over that of the
    reference, the `spread` of a `Steered` process. The divergence of the drifts themselves would
    weight it by one over the time that remains.
    """
    x_t = reciprocal_projection(reference, pair, t, generator)
    remaining, end = (1 - t, pair[1]) if forward else (t, pair[0])
    error = end - expected_end(reference, x_t, heading(x_t, t), remaining)
    return per_event_mean(error.square() / like(reference.end_variance(remaining), error))
