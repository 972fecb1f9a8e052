"""Proportional fitting: what each fit moves, how fast, and the Schrödinger bridge at the end.

python docs/pictures/proportional_fitting.py            # a minute; into docs/assets/pictures
python docs/pictures/proportional_fitting.py --smoke    # small, writes nothing
"""

from __future__ import annotations

import math
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from drawing import SMOKE, Theme, draw
from pushforward import Transport, analytic, divergences, ot, path_space, processes
from pushforward.distributions import ColoredNormal, GaussianMixture
from pushforward.theory import fitting_bound

EYE = torch.eye(1, dtype=torch.float64)
SHIFT = 2.0
SIGMAS = (0.7, 1.5) if SMOKE else (0.4, 0.55, 0.75, 1.0, 1.5, 2.5)
FITS = 30 if SMOKE else 200
PATHS, STEPS = (200, 10) if SMOKE else (40_000, 400)


def fitted(sigma: float, fits: int) -> ot.Fits:
    """From `x` and `x + sigma noise` to the ends `N(0, 1)` and `N(2, 1)`."""
    reference = torch.tensor([[1.0, 1.0], [1.0, 1.0 + sigma**2]], dtype=torch.float64)
    ends = ((0 * EYE[0], EYE), (SHIFT * EYE[0], EYE))
    return ot.ipf_gaussian(torch.zeros(2), reference, ends, fits)


def limit(sigma: float) -> tuple[ColoredNormal, float]:
    """The bridge's ends in closed form, and their relative entropy from the reference."""
    mean, cov = ot.GaussianPlan(0 * EYE[0], EYE, SHIFT * EYE[0], EYE, 2 * sigma**2).joint()
    plan = ColoredNormal(cov, mean)
    first = torch.tensor([[1.0, 1.0], [1.0, 1.0 + sigma**2]], dtype=torch.float64)
    return plan, divergences.kl(plan, ColoredNormal(first, 0 * mean)).value


def factor(record: ot.Fits) -> float:
    """By how much what a fit moves decreases from fit to fit, at the end, above rounding."""
    moved = record.forward[record.forward > 1e-20]
    return float((moved[-1] / moved[-5]) ** 0.25)


def tables() -> list[tuple[float, float]]:
    """Second singular values of the limits of random tables, squared, and the factors."""
    found = []
    generator = torch.Generator().manual_seed(0)
    for sharpness in (1.0, 4.0) if SMOKE else (1.0, 2.0, 4.0, 6.0, 8.0, 10.0):
        table = torch.rand(12, 9, generator=generator).double() ** sharpness + 1e-4
        a, b = (torch.rand(k, generator=generator).double() + 0.2 for k in table.shape)
        record = ot.ipf(table, a / a.sum(), b / b.sum(), 4 * FITS)
        rows, columns = record.joint.sum(1, keepdim=True), record.joint.sum(0, keepdim=True)
        singular = torch.linalg.svdvals(record.joint / (rows * columns).sqrt())
        found.append((float(singular[1] ** 2), factor(record)))
    return found


def variances(sigma: float) -> tuple[list[float], Tensor, Tensor]:
    """Times, variances of simulated paths of the bridge, and their errors."""
    problem = analytic.AnalyticPair.schrodinger(sigma, 0.0, SHIFT)
    bridge = processes.Bridge(sigma)
    start = GaussianMixture(torch.zeros(1, 1), 1.0)
    sde = path_space.forward_sde(Transport(problem.model(bridge), bridge), start, 1e-4)
    generator = torch.Generator().manual_seed(0)
    x, found, h = start.sample(PATHS, generator=generator), [], (1 - 2e-4) / STEPS
    for k in range(STEPS):
        noise = torch.randn(x.shape, generator=generator)
        x = x + h * sde.drift(x, k * h) + math.sqrt(h) * sde.diffusion(k * h) * noise
        if (k + 1) % (STEPS // 10) == 0:
            found.append(((k + 1) * h, float(x.var())))
    spread = torch.tensor([v for _, v in found])
    return [t for t, _ in found], spread, spread * math.sqrt(2 / PATHS)


def main() -> None:
    """Measure, and draw both themes."""
    shown = {sigma: fitted(sigma, 60) for sigma in (0.55, 1.0, 1.5)}
    normal = []
    for sigma in SIGMAS:
        record, (plan, distance) = fitted(sigma, 4 * FITS), limit(sigma)
        cov = plan.covariance
        share = float(cov[0, 1] ** 2 / (cov[0, 0] * cov[1, 1]))
        normal.append((share, factor(record)))
        print(f"sigma {sigma}: KL(limit | reference) {distance:.6g}, moved in all "
              f"{float(record.forward.sum()):.6g}; squared correlation {share:.4f}, factor "
              f"{normal[-1][1]:.4f}; fits until 1e-8: "
              f"{int((record.marginals > 1e-8).sum()) + 1}", flush=True)  # fmt: skip
    random = tables()
    print("tables, squared singular value and factor:", random)
    bridges = {sigma: variances(sigma) for sigma in (0.5, 1.5, 2.5)}

    def paint(figure: Figure, theme: Theme) -> None:
        panels: Any = figure.subplots(1, 3)
        fits = range(1, 61)
        for (sigma, record), color in zip(shown.items(), theme.colors, strict=False):
            panels[0].plot(fits, record.marginals, "-", color=color, linewidth=1.4,
                           label=rf"$\sigma = {sigma}$")  # fmt: skip
            bound = [fitting_bound(limit(sigma)[1], n) for n in fits]
            panels[0].plot(fits, bound, ":", color=color, linewidth=1.2)
        panels[0].plot([], [], ":", color=theme.ink, linewidth=1.2,
                       label=r"bound $\mathrm{KL}(\pi^*\|\pi^0)/n$")  # fmt: skip
        panels[0].set(title="what marginals lack", xlabel="fits $n$", ylabel="nats", yscale="log",
                      ylim=(1e-12, 2e3), xlim=(0, 60))  # fmt: skip
        panels[0].legend(loc="upper right", ncols=2)
        panels[1].plot([0, 1], [0, 1], color=theme.ink, linewidth=1.2, label="theory")
        for points, mark, color, label in (
            (normal, "o", theme.colors[0], "normal distributions"),
            (random, "s", theme.colors[1], "random tables"),
        ):
            panels[1].plot(*zip(*points, strict=True), mark, color=color, markersize=5, label=label)
        panels[1].set(title="rate of convergence", ylabel="factor from fit to fit",
                      xlabel=r"second singular value of $\pi^*$, squared",
                      xlim=(0, 1), ylim=(0, 1))  # fmt: skip
        panels[1].legend(loc="upper left")
        t = torch.linspace(0, 1, 101).tolist()
        for (sigma, (times, spread, error)), color in zip(
            bridges.items(), theme.colors, strict=False
        ):
            exact = ot.GaussianBridge(0 * EYE[0], EYE, SHIFT * EYE[0], EYE, sigma)
            panels[2].plot(t, [float(exact.marginal(s)[1]) for s in t], color=color, linewidth=1.4)
            panels[2].errorbar(times, spread, 2 * error, fmt="o", markersize=4, color=color,
                               label=rf"$\sigma = {sigma}$")  # fmt: skip
        panels[2].set(title="variance along the bridge", xlabel="time of the bridge",
                      ylabel="variance of the state", xlim=(0, 1.02), ylim=(0.5, 2.4))  # fmt: skip
        panels[2].legend(loc="lower center", ncols=3, columnspacing=1.0, handletextpad=0.2)

    draw("proportional-fitting", (12, 3.8), paint)


if __name__ == "__main__":
    main()
