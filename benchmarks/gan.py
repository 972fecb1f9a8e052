"""GANs on 25 narrow modes with default settings: modes found, precision, and what the loss is.

Each discrepancy with the networks of `for_data` and the 10,000 steps of `fit`; a seed draws data,
networks and samples anew. A run reaches the aim if it finds all 25 modes (`metrics.mode_coverage`)
and .9 of its samples lie within three standard deviations of one.

    .venv/bin/python benchmarks/gan.py --write
    .venv/bin/python benchmarks/gan.py --discrepancies mmd --seeds 0 1 --part mmd.jsonl

Several processes can share the work, each with a `--part` of its own: see `shared.py`.
"""

from __future__ import annotations

import statistics
import time
from functools import partial
from itertools import product
from typing import Any

import torch

import pushforward as pf
import record
import shared
import timing
import trainings
from pushforward.metrics import Estimate, classifier_accuracy, mode_coverage, sliced_wasserstein

DISCREPANCIES = ("jensen-shannon", "wasserstein", "mmd")
SEEDS = (0, 1, 2, 3, 4)
STEPS = 10_000
SAMPLES = 10_000
COMPARED = 1000
AIM = 0.9


def judged(x: torch.Tensor, held: pf.data.Data) -> dict[str, float]:
    """What is measured of samples beside held-out data."""
    assert held.modes is not None
    found = mode_coverage(x, held.modes.centers, held.modes.std)
    pair = x[:COMPARED], held.x[:COMPARED]
    return {
        "modes": found.modes,
        "quality": found.quality.value,
        "sliced W2": sliced_wasserstein(*pair, seed=0).value,
        "classifier": classifier_accuracy(*pair, seed=0).value,
    }


def run(discrepancy: str, seed: int, smoke: bool) -> dict[str, Any]:
    """Train and judge one model."""
    data = pf.data.load("25gaussians", n=200 if smoke else None, seed=seed, label=False)
    held = pf.data.load("25gaussians", n=200 if smoke else SAMPLES, seed=1000 + seed)
    torch.manual_seed(seed)
    model = pf.GAN.for_data(data, discrepancy=discrepancy)
    start = time.process_time()
    trainings.fit(model, data, steps=3 if smoke else STEPS, seed=seed, progress=False)
    spent = time.process_time() - start
    x = model.sample(200 if smoke else SAMPLES, seed=seed)
    about = {"discrepancy": discrepancy, "seed": seed, "training": spent}
    floor = judged(data.x, held)
    return about | judged(x, held) | {"floor": floor, "warnings": model.warnings(held.x)}


def text(results: list[dict[str, Any]]) -> str:
    """A row per discrepancy: means over the seeds, and in how many of them the aim is reached."""
    names = ("modes", "quality", "sliced W2", "classifier")
    floors = [result["floor"] for result in results]
    body = [["real data", *(_mean(floors, name) for name in names), "", "", ""]]
    for discrepancy in dict.fromkeys(result["discrepancy"] for result in results):
        own = [result for result in results if result["discrepancy"] == discrepancy]
        reached = sum(result["modes"] == 25 and result["quality"] >= AIM for result in own)
        warned = sum(bool(result["warnings"]) for result in own)
        seconds = statistics.fmean(result["training"] for result in own)
        cells = [_mean(own, name) for name in names]
        more = [f"{reached} of {len(own)}", f"{warned} of {len(own)}", f"{seconds:.0f}"]
        body.append([discrepancy, *cells, *more])
    head = ["", "modes found", "near a mode", "sliced W2", "classifier accuracy"]
    return record.table([*head, f"25 modes and {AIM:g}", "warned", "training s"], body)


def _mean(results: list[dict[str, Any]], name: str) -> str:
    values = [float(result[name]) for result in results]
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return str(Estimate(statistics.fmean(values), error, len(values)))


def main() -> None:
    """Train, judge, print, and with `--write` record."""
    options = shared.arguments(
        __doc__, discrepancies=(DISCREPANCIES, "which games"), seeds=(SEEDS, "which seeds")
    ).parse_args()
    timing.one_thread()
    seeds = options.seeds[:1] if options.smoke else options.seeds
    cases = [
        {"discrepancy": discrepancy, "seed": seed}
        for discrepancy, seed in product(options.discrepancies, seeds)
    ]
    results = shared.gathered(options, cases, partial(run, smoke=options.smoke))
    results.sort(key=lambda result: (result["discrepancy"], result["seed"]))
    print(text(results))
    if options.write:
        facts = {"environment": record.environment(), "steps": STEPS, "samples": SAMPLES}
        record.save("gan", facts | {"results": results}, text(results))


if __name__ == "__main__":
    main()
