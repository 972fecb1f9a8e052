"""A model's likelihood beside that of a Gaussian mixture of the same rows: who is ahead, and
whether the two can be compared at all."""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch

from pushforward._random import resolve
from pushforward.data import Data, load
from pushforward.errors import ConvergenceWarning, MissingExtraError
from pushforward.estimates import LogProb
from pushforward.metrics.estimate import Estimate
from pushforward.models import GaussianMixtureModel
from pushforward.report.judging import held_out_likelihood, log_density
from pushforward.training.objective import dequantize

__all__ = ["behind_mixture", "incomparable", "told_labels", "uneven"]

_FEWEST_FITTED, _FEWEST_JUDGED = 20, 10
"""Rows from which a mixture, and a standard error over rows, say something."""

_MOST, _NUMBERS = 5000, 1 << 24
"""Rows that the mixture is fitted to, and rows times entries of a covariance: a few seconds."""

_CLEAR = 2.0


def told_labels(model: Any, data: Data, beside: str = "the mixture is") -> str | None:
    """What a model is told of the rows and the one beside it is not, in a sentence.

    A model that is given the labels has densities `p(x | c)`, whose logarithm is above that of
    `p(x)` by the mutual information in the mean, at most the entropy of the labels. That it is
    behind all the same counts; that it is ahead does not.
    """
    if data.c is None or not model.capabilities.conditional:
        return None
    more = "."
    if data.num_classes is not None:
        share = torch.bincount(data.c.cpu()).double() / len(data)
        most = float(torch.special.entr(share).sum())
        more = f", which is worth up to {most:.2g} nats a row, the entropy of the labels."
    what = "labels" if data.context_shape is None else "contexts"
    return f"The model is given the {what} of the rows and {beside} not{more}"


def incomparable(model: Any, data: Data, beside: str = "the mixture leaves") -> str | None:
    """Why densities of two models are of different columns, in a sentence.

    Models in closed form leave columns of one value out, and the densities of the families that are
    trained count them.
    """
    if data.kind != "vector" or model.closed_form:
        return None
    still = int((data.x == data.x[:1]).all(0).sum())
    if not still:
        return None
    columns = "1 column never changes" if still == 1 else f"{still} columns never change"
    return (
        f"{columns}: {beside} such columns out, and the density of the model counts them, as large "
        "as it likes. The two are not comparable: leave them out of the data."
    )


def uneven(model: Any, data: Data) -> list[str]:
    """Why the NLL of a model is not to be held against that of a mixture of the same rows.

    >>> import pushforward as pf
    >>> data = pf.data.load(torch.tensor([[0.0, 3.0], [1.0, 3.0]]))
    >>> [text[:36] for text in uneven(pf.Diffusion(pf.nn.MLP(2, width=8)), data)]
    ['1 column never changes: the mixture ']
    """
    found = told_labels(model, data), incomparable(model, data)
    return [text for text in found if text is not None]


def behind_mixture(
    model: Any,
    train: Data,
    test: Data,
    found: LogProb | None = None,
    *,
    points: int = 128,
    seed: int = 0,
) -> str | None:
    """Whether a model is behind a Gaussian mixture on held-out rows of a table, in a sentence.

    `None` unless the mean log-density of the mixture, fitted to the same rows, is above the
    model's by more than two standard errors of the difference, row by row. Of large tables the
    mixture learns from a part.

    Args:
        model: a trained model.
        train: what it was trained on.
        test: what it has not seen.
        found: its log-densities of the first rows of `test`, if they are known already.
        points: how many are computed otherwise.
        seed: of the mixture, and of what is drawn for the densities.
    """
    if train.kind != "vector" or not model.space.linear or model.closed_form:
        return None
    if model.space.state_shape(model.event_shape) != model.event_shape:
        # Shares lie on a plane, where a mixture of vectors is as high as it likes.
        return None
    if len(train) < _FEWEST_FITTED or min(len(test), points) < _FEWEST_JUDGED:
        return None
    if incomparable(model, train) is not None:
        return None
    found = held_out_likelihood(model, test, points, seed) if found is None else found
    if found is None or found.unconverged:
        return None
    rival = _mixture(train, seed)
    if rival is None:
        return None
    theirs = log_density(rival, test, len(found.value), seed=seed).value
    gap = theirs.double().cpu() - found.value.detach().double().cpu()
    ahead = Estimate(float(gap.mean()), float(gap.std()) / math.sqrt(len(gap)), len(gap))
    if not ahead.value > _CLEAR * ahead.stderr:
        return None
    what = "the bound of this model" if found.kind == "bound" else "this model"
    return (
        f"A Gaussian mixture of the same rows is ahead of {what} by {ahead} nats a row (paired "
        f"over {len(gap)} held-out rows): a network needs more rows than these, or more training. "
        "Until then the mixture (the model called `mixture`) describes them better."
    )


def _mixture(train: Data, seed: int) -> GaussianMixtureModel | None:
    """A mixture of the rows, or of as many as take a few seconds; `None` without scikit-learn."""
    train = load(train, label=False)
    most = min(_MOST, max(_FEWEST_FITTED, _NUMBERS // train.x[0].numel() ** 2))
    if len(train) > most:
        train = train.take(torch.randperm(len(train), generator=resolve(seed))[:most])
    model = GaussianMixtureModel.for_data(train)
    model.fit_units(train.x)
    generator = torch.Generator().manual_seed(seed)
    # Not by `fit`, which all processes of a training would have to join.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            model.prepare(dequantize(model, train, train.x, generator), generator=generator)
        except MissingExtraError:
            return None
    return model
