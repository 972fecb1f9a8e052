"""Posterior samplers where the posterior is known: 25 modes seen through a few numbers.

The prior has 25 equal modes `N((8 i, 8 j, 8 i, 8 j, ...), I)`, `i, j = -2 .. 2`, on R^d; the
measurement is `A x` with noise of deviation 1, where `A = U diag(s) V^T` is from a random matrix
with singular values that are uniform on [0, 1] (the problems of Boys et al. 2023 and of the papers
before it). Prediction and covariance are exact, so that what is judged is the sampler alone. Shown
is the sliced W1 distance between draws and exact draws of the posterior, over the problems.

    .venv/bin/python benchmarks/posteriors.py --write
    .venv/bin/python benchmarks/posteriors.py --dims 80 --measured 4 --part a.jsonl

`floor` are other exact draws, `oracle` is the sampler with the exact prediction of the posterior.
Several processes can share the work, each with a `--part` of its own: see `shared.py`.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor

import record
import shared
import timing
from pushforward import Transport, grids, guidance, inverse, processes, samplers, schedules
from pushforward.analytic import AnalyticMixture
from pushforward.distributions import GaussianMixture
from pushforward.errors import ConvergenceWarning

DRAWS, STEPS, DIRECTIONS = 1000, 200, 2000
SEEDS = tuple(range(10))
DATA_VARIANCE = 129.0
"""Of a coordinate: that of the modes' centers, 128, and that within a mode."""

DIMS, MEASURED = (8, 80), (1, 2, 4)
PROCESS = processes.Gaussian(schedules.VP(beta_min=0.1, beta_max=25.0))
CHAIN = samplers.Ancestral(variance="beta")


class Problem(NamedTuple):
    """A prior, what was measured of a draw of it, and the exact posterior."""

    prior: GaussianMixture
    matrix: Tensor
    y: Tensor

    @classmethod
    def drawn(cls, dim: int, measured: int, seed: int) -> Problem:
        """One of the problems."""
        generator = torch.Generator().manual_seed(1000 * dim + 10 * measured + seed)
        steps = 8.0 * torch.arange(-2, 3)
        pairs = torch.cartesian_prod(steps, steps)
        prior = GaussianMixture(pairs.repeat(1, dim // 2), 1.0)
        u, _, vh = torch.linalg.svd(torch.randn(measured, dim, generator=generator), False)
        values = torch.rand(measured, generator=generator).sort(descending=True).values
        matrix = u @ torch.diag(values) @ vh
        x = prior.sample(1, generator=generator)
        y = (x @ matrix.mT + torch.randn(1, measured, generator=generator))[0]
        return cls(prior, matrix, y)

    @property
    def posterior(self) -> GaussianMixture:
        """In closed form."""
        return self.prior.posterior(self.matrix, self.y, 1.0)

    def parts(self) -> tuple[Any, processes.Gaussian, inverse.Measurement]:
        """What a guided model is made of."""
        measurement = inverse.Measurement(
            self.y, inverse.Matrix(self.matrix), inverse.GaussianNoise(1.0), (len(self.matrix.mT),)
        )
        return AnalyticMixture(self.prior).model(PROCESS), PROCESS, measurement


def grid(steps: int) -> list[float]:
    """Where the steps are, the last one to 0."""
    return [*grids.LogSNRGrid()(PROCESS.schedule, steps - 1), 0.0]


def start(problem: Problem, seed: int) -> Tensor:
    """Draws of the prior of the process."""
    times = grid(STEPS)
    return PROCESS.prior((problem.matrix.shape[1],), times[0]).sample(DRAWS, seed=seed + 77)


def ancestral(model: Any, problem: Problem, steps: int, seed: int) -> Tensor:
    """Draws of the chain with a prediction."""
    transport = Transport(model, PROCESS)
    with torch.no_grad():
        drawn: Tensor = samplers.run(CHAIN, transport, start(problem, seed), grid(steps), seed=seed)
    return drawn


def guided(method: Callable[..., Any], **options: Any) -> Callable[..., tuple[Tensor, dict]]:
    """A sampler that is guided by a method."""

    def draw(problem: Problem, steps: int, seed: int) -> tuple[Tensor, dict[str, Any]]:
        return ancestral(method(*problem.parts(), **options), problem, steps, seed), {}

    return draw


def floor(problem: Problem, steps: int, seed: int) -> tuple[Tensor, dict[str, Any]]:
    """Exact draws."""
    return problem.posterior.sample(DRAWS, seed=seed + 500), {}


def oracle(problem: Problem, steps: int, seed: int) -> tuple[Tensor, dict[str, Any]]:
    """The chain with the exact prediction of the posterior."""
    model = AnalyticMixture(problem.posterior).model(PROCESS)
    return ancestral(model, problem, steps, seed), {}


def twisted(method: Callable[..., Any]) -> Callable[..., tuple[Tensor, dict]]:
    """Twisted SMC with a twist, and its evidence beside the exact one; the cost is that of both."""

    def draw(problem: Problem, steps: int, seed: int) -> tuple[Tensor, dict[str, Any]]:
        sampler = samplers.TwistedSMC(DRAWS, chain=CHAIN)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            found, coarse = (
                sampler.run(
                    method(*problem.parts()), PROCESS, start(problem, seed), grid(some), seed=seed
                )
                for some in (steps, steps // 2)
            )
        evidence = found.evidence(coarse)
        exact = float(problem.prior.log_evidence(problem.matrix, problem.y, 1.0))
        return found.sample(seed=seed)[0], {
            "log_z_error": float(evidence.value[0]) - exact,
            "stderr": float(evidence.stderr[0]),
            "without_steps": float(found.stderr[0]),
            "ess": float(found.ess.min()),
            "resamplings": int(found.resamplings[0]),
            "converged": bool(evidence.converged[0]),
        }

    return draw


def daps(problem: Problem, steps: int, seed: int) -> tuple[Tensor, dict[str, Any]]:
    """Decoupled annealing, with as many evaluations of the model."""
    model, process, measurement = problem.parts()
    sampler = samplers.DAPS(variance=DATA_VARIANCE)
    times = grids.LogSNRGrid()(PROCESS.schedule, steps // sampler.ode_steps)
    return sampler.run(
        Transport(model, process), measurement, start(problem, seed), times, seed=seed
    ), {}


METHODS: dict[str, Callable[..., tuple[Tensor, dict[str, Any]]]] = {
    "floor": floor,
    "oracle": oracle,
    "TDS, MMPS twist": twisted(guidance.MMPS),
    "TDS, DPS twist": twisted(guidance.DPS),
    "MMPS": guided(guidance.MMPS),
    "TMPD": guided(guidance.TMPD),
    "PiGDM, variance 1": guided(guidance.PiGDM),
    "PiGDM, variance of the data": guided(guidance.PiGDM, variance=DATA_VARIANCE),
    "DPS": guided(guidance.DPS),
    "DiffPIR": guided(guidance.DiffPIR),
    "DAPS": daps,
}


def sliced_w1(x: Tensor, y: Tensor) -> float:
    """The mean over directions of the W1 distance of as many draws each."""
    generator = torch.Generator().manual_seed(0)
    units = torch.randn(x.shape[1], DIRECTIONS, generator=generator)
    units = units / units.norm(dim=0)
    return float(((x @ units).sort(0).values - (y @ units).sort(0).values).abs().mean())


def run(method: str, dim: int, measured: int, seed: int, steps: int) -> dict[str, Any]:
    """Draw by one method, and judge."""
    problem = Problem.drawn(dim, measured, seed)
    exact = problem.posterior.sample(DRAWS, seed=seed)
    begin = time.process_time()
    drawn, more = METHODS[method](problem, steps, seed)
    spent = time.process_time() - begin
    return {"steps": steps, "w1": sliced_w1(drawn, exact), "seconds": round(spent, 2)} | more


def text(results: list[dict[str, Any]]) -> str:
    """A row for each method, a column for each kind of problem; then the evidence."""
    kinds = sorted({(r["dim"], r["measured"]) for r in results})
    head = ["sliced W1", *(f"d = {d}, m = {m}" for d, m in kinds), "CPU seconds"]
    rows, evidence = [], []
    for method in METHODS:
        own = [r for r in results if r["method"] == method]
        if not own:
            continue
        cells = [_mean([r["w1"] for r in own if (r["dim"], r["measured"]) == k]) for k in kinds]
        spent = statistics.median(r["seconds"] for r in own)
        rows.append([method, *cells, f"{spent:.1f}" if method != "floor" else "–"])
        if "log_z_error" in own[0]:
            evidence.append([method, *(_evidence(own, kind) for kind in kinds)])
    parts = [record.table(head, rows)]
    if evidence:
        parts.append(
            "Twisted SMC: the mean error of `log p(y)` in nats; the largest over its own error "
            "bar, in which a run of half as many steps is, and how many lie within two of them; in "
            "brackets the least effective size of 1000 weights on the way, the median over "
            "problems. Sets that say themselves that they have not converged are counted and left "
            "out."
        )
        parts.append(record.table(["log p(y)", *head[1:-1]], evidence))
    return "\n\n".join(parts)


def _mean(values: list[float]) -> str:
    if not values:
        return "–"
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return f"{statistics.fmean(values):.3f} ± {error:.3f}"


def _evidence(results: list[dict[str, Any]], kind: tuple[int, int]) -> str:
    own = [r for r in results if (r["dim"], r["measured"]) == kind]
    fine = [r for r in own if r["converged"]]
    left = f", {len(own) - len(fine)} left out" if len(fine) < len(own) else ""
    if not fine:
        return f"none converged of {len(own)}"
    errors = [r["log_z_error"] for r in fine]
    ratios = [abs(r["log_z_error"]) / r["stderr"] for r in fine]
    within = f"{sum(ratio < 2 for ratio in ratios)} of {len(fine)}"
    ess = statistics.median(r["ess"] for r in fine)
    return f"{statistics.fmean(errors):+.3f}; {max(ratios):.1f}, {within} ({ess:.0f}){left}"


def main() -> None:
    """Draw, judge, print, and with `--write` record."""
    options = shared.arguments(
        __doc__,
        dims=(DIMS, "sizes of states"),
        measured=(MEASURED, "sizes of y"),
        methods=(METHODS, "which methods"),
        seeds=(SEEDS, "which problems"),
    ).parse_args()
    timing.one_thread()
    if options.smoke:
        options.dims, options.measured = options.dims[:1], options.measured[:1]
        options.seeds = options.seeds[:1]
    cases = [
        {"method": method, "dim": dim, "measured": measured, "seed": seed}
        for seed, dim in product(options.seeds, options.dims)
        for measured, method in product(options.measured, options.methods)
    ]
    results = shared.gathered(options, cases, partial(run, steps=20 if options.smoke else STEPS))
    print(text(results))
    if options.write:
        facts = {"environment": record.environment(), "draws": DRAWS, "steps": STEPS}
        record.save("posteriors", facts | {"results": results}, text(results))


if __name__ == "__main__":
    main()
