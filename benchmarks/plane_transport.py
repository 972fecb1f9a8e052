"""Maps between laws of the plane: distance to the target and energy of the way, as published.

Four pairs at the scales of the published tables (Tong et al. 2024b; Shi et al. 2023), 10,000 points
to learn from and as many others to judge by, one network for all: three layers of 64 with SELU.
`W2` is the exact distance between mapped and held-out points; the normalized path energy is
`|E - W2^2| / W2^2`, with the energy `E` of the ODE and the exact `W2` of the two laws. What has
random paths is judged by them too. The floor is `W2` of the very points of the target that were
learned from: who learns these, and nothing of the law behind them, is as far.

    make bench-env
    .venv-bench/bin/python benchmarks/plane_transport.py --write
    .venv-bench/bin/python benchmarks/plane_transport.py --seeds 0 --part zero.json

`--part FILE` keeps results in a file, so that several processes can share the work; `--merge` puts
such files together.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import torch
from sklearn.datasets import make_moons, make_s_curve
from torch import Tensor, nn

import pushforward as pf
import record
import timing
import trainings
from pushforward.couplings import Sinkhorn
from pushforward.processes import Bridge

SEEDS = (0, 1, 2, 3, 4)
POINTS, BATCH, STEPS, RATE, ODE_STEPS = 10_000, 256, 5_000, 1e-2, 100
LONGER, WIDER, HALVES = 2, 4, 16
"""Bridges take so many times the steps and points per step of flows, in so many iterations."""
PAIRS = ("N-8gaussians", "moons-8gaussians", "N-moons", "N-scurve")
SIGMA = {
    "[SF]2M": {"N-8gaussians": 1.0, "moons-8gaussians": 1.0, "N-moons": 0.5, "N-scurve": 0.5},
    "dsbm-imf": {"N-8gaussians": 1.0, "moons-8gaussians": 5.0, "N-moons": 0.5, "N-scurve": 0.5},
    "dsbm-ipf": {"N-8gaussians": 2.0, "moons-8gaussians": 5.0, "N-moons": 1.0, "N-scurve": 1.0},
    "dsb": {"N-8gaussians": 2.0, "moons-8gaussians": 8.0, "N-moons": 1.0, "N-scurve": 1.0},
}
"""Of the noise on random paths. The last two methods begin with those of the reference, which
should get to the target."""

Move = Callable[[Tensor], Tensor]
"""Carries points of the source `(n, 2)` to the target."""

PUBLISHED: dict[str, dict[str, tuple[str, ...]]] = {
    "W2": {
        "[SF]2M, exact": (".275 ± .058", ".726 ± .137", ".124 ± .023", ".128 ± .005"),
        "OT-CFM": (".303 ± .043", ".601 ± .027", ".130 ± .016", ".144 ± .028"),
        "CFM": (".373 ± .103", "1.557 ± .407", ".178 ± .014", ".242 ± .141"),
        "rectified flow": (".421 ± .071", "1.525 ± .330", ".283 ± .045", ".345 ± .079"),
        "DSBM-IPF": (".315 ± .079", ".812 ± .092", ".140 ± .006", ".140 ± .024"),
        "DSBM-IMF": (".338 ± .091", ".838 ± .098", ".144 ± .024", ".145 ± .037"),
        "DSB": (".411 ± .084", ".987 ± .324", ".190 ± .049", ".272 ± .065"),
    },
    "normalized path energy": {
        "[SF]2M, exact": (".016 ± .012", ".045 ± .031", ".053 ± .038", ".034 ± .024"),
        "OT-CFM": (".031 ± .027", ".015 ± .010", ".083 ± .009", ".027 ± .012"),
        "CFM": (".202 ± .055", "2.680 ± .292", ".891 ± .120", ".856 ± .031"),
        "rectified flow": (".044 ± .031", ".203 ± .090", ".130 ± .078", ".099 ± .066"),
        "DSBM-IPF": (".022 ± .020", ".244 ± .027", ".383 ± .034", ".297 ± .036"),
        "DSBM-IMF": (".029 ± .017", ".345 ± .049", ".230 ± .028", ".286 ± .033"),
        "DSB": ("–", "–", "–", "–"),
    },
}
"""Tong et al. 2024b, Table 2 (100 steps), in the order of `PAIRS`."""


def moons(n: int, seed: int, noise: float) -> Tensor:
    """Two half circles."""
    return torch.from_numpy(make_moons(n, noise=noise, random_state=seed)[0]).float()


def eight(n: int, g: torch.Generator, radius: float, std: float) -> Tensor:
    """Eight Gaussians on a circle."""
    angle = torch.randint(8, (n,), generator=g) * (math.pi / 4)
    center = radius * torch.stack((angle.cos(), angle.sin()), 1)
    return center + std * torch.randn(n, 2, generator=g)


def laws(pair: str, n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Points of the source and of the target at the published scales."""
    g = torch.Generator().manual_seed(seed)
    if pair == "moons-8gaussians":
        # One mean and one deviation for both coordinates, those of the law: with those of each
        # coordinate the squared distance of the laws is 19, and the published energies are near 30.
        law = moons(100_000, 0, 0.1)
        return 7 * (moons(n, seed, 0.1) - law.mean()) / law.std(), eight(n, g, 12.0, 1.5)
    x = torch.randn(n, 2, generator=g)
    if pair == "N-8gaussians":
        return x, eight(n, g, 5.0, 1.0)
    if pair == "N-moons":
        return x, 2 * moons(n, seed, 0.05) - 1
    curve = make_s_curve(n, noise=0.05, random_state=seed)[0][:, [0, 2]]
    return x, 1.5 * torch.from_numpy(curve).float()


class Perceptron(nn.Module):
    """The published network: three layers of 64 with SELU, the time as one more input."""

    def __init__(self, outputs: int = 2) -> None:
        super().__init__()
        sizes = (3, 64, 64, 64)
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.SELU()]
        self.layers = nn.Sequential(*layers, nn.Linear(64, outputs))

    def forward(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        """The prediction at states and times."""
        return self.layers(torch.cat((x, t.expand(len(x))[:, None]), 1))


def w2(x: Tensor, y: Tensor) -> float:
    """The exact distance of two sets of as many points."""
    return math.sqrt(float(pf.ot.exact(x, y).cost))


def energy_of(velocity: Callable[[Tensor, float], Tensor], x: Tensor) -> tuple[Tensor, float]:
    """Where Euler steps of the ODE end, and the mean of the squared velocity along them."""
    total = 0.0
    for k in range(ODE_STEPS):
        v = velocity(x, k / ODE_STEPS)
        total += float(v.square().sum(1).mean()) / ODE_STEPS
        x = x + v / ODE_STEPS
    return x, total


def settings(steps: int, seed: int, source: Tensor, batch: int = BATCH) -> dict[str, Any]:
    """What all of ours are trained with; in the units of the data, as the published ones are."""
    return {
        "source": source, "steps": steps, "batch_size": min(batch, len(source)), "lr": RATE,
        "holdout": 0.0, "standardize": False, "seed": seed, "progress": False,
    }  # fmt: skip


def matched(
    pair: str, steps: int, seed: int, source: Tensor, target: Tensor, **options: Any
) -> Any:
    """A trained `FlowMatching`; a noisy path has two outputs."""
    noisy = isinstance(options.get("path"), Bridge)
    model = pf.FlowMatching(Perceptron(4) if noisy else Perceptron(), **options)
    trainings.fit(model, target, **settings(steps, seed, source))
    return model


def rectified(pair: str, steps: int, seed: int, source: Tensor, target: Tensor) -> Any:
    """A flow, and one more on its own pairs, with half of the steps each."""
    model = pf.FlowMatching(Perceptron())
    half = settings(steps // 2, seed, source)
    return pf.rectify(model, target, rounds=2, pairs=len(source), **half).model


def bridged(
    pair: str, steps: int, seed: int, source: Tensor, target: Tensor, *, method: str
) -> Any:
    """A trained `SchrodingerBridge`."""
    halves = min(HALVES, max(2, steps // 4))
    length = max(1, LONGER * steps // halves)
    model = pf.SchrodingerBridge(
        Perceptron(),
        Perceptron(),
        reference=Bridge(SIGMA[method][pair]),
        method=method,
        iterations=pf.schrodinger.OuterIterations(count=halves, steps=length),
    )
    trainings.fit(model, target, **settings(halves * length, seed, source, WIDER * BATCH))
    return model


def simulation_free(pair: str, *args: Any) -> Any:
    """[SF]2M: a Schrödinger bridge by entropic plans of batches."""
    sigma = SIGMA["[SF]2M"][pair]
    return matched(pair, *args, path=Bridge(sigma), coupling=Sinkhorn.of_bridge(sigma))


OURS: dict[str, Callable[..., Any]] = {
    "CFM": matched,
    "OT-CFM": partial(matched, coupling="ot"),
    "OT-CFM, whole sets": partial(matched, coupling="whole"),
    "rectified flow": rectified,
    "[SF]2M": simulation_free,
    "DSBM-IPF": partial(bridged, method="dsbm-ipf"),
    "DSBM-IMF": partial(bridged, method="dsbm-imf"),
    "DSB": partial(bridged, method="dsb"),
}


RANDOM = {"[SF]2M": "sde", "DSBM-IPF": None, "DSBM-IMF": None, "DSB": None}
"""What follows the random paths of those that have them; bridges have their own sampler."""


class Judged(NamedTuple):
    """A trained map: where points go, the energy of their ways, and where random paths go."""

    parameters: int
    ode: Callable[[Tensor], tuple[Tensor, float]]
    random: Move | None = None


def ours(name: str, *args: Any) -> Judged:
    """One of ours, trained."""
    model = OURS[name](*args)

    def ode(x: Tensor) -> tuple[Tensor, float]:
        y = model.forward(x, sampler="euler", steps=ODE_STEPS)
        return y, float(model.path_energy(x, steps=ODE_STEPS).mean())

    def random(x: Tensor) -> Tensor:
        y: Tensor = model.forward(x, sampler=RANDOM[name], steps=ODE_STEPS, seed=0)
        return y

    size = sum(p.numel() for p in model.parameters())
    return Judged(size, ode, random if name in RANDOM else None)


def torchcfm(name: str, pair: str, steps: int, seed: int, source: Tensor, target: Tensor) -> Judged:
    """The training loop of its examples, with the same network, steps and decay of the rate."""
    from torchcfm import conditional_flow_matching as cfm

    matcher = {
        "torchcfm CFM": cfm.ConditionalFlowMatcher,
        "torchcfm OT-CFM": cfm.ExactOptimalTransportConditionalFlowMatcher,
    }[name](sigma=0.1)
    net = Perceptron()
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    size = min(BATCH, len(source))
    for _ in range(steps):
        x0, x1 = (side[torch.randint(len(side), (size,))] for side in (source, target))
        t, x_t, u_t = matcher.sample_location_and_conditional_flow(x0, x1)
        loss = (net(x_t, t) - u_t).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        decay.step()

    @torch.no_grad()
    def ode(x: Tensor) -> tuple[Tensor, float]:
        return energy_of(lambda x, t: net(x, torch.tensor(t)), x)

    return Judged(sum(p.numel() for p in net.parameters()), ode)


PEERS = ("torchcfm CFM", "torchcfm OT-CFM")
FLOOR = "points learned from"
METHODS = (FLOOR, *OURS, *PEERS)


def run(pair: str, seed: int, methods: Sequence[str], smoke: bool) -> list[dict[str, Any]]:
    """All methods on one pair."""
    n, steps = (64, 8) if smoke else (POINTS, STEPS)
    source, target = laws(pair, n, 3 * seed)
    x, y = laws(pair, n, 3 * seed + 1)
    truth = w2(x, y) ** 2
    results = []
    for name in methods:
        result: dict[str, Any] = {"pair": pair, "seed": seed, "method": name}
        if name == FLOOR:
            result["W2"] = w2(target, y)
        else:
            train = torchcfm if name in PEERS else ours
            torch.manual_seed(seed)
            start = time.process_time()
            judged = train(name, pair, steps, seed, source, target)
            result |= {"seconds": time.process_time() - start, "parameters": judged.parameters}
            end, energy = judged.ode(x)
            result |= {"W2": w2(end, y), "energy": energy, "truth": truth}
            if judged.random:
                result["random"] = w2(judged.random(x), y)
        results.append(result)
        print(results[-1], flush=True)
    return results


def text(results: list[dict[str, Any]]) -> str:
    """A table for each number, the published rows below ours."""
    floors = {(r["pair"], r["seed"]): r["W2"] for r in results if r["method"] == FLOOR}

    def above(r: dict[str, Any], number: str) -> float | None:
        floor = floors.get((r["pair"], r["seed"]))
        known = number in r and floor is not None and r["method"] != FLOOR
        return r[number] - floor if known else None

    numbers: dict[str, Callable[[dict[str, Any]], float | None]] = {
        "W2": lambda r: r["W2"],
        "W2, random paths": lambda r: r.get("random"),
        "W2 less the floor of the same seed": lambda r: above(r, "W2"),
        "W2 less the floor of the same seed, random paths": lambda r: above(r, "random"),
        "normalized path energy": lambda r: (
            abs(r["energy"] - r["truth"]) / r["truth"] if "energy" in r else None
        ),
    }
    parts = []
    for title, number in numbers.items():
        rows = []
        for method in METHODS:
            cells = []
            for pair in PAIRS:
                of_cell = [r for r in results if (r["method"], r["pair"]) == (method, pair)]
                cells.append(_mean([n for r in of_cell if (n := number(r)) is not None]))
            if set(cells) != {"–"}:
                rows.append([f"ours {method}" if method in OURS else method, *cells])
        rows += [[f"published {name}", *cells] for name, cells in PUBLISHED.get(title, {}).items()]
        parts.append(f"**{title}**\n\n{record.table(['', *PAIRS], rows)}")
    return "\n\n".join(parts)


def _mean(values: list[float]) -> str:
    if not values:
        return "–"
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.3f}{spread}"


def main() -> None:
    """Train, judge, print, and with `--write` record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="a few steps, to see that it runs")
    parser.add_argument("--write", action="store_true", help="record the results")
    parser.add_argument("--pairs", nargs="+", default=PAIRS, help="which pairs")
    parser.add_argument("--methods", nargs="+", default=METHODS, help="which methods")
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS, help="which seeds")
    parser.add_argument("--part", type=Path, help="keep the results in a file")
    parser.add_argument("--merge", nargs="+", type=Path, help="files of parts, to put together")
    options = parser.parse_args()
    timing.one_thread()
    results: list[dict[str, Any]] = []
    if options.merge:
        results = record.parts(options.merge)
    else:
        for seed in options.seeds[:1] if options.smoke else options.seeds:
            for pair in options.pairs[:1] if options.smoke else options.pairs:
                methods = [FLOOR, *OURS] if options.smoke else options.methods
                results += run(pair, seed, methods, options.smoke)
                if options.part:
                    options.part.write_text(json.dumps(results))
    print(text(results))
    if options.write:
        facts = {"environment": record.environment("torchcfm"), "steps": STEPS, "points": POINTS}
        record.save("plane_transport", facts | {"results": results}, text(results))


if __name__ == "__main__":
    main()
