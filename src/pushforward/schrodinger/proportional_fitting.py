r"""The regressions of iterative proportional fitting (IPF) on steps: diffusion Schrödinger bridges.

One outer iteration reverses a chain of random steps: the reversed step from `x_{k+1}` to `x_k` is
fitted to the paths of the chain (De Bortoli et al. 2021). Either the mean of the step is fitted or
its drift; over Brownian motion and on equal steps both are the same function of the network, and
over another reference they weight the steps differently.
"""

from __future__ import annotations

from torch import Tensor

from pushforward._shapes import like
from pushforward.processes import Reference
from pushforward.schrodinger.controlled import Step, time_left

__all__ = ["drift_matching", "mean_matching"]


def mean_matching(
    reference: Reference, step: Step, x: Tensor, u: Tensor, mean: Tensor, *, forward: bool
) -> Tensor:
    """The squared error of the mean of a step, per dimension and in units of its noise, `(B,)`.

    Args:
        reference: what is controlled.
        step: the reversed step, from the states to those before, one for all or a tensor for each.
        x: states after a step of the chain, `(B, *event)`.
        u: the control of the reversed step there.
        mean: draws of the mean of the reversed step, from `simulate_paths`.
        forward: whether the reversed step runs forward, towards the target.
    """
    error = step.mean(reference, x, u, forward) - mean
    found: Tensor = reference.space.squared_norm(x, error) / step.std**2
    return found


def drift_matching(
    reference: Reference, step: Step, x: Tensor, u: Tensor, mean: Tensor, *, forward: bool
) -> Tensor:
    """The squared error of the control, the drift beyond the reference's, `(B,)`.

    Per dimension, times the length of the step over `sigma^2`. Takes the same as `mean_matching`.
    """
    remaining = time_left(step.t, forward)
    straight = step.keep + step.gain * reference.decay(remaining)
    target = (mean - like(straight, x) * x) / like(step.gain * remaining, x)
    found: Tensor = reference.space.squared_norm(x, u - target)
    return found * abs(step.s - step.t) / reference.sigma**2
