"""Small classifiers that train side by side, as one batch of matrices."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["Perceptrons"]

_EPOCHS = 30
_BATCH = 128
_RATE = 1e-2
_DECAY = 1.0
_RISE = 0.3  # of all steps


class Perceptrons:
    """`folds` perceptrons with two hidden layers, from `(folds, B, d)` to `(folds, B)`."""

    def __init__(self, folds: int, d: int, width: int, generator: torch.Generator) -> None:
        self.weights: list[Tensor] = []
        for rows, columns in ((d, width), (width, width), (width, 1)):
            # torch's own layers would draw from the global generator.
            scale = math.sqrt(2 / rows) if columns > 1 else math.sqrt(1 / rows)
            weight = scale * torch.randn(folds, rows, columns, generator=generator)
            self.weights += [
                weight.requires_grad_(),
                torch.zeros(folds, 1, columns).requires_grad_(),
            ]

    def __call__(self, x: Tensor) -> Tensor:
        first, first_bias, second, second_bias, last, last_bias = self.weights
        x = torch.baddbmm(first_bias, x, first).relu()
        x = torch.baddbmm(second_bias, x, second).relu()
        return torch.baddbmm(last_bias, x, last)[..., 0]

    def fit(
        self,
        n: int,
        batch: Callable[[Tensor], tuple[Tensor, Tensor]],
        generator: torch.Generator,
    ) -> None:
        """Learn to tell two classes apart, from `n` training rows each.

        `batch` gives the inputs `(folds, B, d)` and classes `(folds, B)` of some row numbers.
        """
        size = min(_BATCH, n)
        per_epoch = n // size
        descent = _Adam(self.weights, steps=_EPOCHS * per_epoch)
        folds = len(self.weights[0])
        with torch.enable_grad():
            for _ in range(_EPOCHS):
                order = torch.randperm(n, generator=generator)[: per_epoch * size]
                for some in order.split(size):
                    inputs, targets = batch(some)
                    loss = torch.nn.functional.binary_cross_entropy_with_logits(
                        self(inputs), targets
                    )
                    # The networks share no weights: the factor undoes the mean over them.
                    descent.step(torch.autograd.grad(folds * loss, self.weights))


class _Adam:
    """AdamW (Loshchilov & Hutter 2019) whose rate rises, then falls to zero on a cosine.

    That of torch would do, but costs seconds to import.
    """

    def __init__(self, weights: list[Tensor], steps: int) -> None:
        self.weights, self.steps, self.done = weights, steps, 0
        self.means = [torch.zeros_like(weight) for weight in weights]
        self.squares = [torch.zeros_like(weight) for weight in weights]

    @torch.no_grad()
    def step(self, gradients: tuple[Tensor, ...]) -> None:
        """One step down the gradients, in place."""
        self.done += 1
        along = self.done / self.steps
        rise = min(along / _RISE, 1.0)
        rate = _RATE * rise * 0.5 * (1 + math.cos(math.pi * max(along - _RISE, 0.0) / (1 - _RISE)))
        near, far = 1 - 0.9**self.done, 1 - 0.999**self.done
        for weight, mean, square, gradient in zip(
            self.weights, self.means, self.squares, gradients, strict=True
        ):
            mean.lerp_(gradient, 0.1)
            square.lerp_(gradient.square(), 0.001)
            weight.mul_(1 - rate * _DECAY)
            weight.addcdiv_(mean, (square / far).sqrt_().add_(1e-8), value=-rate / near)
