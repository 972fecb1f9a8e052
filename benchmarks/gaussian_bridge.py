"""The Schrödinger bridge between two normal laws, where everything is known.

From N(-0.1, I) to N(0.1, I) over Brownian motion of scale 1, in 5, 20 and 50 dimensions, with
10,000 points to learn from and 10,000 others to start from: the setting of Shi et al. 2023 (section
6, table 3). The law of the states at 21 times of the way forward is compared with the truth by the
Kullback-Leibler divergence of normal laws, in two ways that must not be confused: with the
variances alone, and with whole covariances, whose sampling floor is much higher.

    python benchmarks/gaussian_bridge.py --write
    python benchmarks/gaussian_bridge.py --seeds 1 --dims 5 --part one.jsonl   # in pieces,
    python benchmarks/gaussian_bridge.py --merge one.jsonl two.jsonl --write    # and together
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

import pushforward as pf
import record
import shared
import timing
import trainings
from pushforward.couplings import Sinkhorn
from pushforward.processes import Bridge
from pushforward.schrodinger import CouplingCache, OuterIterations

OFFSET, SIGMA = 0.1, 1.0
DIMS, SEEDS = (5, 20, 50), (1, 2, 3, 4, 5)
POINTS, TIMES = 10_000, 21
HALVES, LENGTH, BATCH, WIDTH = 12, 500, 256, 128
TRAINING = {"batch_size": BATCH, "lr": 2e-3, "ema": 0.998, "holdout": 0.0, "progress": False}

PUBLISHED = {
    "DSB": ("3.26 ± 1.60", "13.0 ± 3.49", "32.8 ± 1.28"),
    "DSBM-IPF": ("1.23 ± 0.23", "4.42 ± 0.76", "8.75 ± 0.87"),
    "DSBM-IMF": ("1.34 ± 0.51", "5.05 ± 0.95", "9.76 ± 1.67"),
    "SB-CFM": ("1.45 ± 0.73", "12.3 ± 1.47", "49.4 ± 3.91"),
}
"""Shi et al. 2023, table 3, in units of 1e-3, after 400,000 optimizer steps."""

PUBLISHED_FULL = {
    "[SF]2M": ("–", "28 ± 1", "258 ± 1"),
    "DSBM-IPF": ("–", "50 ± 2", "221 ± 4"),
    "SB-CFM": ("–", "86 ± 3", "447 ± 3"),
}
"""Tong et al. 2024b, table 3, in the same units."""


def network(d: int) -> nn.Module:
    """A perceptron with an affine part, the same for all methods."""
    return pf.nn.AffineSkip(pf.nn.MLP(d, width=WIDTH, depth=2))


class TwoOutputs(nn.Module):
    """One network for each of the two predictions along a noisy path."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.nets = nn.ModuleList(network(d) for _ in range(2))

    def forward(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        """Both, one after the other."""
        return torch.cat([net(x, t) for net in self.nets], 1)


def bridge(method: str) -> Callable[[int, int, int], Any]:
    """A Schrödinger bridge by a method."""

    def make(d: int, length: int, points: int) -> Any:
        return pf.SchrodingerBridge(
            network(d),
            network(d),
            reference=Bridge(SIGMA),
            method=method,
            iterations=OuterIterations(HALVES, length),
            cache=CouplingCache(rows=points),
            ema=0.99,
        )

    return make


FLOOR = "exact states"
METHODS: dict[str, tuple[Callable[[int, int, int], Any], str | None]] = {
    "DSB": (bridge("dsb"), None),
    "DSBM-IPF": (bridge("dsbm-ipf"), None),
    "DSBM-IMF": (bridge("dsbm-imf"), None),
    "SB-CFM": (
        lambda d, *_: pf.FlowMatching(
            TwoOutputs(d), path=Bridge(SIGMA), coupling=Sinkhorn.of_bridge(SIGMA)
        ),
        "heun",
    ),
    "rectified flow": (lambda d, *_: pf.FlowMatching(network(d)), "heun"),
}
"""How a model is made, and what its states are followed with: random paths, or its ODE."""


def divergences(states: Tensor, mean: float, variance: float) -> tuple[float, float]:
    """The divergence of fitted normal laws from the truth: variances alone, whole covariances."""
    x = states.double()
    d, gap = x.shape[1], (x.mean(0) - mean).square().sum() / variance
    ratio = x.var(0) / variance
    diagonal = 0.5 * (ratio.sum() - d - ratio.log().sum() + gap)
    cov = x.mT.cov() / variance
    full = 0.5 * (cov.trace() - d - torch.linalg.slogdet(cov).logabsdet + gap)
    return float(diagonal), float(full)


def judged(path: list[Tensor], times: list[float]) -> dict[str, float]:
    """Both divergences, averaged over the times of a path, and the correlation of its ends."""
    one, zero = torch.eye(1), torch.zeros(1)
    # From the target, at t = 0, to the source.
    truth = pf.ot.GaussianBridge(zero + OFFSET, one, zero - OFFSET, one, SIGMA)
    found = []
    for t, states in zip(times, path, strict=True):
        mean, variance = truth.marginal(t)
        found.append(divergences(states, float(mean), float(variance)))
    diagonal, full = (sum(column) / len(found) for column in zip(*found, strict=True))
    first, last = (x.double() - x.double().mean(0) for x in (path[0], path[-1]))
    cross = float((first * last).mean(0).div(first.std(0) * last.std(0)).mean())
    return {"diagonal": diagonal, "full": full, "correlation": cross}


def laws(d: int, seed: int, points: int) -> tuple[Tensor, Tensor, Tensor]:
    """Source and target to learn from, and other states of the source."""
    generator = torch.Generator().manual_seed(seed)
    a, b, test = torch.randn(3, points, d, generator=generator)
    return a - OFFSET, b + OFFSET, test - OFFSET


def trained(method: str, d: int, seed: int, length: int, points: int) -> dict[str, Any]:
    """One training, judged; seconds of the processor include both."""
    start = time.process_time()
    a, b, test = laws(d, seed, points)
    make, sampler = METHODS[method]
    torch.manual_seed(seed)
    model = make(d, length, points)
    trainings.fit(model, b, source=a, steps=HALVES * length, seed=seed, **TRAINING)
    path = model.trajectory(test, sampler=sampler, steps=TIMES - 1, seed=seed)
    # A noisy path takes its steps closer to the ends.
    found = judged(list(path), model._times(TIMES - 1))
    return {"steps": HALVES * length} | found | {"seconds": time.process_time() - start}


def floor(d: int, seed: int, points: int) -> dict[str, Any]:
    """The same for exact states of the bridge."""
    generator = torch.Generator().manual_seed(1000 + seed)
    problem = pf.analytic.AnalyticPair.schrodinger(SIGMA, OFFSET, -OFFSET, d)
    first, last = problem.sample(points, generator=generator)
    path, times = [], [k / (TIMES - 1) for k in range(TIMES)]
    for t in times:
        noise = torch.randn(points, d, generator=generator)
        path.append((1 - t) * first + t * last + SIGMA * math.sqrt(t * (1 - t)) * noise)
    return judged(path, times)


def summary(results: list[dict[str, Any]], method: str, d: int, key: str, unit: float) -> str:
    """Mean and standard deviation over the seeds."""
    found = [r[key] / unit for r in results if (r["method"], r["dim"]) == (method, d)]
    if not found:
        return "–"
    spread = statistics.stdev(found) if len(found) > 1 else math.nan
    return f"{statistics.mean(found):.3g} ± {spread:.2g}" if len(found) > 1 else f"{found[0]:.3g}"


def tables(results: list[dict[str, Any]]) -> str:
    """Everything as Markdown."""
    dims = [d for d in DIMS if any(r["dim"] == d for r in results)]
    methods = [m for m in (FLOOR, *METHODS) if any(r["method"] == m for r in results)]
    head = ["", *(f"d = {d}" for d in dims)]
    published, published_full = (
        [[f"{name}, published", *(row[DIMS.index(d)] for d in dims)] for name, row in table.items()]
        for table in (PUBLISHED, PUBLISHED_FULL)
    )
    parts = []
    for key, unit, title, more in (
        ("diagonal", 1e-3, "Divergence of the variances, in 1e-3", published),
        ("full", 1e-3, "Divergence of the whole covariances, in 1e-3", published_full),
        (
            "correlation",
            1.0,
            "Correlation of the two ends (truth 0.618; an ODE keeps it near 1)",
            [],
        ),
        ("seconds", 1.0, "Seconds of one core, to train and to judge", []),
    ):
        rows = [
            [m, *(summary(results, m, d, key, unit) for d in dims)]
            for m in methods
            if any(r["method"] == m and key in r for r in results)
        ]
        parts.append(f"**{title}**\n\n{record.table(head, rows + more)}")
    steps = ", ".join(map(str, sorted({r["steps"] for r in results if "steps" in r})))
    parts.append(f"{steps} optimizer steps with batches of {BATCH} (published: 400,000 of 128).")
    return "\n\n".join(parts)


def main() -> None:
    """Train, judge, print, and with `--write` record."""
    options = shared.arguments(
        __doc__,
        dims=(DIMS, "which sizes"),
        methods=([FLOOR, *METHODS], "which methods"),
        seeds=(SEEDS, "which seeds"),
    ).parse_args()
    timing.one_thread()
    length, points = (1, 200) if options.smoke else (LENGTH, POINTS)
    if options.smoke:
        options.dims, options.seeds = [5], [1]

    def cell(method: str, dim: int, seed: int) -> dict[str, Any]:
        if method == FLOOR:
            return floor(dim, seed, points)
        return trained(method, dim, seed, length, points)

    cases = [
        {"method": method, "dim": dim, "seed": seed}
        for dim, seed in product(options.dims, options.seeds)
        for method in options.methods
    ]
    results = shared.gathered(options, cases, cell)
    text = tables(results)
    print(text)
    if options.write:
        facts = {"environment": record.environment(), "results": results}
        record.save("gaussian_bridge", facts, text)


if __name__ == "__main__":
    main()
