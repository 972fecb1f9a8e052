"""`certify`: how far samples of a model can be from the data, and what makes them so."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pushforward import checks, grids, registry
from pushforward._random import resolve
from pushforward._shapes import flatten
from pushforward.certificates.certificate import Certificate, Term
from pushforward.certificates.laws import DrawnLaw, KnownLaw, NormalLaw
from pushforward.certificates.schemes import StepCost, scheme_of, step_costs
from pushforward.certificates.subjects import Subject, law_in_units, subject_of
from pushforward.distributions import GaussianMixture
from pushforward.errors import InputError
from pushforward.models import Diffusion
from pushforward.models.simulation import times_of
from pushforward.protocols import Sampler, Transport

__all__ = ["certify"]

_FEWEST = 20
_RESOLVED = 0.5
"""The share of `log n` from which on the draws, not their law, are what is certified."""


@torch.no_grad()
def certify(
    model: Diffusion | Transport,
    holdout: Tensor,
    *,
    sampler: str | Sampler = "ddpm",
    steps: int | None = None,
    law: GaussianMixture | None = None,
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
    which grow with what few draws cannot tell, up to the logarithm of their number. What is certain
    without any law is the difference to another model, `against`.

    Args:
        model: a `Diffusion` of vectors on a Gaussian process, or a `Transport`.
        holdout: data that the model has not seen, `(n, *event)`, 20 rows and more.
        sampler: a short name or a sampler; one that earns a certificate (`scheme_of`).
        steps, grid, start, stop, denoise: as in `Diffusion.sample`.
        law: of the data, in their units, where it is known.
        against: another model of the same process, in the same units.
        c: one label or context that all of the data have, for a model that takes them; without
            it, what is certified is sampling without.
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
    subject = subject_of(model, c, _precision(holdout))
    holdout = _chosen(holdout, checks.whole("rows", rows, least=_FEWEST), seed)
    z = _states(subject, holdout)
    process = subject.process
    steps = checks.whole("steps", process.steps if steps is None else steps, 1 + denoise)
    times = times_of(process, grid or subject.grid, steps - denoise, start, stop)
    costs = step_costs(scheme, process.schedule, times)
    known = None if law is None else law_in_units(law, subject, z)
    other = None if against is None else _same(subject_of(against, c, _precision(holdout)), subject)
    found = _walk(subject, other, costs, known or DrawnLaw(flatten(z)), z, seed)
    first = process.schedule.at(times[0])
    prior, prior_rows = _prior_mismatch(known, z, float(first.alpha), float(first.sigma))
    discretization = _discretization(known, costs, found)
    whole = found.score.sum(0) + prior_rows
    if discretization.kind == "estimated":
        whole = whole + found.cost.sum(0)
    terms = {
        "prior mismatch": prior,
        "score error": _mean(found.score.sum(0), "estimated", _why_score(known)),
        "discretization": discretization,
        "early stopping": _early_stopping(subject, holdout, z, times[-1], denoise, seed),
    }
    difference = None
    if found.difference is not None:
        why = "the other model's loss on the same rows and noise is subtracted: no law is needed"
        difference = _mean(found.difference, "estimated", why)
    share = _resolved(costs, found, known)
    stderr, name = float(whole.std() / math.sqrt(len(z))), registry.called("samplers", sampler)
    return Certificate(
        terms, stderr, name, steps, len(z),
        (*_assumptions(known), *_without_context(model, c)), _warnings(share, len(z)), difference,
        {
            "score error": tuple(found.score.mean(1).tolist()),
            "discretization": tuple(found.cost.mean(1).tolist()),
        },
    )  # fmt: skip


class _Walk(NamedTuple):
    """For each step and row: what score and discretization cost; the gap to another model; and
    what the law says of the data in all, `1/2 int mmse dSNR`, `(n,)`."""

    score: Tensor
    cost: Tensor
    difference: Tensor | None
    information: Tensor


def _walk(
    subject: Subject,
    other: Subject | None,
    costs: list[StepCost],
    law: KnownLaw | DrawnLaw,
    z: Tensor,
    seed: int,
) -> _Walk:
    """Ask model and law about noised data at every step."""
    generator = resolve(seed, None, z.device)
    x_0 = flatten(z).double()
    score, cost = [], []
    difference = None if other is None else torch.zeros_like(x_0[:, 0])
    information = torch.zeros_like(x_0[:, 0])

    def noised(alpha: float, sigma: float) -> Tensor:
        noise = torch.randn(x_0.shape, generator=generator, dtype=x_0.dtype, device=x_0.device)
        return alpha * x_0 + sigma * noise

    for step in costs:
        x = noised(step.alpha, step.sigma)
        pred, mean = subject.predict(x, step.t), law.posterior_mean(x, step.alpha, step.sigma)
        target = law.target(x_0, mean)
        form = step.form.to(x)
        ours = _form(form, target, x, pred)
        score.append(ours - _form(form, target, x, mean))
        if other is not None and difference is not None:
            difference = difference + ours - _form(form, target, x, other.predict(x, step.t))
        moment, dimension, at_start = step.exact_prediction()
        spent = moment * x_0.square().sum(1) + dimension * x_0.shape[1]
        spent = spent + at_start * law.spread(x_0, x, step.alpha, step.sigma)
        known = torch.zeros_like(spent)
        for snr, share in zip(step.nodes.tolist(), step.shares.tolist(), strict=True):
            # Any signal and noise of that ratio will do: the posterior mean is the same.
            alpha, sigma = math.sqrt(snr / (1 + snr)), math.sqrt(1 / (1 + snr))
            known = known + 0.5 * share * law.spread(x_0, noised(alpha, sigma), alpha, sigma)
        cost.append(spent - known)
        information = information + known
    return _Walk(torch.stack(score), torch.stack(cost), difference, information)


def _form(form: Tensor, z: Tensor, x: Tensor, pred: Tensor) -> Tensor:
    """The quadratic form of a step, but for what depends on data and state alone, `(B,)`."""
    return (2 * (form[0, 2] * z + form[1, 2] * x) * pred + form[2, 2] * pred.square()).sum(1)


def _prior_mismatch(
    law: KnownLaw | None, z: Tensor, alpha: float, sigma: float
) -> tuple[Term, Tensor]:
    """The first term, and what each row adds to it where it is estimated."""
    snr = (alpha / sigma) ** 2
    each = 0.5 * snr * flatten(z).double().square().sum(1)
    if isinstance(law, NormalLaw):
        why = "of two normal laws, in closed form"
        return Term(law.prior_mismatch(alpha, sigma), 0.0, "proved", why=why), 0 * each
    why = "SNR E|x_0|^2 / 2, since relative entropy is convex"
    if law is not None:
        return Term(0.5 * snr * law.second_moment, 0.0, "proved", why=why), 0 * each
    return _mean(each, "estimated", why), each


def _discretization(law: KnownLaw | None, costs: list[StepCost], found: _Walk) -> Term:
    if not isinstance(law, NormalLaw):
        why = "the relative entropy of the steps with the exact posterior mean"
        return _mean(found.cost.sum(0), "estimated", why)
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


def _mean(each: Tensor, kind: Any, why: str) -> Term:
    return Term(float(each.mean()), float(each.std()) / math.sqrt(len(each)), kind, why=why)


def _precision(holdout: Tensor) -> torch.dtype:
    if not isinstance(holdout, Tensor) or not holdout.is_floating_point():
        raise InputError(f"held-out data are a tensor of real numbers, not {holdout!r:.60}")
    return holdout.dtype


def _chosen(holdout: Tensor, rows: int, seed: int) -> Tensor:
    """As many rows at random: the first ones of data in order would be no draws of their law."""
    if len(holdout) <= rows:
        return holdout
    generator = torch.Generator().manual_seed(seed)
    return holdout[torch.randperm(len(holdout), generator=generator)[:rows].to(holdout.device)]


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
        raise InputError("the models have different units: train both on the same data")
    return other


def _resolved(costs: list[StepCost], found: _Walk, law: KnownLaw | None) -> float:
    """What the paths tell of which draw they end at, as a share of all there is to tell."""
    if law is not None:
        return 0.0
    return float(found.information.mean()) / math.log(found.information.shape[0])


def _warnings(share: float, n: int) -> tuple[str, ...]:
    if share < _RESOLVED:
        return ()
    return (
        f"{share:.0%} of what would tell {n} draws apart is in the paths: near the data the bound "
        "measures how many draws were held out, not the model. Hold out more, stop earlier, or "
        "compare with another model (against=)",
    )


def _assumptions(law: KnownLaw | None) -> tuple[str, ...]:
    if law is not None:
        return ("the law of the data is the one that was given",)
    return (
        "the rows are independent draws that the model has not seen",
        "bound and score error are upper bounds in the mean over such draws",
    )


def _without_context(model: Diffusion | Transport, c: Any) -> tuple[str, ...]:
    if c is not None or not isinstance(model, Diffusion) or not model.condition.conditional:
        return ()
    return (
        "samples are drawn without the label or context that the model takes; those drawn with "
        "one have another error",
    )


def _why_score(law: KnownLaw | None) -> str:
    if law is not None:
        return "predictions against the exact posterior mean, at noised data"
    return "predictions against the posterior mean of the draws: an upper bound in the mean"
