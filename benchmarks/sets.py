"""Sets of varying size on exact worlds: samplers with the exact prediction, and trained models.

**samplers**: with the exact prediction of a closed world, what is left is the error of the sampler:
the squared Hellinger distance of the law of the size from the true one, over its floor
`(K - 1) / (8 n)`, and the number of neighbors in a Strauss process on a line of six cells (a pair
of neighbors has a fifth of the weight), beside the exact one. **trained**: the default network
after some steps on draws of a world, sizes and points, its bound of the log-density beside the
exact one, and the K-function of samples beside that of the world. **speed**: a step of a sampler
over the bare network, and the equivariant network beside one of `e3nn` (0.6.0, if it is there).
**given**: the size is inferred from a composition, a part, or a property, in worlds whose exact
conditional laws are known: the mean squared distance of the drawn sizes from them, beside that of
exact draws and that of the law of all sizes.

    python benchmarks/sets.py --write
    python benchmarks/sets.py --tables speed oracle --part speed.json  # some of the tables
    python benchmarks/sets.py --merge trained.json speed.json --write
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

import pushforward as pf
import record
import trainings
from pushforward import Transport, grids, samplers, state
from pushforward.analytic import AnalyticCounts
from pushforward.distributions import GaussianMixture
from pushforward.metrics import point_pattern
from pushforward.processes import JumpDiffusion, Missing, PointMixtures, Thinning
from pushforward.spaces import MarkedPoints, PointCloud, Points

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
    trainings.fit(model, data, steps=steps, batch_size=128, progress=False, seed=0)
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


class Told(NamedTuple):
    """Sets, what is told of each, and the exact chances of the sizes given that."""

    x: Any
    c: Any
    exact: Tensor


def composition(n: int, seed: int) -> Told:
    """How many points are of the first of two kinds: `p(n | k) ~ p(n) C(n, k) w^k (1 - w)^(n-k)`.

    Kinds are those of the components of the mixture.
    """
    x = WORLD.sample(n, seed=seed)
    # The components are twelve deviations apart.
    kinds = ((x.x[..., 0] > 0.5) & x.mask).long().unsqueeze(-1)
    k = (x.mask & (kinds[..., 0] == 0)).sum(1, keepdim=True)
    sizes = torch.arange(6.0)
    ways = torch.lgamma(sizes + 1) - torch.lgamma((sizes - k).clamp_min(0) + 1)
    # Both components have the chance 1/2.
    log = WORLD.sizes.log() + ways - sizes * math.log(2)
    exact = log.masked_fill(sizes < k, -torch.inf).softmax(-1)
    return Told(MarkedPoints(x.x, x.mask, kinds), k.float(), exact)


def part(n: int, seed: int) -> Told:
    """About half of the points, each by a coin: `p(n | k) ~ p(n) C(n, k) 2^-n`."""
    x = WORLD.sample(n, seed=seed)
    g = torch.Generator().manual_seed(seed)
    seen = x.mask & (torch.rand(x.mask.shape, generator=g) < 0.5)
    k, sizes = seen.sum(1, keepdim=True), torch.arange(6.0)
    ways = torch.lgamma(sizes + 1) - torch.lgamma((sizes - k).clamp_min(0) + 1)
    log = WORLD.sizes.log() + ways - sizes * math.log(2)
    exact = log.masked_fill(sizes < k, -torch.inf).softmax(-1)
    return Told(x, Points(x.x * seen.unsqueeze(-1), seen), exact)


def property_of(n: int, seed: int) -> Told:
    """The sum of the coordinates of points `N(1, 1/4)`: `p(n | s) ~ p(n) N(s; n, n/4)`."""
    line = AnalyticCounts(WORLD.sizes, GaussianMixture(torch.ones(1, 1), 0.25))
    x = line.sample(n, seed=seed)
    total = (x.x[..., 0] * x.mask).sum(1, keepdim=True)
    sizes = torch.arange(6.0).clamp_min(1)
    log = WORLD.sizes.log() - 2 * (total - sizes).square() / sizes - 0.5 * sizes.log()
    return Told(x, total, log.softmax(-1))


GIVEN = {"composition": composition, "part": part, "property": property_of}


def of_given(name: str, steps: int, rows: int, n: int, draws: int) -> dict[str, Any]:
    """A model of sets that are told something, and the sizes that it draws in `n` contexts."""
    known, test = GIVEN[name](rows, 1), GIVEN[name](n, 2)
    space = PointCloud(kinds=(2,) if name == "composition" else ())
    data = pf.data.load(pf.data.Data(known.x, known.c, name=name), space=space)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = pf.Diffusion.for_data(data, process=JumpDiffusion(space=space))
    began = time.perf_counter()
    trainings.fit(model, data, steps=steps, batch_size=128, progress=False, seed=0)
    seconds = time.perf_counter() - began
    told = state.map_leaves(lambda a: a.repeat_interleave(draws, 0), test.c)
    x = model.sample(n * draws, told, steps=50, seed=0)
    exact = test.exact.double()
    drawn = torch.multinomial(exact, draws, True, generator=torch.Generator().manual_seed(3))

    def apart(number: Tensor) -> Tensor:
        shares = functional.one_hot(number.reshape(n, draws), 6).double().mean(1)
        return 1 - (shares * exact).sqrt().sum(1)

    found, uninformed = apart(x.number), 1 - (WORLD.sizes.double() * exact).sqrt().sum(1)
    return {
        "table": "given", "given": name, "steps": steps, "seed": 0, "seconds": seconds,
        "hellinger": float(found.mean()), "hellinger stderr": float(found.std() / n**0.5),
        "exact draws": float(apart(drawn).mean()), "law of all": float(uninformed.mean()),
    }  # fmt: skip


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


def tensor_field(scalars: int, vectors: int, depth: int) -> torch.nn.Module | None:
    """An equivariant network of tensor products of `e3nn`, for vectors and numbers of each point;
    `None` where the package is not there."""
    try:
        import e3nn
        from e3nn import o3
    except ImportError:
        return None
    e3nn.set_optimization_defaults(jit_script_fx=False)
    harmonics = o3.Irreps("1x0e + 1x1o")
    hidden = o3.Irreps(f"{scalars}x0e + {vectors}x1o")

    class TensorField(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Linear(1, scalars)
            self.products = torch.nn.ModuleList(
                o3.FullyConnectedTensorProduct(hidden, harmonics, hidden, shared_weights=False)
                for _ in range(depth)
            )
            self.radial = torch.nn.ModuleList(
                torch.nn.Sequential(
                    torch.nn.Linear(1, scalars),
                    torch.nn.SiLU(),
                    torch.nn.Linear(scalars, product.weight_numel),
                )
                for product in self.products
            )
            self.last = o3.Linear(hidden, o3.Irreps("1x1o"))

        def forward(self, x: Tensor, h: Tensor) -> Tensor:
            """Vectors `(B, N, 3)` of points and their features `(B, N, 1)`."""
            gap = x.unsqueeze(2) - x.unsqueeze(1)
            along = o3.spherical_harmonics(harmonics, gap, True, "component")
            distance = (gap.square().sum(-1, keepdim=True) + 1e-12).sqrt()
            h = functional.pad(self.first(h), (0, 3 * vectors))
            for product, radial in zip(self.products, self.radial, strict=True):
                sent = h.unsqueeze(1).expand(*gap.shape[:3], -1)
                message = product(sent, along, radial(distance)).mean(2)
                numbers, rest = message[..., :scalars], message[..., scalars:]
                h = h + torch.cat([functional.silu(numbers), rest], -1)
            found: Tensor = self.last(h)
            return found

    return TensorField()


def oracle(rows: int = 64, points: int = 10) -> list[dict[str, Any]]:
    """A training step of our equivariant network and of one of `e3nn`, in turn, the least of five;
    and how far each is from turning with its points."""
    g = torch.Generator().manual_seed(0)
    x, h = torch.randn(rows, points, 3, generator=g), torch.randn(rows, points, 1, generator=g)
    mask, t = torch.ones(rows, points, dtype=torch.bool), torch.rand(rows, generator=g)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=g).double())[0].float()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        ours = pf.nn.EquivariantNetwork(1, width=64, depth=4)
        theirs = tensor_field(32, 8, 4)
    calls: dict[str, tuple[torch.nn.Module, Any]] = {
        "EquivariantNetwork": (ours, lambda x: ours(x, h, mask, t)[0]),
    }
    if theirs is not None:
        calls["e3nn, 32 scalars and 8 vectors"] = theirs, lambda x: theirs(x, h)
    best: dict[str, float] = {}
    for _ in range(5):
        for name, (_, call) in calls.items():
            began = time.perf_counter()
            call(x).square().mean().backward()
            best[name] = min(best.get(name, 1e9), time.perf_counter() - began)
    found = []
    for name, (net, call) in calls.items():
        with torch.no_grad():
            turned, plain = call(x @ turn), call(x) @ turn
        found.append({
            "table": "oracle", "network": name, "seed": 0, "seconds": best[name],
            "weights": sum(p.numel() for p in net.parameters()),
            "error": float((turned - plain).abs().max() / plain.abs().max()),
        })  # fmt: skip
    return found


def text(results: list[dict[str, Any]]) -> str:
    """The tables."""
    of = {name: [row for row in results if row["table"] == name]
          for name in ("samplers", "trained", "given", "speed", "oracle")}  # fmt: skip
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
    told = record.table(
        ("given", "steps of training", "Hellinger² of sizes", "exact draws", "law of all sizes"),
        [
            (
                row["given"], f"{row['steps']:,}",
                f"{row['hellinger']:.4f} ± {row['hellinger stderr']:.4f}",
                f"{row['exact draws']:.4f}", f"{row['law of all']:.3f}",
            )
            for row in of["given"]
        ],
    )  # fmt: skip
    beside = record.table(
        ("network", "weights", "training step, ms", "error of a turn"),
        [
            (row["network"], f"{row['weights']:,}", f"{1e3 * row['seconds']:.1f}",
             f"{row['error']:.0e}")
            for row in of["oracle"]
        ],
    )  # fmt: skip
    return "\n\n".join((first, second, told, third, beside))


TABLES = ("samplers", "trained", *GIVEN, "speed", "oracle")


def made(name: str, smoke: bool, steps: int) -> list[dict[str, Any]]:
    """The rows of a table."""
    if name == "samplers":
        return of_samplers(200 if smoke else 20_000)
    if name == "trained":
        return trained(*((5, 300, 100) if smoke else (steps, 10_000, 5_000)))
    if name in GIVEN:
        return [of_given(name, *((5, 300, 10, 20) if smoke else (steps, 10_000, 60, 100)))]
    if name == "speed":
        return speed(16 if smoke else 256)
    return oracle(*((2, 3) if smoke else ()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES)
    parser.add_argument("--steps", type=int, default=1200, help="of training")
    parser.add_argument("--part", type=Path, help="keep the results in this file")
    parser.add_argument("--merge", type=Path, nargs="+", default=[], help="files of --part")
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    parser.add_argument("--smoke", action="store_true", help="a few seconds")
    args = parser.parse_args()
    torch.set_num_threads(1)
    results = record.parts(args.merge)
    if not results:
        results = [row for name in args.tables for row in made(name, args.smoke, args.steps)]
    if args.part is not None:
        args.part.write_text(json.dumps(results) + "\n", encoding="utf-8")
    print(text(results))
    if args.write:
        found = {"environment": record.environment(), "results": results}
        record.save("sets", found, text(results))


if __name__ == "__main__":
    main()
