"""The classifier of sbibm: its steps are those of Adam, and it finds what there is."""

from __future__ import annotations

import pytest
import torch

from pushforward import metrics
from pushforward.errors import InputError
from pushforward.metrics._benchmark_perceptrons import _Networks


def test_steps_are_those_of_adam_down_the_penalized_loss() -> None:
    g = torch.Generator().manual_seed(0)
    nets = _Networks(3, 4, 7, g)
    weights = [layer.clone().requires_grad_() for layer in nets.layers]
    moments = [(torch.zeros_like(w), torch.zeros_like(w)) for w in weights]
    for step in range(1, 5):
        x = torch.randn(3, 50, 4, generator=g)
        t = (torch.rand(3, 50, 1, generator=g) > 0.5).float()
        first, first_bias, second, second_bias, last, last_bias = weights
        hidden = (x @ first + first_bias).relu()
        odds = (hidden @ second + second_bias).relu() @ last + last_bias
        loss = torch.nn.functional.binary_cross_entropy_with_logits(odds, t, reduction="none")
        penalty = torch.stack([w.square().sum((1, 2)) for w in (first, second, last)]).sum(0)
        total = loss.mean((1, 2)) + 1e-4 / (2 * 50) * penalty
        gradients = torch.autograd.grad(total.sum(), weights)
        rate = 1e-3 * (1 - 0.999**step) ** 0.5 / (1 - 0.9**step)
        for w, (mean, square), gradient in zip(weights, moments, gradients, strict=True):
            mean.mul_(0.9).add_(0.1 * gradient)
            square.mul_(0.999).add_(0.001 * gradient**2)
            w.data -= rate * mean / (square.sqrt() + 1e-8)
        assert torch.allclose(nets.step(x, t), total.detach(), atol=1e-5)
    for ours, theirs in zip(nets.layers, weights, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-4)


def test_side_by_side_each_finds_what_there_is() -> None:
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(400, 1, generator=g), torch.randn(400, 1, generator=g)
    # Two normal distributions two deviations apart: the best accuracy is Phi(1).
    same, apart = metrics.c2st_of_each([(x, y), (x + 2, y)])
    assert abs(same.value - 0.5) < 3 * same.stderr
    assert abs(apart.value - 0.841) < 3 * apart.stderr
    fewer = metrics.c2st(x, y, folds=1)
    assert fewer.n == 160
    assert fewer.stderr > same.stderr
    with pytest.raises(InputError, match="1 to 5 of the 5 folds"):
        metrics.c2st(x, y, folds=6)
    with pytest.raises(InputError, match="have the same sizes"):
        metrics.c2st_of_each([(x, y), (x[:50], y)])
