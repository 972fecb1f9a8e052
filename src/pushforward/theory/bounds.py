"""Bounds of other families, with all constants: chains of Langevin, proportional fits, reflow."""

from __future__ import annotations

from pushforward import checks
from pushforward.errors import InputError

__all__ = ["fitting_bound", "langevin_bias_bound", "straightness_bound"]


def langevin_bias_bound(step: float, dim: int, *, smoothness: float, log_sobolev: float) -> float:
    r"""`KL` of the stationary law of unadjusted Langevin steps from its target, at most `8 h d L^2
    / a` (Vempala & Wibisono 2019).

    Steps are `x - h grad U + sqrt(2 h) noise`.

    Args:
        step: `h`.
        dim: the dimension.
        smoothness: `L`, a Lipschitz constant of `grad U`.
        log_sobolev: `a`, the constant of the logarithmic Sobolev inequality: the least curvature of
            a convex `U`.

    Raises `InputError` for a step above `a / (4 L^2)`, of which the theorem says nothing.

    >>> langevin_bias_bound(0.01, 2, smoothness=1.0, log_sobolev=1.0)
    0.16
    """
    checks.positive("step", step)
    checks.whole("dim", dim)
    most = checks.positive("log_sobolev", log_sobolev) / (4 * smoothness**2)
    if step > most:
        raise InputError(
            f"the theorem is about steps of at most a / (4 L^2) = {most:g}, not {step}"
        )
    return 8 * step * dim * smoothness**2 / log_sobolev


def fitting_bound(divergence: float, fits: int) -> float:
    """What both marginals lack after some proportional fits, in nats, at most: `KL(p* | p^0) / n`.

    Each fit takes what a marginal lacks off the divergence of the limit `p*` from the table, and
    what marginals lack only decreases (Léger 2021).

    Args:
        divergence: `KL(p* | p^0)`, of the limit from the first table.
        fits: `n`, at least 1.

    >>> fitting_bound(0.5, 10)
    0.05
    """
    return checks.number("divergence", divergence, least=0) / checks.whole("fits", fits)


def straightness_bound(cost: float, rectifications: int) -> float:
    """The least `int E |x_1 - x_0 - v|^2 dt` among some rectified flows: `E |x_1 - x_0|^2 / K`
    (Liu, Gong & Liu 2023, theorem 3.7).

    Args:
        cost: `E |x_1 - x_0|^2` of the first coupling.
        rectifications: `K`, at least 1.

    >>> straightness_bound(2.0, 4)
    0.5
    """
    number = checks.whole("rectifications", rectifications)
    return checks.number("cost", cost, least=0) / number
