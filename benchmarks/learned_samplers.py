"""log Z by learned samplers over steps, beside published rows, truths, and what needs no training.

Each sampler is trained on `--grid` steps and estimates `log Z` on 8 to 256 of them, where nothing
is learned for each step, over thirty sets of `--paths` paths: mean and standard
deviation, as published. `smc` is tempered sequential Monte Carlo, without training. Published rows
are of 11,000 iterations of 300 paths (DDS, PIS and SMC on the funnel: Vargas, Grathwohl & Doucet
2023; other SMC, MCD and CMCD: Vargas et al. 2024), trained anew for each number of steps; ours are
trained once. Targets whose data are missing are left out, and named.

    python benchmarks/learned_samplers.py --data FOLDER --part learned.jsonl
    python benchmarks/learned_samplers.py --merge learned.jsonl --write
"""

from __future__ import annotations

import inspect
import math
import statistics
import time
from pathlib import Path
from typing import Any

import torch

import record
import shared
import timing
import trainings
from pushforward import evidence, registry
from pushforward._random import derived_seed
from pushforward.errors import CapabilityError, ConvergenceError, InputError
from pushforward.learned_samplers import simulate
from pushforward.learned_samplers.coordinates import COORDINATES
from pushforward.models import LearnedSampler

TARGETS = (
    "funnel", "ionosphere", "sonar", "seeds", "brownian", "credit", "many-well", "mixture-40",
    "mixture-40-50d", "lgcp-126",
)  # fmt: skip
METHODS = ("smc", "dds", "pis", "dis", "ula", "uha", "mcd", "cmcd")
SEEDS = (0,)
GRIDS = (8, 16, 32, 64, 128, 256)
EVALUATIONS = 30
SIZE: dict[str, Any] = {}

PUBLISHED: dict[tuple[str, str], str] = {
    ("funnel", "dds"): "-0.206±.058 | -0.176±.097 | -0.221±.074",
    ("funnel", "pis"): "-0.290±.097 | -0.268±.072 | -0.301±.075",
    ("funnel", "smc"): "-0.209±.089 | -0.198±.072 | -0.163±.064",
    ("funnel", "cmcd"): "-0.108 | -0.057±.045 | -0.019±.064",
    ("ionosphere", "dds"): "-111.693±.166 | -111.587±.134 | -111.575±.159",
    ("ionosphere", "pis"): "-111.615±.116 | -111.979±.219 | -112.950±.443",
    ("ionosphere", "smc"): "-111.736±.185 | -111.593±.282 | -111.629±.173",
    ("sonar", "dds"): "-109.419±.304 | -108.903±.222 | -108.889±.353",
    ("sonar", "pis"): "-108.920±.217 | -109.349±.350 | -108.891±.317",
    ("sonar", "smc"): "-108.413±.149 | -108.399±.083 | -108.372±.070",
    ("brownian", "dds"): "1.031±.099 | 1.047±.153 | 0.991±.106",
    ("brownian", "pis"): "1.020±.122 | 0.959±.142 | 0.645±.246",
    ("brownian", "smc"): "0.860±.76 | 1.022±.26 | 1.131±.13",
    ("brownian", "mcd"): "0.980 | 1.171±.24 | 1.152±.17",
    ("brownian", "cmcd"): "1.106 | 1.180±.15 | 1.165±.07",
    ("seeds", "smc"): "-73.377±.204 | -73.430±.102 | -73.414±.086",
}
"""`log Z` published for 64, 128 and 256 steps."""


def run(target: str, method: str, coordinates: str, seed: int) -> dict[str, Any] | None:
    """A sampler, trained, with its estimates on every grid."""
    make = registry.find("targets", target)
    options = {"data": str(SIZE["data"])} if "data" in inspect.signature(make).parameters else None
    begin = time.process_time()
    try:
        if method == "smc":
            return _tempered(make(**(options or {})), begin)
        torch.manual_seed(seed)
        # The table of names fixes some arguments of its own.
        model = LearnedSampler(
            target, method, steps=SIZE["grid"], coordinates=coordinates, options=options
        )
    except InputError as error:
        print(f"{target} is left out: {error}")
        return None
    done = trainings.fit(
        model, None, steps=SIZE["iterations"], batch_size=SIZE["batch"], lr=SIZE["lr"], ema=0.99,
        warmup=min(100, SIZE["iterations"] // 5), seed=seed, progress=False,
    )  # fmt: skip
    trained = time.process_time() - begin
    grids = {k: found for k in SIZE["grids"] if (found := _on_grid(model, k)) is not None}
    whole = model.estimates(10 * SIZE["paths"], seed=derived_seed(seed, 1))
    return {
        "iterations": done.step, "batch": SIZE["batch"], "trained on": SIZE["grid"],
        "paths": SIZE["paths"], "seconds": round(trained, 1), "grids": grids,
        "elbo": round(whole.elbo.value, 4), "ess": round(whole.ess, 4),
        "eubo": None if whole.eubo is None else round(whole.eubo.value, 4),
        "eubo holds": whole.eubo is not None and whole.eubo.holds,
        "backward ess": None if whole.backward_ess is None else round(whole.backward_ess, 4),
        "coverage": None if whole.coverage is None else round(whole.coverage, 4),
        "truth": model.target.reference.log_z, "warnings": list(whole.warnings),
    }  # fmt: skip


def _tempered(target: Any, begin: float) -> dict[str, Any]:
    """What needs no training, over seeds."""
    values = []
    for k in range(SIZE["tempered"]):
        try:
            values.append(evidence.log_z(target, seed=k).value)
        except ConvergenceError as error:
            print(f"{target.name}: {error}")
    seconds = (time.process_time() - begin) / max(1, len(values))
    return {
        "values": [round(value, 4) for value in values], "seconds": round(seconds, 1),
        "truth": target.reference.log_z,
    }  # fmt: skip


def _on_grid(model: LearnedSampler, steps: int) -> list[float] | None:
    """Mean and standard deviation over sets of paths of `log Z` on a grid; `None` without."""
    try:
        pair = model.paths.on_grid(steps)
    except CapabilityError:
        return None
    # All at once: independent sets of paths are parts of one.
    noise = torch.Generator().manual_seed(derived_seed(7, steps))
    total = SIZE["evaluations"] * SIZE["paths"]
    with torch.no_grad():
        found = simulate(pair, model.density(torch.float64), total, generator=noise)
    logs = found.log_weights.double().view(SIZE["evaluations"], SIZE["paths"])
    values = logs.logsumexp(1) - math.log(SIZE["paths"])
    return [round(float(values.mean()), 4), round(float(values.std()), 4)]


def text(results: list[dict[str, Any]]) -> str:
    """One table of `log Z` over steps, and one of what else is known of each sampler."""
    head = ["target (log Z)", "method", *map(str, GRIDS), "published: 64, 128, 256"]
    rows, more = [], []
    for r in results:
        name = f"{r['target']} ({r['truth']:.3f})"
        told = PUBLISHED.get((r["target"], r["method"]), "–").replace(" | ", ", ")
        if "values" in r:
            values = r["values"]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            own = f"{statistics.fmean(values):.3f}±{spread:.3f}" if values else "not converged"
            rows.append([name, "smc, no training", own, *["–"] * (len(GRIDS) - 1), told])
            more.append([r["target"], "smc", "–", f"{r['seconds']:g}", *["–"] * 5])
            continue
        grids = {int(k): value for k, value in r["grids"].items()}
        cells = [f"{grids[k][0]:.3f}±{grids[k][1]:.3f}" if k in grids else "–" for k in GRIDS]
        label = r["method"] + ("" if _fitted(r) else ", coordinates as given")
        rows.append([name, label, *cells, told])
        upper = "–" if r["eubo"] is None else f"{r['eubo']:.2f}" + ("" if r["eubo holds"] else "*")
        more.append([
            r["target"], label, f"{r['iterations']} of {r['batch']}, {r['trained on']} steps",
            f"{r['seconds']:g}", f"{r['elbo']:.2f}", upper, f"{r['ess']:.1%}",
            "–" if r["backward ess"] is None else f"{r['backward ess']:.1%}",
            "–" if r["coverage"] is None else f"{r['coverage']:.3f}",
        ])  # fmt: skip
    columns = [
        "target", "method", "training", "seconds of a core", "ELBO", "EUBO", "ESS", "ESS back",
        "coverage",
    ]  # fmt: skip
    return (
        f"{record.table(head, rows)}\n\n{record.table(columns, more)}\n\n"
        "\\* from the replay buffer, which bounds nothing."
    )


def _fitted(result: dict[str, Any]) -> bool:
    """Whether paths moved in coordinates that were fitted to the target."""
    return bool(result.get("coordinates", "chains") != "none")


def _place(result: dict[str, Any]) -> tuple[int, int, bool, int]:
    """Where a row stands in the tables."""
    place = TARGETS.index(result["target"]), METHODS.index(result["method"])
    return *place, not _fitted(result), result["seed"]


def main() -> None:
    """Train, print, and with `--write` record."""
    parser = shared.arguments(
        __doc__, targets=(TARGETS, "which"), methods=(METHODS, "which"),
        seeds=(SEEDS, "of training"),
    )  # fmt: skip
    parser.add_argument("--data", type=Path, help="the folder with the data of posteriors")
    parser.add_argument(
        "--coordinates", choices=COORDINATES, default="chains",
        help="in which paths move; published samplers take those of the target (none)",
    )  # fmt: skip
    parser.add_argument("--iterations", type=int, default=1000, help="of training")
    parser.add_argument("--batch", type=int, default=128, help="paths in each")
    parser.add_argument("--grid", type=int, default=32, help="steps of a path in training")
    parser.add_argument("--lr", type=float, default=3e-3, help="the peak learning rate")
    parser.add_argument("--paths", type=int, default=300, help="of each evaluation")
    options = parser.parse_args()
    timing.one_thread()
    SIZE.update(
        data=options.data, iterations=options.iterations, batch=options.batch, grid=options.grid,
        lr=options.lr, paths=options.paths, grids=GRIDS, evaluations=EVALUATIONS, tempered=5,
    )  # fmt: skip
    if options.smoke:
        options.targets, options.methods = ["funnel"], ["dds"]
        SIZE.update(iterations=2, batch=8, grid=4, paths=10, grids=(8,), evaluations=2)
    cases = [
        {"target": target, "method": method, "coordinates": options.coordinates, "seed": seed}
        for seed in options.seeds
        for target in options.targets
        for method in options.methods
    ]
    results = sorted(shared.gathered(options, cases, run), key=_place)
    print(text(results))
    if options.write:
        facts = {"environment": record.environment(), "results": results}
        record.save("learned_samplers", facts, text(results))


if __name__ == "__main__":
    main()
