"""The exact score of the training set, and networks on their way to it.

python docs/pictures/exact_score.py            # some minutes; into docs/assets/pictures
python docs/pictures/exact_score.py --smoke    # small, writes nothing
"""

from __future__ import annotations

from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

import pushforward as pf
from drawing import SMOKE, Theme, draw
from pushforward import metrics
from pushforward.support import Hypersphere

CIRCLE = Hypersphere(1)
TRAIN, HELD_OUT = CIRCLE.sample(32, seed=1), CIRCLE.sample(500, seed=2)
STEPS = (2, 4) if SMOKE else (100, 300, 1000, 3000, 10_000)
WIDTHS = {"width 256": 256, "width 16": 16}
LEVELS = (1.0, 0.3, 0.1, 0.0)
"""Where the path of the exact score is stopped: noise over the distance between neighbors. At zero
the last step takes away what is left."""


def exact_samples(level: float) -> Tensor:
    """Samples by the exact score of the training points, stopped with some noise left."""
    process = pf.processes.Gaussian(pf.schedules.VP())
    points = pf.distributions.GaussianMixture(TRAIN, 1e-10)
    transport = pf.Transport(pf.analytic.AnalyticMixture(points).model(process), process)
    spacing = 2 * torch.pi / len(TRAIN)
    clock = process.schedule
    stop = clock.t_min
    if level > 0:
        snr = torch.tensor(level * spacing, dtype=torch.float64) ** -2
        stop = float(clock.time_at_log_snr(snr.log()))
    grid = pf.grids.LogSNRGrid()(clock, 40, stop=stop)
    start = process.prior((2,)).sample(500, seed=0)
    x = pf.samplers.run(pf.samplers.Heun(), transport, start, grid, seed=0)
    if level == 0:
        return transport.model(x, stop)
    alpha, _ = clock.values(stop)
    return x / float(alpha)


def judged(x: Tensor) -> dict[str, float]:
    """Copying, and the distance to the circle."""
    return {
        "memorization": metrics.memorization(x, HELD_OUT, TRAIN).value,
        "near copies": metrics.near_copies(x, HELD_OUT, TRAIN).value,
        "distance": float(CIRCLE.distance(x).mean()),
    }


def trained(width: int) -> tuple[list[dict[str, float]], dict[int, Tensor]]:
    """What a network makes at some steps of its training."""
    torch.manual_seed(0)
    model = pf.Diffusion(pf.nn.MLP(2, width=width, depth=3), event_shape=2)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    generator = torch.Generator().manual_seed(0)
    found, drawn = [], {}
    for step in range(1, STEPS[-1] + 1):
        batch = TRAIN[torch.randint(len(TRAIN), (128,), generator=generator)]
        loss = model.loss(batch, generator=generator).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in STEPS:
            drawn[step] = model.sample(500, steps=20, seed=0)
            found.append({"steps": step} | judged(drawn[step]))
            print(f"width {width}: {found[-1]}", flush=True)
    return found, drawn


def main() -> None:
    """Measure, and draw both themes."""
    exact = {level: exact_samples(level) for level in LEVELS}
    for level, x in exact.items():
        print(f"exact score, stopped at {level} of the distance between neighbors: {judged(x)}")
    runs = {name: trained(width) for name, width in WIDTHS.items()}

    def paint(figure: Figure, theme: Theme) -> None:
        panels: Any = figure.subplots(1, 4)
        shown = {
            "exact score": exact[0.0],
            f"width 256, {STEPS[-1]:,} steps": runs["width 256"][1][STEPS[-1]],
            f"width 256, {STEPS[-3 % len(STEPS)]:,} steps": runs["width 256"][1][
                STEPS[-3 % len(STEPS)]
            ],
        }
        for axes, (name, x) in zip(panels, shown.items(), strict=False):
            axes.scatter(*x[:300].T, s=4, color=theme.colors[0], linewidths=0)
            axes.scatter(*TRAIN.T, s=28, facecolors="none", edgecolors=theme.colors[1])
            axes.set(title=name, xlim=(-1.4, 1.4), ylim=(-1.4, 1.4), aspect="equal")
            axes.set_xticks([-1, 0, 1])
            axes.set_yticks([-1, 0, 1])
        axes = panels[-1]
        for name, (found, _) in runs.items():
            axes.plot([f["steps"] for f in found], [f["memorization"] for f in found], "o-",
                      label=name)  # fmt: skip
        axes.axhline(0.5, color=theme.ink, linewidth=0.8, linestyle=":")
        axes.set(title="memorization", xlabel="training steps", xscale="log", ylim=(0, 1.03))
        axes.legend()

    draw("exact-score", (12, 3.2), paint)


if __name__ == "__main__":
    main()
