r"""The bound of the literature for probability flows, on mixtures of one isotropic covariance.

For a flow whose velocity is wrong by `epsilon`, `epsilon^2 = int E |v - v_model|^2 dt`, and has the
Lipschitz constant `L_t`,

    W_2  <=  epsilon exp(int L_t dt)

(Benton, Deligiannidis & Doucet 2024, theorem 1). Along `x = a m + g z`, with `m` in a ball of
radius `R` and normal `z`, the exact velocity has by their theorem 2

    int L_t dt  <=  lambda int |g'| / g dt  +  sqrt(lambda) R int |a'| / g dt,

where `lambda` bounds the covariance of `z` given `x`. Data of a mixture of `N(m_i, s^2 I)` with
`|m_i| <= R` are such a path with `g_t^2 = alpha_t^2 s^2 + sigma_t^2`, and `lambda = 1 + R^2 / s^2`.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch

from pushforward import checks
from pushforward.certificates.published import Hypothesis, PublishedBound
from pushforward.distributions import GaussianMixture
from pushforward.errors import CapabilityError
from pushforward.processes import Gaussian

__all__ = ["published_flow_bound"]


def published_flow_bound(
    law: GaussianMixture,
    process: Gaussian,
    velocity_error: float,
    *,
    start: float | None = None,
    stop: float | None = None,
    times: int = 2000,
) -> PublishedBound:
    r"""`epsilon exp(int L_t dt)` with the Lipschitz constants that theory has for a mixture.

    A distance `W_2` between the exact flow and that of a model, from one start, in units of the
    process.

    Args:
        law: of the data, in units of the process: components of one covariance `s^2 I`.
        process: a Gaussian one.
        velocity_error: `epsilon`, root mean square over the path: that of `flow_certificate` is not
            it, as it has the growth in it.
        start, stop: the first and the last time; those of the process by default.
        times: of the quadrature.

    Raises `CapabilityError` for components of different or other covariances.

    >>> from pushforward.schedules import Rectified
    >>> data = GaussianMixture(torch.tensor([[-1.0], [1.0]]).double(), 1.0)
    >>> found = published_flow_bound(data, Gaussian(Rectified()), 0.1, start=1.0, stop=0.0)
    >>> found.of, found.value > 0.1, found.applies
    ('W_2', True, True)
    """
    variance = law.variances.double().flatten()[0]
    if not torch.allclose(law.variances.double(), variance.expand_as(law.variances), rtol=1e-6):
        raise CapabilityError("this bound is for mixtures of components with one covariance s^2 I")
    error = checks.number("velocity_error", velocity_error, least=0)
    first, last = process.interval
    start, stop = first if start is None else start, last if stop is None else stop
    clock = torch.linspace(start, stop, checks.whole("times", times, least=2)).tolist()
    signal, noise = zip(
        *((float(v) for v in process.schedule.values(t)) for t in clock), strict=True
    )
    means = law.means.double()
    radius = float(means.norm(dim=1).max())
    regular = 1 + radius**2 / float(variance)
    rest = [math.sqrt(a * a * float(variance) + s * s) for a, s in zip(signal, noise, strict=True)]
    shrinks = sum(abs(math.log(b / a)) for a, b in pairwise(rest))
    moves = sum(
        abs(b - a) * 0.5 * (1 / g + 1 / h)
        for (a, b), (g, h) in zip(pairwise(signal), pairwise(rest), strict=True)
    )
    exponent = regular * shrinks + math.sqrt(regular) * radius * moves
    return PublishedBound(
        "Benton, Deligiannidis & Doucet 2024",
        error * math.exp(min(exponent, 700.0)), "W_2", "explicit",
        (
            Hypothesis(f"lambda = 1 + R^2 / s^2 = {regular:.4g}, int L = {exponent:.4g}", True),
            Hypothesis("the velocity of the model is as smooth as the exact one", None),
            Hypothesis("the flow starts from the exact distribution", signal[0] < 1e-6),
        ),
    )  # fmt: skip
