"""Sets of varying size on exact worlds: samplers with the exact prediction, and trained models.

**samplers**: with the exact prediction of a closed world, what is left is the error of the sampler:
the squared Hellinger distance of the law of the size from the true one, over its floor
`(K - 1) / (8 n)`, and the number of neighbors in a Strauss process on a line of six cells (a pair
of neighbors has a fifth of the weight), beside the exact one. **trained**: the default network
after some steps on draws of a world, sizes and points, its bound of the log-density beside the
exact one, and the K-function of samples beside that of the world. **speed**: a step of a sampler
over the bare network.

    python benchmarks/sets.py --write
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch
from torch import Tensor

import pushforward as pf
import record
from pushforward import Transport, grids, samplers
from pushforward.analytic import AnalyticCounts
from pushforward.distributions import GaussianMixture
from pushforward.metrics import point_pattern
from pushforward.processes import JumpDiffusion, Missing, PointMixtures, Thinning
from pushforward.spaces import PointCloud, Points

MIXTURE = GaussianMixture(torch.tensor([[-1.0, 0.5], [2.0, -0.5]]), 0.25)
WORLD = AnalyticCounts(torch.tensor([0.0, 0.35, 0.1, 0.05, 0.2, 0.3]), MIXTURE)
CELLS, WEIGHT, REPELLED = 6, 1.2, 0.2
SETS = (torch.arange(2**CELLS).unsqueeze(1) >> torch.arange(CELLS)) & 1
PAIRS = (SETS[:, 1:] * SETS[:, :-1]).sum(1).double()
STRAUSS = (WEIGHT ** SETS.sum(1).double() * REPELLED**PAIRS).log().softmax(0)
RULES: dict[str, Any] = {
    "tau-leap": samplers.TauLeaping("exponential"),
    "pinned": samplers.Ancestral(),
    "birth-clocks": samplers.BirthClocks(),
}


def hellinger(number: Tensor, exact: Tensor) -> tuple[float, float]:
    """The squared distance of the sizes of sets from a law, and its floor."""
    shares = torch.bincount(number, minlength=len(exact)) / len(number)
    kinds = int((exact > 0).sum())
    return float(1 - (shares * exact).sqrt().sum()), (kinds - 1) / (8 * len(number))


def code(x: Points) -> Tensor:
    """Which subset of the cells a set is."""
    cell = (2 * x.x[..., 0]).round().long().clamp(0, CELLS - 1)
    taken = torch.zeros(len(x.mask), CELLS, dtype=torch.long).scatter_add(1, cell, x.mask.long())
    return taken.clamp_max(1) @ (2 ** torch.arange(CELLS))


def strauss(process: Thinning) -> Any:
    """The exact prediction of the Strauss process."""

    def model(x_t: Points, t: Any, c: Any = None) -> Missing:
        here = SETS[code(x_t)]
        alpha = torch.as_tensor(process.schedule.values(t)[0]).double().reshape(-1, 1)
        inside = (here.unsqueeze(1) <= SETS.unsqueeze(0)).all(-1)
        lost = (SETS.sum(1) - here.sum(1, keepdim=True)).clamp_min(0)
        log = (STRAUSS.log() + torch.xlogy(lost, 1 - alpha)).masked_fill(~inside, -torch.inf)
        weights = log.softmax(-1)
        counts = torch.zeros(len(here), CELLS + 1).double().scatter_add(1, lost, weights)
        at = (weights @ SETS.double() * (1 - here)).clamp_min(1e-30).log().float()
        means = (0.5 * torch.arange(CELLS)).reshape(1, -1, 1).expand(len(here), -1, -1)
        return Missing(counts.log().float(), PointMixtures(at, means, torch.full_like(means, -7.0)))

    return model


def of_samplers(n: int) -> list[dict[str, Any]]:
    """Each sampler on two worlds, over the number of steps."""
    found = []
    process = Thinning()
    for name, rule in RULES.items():
        for steps in (1, 4, 16, 64) if name != "birth-clocks" else (1,):
            times = [*grids.UniformGrid()(process.schedule, steps, start=1.0), 0.0]
            row: dict[str, Any] = {"table": "samplers", "sampler": name, "steps": steps, "seed": 0}
            transport = Transport(WORLD.thinning_model(process), process)
            x = samplers.run(rule, transport, process.prior((5, 2)).sample(n), times, seed=0)
            row["hellinger"], row["floor"] = hellinger(x.number, WORLD.sizes)
            transport = Transport(strauss(process), process)
            y = samplers.run(rule, transport, process.prior((CELLS, 1)).sample(n), times, seed=0)
            pairs = PAIRS[code(y)]
            row["pairs"], row["pairs stderr"] = float(pairs.mean()), float(pairs.std() / n**0.5)
            row["exact pairs"] = float((STRAUSS * PAIRS).sum())
            found.append(row)
    return found


def trained(steps: int, rows: int, n: int) -> list[dict[str, Any]]:
    """The default network on draws of the world of sizes one to five."""
    space = PointCloud()
    data = pf.data.load(WORLD.sample(rows, seed=1), space=space)
    process = JumpDiffusion(space=space)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = pf.Diffusion.for_data(data, process=process)
    began = time.perf_counter()
    pf.fit(model, data, steps=steps, batch_size=128, progress=False, seed=0)
    seconds = time.perf_counter() - began
    x = model.sample(n, steps=50, seed=0)
    value, floor = hellinger(x.number, WORLD.sizes)
    test = WORLD.sample(200, seed=2)
    bound = model.log_prob(test, draws=64, seed=0).value
    each = MIXTURE.log_prob(test.x.flatten(0, 1)).reshape(test.mask.shape)
    exact = torch.lgamma(test.number + 1.0) + WORLD.sizes.log()[test.number]
    exact = exact + (each * test.mask).sum(1)
    radii = torch.linspace(0, 5, 11)
    found, known = (point_pattern(own.x, own.mask, radii) for own in (x, WORLD.sample(n, seed=3)))
    gap = (found.k - known.k).abs()
    at = int(gap.argmax())
    error = (found.k_stderr[at] ** 2 + known.k_stderr[at] ** 2).sqrt()
    difference = exact.double() - bound
    return [{
        "table": "trained", "steps": steps, "seed": 0, "seconds": seconds,
        "hellinger": value, "floor": floor,
        "gap": float(difference.mean()), "gap stderr": float(difference.std() / len(bound) ** 0.5),
        "k": float(gap[at]), "k stderr": float(error), "k top": float(known.k.max()),
    }]  # fmt: skip


def speed(rows: int = 256) -> list[dict[str, Any]]:
    """Steps of a jump diffusion over evaluations of its network, in turn, the least of five."""
    found = []
    for name, center in (("SetTransformer", 0), ("EquivariantSets", 3)):
        space = PointCloud(center=center)
        process = JumpDiffusion(space=space)
        x = space.nearest(Points(torch.randn(rows, 10, 3), torch.ones(rows, 10).bool()))
        data = pf.data.load(x, space=space)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = pf.Diffusion.for_data(data, process=process)
        transport = Transport(model.predictor, process)
        times = [0.5 - 0.01 * k for k in range(11)]

        @torch.no_grad()
        def network(model: Any = model, x: Any = x) -> None:
            for _ in range(10):
                model.predictor.net(x, torch.full((), 0.5))

        @torch.no_grad()
        def steps(transport: Any = transport, x: Any = x, times: Any = times) -> None:
            samplers.run(samplers.Ancestral(), transport, x, times, seed=0)

        best = {}
        for _ in range(5):
            for what, run in (("network", network), ("step", steps)):
                began = time.perf_counter()
                run()
                best[what] = min(best.get(what, 1e9), (time.perf_counter() - began) / 10)
        found.append({
            "table": "speed", "network": name, "seed": 0,
            "network seconds": best["network"], "step": best["step"],
        })  # fmt: skip
    return found


def text(results: list[dict[str, Any]]) -> str:
    """The tables."""
    of = {name: [row for row in results if row["table"] == name]
          for name in ("samplers", "trained", "speed")}  # fmt: skip
    first = record.table(
        ("sampler", "steps", "Hellinger² of sizes", "floor", "neighbors", "exact"),
        [
            (
                row["sampler"], str(row["steps"]), f"{row['hellinger']:.5f}", f"{row['floor']:.5f}",
                f"{row['pairs']:.3f} ± {row['pairs stderr']:.3f}", f"{row['exact pairs']:.3f}",
            )
            for row in of["samplers"]
        ],
    )  # fmt: skip
    second = record.table(
        ("steps of training", "seconds", "Hellinger² of sizes", "floor", "exact minus bound, nats",
         "largest gap of K", "largest K"),
        [
            (
                f"{row['steps']:,}", f"{row['seconds']:.0f}", f"{row['hellinger']:.5f}",
                f"{row['floor']:.5f}", f"{row['gap']:.3f} ± {row['gap stderr']:.3f}",
                f"{row['k']:.3f} ± {row['k stderr']:.3f}", f"{row['k top']:.2f}",
            )
            for row in of["trained"]
        ],
    )  # fmt: skip
    third = record.table(
        ("network", "evaluation, ms", "step, ms", "step over evaluation"),
        [
            (row["network"], f"{1e3 * row['network seconds']:.1f}", f"{1e3 * row['step']:.1f}",
             f"{row['step'] / row['network seconds']:.2f}")
            for row in of["speed"]
        ],
    )  # fmt: skip
    return f"{first}\n\n{second}\n\n{third}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=2000, help="of training")
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    parser.add_argument("--smoke", action="store_true", help="a few seconds")
    args = parser.parse_args()
    n = 200 if args.smoke else 20_000
    results = of_samplers(n)
    results += trained(5 if args.smoke else args.steps, 300 if args.smoke else 10_000,
                       100 if args.smoke else 5_000)  # fmt: skip
    results += speed(16 if args.smoke else 256)
    print(text(results))
    if args.write:
        found = {"environment": record.environment(), "results": results}
        record.save("sets", found, text(results))


if __name__ == "__main__":
    main()
