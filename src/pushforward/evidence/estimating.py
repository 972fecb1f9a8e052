"""`log Z` of a target by several methods, each with an interval."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pushforward import mcmc
from pushforward._random import fresh_seed
from pushforward.checks import one_of, whole
from pushforward.errors import CapabilityError, ConvergenceWarning, InputError
from pushforward.evidence.crossing import anneal_back, bennett
from pushforward.evidence.intervals import LogZ
from pushforward.evidence.laplace import NormalStart, laplace_start, rounded
from pushforward.evidence.two_starts import tempered
from pushforward.evidence.weights import from_log_weights, mean_as_bound
from pushforward.importance import WIDEST_OF_CHAINS, log_mean
from pushforward.targets import Target

__all__ = ["METHODS", "annealed", "crossed", "importance", "log_z"]

METHODS = ("smc", "ais", "bar")

_PILOTS = 64
"""Chains that find the step sizes of annealing: those of the estimate may not."""

_NORMAL = 1.6449
"""The quantile of a normal interval."""


def log_z(target: Target, method: str = "smc", *, seed: int | None = None, **options: Any) -> LogZ:
    """`log Z` of a target, with an interval that covers it.

    Args:
        target: what to integrate, in coordinates without bounds.
        method: `smc`, tempered sequential Monte Carlo from two starts (`tempered`); `ais`, annealed
            importance sampling (`annealed`); or `bar`, annealing both ways (`crossed`), which needs
            exact draws.
        seed: for all randomness.
        options: of the method.

    Raises `InputError` for another method.

    >>> from pushforward.targets import student
    >>> found = log_z(student(2, 5.0), "ais", seed=0, chains=256, temperatures=20)
    >>> found.lower < 0 < found.upper
    True
    """
    one_of("method", method, METHODS)
    chosen: dict[str, Any] = {"smc": tempered, "ais": annealed, "bar": crossed}
    found: LogZ = chosen[method](target, seed=seed, **options)
    return found


@torch.no_grad()
def annealed(
    target: Target,
    *,
    chains: int = 512,
    temperatures: int = 100,
    base: Any = None,
    seed: int | None = None,
    callback: Callable[[], None] | None = None,
) -> LogZ:
    """By annealed importance sampling from a base, forward alone; see `crossed` for both ways.

    The mean of the log-weights is a lower bound in expectation, since the base is normalized and
    moves leave each temperature invariant.

    Args:
        target: its base, if it has one, is where chains start.
        chains: how many.
        temperatures: on the way.
        base: another one, a normalized distribution in coordinates without bounds; Laplace's
            approximation for targets without.
        seed: for all randomness.
        callback: called at each temperature.
    """
    noise = torch.Generator().manual_seed(fresh_seed(seed))
    law, log_p = rounded(target, _started(target, base, noise))
    with warnings.catch_warnings():
        # What a warning would say is in what is returned.
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = mcmc.annealed_importance_sampling(
            log_p, law, chains, betas=temperatures, generator=noise, callback=callback
        )
    log_weights = found.weights.log() + found.log_z + math.log(chains)
    return from_log_weights(log_weights, "ais", found.converged, _AIS)


_AIS = "the base is normalized and every move leaves its temperature invariant"


@torch.no_grad()
def crossed(
    target: Target,
    *,
    chains: int = 512,
    temperatures: int = 100,
    base: Any = None,
    draws: Tensor | None = None,
    seed: int | None = None,
    callback: Callable[[], None] | None = None,
) -> LogZ:
    """By annealing both ways: bounds from both sides, and Bennett's combination between them.

    Args:
        target: with exact draws, or give some.
        chains: each way.
        temperatures: on the way.
        base: see `annealed`.
        draws: of the target, `(n, *event)` in coordinates without bounds, such as those of long
            chains: then nothing is bounded from above, and the result says so.
        seed: for all randomness.
        callback: called at each temperature of the way forward.

    Raises `CapabilityError` for a target without exact draws if none are given.
    """
    exact = draws is None
    if draws is None and not target.exact:
        raise CapabilityError(
            f"no exact draws of {target.name} are known: give draws= of long chains, which bound "
            "nothing, or take method='smc'"
        )
    noise = torch.Generator().manual_seed(fresh_seed(seed))
    start = _started(target, base, noise)
    law, log_p = rounded(target, start)
    if draws is None:
        draws = target.unconstrain(target.sample(chains, generator=noise)).double()
    ladder = mcmc.temperatures(temperatures)
    kernel = mcmc.HMC(leapfrogs=5)
    pilots, begin = (law.sample(n, generator=noise) for n in (_PILOTS, chains))
    path = mcmc.anneal(
        kernel, log_p, law.log_prob, begin, ladder, pilots=pilots, generator=noise,
        callback=callback,
    )  # fmt: skip
    steps, end = path.steps, draws
    if isinstance(start, NormalStart):
        away = (draws - start.mean).flatten(1)
        end = torch.linalg.solve_triangular(start.factor, away.mT, upper=False).mT
    forward = path.log_weights
    backward = anneal_back(kernel, log_p, law.log_prob, end, ladder, steps, generator=noise)
    value, stderr = bennett(forward, backward)
    low, high = mean_as_bound(forward, "ELBO", "lower", True, _AIS), mean_as_bound(
        backward, "EUBO", "upper", exact,
        "backward chains start at exact draws of the target" if exact
        else "backward chains start at draws that are not exact",
    )  # fmt: skip
    one, other = log_mean(forward, WIDEST_OF_CHAINS), log_mean(-backward, WIDEST_OF_CHAINS)
    half = _NORMAL * stderr
    notes = []
    gap = abs(float(one.value) + float(other.value))
    error = math.hypot(float(one.stderr), float(other.stderr))
    meets = gap <= 3 * error + 0.02
    if not meets:
        notes.append(
            f"Forward and backward weights give {float(one.value):.3f} and "
            f"{-float(other.value):.3f}, {gap:.2f} nats apart: part of the target is out of reach "
            "from the base. Take more temperatures, or another base."
        )
    lower, upper = value - half, value + half
    if not meets:
        lower, upper = min(lower, low.value), max(upper, high.value)
    return LogZ(
        value, stderr, lower, upper, "bar", float(one.ess) + float(other.ess),
        meets and stderr <= WIDEST_OF_CHAINS, (float(one.value), -float(other.value)), (low, high),
        tuple(notes),
    )  # fmt: skip


@torch.no_grad()
def importance(target: Target, proposal: Any, n: int = 4096, *, seed: int | None = None) -> LogZ:
    """By importance weights of draws from a distribution, or from a fitted model with densities.

    Args:
        target: what to integrate.
        proposal: with `sample(n, seed=)` and `log_prob(x)`, of states `x`: a model trained by
            `fit`, a flow, a `NormalStart` of a target without bounds.
        n: how many draws.
        seed: for them.

    The mean of the log-weights is a lower bound if the densities are exact; it is none where they
    are estimates or bounds themselves. Raises `InputError` for densities that are not one number
    per state.

    >>> from pushforward.distributions import Normal
    >>> from pushforward.targets import student
    >>> found = importance(student(1, 30.0), Normal((1,), 1.3), seed=0)
    >>> found.converged, found.lower < 0 < found.upper
    (True, True)
    """
    whole("n", n, least=10)
    x = proposal.sample(n, seed=fresh_seed(seed))
    own = proposal.log_prob(x)
    kind = getattr(own, "kind", "exact")
    known = getattr(own, "value", own)
    if not isinstance(known, Tensor) or known.shape != (n,):
        raise InputError(f"log_prob of {n} states is one number each")
    value = target.log_prob(x.double())
    log_weights = (value - known.double()).nan_to_num(nan=-math.inf, neginf=-math.inf)
    exact = kind in ("exact", "ode")
    because = (
        "the densities of the proposal are exact" if kind == "exact"
        else f"the densities of the proposal are of the kind {kind!r}"
    )  # fmt: skip
    found = from_log_weights(log_weights, "importance", True, because)
    bounds = tuple(replace(bound, holds=exact) for bound in found.bounds)
    notes = () if exact else (f"The densities of the proposal are {kind}, not exact.",)
    return replace(found, bounds=bounds, notes=(*found.notes, *notes),
                     converged=found.converged and exact)  # fmt: skip


def _started(target: Target, base: Any, noise: torch.Generator) -> Any:
    """The base that was given, that of the target, or Laplace's approximation."""
    if base is not None:
        return base
    if target.base is not None:
        return target.base
    return laplace_start(target, target.start(256, generator=noise))
