"""Time reversal: paths of the noising, of Anderson's SDE and of the probability flow.

python docs/pictures/time_reversal.py            # a minute; into docs/assets/pictures
python docs/pictures/time_reversal.py --smoke    # small, writes nothing
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from drawing import SMOKE, Theme, draw
from line import HORIZON, PROCESS, REVERSED, noised, tau
from pushforward import grids, samplers

DRAWS, STEPS, SHOWN = (200, 20, 5) if SMOKE else (20_000, 400, 14)
GRID = grids.LogSNRGrid()(PROCESS.schedule, STEPS, stop=1e-3)
TIMES = [tau(t) for t in GRID]
MOMENTS = (0.1, 0.5)
"""Times at which densities are compared."""


def forward() -> Tensor:
    """Paths of the noising, by its exact transitions, from the last time of the grid up."""
    generator = torch.Generator().manual_seed(0)
    x = noised(TIMES[-1]).sample(DRAWS, generator=generator)
    found = [x]
    for s, t in pairwise(reversed(TIMES)):
        keep = math.exp(s - t)
        noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        x = keep * x + math.sqrt(1 - keep**2) * noise
        found.append(x)
    return torch.stack(found[::-1])[..., 0]


def backward(churn: float) -> Tensor:
    """Paths of the reverse SDE (1) or of the probability flow (0), from the exact law."""
    x = noised(TIMES[0]).sample(DRAWS, seed=1)
    found = [x]
    samplers.run(
        samplers.Euler(churn), REVERSED, x, GRID, seed=2,
        callback=lambda k, t, state: found.append(state.x),
    )  # fmt: skip
    return torch.stack(found)[..., 0]


def show_paths(axes: Axes, paths: Tensor, color: str, theme: Theme) -> None:
    """Some paths on the density that they have."""
    times = torch.linspace(TIMES[-1], HORIZON, 40 if SMOKE else 240)
    x = torch.linspace(-4, 4, 60 if SMOKE else 300, dtype=torch.float64)
    density = torch.stack([noised(t).log_prob(x[:, None]).exp() for t in times.tolist()], 1)
    for level in (0.02, 0.08, 0.16, 0.24, 0.32):
        axes.contourf(times, x, density, [level, 9.0], colors=[theme.colors[7]], alpha=0.11)
    # Spread over the ends, so that each mode gets its share.
    stride = DRAWS // SHOWN
    order = paths[-1].argsort()[stride // 2 :: stride][:SHOWN]
    axes.plot(TIMES, paths[:, order], color=color, linewidth=0.8)
    axes.set(xlim=(0, HORIZON), ylim=(-4, 4), xlabel="noising time $t$")


def show_density(axes: Axes, time: float, paths: dict[str, Tensor], theme: Theme) -> None:
    """Histograms with their errors on the exact density."""
    edges = torch.linspace(-3.5, 3.5, 12 if SMOKE else 30, dtype=torch.float64)
    width = float(edges[1] - edges[0])
    x = torch.linspace(-3.5, 3.5, 400, dtype=torch.float64)
    k = min(range(len(TIMES)), key=lambda k: abs(TIMES[k] - time))
    axes.plot(x, noised(TIMES[k]).log_prob(x[:, None]).exp(), color=theme.ink, linewidth=1.2,
              label="exact $p_t$")  # fmt: skip
    for j, (name, path) in enumerate(paths.items()):
        # Bins in turn, so that no point hides another.
        bins = edges + 0.5 * j * width
        share = torch.histogram(path[k], bins).hist / DRAWS
        error = (share * (1 - share) / DRAWS).sqrt()
        axes.errorbar(0.5 * (bins[1:] + bins[:-1]), share / width, error / width, fmt="os"[j],
                      color=theme.colors[j], markersize=3.5, elinewidth=1, label=name)  # fmt: skip
    axes.set(title=f"densities at $t = {time:g}$", xlabel="$x$", xlim=(-3.5, 3.5), ylim=(0, None))


def main() -> None:
    """Draw paths, compare what they have in common and what not."""
    noising = forward()
    paths = {"reverse SDE": backward(1.0), "probability flow": backward(0.0)}
    exact = torch.tensor([
        math.exp(TIMES[-1] - t)
        * math.sqrt(float(noised(TIMES[-1]).covariance) / float(noised(t).covariance))
        for t in TIMES
    ])  # fmt: skip
    every = range(0, len(TIMES), max(1, len(TIMES) // 16))

    def correlation(path: Tensor, k: int) -> float:
        return float(torch.corrcoef(torch.stack([path[k], path[-1]]))[0, 1])

    for name, path in {"noising": noising, **paths}.items():
        for moment in MOMENTS:
            k = min(range(len(TIMES)), key=lambda k: abs(TIMES[k] - moment))
            law = noised(TIMES[k])
            print(
                f"{name}, t = {moment}: mean {path[k].mean():.3f} ({float(law.mean):.3f}), "
                f"variance {path[k].var():.3f} ({float(law.covariance):.3f}), "
                f"correlation with the data {correlation(path, k):.3f} ({exact[k]:.3f})"
            )

    def paint(figure: Figure, theme: Theme) -> None:
        panels: Any = figure.subplots(2, 3, gridspec_kw={"hspace": 0.08})
        top = {"noising, left to right": noising} | {
            f"{name}, right to left": path for name, path in paths.items()
        }
        colors = (theme.colors[7], *theme.colors)
        for axes, (name, path), color in zip(panels[0], top.items(), colors, strict=False):
            show_paths(axes, path, color, theme)
            axes.set_title(name)
        panels[0, 0].set_ylabel("$x$")
        for axes, moment in zip(panels[1], MOMENTS, strict=False):
            show_density(axes, moment, paths, theme)
        panels[1, 0].set_ylabel("density")
        panels[1, 0].legend(loc="upper left")
        axes = panels[1, 2]
        axes.plot(TIMES, exact, color=theme.ink, linewidth=1.2, label="exact, noising")
        for j, (name, path) in enumerate(paths.items()):
            values = [correlation(path, k) for k in every]
            errors = [3 * (1 - v**2) / math.sqrt(DRAWS) for v in values]
            axes.errorbar([TIMES[k] for k in every], values, errors, fmt="os"[j], markersize=4,
                          color=theme.colors[j], label=name)  # fmt: skip
        axes.set(title="correlation of $X_0$ and $X_t$", xlabel="noising time $t$",
                 xlim=(0, HORIZON), ylim=(0, 1.03))  # fmt: skip
        axes.legend()

    draw("time-reversal", (12, 6.4), paint)


if __name__ == "__main__":
    main()
