"""The pictures of "Restore a picture": digits and photographs from few pixels, digits from halves.

python docs/pictures/restoration.py            # with the models in runs/restoration, or new ones
python docs/pictures/restoration.py --smoke    # a few steps, to see that it runs

`benchmarks/restoration.py --runs runs/restoration` trains these models, too.
"""

from __future__ import annotations

from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

import pushforward as pf
from drawing import SMOKE, Theme, draw, film
from pushforward import inverse

# Gray levels are 0 to 16; the ground is tinted, so that the frame of each digit shows.
LEVELS = (-1.5, 16.0)
DRAWS, SHOWN, STEPS = (2, 1, 3) if SMOKE else (6, 3, 100)
RUNS = Path("runs/restoration")


def prior(
    name: str,
    data: pf.data.Data,
    net: nn.Module,
    steps: int,
    batch: int,
    predict: str | None = None,
) -> pf.Diffusion:
    """A diffusion model, kept in a run."""
    if not SMOKE and (RUNS / name).exists():
        return pf.load(RUNS / name)
    torch.manual_seed(0)
    model = pf.Diffusion(net, predict=predict)
    where = {} if SMOKE else {"out": RUNS / name}
    pf.fit(model, data, steps=3 if SMOKE else steps, batch_size=batch, seed=0, **where)
    return model


data = pf.data.load("digits", label=False)
train, test = data.split(holdout=0.1, seed=0)
model = prior("digits", train, pf.nn.MLP(data.event_shape, width=384, depth=4), 4000, 128)

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


def photographs(figure: Figure, theme: Theme) -> None:
    """The patches of most contrast, from means of blocks of 2 x 2 pixels."""
    known = pf.data.load("photographs", n=200 if SMOKE else 10_000)
    net = pf.nn.UNet(3, width=8 if SMOKE else 32, blocks=1, patch=2)
    patches = prior("photographs", known, net, 3000, 32, "v")
    others = pf.data.load("photographs-test", n=24).x
    truth = others[others.flatten(1).std(1).topk(4).indices]
    operator, level = inverse.Downsample(2), 0.02 * 255
    y = inverse.GaussianNoise(level).sample(operator(truth), torch.Generator().manual_seed(0))
    x = patches.posterior(y, operator, level).sample(DRAWS, seed=0, steps=STEPS, check=not SMOKE)
    seen = y.repeat_interleave(2, 2).repeat_interleave(2, 3)
    columns = torch.stack([truth, seen, x.mean(0), 4 * x.std(0), *x[:SHOWN]], 1)
    # One pixel between pictures shows the ground.
    framed = nn.functional.pad(columns.clamp(0, 255) / 255, (0, 1, 0, 1), value=torch.nan)
    sheet = framed.permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)[:-1, :-1]
    opaque = sheet[..., :1].isfinite().float()
    axes = figure.subplots()
    axes.imshow(torch.cat([sheet.nan_to_num(0), opaque], -1).numpy(), interpolation="nearest")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    names = ["truth", "y", "mean", "4 deviations", *(f"draw {k + 1}" for k in range(SHOWN))]
    width = truth.shape[-1] + 1
    axes.set_xticks([k * width + width / 2 - 1 for k in range(len(names))], names)
    axes.set_yticks([])


draw("restoration", (6.8, 4.1), small)
draw("inpainting", (6.8, 4.1), half)
draw("photographs", (6.8, 4.1), photographs)
