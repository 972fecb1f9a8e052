"""The classifier test: how often a network tells samples from real data."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward._roots import increasing_root
from pushforward.errors import InputError
from pushforward.metrics._perceptrons import Perceptrons
from pushforward.metrics._points import pair, subsample
from pushforward.metrics.estimate import Estimate

__all__ = ["classifier_accuracy", "held_out_log_odds"]

_LEAST_TRUST = 1e-3


def classifier_accuracy(
    x: Tensor, y: Tensor, *, folds: int = 5, width: int = 64, seed: int = 0
) -> Estimate:
    r"""The accuracy of a small network that tells `x` from `y`, on points it has not seen.

    The classifier two-sample test, C2ST (Lopez-Paz & Oquab 2017). One half means that the network
    finds no difference; the best classifier reaches `(1 + TV) / 2` with TV the total variation, so
    that `2 accuracy - 1` is a lower bound on TV, up to chance.

    Both sets are cut to the size of the smaller one and parted into `folds`; each fold is judged by
    a perceptron with two hidden layers, on coordinates and their squares, trained on the others.
    All draws come from `seed`.

    Args:
        x, y: states `(N, *event)` and `(M, *event)`, at least `2 folds` of each.
        folds: in how many parts to cut, 2 or more.
        width: hidden units a layer.

    Returns the share of correct decisions with the standard error of Nadeau & Bengio (2003): the
    decisions of different folds hang together, because their networks share training points, and
    the binomial variance is enlarged by `1 + folds / (folds - 1)`. Without that it is too small by
    up to a half in this test; with it, on the safe side.
    Raises `InputError` for different events, too few points, NaN or infinity.

    >>> g = torch.Generator().manual_seed(0)
    >>> x, y = torch.randn(200, 2, generator=g), torch.randn(200, 2, generator=g)
    >>> classifier_accuracy(x + 4, y).value > 0.97
    True
    """
    odds_x, odds_y = held_out_log_odds(x, y, folds=folds, width=width, seed=seed)
    size = len(odds_x)
    right_ones = int((odds_x > 0).sum()) + int((odds_y <= 0).sum())
    accuracy = right_ones / (2 * size)
    # Laplace's rule keeps the error above zero where every decision was right.
    share = (right_ones + 1) / (2 * size + 2)
    variance = share * (1 - share) / (2 * size) * (1 + folds / (folds - 1))
    return Estimate(accuracy, math.sqrt(variance), 2 * size)


def held_out_log_odds(
    x: Tensor, y: Tensor, *, folds: int = 5, width: int = 64, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """What networks that have not seen a state say of `log p / q` there: at states of `x` and of
    `y`, `(n,)` each, with `n` the size of the smaller set.

    The networks, the arguments and the errors are those of `classifier_accuracy`. Networks are
    surer than they should be: what each says is multiplied by the number that makes the labels of
    the other folds most likely.
    """
    if folds < 2 or width < 1:
        raise InputError(f"folds={folds}, width={width}: two folds and one unit are the least")
    left, right = pair(x, y, minimum=2 * folds)
    generator = resolve(seed)
    size = min(len(left), len(right))
    both = torch.cat([subsample(left, size, generator), subsample(right, size, generator)])
    # Squares spare the network from having to build them where the sets differ in spread.
    inputs = _standardized(both, both[size:])
    squares = inputs.square()
    inputs = torch.cat([inputs, _standardized(squares, squares[size:])], 1)
    inputs = inputs.float()
    targets = torch.cat([torch.ones(size), torch.zeros(size)])
    # Each fold gets equally many of both sets: the classes stay balanced in every training set.
    fold = torch.cat([_shuffled_folds(size, folds, generator) for _ in range(2)])
    scores = _cross_fitted(inputs, targets, fold, folds, width, generator)
    scores = scores.double()
    scores = scores * _trust(scores, 2 * targets - 1, fold, folds)[fold]
    return scores[:size], scores[size:]


def _trust(scores: Tensor, signs: Tensor, fold: Tensor, folds: int) -> Tensor:
    """The factors `(folds,)`, positive so that no decision is another one."""
    margins = signs * scores

    def slope(factor: Tensor) -> Tensor:
        """Of the loss of the other folds, which is convex in the factor."""
        pull = -margins * torch.sigmoid(-factor[:, None] * margins)
        return torch.stack([pull[k, fold != k].sum() for k in range(folds)])

    ends = torch.full((2, folds), _LEAST_TRUST, dtype=scores.dtype)
    ends[1] = 1 / _LEAST_TRUST
    return increasing_root(slope, *ends)


def _standardized(x: Tensor, reference: Tensor) -> Tensor:
    """In units of the reference, cut at ten: one sample far away must not squash all others."""
    spread = reference.std(0)
    # A constant feature has no unit, and dividing by its spread would say too much.
    scaled = (x - reference.mean(0)) / torch.where(spread > 0, spread, 1.0)
    return scaled.clamp(-10, 10)


def _shuffled_folds(n: int, folds: int, generator: torch.Generator) -> Tensor:
    return (torch.arange(n) % folds)[torch.randperm(n, generator=generator)]


def _cross_fitted(
    inputs: Tensor,
    targets: Tensor,
    fold: Tensor,
    folds: int,
    width: int,
    generator: torch.Generator,
) -> Tensor:
    """The log-odds of each row, `(2N,)`, by the network whose training set lacks its fold.

    The networks of all folds train side by side, as one batch of matrices.
    """
    kept = min(int((fold != k).sum()) for k in range(folds))
    training = torch.stack([(fold != k).nonzero()[:kept, 0] for k in range(folds)])
    networks = Perceptrons(folds, inputs.shape[1], width, generator)

    def batch(some: Tensor) -> tuple[Tensor, Tensor]:
        rows = training[:, some]
        return inputs[rows], targets[rows]

    networks.fit(kept, batch, generator)
    with torch.no_grad():
        every = networks(inputs.expand(folds, *inputs.shape))
        return every.gather(0, fold[None])[0]
