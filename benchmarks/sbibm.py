"""Posteriors of the eight tasks of sbibm by flows, scores and flow matching, by its own C2ST.

One configuration for all tasks, methods and numbers of simulations: the defaults of
`pushforward.sbi`. 10,000 draws at an observation against its 10,000 reference draws; at the first
ten observations for two parameters, five for up to five, three for ten, whose classifiers take
most of the time. One of the five folds is judged, which has the same expectation. The published
numbers stand beside (Lueckmann et al. 2021; its rerun for the Gaussian mixture).

    pip download --no-deps sbibm==1.1.0
    .venv-bench/bin/python benchmarks/sbibm.py --wheel sbibm-1.1.0-py2.py3-none-any.whl --write
    .venv-bench/bin/python benchmarks/sbibm.py --wheel ... --tasks slcp --part slcp.jsonl

Several processes can share the work, each with a `--part` of its own: see `shared.py`.
"""

from __future__ import annotations

import statistics
import time
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import pushforward as pf
import record
import shared
import timing
from pushforward import sbi

FLOOR = "floor"
METHODS = {"NPE": sbi.NPE, "NPSE": sbi.NPSE, "FMPE": sbi.FMPE}
SIMULATIONS = (1_000, 10_000)
OBSERVATIONS = {2: 10, 4: 5, 5: 5, 10: 3}
"""How many, by the number of parameters."""
DRAWS = 10_000
FOLDS = 1

PUBLISHED: dict[str, dict[int, tuple[float, float]]] = {
    # NPE and SNPE by number of simulations.
    "two_moons": {1_000: (0.725, 0.643), 10_000: (0.606, 0.554)},
    "gaussian_mixture": {1_000: (0.716, 0.669), 10_000: (0.615, 0.551)},
    "gaussian_linear": {1_000: (0.694, 0.652), 10_000: (0.552, 0.544)},
    "gaussian_linear_uniform": {1_000: (0.696, 0.631), 10_000: (0.553, 0.527)},
    "slcp": {1_000: (0.975, 0.965), 10_000: (0.901, 0.845)},
    "bernoulli_glm": {1_000: (0.863, 0.855), 10_000: (0.678, 0.614)},
    "sir": {1_000: (0.815, 0.638), 10_000: (0.680, 0.561)},
    "lotka_volterra": {1_000: (0.999, 0.990), 10_000: (0.997, 0.953)},
}


def run(name: str, method: str, n: int, wheel: Path | None, smoke: bool) -> dict[str, Any]:
    """Learn the posterior of a task once, and judge it at some observations."""
    task = sbi.task(name)
    observations = range(1, 2 if smoke else 1 + OBSERVATIONS[task.parameters])
    pairs = sbi.simulate(task.prior, task.simulator, n, seed=0)
    start = time.process_time()
    settings = {"steps": 3} if smoke else {}
    posterior = METHODS[method](task.prior, pairs, seed=0, **settings)
    trained = time.process_time() - start
    if posterior.run is None or posterior.run.status != "finished":
        raise SystemExit(f"the training on {name} was interrupted: the same command goes on")
    sets, draws = [], 20 if smoke else DRAWS
    start = time.process_time()
    for number in observations:
        y, reference = judged(task, number, wheel)
        sets.append((posterior.sample(draws, y, seed=number), reference[:draws]))
    sampled = (time.process_time() - start) / len(observations)
    start = time.process_time()
    found = c2sts(sets, FOLDS)
    return {
        "c2st": [each.value for each in found],
        "steps": posterior.run.step,
        "train_seconds": round(trained, 1),
        "sample_seconds": round(sampled, 2),
        "judge_seconds": round(time.process_time() - start, 1),
    }


def c2sts(sets: list[tuple[Tensor, Tensor]], folds: int) -> list[pf.metrics.Estimate]:
    """The C2ST of each pair of sets; side by side where that is faster, for few coordinates."""
    if sets[0][0].shape[1] <= 5:
        return pf.metrics.c2st_of_each(sets, folds=folds)
    return [pf.metrics.c2st(x, y, folds=folds) for x, y in sets]


def judged(task: sbi.Task, number: int, wheel: Path | None) -> tuple[Tensor, Tensor]:
    """An observation and reference draws; without a wheel some that only show that all runs."""
    if wheel is not None:
        reference = sbi.read_reference(task.name, number, wheel)
        return reference.y, reference.draws
    pairs = sbi.simulate(task.prior, task.simulator, 20, seed=number)
    return pairs.y[0], pairs.theta


def floor(name: str, wheel: Path) -> dict[str, Any]:
    """The C2ST of two halves of the reference draws, at the same observations."""
    sets = []
    for number in range(1, 1 + OBSERVATIONS[sbi.task(name).parameters]):
        draws = sbi.read_reference(name, number, wheel).draws
        shuffled = draws[torch.randperm(len(draws), generator=torch.Generator().manual_seed(0))]
        sets.append(tuple(shuffled.chunk(2)))
    return {"c2st": [found.value for found in c2sts(sets, FOLDS)]}


def text(results: list[dict[str, Any]]) -> str:
    """A table for each number of simulations: a row for each task."""
    parts = []
    floors = {r["task"]: r for r in results if r["method"] == FLOOR}
    runs = [result for result in results if result["method"] != FLOOR]
    for n in sorted({result["simulations"] for result in runs}):
        rows = []
        for name, published in PUBLISHED.items():
            own = {r["method"]: r for r in runs if (r["task"], r["simulations"]) == (name, n)}
            if not own:
                continue
            shown = [_cell(own.get(method)) for method in METHODS]
            theirs = [f"{value:.3f}" for value in published.get(n, ())] or ["–", "–"]
            many = str(len(next(iter(own.values()))["c2st"]))
            low = _spread(floors[name]["c2st"]) if name in floors else "–"
            rows.append([name.replace("_", " "), many, *shown, *theirs, low])
        head = ["C2ST", "at", *METHODS, "NPE, published", "SNPE, published", "floor"]
        parts.append(f"**{n:,} simulations**\n\n{record.table(head, rows)}")
    return "\n\n".join(parts)


def _cell(result: dict[str, Any] | None) -> str:
    """Mean and deviation over observations, and the time of training and of the draws of one."""
    if result is None:
        return "–"
    seconds = f"{result['train_seconds']:.0f} s, {result['sample_seconds']:.1f} s"
    return f"{_spread(result['c2st'])} ({seconds})"


def _spread(values: list[float]) -> str:
    """Mean and deviation."""
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.fmean(values):.3f} ± {spread:.3f}"


def main() -> None:
    """Learn, judge, print, and with `--write` record."""
    parser = shared.arguments(
        __doc__,
        tasks=(sbi.TASKS, "which tasks"),
        methods=([FLOOR, *METHODS], "which methods"),
        simulations=(SIMULATIONS, "how many"),
    )
    parser.add_argument("--wheel", type=Path, help="the wheel of sbibm 1.1.0")
    options = parser.parse_args()
    timing.one_thread()
    if options.wheel is None and not options.smoke and not options.merge:
        raise SystemExit("--wheel is missing: pip download --no-deps sbibm==1.1.0 fetches it")
    if options.smoke:
        options.simulations = [100]
        options.methods = list(METHODS)
    cases = [
        {"task": task, "method": method, "simulations": n}
        for task, n in product(options.tasks, options.simulations)
        for method in options.methods
        if method != FLOOR or n == options.simulations[0]
        # Every task and every method, not every pair.
        if not options.smoke or task == options.tasks[0] or method == options.methods[0]
    ]

    def cell(task: str, method: str, simulations: int) -> dict[str, Any]:
        if method == FLOOR:
            return floor(task, options.wheel)
        return run(task, method, simulations, options.wheel, options.smoke)

    results = shared.gathered(options, cases, cell)
    print(text(results))
    if options.write:
        facts = {"environment": record.environment(), "draws": DRAWS, "folds": FOLDS}
        record.save("sbibm", facts | {"results": results}, text(results))


if __name__ == "__main__":
    main()
