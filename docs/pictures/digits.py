"""The pictures of "From noise to digits": the tutorial's model, trained and looked at.

python docs/pictures/digits.py            # three minutes on a quiet core, kept in runs/tutorial
python docs/pictures/digits.py --smoke    # a few steps, to see that it runs
"""

from __future__ import annotations

from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

import pushforward as pf
from drawing import SMOKE, Theme, draw, film

# Gray levels are 0 to 16; the ground is tinted, so that the frame of each digit shows.
LEVELS = (-1.5, 16.0)
ROWS = 10 if SMOKE else 90
BUDGET: dict[str, Any] = {"steps": 4, "probes": 2} if SMOKE else {"steps": 16, "probes": 8}

data = pf.data.load("digits")
QUANTIZED: dict[str, Any] = {"levels": data.levels, "value_range": data.value_range}
train, test = data.split(holdout=0.1, seed=0)
torch.manual_seed(0)
model = pf.Diffusion(pf.nn.default_network(data.event_shape, data.num_classes))
if SMOKE:
    pf.fit(model, train, steps=3, batch_size=64, seed=0)
else:
    pf.fit(model, train, steps=1200, batch_size=64, seed=0, out="runs/tutorial", resume=True)


def forward(figure: Figure, theme: Theme) -> None:
    """Four digits at seven times."""
    times = [0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0]
    axes = figure.subplots()
    film(axes, _frames(model.noised(train.x[:4], times, seed=0)), theme, LEVELS)
    axes.set_xticks(axes.get_xticks(), [f"t = {t:g}" for t in times])


def backward(figure: Figure, theme: Theme) -> None:
    """The states of the reverse process, and what the model makes of them."""
    strip = model.trajectory(3, frames=8, steps=28, seed=5)
    panels = figure.subplots(2, 1)
    for axes, images, title in (
        (panels[0], strip.states, r"the state $x_t$"),
        (panels[1], strip.denoised, r"what the model expects, $E[x_0 \mid x_t]$"),
    ):
        film(axes, _frames(images), theme, LEVELS)
        axes.set_title(title)
    panels[1].set_xticks(panels[1].get_xticks(), [f"t = {t:.2g}" for t in strip.times])


def steps(figure: Figure, theme: Theme) -> None:
    """The same noise, taken to the data in more and more evaluations."""
    counts = (3, 5, 8, 12, 20, 50)
    panels = figure.subplots(1, 2)
    for axes, name in zip(panels, ("ddim", "adams"), strict=True):
        rows = [model.sample(6, sampler=name, steps=n, seed=1) for n in counts]
        film(axes, torch.stack(rows)[:, :, 0], theme, LEVELS)
        axes.set_title(name)
        axes.set_yticks(axes.get_yticks(), [str(n) for n in counts])
    panels[0].set_ylabel("evaluations")


def guided(figure: Figure, theme: Theme) -> None:
    """Every class twice, from the same noise at three strengths."""
    labels = torch.arange(10).repeat(2)
    panels = figure.subplots(3, 1)
    for axes, strength in zip(panels, (1.0, 2.0, 4.0), strict=True):
        x = model.sample(20, c=labels, guidance=strength, seed=2)
        film(axes, x.reshape(2, 10, 8, 8), theme, LEVELS)
        axes.set_title(f"guidance {strength:g}")
    panels[2].set_xticks(panels[2].get_xticks(), [str(k) for k in range(10)])


def likelihoods(figure: Figure, theme: Theme) -> None:
    """The densities of held-out digits, and of what is none; the extremes among the former."""
    left, right = figure.subplots(1, 2, width_ratios=(1.6, 1))
    bins = torch.linspace(-320, -60, 53).tolist()
    for k, (name, (_, values)) in enumerate(DENSITIES.items()):
        shown = values.clamp(bins[0] + 1, bins[-1] - 1)
        left.hist(shown.tolist(), bins=bins, color=theme.colors[k], alpha=0.75, label=name)
    left.set_xlabel("log-density in nats")
    left.set_yticks([])
    left.spines["left"].set_visible(False)
    left.legend(loc="upper left")
    x, values = DENSITIES["held-out digits"]
    order = values.argsort(descending=True)
    ends = torch.stack([x[order[:5]], x[order[-5:]]])
    film(right, ends[:, :, 0], theme, LEVELS)
    right.set_yticks(right.get_yticks(), ["most likely", "least likely"])


def _frames(images: Tensor) -> Tensor:
    """From `(frames, rows, 1, 8, 8)` to what `film` takes."""
    return images[:, :, 0].transpose(0, 1)


def densities() -> dict[str, tuple[Tensor, Tensor]]:
    """Held-out digits, the same upside down, and with their pixels shuffled: log-densities."""
    x = test.x[:ROWS]
    order = torch.randperm(64, generator=torch.Generator().manual_seed(1))
    kinds = {
        "held-out digits": x,
        "upside down": x.flip(-2),
        "pixels shuffled": x.flatten(1)[:, order].reshape(x.shape),
    }
    found = {}
    for name, rows in kinds.items():
        # Gray levels spread over their cells have a density.
        spread = pf.metrics.dequantized(rows, **QUANTIZED, seed=0)
        density = model.log_prob(spread, **BUDGET, seed=0)
        bits = pf.metrics.bits_per_dimension(density, 64, **QUANTIZED)
        print(f"{name}: {density}, {bits} bits per dimension")
        found[name] = rows, density.value
    return found


def legibility() -> None:
    """What a classifier of real digits makes of guided samples, and how much they vary."""
    judge = pf.metrics.train_features(train.x, train.c, steps=3 if SMOKE else 400)
    labels = torch.arange(10).repeat(5 if SMOKE else 50)
    real = judge.accuracy(test.x, test.c)
    print(f"held-out digits: read as their class {real}, spread {_spread(test.x, test.c):.2f}")
    for strength in (1.0, 2.0, 4.0):
        x = model.sample(len(labels), c=labels, guidance=strength, seed=2)
        right = judge.accuracy(x.round().clamp(0, 16), labels)
        print(f"guidance {strength:g}: {right}, spread {_spread(x, labels):.2f}")


def _spread(x: Tensor, c: Any) -> float:
    """The standard deviation of a pixel within a class, root mean square over both."""
    return float(torch.stack([x[c == k].var(0).mean() for k in range(10)]).mean().sqrt())


def of_known_class() -> None:
    """What held-out digits cost if their class is told."""
    x = pf.metrics.dequantized(test.x[:ROWS], **QUANTIZED, seed=0)
    density = model.log_prob(x, test.c[:ROWS], **BUDGET, seed=0)
    bits = pf.metrics.bits_per_dimension(density, 64, **QUANTIZED)
    print(f"given their class: {density}, {bits} bits per dimension")


def bounds() -> None:
    """The variational bound of held-out digits by where its chain stops."""
    chain: dict[str, Any] = {"steps": 3 if SMOKE else 100, "level": 1.0}
    for stop in (0.001, 0.005, 0.01, 0.02, 0.05):
        bound = model.variational_bound(test.x[:ROWS], **chain, stop=stop, seed=0)
        error = bound.bits_per_dim.std() / ROWS**0.5
        print(f"stopped at t = {stop:g}: {bound}, error {error:.2f}")


if not SMOKE:
    samples = model.sample(len(test), c=test.c, seed=3)
    print(pf.evaluate(samples, test.x, train.x, seed=0, **QUANTIZED))
legibility()
of_known_class()
bounds()
DENSITIES = densities()
draw("digits-forward", (7.0, 4.0), forward)
draw("digits-backward", (7.6, 6.0), backward)
draw("digits-steps", (7.6, 4.0), steps)
draw("digits-guidance", (6.6, 4.8), guided)
draw("digits-densities", (9.0, 3.0), likelihoods)
