"""The pictures of "Restore a picture": digits from few pixels, and from their left halves.

python docs/pictures/restoration.py            # with the model in runs/restoration, or a new one
python docs/pictures/restoration.py --smoke    # a few steps, to see that it runs

`benchmarks/restoration.py --runs runs/restoration` trains this model, too.
"""

from __future__ import annotations

from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

import pushforward as pf
from drawing import SMOKE, Theme, draw, film
from pushforward import inverse

# Gray levels are 0 to 16; the ground is tinted, so that the frame of each digit shows.
LEVELS = (-1.5, 16.0)
DRAWS, SHOWN, STEPS = (2, 1, 3) if SMOKE else (6, 3, 100)
RUN = Path("runs/restoration/digits")

data = pf.data.load("digits", label=False)
train, test = data.split(holdout=0.1, seed=0)
if SMOKE or not RUN.exists():
    torch.manual_seed(0)
    model = pf.Diffusion(pf.nn.MLP(data.event_shape, width=384, depth=4))
    where = {} if SMOKE else {"out": RUN}
    pf.fit(model, train, steps=3 if SMOKE else 4000, batch_size=128, seed=0, **where)
else:
    model = pf.load(RUN)

truth = test.x[:4]
MASK = torch.arange(8).expand(8, 8) < 4


def restored(
    operator: inverse.Operator, seen: Tensor, y: Tensor, figure: Figure, theme: Theme
) -> None:
    """Truth, measurement, mean, deviation and draws, a row for each digit."""
    post = model.posterior(y, operator, LEVEL)
    x = post.sample(DRAWS, seed=0, steps=STEPS, check=not SMOKE)
    columns = [truth, seen, x.mean(0), x.std(0), *x[:SHOWN]]
    axes = figure.subplots()
    film(axes, torch.stack(columns, 1)[:, :, 0], theme, LEVELS)
    names = ["truth", "y", "mean", "deviation", *(f"draw {k + 1}" for k in range(SHOWN))]
    axes.set_xticks(axes.get_xticks(), names)


LEVEL = 0.02 * 16
noise = inverse.GaussianNoise(LEVEL)


def small(figure: Figure, theme: Theme) -> None:
    """From means of blocks of 2 x 2 pixels."""
    operator = inverse.Downsample(2)
    y = noise.sample(operator(truth), torch.Generator().manual_seed(0))
    seen = y.repeat_interleave(2, 2).repeat_interleave(2, 3)
    restored(operator, seen, y, figure, theme)


def half(figure: Figure, theme: Theme) -> None:
    """From the left half."""
    operator = inverse.Mask(MASK)
    y = noise.sample(operator(truth), torch.Generator().manual_seed(0))
    seen = torch.where(MASK, truth, torch.nan)
    restored(operator, seen, y, figure, theme)


draw("restoration", (6.8, 4.1), small)
draw("inpainting", (6.8, 4.1), half)
