"""SDEs by their probability flow, beside paths of the SDE and scores that are not learned.

Systems of Boffi & Vanden-Eijnden 2023, the last two shortened: 50 trapped particles that repel each
other linearly, whose law is known; 5 particles in an anharmonic trap with Gaussian repulsion; and
a swimmer with noise on its velocity alone. What is not known is measured on paths of the SDE.

    python benchmarks/simulation.py --write
    python benchmarks/simulation.py --systems swimmer --part one.jsonl    # in pieces,
    python benchmarks/simulation.py --merge one.jsonl two.jsonl --write   # and together
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

import entries
import pushforward as pf
import record
import shared
from pushforward._random import resolve
from pushforward.metrics import energy_distance
from pushforward.score_matching import Antithetic, Untimed
from pushforward.simulation import (
    KernelScore,
    LearnedScore,
    PairScore,
    ScoreFit,
    SequentialScore,
    Simulation,
    euler_maruyama,
)

SEEDS = (1, 2, 3)
METHODS = ("learned", "kernel density", "no score", "paths of the SDE")
MANY = 4_000
"""Paths that stand for the law where it is not known."""


def harmonic(x: Tensor, t: float) -> Tensor:
    """A trap that moves in a circle, and linear repulsion."""
    angle = math.pi**2 * t
    trap = x.new_tensor([2 * math.cos(angle), 2 * math.sin(angle)])
    return trap - x / 2 - x.mean(1, keepdim=True) / 2


def anharmonic(x: Tensor, t: float) -> Tensor:
    """A quartic trap that moves in a circle, and repulsion by Gaussian potentials of width 1/2."""
    trap = 3 * x.new_tensor([math.cos(math.pi * t), math.sin(math.pi * t)])
    strength = 4 * 0.25 / (5 * 0.5) ** 2
    away = trap - x
    apart = x.unsqueeze(2) - x.unsqueeze(1)
    near = (-apart.square().sum(-1, keepdim=True) / (2 * 0.5**2)).exp()
    pushed = 2 / (5 * 0.5**2) * (apart * near).sum(2)
    return 4 * strength * away * away.square().sum(-1, keepdim=True) + pushed


def swimmer(x: Tensor, t: float) -> Tensor:
    """Position and velocity: a quartic well, and friction."""
    return torch.stack([x[:, 1] - x[:, 0] ** 3, -0.1 * x[:, 1]], 1)


@dataclass(frozen=True)
class System:
    """What is simulated, and how."""

    drift: Callable[[Tensor, float], Tensor]
    diffusion: float | Tensor
    start: Callable[[int, int], Tensor]
    network: Callable[[], torch.nn.Module]
    duration: float
    steps: int
    particles: int
    learning: dict[str, Any]


def _particles(count: int, mean: tuple[float, float]) -> Callable[[int, int], Tensor]:
    def draw(n: int, seed: int) -> Tensor:
        noise = torch.randn(n, count, 2, generator=resolve(seed=seed))
        return 0.25 * noise + torch.tensor(mean)

    return draw


SYSTEMS = {
    "harmonic, 50 particles": System(
        harmonic, 0.25, _particles(50, (2.0, 0.0)), lambda: PairScore(2, width=8, depth=1), 1.0, 50,
        200, {"matching": Antithetic(0.05), "steps": 5, "first": 150, "lr": 1e-2, "batch": 50},
    ),
    "anharmonic, 5 particles": System(
        anharmonic, 0.25, _particles(5, (3.0, 0.0)), lambda: PairScore(2, width=32, depth=2), 1.0,
        100, 1000, {"steps": 10, "first": 200, "lr": 3e-3, "batch": 200},
    ),
    "swimmer": System(
        swimmer, torch.tensor([0.0, 0.1]),
        lambda n, seed: torch.randn(n, 2, generator=resolve(seed=seed)),
        lambda: Untimed(pf.nn.MLP(2, width=32, depth=2, frequencies=0)), 4.0, 100, 1000,
        {"steps": 8, "first": 400, "lr": 3e-3, "batch": 250},
    ),
}  # fmt: skip


class _NoScore:
    """Particles without noise."""

    def fit(self, x: Tensor, *rest: Any, first: bool) -> ScoreFit:
        """Nothing."""
        return ScoreFit(0, math.nan, math.nan, True)

    def __call__(self, x: Tensor) -> Tensor:
        """Zero."""
        return torch.zeros_like(x)

    def state(self) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Nothing."""


def spread(x: Tensor) -> dict[str, float]:
    """Variances: of particles about their mean and of the mean, or of position and velocity."""
    if x.ndim == 2:
        return {"first": float(x[:, 0].var()), "second": float(x[:, 1].var())}
    n = x.shape[1]
    middle = x.mean(1, keepdim=True)
    return {
        "first": float((x - middle).square().mean()) * n / (n - 1),
        "second": n * float(middle.var(0).mean()),
    }


def chosen(name: str, smoke: bool) -> System:
    """A system, or its first moments."""
    system = SYSTEMS[name]
    if not smoke:
        return system
    return replace(system, duration=4 * system.duration / system.steps, steps=4, particles=20)


@functools.cache
def truth(name: str, seed: int, smoke: bool) -> dict[str, Any]:
    """The variances at the end, known or measured, and many states of the SDE."""
    system = chosen(name, smoke)
    _, paths = euler_maruyama(
        system.drift, system.diffusion, system.start(20 if smoke else MANY, seed + 1000),
        duration=system.duration, steps=4 * system.steps, keep=1, seed=seed + 2000,
    )  # fmt: skip
    known = spread(paths[-1])
    if name.startswith("harmonic"):
        t, begun = system.duration, 0.25**2
        known = {
            "first": math.exp(-t) * begun + 0.5 * (1 - math.exp(-t)),
            "second": math.exp(-2 * t) * begun + 0.25 * (1 - math.exp(-2 * t)),
        }
    return {"known": known, "paths": paths[-1]}


def simulated(name: str, method: str, seed: int, smoke: bool) -> dict[str, Any]:
    """One simulation, judged."""
    system, law = chosen(name, smoke), truth(name, seed, smoke)
    n, steps = system.particles, system.steps
    start = system.start(n, seed)
    begin = time.process_time()
    rate = None
    if method == "paths of the SDE":
        _, kept = euler_maruyama(
            system.drift, system.diffusion, start, duration=system.duration, steps=steps, keep=1,
            seed=seed,
        )  # fmt: skip
        x = kept[-1]
    else:
        torch.manual_seed(seed)
        score: SequentialScore = KernelScore() if method == "kernel density" else _NoScore()
        if method == "learned":
            few = {"steps": 1, "first": 2} if smoke else {}
            score = LearnedScore(system.network(), **(system.learning | few))
        simulation = Simulation(
            system.drift, system.diffusion, start, score, system.duration, steps, seed=seed
        )
        found = simulation.run(keep=1, progress=False)
        x = found.x[-1]
        if method != "no score" and isinstance(system.diffusion, float):
            rate = _entropy_rate(system, found.score, x, seed)
    seconds = time.process_time() - begin
    far = energy_distance(x, law["paths"][:n])
    return {
        **spread(x), "known": law["known"], "distance": far.value, "distance_stderr": far.stderr,
        "entropy_rate": rate, "seconds": round(seconds, 1),
    }  # fmt: skip


def _entropy_rate(system: System, score: Any, x: Tensor, seed: int) -> float:
    """`E div (b - D s)` at the last time, by 16 probes a particle."""
    from pushforward.simulation import Diffusivity
    from pushforward.simulation.flux import with_divergence

    noise = Diffusivity(system.diffusion, tuple(x.shape[1:]))
    flux = with_divergence(system.drift, noise, score, x, system.duration, 16, resolve(seed=seed))
    assert flux.divergence is not None
    return float(flux.divergence.mean())


def text(results: list[dict[str, Any]]) -> str:
    """The table of the documentation."""
    rows = []
    for name, method in dict.fromkeys((r["system"], r["method"]) for r in results):
        own = [r for r in results if (r["system"], r["method"]) == (name, method)]

        def mean(values: list[float]) -> str:
            return entries.mean(values, math.nan) if values else "–"

        def known(key: str, own: list[dict[str, Any]] = own) -> str:
            return f"{sum(r['known'][key] for r in own) / len(own):.4f}"

        rates = [r["entropy_rate"] for r in own if r["entropy_rate"] is not None]
        rows.append([
            name, method, mean([r["first"] for r in own]), known("first"),
            mean([r["second"] for r in own]), known("second"), mean(rates),
            "23.486" if name.startswith("harmonic") else "–",
            mean([r["distance"] for r in own]), f"{sum(r['seconds'] for r in own) / len(own):.0f}",
        ])  # fmt: skip
    head = ["system", "method", "variance", "known", "second variance", "known", "entropy rate",
            "known", "energy distance", "seconds"]  # fmt: skip
    return record.table(head, rows)


def main() -> None:
    """Measure, print, and with `--write` record."""
    options = shared.arguments(__doc__, systems=(SYSTEMS, "systems")).parse_args()

    def run(system: str, method: str, seed: int) -> dict[str, Any]:
        return simulated(system, method, seed, options.smoke)

    cases = [
        {"system": system, "method": method, "seed": seed}
        for system in options.systems
        for method in METHODS
        for seed in SEEDS[: 1 if options.smoke else None]
    ]
    results = shared.gathered(options, cases, run)
    print(text(results))
    if options.write:
        facts = {"environment": record.environment(), "results": results}
        record.save("simulation", facts, text(results))


if __name__ == "__main__":
    main()
