r"""The logarithm of a normalizing constant, as an interval.

Estimates `Z_r` of independent runs that are unbiased have an unbiased mean; their logarithms do
not, since `E log Z_r` is below `log Z` by about half of the relative variance. So runs combine by
`log mean Z_r`, never by the mean of `log Z_r`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pushforward._beta import beta_quantile
from pushforward.errors import InputError

__all__ = ["Bound", "LogZ", "StartRecord", "agreed", "combined", "runs_for"]

LEVEL = 0.9
"""The share of all intervals that hold the truth."""

_WIDEST = 0.5
"""The standard error, in nats, up to which an interval of logarithms means something."""

_APART = 3.0
"""Standard errors of their difference by which two estimates may differ."""

_SAME = 0.02
"""Nats that two estimates may differ by beside that: small errors of errors are no alarm."""


@dataclass(frozen=True)
class Bound:
    """A bound of `log Z`, or what would be one if its conditions held.

    Args:
        name: `ELBO` or `EUBO`.
        value: the estimate of the expectation that bounds.
        stderr: its standard error.
        side: `lower` or `upper`.
        holds: whether the conditions hold.
        because: the conditions, in words.
    """

    name: str
    value: float
    stderr: float
    side: str
    holds: bool
    because: str

    def __str__(self) -> str:
        kind = f"a bound from {'below' if self.side == 'lower' else 'above'}"
        return (
            f"{self.name} {self.value:.4f} ± {self.stderr:.4f}: "
            f"{kind if self.holds else 'no bound'}, since {self.because}"
        )


@dataclass(frozen=True)
class StartRecord:
    """What tempering from one start met on its way.

    Args:
        kind: of the start.
        value: its estimate of `log Z`.
        stderr: the standard error of that.
        betas: the inverse temperatures after the first, which is zero.
        ess: the effective sample size at each, before resampling, as a share of the particles.
        acceptance: of the moves at each.
        shares: of the weight that is nearest to each of the modes that the target knows.
        evaluations: of the log-density, of all particles together.
    """

    kind: str
    value: float
    stderr: float
    betas: tuple[float, ...]
    ess: tuple[float, ...]
    acceptance: tuple[float, ...]
    shares: tuple[float, ...]
    evaluations: int


@dataclass(frozen=True)
class LogZ:
    """An estimate of `log Z` in nats, with an interval that holds it nine times in ten.

    Args:
        value: the estimate.
        stderr: its standard error.
        lower: the lower end of the interval.
        upper: the upper end.
        method: how it was found.
        ess: how many independent weights, or draws, it rests on.
        converged: whether value, error and interval can be trusted.
        runs: `log Z` of each independent run.
        bounds: what bounds it, and whether that holds.
        notes: what to know, in sentences.
        starts: what each start of `smc` met on its way.

    >>> print(LogZ(-1.0, 0.1, -1.2, -0.8, "smc", 800.0, True))
    log Z = -1.0000 ± 0.1000, 90% in [-1.2000, -0.8000] (smc, effective sample size 800.0)
    """

    value: float
    stderr: float
    lower: float
    upper: float
    method: str
    ess: float
    converged: bool
    runs: tuple[float, ...] = ()
    bounds: tuple[Bound, ...] = ()
    notes: tuple[str, ...] = ()
    starts: tuple[StartRecord, ...] = ()

    def __post_init__(self) -> None:
        if not self.lower <= self.value <= self.upper:
            raise InputError(
                f"an estimate lies in its interval: {self.value} is not in [{self.lower}, "
                f"{self.upper}]"
            )

    def __str__(self) -> str:
        fine = "" if self.converged else ", NOT CONVERGED"
        return (
            f"log Z = {self.value:.4f} ± {self.stderr:.4f}, 90% in [{self.lower:.4f}, "
            f"{self.upper:.4f}] ({self.method}, effective sample size {self.ess:.1f}{fine})"
        )


@functools.cache
def student_quantile(level: float, freedom: int) -> float:
    """Where the distribution function of Student's t is `level`, by that of a beta law.

    >>> round(student_quantile(0.95, 7), 4)
    1.8946
    """
    b = float(beta_quantile(torch.tensor([level]), freedom / 2, freedom / 2))
    return math.sqrt(freedom) * (2 * b - 1) / (2 * math.sqrt(b * (1 - b)))


def combined(
    runs: Tensor, method: str, ess: float, converged: bool = True, notes: Sequence[str] = ()
) -> LogZ:
    """One estimate of the logarithms `(R,)` of unbiased, independent estimates of `Z`.

    The value is `log mean exp`, corrected by nothing; its error is that of the mean relative to the
    mean, and the interval is Student's with `R - 1` degrees of freedom. It has not converged if the
    error is above half a nat, or one run outweighs all others.

    Raises `InputError` for fewer than two runs: one alone knows nothing of its error.

    >>> found = combined(torch.tensor([1.0, 3.0]).log(), "runs", 2.0)
    >>> round(math.exp(found.value), 6), found.converged
    (2.0, False)
    """
    if runs.ndim != 1 or len(runs) < 2:
        raise InputError(f"two runs at least are combined, not {tuple(runs.shape)}")
    logs = runs.detach().cpu().double()
    count = len(logs)
    value = float(logs.logsumexp(0)) - math.log(count)
    if not math.isfinite(value):
        raise InputError(f"the runs are not finite: {logs.tolist()}")
    share = (logs - value).exp()
    stderr = float(share.std()) / math.sqrt(count)
    # Equal runs are equal up to their rounding.
    stderr = math.hypot(stderr, torch.finfo(runs.dtype).eps * (1 + abs(value)))
    half = student_quantile((1 + LEVEL) / 2, count - 1) * stderr
    fine = stderr <= _WIDEST and float(share.max()) < 0.5 * count if count > 2 else False
    said = list(notes)
    if not fine:
        said.append(
            f"{count} independent runs differ by {float(logs.max() - logs.min()):.2f} nats: their "
            "mean rests on few of them. Take more particles, or temperatures closer together."
        )
    return LogZ(
        value, stderr, value - half, value + half, method, ess, converged and fine,
        tuple(logs.tolist()), (), tuple(said),
    )  # fmt: skip


def runs_for(found: LogZ, aim: float, most: int) -> int:
    """How many runs, those of an estimate among them, should have the standard error `aim`.

    The error falls as the root of their number, which is at most `most`. To choose it by the first
    runs and to take the mean of all is the two-stage rule of Stein (1945).

    >>> runs_for(LogZ(0.0, 0.04, -0.1, 0.1, "smc", 9.0, True, runs=(0.1, -0.1, 0.0)), 0.02, 96)
    12
    """
    count = len(found.runs)
    return max(count, min(most, math.ceil(count * (found.stderr / aim) ** 2 - 1e-9)))


def agreed(one: LogZ, other: LogZ, *, apart: bool = False) -> LogZ:
    """The better of two estimates from different starts, if both agree; else neither is trusted.

    Two estimates agree if they differ by at most three standard errors of their difference, and
    0.02 nats. What disagrees has seen different parts of the target, or is biased: then the
    interval covers both, and the sum of the two, which is right if they saw parts that do not
    overlap (`apart`).

    >>> one = LogZ(-2.3, 0.01, -2.32, -2.28, "wide", 500.0, True)
    >>> other = LogZ(-0.1, 0.01, -0.12, -0.08, "narrow", 500.0, True)
    >>> found = agreed(one, other, apart=True)
    >>> found.converged, round(found.value, 2), found.lower <= 0 <= found.upper
    (False, 0.01, True)
    """
    gap, error = abs(one.value - other.value), math.hypot(one.stderr, other.stderr)
    best, second = sorted((one, other), key=lambda found: (not found.converged, found.stderr))
    notes = (*best.notes, f"{second.method}: {second.value:.4f} ± {second.stderr:.4f}.")
    if gap <= _APART * error + _SAME:
        return replace(best, notes=notes)
    total = max(one.value, other.value) + math.log1p(math.exp(-gap))
    said = (
        f"Two starts disagree by {gap:.2f} nats, {gap / max(error, 1e-12):.0f} standard errors: "
        f"{one.method} gives {one.value:.4f} ± {one.stderr:.4f}, {other.method} "
        f"{other.value:.4f} ± {other.stderr:.4f}. Neither is to be trusted alone"
    )
    said += (
        f"; their samples do not overlap, so that the sum of both, {total:.4f}, is what they "
        "have seen together."
        if apart
        else "."
    )
    lower = min(one.lower, other.lower)
    upper = max(one.upper, other.upper, total + 2 * error)
    value = total if apart else max(one.value, other.value)
    return LogZ(
        value, max(gap / 2, error), lower, upper, f"{one.method} and {other.method}",
        min(one.ess, other.ess), False, (*one.runs, *other.runs), (), (*notes, said),
    )  # fmt: skip
