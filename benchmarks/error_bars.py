"""How often the error bars of posteriors hold what they promise, where the truth is known.

The evidence `log p(y)` of twisted SMC, and the level of noise that is estimated from a measurement,
with all defaults: a measurement of another draw of the prior for each seed. Shown are the mean
error, the mean error bar, and the share of truths within one and two of them:

    .venv/bin/python benchmarks/error_bars.py --write

Predictions are exact. A normal world has no error but that of the steps and of chance; with modes,
what guidance gets wrong of the posterior is in the level of the noise, too.
"""

from __future__ import annotations

import statistics
import time
import warnings
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

import pushforward as pf
import record
import shared
import timing
from pushforward import inverse, processes
from pushforward.analytic import AnalyticMixture
from pushforward.distributions import GaussianMixture
from pushforward.errors import ConvergenceWarning
from pushforward.models import estimated_level

SEEDS = tuple(range(40))
NOISE = 0.5
PROCESS = processes.Gaussian()
_ROOT = torch.tensor(
    [[1.0, 0.0, 0.0, 0.0], [0.6, 0.8, 0.0, 0.0], [-0.3, 0.4, 0.7, 0.0], [0.2, -0.3, 0.5, 0.6]]
)
WORLDS = {
    "normal": GaussianMixture(torch.zeros(1, 4), (_ROOT @ _ROOT.mT)[None]),
    "modes": GaussianMixture(
        torch.tensor([[1.2, 1.2, -0.4, 0.8], [-1.2, 0.6, 1.0, -0.8], [0.3, -1.3, -1.2, -0.6]]),
        torch.tensor([0.1, 0.25, 0.15]),
    ),
}
QUANTITIES = ("log p(y)", "level of noise")
HEAD = ["quantity", "world", "mean error", "mean error bar", "within 1", "within 2", "left out",
        "CPU seconds"]  # fmt: skip


class Prediction(nn.Module):
    """`E[x_0 | x_t]` of a world, in the place of a network."""

    def __init__(self, world: str) -> None:
        super().__init__()
        self.model = AnalyticMixture(WORLDS[world]).model(PROCESS)

    def forward(self, x: Tensor, t: Tensor, c: Any = None) -> Tensor:
        """See the class."""
        found: Tensor = self.model(x, t)
        return found


def run(quantity: str, world: str, seed: int, **fewer: int) -> dict[str, Any]:
    """The error and the error bar of one estimate."""
    prior = WORLDS[world]
    model = pf.Diffusion(Prediction(world), PROCESS, "data", event_shape=(4,))
    generator = torch.Generator().manual_seed(seed)
    measured = 2 if quantity == "log p(y)" else 12
    matrix = torch.randn(measured, 4, generator=generator) / 2
    clean = prior.sample(1, generator=generator) @ matrix.mT
    y = inverse.GaussianNoise(NOISE).sample(clean, generator)[0]
    begin = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        if quantity == "log p(y)":
            post = model.posterior(y, inverse.Matrix(matrix), NOISE, "tds")
            found = post.log_evidence(seed=seed, **fewer)
            truth = float(prior.log_evidence(matrix, y, NOISE**2))
            value, stderr = float(found.value[0]), float(found.stderr[0])
            converged = bool(found.converged[0])
            own = {"without_steps": float(post.particles[0].stderr[0])}
        else:
            level = estimated_level(model, y, inverse.Matrix(matrix), seed=seed, **fewer)
            truth, value, stderr, converged = NOISE, level.value, level.stderr, level.converged
            own = {}
    return own | {
        "error": value - truth,
        "stderr": stderr,
        "converged": converged,
        "seconds": round(time.process_time() - begin, 2),
    }


def text(results: list[dict[str, Any]]) -> str:
    """A row for each quantity and world."""
    rows = []
    for quantity, world in product(QUANTITIES, WORLDS):
        own = [r for r in results if (r["quantity"], r["world"]) == (quantity, world)]
        fine = [r for r in own if r["converged"]]
        if fine:
            ratios = [abs(r["error"]) / r["stderr"] for r in fine]
            shares = [f"{sum(r < k for r in ratios)} of {len(fine)}" for k in (1, 2)]
            bar = statistics.fmean(r["stderr"] for r in fine)
            seconds = statistics.median(r["seconds"] for r in fine)
            left = str(len(own) - len(fine)) if len(fine) < len(own) else "–"
            mean = _mean([r["error"] for r in fine])
            rows.append([quantity, world, mean, f"{bar:.3f}", *shares, left, f"{seconds:.1f}"])
    return record.table(HEAD, rows)


def _mean(values: list[float]) -> str:
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return f"{statistics.fmean(values):+.3f} ± {error:.3f}"


def main() -> None:
    """Estimate, count, print, and with `--write` record."""
    options = shared.arguments(
        __doc__,
        quantities=(QUANTITIES, "which estimates"),
        worlds=(WORLDS, "which priors"),
        seeds=(SEEDS, "of measurements and draws"),
    ).parse_args()
    timing.one_thread()
    if options.smoke:
        options.seeds = options.seeds[:2]
    cases = [
        {"quantity": quantity, "world": world, "seed": seed}
        for seed in options.seeds
        for quantity, world in product(options.quantities, options.worlds)
    ]
    fewer = {"steps": 10} if options.smoke else {}
    results = shared.gathered(options, cases, partial(run, **fewer))
    print(text(results))
    if options.write:
        facts = {"environment": record.environment(), "noise": NOISE}
        record.save("error_bars", facts | {"results": results}, text(results))


if __name__ == "__main__":
    main()
