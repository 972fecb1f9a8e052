"""The pictures of `restoration.py`, what is measured of them, and the priors of both kinds."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

import pushforward as pf
import trainings
from pushforward import inverse
from pushforward.metrics import frechet_of_moments

__all__ = ["NOISE", "TASKS", "Task", "World", "fitted", "measured", "prior", "world"]

NOISE = 0.02
"""Of all measurements, of the range of the data."""
COMPONENTS = 16


class Textures:
    """Principal components of squares of 8 x 8 gray pixels, less the mean of each.

    Args:
        others: pictures whose components are taken, and from which distances are measured.
    """

    def __init__(self, others: Tensor) -> None:
        flat = _squares(others)
        self.basis = torch.linalg.svd(flat - flat.mean(0), full_matrices=False)[2][:COMPONENTS].T
        self.reference = self.moments(others)

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and covariance of the components of pictures."""
        flat = _squares(x) @ self.basis
        return flat.mean(0), torch.cov(flat.T)

    def distance(self, x: Tensor) -> float:
        """The Fréchet distance of some pictures from the others."""
        return frechet_of_moments(*self.moments(x), *self.reference)


def _squares(x: Tensor) -> Tensor:
    flat = functional.unfold(x.double().mean(1, keepdim=True), 8, stride=8)
    flat = flat.transpose(1, 2).flatten(0, 1)
    return flat - flat.mean(1, keepdim=True)


@dataclass(frozen=True)
class World:
    """Pictures to learn from, to restore, and others like these; and how networks are trained."""

    train: pf.data.Data
    truth: Tensor
    others: Tensor
    span: float
    network: Callable[[], nn.Module]
    told: Callable[[inverse.LinearOperator], nn.Module]
    training: int
    pairs: int
    batch: int
    sampling: int
    particles: int
    predict: str | None = None

    @functools.cached_property
    def textures(self) -> Textures:
        """What the Fréchet distance sees of pictures."""
        return Textures(self.others)

    @property
    def noise(self) -> inverse.GaussianNoise:
        """Of all measurements."""
        return inverse.GaussianNoise(NOISE * self.span)


def _digits(smoke: bool) -> World:
    """The digits of scikit-learn, 8 x 8; networks are perceptrons."""
    train, test = pf.data.load("digits", label=False).split(holdout=0.1, seed=0)
    shape = train.event_shape

    def told(operator: inverse.LinearOperator) -> nn.Module:
        size = operator(train.x[:1]).numel()
        return pf.nn.AffineSkip(pf.nn.MLP(shape, width=256, depth=3, context=size))

    steps = (3, 3, 8, 4, 20) if smoke else (4000, 1800, 128, 50, 200)
    return World(
        train, test.x[: 6 if smoke else 60], train.x, 16.0,
        lambda: pf.nn.MLP(shape, width=384, depth=4), told, *steps,
    )  # fmt: skip


def _photographs(smoke: bool) -> World:
    """Patches of 16 x 16 pixels; networks are U-Nets of squares of 2 x 2."""
    train = pf.data.load("photographs", n=200 if smoke else 10_000)
    test = pf.data.load("photographs-test", n=6 if smoke else 24)
    others = pf.data.load("photographs-test", n=100 if smoke else 2000, seed=1)
    unet = partial(pf.nn.UNet, width=32, blocks=1, patch=2)

    def told(operator: inverse.LinearOperator) -> nn.Module:
        low = tuple(operator.observed_shape(train.event_shape))
        return pf.nn.PictureContext(unet(6, out_channels=3), low)

    steps = (3, 3, 16, 4, 10) if smoke else (3000, 1000, 32, 50, 16)
    # Of a short training: the noise that is nearly all of a late state would be learned last.
    return World(train, test.x, others.x, 255.0, lambda: unet(3), told, *steps, predict="v")


WORLDS = {"digits": _digits, "photographs": _photographs}


@functools.cache
def world(name: str, smoke: bool) -> World:
    """Digits or photographs, read once."""
    return WORLDS[name](smoke)


class Task(NamedTuple):
    """What is measured of which pictures."""

    world: str
    title: str
    operator: inverse.LinearOperator


TASKS = {
    "digits-x2": Task("digits", "digits, 4 x 4 to 8 x 8", inverse.Downsample(2)),
    "digits-x4": Task("digits", "digits, 2 x 2 to 8 x 8", inverse.Downsample(4)),
    "digits-half": Task(
        "digits", "digits, right half hidden", inverse.Mask(torch.arange(8).expand(8, 8) < 4)
    ),
    "photographs-x2": Task("photographs", "photographs, 8 x 8 to 16 x 16", inverse.Downsample(2)),
    "photographs-x4": Task("photographs", "photographs, 4 x 4 to 16 x 16", inverse.Downsample(4)),
}


def measured(own: World, operator: inverse.LinearOperator, x: Tensor, seed: int) -> Tensor:
    """Measurements of pictures, with their noise."""
    return own.noise.sample(operator(x), torch.Generator().manual_seed(seed))


def prior(name: str, runs: Path | None, smoke: bool) -> tuple[pf.Diffusion, float]:
    """The diffusion model of a world, kept in a run, and the seconds of its training."""
    own = world(name, smoke)
    run = None if runs is None else runs / name
    if run is not None and run.exists():
        return pf.load(run), 0.0
    torch.manual_seed(0)
    model = pf.Diffusion(own.network(), predict=own.predict)
    return model, fitted(model, own.train, own.training, own.batch, out=run)


def fitted(model: Any, data: pf.data.Data, steps: int, batch: int, **options: Any) -> float:
    """Train a model; the seconds of one core that it took."""
    begin = time.process_time()
    trainings.fit(model, data, steps=steps, batch_size=batch, seed=0, progress=False, **options)
    return time.process_time() - begin
