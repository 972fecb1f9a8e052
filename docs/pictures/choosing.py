"""The pictures of the guides to processes and samplers.

python docs/pictures/choosing.py            # half a minute; into docs/assets/pictures
python docs/pictures/choosing.py --smoke    # small, into the folder that it is run in
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

import pushforward as pf
from pushforward import grids, registry, samplers, schedules
from pushforward.processes import Gaussian

PICTURES = Path(__file__).parents[1] / "assets" / "pictures"

BLUE, ORANGE, GREEN, RED = "#2a5caa", "#c4622d", "#2c7a4b", "#b3372f"
PURPLE, GOLD, TEAL = "#7a4fa3", "#b08a1e", "#2b8a93"
SOFT, EDGE, INK = "#5b6470", "#dfe2e6", "#1b1f24"

SCHEDULES = {
    "VP": (schedules.VP(), BLUE, "-"),
    "SubVP": (schedules.SubVP(), "#93b7ea", "--"),
    "Cosine": (schedules.Cosine(), ORANGE, "-"),
    "Rectified": (schedules.Rectified(), GREEN, "-"),
    "OU": (schedules.OU(), PURPLE, "-"),
    "VE": (schedules.VE(), RED, "-"),
    "EDM": (schedules.EDM(), "#f0a49d", "--"),
}
FLOWS = {
    "euler": (SOFT, ":"),
    "ddim": (SOFT, "-"),
    "heun": (GOLD, "-"),
    "dpm++2m": (GREEN, "-"),
    "deis": (TEAL, "-"),
    "unipc": (ORANGE, "-"),
    "adams": (BLUE, "-"),
    "adams, fitted grid": (BLUE, "--"),
}
FITTED = ", fitted grid"
NOISY = {
    "sde": (SOFT, ":"),
    "ddpm": (SOFT, "-"),
    "pc": (GOLD, "-"),
    "edm-sde": (PURPLE, "-"),
    "dpm++2m-sde": (GREEN, "-"),
    "adams": (BLUE, "-"),
}

PROCESS = Gaussian(schedules.VP())
RING = pf.distributions.GaussianMixture(
    pf.analytic.AnalyticMixture.ring().data.means.double() / 1.43, 0.14**2
)
PROBLEM = pf.analytic.AnalyticMixture(RING)
TRANSPORT = pf.Transport(PROBLEM.model(PROCESS), PROCESS)


def chart(*titles: str, height: float = 3.3, width: float = 9.0, **shape: Any) -> tuple[Any, Any]:
    """A figure with one panel for each title, side by side."""
    figure = Figure(figsize=(width, height), dpi=130, layout="constrained")
    panels = figure.subplots(1, len(titles), squeeze=False, **shape)[0]
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title, fontsize=10, color=INK, loc="left")
        axes.grid(color=EDGE, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(SOFT)
        axes.tick_params(colors=SOFT, labelsize=8)
        axes.xaxis.label.set(color=SOFT, fontsize=9)
        axes.yaxis.label.set(color=SOFT, fontsize=9)
    return figure, panels


def start(count: int, seed: int = 0) -> Tensor:
    """States of the exact distribution at the beginning."""
    return PROBLEM.noised(PROCESS, PROCESS.schedule.t_max).sample(count, seed=seed).double()


def shapes_of_schedules(smoke: bool) -> Figure:
    """Signal, noise and their ratio over time."""
    figure, panels = chart(
        r"signal $\alpha_t$",
        r"noise $\sigma_t$",
        r"log-SNR $\log(\alpha_t^2 / \sigma_t^2)$",
    )
    t = torch.linspace(1e-3, 1 - 1e-3, 400, dtype=torch.float64)
    for name, (schedule, color, style) in SCHEDULES.items():
        alpha, sigma = schedule(t)
        look = {"color": color, "linestyle": style, "linewidth": 1.8, "label": name}
        for axes, values in zip(panels, (alpha, sigma, schedule.log_snr(t)), strict=True):
            axes.plot(t, values, **look)
            axes.set_xlabel("t")
    panels[1].set(yscale="log", ylim=(1e-3, 150))
    panels[2].set(ylim=(-14, 14))
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=7,
                  frameon=False, fontsize=9)  # fmt: skip
    return figure


def errors_of_samplers(smoke: bool) -> Figure:
    """Errors against evaluations, the last of which always denoises."""
    counts = (5, 9) if smoke else (5, 7, 9, 11, 15, 21, 31, 51, 101)
    paths, draws = (20, 200) if smoke else (300, 10_000)
    schedule = PROCESS.schedule

    def end(name: str, x: Tensor, count: int) -> Tensor:
        sampler = registry.resolve("samplers", name.removesuffix(FITTED))
        steps = (count - 1) // sampler.evaluations
        rule: grids.Grid = grids.LogSNRGrid()
        if name.endswith(FITTED):
            rule = samplers.fit_grid(TRANSPORT, start(64, seed=1), steps=steps, sampler=sampler)
        times = rule(schedule, steps)
        return TRANSPORT.model(samplers.run(sampler, TRANSPORT, x, times, seed=0), times[-1])

    figure, (left, right) = chart(
        "samplers of the flow: distance to the exact end", "the law of the samples: sliced W2"
    )
    x = start(draws)
    fine = grids.LogSNRGrid()(schedule, 50 if smoke else 400)
    accurate = samplers.Multistep(order=3, predict="noise", corrector=True)
    exact = TRANSPORT.model(samplers.run(accurate, TRANSPORT, x[:paths], fine), fine[-1])
    for name, (color, style) in FLOWS.items():
        wrong = [
            float((end(name, x[:paths], count) - exact).square().mean().sqrt()) for count in counts
        ]
        left.plot(counts, wrong, color=color, linestyle=style, marker=".", label=name)
    fresh = RING.sample(draws, seed=10)
    for name, (color, style) in NOISY.items():
        far = [
            pf.metrics.sliced_wasserstein(end(name, x, count), fresh, seed=0).value
            for count in counts
        ]
        right.plot(counts, far, color=color, linestyle=style, marker=".", label=name)
    floors = [
        pf.metrics.sliced_wasserstein(RING.sample(draws, seed=seed), fresh, seed=0).value
        for seed in range(20, 60)
    ]
    right.axhspan(min(floors), max(floors), color=EDGE, label="exact samples")
    shown = [n for n in (5, 7, 10, 15, 20, 30, 50, 100) if n <= counts[-1]]
    right.set_ylim(0.015, 3)
    for axes in (left, right):
        axes.set(xscale="log", yscale="log", xlabel="evaluations of the model")
        axes.set_xticks(shown, [str(n) for n in shown])
        axes.minorticks_off()
        axes.legend(frameon=False, fontsize=8, loc="upper right" if axes is right else "lower left")
    return figure


def paths_of_samplers(smoke: bool) -> Figure:
    """Paths from the same states, with and without noise, over the density of the states."""
    steps, count = (10, 4) if smoke else (400, 9)
    schedule = PROCESS.schedule
    means = torch.tensor([[-1.3], [0.1], [1.2]], dtype=torch.float64)
    weights = torch.tensor([0.35, 0.25, 0.4], dtype=torch.float64)
    problem = pf.analytic.AnalyticMixture(pf.distributions.GaussianMixture(means, 0.15**2, weights))
    transport = pf.Transport(problem.model(PROCESS), PROCESS)
    figure, panels = chart(
        "adams: the probability flow", "sde: the reverse diffusion", height=3.6, sharey=True
    )
    x = torch.linspace(-3, 3, 240, dtype=torch.float64)
    t = torch.linspace(schedule.t_min, 1, 200, dtype=torch.float64).tolist()
    law = torch.stack([problem.noised(PROCESS, s).log_prob(x[:, None]).exp() for s in t], 1)
    starts = torch.linspace(-1.9, 1.9, count, dtype=torch.float64)[:, None]
    times = grids.UniformGrid()(schedule, steps)
    colors = [BLUE, ORANGE, GREEN, RED, PURPLE, GOLD, TEAL, SOFT, INK]
    shades = ["#f1f3f5", "#e7eaee", "#dadfe5", "#cbd2da", "#bac3cd", "#a6b1be"]
    for axes, name in zip(panels, ("adams", "sde"), strict=True):
        axes.contourf(t, x, law, levels=[0.02, 0.1, 0.2, 0.3, 0.45, 0.7, 3], colors=shades)
        rule = registry.resolve("samplers", name)
        path = torch.stack(samplers.trajectory(rule, transport, starts, times, seed=4))
        for line, color in zip(path[..., 0].unbind(1), colors, strict=False):
            axes.plot(times, line, color=color, linewidth=1.1)
        axes.set(xlim=(1, 0), ylim=(-3, 3), xlabel="t, from noise to data")
    panels[0].set_ylabel("state")
    return figure


def places_of_grids(smoke: bool) -> Figure:
    """Where each grid puts twelve steps."""
    figure, panels = chart("in time", "in the log signal-to-noise ratio", height=2.5, sharey=True)
    schedule = PROCESS.schedule
    fitted = samplers.fit_grid(TRANSPORT, start(8 if smoke else 64), steps=12)
    rules = {name: registry.resolve("grids", name) for name in registry.names("grids")} | {
        "fitted": fitted
    }
    for row, (name, rule) in enumerate(rules.items()):
        times = rule(schedule, 12)
        color = BLUE if name in ("log-snr", "fitted") else SOFT
        for axes, places in zip(panels, (times, list(map(schedule.log_snr, times))), strict=True):
            axes.plot(places, [row] * len(places), "-", color=EDGE, linewidth=1)
            axes.plot(places, [row] * len(places), "o", color=color, markersize=4.5)
    panels[0].set_yticks(range(len(rules)), list(rules))
    panels[0].tick_params(axis="y", labelsize=9)
    panels[0].invert_yaxis()
    panels[0].invert_xaxis()
    panels[0].set_xlabel("t, from noise to data")
    panels[1].set_xlabel("from noise to data")
    for axes in panels:
        axes.grid(axis="y", visible=False)
    return figure


DRAWN = {
    "schedules": shapes_of_schedules,
    "solver-errors": errors_of_samplers,
    "paths": paths_of_samplers,
    "grids": places_of_grids,
}


def save(figure: Figure, path: Path) -> None:
    """A PNG of few colors, a third as large as one of all."""
    stream = io.BytesIO()
    figure.savefig(stream)
    picture = Image.open(stream).convert("RGB")
    picture.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    """Draw all, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"of {', '.join(DRAWN)}; all by default")
    parser.add_argument("--smoke", action="store_true", help="small, to see that it runs")
    options = parser.parse_args()
    folder = Path.cwd() if options.smoke else PICTURES
    for name in options.names or DRAWN:
        path = folder / f"{name}.png"
        save(DRAWN[name](options.smoke), path)
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
