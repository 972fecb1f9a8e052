"""Divergences from samples: how often their errors cover the truth, their bias, and their floors.

python benchmarks/divergences.py --write

Every estimate is held against the closed form of two normal distributions. Values beside their
floors are those of `compare_samples` at the size that many have, in 10 and in 50 dimensions. The
level and the power of its test are counted on samples of known distributions.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import torch

import record
import shared
import timing
from pushforward import divergences, metrics
from pushforward.distributions import ColoredNormal, Normal
from pushforward.divergences import gaussian
from pushforward.divergences.all_distances import all_distances

N, MANY = 300, 4000
SEEDS = {"kl": 60, "energy_distance": 30, "mmd": 30, "sliced_wasserstein": 30}
FEW_SEEDS = 6
TRIALS = 300
BOUNDS = ("total_variation", "squared_hellinger", "jensen_shannon", "chi_square")

Words = dict[str, Any]


def pair(name: str, d: int) -> tuple[Any, Any]:
    """Two normal distributions: the same, one moved by 0.3, or one moved by 1 and half as wide
    along the first of its axes."""
    mean = torch.zeros(d)
    mean[0] = {"same": 0.0, "near": 0.3, "far": 1.0}[name]
    variances = torch.ones(d)
    variances[-1] = 0.25 if name == "far" else 1.0
    return ColoredNormal(variances.diag(), mean), Normal((d,))


def words_of(estimator: str, d: int) -> Words:
    """What an estimator is given."""
    if estimator == "mmd":
        return {"bandwidths": [float(d) ** 0.5]}
    return {"epsilon": 0.1 * d} if estimator == "sinkhorn_divergence" else {}


def frechet(x: Any, y: Any, seed: int = 0) -> divergences.Divergence:
    """The squared distance of normal distributions with the moments, exact or extrapolated."""
    if isinstance(x, torch.Tensor):
        found = metrics.frechet_infinity(x, y, seed=seed)
        return divergences.Divergence(found.value, found.stderr, "extrapolated", n=found.n)
    d = len(x.mean)
    moments = x.mean, x.covariance, torch.zeros(d), torch.eye(d)
    return divergences.Divergence(gaussian.wasserstein(*moments) ** 2, 0.0, "closed form")


ESTIMATORS: dict[str, Callable[..., divergences.Divergence]] = {
    **{
        name: getattr(divergences, name)
        for name in (
            "kl", "energy_distance", "mmd", "sliced_wasserstein", "max_sliced_wasserstein",
            "wasserstein", "sinkhorn_divergence", *BOUNDS,
        )
    },
    "frechet": frechet,
}  # fmt: skip
NAMES = {
    "kl": "KL, 5 neighbors",
    "energy_distance": "energy distance",
    "mmd": "MMD²",
    "sliced_wasserstein": "sliced W2",
    "max_sliced_wasserstein": "max-sliced W2",
    "wasserstein": "W2",
    "sinkhorn_divergence": "Sinkhorn divergence",
    "total_variation": "total variation, classifier",
    "squared_hellinger": "squared Hellinger, classifier",
    "jensen_shannon": "Jensen-Shannon, classifier",
    "chi_square": "chi-square, classifier",
    "frechet": "Fréchet, extrapolated",
}


def estimates(estimator: str, pair_name: str, d: int, seeds: int, n: int) -> Words | None:
    """Estimates from several draws beside the truth; `None` where they are refused."""
    p, q = pair(pair_name, d)
    words, measure = words_of(estimator, d), ESTIMATORS[estimator]
    if estimator == "frechet" and n < 4 * (d + 1):
        return None
    exact = measure(p, q, **words).value
    found = [
        measure(p.sample(n, seed=2 * seed), q.sample(n, seed=2 * seed + 1), **words)
        for seed in range(seeds)
    ]
    values = [one.value for one in found]
    # A lower bound has to be below the truth, all else on either side of it.
    bound = estimator in BOUNDS
    return {
        "truth": exact,
        "mean": statistics.fmean(values),
        "spread": statistics.stdev(values),
        "stderr": statistics.fmean(one.stderr for one in found),
        "covered": sum(
            one.value - 2 * one.stderr <= exact and (bound or exact <= one.value + 2 * one.stderr)
            for one in found
        ),
        "doubted": sum(not one.converged for one in found),
    }


def test(kind: str, d: int, n: int, trials: int) -> Words:
    """How often `permutation_test` rejects at 5%: equal laws, or the shift that is said to be
    seen four times out of five."""
    shift = 0.0
    if kind == "power":
        names = tuple(str(k) for k in range(d))
        x, y = torch.randn(2, n, d, generator=torch.Generator().manual_seed(0))
        shift = divergences.compare_samples(x, y, columns=names, permutations=99).seen or 0.0
    rejected = 0
    for seed in range(trials):
        generator = torch.Generator().manual_seed(seed + 1)
        x, y = torch.randn(2, n, d, generator=generator, dtype=torch.float64)
        x[:, 0] += shift
        columns = [(column, False) for column in torch.cat([x, y]).unbind(1)]
        found = divergences.permutation_test(x, y, columns, permutations=99, seed=seed)
        rejected += found.p_value <= 0.05
    return {"shift": shift, "rejected": rejected, "trials": trials}


def beside_floors(d: int, n: int, **_: Any) -> list[Words]:
    """Every distance of samples whose means differ by 0.3 in one coordinate, and its floor."""
    p, q = pair("near", d)
    x, y = (z.sample(n, seed=k).double() for k, z in enumerate((p, q)))
    found = all_distances(x, y)
    return [
        {"distance": name.partition(", epsilon")[0], "value": one.value, "stderr": one.stderr,
         "floor": one.floor, "floor_spread": one.floor_spread, "divisions": one.floor_divisions,
         "excess": one.excess, "points": one.n, "converged": one.converged}
        for name, one in found.items() if not isinstance(one, str)
    ]  # fmt: skip


def cases(smoke: bool) -> list[Words]:
    """Everything that is run."""
    found: list[Words] = []
    for kind in ("level", "power"):
        found += [
            {"kind": kind, "d": d, "n": n, "trials": 2 if smoke else TRIALS}
            for d, n in (((2, 24),) if smoke else ((1, 50), (5, 50), (5, 200), (10, 200)))
        ]
    for pair_name in ("near",) if smoke else ("same", "near", "far"):
        # Those that take seconds have few draws, and no pair that is far apart.
        quick = ("kl", "energy_distance") if smoke else (*SEEDS, *BOUNDS)
        for estimator in quick if smoke or pair_name == "far" else ESTIMATORS:
            for d in (2, 10) if estimator == "kl" and not smoke else (2,):
                seeds = 2 if smoke else SEEDS.get(estimator, FEW_SEEDS)
                found.append(
                    {"estimator": estimator, "pair_name": pair_name, "d": d, "seeds": seeds,
                     "n": 30 if smoke else N}
                )  # fmt: skip
    found += [
        {"kind": "floors", "d": d, "n": 30 if smoke else MANY}
        for d in ((2,) if smoke else (10, 50))
    ]
    return found


def run(**case: Any) -> Words | list[Words] | None:
    """One case of any sort."""
    if "estimator" in case:
        return estimates(**case)
    return beside_floors(**case) if case["kind"] == "floors" else test(**case)


def text(results: list[Words]) -> str:
    """A table of estimates, one of floors, and one of the test."""
    rows = [
        [str(r["d"]), NAMES[r["estimator"]], r["pair_name"],
         *(f"{r[key] + 0.0:.4f}" for key in ("truth", "mean", "spread", "stderr")),
         f"{r['covered']} of {r['seeds']}", str(r["doubted"])]
        for r in results if "estimator" in r
    ]  # fmt: skip
    rows.sort(key=lambda row: int(row[0]))
    head = ["d", "estimate", "pair", "truth", "mean", "spread", "stderr", "covered", "doubted"]
    tests = [
        [r["kind"], str(r["d"]), str(r["n"]), f"{r['shift']:.2f}",
         f"{100 * r['rejected'] / r['trials']:.1f}%", str(r["trials"])]
        for r in results if "trials" in r
    ]  # fmt: skip
    counted = record.table(["test", "d", "n", "shift", "rejected", "trials"], tests)
    floors = [
        [str(r["d"]), r["distance"].replace("||", "∥"),
         str(metrics.Estimate(r["value"], r["stderr"], 0)),
         str(metrics.Estimate(r["floor"], r["floor_spread"], 0)), str(r["divisions"]),
         f"{r['excess']:.1f}", f"{r['points']:,}", "yes" if not r["converged"] else "no"]
        for r in results if "distance" in r
    ]  # fmt: skip
    beside = ["d", "distance", "value", "floor", "divisions", "excess", "points", "doubted"]
    return f"{record.table(head, rows)}\n\n{record.table(beside, floors)}\n\n{counted}"


def main() -> None:
    """Measure, print, and with `--write` record."""
    options = shared.arguments(__doc__).parse_args()
    timing.one_thread()
    results = shared.gathered(options, cases(options.smoke), run)
    print(text(results))
    if options.write:
        facts = {"environment": record.environment(), "n": N}
        record.save("divergences", facts | {"results": results}, text(results))


if __name__ == "__main__":
    main()
