"""The noise level of a generator model, `x = g(z) + sigma e`, against the number of points.

Two generators without a network, on spheres of one to three dimensions in five, turned at random:
**points**, where `g` picks a training point, so that the model is a kernel density; and **planes**,
where it picks one and moves in the plane through its nearest neighbors. Their noise levels are
those of the largest likelihood of 300 held-out points: of `points` the bandwidth; of `planes`,
whose noise is normal to the plane, the root mean square distance to the plane of the nearest
point, over the root of the number of normal dimensions.

Pieces of order `b` come as close to a smooth set of dimension `d` as `n^(-b / d)`, and without
noise no estimate does better (Aamari & Levrard 2019): order one for points, two for planes. With
noise of scale .03 planes end at it; a kernel density, which then estimates a density of all five
dimensions, has a bandwidth that falls like `n^(-1 / 9)` below it.

    python benchmarks/noise_level.py --write
"""

from __future__ import annotations

import math
import statistics
from typing import Any

import torch
from torch import Tensor

import record
import shared
from pushforward.support import Embedded, Hypersphere

AMBIENT, HELD, SEEDS = 5, 300, (1, 2)
NUMBERS = (250, 500, 1000, 2000, 4000)
NOISES = (0.0, 0.03)
MODELS = {"points": 1, "planes": 2}


def points(train: Tensor, held: Tensor) -> float:
    """The bandwidth of a kernel density with the largest likelihood of held-out points."""
    squared = torch.cdist(held, train).square()

    def likelihood(sigma: float) -> float:
        logs = (-squared / (2 * sigma**2)).logsumexp(1) - AMBIENT * math.log(sigma)
        return float(logs.mean())

    # By golden sections of the logarithm: the likelihood has one maximum.
    low, high, ratio = math.log(1e-5), math.log(1.0), (math.sqrt(5) - 1) / 2
    for _ in range(18):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if likelihood(math.exp(left)) > likelihood(math.exp(right)):
            high = right
        else:
            low = left
    return math.exp((low + high) / 2)


def planes(train: Tensor, held: Tensor, dim: int) -> float:
    """The root mean square distance of held-out points to the plane of the nearest point."""
    count = 4 * dim + 4
    nearest = torch.cdist(held, train).argmin(1)
    around = train[torch.cdist(train[nearest], train).topk(count, largest=False).indices]
    middle = around.mean(1, keepdim=True)
    axes = torch.linalg.svd(around - middle).Vh[:, dim:]
    away = (axes @ (held - middle[:, 0])[:, :, None])[:, :, 0]
    return float(away.square().sum(1).mean() / (AMBIENT - dim)) ** 0.5


def measured(dim: int, noise: float, model: str, n: int, seed: int) -> dict[str, Any]:
    """The noise level of a model of `n` points."""
    known = Embedded(Hypersphere(dim), AMBIENT)
    train, held = (
        known.sample(k, noise=noise, seed=seed + 100 * i).double() for i, k in enumerate((n, HELD))
    )
    sigma = points(train, held) if model == "points" else planes(train, held, dim)
    return {"sigma": sigma}


def text(results: list[dict[str, Any]]) -> str:
    """The table of the documentation."""
    rows = []
    for case in dict.fromkeys((r["noise"], r["dim"], r["model"]) for r in results):
        own = [r for r in results if (r["noise"], r["dim"], r["model"]) == case]
        numbers = sorted({r["n"] for r in own})
        levels = [statistics.fmean(r["sigma"] for r in own if r["n"] == n) for n in numbers]
        logs = [torch.tensor(x, dtype=torch.float64).log() for x in (numbers, levels)]
        off = logs[0] - logs[0].mean()
        slope = float((off * logs[1]).sum() / off.square().sum()) if len(numbers) > 1 else math.nan
        if not case[0]:
            theory = f"{-MODELS[case[2]] / case[1]:.2f}"
        else:
            theory = f"{-1 / (AMBIENT + 4):.2f}" if case[2] == "points" else "0"
        cells = [f"{level:.2g}" for level in levels]
        rows.append([f"{case[0]:g}", str(case[1]), case[2], *cells, f"{slope:.2f}", theory])
    numbers = sorted({r["n"] for r in results})
    head = ["noise", "d", "model", *(f"n = {n:,}" for n in numbers), "slope", "theory"]
    return record.table(head, rows)


def main() -> None:
    """Measure, print, and with `--write` record."""
    options = shared.arguments(__doc__, models=(MODELS, "generators")).parse_args()
    cases = [
        {"dim": dim, "noise": noise, "model": model, "n": n, "seed": seed}
        for noise in NOISES
        for dim in (1, 2, 3)
        for model in options.models
        for n in (NUMBERS[:2] if options.smoke else NUMBERS)
        for seed in (SEEDS[:1] if options.smoke else SEEDS)
    ]
    results = shared.gathered(options, cases, measured)
    print(text(results))
    if options.write:
        facts = {"environment": record.environment(), "results": results}
        record.save("noise_level", facts, text(results))


if __name__ == "__main__":
    main()
