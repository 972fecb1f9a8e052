"""The classifier test as the benchmark of simulation-based inference has it."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from pushforward._extras import require
from pushforward.metrics._points import pair
from pushforward.metrics.estimate import Estimate

__all__ = ["c2st"]

_FOLDS = 5


def c2st(x: Tensor, y: Tensor, *, seed: int = 1) -> Estimate:
    """The C2ST of sbibm (Lueckmann et al. 2021), to compare with what is published.

    Both sets are standardized by `y`; perceptrons of scikit-learn with two hidden layers of `10 d`
    units tell them apart, in five folds. The mean accuracy is 0.5 for equal distributions, within
    0.005 for 10,000 points of each. It takes minutes where `classifier_accuracy` takes seconds, and
    its number is another one: a classifier that sees more finds more.

    Args:
        x: to be judged, `(n, d)`.
        y: reference draws, `(m, d)`.
        seed: of folds and classifiers.

    Returns the accuracy with its error over the folds, which the sharing of training points makes a
    little too small. Raises `InputError` for different events, or fewer than ten points.

    >>> import torch
    >>> g = torch.Generator().manual_seed(0)
    >>> x, y = torch.randn(100, 1, generator=g), torch.randn(100, 1, generator=g)
    >>> c2st(x + 9, y).value > 0.98
    True
    """
    left, right = pair(x, y, minimum=2 * _FOLDS)
    center, spread = right.mean(0), right.std(0)
    network = require("sklearn.neural_network", extra="data", purpose="compute this C2ST")
    selection = require("sklearn.model_selection", extra="data", purpose="compute this C2ST")
    data = np.concatenate([((z - center) / spread).numpy() for z in (right, left)])
    target = np.concatenate([np.zeros(len(right)), np.ones(len(left))])
    width = 10 * data.shape[1]
    classifier = network.MLPClassifier(
        hidden_layer_sizes=(width, width), max_iter=10_000, random_state=seed
    )
    folds = selection.KFold(n_splits=_FOLDS, shuffle=True, random_state=seed)
    scores = selection.cross_val_score(classifier, data, target, cv=folds, scoring="accuracy")
    return Estimate(float(scores.mean()), float(scores.std(ddof=1)) / math.sqrt(_FOLDS), len(data))
