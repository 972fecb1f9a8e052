"""The moist flow: its steps beside a loop of scipy transforms, and the statistics of its runs.

And forecasts of its fields: draws of an ensemble and steps of training over the network alone.

python benchmarks/fluid.py --write
python benchmarks/fluid.py --parts speed --part one.jsonl             # in pieces,
python benchmarks/fluid.py --merge one.jsonl two.jsonl --write        # and together
"""

from __future__ import annotations

import math
import statistics
import time
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray
from numpy.typing import NDArray
from torch import Tensor

import entries
import pushforward as pf
import record
import shared
import timing
import trainings
from pushforward.fluids import FluidSimulator, MoistFlow, RingForcing, fluid_state

SIZES = (32, 64, 128, 256)
RUNS = (16, 64)
SEEDS = (1, 2, 3)
SPINUP, FRAMES = 150, 100
"""Units of time, of which each has a frame."""

# -- the same steps as a loop over scipy's transforms ---------------------------------------------


class Loop:
    """Advection of both fields, condensation, drag and viscosity, by the equations as written."""

    def __init__(self, n: int, flow: MoistFlow, step: float) -> None:
        from scipy import fft

        self.fft, self.n, self.flow, self.h = fft, n, flow, step
        ky = np.fft.fftfreq(n, 1 / n)[:, None]
        kx = np.fft.rfftfreq(n, 1 / n)[None, :]
        k2 = kx**2 + ky**2
        self.kx, self.ky = 1j * kx, 1j * ky
        self.inverse = np.where(k2 > 0, 1 / np.where(k2 > 0, k2, 1), 0)
        self.kept = (abs(kx) < n / 3) & (abs(ky) < n / 3)
        hyper = flow.viscosity * k2**4
        linear = -np.stack([hyper + flow.drag, hyper])
        self.half, self.whole = np.exp(linear * step / 2), np.exp(linear * step)

    def rest(self, y: NDArray[Any]) -> NDArray[Any]:
        """All but the linear part."""
        zeta, c = y
        psi = -self.inverse * zeta
        back, there = self.fft.irfft2, self.fft.rfft2
        shape = (self.n, self.n)
        u, v = back(-self.ky * psi, s=shape), back(self.kx * psi, s=shape)
        vorticity = u * back(self.kx * zeta, s=shape) + v * back(self.ky * zeta, s=shape)
        moisture = u * back(self.kx * c, s=shape) + v * back(self.ky * c, s=shape)
        rained = np.maximum(back(c, s=shape), 0) / self.flow.condensation_time
        moisture += self.flow.gradient * v - self.flow.evaporation + rained
        return np.where(self.kept, -np.stack([there(vorticity), there(moisture)]), 0)

    def __call__(self, y: NDArray[Any]) -> NDArray[Any]:
        """A step of Runge and Kutta with the integrating factor."""
        h, half, whole = self.h, self.half, self.whole
        a = self.rest(y)
        b = self.rest(half * (y + h / 2 * a))
        c = self.rest(half * y + h / 2 * b)
        d = self.rest(whole * y + h * half * c)
        return whole * y + h / 6 * (whole * a + 2 * half * (b + c) + d)


def speed(n: int, smoke: bool) -> dict[str, Any]:
    """Milliseconds of a step by both, in turns, and how far they are apart after 20."""
    flow = MoistFlow(MoistFlow.published(n).viscosity, forcing=RingForcing(power=0.0))
    fluid = FluidSimulator(n, flow)
    loop = Loop(n, flow, fluid.step)
    stirred = FluidSimulator(n, seed=0)
    start = stirred.advance(stirred.rest(), 0, 5 if smoke else 200)
    columns = fluid.grid.columns
    theirs = np.zeros((2, n, n // 2 + 1), dtype=complex)
    theirs[..., :columns], ours = start.numpy(), start
    for _ in range(20):
        ours, theirs = fluid.moved(ours), loop(theirs)
    gap = float((ours - torch.from_numpy(theirs[..., :columns])).abs().max() / ours.abs().max())
    times: dict[str, list[float]] = {"torch": [], "scipy": []}
    count = 1 if smoke else max(5, 4000 // n)
    for _ in range(1 if smoke else 9):
        for name, move, state in (("torch", fluid.moved, ours), ("scipy", loop, theirs)):
            begin = time.process_time()
            for _ in range(count):
                state = move(state)  # type: ignore[operator]
            times[name].append((time.process_time() - begin) / count * 1e3)
    found: dict[str, Any] = {f"{name}_ms": statistics.median(t) for name, t in times.items()}
    spread = {f"{name}_stderr": _error(t) for name, t in times.items()}
    return found | spread | {"gap": gap}


def over_network(smoke: bool) -> dict[str, Any]:
    """Draws of an ensemble, and steps of training, over the same evaluations of the network."""
    members, steps, turns = 16, (2 if smoke else 10), (1 if smoke else 5)
    u = np.random.default_rng(0).normal(size=(2, 64, 16, 16)).astype("f4")
    fields = {name: (("time", "y", "x"), own) for name, own in zip("uv", u, strict=True)}
    data = pf.data.load(xarray.Dataset(fields, {"time": np.arange(64.0)}), forecast="4:4")
    torch.manual_seed(0)
    model = pf.models.PointMatching.for_data(data, net=partial(pf.nn.UNet, width=16, blocks=1))
    fixed: dict[str, Any] = {"batch_size": members, "holdout": 0.0, "progress": False}
    trainings.fit(model, data, steps=1, **fixed)
    rows = torch.arange(members)
    past, net = data.c[rows], model.predictor.net
    x, told = model.inward(data.x[rows]), model.condition.required(past, members, model.device)
    half = torch.full((members,), 0.5)

    def evaluated() -> None:
        with torch.no_grad(), model.evaluating():
            for _ in range(2 * steps):  # the sampler looks twice a step
                net(x, half, told)

    def drawn() -> None:
        model.sample(members, past, steps=steps, seed=0, batch_size=members)

    def stepped() -> None:
        optimizer = torch.optim.AdamW(net.parameters())
        net.train()
        for _ in range(2 * steps):
            optimizer.zero_grad()
            (net(x, half, told) - x).square().mean().backward()
            optimizer.step()

    def fitted() -> float:
        """A long run less a short one: what comes before the first step is in both."""
        long = timing.worked(lambda: trainings.fit(model, data, steps=4 * steps, **fixed))()
        return long - timing.worked(lambda: trainings.fit(model, data, steps=2 * steps, **fixed))()

    pairs = {
        "an ensemble of 16 drawn": (timing.worked(drawn), timing.worked(evaluated)),
        "a step of training": (fitted, timing.worked(stepped)),
    }
    found: dict[str, Any] = {}
    for name, (ours, bare) in pairs.items():
        known, seconds = timing.ratios({"ours": ours, "bare": bare}, "bare", turns)
        found[name] = {"ratio": known["ours"], "ms": 1e3 * seconds / (2 * steps)}
    return {"rows": found}


def _error(values: list[float]) -> float:
    return statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else math.nan


def statistics_of(n: int, seed: int, smoke: bool) -> dict[str, Any]:
    """Means over the frames of a run, and the time after which patterns have changed."""
    fluid = FluidSimulator(n, seed=seed)
    between = round(1 / fluid.step)
    spinup, frames = (0, 4) if smoke else (SPINUP, FRAMES)
    begin = time.process_time()
    y, k = fluid.advance(fluid.rest(), 0, spinup * between), spinup * between
    fields, states = [], []
    for _ in range(frames):
        y = fluid.advance(y, k, between)
        k += between
        fields.append(fluid.fields(y))
        states.append(fluid_state(y, fluid.flow, fluid.grid))
    seconds = time.process_time() - begin
    vorticity, c = torch.stack(fields).unbind(1)
    energies = torch.stack([state.energy for state in states])
    return {
        "energy": float(energies.mean()), "least": float(energies.min()),
        "most": float(energies.max()), "sd": float(vorticity.std()), "mean_c": float(c.mean()),
        "min_c": float(c.min()),
        "condensation": float(torch.stack([s.condensation for s in states]).mean()),
        "vorticity_time": _decorrelation(vorticity),
        "moisture_time": _decorrelation(c.mean((1, 2), keepdim=True)),
        "seconds": round(seconds, 1),
    }  # fmt: skip


def _decorrelation(x: Tensor) -> float:
    """The first lag at which the correlation of frames is below 1/e, at most half of them."""
    x = x - x.mean(0)
    square = float(x.square().mean())
    for lag in range(1, len(x) // 2):
        if float((x[lag:] * x[:-lag]).mean()) < square / math.e:
            return float(lag)
    return len(x) / 2


def text(results: list[dict[str, Any]]) -> str:
    """The tables of the documentation."""
    fast = [r for r in results if r["what"] == "speed"]
    rows = [
        [f"{r['n']}²", entries.mean([r["torch_ms"]], r["torch_stderr"]),
         entries.mean([r["scipy_ms"]], r["scipy_stderr"]), f"{r['scipy_ms'] / r['torch_ms']:.2f}",
         f"{r['gap']:.0e}"]
        for r in fast
    ]  # fmt: skip
    head = ["points", "ms a step", "scipy, ms a step", "times", "difference after 20 steps"]
    first = record.table(head, rows)
    ran = [r for r in results if r["what"] == "statistics"]
    rows = []
    for n in dict.fromkeys(r["n"] for r in ran):
        own = [r for r in ran if r["n"] == n]
        keys = ("energy", "sd", "mean_c", "condensation", "vorticity_time", "moisture_time")
        means = [entries.mean([r[key] for r in own], math.nan) for key in keys]
        least, most = min(r["least"] for r in own), max(r["most"] for r in own)
        lowest = min(r["min_c"] for r in own)
        rows.append([
            f"{n}²", means[0], f"{least:.1f} to {most:.1f}", means[1], means[2], f"{lowest:.1f}",
            *means[3:], f"{statistics.fmean(r['seconds'] for r in own):.0f}",
        ])  # fmt: skip
    head = ["points", "energy", "its range", "sd of vorticity", "mean of c", "least c"]
    head += ["condensation", "decorrelation of vorticity", "of the mean of c", "seconds"]
    second = record.table(head, rows)
    rows = [
        [name, timing.Ratio(*row["ratio"]).text(), f"{row['ms']:.1f}"]
        for r in results
        if r["what"] == "network"
        for name, row in r["rows"].items()
    ]
    third = record.table(["forecast, 16²", "over the network", "its ms"], rows)
    return f"{first}\n\n{second}\n\n{third}"


def main() -> None:
    """Measure, print, and with `--write` record."""
    torch.set_num_threads(1)
    options = shared.arguments(__doc__, parts=(("speed", "statistics", "network"), "parts"))
    options = options.parse_args()

    def run(what: str, n: int, seed: int) -> dict[str, Any]:
        if what == "speed":
            return speed(n, options.smoke)
        if what == "network":
            return over_network(options.smoke)
        return statistics_of(n, seed, options.smoke)

    cases = [{"what": "speed", "n": n, "seed": 0} for n in SIZES]
    cases += [{"what": "statistics", "n": n, "seed": seed} for n in RUNS for seed in SEEDS]
    cases += [{"what": "network", "n": 16, "seed": 0}]
    cases = [case for case in cases if case["what"] in options.parts]
    results = shared.gathered(options, cases, run)
    print(text(results))
    if options.write:
        facts = {"environment": record.environment("scipy"), "results": results}
        record.save("fluid", facts, text(results))


if __name__ == "__main__":
    main()
