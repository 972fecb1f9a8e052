"""Learned supports beside known ones: distances to a circle and a torus, with noise.

2,000 points in five dimensions, with noise of 0 and .05 in all directions. A diffusion model
and a VAE are trained on them, a kernel density is fitted, and the points themselves are the
baseline. Judged on 1,000 fresh points of the support, and as many moved off it by normal noise of
.1:

* **error**: the mean absolute difference between the estimated and the exact distance to the
  support of the points that were moved, over their mean distance;
* **AUC**: how often a point that was moved has a larger score than a fresh one;
* **found**: the share of moved points that a detector with 5 % false alarms calls outside, and
  **false**: that of fresh points.

Means over three seeds, with the spread of one.

    python benchmarks/support.py --write      # ten minutes
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import pushforward as pf
import record
import shared
import trainings
from pushforward.support import (
    AnomalyDetector,
    DenoiserSupport,
    Embedded,
    GeneratorSupport,
    Hypersphere,
    KnownSupport,
    NeighborBalls,
    RingTorus,
)

AMBIENT, POINTS, JUDGED, AWAY = 5, 2000, 1000, 0.1
SUPPORTS: dict[str, KnownSupport] = {
    "circle": Embedded(Hypersphere(1), AMBIENT),
    "torus": Embedded(RingTorus(), AMBIENT),
}
NOISES, SEEDS = (0.0, 0.05), (1, 2, 3)
SIGMA, START = 0.03, 0.2
TRAINING = {"progress": False, "holdout": 0.0, "batch_size": 256}

Score = tuple[Callable[[Tensor], Tensor], bool]
"""A score, and whether it is a distance."""


def scores(train: Tensor, steps: int) -> dict[str, Callable[[], Score]]:
    """What is compared, made when it is asked for."""

    def diffusion() -> Score:
        net = pf.nn.MLP(AMBIENT, width=128, depth=3)
        model = trainings.fit(pf.Diffusion(net), train, steps=steps, seed=0, **TRAINING).model
        return DenoiserSupport.of_model(model, SIGMA, START, steps=6).distance, True

    def vae() -> Score:
        from pushforward.data import Data

        model = pf.VAE.for_data(Data(train), latent=3, width=128, depth=3)
        model = trainings.fit(model, train, steps=steps, seed=0, **TRAINING).model.eval()
        return GeneratorSupport(model.decode, 3, draws=4000).distance, True

    def density() -> Score:
        model = trainings.fit(pf.KernelDensity(), train, seed=0, holdout=0.0, progress=False).model
        return lambda x: -model.log_prob(x).value, False

    return {
        "diffusion": diffusion,
        "VAE": vae,
        "nearest neighbor": lambda: (NeighborBalls(train, radius=0).distance, True),
        "balls": lambda: (NeighborBalls(train).distance, True),
        "kernel density": density,
    }


def measured(support: str, noise: float, seed: int, steps: int = 1000) -> list[dict[str, Any]]:
    """All scores on one set of points."""
    known = SUPPORTS[support]
    torch.manual_seed(seed)
    train, held, fresh = (
        known.sample(n, noise=noise, seed=seed + k)
        for k, n in ((0, POINTS), (10, JUDGED), (20, JUDGED))
    )
    moved = known.sample(JUDGED, noise=AWAY, seed=seed + 30)
    truth = known.distance(moved)
    found = []
    for method, make in scores(train, steps).items():
        begin = time.perf_counter()
        score, is_distance = make()
        detector = AnomalyDetector(score, held)
        off, near = score(moved).detach(), score(fresh).detach()
        result: dict[str, Any] = {
            "method": method,
            "auc": float((off[:, None] > near).float().mean())
            + float((off[:, None] == near).float().mean()) / 2,
            "found": float(detector.outside(moved).float().mean()),
            "false": float(detector.outside(fresh).float().mean()),
            "seconds": time.perf_counter() - begin,
        }
        if is_distance:
            result["error"] = float((off - truth).abs().mean() / truth.mean())
        found.append(result)
    return found


def text(results: list[dict[str, Any]]) -> str:
    """The table of the documentation."""
    rows = []
    for case in dict.fromkeys((r["support"], r["noise"], r["method"]) for r in results):
        own = [r for r in results if (r["support"], r["noise"], r["method"]) == case]

        def mean(key: str, own: list[dict[str, Any]] = own) -> str:
            values = [r[key] for r in own if key in r]
            if not values:
                return "–"
            spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
            return f"{statistics.fmean(values):.3f}{spread}"

        keys = ("error", "auc", "found", "false")
        rows.append([case[0], f"{case[1]:g}", case[2], *(mean(key) for key in keys)])
    head = ["support", "noise", "score", "error of distance", "AUC", "found", "false"]
    return record.table(head, rows)


def main() -> None:
    """Measure, print, and with `--write` record."""
    options = shared.arguments(__doc__, supports=(SUPPORTS, "manifolds")).parse_args()

    def run(support: str, noise: float, seed: int) -> list[dict[str, Any]]:
        return measured(support, noise, seed, 3 if options.smoke else 1000)

    cases = [
        {"support": support, "noise": noise, "seed": seed}
        for support in options.supports[: 1 if options.smoke else None]
        for noise in NOISES[: 1 if options.smoke else None]
        for seed in SEEDS[: 1 if options.smoke else None]
    ]
    results = shared.gathered(options, cases, run)
    print(text(results))
    if options.write:
        facts = {"environment": record.environment(), "results": results}
        record.save("support", facts, text(results))


if __name__ == "__main__":
    main()
