r"""Bounds of the literature on one exact world, each with what it supposes.

On the clock of `dX = -X dt + sqrt(2) dB` a process that preserves variance runs from the data to
`T = -log alpha`, and a step from `t` to `s` has the length `h = log(alpha_s / alpha_t)`. `gamma` is
the standard normal law, `I(p | gamma) = E |grad log p + x|^2` the relative Fisher information,
`p_delta` the law where sampling stops, and `epsilon^2` the score error in nats.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from pushforward.certificates.schemes import Scheme, StepCost, step_costs
from pushforward.distributions import GaussianMixture
from pushforward.divergences import gaussian
from pushforward.errors import CapabilityError
from pushforward.processes import Gaussian

__all__ = ["Hypothesis", "PublishedBound", "published_bounds"]

_DRAWS = 20_000


class Hypothesis(NamedTuple):
    """What a theorem supposes, and whether that was found to hold; `None` if it is assumed."""

    text: str
    holds: bool | None


@dataclass(frozen=True)
class PublishedBound:
    """The right-hand side of a theorem.

    Args:
        name: of those who proved it.
        value: the number; with a hidden constant it has 1 in its place.
        of: what it bounds, `KL`, `TV` or `W_2`.
        constant: `explicit`, or `hidden`: then the number is no bound, but shows how it scales.
        hypotheses: what it supposes.
    """

    name: str
    value: float
    of: Literal["KL", "TV", "W_2"]
    constant: Literal["explicit", "hidden"]
    hypotheses: tuple[Hypothesis, ...]

    @property
    def applies(self) -> bool:
        """Whether the number is a bound: no constant is hidden, no hypothesis known to fail."""
        return self.constant == "explicit" and all(h.holds is not False for h in self.hypotheses)

    def __str__(self) -> str:
        marks = {True: "holds", False: "FAILS", None: "assumed"}
        told = "; ".join(f"{h.text}: {marks[h.holds]}" for h in self.hypotheses)
        hidden = " with 1 for a hidden constant" if self.constant == "hidden" else ""
        return f"{self.name}: {self.of} {self.value:.4g}{hidden} ({told})"


def published_bounds(
    law: GaussianMixture,
    process: Gaussian,
    times: Sequence[float],
    scheme: Scheme,
    score_error: float,
) -> list[PublishedBound]:
    r"""The bounds of the literature for a law that is known, beside those of this package.

    Those of this package come first: by the finite Fisher information,
    `e^{-2T} KL(mu | gamma) + h_max I(p_delta | gamma) + epsilon^2` for the relative score, and by
    second moments, where `mmse` or `I` is bounded by its value for normal data of the same
    covariance or by `e^{-2t} E|x|^2 + d e^{-4t} / (1 - e^{-2t})`, and steps are summed by parts.

    The theorems start from `N(0, I)`, the samplers from `N(0, sigma_T^2 I)`. The difference,
    `E log gamma / N(0, sigma_T^2 I)` at the first time, is known exactly and is added to all bounds
    of `KL` that have `e^{-2T} KL(mu | gamma)` in them.

    The constants of De Bortoli et al. (2021) exist, and nobody has computed them: no number is
    given. The three terms of their bound of the total variation are measured each by itself, in
    nats as `Certificate.terms` and by Pinsker's inequality as `Certificate.in_total_variation`.

    Args:
        law: of the data, in units of the process.
        process: one that preserves variance.
        times: falling, from the first to the last.
        scheme: what the sampler freezes.
        score_error: in nats, as a certificate has it.

    Raises `CapabilityError` for a process that does not preserve variance.

    >>> from pushforward.certificates import scheme_of
    >>> from pushforward.grids import UniformGrid
    >>> from pushforward.samplers import RelativeScore
    >>> from pushforward.schedules import OU
    >>> data = GaussianMixture(torch.tensor([[1.0, -1.0]]).double(), 0.25)
    >>> process = Gaussian(OU(horizon=3.0))
    >>> times = UniformGrid()(process.schedule, 200, start=1.0, stop=1e-6)
    >>> found = published_bounds(data, process, times, scheme_of(RelativeScore()), 0.0)
    >>> for bound in (found[0], found[2]):
    ...     print(bound.name, round(bound.value, 3), bound.applies)
    finite Fisher information 0.102 True
    Strasman et al. 2025 0.394 True
    """
    if not process.schedule.preserves_variance:
        raise CapabilityError(
            f"the theorems are about processes that preserve variance, not {process.schedule}"
        )
    law = GaussianMixture(
        law.means.double(), law.component_covariances.double(), law.weights.double()
    )
    costs = step_costs(scheme, process.schedule, times)
    clock = [-math.log(float(process.schedule.values(t)[0])) for t in times]
    world = _World.of(law, clock)
    frozen = Hypothesis("relative score is frozen", scheme.name == "relative score")
    fisher = Hypothesis("finite Fisher information", math.isfinite(world.fisher))
    moment = Hypothesis("finite second moment", True)
    d, horizon, longest = len(law.mean), world.horizon, max(world.steps)
    mixed = math.exp(-2 * horizon) * world.kl + _other_start(world)
    bounds = [
        PublishedBound(
            "finite Fisher information",
            mixed + longest * world.fisher + score_error, "KL", "explicit", (fisher, frozen),
        ),
        PublishedBound(
            "second moment", _by_moments(scheme, costs, world) + score_error, "KL", "explicit",
            (moment, Hypothesis("data or relative score is frozen", scheme.name in _MOMENTS)),
        ),
        PublishedBound(
            "Strasman et al. 2025",
            mixed + score_error + 4 * longest * max(longest / 2, 1.0) * world.fisher,
            "KL", "explicit", (fisher, Hypothesis("constant steps", world.constant), frozen),
        ),
        PublishedBound(
            "Conforti et al. 2023",
            mixed + score_error + longest * world.fisher, "KL", "hidden",
            (fisher, Hypothesis("steps of at most 1", longest <= 1), frozen),
        ),
    ]  # fmt: skip
    kappa = max(h / min(1.0, after) for h, after in zip(world.steps, world.clock[1:], strict=True))
    bounds.append(
        PublishedBound(
            "Benton et al. 2024",
            score_error + kappa**2 * d * len(costs) + kappa * d * horizon
            + d * math.exp(-2 * horizon), "KL", "hidden",
            (
                Hypothesis("Cov x_0 = I", world.white),
                Hypothesis(f"steps at most {kappa:.3g} min(1, t)", True),
            ),
        )
    )  # fmt: skip
    if (lipschitz := _lipschitz(law)) is not None:
        rough = lipschitz * math.sqrt(d * longest) + lipschitz * math.sqrt(world.moment) * longest
        bounds.append(
            PublishedBound(
                "Chen et al. 2023",
                math.sqrt(world.kl) * math.exp(-horizon) + rough * math.sqrt(horizon)
                + math.sqrt(max(score_error, 0.0)), "TV", "hidden",
                (
                    Hypothesis(f"scores Lipschitz, L = {lipschitz:.3g}", True),
                    Hypothesis("steps below 1 / L", longest <= 1 / lipschitz),
                ),
            )
        )  # fmt: skip
    return bounds


class _World(NamedTuple):
    """What the theorems ask of the data and of the steps."""

    clock: list[float]
    horizon: float
    steps: list[float]
    kl: float
    fisher: float
    moment: float
    variances: Tensor
    white: bool
    constant: bool

    @classmethod
    def of(cls, law: GaussianMixture, clock: list[float]) -> _World:
        """Clock times from the horizon down."""
        steps = [a - b for a, b in pairwise(clock)]
        cov, d = law.covariance, len(law.mean)
        alpha = math.exp(-clock[-1])
        end = law.noised(alpha, math.sqrt(1 - alpha**2))
        eye = torch.eye(d, dtype=torch.float64)
        if len(law.means) == 1:
            kl = gaussian.kl(law.mean, cov, 0 * law.mean, eye)
            stopped = alpha**2 * cov + (1 - alpha**2) * eye
            fisher = gaussian.fisher_divergence(alpha * law.mean, stopped, 0 * law.mean, eye)
        else:
            x = law.sample(_DRAWS, seed=0)
            gap = law.log_prob(x) + 0.5 * x.square().sum(1) + 0.5 * d * math.log(2 * math.pi)
            kl = float(gap.mean())
            y = end.sample(_DRAWS, seed=0)
            fisher = float((end.score(y) + y).square().sum(1).mean())
        moment = float(cov.trace() + law.mean.square().sum())
        white = bool(torch.allclose(cov, eye, atol=0.05))
        constant = max(steps) - min(steps) < 1e-6 * max(steps)
        return cls(
            clock, clock[0], steps, kl, fisher, moment, torch.linalg.eigvalsh(cov), white, constant
        )


_MOMENTS = ("data prediction", "relative score")


def _by_moments(scheme: Scheme, costs: list[StepCost], world: _World) -> float:
    """The bound of prior mismatch and discretization by second moments; NaN for other schemes."""
    d = len(world.variances)
    if scheme.name == "data prediction":
        snr = [cost.ends[0] for cost in costs]
        length = [0.5 * (cost.ends[1] - cost.ends[0]) for cost in costs]
        before = [0.0, *length[:-1]]
        most = [float((world.variances / (1 + s * world.variances)).sum()) for s in snr]
        steps = math.fsum(
            max(now - last, 0.0) * m for now, last, m in zip(length, before, most, strict=True)
        )
        return 0.5 * snr[0] * world.moment + steps
    if scheme.name == "relative score":
        e = [math.exp(-2 * t) for t in world.clock]
        most = [a * world.moment + d * a**2 / (1 - a) for a in e]
        h = world.steps
        steps = h[-1] * most[-1] + math.fsum(
            max(last - now, 0.0) * m for (last, now), m in zip(pairwise(h), most[1:-1], strict=True)
        )
        return 0.5 * e[0] / (1 - e[0]) * world.moment + steps
    return math.nan


def _other_start(world: _World) -> float:
    """What the mean of `log gamma / N(0, sigma^2 I)` is where sampling starts."""
    d, share = len(world.variances), math.exp(-2 * world.horizon)
    return 0.5 * (share**2 / (1 - share) * world.moment + d * (share + math.log1p(-share)))


def _lipschitz(law: GaussianMixture) -> float | None:
    """The largest Lipschitz constant of the scores, of normal laws and of mixtures of one
    isotropic covariance; `None` for others."""
    if len(law.means) == 1:
        return max(1.0, 1 / float(torch.linalg.eigvalsh(law.covariance).min()))
    first = law.variances[0, 0]
    if law.rotation is not None and not torch.allclose(law.variances, first):
        return None
    if not torch.allclose(law.variances, first.expand_as(law.variances)):
        return None
    radius = float((law.means - law.means.mean(0)).norm(dim=1).max())
    t = torch.linspace(0, 8, 4001, dtype=torch.float64)
    a = torch.exp(-2 * t)
    v = a * first + 1 - a
    return float(torch.maximum(1 / v, a * radius**2 / v**2 - 1 / v).max())
