"""Conditional distributions learned from pairs: Schrödinger bridges beside what they start from.

Three conditionals in one dimension and the posterior of a biochemical model, as in Shi et al. 2022,
whose truth is known: quantiles in closed form, and quadrature. All methods learn from the same
pairs in as many optimizer steps; bridges spend them on two networks in turns.

    python benchmarks/conditional_bridges.py --write
    python benchmarks/conditional_bridges.py --tasks bod --seeds 1 --part one.jsonl   # in pieces,
    python benchmarks/conditional_bridges.py --merge one.jsonl two.jsonl --write      # and together
"""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

import entries
import pushforward as pf
import record
import shared
import timing
import trainings
from pushforward.models import RegressedSource, recondition
from pushforward.processes import Bridge
from pushforward.schrodinger import CouplingCache, OuterIterations

SEEDS = (1, 2, 3)
PAIRS, DRAWS, STEPS = 20_000, 5_000, 1_400
GRID = 1200
"""Points of each parameter in the quadrature of a posterior."""

TRAINING: dict[str, Any] = {
    "batch_size": 512,
    "lr": 3e-3,
    "ema": 0.998,
    "holdout": 0.0,
    "progress": False,
    "device": "cpu",
}

Draw = Callable[[Tensor], Tensor]
"""Draws `(DRAWS, d)` in a context `(k,)`."""


# -- three conditionals in one dimension ----------------------------------------------------------

LINES = ("type1", "type2", "type3")
SCALE, WOBBLE = 0.3, 0.05
AT = (-1.2, 0.0, 1.2)


def quantile(kind: str, y: Tensor, p: Tensor) -> Tensor:
    """The quantile function of `x` given `y`, which is uniform on (-3, 3).

    `tanh(y) + g`, `tanh(y + w)` and `g tanh(y)`, with `g` exponential of mean `SCALE` and `w`
    normal of variance `WOBBLE`.
    """
    gamma = -SCALE * torch.log1p(-p)
    if kind == "type1":
        return y.tanh() + gamma
    if kind == "type2":
        normal = torch.distributions.Normal(0.0, 1.0).icdf(p)
        return (y + WOBBLE**0.5 * normal).tanh()
    # Where the factor is negative, large numbers come from small ones.
    falling = -SCALE * torch.log(p)
    return torch.where(y < 0, falling, gamma) * y.tanh()


def line_errors(kind: str, draw: Draw) -> dict[str, float]:
    """Means over the contexts: of W1, and of the absolute errors of moments and of quantiles."""
    p = (torch.arange(DRAWS, dtype=torch.float64) + 0.5) / DRAWS
    sums: dict[str, float] = {}
    for y in AT:
        found = draw(torch.tensor([y])).double().flatten().sort().values
        truth = quantile(kind, torch.tensor(y, dtype=torch.float64), p)
        ends = (found - truth)[[DRAWS // 20, -(DRAWS // 20)]]
        errors = {
            "W1": (found - truth).abs().mean(),
            "mean": (found.mean() - truth.mean()).abs(),
            "deviation": (found.std() - truth.std()).abs(),
            "5% and 95% quantiles": ends.abs().mean(),
        }
        for name, value in errors.items():
            sums[name] = sums.get(name, 0.0) + float(value) / len(AT)
    return sums


# -- biochemical oxygen demand --------------------------------------------------------------------

OBSERVED = (0.18, 0.32, 0.42, 0.49, 0.54)
NOISE = 1e-3
GOLD = {
    "mean": (0.075, 0.875),
    "variance": (0.190, 0.397),
    "skewness": (1.935, 0.681),
    "kurtosis": (8.537, 3.437),
}
"""Moments of the posterior by 6 million steps of MCMC, from the code of Shi et al. 2022."""


def demand(theta: Tensor) -> Tensor:
    """The five observations without noise, `(..., 5)`."""
    a, b = theta.unbind(-1)
    level = 0.4 + 0.4 * (1 + torch.erf(a / 2**0.5))
    rate = 0.01 + 0.15 * (1 + torch.erf(b / 2**0.5))
    days = torch.arange(1, 6, dtype=theta.dtype)
    return level[..., None] * (1 - torch.exp(-rate[..., None] * days))


def moments(x: Tensor, weights: Tensor) -> dict[str, Tensor]:
    """Mean, variance, skewness and kurtosis of both parameters, of weighted points `(n, 2)`."""
    w = (weights / weights.sum())[:, None]
    mean = (w * x).sum(0)
    gap = x - mean
    variance = (w * gap**2).sum(0)
    return {
        "mean": mean,
        "variance": variance,
        "skewness": (w * gap**3).sum(0) / variance**1.5,
        "kurtosis": (w * gap**4).sum(0) / variance**2,
    }


@functools.cache
def posterior_grid() -> tuple[Tensor, Tensor]:
    """A grid of parameters and the posterior's weights on it: quadrature."""
    axis = torch.linspace(-6, 6, GRID, dtype=torch.float64)
    theta = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    gap = demand(theta) - torch.tensor(OBSERVED, dtype=torch.float64)
    log_p = -0.5 * gap.square().sum(1) / NOISE - 0.5 * theta.square().sum(1)
    return theta, (log_p - log_p.max()).exp()


def bod_errors(draw: Draw) -> dict[str, float]:
    """The root mean square over both parameters of the error of each moment."""
    x = draw(torch.tensor(OBSERVED)).double()
    found, truth = moments(x, torch.ones(len(x))), moments(*posterior_grid())
    return {
        name: float((found[name] - value).square().mean().sqrt()) for name, value in truth.items()
    }


# -- tasks ----------------------------------------------------------------------------------------

TASKS = (*LINES, "bod")


def pairs_of(task: str, n: int, seed: int) -> pf.data.Data:
    """Pairs to learn from."""
    g = torch.Generator().manual_seed(seed)
    if task == "bod":
        theta, noise = (torch.randn(n, k, generator=g) for k in (2, 5))
        return pf.data.Data(theta, c=demand(theta) + NOISE**0.5 * noise)
    y = 6 * torch.rand(n, 1, generator=g) - 3
    p = torch.rand(n, 1, generator=g, dtype=torch.float64)
    return pf.data.Data(quantile(task, y.double(), p).float(), c=y)


def contexts_of(task: str) -> list[Tensor]:
    """Where conditionals are judged."""
    return [torch.tensor(OBSERVED)] if task == "bod" else [torch.tensor([y]) for y in AT]


def errors_of(task: str, draw: Draw) -> dict[str, float]:
    """How far draws are from the truth."""
    return bod_errors(draw) if task == "bod" else line_errors(task, draw)


def exact(task: str, seed: int) -> Draw:
    """Draws of the truth itself, whose errors are the floor."""

    def draw(y: Tensor) -> Tensor:
        g = torch.Generator().manual_seed(seed)
        if task == "bod":
            theta, weights = posterior_grid()
            cells = torch.multinomial(weights.float(), DRAWS, replacement=True, generator=g)
            # Anywhere in the cell.
            return theta[cells] + 0.01 * (torch.rand(DRAWS, 2, generator=g) - 0.5)
        p = torch.rand(DRAWS, 1, generator=g, dtype=torch.float64)
        return quantile(task, y.double(), p)

    return draw


# -- methods --------------------------------------------------------------------------------------


def network(data: pf.data.Data, seed: int) -> nn.Module:
    """A perceptron, the same for all methods with a network in time."""
    torch.manual_seed(seed)
    return pf.nn.MLP(data.x.shape[1], width=64, depth=2, context=data.context_size)


def diffusion(data: pf.data.Data, seed: int, steps: int) -> dict[str, Draw]:
    """A conditional diffusion over its usual schedule, by three samplers."""
    model = pf.Diffusion(network(data, seed), label_dropout=0.0)
    trainings.fit(model, data, steps=steps, seed=seed, **TRAINING)

    def by(sampler: str, count: int) -> Draw:
        return lambda y: model.sample(DRAWS, y, sampler=sampler, steps=count, seed=seed)

    return {
        "diffusion, ddpm, N = 20": by("ddpm", 20),
        "diffusion, ddpm, N = 50": by("ddpm", 50),
        "diffusion, dpm++2m, N = 20": by("dpm++2m", 20),
    }


def matching(data: pf.data.Data, seed: int, steps: int) -> dict[str, Draw]:
    """Flow matching, by ten steps of Heun's method."""
    model = pf.FlowMatching(network(data, seed), label_dropout=0.0)
    trainings.fit(model, data, steps=steps, seed=seed, **TRAINING)
    return {
        "flow matching, heun, N = 10": lambda y: model.sample(
            DRAWS, y, sampler="heun", steps=10, seed=seed
        )
    }


def flow(data: pf.data.Data, seed: int, steps: int) -> dict[str, Draw]:
    """A normalizing flow of splines."""
    torch.manual_seed(seed)
    model = pf.NormalizingFlow.for_data(data)
    trainings.fit(model, data, steps=steps, seed=seed, **TRAINING)
    return {"normalizing flow": lambda y: model.sample(DRAWS, y, seed=seed)}


class Begun(pf.SchrodingerBridge):
    """A bridge whose draws are kept when its first outer iteration ends: what it starts from."""

    at: list[Tensor]
    kept: dict[tuple[float, ...], Tensor]

    def on_step(self, step: int, source: Any, target: Tensor, c: Any = None) -> None:
        super().on_step(step, source, target, c)
        if step == self.iterations.first_steps:
            self.kept = {tuple(y.tolist()): self.sample(DRAWS, y, seed=step) for y in self.at}

    def before(self, y: Tensor) -> Tensor:
        """The draws of its first outer iteration."""
        return self.kept[tuple(y.tolist())]


def fitted_bridge(
    data: pf.data.Data, seed: int, steps: int, at: list[Tensor], **options: Any
) -> Begun:
    """A trained bridge of 20 steps, forward first."""
    # The first two start from nothing; the last one is forward again.
    rounds = OuterIterations(5, steps // 7, first_steps=2 * (steps // 7), first="forward")
    nets = network(data, seed), network(data, seed + 1000)
    cache = CouplingCache(rows=min(len(data), 10_000))
    model = Begun(*nets, iterations=rounds, cache=cache, steps=20, ema=0.99, **options)
    model.at = at
    trainings.fit(model, data, steps=rounds.total_steps, seed=seed, schedule="constant", **TRAINING)
    return model


def bridge(data: pf.data.Data, seed: int, steps: int, at: list[Tensor]) -> dict[str, Draw]:
    """CDSB over a short noising, of variance 0.5 as there, and what it starts from."""
    reference = Bridge(0.5**0.5)
    model = fitted_bridge(data, seed, steps, at, reference=reference, method="dsbm-ipf")

    def through(y: Tensor) -> Tensor:
        rows = torch.randint(len(data), (DRAWS,), generator=torch.Generator().manual_seed(seed))
        assert data.c is not None
        found: Tensor = recondition(model, data.x[rows], data.c[rows], y, seed=seed)
        return found

    return {
        "CSGM, the first iteration of CDSB, N = 20": model.before,
        "CDSB, N = 20": lambda y: model.sample(DRAWS, y, seed=seed),
        "CDSB-FB, N = 20": through,
    }


def csgm(data: pf.data.Data, seed: int, steps: int, at: list[Tensor]) -> dict[str, Draw]:
    """The first iteration of that bridge alone, for as long as all of it trains."""
    rounds = OuterIterations(2, steps, first="forward")
    nets = network(data, seed), network(data, seed + 1000)
    model = pf.SchrodingerBridge(*nets, Bridge(0.5**0.5), "dsbm-ipf", rounds, steps=20, ema=0.99)
    # The first step of the second iteration ends the first one, whose variance is measured then.
    trainings.fit(model, data, steps=steps + 1, seed=seed, schedule="constant", **TRAINING)
    return {"CSGM alone, N = 20": lambda y: model.sample(DRAWS, y, seed=seed)}


def imf_bridge(data: pf.data.Data, seed: int, steps: int, at: list[Tensor]) -> dict[str, Draw]:
    """Iterative Markovian fitting from independent pairs, in each context."""
    model = fitted_bridge(data, seed, steps, at, reference=Bridge(0.5), method="dsbm-imf")
    return {"CDSB by IMF, N = 20": lambda y: model.sample(DRAWS, y, seed=seed)}


def regressed_bridge(
    data: pf.data.Data, seed: int, steps: int, at: list[Tensor]
) -> dict[str, Draw]:
    """CDSB-C: from a regression of the data on their contexts, and that regression itself."""
    start = RegressedSource(2)
    model = fitted_bridge(
        data, seed, steps, at, reference=Bridge(0.5), method="dsbm-ipf", start=start
    )
    return {
        "regression of degree 2": lambda y: start.sample(
            y.expand(DRAWS, -1), torch.Generator().manual_seed(seed)
        ),
        "CDSB-C from that regression, N = 20": lambda y: model.sample(DRAWS, y, seed=seed),
    }


PLAIN = {"diffusion": diffusion, "matching": matching, "flow": flow}
BRIDGES = {"csgm": csgm, "bridge": bridge, "imf": imf_bridge, "bridge-c": regressed_bridge}
METHODS = (*PLAIN, *BRIDGES)
FLOOR = "exact draws"

ROWS = (
    FLOOR,
    "CSGM alone, N = 20",
    "CSGM, the first iteration of CDSB, N = 20",
    "CDSB, N = 20",
    "CDSB-FB, N = 20",
    "CDSB by IMF, N = 20",
    "regression of degree 2",
    "CDSB-C from that regression, N = 20",
    "diffusion, ddpm, N = 20",
    "diffusion, ddpm, N = 50",
    "diffusion, dpm++2m, N = 20",
    "flow matching, heun, N = 10",
    "normalizing flow",
)
"""In the order of the tables."""


# -- runs -----------------------------------------------------------------------------------------


def run(task: str, training: str, seed: int, smoke: bool) -> list[dict[str, Any]]:
    """Train one method, and judge all ways to draw from it."""
    if training == FLOOR:
        return [{"method": FLOOR, "seconds": 0} | errors_of(task, exact(task, seed))]
    data = pairs_of(task, 500 if smoke else PAIRS, seed)
    steps = 7 if smoke else STEPS
    start = time.process_time()
    if training in PLAIN:
        ways = PLAIN[training](data, seed, steps)
    else:
        ways = BRIDGES[training](data, seed, steps, contexts_of(task))
    spent = time.process_time() - start
    return [
        {"method": name, "seconds": round(spent, 1)} | errors_of(task, draw)
        for name, draw in ways.items()
    ]


def text(results: list[dict[str, Any]]) -> str:
    """A table for each task: a row for each method, a column for each error."""
    parts = []
    for task in TASKS:
        own = [result for result in results if result["task"] == task]
        if not own:
            continue
        about = ("task", "training", "method", "seed", "seconds")
        names = [key for key in own[0] if key not in about]
        rows = []
        for method in ROWS:
            found = [result for result in own if result["method"] == method]
            if not found:
                continue
            cells = [entries.mean([100 * r[name] for r in found], 0.0) for name in names]
            seconds = statistics.median(result["seconds"] for result in found)
            rows.append([method, *cells, f"{seconds:.0f}" if seconds else "–"])
        parts.append(f"**{task}**\n\n{record.table(['', *names, 'seconds'], rows)}")
        if task == "bod":
            parts.append(_truths())
    return "\n\n".join(parts)


def _truths() -> str:
    """The moments by quadrature, beside those that were published."""
    rows = [
        [name, " / ".join(f"{v:.3f}" for v in value.tolist()), " / ".join(map(str, GOLD[name]))]
        for name, value in moments(*posterior_grid()).items()
    ]
    return record.table(["of the posterior", "by quadrature", "published"], rows)


def main() -> None:
    """Train, judge, print, and with `--write` record."""
    options = shared.arguments(
        __doc__,
        tasks=(TASKS, "which tasks"),
        methods=([FLOOR, *METHODS], "which trainings"),
        seeds=(SEEDS, "which seeds"),
    ).parse_args()
    timing.one_thread()
    if options.smoke:
        global DRAWS, GRID
        DRAWS, GRID = 100, 200
        options.tasks, options.seeds = ["type1", "bod"], options.seeds[:1]
    cases = [
        {"task": task, "training": training, "seed": seed}
        for seed, task in product(options.seeds, options.tasks)
        for training in options.methods
        # Every task and every method, not every pair.
        if not options.smoke or task == "type1" or training in (FLOOR, "diffusion")
    ]
    results = shared.gathered(options, cases, partial(run, smoke=options.smoke))
    print(text(results))
    if options.write:
        facts = {"environment": record.environment(), "steps": STEPS, "pairs": PAIRS}
        record.save("conditional_bridges", facts | {"results": results}, text(results))


if __name__ == "__main__":
    main()
