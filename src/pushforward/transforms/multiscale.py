"""Flows of images at several scales (Dinh, Sohl-Dickstein & Bengio 2017)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.transforms.condition import TransformCondition
from pushforward.transforms.transform import Transform

__all__ = ["Multiscale"]

_Move = Callable[[Transform, Tensor], tuple[Tensor, Tensor]]


@configurable
class Multiscale(Transform):
    """Levels of transforms; each halves the sides, and all but the last give half of their channels
    to the base as they are.

    On the way from data to base, a level trades `2 x 2` pixels for channels, transforms them, and
    factors out half of the channels. The base is one vector of all that was given, in the shape of
    an event, so that a normal distribution fits it.

    Args:
        shape: of an image, `(C, H, W)`.
        levels: a transform for each, first that of the largest sides: of events
            `(4 C, H / 2, W / 2)`, then `(8 C, H / 4, W / 4)`, and so on.

    Raises `InputError` for sides that cannot be halved as often.

    >>> from pushforward.transforms import ActNorm
    >>> flow = Multiscale((1, 8, 8), [ActNorm(4), ActNorm(8)])
    >>> flow(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 1, 8, 8])
    """

    def __init__(self, shape: Sequence[int], levels: Sequence[Transform]) -> None:
        super().__init__()
        if len(shape) != 3:
            raise InputError(f"an image has shape (C, H, W), not {tuple(shape)}")
        _, height, width = shape
        if not levels or height % 2 ** len(levels) or width % 2 ** len(levels):
            raise InputError(f"{height} x {width} pixels cannot be halved {len(levels)} times")
        self.shape = tuple(shape)
        self.levels = nn.ModuleList(levels)
        self.condition = TransformCondition.of(*levels)

    def _inverse(self, x: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        return self._inward(x, lambda level, x: level.inverse(x, level.condition.passed(c)))

    def _push(self, z: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        return self._outward(z, lambda level, z: level.push(z, level.condition.passed(c)))

    def prepare(self, x: Tensor, c: Tensor | None = None, *, turned: bool = False) -> Tensor:
        """Each level sees what the ones before it on the way of the data have made of them."""
        c = self.condition.checked(c, len(x))

        def start(level: Transform, x: Tensor) -> tuple[Tensor, Tensor]:
            made = level.prepare(x, level.condition.passed(c), turned=turned)
            return made, made.new_zeros(len(made))

        return (self._outward if turned else self._inward)(x, start)[0]

    def _inward(self, x: Tensor, move: _Move) -> tuple[Tensor, Tensor]:
        """From images to the base, by what `move` makes of each level's events."""
        given, total = [], x.new_zeros(len(x))
        level: Any
        for k, level in enumerate(self.levels):
            x, log_det = move(level, _squeezed(x))
            total = total + log_det
            if k + 1 < len(self.levels):
                out, x = x.chunk(2, 1)
                given.append(out.flatten(1))
        given.append(x.flatten(1))
        return torch.cat(given, 1).reshape(len(x), *self.shape), total

    def _outward(self, z: Tensor, move: _Move) -> tuple[Tensor, Tensor]:
        """From the base to images."""
        parts = list(z.flatten(1).split(self._sizes(), 1))
        total = z.new_zeros(len(z))
        x = parts.pop().reshape(len(z), *self._level_shape(len(self.levels) - 1, whole=True))
        level: Any
        for k, level in reversed(list(enumerate(self.levels))):
            if k + 1 < len(self.levels):
                out = parts.pop().reshape(len(z), *self._level_shape(k, whole=False))
                x = torch.cat([out, x], 1)
            x, log_det = move(level, x)
            total = total + log_det
            x = _spread(x)
        return x, total

    def _level_shape(self, k: int, whole: bool) -> tuple[int, int, int]:
        """Of what a level makes, or of the half that it gives away."""
        channels, height, width = self.shape
        channels = channels * 4 * 2**k
        return channels if whole else channels // 2, height // 2 ** (k + 1), width // 2 ** (k + 1)

    def _sizes(self) -> list[int]:
        last = len(self.levels) - 1
        return [math.prod(self._level_shape(k, whole=k == last)) for k in range(last + 1)]


def _squeezed(x: Tensor) -> Tensor:
    return nn.functional.pixel_unshuffle(x, 2)


def _spread(x: Tensor) -> Tensor:
    return nn.functional.pixel_shuffle(x, 2)
