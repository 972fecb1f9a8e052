"""Coarse digits to digits without pairs: a Schrödinger bridge along its iterations.

The 8x8 digits are cut in two: one half is coarsened to 2x2 blocks and is the source, the other is
the target, so that no coarse digit has its own fine one to learn from. The bridge is judged after
every second outer iteration, beside plain bridge matching with as many steps in all: the transport
cost, how far the answer is from the input once coarsened again, and how near the answers are to
digits held out. Costs are mean squares per pixel of values from 0 to 16.

    make bench-env
    .venv-bench/bin/python benchmarks/digit_translation.py --write
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

import pushforward as pf
import record
import timing
import trainings
from pushforward.metrics import Estimate, classifier_accuracy, energy_distance
from pushforward.processes import Bridge
from pushforward.report.painters import image_grid
from pushforward.schrodinger import CouplingCache, OuterIterations

SEEDS = (0, 1, 2)
SIGMA = 3.0  # of the noise along the way, in gray levels
HALVES, LENGTH, STEPS, BATCH, ROWS, WIDTH = 8, 250, 20, 64, 800, 32
SHOWN = 16
PICTURE = Path(__file__).parents[1] / "docs" / "assets" / "pictures" / "digit-translation.png"

MEASURES = ("transport cost", "coarsened again", "energy distance", "classifier accuracy")


def coarse(x: Tensor) -> Tensor:
    """Means of blocks of two pixels by two."""
    return interpolate(avg_pool2d(x, 2), scale_factor=2, mode="nearest")


def laws(seed: int, smoke: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Source and target to learn from; source and target to judge by. No digit is in two."""
    data = pf.data.load("digits", label=False)
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
    sizes = (40, 40, 30, 30) if smoke else (650, 650, 248, 249)
    first, second, third, fourth = data.x[order[: sum(sizes)]].split(sizes)
    return coarse(first), second, coarse(third), fourth


def network(outputs: int = 1) -> nn.Module:
    """The U-Net of small pictures, the same for both methods."""
    return pf.nn.UNet(1, width=WIDTH, multipliers=(1, 2), blocks=1, out_channels=outputs)


def judged(model: Any, source: Tensor, target: Tensor, sampler: Any) -> dict[str, Estimate]:
    """What one draw for each coarse digit is like."""
    y = model.forward(source, sampler=sampler, steps=STEPS, seed=0)
    costs = (y - source).square().flatten(1).mean(1)
    again = (coarse(y) - source).square().flatten(1).mean(1)
    values = (_mean(costs), _mean(again), *compared(y, target))
    return dict(zip(MEASURES, values, strict=True))


def compared(y: Tensor, target: Tensor) -> tuple[Estimate, Estimate]:
    """Two ways to tell answers from digits, per standard deviation of a pixel."""
    scale = float(target.std())
    return (
        energy_distance(y / scale, target / scale),
        classifier_accuracy(y / scale, target / scale),
    )


def _mean(x: Tensor) -> Estimate:
    return Estimate(float(x.mean()), float(x.std()) / len(x) ** 0.5, len(x))


def run(seed: int, smoke: bool) -> tuple[list[dict[str, Any]], dict[str, Tensor]]:
    """Both methods with one seed: what was measured, and some answers."""
    source, target, asked, known = laws(seed, smoke)
    length, count = (2, 2) if smoke else (LENGTH, HALVES)
    settings = {
        "source": source, "batch_size": min(BATCH, len(target)), "holdout": 0.0, "lr": 1e-3,
        "schedule": "constant", "ema": 0.99, "seed": seed, "progress": False,
    }  # fmt: skip
    results = []

    def note(name: str, half: int, seconds: float, found: dict[str, Estimate]) -> None:
        values = {key: [value.value, value.stderr] for key, value in found.items()}
        results.append({"method": name, "half": half, "seed": seed, "seconds": seconds} | values)
        print(results[-1], flush=True)

    far = (_mean((coarse(known) - known).square().flatten(1).mean(1)), Estimate(0.0, 0.0, 1))
    fresh = compared(target[torch.randperm(len(target))[: len(known)]], known)
    note("digits and their coarse ones", 0, 0.0, dict(zip(MEASURES, (*far, *fresh), strict=True)))
    unmoved = (Estimate(0.0, 0.0, 1), Estimate(0.0, 0.0, 1), *compared(asked, known))
    note("coarse digits as they are", 0, 0.0, dict(zip(MEASURES, unmoved, strict=True)))
    torch.manual_seed(seed)
    start = time.process_time()
    plain: Any = pf.FlowMatching(network(2), path=Bridge(SIGMA))
    trainings.fit(plain, target, steps=count * length, **settings)
    spent = time.process_time() - start
    note("bridge matching", 0, spent, judged(plain, asked, known, pf.samplers.Euler(churn=1.0)))
    torch.manual_seed(seed)
    bridge: Any = pf.SchrodingerBridge(
        network(), network(), reference=Bridge(SIGMA), iterations=OuterIterations(count, length),
        cache=CouplingCache(rows=min(ROWS, len(target))), ema=0.99,
    )  # fmt: skip
    spent = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for half in range(2, count + 1, 2):
            start = time.process_time()
            done = trainings.fit(
                bridge, target, steps=half * length, out=folder, resume=half > 2, **settings
            )
            spent += time.process_time() - start
            note("bridge", half, spent, judged(done.model, asked, known, None))
        bridge = done.model
    shown = {
        "coarse": asked[:SHOWN],
        "bridge matching": plain.forward(asked, sampler=pf.samplers.Euler(churn=1.0), seed=0)[
            :SHOWN
        ],
        "bridge": bridge.forward(asked, seed=0)[:SHOWN],
        "again": bridge.forward(asked, seed=1)[:SHOWN],
    }
    return results, shown


def text(results: list[dict[str, Any]]) -> str:
    """A line for each method and outer iteration."""
    rows = []
    for name, half in dict.fromkeys((r["method"], r["half"]) for r in results):
        own = [r for r in results if (r["method"], r["half"]) == (name, half)]
        title = f"{name}, {half} outer iterations" if half else name
        seconds = statistics.fmean(r["seconds"] for r in own)
        rows.append([title, *(_cell([r[m] for r in own]) for m in MEASURES), f"{seconds:.0f}"])
    return record.table(["", *MEASURES, "training s"], rows)


def _cell(values: list[list[float]]) -> str:
    means, error = [value for value, _ in values], values[0][1]
    if len(means) > 1:
        error = statistics.stdev(means) / len(means) ** 0.5
    return str(Estimate(statistics.fmean(means), error, len(means)))


def main() -> None:
    """Train, judge, print, and with `--write` record the table and the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="a few steps, to see that it runs")
    parser.add_argument("--write", action="store_true", help="record the results")
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS, help="which seeds")
    options = parser.parse_args()
    timing.one_thread()
    results: list[dict[str, Any]] = []
    pictures: dict[str, Tensor] = {}
    for seed in options.seeds[:1] if options.smoke else options.seeds:
        found, shown = run(seed, options.smoke)
        results += found
        pictures = pictures or shown
    print(text(results))
    if options.write:
        PICTURE.write_bytes(image_grid(torch.cat(list(pictures.values())), 0.0, 16.0, SHOWN))
        facts = {"environment": record.environment(), "sigma": SIGMA, "steps": HALVES * LENGTH}
        record.save("digit_translation", facts | {"results": results}, text(results))


if __name__ == "__main__":
    main()
