"""Girsanov: what a wrong score costs on paths, by formula and by simulation, and at their ends.

python docs/pictures/girsanov.py            # some minutes; into docs/assets/pictures
python docs/pictures/girsanov.py --smoke    # small, writes nothing
"""

from __future__ import annotations

import math
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from drawing import SMOKE, Theme, draw
from line import PROCESS, REVERSED, noised, tau
from pushforward import Transport, grids, path_space, samplers
from pushforward.theory import density_of_samples

STOP = 0.005
STEPS = 40 if SMOKE else 200
GRID = grids.LogSNRGrid()(PROCESS.schedule, STEPS, start=1.0, stop=STOP)
CLOCK = [1.0 - t for t in GRID]
POINTS = torch.linspace(-7, 7, 561 if SMOKE else 701, dtype=torch.float64)
SIZES = (0.1, 0.4) if SMOKE else (0.05, 0.1, 0.2, 0.4, 0.8)
PATHS = 50 if SMOKE else 1000
FIRST = PROCESS.prior((1,))
"""What all paths start from."""


def wrong(size: float) -> Transport:
    """Predictions whose score is off by `size sin(2 x)`."""

    def model(x: Tensor, t: Any, c: Any = None) -> Tensor:
        k = PROCESS.schedule.at(t)
        return REVERSED.model(x, t) + k.sigma**2 / k.alpha * size * torch.sin(2 * x)

    return Transport(model, PROCESS)


def gathered(size: float) -> list[float]:
    """`int |error|^2 dt` on the clock of the equation, up to each time of the grid."""
    x, h = POINTS[:, None], float(POINTS[1] - POINTS[0])
    square = (size * torch.sin(2 * POINTS)).square()
    rates = [h * float((noised(tau(t)).log_prob(x).exp() * square).sum()) for t in GRID]
    total = [0.0]
    for k in range(len(GRID) - 1):
        total.append(total[-1] + 0.5 * tau(GRID[k] - GRID[k + 1]) * (rates[k] + rates[k + 1]))
    return total


def ends(size: float, steps: int) -> float:
    """`KL` of the laws of both chains after some steps, on a grid of states."""
    if steps == 0:
        return 0.0
    p, q = (
        density_of_samples(samplers.Euler(1.0), transport, GRID[: steps + 1], POINTS)
        for transport in (REVERSED, wrong(size))
    )
    return float(POINTS[1] - POINTS[0]) * float((torch.xlogy(p, p) - torch.xlogy(p, q)).sum())


def flow_ends(size: float) -> float:
    """`KL` of the data, as noised as they are at the last time, from what the flow draws."""
    base = torch.linspace(-7, 7, 401 if SMOKE else 8001, dtype=torch.float64)
    sigma = PROCESS.schedule.at(1.0).sigma
    y = samplers.run(samplers.Heun(), wrong(size), sigma * base[:, None], GRID)[:, 0]
    slope = torch.gradient(y, spacing=float(base[1] - base[0]))[0]
    log_q = -0.5 * base.square() - 0.5 * math.log(2 * math.pi) - slope.log()
    log_p = noised(tau(GRID[-1])).log_prob(y[:, None])
    return float(torch.trapezoid(log_p.exp() * (log_p - log_q), y))


def simulated(size: float, n: int) -> tuple[path_space.PathEntropy, tuple[float, float]]:
    """By paths with control variates; and the mean of plain likelihood ratios with its error."""
    p, q = (path_space.reverse_sde(each, FIRST, 1.0) for each in (REVERSED, wrong(size)))
    found = path_space.girsanov(p, q, CLOCK, n=n, seed=0)
    x = FIRST.sample(n, seed=1).double()
    states: list[Tensor] = [x]
    samplers.run(
        samplers.Euler(1.0), REVERSED, x, GRID, seed=2,
        callback=lambda k, t, state: states.append(state.x),
    )  # fmt: skip
    ratio = path_space.log_likelihood_ratio(p, q, states, CLOCK)
    return found, (float(ratio.mean()), float(ratio.std()) / math.sqrt(n))


def main() -> None:
    """Measure, and draw both themes."""
    fine = torch.logspace(-1.4, 0, 12)
    one = gathered(1.0)[-1]
    rows = {size: simulated(size, PATHS) for size in SIZES}
    last = {size: ends(size, STEPS) for size in SIZES}
    flow = {size: flow_ends(size) for size in SIZES}
    for size, (found, (plain, error)) in rows.items():
        print(
            f"score off by {size} sin 2x: paths {one * size**2:.4g} by formula, "
            f"{found.value:.4g} ± {found.stderr:.2g} by simulation, {plain:.4g} ± {error:.2g} "
            f"without control variates; ends {last[size]:.4g}; ends of the flow {flow[size]:.4g}",
            flush=True,
        )
    size = SIZES[-2]
    whole = gathered(size)
    at = range(0, STEPS + 1, STEPS // (4 if SMOKE else 20))
    along = [ends(size, k) for k in at]
    numbers = (20, 40) if SMOKE else (100, 300, 1000, 3000, 10_000)
    errors = [simulated(size, n) for n in numbers]
    for n, (found, (_, error)) in zip(numbers, errors, strict=True):
        print(f"{n} paths: standard error {found.stderr:.2g} with, {error:.2g} without", flush=True)

    def paint(figure: Figure, theme: Theme) -> None:
        panels: Any = figure.subplots(1, 3)
        axes = panels[0]
        axes.plot(fine, one * fine.square(), color=theme.ink, linewidth=1.2)
        axes.errorbar(SIZES, [r[0].value for r in rows.values()],
                      [3 * r[0].stderr for r in rows.values()], fmt="o", markersize=5,
                      color=theme.colors[0])  # fmt: skip
        axes.plot(SIZES, list(last.values()), "s-", color=theme.colors[2], markersize=4,
                  linewidth=1.2)  # fmt: skip
        axes.plot(SIZES, list(flow.values()), "^--", color=theme.colors[1], markersize=5,
                  linewidth=1.2)  # fmt: skip
        axes.set(title="growing error of the score", xlabel="size $a$ of the error $a\\,\\sin 2x$",
                 ylabel="KL in nats", xscale="log", yscale="log", ylim=(2e-4, 20))  # fmt: skip
        middle = SIZES[len(SIZES) // 2]
        for text, value, offset, color in (
            ("ends of the flow", flow[middle], (-10, 4), theme.colors[1]),
            ("paths", rows[middle][0].value, (8, -13), theme.colors[0]),
            ("ends of the SDE", last[middle], (8, -14), theme.colors[2]),
        ):  # fmt: skip
            axes.annotate(text, (middle, value), offset, textcoords="offset points", color=color,
                          ha="right" if offset[0] < 0 else "left")  # fmt: skip
        axes = panels[1]
        time = [tau(1 - t) for t in GRID]
        axes.plot(time, whole, color=theme.ink, linewidth=1.2, label="paths so far, formula")
        axes.plot([time[k] for k in at], along, "s-", color=theme.colors[2], markersize=4,
                  linewidth=1.2, label="states now")  # fmt: skip
        axes.set(title=f"along the way, $a = {size}$", xlabel="time of the reverse SDE",
                 ylabel="KL in nats", xlim=(0, None), ylim=(0, None))  # fmt: skip
        axes.legend(loc="upper left")
        axes = panels[2]
        axes.loglog(numbers, [error for _, (_, error) in errors], "o-", color=theme.colors[1],
                    linewidth=1.2, label="plain likelihood ratios")  # fmt: skip
        axes.loglog(numbers, [found.stderr for found, _ in errors], "o-", color=theme.colors[0],
                    linewidth=1.2, label="formula, control variates")  # fmt: skip
        axes.set(title=f"error of the simulation, $a = {size}$", xlabel="simulated paths",
                 ylabel="standard error in nats")  # fmt: skip
        axes.legend()

    draw("girsanov", (12, 3.6), paint)


if __name__ == "__main__":
    main()
