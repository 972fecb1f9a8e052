"""Calibration of guided posteriors, with a prior, a prediction and a posterior in closed form.

Four unequal modes on R^4, of which two numbers are measured with noise. Parameters are drawn from
the prior and measured; every posterior draws for each measurement, as it does by default; and the
truths are ranked among the draws: coordinate by coordinate and by their log-likelihood (simulation-
based calibration), and by their distance from references (TARP).

    .venv/bin/python benchmarks/guided_calibration.py --write

The exact posterior has to pass, and the planted faults have to be rejected: draws of .8 times the
deviation, a noise level that is wrong, and the prior in the place of the posterior.
"""

from __future__ import annotations

import statistics
import time
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
from pushforward.config import understood
from pushforward.distributions import GaussianMixture
from pushforward.metrics import calibrate

PAIRS, DRAWS, NOISE = 500, 99, 0.5
ALPHA = 0.01
"""A test rejects below it: of an exact posterior one of 33 sets of pairs, with three tests."""

SEEDS = (0, 1, 2)
MEANS = [
    [1.2, 1.2, -0.4, 0.8],
    [-1.2, 0.6, 1.0, -0.8],
    [0.3, -1.3, -1.2, -0.6],
    [-0.8, 0.2, 0.9, 1.2],
]
VARIANCES, WEIGHTS = [0.09, 0.25, 0.16, 0.12], [0.35, 0.3, 0.2, 0.15]
PRIOR = GaussianMixture(*map(torch.tensor, (MEANS, VARIANCES, WEIGHTS)))
MATRIX = torch.tensor([[1.0, 0.5, -0.5, 0.0], [0.0, 1.0, 0.5, -1.0]])
PROCESS = processes.Gaussian()
METHODS = ("tds", "mmps", "tmpd", "pigdm", "dps", "diffpir", "daps")
TESTS = ("coordinates", "log_likelihood", "tarp")
HEAD = ["posterior", "coordinates", "log-likelihood", "TARP", "in 80 %", "in 90 %", "rejected"]


class Prediction(nn.Module):
    """`E[x_0 | x_t]` in closed form, in the place of a network."""

    def forward(self, x: Tensor, t: Tensor, c: Any = None) -> Tensor:
        """See the class."""
        found: Tensor = AnalyticMixture(PRIOR).model(PROCESS)(x, t)
        return found


def guided(method: str, **options: Any) -> Callable[[Tensor, int, int], Tensor]:
    """The posterior of a model by a method, with its defaults."""

    def draw(y: Tensor, draws: int, seed: int) -> Tensor:
        model = pf.Diffusion(Prediction(), PROCESS, "data", event_shape=(4,))
        post = model.posterior(y, inverse.Matrix(MATRIX), NOISE, method, **options)
        parts = understood(post.sample, batch_size=len(y) * draws)
        found: Tensor = post.sample(draws, seed=seed, check=False, **parts)
        return found

    return draw


def exact(noise: float = NOISE, scale: float = 1.0) -> Callable[[Tensor, int, int], Tensor]:
    """The posterior in closed form for a level of noise, its draws scaled about their mean."""

    def draw(y: Tensor, draws: int, seed: int) -> Tensor:
        found = []
        for k, row in enumerate(y):
            own = PRIOR.posterior(MATRIX, row, noise**2)
            found.append(own.mean + scale * (own.sample(draws, seed=seed + k) - own.mean))
        return torch.stack(found, 1)

    return draw


def prior(y: Tensor, draws: int, seed: int) -> Tensor:
    """As if nothing had been measured."""
    return PRIOR.sample(draws * len(y), seed=seed).reshape(draws, len(y), 4)


POSTERIORS: dict[str, Callable[[Tensor, int, int], Tensor]] = {
    "exact": exact(),
    **{method: guided(method) for method in METHODS},
    "exact, deviations x 0.8": exact(scale=0.8),
    "exact for half of the noise": exact(NOISE / 2),
    "exact for twice the noise": exact(2 * NOISE),
    "the prior": prior,
}


def log_likelihood(theta: Tensor, y: Tensor) -> Tensor:
    """`log p(y | theta)` up to a constant, `(m,)`."""
    return -0.5 * ((y - theta @ MATRIX.mT) / NOISE).square().sum(-1)


def run(posterior: str, seed: int, pairs: int) -> dict[str, Any]:
    """Judge one posterior."""
    theta = PRIOR.sample(pairs, seed=1000 + seed)
    noise = torch.Generator().manual_seed(2000 + seed)
    y = inverse.GaussianNoise(NOISE).sample(theta @ MATRIX.mT, noise)
    begin = time.process_time()
    found = calibrate(
        POSTERIORS[posterior],
        (theta, y),
        draws=DRAWS,
        quantities={"log-likelihood": log_likelihood},
        seed=seed,
    )
    ranks = torch.stack([q.ranks for q in found.sbc.quantities[:4]])
    own = [q.p_value for q in found.sbc.quantities[:4]]
    return {
        "pairs": pairs,
        "coordinates": min(1.0, 4 * min(own)),
        "log_likelihood": found.sbc["log-likelihood"].p_value,
        "tarp": found.tarp.p_value,
        "inside_80": _inside(ranks, 80),
        "inside_90": _inside(ranks, 90),
        "seconds": round(time.process_time() - begin, 2),
    }


def _inside(ranks: Tensor, percent: int) -> tuple[float, float]:
    """The share of truths within the central draws of a coordinate, and its error over pairs."""
    left = (100 - percent) // 2
    share = ((ranks >= left) & (ranks < 100 - left)).double().mean(0)
    return float(share.mean()), float(share.std() / len(share) ** 0.5)


def text(results: list[dict[str, Any]]) -> str:
    """A row for each posterior: medians of p-values and means of shares over the seeds."""
    rows = []
    for posterior in POSTERIORS:
        own = [r for r in results if r["posterior"] == posterior]
        if own:
            tests = [f"{statistics.median(r[name] for r in own):.2g}" for name in TESTS]
            inside = [_share([r[name] for r in own]) for name in ("inside_80", "inside_90")]
            seen = sum(any(r[name] < ALPHA for name in TESTS) for r in own)
            name = f"`{posterior}`" if posterior in METHODS else posterior
            rows.append([name, *tests, *inside, f"{seen} of {len(own)}"])
    return record.table(HEAD, rows)


def _share(found: list[tuple[float, float]]) -> str:
    """The mean of shares in percent, with its error."""
    mean = statistics.fmean(share for share, _ in found)
    error = sum(error**2 for _, error in found) ** 0.5 / len(found)
    return f"{100 * mean:.1f} ± {100 * error:.1f}"


def main() -> None:
    """Draw, rank, print, and with `--write` record."""
    options = shared.arguments(
        __doc__,
        posteriors=(POSTERIORS, "which posteriors"),
        seeds=(SEEDS, "of the pairs and of the draws"),
    ).parse_args()
    timing.one_thread()
    if options.smoke:
        options.posteriors, options.seeds = list(POSTERIORS)[::3], options.seeds[:1]
    cases = [
        {"posterior": posterior, "seed": seed}
        for seed, posterior in product(options.seeds, options.posteriors)
    ]
    results = shared.gathered(options, cases, partial(run, pairs=20 if options.smoke else PAIRS))
    print(text(results))
    if options.write:
        facts = {"environment": record.environment(), "draws": DRAWS}
        record.save("guided_calibration", facts | {"results": results}, text(results))


if __name__ == "__main__":
    main()
