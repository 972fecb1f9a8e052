"""Densities on manifolds: rotations, tori, torsion angles, places on the Earth, grasps.

**rotations**: mixtures of M wrapped normal rotations as in De Bortoli et al. 2022, means uniform,
precision of the Lie algebra's coordinates in the Frobenius metric from Gamma(100, 1), densities per
unit of the volume `8 pi^2` of rotation angles. **torus**: one wrapped normal of scale .2 on T^n, in
bits per angle. **earth**: four sets of places (`--earth`, a folder with `volerup.csv`,
`quakes_all.csv`, `flood.csv`, `fire.csv`, latitude and longitude in degrees), as they are and
without repetitions, split 80/10/10. **torsion**: `--torsion`, a folder with `rama_ref_data.npy` of
the package MDAnalysis, counts of the torsion angles of 500 proteins, and the `pref_*.data` of the
package pyrama, which grade the angles of four classes of residues. Each is taken as the chances of
bins, 4 and 2 degrees wide; angles are drawn uniformly within bins, so that the entropy is known.
**grasps**: poses of a hand from a mixture about the pose of an object (`analytic.AnalyticGrasps`),
learned `told` the pose of the object, or `seen` from it, and how many of 2,000 drawn for new
objects succeed, beside those of the truth.

`flow` is `FlowMatching` on `Geodesic`, `diffusion` is `Diffusion` on `Brownian`, both with the
default network, in double precision, with exact divergences, or from 50 angles on estimated by
eight probes; `kernel` is `HeatKernelDensity`.

    python benchmarks/manifolds.py --tables rotations torus --write
    python benchmarks/manifolds.py --tables earth --earth data/earth --part earth.jsonl
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import pushforward as pf
import record
import shared
import trainings
from pushforward import state
from pushforward.analytic import AnalyticGrasps
from pushforward.distributions import WrappedNormal
from pushforward.models import HeatKernelDensity
from pushforward.processes import Brownian, path_on
from pushforward.schedules import VE
from pushforward.spaces import SO3, Euclidean, Product, Sphere, Torus, poses
from pushforward.spaces.rotations import hat

STEPS, SEEDS = 8_000, (0,)
TRAINING: dict[str, Any] = {
    "batch_size": 512,
    "lr": 3e-3,
    "ema": 0.998,
    "validate_every": 500,
    "progress": False,
    "device": "cpu",
}
MANY = 50
"""Angles from which an exact divergence would cost too much."""
METHODS = ("flow", "diffusion", "kernel")
CASES = {
    "rotations": ("M = 16", "M = 32", "M = 64"),
    "torus": ("n = 1", "n = 2", "n = 5", "n = 10", "n = 50", "n = 100"),
    "earth": tuple(
        f"{name}{kind}"
        for name in ("volcano", "earthquake", "flood", "fire")
        for kind in ("", ", distinct")
    ),
    "grasps": ("told", "seen"),
    "torsion": ("all residues", "general", "glycine", "proline", "pre-proline"),
}
FILES = {"volcano": "volerup", "earthquake": "quakes_all", "flood": "flood", "fire": "fire"}
# Published, as averages over five seeds of splits of their own; NLL for earth.
PUBLISHED = {
    "M = 16": "RSGM .89",
    "M = 32": "RSGM .20",
    "M = 64": "RSGM -.49",
    "volcano": "RSGM -4.92, RDM -6.61, RFM -7.93",
    "earthquake": "RSGM -.19, RDM -.40, RFM -.28",
    "flood": "RSGM .45, RDM .43, RFM .42",
    "fire": "RSGM -1.33, RDM -1.38, RFM -1.86",
}


def rotations(case: str, seed: int) -> dict[str, Any]:
    """A mixture of wrapped normal rotations, its draws, and its exact log-density at those held."""
    count, space = int(case.split("=")[1]), SO3()
    generator = torch.Generator().manual_seed(1000 + seed)
    means = space.uniform(count, (3, 3), generator).double()
    # Gamma(100, 1) as half a chi-square of 200 degrees; angles are 1 / sqrt(2) of Frobenius.
    chi = torch.randn(count, 200, generator=generator, dtype=torch.float64).square().sum(1)
    std = (0.5 * chi).rsqrt() / 2**0.5
    parts = [WrappedNormal(m, float(s), space) for m, s in zip(means, std, strict=True)]

    def draw(n: int) -> Tensor:
        which = torch.randint(count, (n,), generator=generator)
        turn = std[which, None] * torch.randn(n, 3, generator=generator, dtype=torch.float64)
        return space.exp(means[which], means[which] @ hat(turn))

    def exact(x: Tensor) -> Tensor:
        logs = torch.stack([part.log_prob(x) for part in parts])
        return torch.logsumexp(logs, 0) - math.log(count)

    test = draw(2_000)
    return {
        "space": space, "train": draw(50_000), "validation": draw(2_000), "test": test,
        "exact": exact(test).mean(), "unit": 1.0,
    }  # fmt: skip


def torus(case: str, seed: int) -> dict[str, Any]:
    """A wrapped normal distribution of scale .2 on each of n angles."""
    size, space = int(case.split("=")[1]), Torus()
    generator = torch.Generator().manual_seed(2000 + seed)
    mean = space.uniform(1, (size,), generator).double()

    def draw(n: int) -> Tensor:
        noise = torch.randn(n, size, generator=generator, dtype=torch.float64)
        return space.exp(mean.expand(n, size), 0.2 * noise)

    test = draw(500)
    known = WrappedNormal(mean[0], 0.2)
    return {
        "space": space, "train": draw(20_000), "validation": draw(1_000), "test": test,
        "exact": known.log_prob(test).mean(), "unit": 1 / (size * math.log(2)),
    }  # fmt: skip


def earth(case: str, seed: int, folder: Path) -> dict[str, Any]:
    """Places as unit vectors, in random order."""
    name, _, kind = case.partition(", ")
    lines = (folder / f"{FILES[name]}.csv").read_text(encoding="utf-8").splitlines()
    places = [line.split(",")[:2] for line in lines if line[:1] in "-0123456789"]
    if kind:
        places = [list(own) for own in dict.fromkeys(map(tuple, places))]
    degrees = torch.tensor([[float(a), float(b)] for a, b in places], dtype=torch.float64)
    lat, lon = torch.deg2rad(degrees).unbind(1)
    x = torch.stack([lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()], 1)
    x = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))]
    a, b = int(0.8 * len(x)), int(0.9 * len(x))
    return {
        "space": Sphere(), "train": x[:a], "validation": x[a:b], "test": x[b:], "exact": None,
        "unit": -1.0, "copied": float(_copied(x[b:], x[:a])),
    }  # fmt: skip


def _copied(test: Tensor, train: Tensor) -> Tensor:
    """The share of rows that stand in the training data, to the last digit."""
    known = set(map(tuple, train.tolist()))
    return torch.tensor([tuple(row) in known for row in test.tolist()]).double().mean()


def copies(folder: Path) -> list[dict[str, Any]]:
    """How many rows of a set of places are distinct, and stand in training as well as in the test
    part: means over five splits."""
    found = []
    for name in FILES:
        splits = [earth(name, seed, folder) for seed in range(5)]
        x = torch.cat([splits[0][part] for part in ("train", "validation", "test")])
        distinct = len(set(map(tuple, x.tolist())))
        share = statistics.fmean(split["copied"] for split in splits)
        found.append({"set": name, "rows": len(x), "distinct": distinct, "copied": share})
    return found


def torsion(case: str, seed: int, folder: Path) -> dict[str, Any]:
    """Angles drawn from the bins of a histogram, uniformly within each: the density is a table."""
    counts = _counts(case, folder)
    chances, side = counts.flatten() / counts.sum(), len(counts)
    generator = torch.Generator().manual_seed(3000 + seed)
    width = 2 * math.pi / side

    def draw(n: int) -> tuple[Tensor, Tensor]:
        which = torch.multinomial(chances, n, replacement=True, generator=generator)
        inside = torch.rand(n, 2, generator=generator, dtype=torch.float64)
        corner = torch.stack([which // side, which % side], 1)
        return -math.pi + width * (corner + inside), which

    (train, _), (validation, _), (test, which) = draw(80_000), draw(4_000), draw(4_000)
    exact = (chances[which].log() - 2 * math.log(width)).mean()
    return {
        "space": Torus(), "train": train, "validation": validation, "test": test, "exact": exact,
        "unit": -1.0,
    }  # fmt: skip


def _counts(case: str, folder: Path) -> Tensor:
    """The weights of square bins from -180 degrees."""
    if case == "all residues":
        return torch.from_numpy(np.load(folder / "rama_ref_data.npy").astype(np.float64))
    # The middles of bins in degrees, and a weight, in any order.
    rows = np.loadtxt(folder / f"pref_{case.replace('-', '')}.data")
    side = math.isqrt(len(rows))
    places = np.floor((rows[:, :2] + 180) * side / 360).astype(int)
    found = np.zeros((side, side))
    found[places[:, 0], places[:, 1]] = rows[:, 2]
    return torch.from_numpy(found)


def grasps(case: str, seed: int) -> dict[str, Any]:
    """Grasps of objects as states and contexts, or in the frames of the objects."""
    world = AnalyticGrasps.of_mug()
    objects = state.to(world.objects(56_000, seed=4000 + seed), "cpu", torch.float64)
    drawn = world.sample(objects, seed=5000 + seed)
    seen = poses.relative(drawn, objects)
    c = None if case == "seen" else state.flatten(objects)
    parts = [
        (state.take(seen if case == "seen" else drawn, rows), None if c is None else c[rows])
        for rows in (slice(50_000), slice(50_000, 52_000), slice(52_000, 54_000))
    ]
    test, new = slice(52_000, 54_000), state.take(objects, slice(54_000, 56_000))
    exact = world.log_prob(state.take(drawn, test), state.take(objects, test)).mean()

    def success(model: Any) -> tuple[float, float]:
        told = None if case == "seen" else state.flatten(new).float()
        x = state.to(model.sample(2_000, told, seed=seed), "cpu", torch.float64)
        held = world.sample(new, seed=6000 + seed)
        limits = math.radians(25), 0.25
        x = poses.compose(new, x) if case == "seen" else x
        return tuple(  # type: ignore[return-value]
            float(world.success(own, new, *limits).double().mean()) for own in (x, held)
        )

    (train, told), (validation, told_too), (held, c_held) = parts
    return {
        "space": Product(SO3(), Euclidean(3)), "train": train, "validation": validation,
        "test": held, "exact": exact, "unit": -1.0, "success": success,
        "c": None if told is None else torch.cat([told, told_too]).float(), "c_test": c_held,
    }  # fmt: skip


def made(table: str, case: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """The data of a case."""
    if table == "rotations":
        return rotations(case, seed)
    if table == "torus":
        return torus(case, seed)
    if table == "grasps":
        return grasps(case, seed)
    return (
        earth(case, seed, options.earth)
        if table == "earth"
        else torsion(case, seed, options.torsion)
    )


def measured(
    table: str, case: str, method: str, seed: int, options: argparse.Namespace
) -> dict[str, Any]:
    """The log-density of held data under a model, and what the truth has."""
    found = made(table, case, seed, options)
    space: Any = found["space"]
    train, validation, test = (found[k] for k in ("train", "validation", "test"))
    c, c_test = found.get("c"), found.get("c_test")
    if options.smoke:
        train, validation, test = (
            state.take(x, slice(n)) for x, n in ((train, 200), (validation, 50), (test, 10))
        )
        c, c_test = c if c is None else c[:250], c if c is None else c_test[:10]
    begin, success = time.process_time(), None
    if method == "kernel":
        x = torch.cat([train, validation])
        model = HeatKernelDensity(space, narrowest=1e-5)
        run = trainings.fit(model, x, holdout=0.0, progress=False)
        values, solver, evaluations = run.model.log_prob(test).value, 0.0, 0
    else:
        # A part of it says which weights are the best.
        x = state.to(state.concatenate([train, validation]), "cpu", torch.float32)
        held = state.rows(validation) / state.rows(x)
        data = dataclasses.replace(pf.data.load(x, space=space), c=c)
        net = (
            pf.FlowMatching.for_data(data, path=path_on(space), label_dropout=0.0)
            if method == "flow"
            else pf.Diffusion.for_data(data, process=Brownian(space, VE(0.02, 4.0)))
        )
        steps = 3 if options.smoke else STEPS
        run = trainings.fit(net, data, steps=steps, holdout=held, seed=seed, **TRAINING)
        success = found["success"](run.model) if "success" in found else None
        many = table == "torus" and test.shape[1] >= MANY
        divergence: Any = "hutchinson" if many else "exact"
        exact = run.model.double().log_prob(
            test, c_test, divergence=divergence, seed=seed,
            tolerance=1e-2 if options.smoke else 1e-5,
        )  # fmt: skip
        values, solver, evaluations = exact.value, float(exact.error.max()), exact.nfe
    return {
        "value": found["unit"] * float(values.mean()),
        "stderr": abs(found["unit"]) * float(values.std()) / len(values) ** 0.5,
        "exact": None if found["exact"] is None else found["unit"] * float(found["exact"]),
        "copied": found.get("copied"),
        "success": success,
        # Rows without them are of times spread evenly.
        "times": None if method != "flow" else repr(run.model.times),
        "solver": solver,
        "evaluations": evaluations,
        "seconds": time.process_time() - begin,
    }


def text(results: list[dict[str, Any]], copied_rows: list[dict[str, Any]]) -> str:
    """The tables of the documentation."""
    titles = {
        "rotations": "Mixtures of rotations: log-likelihood in nats, larger is better",
        "torus": "Tori: log-likelihood in bits per angle, larger is better",
        "earth": "Earth: negative log-likelihood in nats per unit of area, smaller is better",
        "grasps": "Grasps given an object: negative log-likelihood in nats, smaller is better",
        "torsion": "Torsion angles: negative log-likelihood in nats, smaller is better",
    }
    found = []
    for table, title in titles.items():
        rows = []
        for case in CASES[table]:
            own = [r for r in results if r["table"] == table and r["case"] == case]
            if not own:
                continue
            cells = [_cell([r for r in own if r["method"] == m]) for m in METHODS]
            truths = {r["exact"] for r in own if r["exact"] is not None}
            truth = f"{statistics.fmean(truths):.3f}" if truths else "–"
            copied = [r["copied"] for r in own if r["copied"] is not None]
            share = f"{statistics.fmean(copied):.0%}" if copied else "–"
            rows.append([case, truth, *cells, share, PUBLISHED.get(case, "–")])
        if rows:
            if table == "rotations":
                for row in rows:
                    row.append(_evaluations(row[0], results))
            head = ["", "truth", *METHODS, "test rows in training", "published"]
            head += ["evaluations: flow, diffusion"] if table == "rotations" else []
            found.append(f"{title}:\n\n{record.table(head, rows)}")
    if copied_rows:
        rows = [
            [r["set"], f"{r['rows']:,}", f"{r['distinct']:,}", f"{r['copied']:.1%}"]
            for r in copied_rows
        ]
        head = ["places", "rows", "distinct", "test rows that stand in training too"]
        found.append(record.table(head, rows))
    drawn = [r for r in results if r.get("success")]
    if drawn:
        rows = [[r["case"], *(f"{share:.1%}" for share in r["success"])] for r in drawn]
        head = ["grasps", "draws that succeed", "of the truth"]
        found.append(record.table(head, rows))
    return "\n\n".join(found)


def _evaluations(case: str, results: list[dict[str, Any]]) -> str:
    """Of the network, for a density to the tolerance."""
    own = {r["method"]: r["evaluations"] for r in results if r["case"] == case}
    return ", ".join(f"{own[m]:,}" if m in own else "–" for m in ("flow", "diffusion"))


def _cell(own: list[dict[str, Any]]) -> str:
    if not own:
        return "–"
    values = [r["value"] for r in own]
    error = statistics.fmean(r["stderr"] for r in own)
    if len(values) > 1:
        error = statistics.stdev(values) / len(values) ** 0.5
    # Of an earlier default, where that was another.
    fine = own[0]["table"] in ("earth", "rotations") and own[0]["method"] == "flow"
    even = fine and not all(r.get("times") for r in own)
    seeds = f" ({len(own)} seeds)" if len(own) > 1 else ""
    return f"{statistics.fmean(values):.3f} ± {error:.3f}{seeds}{' °' if even else ''}"


def main() -> None:
    """Measure, print, and with `--write` record."""
    parser = shared.arguments(
        __doc__,
        tables=(CASES, "tables"),
        methods=(METHODS, "methods"),
        cases=([case for own in CASES.values() for case in own], "cases"),
        seeds=(SEEDS, "seeds"),
    )
    parser.add_argument("--earth", type=Path, help="the folder with the places")
    parser.add_argument("--torsion", type=Path, help="the folder with the tables of torsion angles")
    options = parser.parse_args()
    torch.set_num_threads(1)
    here = {"earth": options.earth, "torsion": options.torsion}
    cases = [
        {"table": table, "case": case, "method": method, "seed": seed}
        for table in options.tables
        if here.get(table, True) is not None
        for case in (CASES[table][:1] if options.smoke else CASES[table])
        if case in options.cases
        for method in options.methods
        # A kernel of all angles has no width that is right in many dimensions.
        if method != "kernel" or (table != "torus" or case in CASES["torus"][:2])
        # There is no kernel, and no Brownian motion, for what is not bounded.
        if method == "flow" or table != "grasps"
        for seed in options.seeds
    ]

    def run(**case: Any) -> dict[str, Any]:
        return measured(**case, options=options)

    # Of files that are merged, the later ones count.
    last = {
        (r["table"], r["case"], r["method"], r["seed"]): r
        for r in shared.gathered(options, cases, run)
    }
    results = list(last.values())
    copied_rows = copies(options.earth) if options.earth else []
    print(text(results, copied_rows))
    if options.write:
        facts = {"environment": record.environment(), "results": results, "copies": copied_rows}
        record.save("manifolds", facts, text(results, copied_rows))


if __name__ == "__main__":
    main()
