"""Filtering of the Lorenz-63 system: posteriors drawn by conditional models trained at each time.

Settings of Shi et al. 2022: all three coordinates are observed every 0.1 with noise of deviation 2,
the state gets noise of deviation 0.01, and ensembles have 2,000 members. An ensemble Kalman filter
leads in. Models learn what it leaves over: in the coordinates `r = x - K y`, whitened, it draws
`r` from the forecast whatever `y`, and they learn `p(r | y)`, going on from the networks of the
time before.

    python benchmarks/filtering.py --write
    python benchmarks/filtering.py --methods CDSB-C --seeds 1 --part one.jsonl   # in pieces,
    python benchmarks/filtering.py --merge one.jsonl two.jsonl --write           # and together
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor

import entries
import pushforward as pf
import record
import shared
import timing
import trainings
from pushforward import filtering
from pushforward.errors import SamplingError
from pushforward.filtering import Analysis, BootstrapParticles, EnsembleKalman, StateSpaceModel
from pushforward.models import TransportMap, recondition
from pushforward.processes import Bridge
from pushforward.schrodinger import CouplingCache, OuterIterations

SEEDS = (1, 2, 3)
LEAD_IN, TIMES = 100, 50
MEMBERS, MANY = 2_000, 100_000
OPTIMIZER_STEPS = 400, 40
"""At the first time, and at later ones."""
TRAINING: dict[str, Any] = {
    "batch_size": 256,
    "lr": 2e-3,
    "warmup": 0,
    "ema": 0.95,
    "holdout": 0.0,
    "standardize": False,
    "progress": False,
    "device": "cpu",
}

# -- the system -----------------------------------------------------------------------------------

INTERVAL, STEPS = 0.1, 2
STATE_NOISE, NOISE = 0.01, 2.0


def velocity(x: Tensor) -> Tensor:
    """Of Lorenz 1963, with his parameters."""
    a, b, c = x.unbind(-1)
    return torch.stack([10 * (b - a), a * (28 - c) - b, a * b - 8 / 3 * c], -1)


def transition(x: Tensor, generator: torch.Generator) -> Tensor:
    """Two steps of Runge-Kutta, and noise."""
    h = INTERVAL / STEPS
    for _ in range(STEPS):
        first = velocity(x)
        second = velocity(x + h / 2 * first)
        third = velocity(x + h / 2 * second)
        x = x + h / 6 * (first + 2 * second + 2 * third + velocity(x + h * third))
    return x + STATE_NOISE * torch.randn(x.shape, generator=generator)


LORENZ = StateSpaceModel(
    initial=lambda n, g: torch.tensor([3.0, -3.0, 12.0]) + torch.randn(n, 3, generator=g),
    transition=transition,
    observe=lambda x, g: x + NOISE * torch.randn(x.shape, generator=g),
)


def log_likelihood(y: Tensor, x: Tensor) -> Tensor:
    """Up to a constant."""
    return -0.5 * ((y - x) / NOISE).square().sum(1)


@functools.cache
def path(seed: int, times: int) -> tuple[Tensor, Tensor]:
    """States and observations, with those that lead in."""
    return LORENZ.simulate(LEAD_IN + times, seed=seed)


@functools.cache
def reference(seed: int, times: int, members: int) -> filtering.Filtered:
    """Nearly exact: a particle filter with many members, from the first time on."""
    _, y = path(seed, times)
    found = filtering.run(LORENZ, y, BootstrapParticles(log_likelihood), members, seed=seed + 100)
    return filtering.Filtered(found.mean[LEAD_IN:], found.std[LEAD_IN:], found.ensemble)


# -- analyses by conditional models ---------------------------------------------------------------


def network(seed: int) -> torch.nn.Module:
    """A small perceptron around an affine map, the same for all."""
    torch.manual_seed(seed)
    return pf.nn.AffineSkip(pf.nn.MLP(3, width=32, depth=2, context=3, frequencies=0), width=32)


class Learned:
    """An analysis by a conditional model of what the ensemble Kalman filter leaves over.

    Args:
        fit: trains on pairs for so many steps; it keeps the model from time to time.
        draw: draws in a context, or carries the pairs into it.
        steps: of the optimizer, at the first time and at later ones.
    """

    def __init__(
        self, fit: Callable[..., Any], draw: Callable[..., Tensor], steps: tuple[int, int]
    ) -> None:
        self.fit, self.draw, self.steps = fit, draw, steps
        self.model: Any = None

    def __call__(self, x: Tensor, observe: Any, y: Tensor, generator: torch.Generator) -> Tensor:
        """The analysis."""
        simulated = observe(x, generator)
        center, about = simulated.mean(0), simulated.std(0)
        seen, here = (simulated - center) / about, (y - center) / about
        gain = torch.linalg.pinv(seen) @ (x - x.mean(0))
        rest = x - seen @ gain
        middle, factor = rest.mean(0), torch.linalg.cholesky(torch.cov(rest.T))
        whitened = torch.linalg.solve_triangular(factor, (rest - middle).T, upper=False).T
        seed = int(torch.randint(2**31, (), generator=generator))
        data = pf.data.Data(whitened, c=seen)
        steps = self.steps[0 if self.model is None else 1]
        self.model = self.fit(self.model, data, seed, steps)
        # Members are those that the model carries, or new ones.
        found = self.draw(self.model, data, here, seed)
        return found @ factor.T + middle + here @ gain


def fitted(make: Callable[[], Any], model: Any, data: pf.data.Data, seed: int, steps: int) -> Any:
    """A model that goes on from its own weights."""
    model = make() if model is None else model
    trainings.fit(model, data, steps=steps, seed=seed, **TRAINING)
    return model


def fitted_bridge(model: Any, data: pf.data.Data, seed: int, steps: int) -> pf.SchrodingerBridge:
    """A bridge that goes on from the one of the time before, in half as many steps each way."""
    # At first from the noising of the data, as a diffusion; later each way once.
    if model is None:
        rounds = OuterIterations(3, steps // 2, first="forward")
    else:
        rounds = OuterIterations(2, steps // 2, first="backward")
    found = pf.SchrodingerBridge(
        network(0), network(1), Bridge(1.0), "dsbm-ipf", rounds,
        cache=CouplingCache(rows=MEMBERS), steps=20, ema=0.95,
    )  # fmt: skip
    if model is not None:
        found.warm_start(model)
    trainings.fit(found, data, steps=rounds.total_steps, seed=seed, schedule="constant", **TRAINING)
    return found


def drawn(model: Any, data: pf.data.Data, here: Tensor, seed: int, **options: Any) -> Tensor:
    """New members in the context of the observation."""
    found: Tensor = model.sample(len(data), here, seed=seed, **options)
    return found


def carried(
    model: TransportMap, data: pf.data.Data, here: Tensor, seed: int, **options: Any
) -> Tensor:
    """Each member carried from its simulated observation to the real one: forward-backward."""
    found: Tensor = recondition(model, data.x, data.c, here, seed=seed, **options)
    return found


def diffusion() -> pf.Diffusion:
    """A conditional diffusion over its usual schedule."""
    return pf.Diffusion(network(0), label_dropout=0.0)


def matching() -> pf.FlowMatching:
    """Conditional flow matching."""
    return pf.FlowMatching(network(0), label_dropout=0.0)


HEUN: dict[str, Any] = {"sampler": "heun", "steps": 10}
METHODS: dict[str, Callable[[tuple[int, int]], Analysis]] = {
    "particle filter, 2,000 members": lambda _: BootstrapParticles(log_likelihood),
    "ensemble Kalman filter": lambda _: EnsembleKalman(),
    "diffusion, ddpm, N = 20": lambda steps: Learned(
        partial(fitted, diffusion), partial(drawn, sampler="ddpm", steps=20), steps
    ),
    "CDSB-C, N = 20": lambda steps: Learned(fitted_bridge, drawn, steps),
    "CDSB-C, forward-backward, N = 20": lambda steps: Learned(fitted_bridge, carried, steps),
    "flow matching, heun, N = 10": lambda steps: Learned(
        partial(fitted, matching), partial(drawn, **HEUN), steps
    ),
    "flow matching, forward-backward, N = 10": lambda steps: Learned(
        partial(fitted, matching), partial(carried, **HEUN), steps
    ),
}
PUBLISHED = {
    "ensemble Kalman filter": ".354",
    "CDSB-C, N = 20": ".178 ± .007",
    "diffusion, ddpm, N = 20": "diverges",
}
"""Shi et al. 2022: 2,000 times in ten runs, and their deviation."""


# -- runs -----------------------------------------------------------------------------------------


def distance(a: Tensor, b: Tensor) -> float:
    """The mean over times of the root mean square over coordinates."""
    return float((a - b).square().mean(1).sqrt().mean())


def run(method: str, seed: int, smoke: bool) -> dict[str, Any]:
    """Filter one path, and compare with the nearly exact filter and the truth."""
    times, members = (3, 100) if smoke else (TIMES, MEMBERS)
    steps = (4, 4) if smoke else OPTIMIZER_STEPS
    exact = reference(seed, times, 1_000 if smoke else MANY)
    x, y = path(seed, times)
    lead = filtering.run(LORENZ, y[:LEAD_IN], EnsembleKalman(), members, seed=seed)
    begun = time.process_time()
    try:
        found = filtering.run(
            LORENZ, y[LEAD_IN:], METHODS[method](steps), start=lead.ensemble, seed=seed
        )
    except SamplingError as error:
        return {"diverged": str(error)}
    truth = x[LEAD_IN:]
    return {
        "mean": distance(found.mean, exact.mean),
        "deviation": distance(found.std, exact.std),
        "truth": distance(found.mean, truth),
        "seconds": (time.process_time() - begun) / times,
        "truth by reference": distance(exact.mean, truth),
    }


def text(results: list[dict[str, Any]]) -> str:
    """A row for each filter."""
    columns = ("mean", "deviation", "truth")
    rows = []
    for method in METHODS:
        own = [result for result in results if result["method"] == method]
        whole = [result for result in own if "mean" in result]
        if not own:
            continue
        cells = [entries.mean([r[name] for r in whole], 0.0) if whole else "–" for name in columns]
        seconds = f"{sum(r['seconds'] for r in whole) / len(whole):.2g}" if whole else "–"
        lost = f"{len(own) - len(whole)} of {len(own)}" if len(whole) < len(own) else "–"
        rows.append([method, *cells, PUBLISHED.get(method, "–"), lost, seconds])
    by_seed = {r["seed"]: r["truth by reference"] for r in results if "mean" in r}
    best = entries.mean(list(by_seed.values()), 0.0)
    rows.insert(0, [f"particle filter, {MANY:,} members", "0", "0", best, "–", "–", "–"])
    head = ["", "mean", "deviation", "truth", "published, mean", "diverged", "seconds a time"]
    return record.table(head, rows)


def main() -> None:
    """Filter, compare, print, and with `--write` record."""
    options = shared.arguments(
        __doc__, methods=(METHODS, "which filters"), seeds=(SEEDS, "which paths")
    ).parse_args()
    timing.one_thread()
    if options.smoke:
        options.seeds = options.seeds[:1]
    cases = [{"method": m, "seed": seed} for seed, m in product(options.seeds, options.methods)]
    results = shared.gathered(options, cases, partial(run, smoke=options.smoke))
    print(text(results))
    if options.write:
        facts = {"environment": record.environment(), "times": TIMES, "members": MEMBERS}
        record.save("filtering", facts | {"results": results}, text(results))


if __name__ == "__main__":
    main()
