"""The observed order of convergence of every sampler that has one, beside its theory.

python benchmarks/orders.py --write
"""

from __future__ import annotations

import argparse
from typing import Any

import record
import timing
from pushforward import metrics, registry, samplers, schedules, theory
from pushforward.samplers import (
    Ancestral,
    EDMStochastic,
    Euler,
    Heun,
    Multistep,
    Rule,
)

STEPS = (128, 256, 512)
SCHEDULES = {
    "VP": schedules.VP(),
    "cosine": schedules.Cosine(),
    "rectified": schedules.Rectified(),
    "VE": schedules.VE(sigma_max=10.0),
    "OU": schedules.OU(),
}
TIMED = Multistep(3, predict="noise", clock="time")
UNIPC = Multistep(2, integral="midpoint", corrector=True, published=True)
# Name, sampler, order in theory, whether it draws noise.
CASES: list[tuple[str, Rule, int, bool]] = [
    ("Euler, flow", Euler(), 1, False),
    ("DDIM", Ancestral(churn=0.0), 1, False),
    ("Heun", Heun(), 2, False),
    ("EDM without churn", EDMStochastic(churn=0.0), 2, False),
    ("DPM-Solver++ 2M", registry.resolve("samplers", "dpm++2m"), 2, False),
    ("exponential Adams, order 3", Multistep(3), 3, False),
    ("DEIS", registry.resolve("samplers", "deis"), 2, False),
    ("exponential Adams of the noise in t, order 3", TIMED, 3, False),
    ("UniPC-2", registry.resolve("samplers", "unipc"), 2, False),
    ("UniPC-2 without the lower order at the end", UNIPC, 3, False),
    ("adams4", registry.resolve("samplers", "adams4"), 4, False),
    ("adams (default)", samplers.DEFAULT, 3, False),
    ("Euler-Maruyama", Euler(churn=1.0), 1, True),
    ("DDPM", Ancestral(), 1, True),
    ("DDPM with variance beta", Ancestral(variance="beta"), 1, True),
    ("DDIM, eta² = 1/2", Ancestral(churn=0.5), 1, True),
    ("exponential integrator", Multistep(1, predict="noise", churn=1.0), 1, True),
    ("DPM-Solver++ 2M, SDE", registry.resolve("samplers", "dpm++2m-sde"), 2, True),
    ("EDM with churn 10", EDMStochastic(churn=10.0, inflate=1.0), 2, True),
]


def measure(steps: tuple[int, ...]) -> dict[str, dict[str, Any]]:
    """Order and standard error per sampler and schedule."""
    found: dict[str, dict[str, Any]] = {}
    for name, sampler, order, noisy in CASES:
        errors = theory.variance_errors if noisy else theory.path_errors
        row: dict[str, Any] = {"theory": order, "kind": "weak" if noisy else "strong"}
        for label, schedule in SCHEDULES.items():
            fit = metrics.observed_order(steps, errors(sampler, schedule, steps))
            row[label] = (round(fit.value, 3), fit.stderr)
        found[name] = row
    return found


def text(found: dict[str, dict[str, Any]]) -> str:
    """A row per sampler, a column per schedule."""
    rows = [
        [name, f"{row['theory']}, {row['kind']}", *(f"{row[label][0]:.2f}" for label in SCHEDULES)]
        for name, row in found.items()
    ]
    return record.table(["sampler", "theory", *SCHEDULES], rows)


def main() -> None:
    """Measure, print, and with `--write` record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="few steps, to see that it runs")
    parser.add_argument("--write", action="store_true", help="record the results")
    options = parser.parse_args()
    timing.one_thread()
    steps = (8, 16) if options.smoke else STEPS
    found = measure(steps)
    print(text(found))
    if options.write:
        facts = {"environment": record.environment(), "steps": list(steps)}
        record.save("orders", facts | {"results": found}, text(found))


if __name__ == "__main__":
    main()
