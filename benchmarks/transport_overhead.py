"""Time per network evaluation while states are carried from one law to another.

As `step_overhead.py` measures samplers from noise, and beside the solver of flow_matching on the
same network: whole runs of `forward`, from given states to the last ones, one thread, medians.

    make bench-env                                     # peers, in an environment of their own
    .venv-bench/bin/python benchmarks/transport_overhead.py --write
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

import pushforward as pf
import record
import step_overhead
import timing
import trainings
from pushforward.processes import Bridge
from pushforward.schrodinger import OuterIterations

AIM = step_overhead.AIM
PEER = "flow_matching"

Make = Callable[[int, int], nn.Module]
"""A network for a number of channels, with so many outputs for each."""


def ours(make: Make, shape: tuple[int, ...], steps: int) -> dict[str, Any]:
    """The networks that each way of carrying states asks, their outputs for each channel, a run."""
    channels = shape[1]
    training: dict[str, Any] = {"steps": 2, "batch_size": 8, "holdout": 0.0, "progress": False}
    source, target = torch.randn(2, 16, *shape[1:])
    x = torch.randn(shape)
    plain, noisy, way, back = (make(channels, k) for k in (1, 2, 1, 1))
    models = {
        "flow": pf.FlowMatching(plain),
        "noisy flow": pf.FlowMatching(noisy, path=Bridge(1.0)),
        "bridge": pf.SchrodingerBridge(
            way, back, reference=Bridge(1.0), iterations=OuterIterations(2, 1)
        ),
    }
    for model in models.values():
        trainings.fit(model, target, source=source, **training)
    # A bridge maps by copies with averaged weights.
    directions = models["bridge"].loop.directions
    way, back = (directions.averaged(forward).net for forward in (True, False))
    runs: dict[str, tuple[list[nn.Module], int, Any, Any]] = {
        "flow, euler": ([plain], 1, models["flow"], "euler"),
        "flow, heun": ([plain], 1, models["flow"], "heun"),
        "noisy flow, SDE": ([noisy], 2, models["noisy flow"], pf.samplers.Euler(churn=1.0)),
        "Schrödinger bridge, random paths": ([way], 1, models["bridge"], None),
        "Schrödinger bridge, its ODE": ([way, back], 1, models["bridge"], "euler"),
    }
    return {
        name: (
            nets,
            outputs,
            lambda m=model, s=sampler: m.forward(x, sampler=s, steps=steps, seed=0),
        )
        for name, (nets, outputs, model, sampler) in runs.items()
    }


def measure(
    name: str, make: Make, shape: tuple[int, ...], steps: int, turns: int
) -> dict[str, Any]:
    """Ratios per network evaluation to the bare network of each run."""
    rows: dict[str, Any] = {}
    for run, (nets, outputs, call) in ours(make, shape, steps).items():
        given = make(shape[1], outputs).eval().requires_grad_(False)
        bare = given if outputs == 1 else lambda x, t, net=given: net(x, t)[:, : x.shape[1]]
        cases = {
            "bare": timing.worked(step_overhead.bare(bare, shape, steps)),
            "ours": timing.worked(call),
        }
        evaluations = {"ours": sum(step_overhead.count(net, call) for net in nets)}
        solver = {"flow, euler": "flow euler", "flow, heun": "heun"}.get(run)
        if solver and find_spec(PEER):
            peer = step_overhead.flow_matching(given, shape, steps)[solver]
            cases[PEER] = timing.worked(peer)
            evaluations[PEER] = step_overhead.count(given, peer)
        found, base = timing.ratios(cases, "bare", turns)
        rows[run] = {"bare_us": base / steps * 1e6} | {
            library: [value * steps / evaluations[library] for value in ratio]
            for library, ratio in found.items()
        }
    return {"workload": name, "rows": rows}


def text(results: list[dict[str, Any]]) -> str:
    """A table per workload."""
    parts = []
    for result in results:
        body = [
            [run, f"{row['bare_us']:.0f}", f"{AIM:.2f}"]
            + [timing.Ratio(*row[k]).text() if k in row else "–" for k in ("ours", PEER)]
            for run, row in result["rows"].items()
        ]
        table = record.table(["", "bare network, µs", "aim", "pushforward", PEER], body)
        parts.append(f"**{result['workload']}**\n\n{table}")
    return "\n\n".join(parts)


def _perceptron(d: int, k: int) -> nn.Module:
    return pf.nn.MLP(d, width=128, depth=2, out=k * d)


def _unet(channels: int, k: int) -> nn.Module:
    return pf.nn.default_network((channels, 8, 8), out_shape=(k * channels, 8, 8))


def main() -> None:
    """Measure, print, and with `--write` record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="two steps, to see that it runs")
    parser.add_argument("--write", action="store_true", help="record the results")
    options = parser.parse_args()
    timing.one_thread()
    torch.manual_seed(0)
    steps, turns = (2, 1) if options.smoke else (step_overhead.STEPS, 9)
    works: list[tuple[str, Make, tuple[int, ...]]] = [
        (
            "MLP 2 x 128, batch 256",
            lambda d, k: pf.nn.MLP(d, width=128, depth=2, out=k * d),
            (256, 2),
        ),
        (
            "U-Net 8x8, batch 16",
            lambda d, k: pf.nn.default_network((d, 8, 8), out_shape=(k * d, 8, 8)),
            (16, 1, 8, 8),
        ),
    ]
    results = [measure(*work, steps, turns) for work in works[: 1 if options.smoke else 2]]
    print(text(results))
    if options.write:
        facts = {"environment": record.environment(PEER), "steps": steps, "turns": turns}
        record.save("transport_overhead", facts | {"results": results}, text(results))


if __name__ == "__main__":
    main()
