"""What moving on a manifold costs beside the network, and beside other libraries.

Three tables, of processor seconds on one thread, each a ratio to a reference of the same turn:
whole runs of samplers over their network's evaluations alone; the score of the heat kernel at
100,000 points over one evaluation of the default network there; and the exponential map and the
logarithm of 100,000 points over those of geoopt and of flow_matching, where they have the space.

    make bench-env                                     # peers, in an environment of their own
    .venv-bench/bin/python benchmarks/manifold_speed.py --write
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

import pushforward as pf
import record
import timing
import trainings
from pushforward.processes import Brownian, Geodesic
from pushforward.spaces import SO3, Hyperbolic, Manifold, Sphere, Torus

ROWS, POINTS, STEPS = 512, 100_000, 40
SPACES: dict[str, tuple[Manifold, tuple[int, ...]]] = {
    "sphere": (Sphere(), (3,)),
    "torus": (Torus(), (2,)),
    "rotations": (SO3(), (3, 3)),
    "hyperbolic plane": (Hyperbolic(), (3,)),
}


def some(space: Manifold, shape: tuple[int, ...], n: int, seed: int) -> Tensor:
    """Points about the origin."""
    generator = torch.Generator().manual_seed(seed)
    start = space.origin(shape).expand(n, *shape)
    return space.exp(start, space.randn(start, generator))


def networks(n: int) -> dict[str, Any]:
    """A flow on each space, trained for no time: its speed does not depend on what it knows."""
    found = {}
    for name, (space, shape) in SPACES.items():
        data = pf.data.load(some(space, shape, max(n, 64), 0), space=space)
        model = pf.FlowMatching.for_data(data, path=Geodesic(space))
        trainings.fit(model, data, steps=2, batch_size=16, holdout=0.0, progress=False)
        found[name] = model
        if space.compact:
            diffusion = pf.Diffusion.for_data(data, process=Brownian(space))
            trainings.fit(diffusion, data, steps=2, batch_size=16, holdout=0.0, progress=False)
            found[f"{name}, diffusion"] = diffusion
    return found


def sampling(turns: int, rows: int, steps: int) -> list[list[str]]:
    """Whole runs over the evaluations of the network that they make."""
    table, t = [], torch.tensor(0.5)
    for name, model in networks(rows).items():
        space, shape = SPACES[name.split(",")[0]]
        x = some(space, shape, rows, 1)
        net = model.predictor.net.eval()
        noisy = name.endswith("diffusion")
        rules = {"euler": (pf.samplers.Euler(churn=1.0 if noisy else 0.0), 1)}
        if not noisy:
            rules["heun"] = (pf.samplers.Heun(), 2)
        for rule, (sampler, each) in rules.items():

            def bare(count: int = each, net: Any = net, x: Tensor = x) -> None:
                with torch.no_grad():
                    for _ in range(count * steps):
                        net(x, t, None)

            def whole(sampler: Any = sampler, model: Any = model) -> None:
                more: dict[str, Any] = {"denoise": False} if isinstance(model, pf.Diffusion) else {}
                model.sample(rows, sampler=sampler, steps=steps, seed=0, **more)

            cases = {"network": timing.worked(bare), "run": timing.worked(whole)}
            found, _ = timing.ratios(cases, "network", turns)
            table.append([name, rule, found["run"].text()])
    return table


def heat(turns: int, points: int) -> list[list[str]]:
    """Scores of the heat kernel, at variances from .001 to 4, over one evaluation of a network."""
    table, variance = [], torch.logspace(-3, 0.6, points)
    for name, (space, shape) in SPACES.items():
        start, x = (some(space, shape, points, seed) for seed in (2, 3))
        data = pf.data.load(x[:64], space=space)
        net = pf.FlowMatching.for_data(data, path=Geodesic(space)).predictor.net.eval()

        def evaluate(net: Any = net, x: Tensor = x) -> None:
            with torch.no_grad():
                net(x, torch.tensor(0.5), None)

        def score(space: Any = space, x: Tensor = x, start: Tensor = start) -> None:
            space.heat_score(x, start, variance)

        cases = {"network": timing.worked(evaluate), "score": timing.worked(score)}
        found, base = timing.ratios(cases, "network", turns)
        table.append([name, found["score"].text(), f"{1000 * base:.0f} ms"])
    return table


def maps(turns: int, points: int) -> list[list[str]]:
    """The exponential map and the logarithm over those of peers."""
    peers: dict[str, dict[str, tuple[Callable[..., Any], Callable[..., Any]]]] = {}
    if find_spec("geoopt"):
        import geoopt

        for name, peer in (("sphere", geoopt.Sphere()), ("hyperbolic plane", geoopt.Lorentz())):
            peers.setdefault(name, {})["geoopt"] = (peer.expmap, peer.logmap)
    if find_spec("flow_matching"):
        from flow_matching.utils import manifolds

        for name, peer in (("sphere", manifolds.Sphere()), ("torus", manifolds.FlatTorus())):
            peers.setdefault(name, {})["flow_matching"] = (peer.expmap, peer.logmap)
    table = []
    for name, others in peers.items():
        space, shape = SPACES[name]
        x, y = (some(space, shape, points, seed) for seed in (4, 5))
        v = space.log(x, y)
        for peer, theirs in others.items():
            for what, ours, other, second in (
                ("exp", space.exp, theirs[0], v),
                ("log", space.log, theirs[1], y),
            ):
                cases = {
                    peer: timing.worked(lambda f=other, a=second, x=x: f(x, a)),
                    "ours": timing.worked(lambda f=ours, a=second, x=x: f(x, a)),
                }
                found, _ = timing.ratios(cases, peer, turns)
                table.append([name, what, peer, found["ours"].text()])
    return table


def main() -> None:
    """Measure, print, and with `--write` record."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="a few points, to see that it runs")
    parser.add_argument("--write", action="store_true", help="record the results")
    options = parser.parse_args()
    timing.one_thread()
    turns, rows, points, steps = (1, 8, 500, 3) if options.smoke else (7, ROWS, POINTS, STEPS)
    tables = {
        "sampling": (["space", "sampler", "run over network"], sampling(turns, rows, steps)),
        "heat": (["space", "heat score over network", "network"], heat(turns, points)),
        "maps": (["space", "map", "peer", "ours over peer"], maps(turns, points)),
    }
    text = "\n\n".join(record.table(head, rows) for head, rows in tables.values() if rows)
    print(text)
    if options.write:
        facts = {
            "environment": record.environment("geoopt", "flow_matching"),
            "results": {name: rows for name, (_, rows) in tables.items()},
        }
        record.save("manifold_speed", facts, text)


if __name__ == "__main__":
    main()
