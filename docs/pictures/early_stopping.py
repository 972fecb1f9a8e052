"""Early stopping: distance to the data, Fisher information and errors against the time of the stop.

python docs/pictures/early_stopping.py            # some minutes; into docs/assets/pictures
python docs/pictures/early_stopping.py --smoke    # small, writes nothing
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from matplotlib.figure import Figure

from drawing import SMOKE, Theme, draw
from line import HORIZON, LINE, PROCESS, noised
from pushforward import Transport, analytic, certificates, divergences, samplers
from pushforward.distributions import GaussianMixture, Normal
from pushforward.theory import density_of_samples

GAMMA = Normal((1,))
ATOMS = GaussianMixture(LINE.means, 1e-8, LINE.weights)
"""Two points: data without a density, to all that can be seen here."""
LAWS = {"mixture": LINE, "two points": ATOMS}
STOPS = [0.01, 0.1] if SMOKE else torch.logspace(-3, -0.5, 11).tolist()
STEPS = 20 if SMOKE else 60
POINTS = torch.linspace(-6, 6, 301 if SMOKE else 1501, dtype=torch.float64)


def moment(law: GaussianMixture) -> float:
    """`E |X_0|^2`."""
    return float(law.covariance.trace() + law.mean.square().sum())


def kl(law: GaussianMixture, t: float) -> float:
    """`KL(p_t | gamma)`."""
    return divergences.kl(noised(t, law), GAMMA).value


def fisher(law: GaussianMixture, t: float) -> float:
    """`I(p_t | gamma)`."""
    return divergences.fisher_divergence(noised(t, law), GAMMA).value


def distance(law: GaussianMixture, stop: float) -> float:
    """`W_2(p_0, p_stop)`."""
    return divergences.wasserstein(law, noised(stop, law)).value


def speed(law: GaussianMixture, stop: float) -> float:
    """How far the probability flow carries states: `int_0^stop sqrt(I(p_t | gamma)) dt`."""
    t = torch.linspace(0, stop, 9, dtype=torch.float64)
    return float(
        torch.trapezoid(torch.tensor([fisher(law, float(u)) for u in t]).double().sqrt(), t)
    )


def constant(stop: float) -> list[float]:
    """Times of the equation, from the horizon down, in equal steps."""
    return torch.linspace(HORIZON, stop, STEPS + 1, dtype=torch.float64).tolist()


def shrinking(stop: float) -> list[float]:
    """In steps of `kappa min(1, t)`, where `t` is the time that is left after them."""

    def walked(kappa: float) -> list[float]:
        times = [stop]
        while len(times) <= STEPS:
            times.append(times[-1] + kappa * min(1.0, times[-1]))
        return times[::-1]

    low, high = 1e-4, 10.0
    for _ in range(60):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if walked(middle)[0] < HORIZON else (low, middle)
    return [HORIZON, *walked(high)[1:]]


def path_entropy(law: GaussianMixture, times: list[float]) -> float:
    """`KL` of the exact paths from those of the relative score, exact but for its score."""
    lost = ((2 * math.expm1(t - s) - (t - s)) * fisher(law, t) for t, s in pairwise(times))
    return kl(law, times[-1]) - math.fsum(lost)


def of_samples(law: GaussianMixture, times: list[float]) -> float:
    """`KL(p_stop | samples)` on a grid of states."""
    transport = Transport(analytic.AnalyticMixture(law).model(PROCESS), PROCESS)
    grid = [t / HORIZON for t in times]
    q = density_of_samples(samplers.RelativeScore(), transport, grid, POINTS)
    log_p = noised(times[-1], law).log_prob(POINTS[:, None])
    inside = q > 0
    gap = (log_p.exp() * (log_p - q.log()))[inside].sum()
    return float(POINTS[1] - POINTS[0]) * float(gap)


def promised(law: GaussianMixture, times: list[float]) -> float:
    """The bound by second moments."""
    scheme = certificates.scheme_of(samplers.RelativeScore())
    grid = [t / HORIZON for t in times]
    found = certificates.published_bounds(law, PROCESS, grid, scheme, 0.0)
    return next(bound.value for bound in found if bound.name == "second moment")


def main() -> None:
    """Measure, and draw both themes."""
    away = {name: [distance(law, d) for d in STOPS] for name, law in LAWS.items()}
    information = {name: [fisher(law, d) for d in STOPS] for name, law in LAWS.items()}
    moved = [speed(LINE, stop) for stop in STOPS]
    print(f"mixture: {dict(zip(STOPS, zip(away['mixture'], moved, strict=True), strict=True))}")
    grids = {"equal steps": constant, "shrinking steps": shrinking}
    found: dict[str, dict[str, list[float]]] = {}
    for name, grid in grids.items():
        walks = [grid(stop) for stop in STOPS]
        found[name] = {
            "bound": [promised(ATOMS, times) for times in walks],
            "paths": [path_entropy(ATOMS, times) for times in walks],
            "samples": [of_samples(ATOMS, times) for times in walks],
        }
        for k, stop in enumerate(STOPS):
            told = ", ".join(f"{what} {values[k]:.3g}" for what, values in found[name].items())
            print(f"{name}, stop {stop:.4f}: {told}; W2 {away['two points'][k]:.3g}", flush=True)

    def paint(figure: Figure, theme: Theme) -> None:
        panels: Any = figure.subplots(1, 3)
        coupled = [
            math.sqrt((1 - math.exp(-d)) ** 2 * moment(ATOMS) - math.expm1(-2 * d)) for d in STOPS
        ]
        for (name, values), color, mark in zip(away.items(), theme.colors, "os", strict=False):
            panels[0].plot(STOPS, values, mark + "-", color=color, markersize=4, linewidth=1.2,
                           label=name)  # fmt: skip
        panels[0].plot(STOPS, coupled, ":", color=theme.ink, linewidth=1.2,
                       label="bound by second moments")  # fmt: skip
        panels[0].plot(STOPS, moved, "--", color=theme.colors[0], linewidth=1.2,
                       label=r"mixture: bound $\int\!\sqrt{I}\,dt$")  # fmt: skip
        panels[0].set(title="distance to the data", xscale="log", yscale="log",
                      ylabel="$W_2(p_0, p_\\delta)$, units of $x$", ylim=(1.5e-4, 1.5))  # fmt: skip
        panels[0].legend()
        bound = [
            math.exp(-2 * d) * moment(ATOMS) - math.exp(-4 * d) / math.expm1(-2 * d) for d in STOPS
        ]
        for (name, values), color, mark in zip(
            information.items(), theme.colors, "os", strict=False
        ):
            panels[1].plot(STOPS, values, mark + "-", color=color, markersize=4, linewidth=1.2,
                           label=name)  # fmt: skip
        panels[1].plot(STOPS, bound, ":", color=theme.ink, linewidth=1.2,
                       label="bound by second moments")  # fmt: skip
        panels[1].set(title="Fisher information", ylabel="$I(p_\\delta\\,|\\,\\gamma)$",
                      xscale="log", yscale="log")  # fmt: skip
        panels[1].legend()
        for (name, values), color in zip(found.items(), theme.colors[2:], strict=False):
            panels[2].plot(STOPS, values["bound"], ":", color=color, linewidth=1.2)
            panels[2].plot(STOPS, values["paths"], "-", color=color, linewidth=1.2, label=name)
            panels[2].plot(STOPS, values["samples"], "o", color=color, markersize=4)
        for style, label in ((":", "bound"), ("-", "paths"), ("o", "samples")):
            panels[2].plot([], [], style, color=theme.ink, linewidth=1.2, markersize=4, label=label)
        panels[2].set(title=f"two points, {STEPS} steps", xscale="log", yscale="log",
                      ylabel="KL in nats", ylim=(2e-5, 60))  # fmt: skip
        panels[2].legend(ncols=2, loc="lower left")
        for axes in panels:
            axes.set(xlabel=r"stop $\delta$")

    draw("early-stopping", (12, 3.8), paint)


if __name__ == "__main__":
    main()
