"""Entropic plans to one marginal error: time and memory beside other libraries.

Two normal clouds, squared distances, single precision, one thread, from the points to the plan.
A library that has no tolerance of this kind is given more effort until its plan has the error; the
time is that of the run that does, in seconds of the processor. Each case runs in a process of its
own, which may use so many seconds and no more:

    make bench-env                                     # peers, in an environment of their own
    .venv-bench/bin/python benchmarks/sinkhorn.py --write

`--part FILE` keeps the results of some sizes in a file; `--merge` puts such files together.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import pushforward as pf
import record
import timing

ERROR = 1e-3
SIZES, DIMENSIONS, EPSILONS = (512, 2048, 8192), (2, 64, 3072), (0.05, 0.01)
PATIENCE = 60  # seconds of the processor for one library on one case
TURNS, LONG = 3, 5.0  # the fastest of so many runs, of one run if it takes so many seconds

Run = Callable[[], Any]
"""Solves, and returns the plan `(n, n)`."""


def clouds(n: int, d: int) -> tuple[Tensor, Tensor]:
    """A normal cloud, and a narrower one beside it."""
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(n, d, generator=g), torch.randn(n, d, generator=g)
    return x, 0.7 * y + d**-0.5


def ours(x: Tensor, y: Tensor, epsilon: float) -> Iterator[Run]:
    """The tolerance is the error."""
    yield lambda: pf.ot.sinkhorn(pf.ot.PointClouds(x, y), epsilon, tolerance=ERROR).matrix()


def pot(x: Tensor, y: Tensor, epsilon: float, method: str = "sinkhorn") -> Iterator[Run]:
    """Its tolerance is another norm of one marginal: it is lowered until the plan is good."""
    import ot

    a = torch.full((len(x),), 1 / len(x)).numpy()

    def solve(tolerance: float) -> Any:
        costs = ot.dist(x.numpy(), y.numpy())
        options = {"stopThr": tolerance, "numItermax": 20_000, "method": method}
        return ot.sinkhorn(a, a, costs, epsilon, **options)

    for tolerance in (ERROR, ERROR / 3, ERROR / 10, ERROR / 100, ERROR / 1000):
        yield lambda tolerance=tolerance: solve(tolerance)


def pot_log(x: Tensor, y: Tensor, epsilon: float) -> Iterator[Run]:
    """The same in the log domain."""
    return pot(x, y, epsilon, "sinkhorn_log")


def geomloss(x: Tensor, y: Tensor, epsilon: float) -> Iterator[Run]:
    """It anneals without a tolerance: slower schedules until the plan is good."""
    from geomloss import SamplesLoss

    def solve(scaling: float) -> Tensor:
        loss = SamplesLoss(
            # Its cost is half the squared distance.
            blur=(epsilon / 2) ** 0.5, scaling=scaling, debias=False, potentials=True,
            backend="tensorized",
        )  # fmt: skip
        f, g = (2 * potential.reshape(-1) for potential in loss(x, y))
        center = y.mean(0)
        costs = torch.cdist(x - center, y - center).square()
        return ((f[:, None] + g - costs) / epsilon).exp() / (len(x) * len(y))

    for scaling in (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995):
        yield lambda scaling=scaling: solve(scaling)


def ott(x: Tensor, y: Tensor, epsilon: float) -> Iterator[Run]:
    """Compiled before it is timed; its tolerance is that of one marginal."""
    import jax
    from ott.geometry import pointcloud
    from ott.solvers import linear

    @jax.jit
    def solve(x: Any, y: Any, threshold: Any) -> Any:
        geometry = pointcloud.PointCloud(x, y, epsilon=epsilon)
        return linear.solve(geometry, threshold=threshold, max_iterations=20_000).matrix

    for threshold in (ERROR, ERROR / 3, ERROR / 10):
        args = (x.numpy(), y.numpy(), threshold)
        solve(*args).block_until_ready()
        yield lambda args=args: solve(*args).block_until_ready()


SOLVERS = {
    "pushforward": (ours, "pushforward"),
    "POT sinkhorn": (pot, "ot"),
    "POT sinkhorn_log": (pot_log, "ot"),
    "geomloss": (geomloss, "geomloss"),
    "ott-jax": (ott, "ott"),
}


def error_of(plan: Any) -> float:
    """The distance of both marginals from equal weights, from the entries, in double precision."""
    entries = plan if isinstance(plan, Tensor) else torch.tensor(plan.__array__())
    sums = (entries.sum(k, dtype=torch.float64) for k in (0, 1))
    return sum(float((s - 1 / len(s)).abs().sum()) for s in sums)


def measure(name: str, n: int, d: int, scale: float, results: Any) -> None:
    """Seconds, bytes beyond the points and the libraries, and error; in a process of its own."""
    timing.one_thread()
    warnings.simplefilter("ignore")
    x, y = clouds(n, d)
    epsilon = scale * pf.ot.PointClouds(x, y).mean_cost()
    # What loads on first use is not counted.
    next(SOLVERS[name][0](*clouds(16, d), epsilon))()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    spent = int(time.process_time())
    resource.setrlimit(resource.RLIMIT_CPU, (spent + PATIENCE, spent + PATIENCE))
    for run in SOLVERS[name][0](x, y, epsilon):
        seconds: list[float] = []
        while len(seconds) < TURNS and sum(seconds) < LONG:
            start = time.process_time()
            plan = run()
            seconds.append(time.process_time() - start)
        error = error_of(plan)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        good = error <= ERROR
        results.put({"seconds": min(seconds), "megabytes": peak / 1024, "error": error})
        if good:
            return


def case(name: str, n: int, d: int, scale: float) -> dict[str, Any]:
    """The best that a library reaches in time."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=measure, args=(name, n, d, scale, results))
    process.start()
    process.join()
    found = []
    while not results.empty():
        found.append(results.get())
    best = found[-1] if found else {"error": float("inf")}
    return {"solver": name, "n": n, "d": d, "epsilon": scale} | best


def text(rows: list[dict[str, Any]]) -> str:
    """A line for each problem: seconds and megabytes, or the error where it was not reached."""
    names = list(dict.fromkeys(row["solver"] for row in rows))
    lines = []
    for key in dict.fromkeys((row["n"], row["d"], row["epsilon"]) for row in rows):
        cells = [str(part) for part in key]
        for name in names:
            row = next(
                r for r in rows if (r["n"], r["d"], r["epsilon"], r["solver"]) == (*key, name)
            )
            if row["error"] <= ERROR:
                cells.append(f"{row['seconds']:.3f} s, {row['megabytes']:.0f} MB")
            elif row["error"] < float("inf"):
                cells.append(f"error {row['error']:.2g}")
            else:
                cells.append(f"over {PATIENCE} s")
        lines.append(cells)
    return record.table(["n", "d", "epsilon / mean cost", *names], lines)


def main() -> None:
    """Measure, print, and with `--write` record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="one small case, to see that it runs")
    parser.add_argument("--write", action="store_true", help="record the results")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--dimensions", type=int, nargs="+", default=DIMENSIONS)
    parser.add_argument("--part", type=Path, help="keep the results in a file")
    parser.add_argument("--merge", nargs="+", type=Path, help="files of parts, to put together")
    options = parser.parse_args()
    names = [name for name, (_, module) in SOLVERS.items() if find_spec(module)]
    if options.smoke:
        names, problems = names[:1], [(64, 2, 0.05)]
    else:
        sizes, dimensions = options.sizes, options.dimensions
        problems = [(n, d, e) for n in sizes for d in dimensions for e in EPSILONS]
    rows = record.parts(options.merge) if options.merge else []
    for problem in [] if options.merge else problems:
        for name in names:
            rows.append(case(name, *problem))
            print(rows[-1], flush=True)
            if options.part:
                options.part.write_text(json.dumps(rows))
    print(text(rows))
    if options.write:
        facts = {"environment": record.environment("pot", "geomloss", "ott-jax", "jax")}
        facts |= {"error": ERROR, "patience": PATIENCE}
        record.save("sinkhorn", facts | {"results": rows}, text(rows))


if __name__ == "__main__":
    main()
