"""Forecasts of four leads from four frames: ensembles beside the forecasts that anybody has.

python benchmarks/forecasting.py --write
python benchmarks/forecasting.py --worlds rain --part one.jsonl                # in pieces,
python benchmarks/forecasting.py --merge one.jsonl two.jsonl --write           # and together
"""

from __future__ import annotations

import functools
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import record
import shared
import trainings
from pushforward import data, nn, processes
from pushforward.fluids import FluidSimulator, Showers, record_fluid, record_showers
from pushforward.forecasting import verify
from pushforward.forecasting.verification import MODEL, Verification
from pushforward.metrics import Estimate
from pushforward.models import Diffusion, FlowMatching, FrameRegression, PointMatching
from pushforward.spaces.data_space import space_of

WORLDS = ("rain", "fluid")
FAMILIES = ("interpolant", "diffusion", "matching")
BASELINES = ("regression", "persistence", "advected persistence", "climatology")
SIDE, FRAMES, WINDOW, HOLDOUT = 16, {"rain": 3000, "fluid": 1200}, "4:4", 0.2
STEPS, BATCH, WIDTH, RATE = 300, 32, 12, 2e-3
MEMBERS, STARTS, SAMPLER_STEPS = 12, 48, {"interpolant": 10, "diffusion": 20, "matching": 20}


def windows(world: str, folder: Path, smoke: bool) -> data.Data:
    """Windows of a simulation, which is written to a store and read as users would."""
    path, frames = folder / f"{world}.zarr", 80 if smoke else FRAMES[world]
    if world == "rain":
        record_showers(Showers(8 if smoke else SIDE), path, frames, seed=0)
    else:
        fluid = FluidSimulator(8 if smoke else SIDE, step=0.02, seed=0)
        record_fluid(fluid, path, frames, spinup=0 if smoke else 100, progress=False)
    return data.load(path, forecast=WINDOW, lazy=False)


def made(family: str, known: data.Data, smoke: bool) -> Any:
    """An untrained model of the family; all have the same network."""
    space: Any = space_of(known)
    net = functools.partial(nn.UNet, width=8 if smoke else WIDTH, blocks=1)
    if family == "interpolant":
        path = processes.PointInterpolant(space=space)
        return PointMatching.for_data(known, net=net, interpolant=path)
    if family == "diffusion":
        return Diffusion.for_data(known, net=net, process=processes.Gaussian(space=space))
    if family == "matching":
        return FlowMatching.for_data(known, net=net, path=processes.Linear(space=space))
    return FrameRegression.for_data(known, net=net, space=space)


def trained(family: str, known: data.Data, smoke: bool) -> Any:
    """The model after the training that all get."""
    torch.manual_seed(0)
    model = made(family, known, smoke)
    trainings.fit(
        model, known, steps=2 if smoke else STEPS, batch_size=BATCH, lr=RATE, holdout=HOLDOUT,
        validate_every=1 if smoke else 100, progress=False, seed=0,
    )  # fmt: skip
    return model


@functools.cache
def prepared(world: str, smoke: bool) -> tuple[data.Data, Any, float]:
    """The windows of a world, the regression that all are beside, and what its training took."""
    with tempfile.TemporaryDirectory() as folder:
        known = windows(world, Path(folder), smoke)
    begin = time.process_time()
    regression = trained("regression", known, smoke)
    return known, regression, time.process_time() - begin


def measured(world: str, family: str, smoke: bool) -> dict[str, Any]:
    """A family on a world, beside a regression by the same network and what anybody has."""
    known, regression, seconds = prepared(world, smoke)
    train, test = known.split(HOLDOUT, 0)
    begin = time.process_time()
    model = trained(family, known, smoke)
    own = time.process_time() - begin
    seen = verify(
        model, test, train, members=2 if smoke else MEMBERS, starts=8 if smoke else STARTS,
        beside={"regression": regression}, steps=4 if smoke else SAMPLER_STEPS[family],
    )  # fmt: skip
    whole = time.process_time() - begin
    return {
        "seconds": round(own, 1), "regression_seconds": round(seconds, 1),
        "scoring_seconds": round(whole - own, 1), "found": _told(seen),
    }  # fmt: skip


def _told(seen: Verification) -> dict[str, Any]:
    """The numbers that the tables show."""
    told = seen.to_dict()
    for row in told["rows"]:
        for name in ("ranks", "spectrum", "fractions_skill", "skill"):
            row.pop(name, None)
    return told


def text(results: list[dict[str, Any]]) -> str:
    """The tables of the documentation."""
    parts = []
    for world in dict.fromkeys(r["world"] for r in results):
        own = [r for r in results if r["world"] == world]
        for variable in dict.fromkeys(row["variable"] for row in own[0]["found"]["rows"]):
            parts.append(f"**{world}, {variable}**: fair CRPS\n\n{_scores(own, variable)}")
            parts.append(f"**{world}, {variable}**: reliability\n\n{_reliability(own, variable)}")
    seconds = ", ".join(
        f"{r['world']} {r['family']} {r['seconds']:.0f} + {r['scoring_seconds']:.0f}"
        for r in results
    )
    parts.append(f"Processor seconds, of training + of scoring: {seconds}.")
    return "\n\n".join(parts)


def _scores(results: list[dict[str, Any]], variable: str) -> str:
    head = ["lead", *(r["family"] for r in results), *BASELINES]
    table = []
    for row in _rows(results[0], variable):
        lead = row["lead"]
        cells = [str(lead)]
        for result in results:
            (one,) = (r for r in _rows(result, variable) if r["lead"] == lead)
            least = min(row["crps"][name]["value"] for name in BASELINES)
            value = _estimate(one["crps"][MODEL])
            cells.append(f"**{value}**" if one["crps"][MODEL]["value"] < least else value)
        cells += [_estimate(row["crps"][name]) for name in BASELINES]
        table.append(cells)
    return record.table(head, table)


def _reliability(results: list[dict[str, Any]], variable: str) -> str:
    kinds = ("spread over error", "p of flat ranks")
    head = ["lead", *(f"{r['family']}: {kind}" for r in results for kind in kinds)]
    table = []
    for row in _rows(results[0], variable):
        cells = [str(row["lead"])]
        for result in results:
            (one,) = (r for r in _rows(result, variable) if r["lead"] == row["lead"])
            cells += [_estimate(one["spread_skill"]), _number(one["flat"])]
        table.append(cells)
    return record.table(head, table)


def _rows(result: dict[str, Any], variable: str) -> list[dict[str, Any]]:
    return [row for row in result["found"]["rows"] if row["variable"] == variable]


def _estimate(one: dict[str, float | None]) -> str:
    value, error = one["value"], one["stderr"]
    if value is None:
        return "–"
    return str(Estimate(value, math.nan if error is None else error, STARTS))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2g}"


def main() -> None:
    """Measure, print, and with `--write` record."""
    torch.set_num_threads(1)
    lists: dict[str, Any] = {"worlds": (WORLDS, "simulations"), "families": (FAMILIES, "models")}
    options = shared.arguments(__doc__, **lists).parse_args()
    cases = [
        {"world": world, "family": family}
        for family in options.families
        for world in options.worlds
    ]
    results = shared.gathered(options, cases, functools.partial(measured, smoke=options.smoke))
    print(text(results))
    if options.write:
        facts = {"environment": record.environment("xarray", "zarr"), "results": results}
        record.save("forecasting", facts, text(results))


if __name__ == "__main__":
    main()
