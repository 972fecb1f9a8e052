"""Densities of compositions, and symbols along Dirichlet paths, against known truths.

**likelihood**: mixtures of N Dirichlet distributions of four parts with concentrations from
Gamma(3, 1), whose log-density is known. `wright-fisher` is `Diffusion` on `WrightFisher(2)`,
`log-ratios` on Gaussian noise of isometric log-ratios, `fisher-rao` is `FlowMatching` on
`Geodesic(FisherRao())`, and `cox-ingersoll-ross` is `Diffusion` on amounts: the compositions times
a total from Gamma(8, 1), whose density is known as well. All have a network of three layers of
96, 20,000 rows, 1,000 steps and exact divergences; a gap is the truth less the model, on 200 new
rows.

**symbols**: the toy of Stark et al. 2024. Four independent sites of K symbols with the chances
softmax(u), u uniform on the unit cube; the Kullback-Leibler divergence of the frequencies of drawn
symbols from these chances, averaged over the sites. With n draws of the truth itself it is
(K - 1) / (2 n). The network has three layers of 256, and 300 steps.

    python benchmarks/simplex.py --write
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from functools import partial
from typing import Any

import torch
from torch import Tensor

import pushforward as pf
import record
import shared
import trainings
from pushforward.distributions import DirichletMixture, GammaProduct
from pushforward.processes import (
    CoxIngersollRoss,
    DirichletPath,
    Gaussian,
    Geodesic,
    WrightFisher,
)
from pushforward.spaces import FisherRao, LogRatios, Orthant, Vertices

PARTS, ROWS, TEST, TOTAL = 4, 20_000, 200, 8.0
STEPS = {"likelihood": 1_000, "symbols": 300}
DRAWS = 2_000
SITES = 4
NET = partial(pf.nn.MLP, width=96)
SYMBOLS_NET = partial(pf.nn.MLP, width=256)
METHODS = ("wright-fisher", "cox-ingersoll-ross", "log-ratios", "fisher-rao", "dirichlet")
CASES = {
    "likelihood": ("N = 3", "N = 5", "N = 10", "N = 20"),
    "symbols": ("K = 4", "K = 10", "K = 20", "K = 40", "K = 80", "K = 160"),
}
SEEDS = {"likelihood": (0, 1, 2), "symbols": (0, 1, 2)}
TRAINING: dict[str, Any] = {
    "batch_size": 256,
    "lr": 2e-3,
    "ema": 0.99,
    "holdout": 0.0,
    "progress": False,
    "device": "cpu",
}


def mixture(case: str, seed: int) -> DirichletMixture:
    """The truth of a case."""
    count = int(case.split("=")[1])
    generator = torch.Generator().manual_seed(1000 + seed)
    three = GammaProduct(torch.full((count, PARTS), 3.0))
    return DirichletMixture(three.sample(1, generator=generator)[0])


def likelihood(case: str, method: str, seed: int, smoke: bool) -> dict[str, Any]:
    """The mean log-density of new rows under the truth and under a model."""
    truth = mixture(case, seed)
    train, test = truth.sample(ROWS, seed=seed), truth.sample(TEST, seed=100 + seed)
    exact = truth.log_prob(test.double())
    if method == "cox-ingersoll-ross":
        size = GammaProduct(torch.full((1,), TOTAL))
        totals = size.sample(ROWS, seed=200 + seed), size.sample(TEST, seed=300 + seed)
        train, test = train * totals[0], test * totals[1]
        exact = exact + size.log_prob(totals[1]) - (PARTS - 1) * totals[1].log().squeeze(1)
    if smoke:
        train, test, exact = train[:300], test[:8], exact[:8]
    made: dict[str, Any] = {
        "wright-fisher": lambda: pf.Diffusion.for_data(
            pf.data.load(train, space=pf.spaces.Simplex()), process=WrightFisher(2.0), net=NET
        ),
        "cox-ingersoll-ross": lambda: pf.Diffusion.for_data(
            pf.data.load(train, space=Orthant()), process=CoxIngersollRoss(2.0), net=NET
        ),
        "log-ratios": lambda: pf.Diffusion.for_data(
            pf.data.load(train, space=LogRatios()), process=Gaussian(space=LogRatios()), net=NET
        ),
        "fisher-rao": lambda: pf.FlowMatching.for_data(
            pf.data.load(train, space=FisherRao()), path=Geodesic(FisherRao()), net=NET
        ),
    }
    model = made[method]()
    steps = 3 if smoke else STEPS["likelihood"]
    begin = time.process_time()
    trainings.fit(model, train, steps=steps, seed=seed, **TRAINING)
    seconds = time.process_time() - begin
    found = model.log_prob(test, tolerance=1e-2 if smoke else 1e-3)
    gap = exact - found.value.double()
    return {
        "truth": float(exact.mean()),
        "value": float(gap.mean()),
        "stderr": float(gap.std()) / len(gap) ** 0.5,
        "solver": float(found.error.max()) if found.error is not None else 0.0,
        "seconds": seconds,
    }


def symbols(case: str, seed: int, smoke: bool) -> dict[str, Any]:
    """The divergence of frequencies from chances, and that of exact draws."""
    count, n = int(case.split("=")[1]), 200 if smoke else DRAWS
    generator = torch.Generator().manual_seed(2000 + seed)
    chances = torch.softmax(torch.rand(SITES, count, generator=generator, dtype=torch.float64), -1)

    def draw(n: int) -> Tensor:
        rows = [torch.multinomial(p, n, replacement=True, generator=generator) for p in chances]
        return torch.stack(rows, 1)

    def divergence(x: Tensor) -> float:
        found = []
        for site, p in zip(x.mT, chances, strict=True):
            share = torch.bincount(site, minlength=count).double() / len(site)
            found.append(float(torch.xlogy(share, share / p).sum()))
        return statistics.fmean(found)

    train = draw(300 if smoke else 200_000)
    process = DirichletPath(Vertices(count))
    data = pf.data.load(train, space=process.space)
    model = pf.Diffusion.for_data(data, process=process, net=SYMBOLS_NET)
    begin = time.process_time()
    steps = 3 if smoke else STEPS["symbols"]
    trainings.fit(model, data, steps=steps, seed=seed, **(TRAINING | {"batch_size": 512}))
    seconds = time.process_time() - begin
    x = model.sample(n, steps=4 if smoke else 16, seed=seed)
    return {
        "value": divergence(x),
        "direct": divergence(draw(n)),
        "truth": (count - 1) / (2 * n),
        # Of a chi-square distribution of K - 1 degrees of freedom at each of the sites.
        "stderr": math.sqrt(2 * (count - 1) / SITES) / (2 * n),
        "seconds": seconds,
    }


def measured(table: str, case: str, method: str, seed: int, smoke: bool) -> dict[str, Any]:
    """One cell."""
    if table == "symbols":
        return symbols(case, seed, smoke)
    return likelihood(case, method, seed, smoke)


def text(results: list[dict[str, Any]]) -> str:
    """The tables of the documentation."""
    found = []
    rows = []
    for case in CASES["likelihood"]:
        own = {m: _mean([r for r in results if (r["case"], r["method"]) == (case, m)])
               for m in METHODS[:-1]}  # fmt: skip
        own = {method: row for method, row in own.items() if row}
        if own:
            cells = [_cell(own.get(method)) for method in METHODS[:-1]]
            first = next(r for r in (*own.values(),) if r["method"] != "cox-ingersoll-ross")
            rows.append([case, f"{first['truth']:.3f}", *cells])
    if rows:
        head = ["", "log-likelihood of the truth", *(f"gap of {m}" for m in METHODS[:-1])]
        found.append(
            "Mixtures of N Dirichlet distributions, nats, smaller gaps are better:\n\n"
            + record.table(head, rows)
        )
    rows = []
    for case in CASES["symbols"]:
        r = _mean([r for r in results if r["case"] == case])
        if r:
            rows.append(
                [case, f"{r['truth']:.2e}", f"{r['direct']:.2e}",
                 f"{r['value']:.2e} ± {r['stderr']:.0e}", f"{r['value'] / r['truth']:.2f}"]
            )  # fmt: skip
    if rows:
        head = ["", "(K - 1) / (2 n)", "drawn from the truth", "Dirichlet path", "over the floor"]
        found.append(
            f"Symbols at four sites, n = {DRAWS:,} draws, Kullback-Leibler divergence in nats, "
            "mean of the seeds:\n\n" + record.table(head, rows)
        )
    return "\n\n".join(found)


def _mean(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One row of several seeds, with the error of the mean; an empty one of none."""
    if not rows:
        return {}
    mean = {key: statistics.fmean(r[key] for r in rows)
            for key in ("truth", "value", "direct") if key in rows[0]}  # fmt: skip
    error = math.hypot(*(r["stderr"] for r in rows)) / len(rows)
    return {**mean, "method": rows[0]["method"], "stderr": error, "seeds": len(rows)}


def _cell(row: dict[str, Any] | None) -> str:
    return "–" if row is None else f"{row['value']:.3f} ± {row['stderr']:.3f}"


def main() -> None:
    """Measure, print, and with `--write` record."""
    parser = shared.arguments(
        __doc__,
        tables=(CASES, "tables"),
        methods=(METHODS, "methods"),
        cases=([case for own in CASES.values() for case in own], "cases"),
        seeds=(SEEDS["symbols"], "seeds"),
    )
    options: argparse.Namespace = parser.parse_args()
    torch.set_num_threads(1)
    cases = [
        {"table": table, "case": case, "method": method, "seed": seed}
        for table in options.tables
        for case in (CASES[table][:1] if options.smoke else CASES[table])
        if case in options.cases
        for method in (METHODS[-1:] if table == "symbols" else METHODS[:-1])
        if method in options.methods
        for seed in (SEEDS[table][:1] if options.smoke else SEEDS[table])
        if seed in options.seeds
    ]

    def run(**case: Any) -> dict[str, Any]:
        return measured(**case, smoke=options.smoke)

    results = shared.gathered(options, cases, run)
    print(text(results))
    if options.write:
        facts = {"environment": record.environment(), "results": results}
        record.save("simplex", facts, text(results))


if __name__ == "__main__":
    main()
