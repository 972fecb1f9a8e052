"""Posteriors of several independent observations, composed of exact scores given one each.

Two parameters with a normal prior, and three likelihoods of an observation of them: normal; a
mixture of wide and narrow noise; and one that does not tell the sign, so that every posterior has
two modes. Every rule of composition draws with 50 steps. Shown is the sliced W2 distance between
draws and exact ones, in deviations of the exact posterior, which shrinks with the observations:

    .venv/bin/python benchmarks/independent_observations.py --write

`floor` are other exact draws. Posteriors that have no closed form are drawn from on a grid.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor

import record
import shared
import timing
from pushforward import registry, samplers
from pushforward.guidance import (
    FactorizedComposition,
    GaussComposition,
    JacobianComposition,
    ScoreComposition,
)
from pushforward.metrics import sliced_wasserstein
from pushforward.models.simulation import times_of
from pushforward.processes import Gaussian
from pushforward.protocols import Transport

DRAWS, STEPS = 500, 50
OBSERVATIONS = (1, 2, 5, 10, 30, 90)
SEEDS = (0, 1, 2)
PROCESS = Gaussian()
_DIVERGED = 100.0
"""Deviations of the exact posterior."""

# The likelihood of an observation: equal parts `N(sign theta, deviation^2 I)`.
LIKELIHOODS: dict[str, list[tuple[float, float]]] = {
    "normal": [(1.0, 0.7)],
    "wide or narrow": [(1.0, 1.5), (1.0, 1 / 3)],
    "two signs": [(1.0, 0.7), (-1.0, 0.7)],
}


def parts(likelihood: str, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The posterior given one observation: log-weights `(n, K)`, means `(n, K, 2)`, variances."""
    signs, deviations = (torch.tensor(v) for v in zip(*LIKELIHOODS[likelihood], strict=True))
    noise = deviations.square()
    variances = 1 / (1 + 1 / noise)
    log_weights = -0.5 * y.square().sum(-1, keepdim=True) / (1 + noise) - (1 + noise).log()
    means = y[:, None] * (signs * variances / noise)[:, None]
    return log_weights, means, variances


def denoised(likelihood: str, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
    """`E[theta | x_t, y]`, with one observation a row."""
    alpha, sigma = (v.reshape(-1, 1) for v in PROCESS.schedule.values(t))
    log_weights, means, variances = parts(likelihood, y)
    spread = alpha.square() * variances + sigma.square()
    gap = x[:, None] - alpha[..., None] * means
    log_joint = log_weights - 0.5 * gap.square().sum(-1) / spread - spread.log()
    found = means + (alpha * variances / spread)[..., None] * gap
    return (log_joint.softmax(-1)[..., None] * found).sum(1)


def covariances(likelihood: str, y: Tensor) -> Tensor:
    """Of the posteriors given one observation each, `(n, 2, 2)`."""
    log_weights, means, variances = parts(likelihood, y)
    weights = log_weights.softmax(-1)
    gap = means - torch.einsum("nk,nkd->nd", weights, means)[:, None]
    within = (weights @ variances)[:, None, None] * torch.eye(2)
    return within + torch.einsum("nk,nki,nkj->nij", weights, gap, gap)


def log_posterior(likelihood: str, y: Tensor, theta: Tensor) -> Tensor:
    """Given all observations, up to a constant, `(B,)`."""
    found = -0.5 * theta.square().sum(-1)
    for row in y:
        terms = [
            -0.5 * ((sign * theta - row) / deviation).square().sum(-1) - 2 * math.log(deviation)
            for sign, deviation in LIKELIHOODS[likelihood]
        ]
        found = found + torch.stack(terms).logsumexp(0)
    return found


def exact_draws(likelihood: str, y: Tensor, n: int, seed: int) -> Tensor:
    """From the density on a grid, which is laid twice: the second time about all of its mass."""
    low, high = torch.full((2,), -5.0), torch.full((2,), 5.0)
    for cells in (300, 500):
        sides = [torch.linspace(*ends, cells) for ends in zip(low, high, strict=True)]
        width = torch.stack([side[1] - side[0] for side in sides])
        theta = torch.cartesian_prod(*sides)
        log_p = log_posterior(likelihood, y, theta)
        inside = theta[log_p > log_p.max() - 25]
        low, high = inside.amin(0) - width, inside.amax(0) + width
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.multinomial((log_p - log_p.max()).exp(), n, True, generator=generator)
    return theta[chosen] + width * (torch.rand(n, 2, generator=generator) - 0.5)


def observed(likelihood: str, n: int, seed: int) -> Tensor:
    """Observations of parameters drawn from the prior, `(n, 2)`."""
    generator = torch.Generator().manual_seed(100 * seed + n)
    theta = torch.randn(2, generator=generator)
    table = torch.tensor(LIKELIHOODS[likelihood])
    own = table[torch.randint(len(table), (n,), generator=generator)]
    return own[:, :1] * theta + own[:, 1:] * torch.randn(n, 2, generator=generator)


def reversed_by(model: ScoreComposition, seed: int) -> Tensor:
    """Draws of the reversed process with a composed prediction."""
    times = times_of(PROCESS, PROCESS.grid, STEPS)
    start = torch.randn(DRAWS, 2, generator=torch.Generator().manual_seed(seed))
    rule = registry.resolve("samplers", PROCESS.sampler)
    with torch.no_grad():
        x = samplers.run(rule, Transport(model, PROCESS), start, times, seed=seed)
        return model(x, torch.tensor(times[-1]))


def composed(kind: Callable[..., Any], likelihood: str, y: Tensor, **more: Any) -> Any:
    """A rule of composition with exact individual predictions."""
    model = partial(denoised, likelihood)
    known = {"mean": torch.zeros(2), "covariance": torch.eye(2)}
    return kind(model=model, contexts=y, process=PROCESS, **known, **more)


def gauss(likelihood: str, y: Tensor, seed: int) -> Tensor:
    """GAUSS, with the exact covariances of the individual posteriors."""
    spread = covariances(likelihood, y)
    return reversed_by(composed(GaussComposition, likelihood, y, covariances=spread), seed)


def jac(likelihood: str, y: Tensor, seed: int) -> Tensor:
    """JAC."""
    return reversed_by(composed(JacobianComposition, likelihood, y), seed)


def factorized(likelihood: str, y: Tensor, seed: int) -> Tensor:
    """F-NPSE as if its scores were those of a reversed process."""
    return reversed_by(composed(FactorizedComposition, likelihood, y), seed)


def langevin(likelihood: str, y: Tensor, seed: int) -> Tensor:
    """F-NPSE with Langevin steps at each level."""
    model = composed(FactorizedComposition, likelihood, y)
    start = torch.randn(DRAWS, 2, generator=torch.Generator().manual_seed(seed))
    spread = partial(model.preconditioner, covariances(likelihood, y))
    times = times_of(PROCESS, PROCESS.grid, STEPS)
    return samplers.PreconditionedLangevin().run(model.score, spread, start, times, seed=seed)


def floor(likelihood: str, y: Tensor, seed: int) -> Tensor:
    """Other exact draws."""
    return exact_draws(likelihood, y, DRAWS, seed + 1000)


RULES: dict[str, Callable[[str, Tensor, int], Tensor]] = {
    "floor": floor,
    "GAUSS": gauss,
    "JAC": jac,
    "factorized, Langevin steps": langevin,
    "factorized, reversed": factorized,
}


def run(likelihood: str, rule: str, n: int, seed: int) -> dict[str, Any]:
    """Draw by one rule, and judge."""
    y = observed(likelihood, n, seed)
    reference = exact_draws(likelihood, y, DRAWS, seed)
    begin = time.process_time()
    drawn = RULES[rule](likelihood, y, seed)
    spent = time.process_time() - begin
    unit = float(reference.var(0).mean().sqrt())
    drawn = drawn.nan_to_num(math.inf).clamp(-1e3, 1e3)
    found = sliced_wasserstein(drawn / unit, reference / unit)
    return {"w2": found.value, "seconds": round(spent, 2)}


def text(results: list[dict[str, Any]]) -> str:
    """A row for each likelihood and rule, a column for each number of observations."""
    counts = sorted({r["n"] for r in results})
    head = ["likelihood", "rule", *(f"n = {n}" for n in counts), f"CPU seconds, n = {counts[-1]}"]
    rows = []
    for likelihood, rule in product(LIKELIHOODS, RULES):
        own = [r for r in results if (r["likelihood"], r["rule"]) == (likelihood, rule)]
        if own:
            spent = [r["seconds"] for r in own if r["n"] == counts[-1]]
            cost = f"{statistics.median(spent):.1f}" if rule != "floor" else "–"
            cells = [_mean([r["w2"] for r in own if r["n"] == n]) for n in counts]
            rows.append([likelihood, rule, *cells, cost])
    return record.table(head, rows)


def _mean(values: list[float]) -> str:
    lost = sum(value > _DIVERGED for value in values)
    if lost:
        return "diverged" if lost == len(values) else f"{lost} of {len(values)} diverged"
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return f"{statistics.fmean(values):.2f} ± {error:.2f}"


def main() -> None:
    """Draw, judge, print, and with `--write` record."""
    options = shared.arguments(
        __doc__,
        likelihoods=(LIKELIHOODS, "of one observation"),
        rules=(RULES, "of composition"),
        observations=(OBSERVATIONS, "how many of them"),
        seeds=(SEEDS, "of observations and draws"),
    ).parse_args()
    timing.one_thread()
    if options.smoke:
        options.observations, options.seeds = [2], options.seeds[:1]
    cases = [
        {"likelihood": likelihood, "rule": rule, "n": n, "seed": seed}
        for seed, n in product(options.seeds, options.observations)
        for likelihood, rule in product(options.likelihoods, options.rules)
    ]
    results = shared.gathered(options, cases, run)
    print(text(results))
    if options.write:
        facts = {"environment": record.environment(), "draws": DRAWS, "steps": STEPS}
        record.save("independent_observations", facts | {"results": results}, text(results))


if __name__ == "__main__":
    main()
