r"""Adjoint matching: the control by regression, at states that need no path.

Where the reference is a process whose bridges are known, the best control at a state `x_k` is the
expectation of a *pull* over the ends of the controlled paths through it,

    u*(x_k, t_k) = E[pull | x_k],    pull = c_k sigma grad log(gamma / r)(x_K),

with `r` the law that the reference ends with and `c_k` what is left at the end of a push after
step `k`. And given its end, a controlled path is a bridge of the reference. So ends alone are kept,
and a state before them costs one draw, and no simulation.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from pushforward.errors import CapabilityError
from pushforward.learned_samplers.density import Density
from pushforward.learned_samplers.paths import Normals, PathPair, Step, simulate

__all__ = ["BridgedReference", "adjoint_matching", "bridged_reference"]


@runtime_checkable
class BridgedReference(Protocol):
    """A pair that steers a reference process with known bridges."""

    def steering(self, k: Step, x: Tensor, density: Density) -> Tensor:
        """The control of step `k` at its states, `(B, d)`."""
        ...

    def bridged(self, k: Step, end: Tensor) -> Normals:
        """The law of `x_k` given `x_K`, where nothing is controlled."""
        ...

    def pull(self, k: Step, end: Tensor, density: Density) -> Tensor:
        """What the control of step `k` is the expectation of, `(B, d)`."""
        ...


def bridged_reference(pair: PathPair) -> BridgedReference:
    """The pair, where it has bridges; raises `CapabilityError` where it has none."""
    if not isinstance(pair, BridgedReference):
        raise CapabilityError(
            f"adjoint matching needs the bridges of a process that is steered, and a "
            f"{type(pair).__name__} has none: take 'pis' or 'dds', or another objective"
        )
    return pair


def adjoint_matching(
    pair: PathPair, density: Density, n: int, *, generator: torch.Generator | None = None,
    replay: Tensor | None = None, log_z: Tensor | None = None,
) -> Tensor:  # fmt: skip
    r"""`|u(x_k, t_k) - pull|^2`, `(n,)`, at random steps (Domingo-Enrich et al. 2025; Havens et al.
    2025).

    Ends are those of `replay`, and of as many of the sampler's own paths as are missing; with
    enough to replay none is simulated. At its own ends the sampler is a fixed point where it is
    exact; at ends that are the target's, the least loss is that of the best control at once. Raises
    `CapabilityError` for a pair without bridges.
    """
    steered = bridged_reference(pair)
    back = 0 if replay is None else min(len(replay), n)
    with torch.no_grad():
        parts = [] if replay is None else [replay[:back]]
        if back < n:
            parts.append(simulate(pair, density, n - back, generator=generator).states[-1])
        ends = torch.cat(parts)
        k = torch.randint(pair.steps, (n,), generator=generator, device=ends.device)
        x = steered.bridged(k, ends).sample(generator)
        pull = steered.pull(k, ends, density)
    return (steered.steering(k, x, density) - pull).square().sum(1)
