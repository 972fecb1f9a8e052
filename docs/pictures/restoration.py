"""The pictures of "Restore a picture": digits and patches of photographs, and what is left of them.

python docs/pictures/restoration.py            # with the models in runs/restoration, or new ones
python docs/pictures/restoration.py --smoke    # a few steps, to see that it runs

`benchmarks/restoration.py --runs runs/restoration` trains these models, too.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

import pushforward as pf
from drawing import SMOKE, Theme, draw, film
from pushforward import inverse

DRAWS, SHOWN, STEPS = (2, 1, 3) if SMOKE else (6, 3, 100)
RUNS = Path("runs/restoration")


def trained(train: pf.data.Data, net: nn.Module, steps: int, batch_size: int) -> pf.Diffusion:
    """The model in the folder of its data, or a new one."""
    run = RUNS / train.name
    if run.exists() and not SMOKE:
        return pf.load(run)
    model = pf.Diffusion(net)
    where = {} if SMOKE else {"out": run}
    pf.fit(model, train, steps=3 if SMOKE else steps, batch_size=batch_size, seed=0, **where)
    return model


def seen(operator: inverse.LinearOperator, y: Tensor, truth: Tensor) -> Tensor:
    """A measurement in the place of its pixels."""
    if isinstance(operator, inverse.Mask):
        return torch.where(operator.observed, truth, torch.nan)
    for axis in (2, 3):
        y = y.repeat_interleave(truth.shape[axis] // y.shape[axis], axis)
    return y


def restored(
    model: pf.Diffusion,
    truth: Tensor,
    operator: inverse.LinearOperator,
    span: float,
    figure: Figure,
    theme: Theme,
) -> None:
    """Truth, measurement, mean, deviation and draws, a row for each picture."""
    noise = inverse.GaussianNoise(0.02 * span)
    y = noise.sample(operator(truth), torch.Generator().manual_seed(0))
    x = model.posterior(y, operator, noise).sample(DRAWS, seed=0, steps=STEPS, check=not SMOKE)
    gray = truth.shape[1] == 1
    # Colors differ by less than strokes: their deviation is shown larger.
    widened = 1 if gray else 4
    columns = [truth, seen(operator, y, truth), x.mean(0), widened * x.std(0), *x[:SHOWN]]
    spread = "deviation" if gray else f"{widened} deviations"
    names = ["truth", "y", "mean", spread, *(f"draw {k + 1}" for k in range(SHOWN))]
    images = torch.stack(columns, 1)
    axes = figure.subplots()
    # Gray levels are drawn as ink; the ground is tinted, so that the frame of each digit shows.
    film(
        axes,
        images[:, :, 0] if gray else images.movedim(2, -1),
        theme,
        (-0.1 * span, span) if gray else (0.0, span),
    )
    axes.set_xticks(axes.get_xticks(), names)


torch.manual_seed(0)
data = pf.data.load("digits", label=False)
train, test = data.split(holdout=0.1, seed=0)
digits = trained(train, pf.nn.MLP(data.event_shape, width=384, depth=4), 4000, 128)
left = torch.arange(8).expand(8, 8) < 4
of_digits = partial(restored, digits, test.x[:4])
draw("restoration", (6.8, 4.1), partial(of_digits, inverse.Downsample(2), 16.0))
draw("inpainting", (6.8, 4.1), partial(of_digits, inverse.Mask(left), 16.0))

torch.manual_seed(0)
patches = pf.data.load("photographs", n=100 if SMOKE else 10_000)
unet = pf.nn.UNet(3, width=32, blocks=1, patch=2)
photographs = trained(patches, unet, 2200, 64)
# Of another photograph those with the most to see.
others = pf.data.load("photographs-test", n=32).x
busiest = others[others.flatten(1).std(1).argsort(descending=True)[:4]]
of_patches = partial(restored, photographs, busiest)
draw("super-resolution", (6.8, 4.1), partial(of_patches, inverse.Downsample(2), 255.0))
