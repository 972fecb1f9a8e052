"""`certify`: how far samples of a model can be from the data, and what makes them so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pushforward import checks, grids, registry
from pushforward._random import resolve
from pushforward._shapes import flatten
from pushforward.certificates.certificate import Certificate, Kind, Term
from pushforward.certificates.laws import DrawnLaw, ExactLaw, KnownLaw, NoisyDraws, NormalLaw
from pushforward.certificates.level import Level, LowerLevel
from pushforward.certificates.row_costs import RowCosts, row_costs
from pushforward.certificates.schemes import StepCost, scheme_of, step_costs
from pushforward.certificates.subjects import (
    RowContexts,
    Subject,
    contexts_of,
    law_in_units,
    noise_in_units,
    subject_of,
)
from pushforward.distributions import GaussianMixture
from pushforward.errors import InputError
from pushforward.models import Diffusion
from pushforward.models.simulation import times_of
from pushforward.protocols import Sampler, Transport

__all__ = ["certify"]

_FEWEST = 20
_RESOLVED = 0.5
"""The share of `log n` from which on the draws, not their law, are what is certified."""
_SIDE = 1.96
"""Standard errors to each side of an interval at 95%."""


@torch.no_grad()
def certify(
    model: Diffusion | Transport,
    holdout: Tensor,
    *,
    sampler: str | Sampler = "ddpm",
    steps: int | None = None,
    law: GaussianMixture | Sequence[GaussianMixture] | None = None,
    noise: float | Sequence[float] | None = None,
    against: Diffusion | Transport | None = None,
    c: Any = None,
    grid: str | grids.Grid | None = None,
    start: float | None = None,
    stop: float | None = None,
    denoise: bool = True,
    rows: int = 2000,
    seed: int = 0,
) -> Certificate:
    r"""A bound of `KL(p_stop | samples)` of a diffusion model with a sampler, term by term.

    The relative entropy of the exact paths with respect to those of the sampler is, with no
    constant left open, the sum of

    * the *prior mismatch*: `KL` at the first time, at most `SNR E|x_0|^2 / 2`;
    * the *discretization*: what the sampler loses with the exact posterior mean `D`; for `ddpm`
      `1/2 sum_k int [mmse(SNR_k) - mmse(r)] dr` with `mmse = E |x_0 - D|^2`;
    * the *score error*: for `ddpm` `1/2 sum_k (SNR_{k+1} - SNR_k) E |D - prediction|^2`;

    see `certificates.schemes` for other samplers. *Early stopping*, the distance `W_2` of the data
    to what the samples are compared with, is in units of the data, and not part of the sum. If
    sampling ends with a denoising, both sides are denoised, which brings them no further apart.

    The level of the score error cannot be told from the loss, which has the unknown `mmse` in it.
    With the `law` of the data it is known; without it, the law of the held-out draws takes its
    place (`DrawnLaw`): then bound and score error are upper bounds in the mean over these draws,
    which grow with what few draws cannot tell, up to the logarithm of their number. From below it
    is bounded by what a regression explains of the residuals (`certificates.level`): for `ddpm` the
    score error has an `interval` at 95%. What is certain without any law is the difference to
    another model, `against`.

    With a label or context for each row, `c`, it is the mean over them of the relative entropies
    given each: that of state and context together. Then rows that share one are draws of one law,
    and where all differ nothing is known of the spread of the data but what `noise` says.

    Args:
        model: a `Diffusion` of vectors on a Gaussian process, or a `Transport`.
        holdout: data that the model has not seen, `(n, *event)`, 20 rows and more.
        sampler: a short name or a sampler; one that earns a certificate (`scheme_of`).
        steps, grid, start, stop, denoise: as in `Diffusion.sample`.
        law: of the data, in their units, where it is known. For rows with labels of their own, one
            for each label; for rows with contexts, of state and context side by side, `d + k`
            numbers.
        noise: the standard deviation of independent normal noise that is in the data, in their
            units, one for all numbers or one for each, if it is known that there is some: an
            assumption, by which their spread given anything else is at least that of the noise.
        against: another model of the same process, in the same units.
        c: one label or context that all of the data have, or one for each row, for a model that
            takes them; without it, what is certified is sampling without.
        rows: the most rows of the data that are used, chosen at random; the model is asked about
            each at each step.
        seed: of the noise.

    Raises `CapabilityError` for a sampler without a certificate, among them those of the
    probability flow, and for other models; `InputError` for data that do not fit.

    >>> from pushforward import schedules
    >>> from pushforward.analytic import AnalyticMixture
    >>> from pushforward.processes import Gaussian
    >>> problem = AnalyticMixture.gaussian(1.0, 0.5)
    >>> exact = Transport(problem.model(Gaussian()), Gaussian())
    >>> found = certify(exact, problem.data.sample(100, seed=0), steps=50, law=problem.data)
    >>> round(found.terms["score error"].value, 6), found.dominant
    (0.0, 'discretization')
    """
    scheme = scheme_of(sampler)
    dtype, given = _precision(holdout), contexts_of(model, c, len(holdout))
    chosen = _chosen(len(holdout), checks.whole("rows", rows, least=_FEWEST), seed)
    holdout, given = holdout[chosen.to(holdout.device)], given.of(chosen)
    subject = subject_of(model, given, dtype)
    z = _states(subject, holdout)
    process = subject.process
    steps = checks.whole("steps", process.steps if steps is None else steps, 1 + denoise)
    times = times_of(process, grid or subject.grid, steps - denoise, start, stop)
    costs = step_costs(scheme, process.schedule, times)
    known = None if law is None else law_in_units(law, subject, z, given.rows)
    used = known or _drawn(z, given, None if noise is None else noise_in_units(noise, subject, z))
    other = None if against is None else _same(subject_of(against, given, dtype), subject)
    x_0 = flatten(z).double()
    lower = None
    if known is None and scheme.name == "data prediction":
        lower = LowerLevel(x_0, len(costs), seed)
    found = row_costs(subject, other, costs, used, x_0, seed, lower)
    first = process.schedule.at(times[0])
    prior, prior_rows = _prior_mismatch(known, z, float(first.alpha), float(first.sigma))
    kind: Kind = "estimated" if known is not None or noise is None else "assumed"
    discretization = _discretization(known, costs, found, kind)
    whole = found.score.sum(0) + prior_rows
    if discretization.kind != "proved":
        whole = whole + found.exact.sum(0)
    score = _mean(found.score.sum(0), kind, _why_score(known, noise))
    if scheme.name == "data prediction":
        score = replace(score, interval=_interval(score, found.level))
    terms = {
        "prior mismatch": prior,
        "score error": score,
        "discretization": discretization,
        "early stopping": _early_stopping(subject, holdout, z, times[-1], denoise, seed),
    }
    difference = None
    if found.difference is not None:
        why = "the other model's loss on the same rows and noise is subtracted: no law is needed"
        difference = _mean(found.difference, "estimated", why)
    share = _resolved(found, used)
    stderr, name = float(whole.std() / math.sqrt(len(z))), registry.called("samplers", sampler)
    return Certificate(
        terms, stderr, name, steps, len(z),
        (*_assumptions(known, noise), *_told(model, given)), _warnings(share, len(z)), difference,
        {
            "score error": tuple(found.score.mean(1).tolist()),
            "discretization": tuple(found.exact.mean(1).tolist()),
        },
    )  # fmt: skip


def _prior_mismatch(
    law: ExactLaw | None, z: Tensor, alpha: float, sigma: float
) -> tuple[Term, Tensor]:
    """The first term, and what each row adds to it where it is estimated."""
    snr = (alpha / sigma) ** 2
    each = 0.5 * snr * flatten(z).double().square().sum(1)
    if isinstance(law, NormalLaw):
        why = "of two normal laws, in closed form"
        return Term(law.prior_mismatch(alpha, sigma), 0.0, "proved", why=why), 0 * each
    why = "SNR E|x_0|^2 / 2, since relative entropy is convex"
    if isinstance(law, KnownLaw):
        return Term(0.5 * snr * law.second_moment, 0.0, "proved", why=why), 0 * each
    return _mean(each, "estimated", why), each


def _discretization(
    law: ExactLaw | None, costs: list[StepCost], found: RowCosts, kind: Kind
) -> Term:
    if not isinstance(law, NormalLaw):
        why = "the relative entropy of the steps with the exact posterior mean"
        return _mean(found.exact.sum(0), kind, why)
    value = 0.0
    for step in costs:
        moment, dimension, at_start = step.exact_prediction()
        value += moment * law.second_moment + dimension * len(law.variances)
        value += at_start * law.mmse(step.ends[0]) - 0.5 * law.mmse_integral(*step.ends)
    return Term(value, 0.0, "proved", why="the path identity on a normal law, in closed form")


def _early_stopping(
    subject: Subject, x: Tensor, z: Tensor, t: float, denoise: bool, seed: int
) -> Term:
    """`W_2` of the data to what samples are compared with, by the coupling of data and noise."""
    k, generator = subject.process.schedule.at(t), resolve(seed, None, z.device)
    noise = torch.randn(z.shape, generator=generator, dtype=torch.float64, device=z.device)
    end = k.alpha * z.double() + k.sigma * noise
    if denoise:
        end = subject.predict(flatten(end), t).reshape(end.shape)
    squared = flatten(subject.outward(end) - x.to(end)).square().sum(1)
    value = math.sqrt(float(squared.mean()))
    spread = float(squared.std()) / math.sqrt(len(z))
    why = "W_2 at most the distance of data to " + ("denoised data" if denoise else "noised data")
    return Term(value, spread / (2 * value) if value else 0.0, "estimated", "distance", why)


def _mean(each: Tensor, kind: Kind, why: str) -> Term:
    return Term(float(each.mean()), float(each.std()) / math.sqrt(len(each)), kind, why=why)


def _precision(holdout: Tensor) -> torch.dtype:
    if not isinstance(holdout, Tensor) or not holdout.is_floating_point():
        raise InputError(f"held-out data are a tensor of real numbers, not {holdout!r:.60}")
    return holdout.dtype


def _interval(score: Term, level: Level | None) -> tuple[float, float]:
    """From what is certainly an error to what may be one, and standard errors more."""
    low = Level(score.value, score.stderr) if level is None else level
    most = max(score.value + _SIDE * score.stderr, 0.0)
    return min(max(low.value - _SIDE * low.stderr, 0.0), most), most


def _drawn(z: Tensor, given: RowContexts, noise: NormalLaw | None) -> DrawnLaw:
    """The law of the draws, of those with one context if each has its own."""
    x_0, groups = flatten(z).double(), None
    if given.rows is not None:
        groups = torch.unique(flatten(given.rows), dim=0, return_inverse=True)[1].to(z.device)
    return DrawnLaw(x_0, groups) if noise is None else NoisyDraws(x_0, groups, noise)


def _chosen(n: int, rows: int, seed: int) -> Tensor:
    """As many rows at random: the first ones of data in order would be no draws of their law."""
    if n <= rows:
        return torch.arange(n)
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:rows]


def _states(subject: Subject, holdout: Tensor) -> Tensor:
    if len(holdout) < _FEWEST:
        raise InputError(
            f"a certificate rests on {_FEWEST} rows of data and more, not {len(holdout)}"
        )
    if not bool(holdout.isfinite().all()):
        raise InputError("held-out data have numbers that are not finite: leave their rows out")
    return subject.inward(holdout).double()


def _same(other: Subject, subject: Subject) -> Subject:
    """Another model, if it differs in its predictions only."""
    if other.process != subject.process:
        raise InputError(
            f"only models of one process are compared, not of {subject.process} and "
            f"{other.process}: certify each"
        )
    probe = torch.stack([subject.origin, subject.origin + 1])
    if not torch.allclose(other.outward(probe), subject.outward(probe), rtol=1e-5, atol=1e-6):
        raise InputError(
            "the models have different units: train both on the same data, split with the same seed"
        )
    return other


def _resolved(found: RowCosts, law: ExactLaw | DrawnLaw) -> float:
    """What the paths tell of which draw they end at, as a share of all there is to tell."""
    if isinstance(law, ExactLaw | NoisyDraws):
        return 0.0
    return float(found.information.mean()) / law.entropy if law.entropy else math.inf


def _warnings(share: float, n: int) -> tuple[str, ...]:
    if share < _RESOLVED:
        return ()
    if math.isinf(share):
        return (
            "no two rows were told the same, so that nothing bounds the spread of data that were: "
            "the bound is the whole loss of the model. State the noise that is in the data "
            "(noise=), or compare with another model (against=)",
        )
    return (
        f"{share:.0%} of what would tell {n} draws apart is in the paths: near the data the bound "
        "measures how many draws were held out, not the model. Hold out more, stop earlier, state "
        "the noise that is in the data (noise=), or compare with another model (against=)",
    )


def _assumptions(law: ExactLaw | None, noise: Any) -> tuple[str, ...]:
    if law is not None:
        return ("the law of the data is the one that was given",)
    found = (
        "the rows are independent draws that the model has not seen",
        "bound and score error are upper bounds in the mean over such draws",
    )
    if noise is None:
        return found
    stds = [noise] if isinstance(noise, int | float) else noise
    told = ", ".join(f"{std:g}" for std in stds)
    return (*found, f"the data have independent normal noise of standard deviation {told}")


def _told(model: Diffusion | Transport, given: RowContexts) -> tuple[str, ...]:
    if given.rows is not None:
        return (
            "each sample is told a label or context as frequent as in these rows, and the bound is "
            "that of both together: the mean over them, not of any single one",
        )
    if given.one is not None or not isinstance(model, Diffusion):
        return ()
    if not model.condition.conditional:
        return ()
    return (
        "samples are drawn without the label or context that the model takes; those drawn with "
        "one have another error",
    )


def _why_score(law: ExactLaw | None, noise: Any) -> str:
    if law is not None:
        return "predictions against the exact posterior mean, at noised data"
    if noise is not None:
        return "loss less what the draws, or the noise that was stated, leave open: an upper bound"
    return "predictions against the posterior mean of the draws: an upper bound in the mean"
