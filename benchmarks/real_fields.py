"""Downscaling of real fields without pairs: air temperature of two scenarios, monthly winds.

Fields are coarsened four times, and parted by years: a bridge and its baselines learn from some,
and refine the coarse fields of others; once from the fields, and once from their departures from
the mean fields of each side. The data are read where their packages have put them.

    pip download --no-deps iris-sample-data==2.5.2
    apt-get download ferret-datasets && dpkg -x ferret-datasets_*.deb ferret
    python benchmarks/real_fields.py --wheel iris_sample_data-2.5.2-py3-none-any.whl \
        --winds ferret/usr/share/ferret-vis/data/monthly_navy_winds.cdf --part real.jsonl
    python benchmarks/real_fields.py --merge real.jsonl --write
"""

from __future__ import annotations

import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray
from torch import Tensor

import downscaling as flows
import pushforward as pf
import record
import shared
from pushforward import downscaling

FACTOR = flows.FACTOR
DIFFERENT = 140
"""The year 2000, from which on the scenarios are not the same."""

SETS = {"temperature": (600, 800), "winds": (300, 400)}
"""Optimizer steps of the diffusion and of the bridge, for each set."""

NAMES = {"temperature": ("air temperature",), "winds": ("eastward wind", "northward wind")}
METHODS = flows.METHODS | {
    "mean-shift": "mean shift of each cell",
    "quantiles-by-cell": "quantile mapping of each cell",
    "constrained-diffusion": "quantiles of each cell, constrained diffusion",
}
LEARNED = ("noise-bridge", "constrained-diffusion", "bridge")
"""What also learns departures from the mean fields."""

METHODS |= {f"{name}, departures": f"{METHODS[name]}, of departures" for name in LEARNED}


# -- data -----------------------------------------------------------------------------------------


def temperatures(wheel: Path) -> tuple[xarray.DataArray, xarray.DataArray]:
    """Annual means of air temperature, 100 years of the mild scenario and of the warm one."""
    sides = []
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        for name in ("E1", "A1B"):
            inside = f"iris_sample_data/sample_data/{name}_north_america.nc"
            with xarray.open_dataset(archive.extract(inside, folder)) as store:
                field = store.air_temperature.load()
                sides.append(field[DIFFERENT:, :36, :48].reset_coords(drop=True))
    return sides[0], sides[1]


def winds(file: Path) -> xarray.Dataset:
    """Monthly winds over the tropical Pacific, 11 years."""
    with xarray.open_dataset(file, decode_times=False) as store:
        found = store[["UWND", "VWND"]].load().isel(FNOCY=slice(24, 48), FNOCX=slice(40, 88))
    return found.rename(TIME="time", FNOCY="y", FNOCX="x").assign_coords(time=np.arange(132.0))


def coarsened(fields: Any) -> Any:
    """Means of squares of four cells a side."""
    sides = [name for name in fields.dims if name != "time"]
    return fields.coarsen(dict.fromkeys(sides, FACTOR)).mean()


def laws(name: str, options: Any) -> tuple[downscaling.Unpaired, Any, Tensor, Tensor]:
    """What is fitted to, the schema of the fine fields, and sources and fine fields of other years.

    Of temperature even years are learned from, coarse ones of the mild scenario and fine ones of
    the warm one. Of winds four years are learned from coarse, four others fine, and the last three
    are judged by.
    """
    if options.smoke:
        rng = np.random.default_rng(0)
        axes = {"time": np.arange(48.0), "y": np.arange(16.0), "x": np.arange(16.0)}
        x = rng.normal(size=(48, 16, 16)).astype("f4")
        fine = coarse = xarray.DataArray(x, coords=axes, dims=tuple(axes), name="u").to_dataset()
        learned = judged = slice(0, None, 2), slice(1, None, 2)
    elif name == "temperature":
        coarse, fine = (side.to_dataset(name="t") for side in temperatures(options.wheel))
        learned, judged = (slice(0, None, 2),) * 2, (slice(1, None, 2),) * 2
    else:
        fine = coarse = winds(options.winds)
        year = np.arange(132) // 12
        learned = ((year < 8) & (year % 2 == 0), (year < 8) & (year % 2 == 1))
        judged = (year >= 8, year >= 8)
    target = pf.data.load(fine, weights="none", periodic="")
    source = pf.data.load(coarsened(coarse), weights="none", periodic="")
    grid = downscaling.refinement(source.schema.fields, target.schema.fields)
    up = grid.upsample(source.x)

    def at(x: Tensor, rows: Any) -> Tensor:
        return x[torch.arange(len(x)).numpy()[rows]]

    data = downscaling.Unpaired(at(up, learned[0]), at(target.x, learned[1]), grid)
    return data, target.schema, at(up, judged[0]), at(target.x, judged[1])


# -- judging --------------------------------------------------------------------------------------


def run(name: str, seed: int, departures: bool, options: Any) -> list[dict[str, Any]]:
    """All methods on one set: a result each.

    Of `departures` those that learn, from fields less the mean field of their side; that of the
    target is added to what they make.
    """
    whole, schema, source, truth = laws(name, options)
    channels, *sizes = truth.shape[1:]
    data, climate, before = whole, torch.zeros_like(truth[0]), torch.zeros_like(truth[0])
    if departures:
        before, climate = whole.source.mean(0), whole.target.mean(0)
        data = downscaling.Unpaired(whole.source - before, whole.target - climate, whole.grid)
    steps = (2, 2 * flows.ITERATIONS) if options.smoke else SETS[name]
    models = flows.trained(data, schema, seed, steps, channels=channels, periodic=False)
    results = []
    known = flows.methods(models, data.grid)
    known |= {name: downscaling.Mapped(name) for name in ("mean-shift", "quantiles-by-cell")}
    # Waves are moved on domains whose ends meet.
    known["constrained-diffusion"] = downscaling.ConstrainedDiffusion(
        models["diffusion"], debiasing="quantiles-by-cell"
    )
    for method in LEARNED if departures else known:
        begin = time.process_time()
        made = climate + known[method].fit(data)(source - before, seed=seed)
        seconds = time.process_time() - begin
        found = downscaling.judge(
            made, source, truth, whole, names=NAMES[name][:channels], largest=min(sizes) // 3,
            window=True,
        )  # fmt: skip
        results.append(
            {
                "set": name, "seed": seed, "departures": departures,
                "method": f"{method}, departures" if departures else method,
                "seconds": seconds, "sizes": sizes, "cut": data.grid.cutoff,
                "training": models["seconds"], "evaluation": found.to_dict(),
            }
        )  # fmt: skip
    return results


def text(results: list[dict[str, Any]]) -> str:
    """A table for each variable of each set."""
    tables = []
    for name in dict.fromkeys(r["set"] for r in results):
        own = [r for r in results if r["set"] == name]
        cut, last = own[0]["cut"], min(own[0]["sizes"]) // 3
        columns = {
            f"spectra, k <= {cut}": ("spectrum of {}, k <= " + str(cut), "value"),
            f"spectra, k <= {last}": ("spectrum of {}, k <= " + str(last), "value"),
            "cells": ("cells of {}", "value"),
            "means": ("means over space of {}", "value"),
            "from the source": ("distance of {} from the source", "value"),
        }
        fine = " x ".join(map(str, own[0]["sizes"]))
        for variable in NAMES[name]:
            rows = []
            for method, words in METHODS.items():
                mine = [r for r in own if r["method"] == method]
                if not mine:
                    continue
                cells = [flows.cell_of(mine, of.format(variable), key)
                         for of, key in columns.values()]  # fmt: skip
                rows.append([words, *cells])
            floors = [flows.cell_of(own[:1], of.format(variable), "floor")
                      for of, _ in columns.values()]  # fmt: skip
            rows.append(["fine years learned from", *floors])
            tables.append(record.table([f"{fine}, {variable}", *columns], rows))
    each = {(r["set"], r["departures"]): r["training"] for r in results}
    seconds = "; ".join(
        f"{name}{', departures' if departures else ''} {first:.0f} + {second:.0f} s"
        for (name, departures), (first, second) in each.items()
    )
    return "\n\n".join([*tables, f"Training of the diffusion + of the bridge: {seconds}."])


def main() -> None:
    """Run what was chosen, print, and with `--write` record the tables."""
    torch.set_num_threads(1)
    parser = shared.arguments(
        __doc__, sets=(tuple(SETS), ""), seeds=((0,), ""),
        departures=((0, 1), "0 learns fields, 1 their departures from mean fields"),
    )  # fmt: skip
    parser.add_argument("--wheel", type=Path, help="that of iris-sample-data")
    parser.add_argument("--winds", type=Path, help="monthly_navy_winds.cdf of ferret-datasets")
    options = parser.parse_args()
    cases = [
        {"set": name, "seed": seed, "departures": bool(departures)}
        for name in options.sets for seed in options.seeds for departures in options.departures
    ]  # fmt: skip
    if options.smoke:
        cases = cases[:2]

    def one(**case: Any) -> list[dict[str, Any]]:
        return run(case["set"], case["seed"], case["departures"], options)

    results = shared.gathered(options, cases, one)
    print(text(results))
    if options.write:
        facts = {"environment": record.environment(), "steps": SETS}
        record.save("real_fields", facts | {"results": results}, text(results))


if __name__ == "__main__":
    main()
