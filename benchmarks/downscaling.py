"""Downscaling of flows without pairs: a bridge beside its baselines, judged by distributions.

Frames of the fine model and of the coarse one, whose laws differ, in stores that are simulated once
(`--stores FOLDER`); the first are learned from, the last of each are judged by. Then what a
translation between two scenarios of air temperature amounts to: a mean shift.

    python benchmarks/downscaling.py --stores stores --part one.jsonl
    python benchmarks/downscaling.py --merge one.jsonl --write
    python benchmarks/downscaling.py --scenarios iris_sample_data-2.5.2-py3-none-any.whl --sizes 0
"""

from __future__ import annotations

import math
import statistics
import tempfile
import textwrap
import time
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import pushforward as pf
import record
import shared
import trainings
from pushforward import downscaling, metrics
from pushforward.fluids import FluidSimulator, record_fluid
from pushforward.metrics import Estimate
from pushforward.processes import Bridge, Gaussian
from pushforward.schrodinger import CouplingCache, OuterIterations

SIZES = (32, 64)
FACTOR, FRAMES, EVERY, TRAIN, TEST = 4, 500, 5.0, 390, 100
"""Frames of each store, units of time between them, and how many are learned from and judged by."""

TAU = 1e-2
"""The time of condensation, of the condensation rate `c^+ / tau`."""

SIGMA2, PATH_STEPS = 0.3, 30
STEPS = {32: (3600, 4800), 64: (700, 900)}
"""Optimizer steps of the diffusion and of the bridge, for each size."""

ITERATIONS, CACHE, BATCH, WIDTH = 8, 96, 8, 24
NAMES = ("vorticity", "supersaturation")
METHODS = {
    "persistence": "persistence of the coarse field",
    "random": "random pairing",
    "quantiles": "quantile mapping",
    "noise-bridge": "bridge by shared noise",
    "noise-bridge, as it is": "the same, bias left in",
    "constrained-diffusion": "transport of waves, constrained diffusion",
    "samples": "transport of samples, constrained diffusion",
    "bridge": "Schrödinger bridge",
    "bridge, exact": "the same, projected",
}
DIFFERENT = 190
"""The year 2050, from which on the scenarios differ by more than they change themselves."""

PICTURES = Path(__file__).parents[1] / "docs" / "assets" / "pictures"


# -- data -----------------------------------------------------------------------------------------


def store(folder: Path, n: int, seed: int, smoke: bool) -> Path:
    """A store of frames of the model of `n` points a side, simulated if it is not there."""
    path = folder / f"flow-{n}-{seed}.zarr"
    if not path.exists():
        frames, every, spinup = (40, 0.05, 0.0) if smoke else (FRAMES, EVERY, 200.0)
        record_fluid(
            FluidSimulator(n, seed=seed), path, frames, every=every, spinup=spinup, resume=True,
            progress=False,
        )  # fmt: skip
    return path


def laws(
    folder: Path, n: int, seed: int, smoke: bool
) -> tuple[downscaling.Unpaired, Any, Tensor, Tensor]:
    """What is fitted to, the schema of the fine fields, and sources and fine fields held out."""
    fine = pf.data.load(store(folder, n, 2 * seed, smoke))
    coarse = pf.data.load(store(folder, n // FACTOR, 2 * seed + 1, smoke))
    found = downscaling.refinement(coarse.schema.fields, fine.schema.fields)
    upsampled = found.upsample(coarse.x)
    train, test = (20, 12) if smoke else (TRAIN, TEST)
    data = downscaling.Unpaired(upsampled[:train], fine.x[:train], found)
    return data, fine.schema, upsampled[-test:], fine.x[-test:]


# -- models ---------------------------------------------------------------------------------------


def network(channels: int, periodic: bool) -> Any:
    """A U-Net on squares of two points a side, the same for both models.

    Where ends do not meet places are not alike, and it sees where a cell is.
    """
    return pf.nn.UNet(
        channels, width=WIDTH, multipliers=(1, 2), blocks=1, patch=2, periodic=periodic,
        positions=not periodic,
    )  # fmt: skip


def trained(
    data: downscaling.Unpaired,
    schema: Any,
    seed: int,
    steps: tuple[int, int],
    channels: int = 2,
    periodic: bool = True,
) -> dict[str, Any]:
    """A diffusion of the fine fields, a bridge from the coarse ones, and the seconds of each."""
    fine, coarse = (
        pf.data.Data(x, kind="image", schema=schema) for x in (data.target, data.source)
    )
    space = pf.spaces.space_of(fine)
    settings: dict[str, Any] = {
        "batch_size": min(BATCH, len(fine)), "holdout": 0.0, "lr": 1e-3, "ema": 0.99, "seed": seed,
        "progress": False,
    }  # fmt: skip
    torch.manual_seed(seed)
    diffusion: Any = pf.Diffusion(network(channels, periodic), process=Gaussian(space=space))
    begin = time.process_time()
    diffusion = trainings.fit(diffusion, fine, steps=steps[0], **settings).model
    middle = time.process_time()
    each = max(1, steps[1] // ITERATIONS)
    bridge: Any = pf.SchrodingerBridge(
        network(channels, periodic), network(channels, periodic),
        reference=Bridge(math.sqrt(SIGMA2), space), steps=PATH_STEPS,
        iterations=OuterIterations(ITERATIONS, each), ema=0.99,
        cache=CouplingCache(rows=min(CACHE, len(fine))),
    )  # fmt: skip
    bridge = trainings.fit(bridge, fine, source=coarse, steps=ITERATIONS * each, **settings).model
    end = time.process_time()
    return {
        "diffusion": diffusion.eval(), "bridge": bridge.eval(),
        "seconds": (middle - begin, end - middle),
    }  # fmt: skip


def methods(models: dict[str, Any], grid: downscaling.Refinement) -> dict[str, Any]:
    """All downscalers of the table."""
    diffusion, bridge = models["diffusion"], downscaling.LearnedMap(models["bridge"])
    return {
        "persistence": downscaling.Persistence(),
        "random": downscaling.RandomPairing(),
        "quantiles": downscaling.Mapped("quantiles"),
        "noise-bridge": downscaling.NoiseBridge(diffusion),
        "noise-bridge, as it is": downscaling.NoiseBridge(diffusion, debiasing=None),
        "constrained-diffusion": downscaling.ConstrainedDiffusion(diffusion),
        "samples": downscaling.ConstrainedDiffusion(diffusion, debiasing="samples"),
        "bridge": bridge,
        "bridge, exact": Projected(bridge, grid),
    }


class Projected:
    """A downscaler with the given coarse fields put in the place of its own."""

    def __init__(self, method: Any, grid: downscaling.Refinement) -> None:
        self.method, self.grid = method, grid

    def fit(self, data: downscaling.Unpaired) -> Projected:
        """Nothing more is learned."""
        return self

    def __call__(self, x: Tensor, *, seed: int = 0) -> Tensor:
        """The projected fields."""
        return self.grid.constrained(self.method(x, seed=seed), x)


# -- judging --------------------------------------------------------------------------------------


def condensation(x: Tensor) -> Tensor:
    """The rate `c^+ / tau` of fields of vorticity and supersaturation, cell by cell."""
    return x[..., NAMES.index("supersaturation"), :, :].clamp(min=0) / TAU


def run(n: int, seed: int, folder: Path, smoke: bool, figures: bool) -> list[dict[str, Any]]:
    """All methods of one size and seed: a result each."""
    data, schema, source, truth = laws(folder, n, seed, smoke)
    # In the order of the store; the names of the table.
    order = [schema.fields.channel_names[k].split(" ")[0] for k in range(2)]
    swap = [order.index(name) for name in NAMES]
    steps = (2, 2 * ITERATIONS) if smoke else STEPS[n]
    models = trained(data, schema, seed, steps)
    shown: dict[str, Tensor] = {"coarse": source[:, swap], "fine, held out": truth[:, swap]}
    results = []
    for name, method in methods(models, data.grid).items():
        begin = time.process_time()
        made = method.fit(data)(source, seed=seed)
        seconds = time.process_time() - begin
        shown[name] = made[:, swap]
        found = downscaling.judge(
            made[:, swap], source[:, swap], truth[:, swap],
            downscaling.Unpaired(data.source[:, swap], data.target[:, swap], data.grid),
            names=NAMES, derived={"condensation": condensation}, largest=n // 3,
        )  # fmt: skip
        away = metrics.source_distance(data.grid.low_pass(made[:, swap]), source[:, swap])
        results.append(
            {
                "part": "fluid", "n": n, "seed": seed, "method": name, "seconds": seconds,
                "training": models["seconds"], "evaluation": found.to_dict(),
                "away": away[:, : cut(n) + 1].tolist(),
                "shared": getattr(getattr(method, "level", None), "wavenumber", None),
            }
        )  # fmt: skip
    if figures:
        paint(shown, results, n)
    return results


def cut(n: int) -> int:
    """The last wavenumber that the coarse grid knows."""
    return math.ceil(n / FACTOR / 2) - 1


# -- scenarios of air temperature -----------------------------------------------------------------


def scenarios(wheel: Path) -> list[dict[str, Any]]:
    """Energy distances from the warm scenario, of the cool one and of maps of it, on other years.

    Years from 2050 on; even ones are learned from, odd ones judged by.
    """
    sides = []
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        for name in ("E1", "A1B"):
            inside = f"iris_sample_data/sample_data/{name}_north_america.nc"
            years = pf.data.load(archive.extract(inside, folder), variables=["air_temperature"]).x
            rows, columns = (size - size % FACTOR for size in years.shape[2:])
            sides.append(pf.inverse.Downsample(FACTOR)(years[DIFFERENT:, :, :rows, :columns]))
    (cool, warm), results = sides, []
    train, test = slice(0, None, 2), slice(1, None, 2)
    maps: dict[str, Any] = {
        "as it is": None,
        "mean shift": downscaling.MeanShift(),
        "quantiles of each cell": downscaling.QuantileMapping(each_cell=True),
        "warm years learned from": "floor",
    }
    for name, debiasing in maps.items():
        x = cool[test]
        if debiasing == "floor":
            x = warm[train]
        elif debiasing is not None:
            x = debiasing.fit(cool[train], warm[train])(x)
        size = math.sqrt(x[0].numel())
        found = metrics.energy_distance(x.flatten(1) / size, warm[test].flatten(1) / size)
        results.append(
            {"part": "scenarios", "method": name, "value": found.value, "stderr": found.stderr}
        )
    return results


# -- tables and pictures --------------------------------------------------------------------------

_COLUMNS = {
    "spectra, k <= cut": ("spectrum of {}, k <= {cut}", "value"),
    "spectra, all": ("spectrum of {}, k <= {last}", "value"),
    "cells": ("cells of {}", "value"),
    "means": ("means over space of {}", "value"),
    "correlation": ("correlation in space of {}", "value"),
    "from the source": ("distance of {} from the source", "value"),
}


def text(results: list[dict[str, Any]]) -> str:
    """A table for each size and variable, one of condensation, and that of the scenarios."""
    tables = []
    flows = [r for r in results if r["part"] == "fluid"]
    for n in dict.fromkeys(r["n"] for r in flows):
        own = [r for r in flows if r["n"] == n]
        for variable in NAMES:
            rows = []
            for method, words in METHODS.items():
                mine = [r for r in own if r["method"] == method]
                rows.append([words, *(_cell(mine, c, variable, n) for c in _COLUMNS)])
            head = [f"{n}² from {n // FACTOR}², {variable}", *_COLUMNS]
            rows.append(["fine frames learned from", *_floors(own, variable, n)])
            tables.append(record.table(head, rows))
        rows = []
        for method, words in METHODS.items():
            mine = [r for r in own if r["method"] == method]
            cells = [cell_of(mine, f"{what} of condensation") for what in _RAIN]
            rows.append([words, *cells, f"{statistics.fmean(r['seconds'] for r in mine):.0f}"])
        rows.append(
            [
                "fine frames held out",
                *(cell_of(own[:1], f"{w} of condensation", "floor") for w in _RAIN),
                "",
            ]
        )
        tables.append(record.table([f"{n}², condensation", "mean", "q .99", "q .999", "s"], rows))
    rows = [
        [r["method"], str(Estimate(r["value"], r["stderr"], 0))]
        for r in results
        if r["part"] == "scenarios"
    ]
    if rows:
        tables.append(record.table(["scenario E1 to A1B", "energy distance, K"], rows))
    return "\n\n".join(tables)


_RAIN = ("mean", "quantile 0.99", "quantile 0.999")


def _cell(mine: list[dict[str, Any]], column: str, variable: str, n: int) -> str:
    name, key = _COLUMNS[column]
    return cell_of(mine, name.format(variable, cut=cut(n), last=n // 3), key)


def _floors(own: list[dict[str, Any]], variable: str, n: int) -> list[str]:
    names = [name.format(variable, cut=cut(n), last=n // 3) for name, _ in _COLUMNS.values()]
    return [cell_of(own[:1], name, "floor") for name in names]


def cell_of(mine: list[dict[str, Any]], name: str, key: str = "value") -> str:
    """A number over seeds: with the error of seeds if there are several, else its own."""
    rows = [row for r in mine for row in r["evaluation"]["rows"] if row["name"] == name]
    values = [row[key] for row in rows if row[key] is not None]
    if not values:
        return "–"
    error = rows[0]["stderr" if key == "value" else "floor_stderr"]
    if len(values) > 1:
        error = statistics.stdev(values) / math.sqrt(len(values))
    return str(Estimate(statistics.fmean(values), error, len(values)))


def paint(shown: dict[str, Tensor], results: list[dict[str, Any]], n: int) -> None:
    """Fields, spectra with bands, and distances from the source, as a picture."""
    from matplotlib.figure import Figure

    keep = ["coarse", "noise-bridge", "constrained-diffusion", "bridge", "fine, held out"]
    figure = Figure(figsize=(12, 10), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=(1.1, 1))
    axes = top.subplots(2, len(keep))
    for row in range(2):
        limit = float(shown["fine, held out"][:, row].abs().quantile(0.99))
        for column, name in enumerate(keep):
            ax = axes[row, column]
            ax.imshow(shown[name][0, row], vmin=-limit, vmax=limit, cmap="RdBu_r", origin="lower")
            ax.set_xticks([])
            ax.set_yticks([])
            if row == 0:
                ax.set_title(textwrap.fill(METHODS.get(name, name), 24), fontsize=9)
        axes[row, 0].set_ylabel(NAMES[row])
    below = bottom.subplots(2, 2)
    for row, variable in enumerate(NAMES):
        for name in ("coarse", "noise-bridge", "constrained-diffusion", "bridge", "fine, held out"):
            energies = metrics.energy_spectrum(shown[name])[:, row, 1 : n // 3 + 1]
            band = metrics.mean_band(energies, level=0.99)
            k = range(1, n // 3 + 1)
            (line,) = below[row, 0].loglog(k, band.mean, label=METHODS.get(name, name))
            below[row, 0].fill_between(k, band.low, band.high, alpha=0.2, color=line.get_color())
        below[row, 0].axvline(cut(n), color="gray", lw=0.5)
        below[row, 0].set_title(f"spectrum of {variable}, bands of 99 %", fontsize=9)
        below[row, 0].set_ylim(float(energies.mean(0).min()) / 30, None)
        bars = ["random", "noise-bridge", "constrained-diffusion", "bridge"]
        for place, name in enumerate(bars):
            own = next(r for r in results if r["method"] == name)["away"][row][1:]
            at = [k + 0.2 * (place - 1.5) for k in range(1, len(own) + 1)]
            below[row, 1].bar(at, own, 0.2, label=METHODS[name])
        below[row, 1].set_title(f"distance of {variable} from the source by wavenumber", fontsize=9)
    below[0, 0].legend(fontsize=7)
    below[0, 1].legend(fontsize=7)
    PICTURES.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURES / f"downscaling-{n}.png", dpi=90)


def main() -> None:
    """Run what was chosen, print, and with `--write` record the tables."""
    torch.set_num_threads(1)
    parser = shared.arguments(__doc__, sizes=((*SIZES, 0), "points a side"), seeds=((0, 1, 2), ""))
    parser.add_argument("--stores", type=Path, default=Path("stores"), help="folder of stores")
    parser.add_argument("--scenarios", type=Path, help="the wheel of iris-sample-data")
    options = parser.parse_args()
    cases = [{"n": n, "seed": seed} for n in options.sizes if n for seed in options.seeds]
    if options.smoke:
        global ITERATIONS, PATH_STEPS, WIDTH
        ITERATIONS, PATH_STEPS, WIDTH, cases = 2, 3, 8, cases[:1]

    def one(n: int, seed: int) -> list[dict[str, Any]]:
        return run(n, seed, options.stores, options.smoke, not options.smoke)

    results = shared.gathered(options, cases, one)
    if options.scenarios:
        results = [r for r in results if r["part"] != "scenarios"] + scenarios(options.scenarios)
    print(text(results))
    if options.write:
        facts = {
            "environment": record.environment(),
            "steps": {str(k): v for k, v in STEPS.items()},
        }
        record.save("downscaling", facts | {"results": results}, text(results))


if __name__ == "__main__":
    main()
