"""Posteriors with scales of their own: their geometry changes from place to place."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.distributions import AffineTransform, CatTransform, ComposeTransform
from torch.distributions.transforms import ExpTransform, SigmoidTransform, identity_transform
from torch.nn.functional import softplus

from pushforward.checks import flag, whole
from pushforward.errors import InputError
from pushforward.targets.data_files import constants_of, source_of
from pushforward.targets.hierarchical_references import bridge_reference, schools_reference
from pushforward.targets.target import Target, TargetReference

__all__ = ["brownian", "eight_schools", "log_volatility", "seeds", "stochastic_volatility"]

_LOG_2PI = math.log(2 * math.pi)
_DOUBLE = torch.float64


def _normal(x: Tensor, mean: Tensor | float, scale: Tensor | float) -> Tensor:
    """Log-densities of normal numbers, entry by entry."""
    log_scale = scale.log() if isinstance(scale, Tensor) else math.log(scale)
    return -0.5 * (((x - mean) / scale).square() + _LOG_2PI) - log_scale


def _positive_first(count: int, rest: int) -> CatTransform:
    """Exponentials of the first numbers, the others as they are."""
    parts = [ExpTransform(), identity_transform]
    return CatTransform(parts, dim=-1, lengths=[count, rest])


_EFFECTS = (28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0)
_ERRORS = (15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0)


def eight_schools(centered: bool = True) -> Target:
    """Effects of coaching in eight schools (Rubin 1981): mean, log scale, and eight effects.

    `mean ~ N(0, 10^2)`, `log scale ~ N(5, 1)`, effects `N(mean, scale^2)`, observed with known
    errors. With `centered=False` the eight numbers are standard normal, and the funnel is gone.

    >>> eight_schools().event_shape
    (10,)
    """
    flag("centered", centered)

    def log_prob(x: Tensor) -> Tensor:
        observed, errors = x.new_tensor(_EFFECTS), x.new_tensor(_ERRORS)
        mean, log_scale, own = x[:, :1], x[:, 1:2], x[:, 2:]
        prior = _normal(mean, 0.0, 10.0)[:, 0] + _normal(log_scale, 5.0, 1.0)[:, 0]
        if centered:
            effects, own_prior = own, _normal(own, mean, log_scale.exp())
        else:
            effects, own_prior = mean + log_scale.exp() * own, _normal(own, 0.0, 1.0)
        fit = _normal(observed, effects, errors)
        return prior + own_prior.sum(-1) + fit.sum(-1)

    known = schools_reference(_EFFECTS, _ERRORS)
    return Target(
        log_prob, 10, name="eight schools",
        names=("mean", "log_scale", *(f"effect_{k}" for k in range(1, 9))),
        reference=known if centered else replace(known, mean=None, std=None, moments=""),
    )  # fmt: skip


_GERMINATED = (10, 23, 23, 26, 17, 5, 53, 55, 32, 46, 10, 8, 10, 8, 23, 0, 3, 22, 15, 32, 3)
_SEEDS = (39, 62, 81, 51, 39, 6, 74, 72, 51, 79, 13, 16, 30, 28, 45, 4, 12, 41, 30, 51, 7)
_VARIETY = (0,) * 11 + (1,) * 10
_EXTRACT = (0,) * 5 + (1,) * 6 + (0,) * 5 + (1,) * 5


def seeds() -> Target:
    """Germination of seeds on 21 plates (Crowder 1978): a random effect for each.

    States are a precision `t ~ Gamma(0.01, 0.01)`, four weights `N(0, 10^2)` of intercept, seed
    variety, root extract and their product, and 21 effects `N(0, 1 / t)`.

    >>> seeds().event_shape
    (26,)
    """
    coefficient = sum(
        math.lgamma(n + 1) - math.lgamma(r + 1) - math.lgamma(n - r + 1)
        for r, n in zip(_GERMINATED, _SEEDS, strict=True)
    )
    shape = rate = 0.01

    def log_prob(x: Tensor) -> Tensor:
        r, n, a, b = (x.new_tensor(v) for v in (_GERMINATED, _SEEDS, _VARIETY, _EXTRACT))
        precision, weights, effects = x[:, :1], x[:, 1:5], x[:, 5:]
        design = torch.stack([torch.ones_like(a), a, b, a * b])
        logit = weights @ design + effects
        fit = (r * logit - n * softplus(logit)).sum(-1) + coefficient
        prior = shape * math.log(rate) - math.lgamma(shape)
        gamma = (shape - 1) * precision.log() - rate * precision + prior
        random = _normal(effects, 0.0, precision.rsqrt()).sum(-1)
        return fit + gamma[:, 0] + _normal(weights, 0.0, 10.0).sum(-1) + random

    return Target(
        log_prob, 26, bijector=_positive_first(1, 25), name="seeds",
        names=("precision", "intercept", "variety", "extract", "both",
               *(f"effect_{k}" for k in range(1, 22))),
        reference=TargetReference(
            -73.400, 0.005, "effects by Gauss-Hermite, weights by importance, precision on a grid"
        ),
    )  # fmt: skip


_OBSERVED = (
    0.21592641, 0.118771404, -0.07945447, 0.037677474, -0.27885845, -0.1484156, -0.3250906,
    -0.22957903, -0.44110894, -0.09830782, -0.8786016, -0.83736074, -0.7384849, -0.8939254,
    -0.7774566, -0.70238715, -0.87771565, -0.51853573, -0.6948214, -0.6202789,
)  # fmt: skip
"""A synthetic path of inference-gym at the times 1 to 10 and 21 to 30."""


def brownian() -> Target:
    """A Brownian motion with a gap in its observations, both scales unknown.

    States are the scales of steps and of errors, both log-normal `(0, 2)`, and 30 places, the first
    `N(0, step^2)`; observed are the first and the last ten.

    >>> brownian().event_shape
    (32,)
    """

    def log_prob(x: Tensor) -> Tensor:
        observed = x.new_tensor(_OBSERVED)
        scales, places = x[:, :2], x[:, 2:]
        prior = (_normal(scales.log(), 0.0, 2.0) - scales.log()).sum(-1)
        steps = torch.diff(places, dim=1, prepend=torch.zeros_like(places[:, :1]))
        path = _normal(steps, 0.0, scales[:, :1]).sum(-1)
        seen = torch.cat([places[:, :10], places[:, 20:]], 1)
        return prior + path + _normal(observed, seen, scales[:, 1:]).sum(-1)

    return Target(
        log_prob, 32, bijector=_positive_first(2, 30), name="brownian",
        names=("step_scale", "error_scale", *(f"place_{k}" for k in range(1, 31))),
        reference=bridge_reference(_OBSERVED, (*range(1, 11), *range(21, 31)), 30),
    )  # fmt: skip


def stochastic_volatility(data: str | Path | None = None, days: int | None = None) -> Target:
    """Daily returns of the S&P 500 whose log-volatility is an autoregression of its own.

    States are the persistence, `2 Beta(20, 1.5) - 1`, the mean log-volatility, `Cauchy(0, 5)`, the
    scale of its shocks, half-Cauchy `(0, 2)`, and the standard normal shocks of each day, from
    which the log-volatilities follow (`log_volatility`): the non-centered form of the model of
    inference-gym, whose volatilities have the same posterior.

    Args:
        data: a folder with `sp500_closing_prices.py` of inference-gym 0.0.5, which is read, not
            run; by default that of the installed package.
        days: only the last ones; all 2,516 by default.

    Raises `InputError` for missing data, and for more days than there are.
    """
    prices = constants_of(source_of("sp500", data))["CLOSING_PRICES"]
    returns = prices.diff()
    if days is not None:
        if whole("days", days, least=2) > len(returns):
            raise InputError(f"there are {len(returns)} days, not {days}")
        returns = returns[-days:]
    returns = returns - returns.mean()
    count = len(returns)
    beta = math.lgamma(21.5) - math.lgamma(20.0) - math.lgamma(1.5) - math.log(2)

    def log_prob(x: Tensor) -> Tensor:
        persistence, mean, scale = x[:, 0], x[:, 1], x[:, 2]
        share = (persistence + 1) / 2
        prior = 19 * share.log() + 0.5 * torch.log1p(-share) + beta
        prior = prior - torch.log1p((mean / 5).square()) - math.log(5 * math.pi)
        prior = prior - torch.log1p((scale / 2).square()) - math.log(math.pi)
        fit = _normal(returns.to(x), 0.0, (log_volatility(x) / 2).exp())
        return prior + _normal(x[:, 3:], 0.0, 1.0).sum(-1) + fit.sum(-1)

    unit = ComposeTransform([SigmoidTransform(), AffineTransform(-1.0, 2.0)])
    bijector = CatTransform(
        [unit, identity_transform, ExpTransform(), identity_transform],
        dim=-1, lengths=[1, 1, 1, count],
    )  # fmt: skip
    return Target(
        log_prob, 3 + count, bijector=bijector, name=f"stochastic volatility of {count} days",
        names=("persistence", "mean", "scale", *(f"shock_{k}" for k in range(1, count + 1))),
    )  # fmt: skip


def log_volatility(x: Tensor) -> Tensor:
    """The log-volatilities of states of `stochastic_volatility`, `(B, days)`.

    `h_1 = m + s e_1 / sqrt(1 - r^2)` and `h_t = m + r (h_(t - 1) - m) + s e_t`, as one product with
    powers of `r` by doubling: `log2(days)` steps.
    """
    persistence, mean, scale, shocks = x[:, :1], x[:, 1:2], x[:, 2:3], x[:, 3:]
    first = shocks[:, :1] / (1 - persistence.square()).sqrt()
    h, power, reach = torch.cat([first, shocks[:, 1:]], 1), persistence, 1
    while reach < h.shape[1]:
        h = torch.cat([h[:, :reach], h[:, reach:] + power * h[:, :-reach]], 1)
        power, reach = power.square(), 2 * reach
    return mean + scale * h
