"""Flow matching: what an error of the velocity becomes, beside the bounds of W_2.

python docs/pictures/flow_error.py            # a minute; into docs/assets/pictures
python docs/pictures/flow_error.py --smoke    # small, writes nothing
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from drawing import SMOKE, Theme, draw
from pushforward import Transport, analytic, grids, processes, samplers, schedules
from pushforward.certificates import FlowCertificate, flow_certificate
from pushforward.distributions import GaussianMixture

PROCESS = processes.Gaussian(schedules.Rectified())
GRID = grids.LogSNRGrid()(PROCESS.schedule, 30 if SMOKE else 200, stop=1e-3)
STD = 0.3
RADII = (0.0, 0.6) if SMOKE else (0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.05, 1.2)
SIZES = (0.02, 0.1) if SMOKE else (0.02, 0.05, 0.1, 0.2, 0.5)
RANKS = (torch.arange(200 if SMOKE else 4000, dtype=torch.float64) + 0.5) / (200 if SMOKE else 4000)


def law(radius: float) -> GaussianMixture:
    """Two equal modes at plus and minus a radius."""
    means = torch.tensor([[-radius], [radius]], dtype=torch.float64)
    return GaussianMixture(means, STD**2)


def exact(radius: float) -> Transport:
    """The velocity of the interpolant `(1 - t) data + t noise`."""
    return Transport(analytic.AnalyticMixture(law(radius)).model(PROCESS), PROCESS)


def wrong(radius: float, size: float) -> Transport:
    """The same plus a constant: `v = (x - prediction) / t`."""
    right = exact(radius).model
    return Transport(lambda x, t, c=None: right(x, t) - size * t, PROCESS)


def start() -> Tensor:
    """Equally likely states of the prior, in order."""
    sigma = PROCESS.schedule.at(GRID[0]).sigma
    return sigma * math.sqrt(2) * torch.erfinv(2 * RANKS - 1)[:, None]


def distance(radius: float, size: float) -> float:
    """`W_2` of both flows: on a line they keep the order, and the same ranks belong together."""
    ends = [
        samplers.run(samplers.Heun(), flow, start(), GRID)
        for flow in (exact(radius), wrong(radius, size))
    ]
    return float((ends[0] - ends[1]).square().mean().sqrt())


def certificate(radius: float, size: float) -> FlowCertificate:
    """By one-sided constants, measured at states."""
    return flow_certificate(
        wrong(radius, size), exact(radius), law(radius).sample(1000, seed=0), start=GRID[0],
        stop=GRID[-1], times=100,
    )  # fmt: skip


def slopes(radius: float) -> Tensor:
    """The derivative of the velocity at each time of the grid and on a grid of states."""
    x = torch.linspace(-4, 4, 801, dtype=torch.float64)[:, None]
    rows = [exact(radius).dynamics(x, t).velocity[:, 0] for t in GRID]
    return torch.stack([torch.gradient(v, spacing=0.01)[0] for v in rows])


def lipschitz_growth(radius: float) -> float:
    """`exp int L_t dt`, with the Lipschitz constant of the velocity."""
    most = slopes(radius).abs().amax(1)
    steps = torch.tensor([t - s for t, s in pairwise(GRID)])
    return math.exp(float((0.5 * (most[1:] + most[:-1]) * steps).sum()))


def amplification(radius: float) -> tuple[Tensor, Tensor]:
    """What a small push at each time becomes at the end: root mean square, and at most."""
    states = [start()]
    samplers.run(
        samplers.Heun(), exact(radius), start(), GRID,
        callback=lambda k, t, state: states.append(state.x),
    )  # fmt: skip
    path = torch.stack(states)[..., 0]
    # By ranks: how far neighbors are at the end over how far they were.
    gaps = path.diff(dim=1)
    typical = (gaps[-1] / gaps).square().mean(1).sqrt()
    worst = (-slopes(radius)).amax(1)
    steps = torch.tensor([t - s for t, s in pairwise(GRID)])
    pieces = 0.5 * (worst[1:] + worst[:-1]) * steps
    left = torch.cat([pieces.flip(0).cumsum(0).flip(0), pieces.new_zeros(1)])
    return typical, left.exp()


def main() -> None:
    """Measure, and draw both themes."""
    shown = {0.0: "one mode", 0.6: "modes 4 std apart"} if SMOKE else {
        0.0: "one mode", 0.45: "modes 3 std apart", 0.9: "modes 6 std apart"
    }  # fmt: skip
    measured = {r: [distance(r, a) for a in SIZES] for r in shown}
    bounds = {r: [certificate(r, a).distance for a in SIZES] for r in shown}
    size = 0.05
    along = [(distance(r, size), certificate(r, size), lipschitz_growth(r)) for r in RADII]
    for r, (found, bound, growth) in zip(RADII, along, strict=True):
        print(f"modes at ±{r}, velocity off by {size}: W2 {found:.4g}, one-sided bound "
              f"{bound.distance:.4g} ({'vacuous' if bound.vacuous else 'of use'}), Lipschitz bound "
              f"{size * growth:.4g}, data spread {bound.spread:.3g}", flush=True)  # fmt: skip
    pushes = {r: amplification(r) for r in shown}

    def paint(figure: Figure, theme: Theme) -> None:
        panels: Any = figure.subplots(1, 3)
        for (r, name), color, mark in zip(shown.items(), theme.colors, "os^", strict=False):
            panels[0].plot(SIZES, measured[r], mark + "-", color=color, markersize=5,
                           linewidth=1.2, label=name)  # fmt: skip
            panels[0].plot(SIZES, bounds[r], ":", color=color, linewidth=1.4)
            typical, worst = pushes[r]
            panels[2].plot(GRID, typical, "-", color=color, linewidth=1.4, label=name)
            panels[2].plot(GRID, worst, ":", color=color, linewidth=1.4)
        for axes, text in ((panels[0], "bound, one-sided"), (panels[2], "at most")):
            axes.plot([], [], ":", color=theme.ink, linewidth=1.4, label=text)
        panels[0].set(title="growing error of the velocity", xlabel="size of the error",
                      xscale="log", yscale="log", ylim=(0.008, 900),
                      ylabel="$W_2$, units of $x$")  # fmt: skip
        panels[0].minorticks_off()
        panels[0].set_xticks(SIZES, [f"{a:g}" for a in SIZES])
        panels[0].legend(loc="upper left")
        apart = [2 * r / STD for r in RADII]
        panels[1].plot(apart, [found for found, _, _ in along], "o-", color=theme.colors[0],
                       markersize=5, linewidth=1.2, label="measured")  # fmt: skip
        panels[1].plot(apart, [bound.distance for _, bound, _ in along], "-",
                       color=theme.colors[2], linewidth=1.4, label="bound, one-sided")  # fmt: skip
        panels[1].plot(apart, [size * growth for _, _, growth in along], "-",
                       color=theme.colors[3], linewidth=1.4, label="bound, Lipschitz")  # fmt: skip
        panels[1].plot(apart, [bound.spread for _, bound, _ in along], "--", color=theme.ink,
                       linewidth=1.2, label="independent draws")  # fmt: skip
        panels[1].set(title=f"velocity off by {size}", xlabel="modes apart, standard deviations",
                      ylabel="$W_2$, units of $x$", yscale="log")  # fmt: skip
        panels[1].legend(loc="upper left")
        panels[2].set(title="what a push becomes", xlabel="time $t$ of the push (0 is data)",
                      ylabel="distance at the end / push", yscale="log", xlim=(0, 1),
                      ylim=(0.2, 900))  # fmt: skip
        panels[2].legend(loc="upper left")

    draw("flow-error", (12, 3.8), paint)


if __name__ == "__main__":
    main()
