"""Every family on the same data: likelihood with its kind, samples beside floors, and cost.

Four laws of the plane and the 8x8 digits; each method with the defaults of `for_data` and a fixed
number of steps, without labels. On the plane a seed draws data, network and samples anew, and the
error is that over seeds; on the digits it is that of the held-out digits.

    make bench-env
    .venv-bench/bin/python benchmarks/families.py --write
    .venv-bench/bin/python benchmarks/families.py --data digits --seeds 0 --part digits.jsonl

Several processes can share the work, each with a `--part` of its own: see `shared.py`.
"""

from __future__ import annotations

import statistics
import time
from functools import partial
from typing import Any, NamedTuple

import torch

import pushforward as pf
import record
import shared
import timing
import trainings
from entries import cell
from pushforward.report import compare

PLANE = ("two_moons", "8gaussians", "25gaussians", "checkerboard")
SEEDS = (0, 1, 2, 3, 4)
POINTS = 5000
HELD_OUT = 1000
SAMPLES = 1000
SHOWN = ("NLL", "sliced W2", "MMD²", "classifier accuracy", "precision", "recall")
SHOWN_MODES = (*SHOWN, "modes found", "near a mode")
SHOWN_DIGITS = ("bits per dimension", *SHOWN[1:], "memorization")


class Method(NamedTuple):
    """A family with its options, and how long it is trained."""

    family: str
    options: dict[str, Any]
    settings: dict[str, Any]


def _method(family: str, steps: int = 1000, lr: float = 2e-3, **options: Any) -> Method:
    settings = {"steps": steps, "lr": lr, "batch_size": 256, "holdout": 0.0}
    return Method(family, options, settings)


METHODS: dict[str, Method] = {
    "kernel density": _method("kde"),
    "Gaussian mixture": _method("mixture"),
    "probabilistic PCA": _method("ppca"),
    "diffusion": _method("diffusion", steps=3000),
    "score matching": _method("score", steps=3000),
    "VAE": _method("vae", steps=1500),
    "VAE, flow prior": _method("vae", prior="flow"),
    "flow, spline coupling": _method("flow"),
    "flow, spline autoregressive": _method("flow", kind="spline-autoregressive"),
    "flow, MAF": _method("flow", kind="maf"),
    "GAN": _method("gan", lr=1e-3),
    "GAN, energy distance": _method("gan", steps=1500, lr=1e-3, discrepancy="energy"),
    "energy": _method("energy", steps=1500),
    "energy, persistent chains": _method("energy", steps=600, training="pcd"),
}


def data_of(name: str, seed: int, smoke: bool) -> tuple[pf.data.Data, pf.data.Data]:
    """What is learned from and what is judged by."""
    if name == "digits":
        train, test = pf.data.load("digits").split(0.1, seed=0)
    else:
        train = pf.data.load(name, n=POINTS, seed=seed)
        test = pf.data.load(name, n=HELD_OUT, seed=1000 + seed)
    if smoke:
        return train.take(torch.arange(100)), test.take(torch.arange(40))
    return train, test


def run(data: str, method: str, seed: int, smoke: bool) -> dict[str, Any] | None:
    """Train and judge one model; to see that it runs, one of each family is judged."""
    train, test = data_of(data, seed, smoke)
    family, options, settings = METHODS[method]
    if smoke:
        settings = settings | {"steps": 2, "batch_size": 8}
    if data == "digits" and not smoke:
        settings = settings | {"lr": 1e-3, "batch_size": 64, "steps": 2 * settings["steps"]}
    torch.manual_seed(seed)
    model: Any = pf.registry.find("models", family).for_data(train, labels=False, **options)
    start = time.process_time()
    trainings.fit(model, train, progress=False, seed=seed, **settings)
    spent = time.process_time() - start
    if smoke and method != next(name for name, known in METHODS.items() if known[0] == family):
        return None
    if smoke and family == "energy":
        model.estimate_log_z(8, 2, seed=seed)
    found = compare(
        {method: model},
        train,
        test,
        n=40 if smoke else min(SAMPLES, len(test)),
        points=20 if smoke else len(test),
        seed=seed,
        training={method: spent},
        beside=False,
    )
    entry: dict[str, Any] = found.to_dict()["entries"][0]
    return entry


def text(results: list[dict[str, Any]]) -> str:
    """A table per data set."""
    parts = []
    for name in (*PLANE, "digits"):
        own = [result for result in results if result["data"] == name]
        if own:
            known = pf.data.toys.modes(name)
            shown = SHOWN_DIGITS if name == "digits" else SHOWN if known is None else SHOWN_MODES
            parts.append(f"**{name}**\n\n{_table(own, shown)}")
    return "\n\n".join(parts)


def _table(results: list[dict[str, Any]], shown: tuple[str, ...]) -> str:
    methods = list(dict.fromkeys(result["method"] for result in results))
    body = [["real data", *(cell(results, row, "floor") for row in shown), "", "", "", ""]]
    for method in methods:
        own = [result for result in results if result["method"] == method]
        cost = [
            f"{statistics.fmean(result[key] for result in own):.2g}"
            for key in ("training", "seconds")
        ]
        cells = [cell(own, row, "value") for row in shown]
        body.append([method, *cells, own[0]["kind"], *cost, f"{own[0]['parameters']:,}"])
    return record.table(["", *shown, "kind", "training s", "s / 1,000", "parameters"], body)


def main() -> None:
    """Train, judge, print, and with `--write` record."""
    options = shared.arguments(
        __doc__,
        data=([*PLANE, "digits"], "which data"),
        methods=(METHODS, "which methods"),
        seeds=(SEEDS, "which seeds"),
    ).parse_args()
    timing.one_thread()
    if options.smoke:
        options.data, options.seeds = ["two_moons"], options.seeds[:1]
    cases = [
        {"data": name, "method": method, "seed": seed}
        for name in options.data
        for seed in (options.seeds[:1] if name == "digits" else options.seeds)
        for method in options.methods
    ]
    results = shared.gathered(options, cases, partial(run, smoke=options.smoke))
    order = list(METHODS)
    results.sort(key=lambda result: order.index(result["method"]))
    print(text(results))
    if options.write:
        facts = {"environment": record.environment("scikit-learn"), "samples": SAMPLES}
        record.save("families", facts | {"results": results}, text(results))


if __name__ == "__main__":
    main()
