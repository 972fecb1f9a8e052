"""Intrinsic dimension of known manifolds up to eight dimensions, and whether its error bar covers.

4,000 points on spheres, tori, a Swiss roll and linear subspaces, turned at random into 20
dimensions, some with noise. From the points alone: two nearest neighbors (TwoNN), and ten (Levina &
Bickel with the correction of MacKay & Ghahramani). From the exact denoiser, at noise of .05: the
number of eigenvalues of its derivative above one half.

The second table holds the standard errors against the spread over 400 sets of 300 points spread
evenly on circles, where there is no bias: ours, which counts that neighbors share their distances,
and the exact one of independent ratios, `d / sqrt(n (k - 1) - 2)`.

    python benchmarks/intrinsic_dimension.py --write      # two minutes
"""

from __future__ import annotations

import math
import statistics
from typing import Any

import torch

import record
import shared
from pushforward.errors import CapabilityError
from pushforward.metrics import intrinsic_dimension
from pushforward.support import (
    Circles,
    Embedded,
    Hypersphere,
    KnownSupport,
    LinearSubspace,
    RingTorus,
    SwissRoll,
    dimension_from_denoiser,
)

POINTS, AMBIENT, SEEDS, SIGMA = 4000, 20, (1, 2, 3, 4, 5), 0.05
SETS, FEW = 400, 300


def _inside(support: KnownSupport) -> KnownSupport:
    return Embedded(support, AMBIENT)


SUPPORTS: dict[str, tuple[KnownSupport, float]] = {
    **{f"sphere, {d}": (_inside(Hypersphere(d)), 0.0) for d in (1, 2, 4, 6, 8)},
    **{f"product of circles, {d}": (_inside(Circles(d)), 0.0) for d in (2, 4, 8)},
    "torus in R^3, 2": (_inside(RingTorus()), 0.0),
    "Swiss roll, 2": (_inside(SwissRoll()), 0.0),
    **{f"linear subspace, {d}": (LinearSubspace(d, AMBIENT), 0.0) for d in (1, 2, 4, 6, 8)},
    "sphere with noise of .002, 2": (_inside(Hypersphere(2)), 0.002),
    "sphere with noise of .02, 2": (_inside(Hypersphere(2)), 0.02),
    "Swiss roll with noise of .02, 2": (_inside(SwissRoll()), 0.02),
}
COVERED = {"circle, 1": Circles(1), "product of circles, 2": Circles(2)}
NEIGHBORS = {"two": 2, "ten": 10}


def measured(table: str, support: str, seed: int, points: int = POINTS) -> dict[str, Any]:
    """The estimates of one set of points."""
    known, noise = SUPPORTS[support] if table == "known" else (COVERED[support], 0.0)
    x = known.sample(points, noise=noise, seed=seed)
    found: dict[str, Any] = {"dim": known.dim}
    for name, k in NEIGHBORS.items():
        estimate = intrinsic_dimension(x, neighbors=k)
        found |= {name: estimate.value, f"{name}_stderr": estimate.stderr}
    if table == "known" and not noise:
        try:
            mean = dimension_from_denoiser(known.posterior_mean, x[:20], SIGMA).estimate
            found["denoiser"] = mean.value
        except CapabilityError:
            pass
    return found


def _known(results: list[dict[str, Any]]) -> str:
    rows = []
    for support in SUPPORTS:
        own = [r for r in results if r["table"] == "known" and r["support"] == support]
        if not own:
            continue
        cells = []
        for name in NEIGHBORS:
            values = [r[name] for r in own]
            bias = statistics.fmean(values) - own[0]["dim"]
            error = statistics.fmean(r[f"{name}_stderr"] for r in own)
            mark = "**" if abs(bias) > 0.2 else ""
            cells += [f"{statistics.fmean(values):.2f} ± {error:.2f}", f"{mark}{bias:+.2f}{mark}"]
        exact = [r["denoiser"] for r in own if "denoiser" in r]
        cells.append(f"{statistics.fmean(exact):g}" if exact else "–")
        rows.append([support, *cells])
    head = ["manifold, dimension", "two neighbors", "bias", "ten neighbors", "bias", "denoiser"]
    return record.table(head, rows)


def _covering(results: list[dict[str, Any]]) -> str:
    rows = []
    for support, known in COVERED.items():
        own = [r for r in results if r["table"] == "covered" and r["support"] == support]
        for name, k in NEIGHBORS.items():
            if len(own) < 2:
                continue
            values = torch.tensor([r[name] for r in own])
            ours = torch.tensor([r[f"{name}_stderr"] for r in own])
            alone = values / math.sqrt(FEW * (k - 1) - 2)
            off = (values - known.dim).abs()
            covered = [f"{float((off < 2 * e).double().mean()):.1%}" for e in (ours, alone)]
            said = [f"{float(e.mean() / values.std()):.2f}" for e in (ours, alone)]
            rows.append([support, str(k), said[0], covered[0], said[1], covered[1]])
    head = [
        "manifold, dimension", "neighbors", "our error / spread", "covers",
        "independent / spread", "covers",
    ]  # fmt: skip
    return record.table(head, rows)


def text(results: list[dict[str, Any]]) -> str:
    """Both tables."""
    return f"{_known(results)}\n\n{_covering(results)}"


def main() -> None:
    """Measure, print, and with `--write` record."""
    options = shared.arguments(__doc__, supports=(SUPPORTS, "manifolds")).parse_args()
    seeds, sets, points = (SEEDS, SETS, POINTS) if not options.smoke else ((1,), 2, 200)

    def run(table: str, support: str, seed: int) -> dict[str, Any]:
        return measured(table, support, seed, FEW if table == "covered" else points)

    cases = [
        {"table": "known", "support": support, "seed": seed}
        for support in options.supports
        for seed in seeds
    ]
    cases += [
        {"table": "covered", "support": support, "seed": seed}
        for support in COVERED
        for seed in range(1000, 1000 + sets)
    ]
    results = shared.gathered(options, cases, run)
    print(text(results))
    if options.write:
        known = [r for r in results if r["table"] == "known"]
        covered = {
            support: [
                {k: r[k] for k in ("two", "two_stderr", "ten", "ten_stderr")}
                for r in results
                if r["table"] == "covered" and r["support"] == support
            ]
            for support in COVERED
        }
        facts = {"environment": record.environment(), "results": known, "covered": covered}
        record.save("intrinsic_dimension", facts, text(results))


if __name__ == "__main__":
    main()
