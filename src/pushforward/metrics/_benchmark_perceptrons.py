"""The perceptrons that the benchmark of simulation-based inference judges by, side by side."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["benchmark_decisions"]

_BATCH = 200
_RATE = 1e-3
_FIRST, _SECOND = 0.9, 0.999  # decays of Adam
_PENALTY = 1e-4
_TOLERANCE = 1e-4
_PATIENCE = 10  # epochs
_EPOCHS = 10_000


def benchmark_decisions(
    inputs: Tensor, targets: Tensor, judged: Tensor, width: int, generator: torch.Generator
) -> Tensor:
    """What each perceptron takes rows for that it was not trained on, `(K, J)`, true for one.

    The defaults of `MLPClassifier` of scikit-learn (Pedregosa et al. 2011): two hidden layers with
    rectifiers, weights from Glorot & Bengio (2010), Adam with batches of 200, a penalty of `1e-4`
    on the squared weights. A perceptron is done when its mean training loss has not become less by
    `1e-4` in more than ten epochs. Each of the `K` draws and stops by itself; that they learn as
    one batch of matrices only saves time.

    Args:
        inputs: of the training, `(K, n, d)`.
        targets: 0 or 1, `(K, n)`.
        judged: rows to decide on, `(K, J, d)`.
        width: of the hidden layers.
        generator: of weights and of the order of rows.
    """
    count, n, d = inputs.shape
    net = _Networks(count, d, width, generator)
    decisions = torch.zeros(judged.shape[:2], dtype=torch.bool)
    active = torch.arange(count)
    best = torch.full((count,), math.inf)
    stale = torch.zeros(count)
    size = min(_BATCH, n)
    for _ in range(_EPOCHS):
        order = torch.rand(len(active), n, generator=generator).argsort(1)
        rows = order + n * torch.arange(len(active))[:, None]
        x = inputs.flatten(0, 1)[rows.flatten()].view(len(active), n, d)
        t = targets.flatten()[rows.flatten()].view(len(active), n)
        total = torch.zeros(len(active))
        for k in range(0, n, size):
            part = x[:, k : k + size]
            total += net.step(part, t[:, k : k + size, None]) * part.shape[1]
        loss = total / n
        stale = torch.where(loss > best - _TOLERANCE, stale + 1, 0)
        best = torch.minimum(best, loss)
        done = stale > _PATIENCE
        if bool(done.any()):
            decisions[active[done]] = net.kept(done)(judged[active[done]]) > 0
            left = ~done
            if not bool(left.any()):
                break
            net, active, inputs, targets = net.kept(left), active[left], inputs[left], targets[left]
            best, stale = best[left], stale[left]
    return decisions


class _Networks:
    """`K` perceptrons, their weights in one matrix `(K, P)`, with Adam."""

    def __init__(self, count: int, d: int, width: int, generator: torch.Generator) -> None:
        self.shapes = []
        parts = []
        for rows, columns in ((d, width), (width, width), (width, 1)):
            bound = math.sqrt(6 / (rows + columns))
            for shape in ((rows, columns), (1, columns)):
                self.shapes.append(shape)
                drawn = torch.rand(count, math.prod(shape), generator=generator)
                parts.append(bound * (2 * drawn - 1))
        self._hold(torch.cat(parts, 1))
        self.mean, self.square = torch.zeros_like(self.weights), torch.zeros_like(self.weights)
        self.steps = 0

    def _hold(self, weights: Tensor) -> None:
        self.weights = weights
        self.gradients = torch.zeros_like(weights)
        self.layers, self.slopes = self._views(weights), self._views(self.gradients)

    def _views(self, flat: Tensor) -> list[Tensor]:
        sizes = [math.prod(shape) for shape in self.shapes]
        return [
            part.view(-1, *shape)
            for part, shape in zip(flat.split(sizes, 1), self.shapes, strict=True)
        ]

    def kept(self, which: Tensor) -> _Networks:
        """Those that a mask `(K,)` chooses."""
        found = object.__new__(_Networks)
        found.shapes, found.steps = self.shapes, self.steps
        found._hold(self.weights[which])
        found.mean, found.square = self.mean[which], self.square[which]
        return found

    def __call__(self, x: Tensor) -> Tensor:
        """Log-odds `(K, B)`."""
        return self._forward(x)[-1][..., 0]

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        first, first_bias, second, second_bias, last, last_bias = self.layers
        one = torch.baddbmm(first_bias, x, first).relu_()
        two = torch.baddbmm(second_bias, one, second).relu_()
        return one, two, torch.baddbmm(last_bias, two, last)

    def step(self, x: Tensor, t: Tensor) -> Tensor:
        """One step of Adam; the loss before it, `(K,)`."""
        _, _, second, _, last, _ = self.layers
        one, two, odds = self._forward(x)
        size = x.shape[1]
        weights = [self.layers[k] for k in (0, 2, 4)]
        loss = (torch.nn.functional.softplus(odds) - t * odds).mean((1, 2))
        penalty = sum((w.square().sum((1, 2)) for w in weights), torch.zeros(()))
        loss = loss + _PENALTY / (2 * size) * penalty
        out = (odds.sigmoid() - t) / size
        # The derivative of a rectifier in one pass: a product with a mask takes five times as long.
        upper = torch.ops.aten.threshold_backward(out * last.mT, two, 0)
        lower = torch.ops.aten.threshold_backward(torch.bmm(upper, second.mT), one, 0)
        inputs, deltas = (x, one, two), (lower, upper, out)
        for k in range(3):
            slope = torch.baddbmm(weights[k], inputs[k].mT, deltas[k], beta=_PENALTY / size)
            self.slopes[2 * k].copy_(slope)
            torch.sum(deltas[k], 1, keepdim=True, out=self.slopes[2 * k + 1])
        self.steps += 1
        near, far = 1 - _FIRST**self.steps, 1 - _SECOND**self.steps
        self.mean.lerp_(self.gradients, 1 - _FIRST)
        self.square.mul_(_SECOND).addcmul_(self.gradients, self.gradients, value=1 - _SECOND)
        rate = _RATE * math.sqrt(far) / near
        self.weights.addcdiv_(self.mean, self.square.sqrt().add_(1e-8), value=-rate)
        return loss
