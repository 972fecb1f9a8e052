"""Bounds of flows, Langevin steps, proportional fits, reflow and early stopping beside the truth.

All worlds are exact: normal laws, tables, and mixtures on the line. `level` is the interval of the
score error, beside the integral that it should hold.

    python benchmarks/bounds.py --write
    python benchmarks/bounds.py --tables level --part level.jsonl    # in pieces,
    python benchmarks/bounds.py --merge level.jsonl rest.jsonl --write  # and together
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import record
import shared
import timing
from certificates import LINE, PLANTED, exact, score_error, wrong_score
from pushforward import Transport, grids, ot, registry, samplers, schedules, theory
from pushforward.certificates import (
    KnownLaw,
    certify,
    flow_certificate,
    published_flow_bound,
)
from pushforward.distributions import GaussianMixture
from pushforward.divergences import gaussian
from pushforward.path_space import total_variation_bound
from pushforward.processes import Gaussian

DOUBLE = torch.float64
TABLES = ("flow", "langevin", "fitting", "reflow", "stopping", "level")
SEEDS = 60


# Flows: two points at +-R with normal noise s around them, and a velocity that is wrong.

FLOWS = {
    "R 0.5, s 1": (0.5, 1.0),
    "R 1, s 1": (1.0, 1.0),
    "R 1, s 0.5": (1.0, 0.5),
    "R 2, s 0.5": (2.0, 0.5),
}


def flow(world: str, error: float) -> dict[str, Any]:
    """`W_2` of the samples of a flow with a constant error, whose smoothness is the exact one."""
    radius, std = FLOWS[world]
    data = GaussianMixture(torch.tensor([[-radius], [radius]], dtype=DOUBLE), std**2)
    process = Gaussian(schedules.Rectified())
    start, stop = 1.0, 1e-3
    good = exact(data, process)

    def model(x: Tensor, t: Any, c: Any = None) -> Tensor:
        # dx = (z - x_0) dt, and z = (x - alpha x_0) / sigma.
        k = process.schedule.at(t)
        return good.model(x, t) - error / (1 + k.alpha / k.sigma)

    transport = Transport(model, process)
    base = torch.linspace(-7, 7, 4001, dtype=DOUBLE)
    weights = torch.exp(-0.5 * base.square())
    weights = weights / weights.sum()
    times = [start - (start - stop) * k / 400 for k in range(401)]
    times[0] = process.interval[0]
    ends = [samplers.run(samplers.Heun(), one, base[:, None], times) for one in (transport, good)]
    # Maps of the line that grow: equal quantiles belong together.
    distance = math.sqrt(float((weights * (ends[0] - ends[1]).square()[:, 0]).sum()))
    epsilon = error * math.sqrt(start - stop)
    # The largest slope of the exact velocity, on a grid of times and states.
    states, slopes = torch.linspace(-8, 8, 1601, dtype=DOUBLE)[:, None], []
    for t in times[::8]:
        velocity = good.dynamics(states, t).velocity[:, 0]
        slopes.append(float(torch.gradient(velocity, spacing=0.01)[0].abs().max()))
    growth = math.exp(float(torch.trapezoid(torch.tensor(slopes), dx=8 * (start - stop) / 400)))
    published = published_flow_bound(data, process, epsilon, start=1.0, stop=stop)
    measured = flow_certificate(transport, good, data.sample(500, seed=0), stop=stop, times=60)
    return {
        "distance": distance,
        "one_sided": measured.distance,
        "lipschitz": epsilon * growth,
        "published": published.value,
    }


def langevin(step: float) -> dict[str, Any]:
    """The stationary law of unadjusted steps on a normal target of curvatures 1 and 4."""
    curvature = torch.tensor([1.0, 4.0], dtype=DOUBLE)
    found = torch.diag(1 / (curvature * (1 - 0.5 * step * curvature)))
    true = gaussian.kl(0 * curvature, found, 0 * curvature, torch.diag(1 / curvature))
    bound = theory.langevin_bias_bound(step, 2, smoothness=4.0, log_sobolev=1.0)
    return {"true": true, "bound": bound}


def fitting(fits: int) -> dict[str, Any]:
    """What the marginals of a table lack after some proportional fits."""
    generator = torch.Generator().manual_seed(0)
    table = torch.rand(6, 5, generator=generator).double() ** 4 + 1e-3
    a, b = (torch.rand(k, generator=generator).double() + 0.1 for k in (6, 5))
    a, b = a / a.sum(), b / b.sum()
    limit = ot.ipf(table, a, b, 2000).joint
    table = table / table.sum()
    divergence = float((limit * (limit / table).log()).sum())
    lacks = float(ot.ipf(table, a, b, fits).marginals[-1])
    return {"true": lacks, "bound": theory.fitting_bound(divergence, fits)}


def reflow(rectifications: int, smoke: bool = False) -> dict[str, Any]:
    """The straightest of some rectified flows between normal laws of the plane, coupled at random.

    A first coupling `x_1 = M x_0 + noise`; each flow is linear, and couples the ends of the next.
    """
    first = torch.tensor([[1.0, 0.4], [0.4, 0.5]], dtype=DOUBLE)
    turn = torch.tensor([[-0.6, -0.9], [0.9, -0.6]], dtype=DOUBLE)
    cross, second = turn @ first, turn @ first @ turn.mT + 0.3 * torch.eye(2, dtype=DOUBLE)
    cost = float((first + second - cross - cross.mT).trace())
    bends = []
    for _ in range(rectifications):
        bend, matrix = rectified(first, cross, second, 200 if smoke else 2000)
        bends.append(bend)
        # The flow couples each start with its own end.
        cross, second = matrix @ first, matrix @ first @ matrix.mT
    return {
        "true": min(bends),
        "sum": sum(bends),
        "cost": cost,
        "bound": theory.straightness_bound(cost, rectifications),
    }


def rectified(first: Tensor, cross: Tensor, second: Tensor, n: int) -> tuple[float, Tensor]:
    """The bend `int E |z_1 - z_0 - v|^2 dt` of the flow of a normal coupling, and its end."""

    def slope(t: float) -> Tensor:
        # v(x, t) = E[x_1 - x_0 | x_t = x] = Cov(x_1 - x_0, x_t) Cov(x_t)^{-1} x.
        s = 1 - t
        between = t * second + s * cross - t * cross.mT - s * first
        spread = s**2 * first + t**2 * second + s * t * (cross + cross.mT)
        return between @ torch.linalg.inv(spread)

    h, phi = 1 / n, torch.eye(2, dtype=DOUBLE)
    path = []
    for k in range(n):
        path.append(slope(k * h) @ phi)
        one = slope(k * h) @ phi
        two = slope((k + 0.5) * h) @ (phi + 0.5 * h * one)
        three = slope((k + 0.5) * h) @ (phi + 0.5 * h * two)
        four = slope((k + 1) * h) @ (phi + h * three)
        phi = phi + h / 6 * (one + 2 * two + 2 * three + four)
    path.append(slope(1.0) @ phi)
    gaps = [phi - torch.eye(2, dtype=DOUBLE) - v for v in path]
    rates = torch.stack([(gap @ first @ gap.mT).trace() for gap in gaps])
    return float(torch.trapezoid(rates, dx=h)), phi


STOPS = (0.1, 0.05, 0.03, 0.02, 0.01, 0.005, 0.003, 0.002, 0.001, 5e-4, 2e-4)


def stopping(stop: float, steps: int = 60, smoke: bool = False) -> dict[str, Any]:
    """A score that is wrong by `0.1 / sigma`, stopped with some noise left, by equally many steps.

    The distance of the samples to the data themselves, and what a certificate says of it: what the
    noise takes away, and what its nats allow.
    """
    process = Gaussian(schedules.OU(horizon=4.0))
    transport = wrong_score(LINE, process, PLANTED["0.1 / sigma"])
    times = grids.LogSNRGrid()(process.schedule, steps, start=1.0, stop=stop)
    found = certify(
        transport, LINE.sample(100 if smoke else 1000, seed=0), steps=steps, law=LINE, start=1.0,
        stop=stop, denoise=False,
    )  # fmt: skip
    x = torch.linspace(-8, 8, 801 if smoke else 3201, dtype=DOUBLE)
    q = theory.density_of_samples(samplers.Ancestral(), transport, times, x)
    k = process.schedule.at(stop)
    p, noised = (law.log_prob(x[:, None]).exp() for law in (LINE, LINE.noised(k.alpha, k.sigma)))
    h = float(x[1] - x[0])
    nats = noised * ((noised + 1e-300).log() - q.clamp(min=1e-300).log())
    early = 0.5 * h * float((p - noised).abs().sum())
    return {
        "kl": h * float(nats.sum()),
        "bound": found.bound,
        "early": early,
        "tv": 0.5 * h * float((p - q).abs().sum()),
        "tv_bound": min(1.0, early + total_variation_bound(found.bound)),
        "w2": quantile_distance(x, p, q),
        "early_w2": found.terms["early stopping"].value,
    }


def quantile_distance(x: Tensor, p: Tensor, q: Tensor) -> float:
    """`W_2` of two densities on a grid of the line."""
    levels = torch.linspace(1e-6, 1 - 1e-6, 20_001, dtype=DOUBLE)
    ends = []
    for density in (p, q):
        mass = torch.cumsum(density, 0) / density.sum()
        right = torch.searchsorted(mass, levels).clamp(1, len(x) - 1)
        low, high = mass[right - 1], mass[right]
        ends.append(x[right - 1] + (x[1] - x[0]) * ((levels - low) / (high - low)).clamp(0, 1))
    return float((ends[0] - ends[1]).square().mean().sqrt())


ERRORS: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "none": PLANTED["none"],
    "0.1": PLANTED["0.1"],
    "0.3": PLANTED["0.3"],
    "0.3 sin 2x": PLANTED["0.3 sin 2x"],
    "20% of the score": PLANTED["20% of the score"],
}


def level(error: str, n: int, smoke: bool = False) -> dict[str, Any]:
    """How often the interval of the score error holds the integral over the line."""
    process, steps, stop = Gaussian(schedules.OU(horizon=4.0)), 25, 0.03
    transport = wrong_score(LINE, process, ERRORS[error])
    times = registry.resolve("grids", "log-snr")(process.schedule, steps, start=1.0, stop=stop)
    true = score_error(transport.model, KnownLaw(LINE), process, times)
    held, below, above, ends = 0, 0, 0, torch.zeros(2, dtype=DOUBLE)
    seeds = 2 if smoke else SEEDS
    for seed in range(seeds):
        found = certify(
            transport, LINE.sample(n, seed=seed), steps=steps, start=1.0, stop=stop,
            denoise=False, seed=seed,
        ).terms["score error"]  # fmt: skip
        assert found.interval is not None
        low, high = found.interval
        # Of an exact score the integral is zero up to rounding, and so is the least end.
        below, above = below + (true < low - 1e-9), above + (true > high + 1e-9)
        held += low - 1e-9 <= true <= high + 1e-9
        ends += torch.tensor([low, high], dtype=DOUBLE) / seeds
    return {
        "true": true, "held": held, "below": below, "above": above, "seeds": seeds,
        "low": float(ends[0]), "high": float(ends[1]),
    }  # fmt: skip


def run(table: str, smoke: bool = False, **case: Any) -> dict[str, Any]:
    """One row."""
    if table in ("reflow", "stopping", "level"):
        return {"reflow": reflow, "stopping": stopping, "level": level}[table](smoke=smoke, **case)
    return {"flow": flow, "langevin": langevin, "fitting": fitting}[table](**case)


def cases(tables: list[str], smoke: bool) -> list[dict[str, Any]]:
    """All rows."""
    rows: dict[str, list[dict[str, Any]]] = {
        "flow": [{"world": w, "error": e} for w in FLOWS for e in (0.03, 0.3)],
        "langevin": [{"step": h} for h in (0.001, 0.004, 1 / 64)],
        "fitting": [{"fits": n} for n in (1, 2, 5, 10, 40)],
        "reflow": [{"rectifications": k} for k in (1, 2, 3, 4)],
        "stopping": [{"stop": s} for s in STOPS],
        "level": [{"error": e, "n": n} for e in ERRORS for n in (100, 300)],
    }
    return [
        {"table": name} | row
        for name in tables
        for row in (rows[name][:1] if smoke else rows[name])
    ]


def tables(results: list[dict[str, Any]]) -> str:
    """Everything as Markdown."""
    of = {name: [r for r in results if r["table"] == name] for name in TABLES}
    texts = []

    def add(title: str, head: list[str], rows: list[list[str]]) -> None:
        if rows:
            texts.append(f"**{title}**\n\n{record.table(head, rows)}")

    add(
        "Flows with a constant error of the velocity, `W_2`",
        ["data", "error", "measured", "one-sided, measured at states", "largest slope",
         "Benton et al., theorem 2"],
        [
            [r["world"], f"{r['error']:g}", *(f"{r[k]:.3g}" for k in
             ("distance", "one_sided", "lipschitz", "published"))]
            for r in of["flow"]
        ],
    )  # fmt: skip
    for name, title, key, unit in (
        ("langevin", "Stationary bias of Langevin steps, in nats", "step", "step"),
        ("fitting", "What marginals lack after proportional fits, in nats", "fits", "fits"),
    ):
        add(
            title, [unit, "measured", "bound", "ratio"],
            [
                [f"{r[key]:g}", f"{r['true']:.2e}", f"{r['bound']:.2e}",
                 f"{r['bound'] / r['true']:.3g}" if r["true"] > 1e-14 else "–"]
                for r in of[name]
            ],
        )  # fmt: skip
    add(
        "Bend of rectified flows", ["flows K", "straightest", "all together", "cost", "cost / K"],
        [
            [str(r["rectifications"]), f"{r['true']:.2e}", f"{r['sum']:.4f}", f"{r['cost']:.3f}",
             f"{r['bound']:.3f}"]
            for r in of["reflow"]
        ],
    )  # fmt: skip
    if rows := of["stopping"]:
        least = {k: min(rows, key=lambda r: r[k])["stop"] for k in ("tv", "tv_bound", "w2")}

        def marked(r: dict[str, Any], key: str) -> str:
            return f"**{r[key]:.3f}**" if r["stop"] == least[key] else f"{r[key]:.3f}"

        add(
            "Where to stop",
            ["stop", "KL to noised data", "certificate", "TV of the noise", "TV to the data",
             "its bound", "W2 of the noise", "W2 to the data"],
            [
                [f"{r['stop']:g}", f"{r['kl']:.4f}", f"{r['bound']:.4f}", f"{r['early']:.3f}",
                 marked(r, "tv"), marked(r, "tv_bound"), f"{r['early_w2']:.3f}", marked(r, "w2")]
                for r in rows
            ],
        )  # fmt: skip
    add(
        "The interval of the score error at 95%, in nats",
        ["error of the score", "rows", "integral", "mean interval", "held", "below", "above"],
        [
            [r["error"], str(r["n"]), f"{r['true']:.4f}", f"[{r['low']:.4f}, {r['high']:.4f}]",
             f"{r['held']} of {r['seeds']}", str(r["below"]), str(r["above"])]
            for r in of["level"]
        ],
    )  # fmt: skip
    return "\n\n".join(texts)


def main() -> None:
    """Measure, print, and with `--write` record."""
    options = shared.arguments(__doc__, tables=(TABLES, "which tables")).parse_args()
    timing.one_thread()
    rows = cases(options.tables, options.smoke)
    results = shared.gathered(options, rows, lambda **case: run(smoke=options.smoke, **case))
    text = tables(results)
    print(text)
    if options.write:
        facts = {"environment": record.environment(), "results": results}
        record.save("bounds", facts, text)


if __name__ == "__main__":
    main()
