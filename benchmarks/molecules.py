"""Molecules: what those of QM9 reach in each judge, laws of sizes, and small models beside.

python benchmarks/molecules.py --part real.json                         # what real ones reach
python benchmarks/molecules.py --run runs/qm9-small --part small.json    # trains first, or not
python benchmarks/molecules.py --told runs/qm9-told --part told.json     # sizes inferred
python benchmarks/molecules.py --merge real.json small.json told.json --write  # into the page
python benchmarks/molecules.py --smoke                                   # a few molecules

Needs the extras `molecules` and `qm9`. The first model has molecules of up to seven atoms that are
not hydrogen, 3,009 of the training part; the 379 of the test part are beside it. The second is told
how many atoms of carbon, nitrogen, oxygen and fluorine there are, and infers the rest.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import pushforward as pf
import trainings
from pushforward.errors import MissingExtraError
from pushforward.metrics import Estimate
from pushforward.metrics.molecular_stability import geometry_rows, stability_rows
from pushforward.metrics.molecular_validity import strain_rows, validity_rows
from pushforward.molecules import (
    QM9_ELEMENTS,
    Atoms,
    Molecule,
    dimension_error,
    law_of_sizes,
    packed,
    read_qm9,
    sampling_floor,
    stable_atoms,
)
from pushforward.processes import JumpDiffusion, molecule_process
from pushforward.spaces import PointCloud
from pushforward.training.trackers import read_history
from record import environment, parts, save, table

HEAVY, STEPS, TOLD_STEPS = 7, 8_000, 2_000
SLOTS = 29
TOLD = ("C", "N", "O", "F")
FEWEST, DRAWS = 100, 100
"""Test molecules of a composition, at least, and samples of each."""
NAMED = {"C4NO2F": (4, 1, 2, 1), "C6OF": (6, 0, 1, 1), "C5N3O": (5, 3, 1, 0)}


def of_heavy(atoms: Atoms, most: int) -> Atoms:
    """The molecules of so many atoms at the most beside hydrogen, in as many slots as they need."""
    few = ((atoms.types > 0) & atoms.mask).sum(1) <= most
    slots = int(atoms.number[few].max())
    return Atoms(*(part[few][:, :slots] for part in atoms))


def composition(atoms: Atoms) -> torch.Tensor:
    """How many atoms of each of `TOLD` molecules have, `(N, 4)`."""
    return torch.stack([((atoms.types == k) & atoms.mask).sum(1) for k in (1, 2, 3, 4)], 1)


def compositions(atoms: Atoms) -> dict[tuple[int, ...], list[int]]:
    """The numbers of atoms of all molecules of each composition of `TOLD`."""
    told = composition(atoms)
    sizes: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for key, n in zip(map(tuple, told.tolist()), atoms.number.tolist(), strict=True):
        sizes[key].append(n)
    return sizes


def ceiling(test: Atoms, train: Atoms, relaxations: int) -> list[dict[str, Any]]:
    """The judges on test molecules, as if these were samples; training molecules are the floor."""
    other, known = (Atoms(*(part[rows] for part in train)) for rows in _halves(train))
    rows = [*stability_rows(test, other, QM9_ELEMENTS)]
    # A run without the extras shows what needs none.
    with contextlib.suppress(MissingExtraError):
        rows += validity_rows(test, other, known, QM9_ELEMENTS)
        rows += strain_rows(test, other, QM9_ELEMENTS, most=relaxations)
    return [{"part": "ceiling", "name": r.name, "value": r.value, "stderr": r.stderr,
             "unit": r.unit} for r in rows]  # fmt: skip


def _halves(train: Atoms) -> tuple[slice, slice]:
    half = len(train.mask) // 2
    return slice(0, half), slice(half, None)


def dimension_errors(train: Atoms) -> list[dict[str, Any]]:
    """How far the law of all sizes is from that of molecules of one heavy-atom composition."""
    whole, sizes = law_of_sizes(train.number, SLOTS), compositions(train)
    errors = {
        key: dimension_error(whole, law_of_sizes(torch.tensor(found), SLOTS))
        for key, found in sizes.items()
    }
    rows = [
        {"part": "dimension", "name": name, "value": errors[key], "n": len(sizes[key])}
        for name, key in NAMED.items()
        if key in errors
    ]
    counts = torch.tensor([len(sizes[key]) for key in errors], dtype=torch.float64)
    values = torch.tensor(list(errors.values()), dtype=torch.float64)
    mean = float((counts * values).sum() / counts.sum())
    spread = float(((counts * (values - mean) ** 2).sum() / counts.sum()).sqrt())
    named = {"part": "dimension", "name": "all compositions, as frequent as in the data"}
    return [*rows, {**named, "value": mean, "spread": spread, "n": len(errors)}]


def trained(run: Path, steps: int) -> Any:
    """The model of a run folder, which is trained if it is not there."""
    if not (run / "config.yaml").exists():
        data = pf.data.load("qm9")
        space, known = PointCloud(center=3), data.schema.molecules
        x = space.from_arrays(known.arrays(of_heavy(data.x, HEAVY), space.arrays))
        name = f"qm9 up to {HEAVY} heavy atoms"
        data = replace(data, x=x, name=name, origin=None, states=None)
        model = pf.Diffusion.for_data(data, process=molecule_process(x), times="log-normal")
        trainings.fit(model, data, out=run, steps=steps, batch_size=16, lr=5e-3, holdout=0.05,
               standardize=False, checkpoint_every=500, progress=False)  # fmt: skip
    return pf.load(run)


def judged(
    model: Any, run: Path, n: int, train: Atoms, test: Atoms, relaxations: int, seed: int
) -> list[dict[str, Any]]:
    """Samples beside molecules of the test part that are as large."""
    known = pf.data.load("qm9-test", n=2).schema.molecules
    start = time.process_time()
    samples = known.atoms(model.sample(n, steps=100, seed=seed))
    seconds = time.process_time() - start
    beside = of_heavy(test, HEAVY), of_heavy(train, HEAVY)
    rows = [
        *stability_rows(samples, beside[0], QM9_ELEMENTS),
        *validity_rows(samples, *beside, QM9_ELEMENTS),
        *geometry_rows(samples, *beside, QM9_ELEMENTS),
        *strain_rows(samples, beside[0], QM9_ELEMENTS, most=relaxations),
    ]
    history = read_history(run / "metrics.jsonl")
    sizes = [law_of_sizes(atoms.number, SLOTS) for atoms in (samples, beside[0])]
    found = [{"part": "model", "seed": seed, "name": r.name, "value": r.value, "stderr": r.stderr,
              "floor": r.floor, "floor_stderr": r.floor_stderr, "unit": r.unit}
             for r in rows]  # fmt: skip
    law = {"part": "model", "seed": seed, "name": "dimension error of the sizes", "unit": ""}
    about = {"part": "about", "seed": seed, "steps": model.holds.step, "samples": n,
             "seconds": history[-1]["seconds"], "sampling_seconds": seconds}  # fmt: skip
    return [about, *found, {**law, "value": dimension_error(*sizes), "stderr": 0.0, "floor": None,
                     "floor_stderr": None}]  # fmt: skip


def told(run: Path, steps: int, test: Atoms, seed: int) -> list[dict[str, Any]]:
    """How far the sizes that a jump diffusion infers from a composition are from those of test
    molecules, in each composition that many of these have."""
    if not (run / "config.yaml").exists():
        data = pf.data.load("qm9", given=TOLD)
        space = PointCloud(center=3, kinds=(len(QM9_ELEMENTS),))
        data = pf.data.load(data, space=space)
        model = pf.Diffusion.for_data(data, process=JumpDiffusion(space=space))
        trainings.fit(model, data, out=run, steps=steps, batch_size=32, lr=2e-3, holdout=0.01,
               standardize=False, validate_every=500, progress=False)  # fmt: skip
    model, found = pf.load(run), []
    whole = law_of_sizes(read_qm9("train").atoms.number, SLOTS)
    common = {key: own for key, own in compositions(test).items() if len(own) >= FEWEST}
    keys = [key for key in common for _ in range(DRAWS)]
    x = model.sample(len(keys), torch.tensor(keys).float(), steps=60, seed=seed)
    known = pf.data.load("qm9-test", n=2).schema.molecules
    atoms = known.atoms(x)
    stable = stable_atoms(atoms, QM9_ELEMENTS).sum(1)
    right = float((composition(atoms) == torch.tensor(keys)).all(1).double().mean())
    for k, (key, sizes) in enumerate(common.items()):
        exact = law_of_sizes(torch.tensor(sizes), SLOTS)
        own = law_of_sizes(x.number[k * DRAWS : (k + 1) * DRAWS], SLOTS)
        name = "".join(f"{e}{n if n > 1 else ''}" for e, n in zip(TOLD, key, strict=True) if n)
        found.append({
            "part": "told", "seed": seed, "name": name, "n": len(sizes),
            "value": dimension_error(own, exact), "whole": dimension_error(whole, exact),
            "floor": sampling_floor(int((exact > 0).sum()), DRAWS)
            + sampling_floor(int((exact > 0).sum()), len(sizes)),
        })  # fmt: skip
    share = float(stable.sum() / atoms.number.sum())
    return [*found, {"part": "told-about", "seed": seed, "steps": model.holds.step,
                     "seconds": read_history(run / "metrics.jsonl")[-1]["seconds"],
                     "stable": share, "right": right}]  # fmt: skip


def shown(results: list[dict[str, Any]]) -> str:
    """The tables of the page."""

    def number(row: dict[str, Any], value: str, error: str) -> str:
        if row.get(value) is None:
            return "–"
        return f"{Estimate(row[value], row[error] or 0.0, 0)} {row['unit']}".strip()

    real = [[r["name"], number(r, "value", "stderr")] for r in results if r["part"] == "ceiling"]
    laws = [
        [r["name"], f"{r['value']:.4f}" + (f" (std {r['spread']:.2f})" if "spread" in r else ""),
         f"{r['n']:,}"]
        for r in results if r["part"] == "dimension"
    ]  # fmt: skip
    laws += [
        ["ten published compositions, FDDM", "0.511 (std 0.19), as published", "–"],
        ["ten published compositions, TDDM", "0.162, not verified", "–"],
    ]
    ours = [
        [r["name"], number(r, "value", "stderr"), number(r, "floor", "floor_stderr")]
        for r in results if r["part"] == "model"
    ]  # fmt: skip
    inferred = [r for r in results if r["part"] == "told"]
    text = []
    if real:
        text.append(table(["13,083 test molecules", "value"], real))
        text.append(table(["dimension error of the law of all sizes", "value", "molecules"], laws))
    for about in (row for row in results if row["part"] == "about"):
        head = f"{about['steps']:,} steps in {about['seconds'] / 60:.0f} minutes"
        text.append(table([head, f"{about['samples']} samples", "test molecules"], ours))
    for about in (row for row in results if row["part"] == "told-about"):
        rows = [
            [r["name"], f"{r['value']:.4f}", f"{r['floor']:.4f}", f"{r['whole']:.4f}", str(r["n"])]
            for r in inferred
        ]
        for name, weights in (
            (f"mean of {len(inferred)}", [1] * len(inferred)),
            ("mean, as frequent as these are", [r["n"] for r in inferred]),
        ):
            total = torch.tensor(weights).double()
            means = [
                float((total * torch.tensor([r[key] for r in inferred])).sum() / total.sum())
                for key in ("value", "floor", "whole")
            ]
            rows.append([name, *(f"{mean:.4f}" for mean in means), "–"])
        head = f"composition, {about['steps']:,} steps in {about['seconds'] / 60:.0f} minutes"
        text.append(table([head, "dimension error", "its floor", "law of all sizes",
                           "test molecules"], rows))  # fmt: skip
        text.append(
            f"Of these samples {about['right']:.2f} have the composition that they were told, and "
            f"{about['stable']:.2f} of their atoms are stable."
        )
    return "\n\n".join(text)


def _made_up(n: int) -> Atoms:
    """Water and hydrogen, for a run that reads no files."""
    water = Molecule(("O", "H", "H"), [[0, 0, 0.117], [0, 0.757, -0.469], [0, -0.757, -0.469]])
    hydrogen = Molecule(("H", "H"), [[0, 0, 0], [0, 0, 0.74]])
    return packed([water, hydrogen] * (n // 2), QM9_ELEMENTS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, help="the folder of the model, and judge it alone")
    parser.add_argument("--told", type=Path, help="the folder of the one that infers sizes")
    parser.add_argument("--steps", type=int, help="of training")
    parser.add_argument("--part", type=Path, help="keep the results in this file")
    parser.add_argument("--merge", type=Path, nargs="+", default=[], help="files of --part")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = parts(options.merge)
    if not results:
        train, test = _made_up(60), _made_up(40)
        if not options.smoke:
            train, test = read_qm9("train").atoms, read_qm9("test").atoms
        if options.told is not None:
            results = told(options.told, options.steps or TOLD_STEPS, test, seed=0)
        elif options.run is None:
            results = [*ceiling(test, train, 3 if options.smoke else 100), *dimension_errors(train)]
        else:
            model = trained(options.run, options.steps or STEPS)
            results = judged(model, options.run, 500, train, test, 50, seed=0)
    if options.part is not None:
        options.part.write_text(json.dumps(results) + "\n", encoding="utf-8")
    text = shown(results)
    print(text)
    if options.write:
        found = {"environment": environment("rdkit", "tblite", "ase", "qm9pack")}
        save("molecules", {**found, "results": results}, text)


if __name__ == "__main__":
    main()
