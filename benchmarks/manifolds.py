"""Densities on manifolds: rotations, tori, torsion angles and places on the Earth.

**rotations**: mixtures of M wrapped normal rotations as in De Bortoli et al. 2022, means uniform,
precision of the Lie algebra's coordinates in the Frobenius metric from Gamma(100, 1), densities per
unit of the volume `8 pi^2` of rotation angles. **torus**: one wrapped normal of scale .2 on T^n, in
bits per angle. **earth**: four sets of places (`--earth`, a folder with `volerup.csv`,
`quakes_all.csv`, `flood.csv`, `fire.csv`, latitude and longitude in degrees), as they are and
without repetitions, split 80/10/10. **torsion**: `--torsion`, a folder with `rama_ref_data.npy` of
the package MDAnalysis, counts of the torsion angles of 500 proteins, and the `pref_*.data` of the
package pyrama, which grade the angles of four classes of residues. Each is taken as the chances of
bins, 4 and 2 degrees wide; angles are drawn uniformly within bins, so that the entropy is known.

`flow` is `FlowMatching` on `Geodesic`, `diffusion` is `Diffusion` on `Brownian`, both with the
default network and exact divergences in double precision; `kernel` is `HeatKernelDensity`.

    python benchmarks/manifolds.py --tables rotations torus --write
    python benchmarks/manifolds.py --tables earth --earth data/earth --part earth.jsonl
"""

from __future__ import annotations

import argparse
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
from pushforward.distributions import WrappedNormal
from pushforward.models import HeatKernelDensity
from pushforward.processes import Brownian, Geodesic
from pushforward.schedules import VE
from pushforward.spaces import SO3, Manifold, Sphere, Torus
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
METHODS = ("flow", "diffusion", "kernel")
CASES = {
    "rotations": ("M = 16", "M = 32", "M = 64"),
    "torus": ("n = 1", "n = 2", "n = 5", "n = 10", "n = 50", "n = 100"),
    "earth": tuple(
        f"{name}{kind}"
        for name in ("volcano", "earthquake", "flood", "fire")
        for kind in ("", ", distinct")
    ),
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


def made(table: str, case: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """The data of a case."""
    if table == "rotations":
        return rotations(case, seed)
    if table == "torus":
        return torus(case, seed)
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
    space: Manifold = found["space"]
    train, validation, test = (found[k] for k in ("train", "validation", "test"))
    if options.smoke:
        train, validation, test = train[:200], validation[:50], test[:10]
    begin = time.process_time()
    if method == "kernel":
        x = torch.cat([train, validation])
        model = HeatKernelDensity(space, narrowest=1e-5)
        run = pf.fit(model, x, holdout=0.0, progress=False)
        values, solver, evaluations = run.model.log_prob(test).value, 0.0, 0
    else:
        # A part of it says which weights are the best.
        x = torch.cat([train, validation]).float()
        held = len(validation) / len(x)
        data = pf.data.load(x, space=space)
        net = (
            pf.FlowMatching.for_data(data, path=Geodesic(space))
            if method == "flow"
            else pf.Diffusion.for_data(data, process=Brownian(space, VE(0.02, 4.0)))
        )
        steps = 3 if options.smoke else STEPS
        run = pf.fit(net, data, steps=steps, holdout=held, seed=seed, **TRAINING)
        exact = run.model.double().log_prob(test, tolerance=1e-2 if options.smoke else 1e-5)
        values, solver, evaluations = exact.value, float(exact.error.max()), exact.nfe
    return {
        "value": found["unit"] * float(values.mean()),
        "stderr": abs(found["unit"]) * float(values.std()) / len(values) ** 0.5,
        "exact": None if found["exact"] is None else found["unit"] * float(found["exact"]),
        "copied": found.get("copied"),
        "solver": solver,
        "evaluations": evaluations,
        "seconds": time.process_time() - begin,
    }


def text(results: list[dict[str, Any]]) -> str:
    """The tables of the documentation."""
    titles = {
        "rotations": "Mixtures of rotations: log-likelihood in nats, larger is better",
        "torus": "Tori: log-likelihood in bits per angle, larger is better",
        "earth": "Earth: negative log-likelihood in nats per unit of area, smaller is better",
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
            head = ["", "truth", *METHODS, "test rows in training", "published"]
            found.append(f"{title}:\n\n{record.table(head, rows)}")
    return "\n\n".join(found)


def _cell(own: list[dict[str, Any]]) -> str:
    if not own:
        return "–"
    values = [r["value"] for r in own]
    error = statistics.fmean(r["stderr"] for r in own)
    if len(values) > 1:
        error = statistics.stdev(values) / len(values) ** 0.5
    return f"{statistics.fmean(values):.3f} ± {error:.3f}"


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
        if method != "kernel" or table != "torus" or case in CASES["torus"][:2]
        for seed in options.seeds
    ]

    def run(**case: Any) -> dict[str, Any]:
        return measured(**case, options=options)

    results = shared.gathered(options, cases, run)
    print(text(results))
    if options.write:
        facts = {"environment": record.environment(), "results": results}
        record.save("manifolds", facts, text(results))


if __name__ == "__main__":
    main()
