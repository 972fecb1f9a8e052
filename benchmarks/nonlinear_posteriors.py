"""Posteriors of operators that are not linear, beside quadrature: which method is the default?

Two numbers, with a normal prior or three modes, are measured through four functions, with noise.
Predictions are exact. Shown is the sliced W2 distance between draws and exact draws, from the
density on a grid, over measurements of different draws of the prior:

    .venv/bin/python benchmarks/nonlinear_posteriors.py --write

Every method draws as it does by default; `floor` are other exact draws.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable
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
from pushforward.metrics import sliced_wasserstein

DRAWS, CELLS, NOISE = 500, 400, 0.3
SEEDS = tuple(range(5))
PROCESS = processes.Gaussian()
PRIORS = {
    "normal": GaussianMixture(torch.zeros(1, 2), 1.0),
    "modes": GaussianMixture(
        torch.tensor([[1.2, 0.3], [-0.9, 0.9], [-0.3, -1.2]]), torch.tensor([0.1, 0.15, 0.2])
    ),
}
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "range": lambda x: (x - torch.tensor([0.5, 0.0])).norm(dim=1, keepdim=True),
    "product": lambda x: x[:, :1] * x[:, 1:],
    "sine": lambda x: torch.sin(1.5 * x),
    "exponential": torch.exp,
}
METHODS = ("floor", "tds", "mmps", "dps", "daps")


class Prediction(nn.Module):
    """`E[x_0 | x_t]` of a prior, in the place of a network."""

    def __init__(self, prior: str) -> None:
        super().__init__()
        self.model = AnalyticMixture(PRIORS[prior]).model(PROCESS)

    def forward(self, x: Tensor, t: Tensor, c: Any = None) -> Tensor:
        """See the class."""
        found: Tensor = self.model(x, t)
        return found


def exact_draws(prior: str, function: str, y: Tensor, seed: int) -> Tensor:
    """From the density on a grid."""
    side = torch.linspace(-4.0, 4.0, CELLS)
    x, width = torch.cartesian_prod(side, side), float(side[1] - side[0])
    misfit = ((FUNCTIONS[function](x) - y) / NOISE).square().sum(1)
    log_p = PRIORS[prior].log_prob(x) - 0.5 * misfit
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.multinomial((log_p - log_p.max()).exp(), DRAWS, True, generator=generator)
    return x[chosen] + width * (torch.rand(DRAWS, 2, generator=generator) - 0.5)


def run(prior: str, function: str, method: str, seed: int, **fewer: int) -> dict[str, Any]:
    """Draw by one method, and judge."""
    clean = FUNCTIONS[function](PRIORS[prior].sample(1, seed=seed))
    y = inverse.GaussianNoise(NOISE).sample(clean, torch.Generator().manual_seed(100 + seed))[0]
    begin = time.process_time()
    if method == "floor":
        drawn = exact_draws(prior, function, y, seed + 1000)
    else:
        model = pf.Diffusion(Prediction(prior), PROCESS, "data", event_shape=(2,))
        post = model.posterior(y, inverse.Differentiable(FUNCTIONS[function]), NOISE, method)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            drawn = post.sample(DRAWS, seed=seed, check=False, **fewer)
    spent = time.process_time() - begin
    found = sliced_wasserstein(drawn, exact_draws(prior, function, y, seed))
    return {"w2": found.value, "seconds": round(spent, 2)}


def text(results: list[dict[str, Any]]) -> str:
    """A row for each prior and function, a column for each method; the mean below."""
    methods = [m for m in METHODS if any(r["method"] == m for r in results)]
    head = ["prior", "function", *(m if m == "floor" else f"`{m}`" for m in methods)]
    rows = []
    for prior, function in product(PRIORS, FUNCTIONS):
        own = [r for r in results if (r["prior"], r["function"]) == (prior, function)]
        if own:
            rows.append([prior, function, *_cells(own, methods)])
    rows.append(["mean", "", *_cells(results, methods)])
    spent = [statistics.median(r["seconds"] for r in results if r["method"] == m) for m in methods]
    rows.append(["CPU seconds", "", "–", *(f"{s:.1f}" for s in spent[1:])])
    return record.table(head, rows)


def _cells(results: list[dict[str, Any]], methods: list[str]) -> list[str]:
    found = []
    for method in methods:
        values = [r["w2"] for r in results if r["method"] == method]
        error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
        found.append(f"{statistics.fmean(values):.3f} ± {error:.3f}")
    return found


def main() -> None:
    """Draw, judge, print, and with `--write` record."""
    options = shared.arguments(
        __doc__,
        priors=(PRIORS, "which priors"),
        functions=(FUNCTIONS, "what is measured"),
        methods=(METHODS, "which methods"),
        seeds=(SEEDS, "of measurements and draws"),
    ).parse_args()
    timing.one_thread()
    if options.smoke:
        options.seeds, options.functions = options.seeds[:1], options.functions[:2]
    cases = [
        {"prior": prior, "function": function, "method": method, "seed": seed}
        for seed, prior in product(options.seeds, options.priors)
        for function, method in product(options.functions, options.methods)
    ]
    fewer = {"steps": 10} if options.smoke else {}
    results = shared.gathered(options, cases, partial(run, **fewer))
    print(text(results))
    if options.write:
        facts = {"environment": record.environment(), "draws": DRAWS, "noise": NOISE}
        record.save("nonlinear_posteriors", facts | {"results": results}, text(results))


if __name__ == "__main__":
    main()
