"""Cross-validation: where few rows can be held out, each is judged by a model without it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.checks import whole
from pushforward.data import Data
from pushforward.errors import CapabilityError, InputError
from pushforward.metrics.estimate import Estimate
from pushforward.report.judging import held_out_likelihood
from pushforward.training import Settings, fit

__all__ = ["CrossValidation", "cross_validate"]


@dataclass(frozen=True)
class CrossValidation:
    """Log-densities of all rows of some data, each by the model of the fold that left it out.

    Args:
        model: the name of its class.
        kind: of the densities: `exact`, `ode`, `bound` or `estimated`.
        fold: which fold each row belongs to, `(N,)`.
        log_prob: in nats, in data units, `(N,)`.
        converged: whether all can be trusted.

    >>> fold, log_prob = torch.tensor([0, 1]), torch.tensor([-2.0, -3.0])
    >>> CrossValidation("Diffusion", "ode", fold, log_prob).nll.value
    2.5
    """

    model: str
    kind: str
    fold: Tensor
    log_prob: Tensor
    converged: bool = True

    @property
    def nll(self) -> Estimate:
        """The mean negative log-density of a row, with its standard error.

        The error is that of the rows. Models of different folds share most of theirs, so that it is
        somewhat too small (Bengio & Grandvalet 2004: there is no unbiased one).
        """
        return _mean(-self.log_prob, self.converged)

    def above(self, other: CrossValidation) -> Estimate:
        """By how much the NLL is above another's, on the same rows in the same folds."""
        if not torch.equal(self.fold, other.fold):
            raise InputError("these are not the same rows in the same folds")
        both = self.converged and other.converged
        return _mean(other.log_prob - self.log_prob, both)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "model": self.model,
            "kind": self.kind,
            "folds": int(self.fold.max()) + 1,
            "rows": len(self.fold),
            "nll": self.nll.value,
            "stderr": self.nll.stderr,
            "converged": self.converged,
            "nll_of_folds": [
                float(-self.log_prob[self.fold == k].mean()) for k in self.fold.unique()
            ],
        }

    def __str__(self) -> str:
        found = self.to_dict()
        values = ", ".join(f"{value:.4g}" for value in found["nll_of_folds"])
        return (
            f"{self.model}: NLL {self.nll} nats a row by {self.kind}, "
            f"in {found['folds']} folds {values}"
        )


def cross_validate(
    make: Callable[[Data], Any],
    data: Data,
    settings: Settings,
    *,
    folds: int = 5,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> CrossValidation:
    """Fit a model to all folds but one, in turn, and take the log-densities of the rows left out.

    Args:
        make: a model that is not trained yet, for some data.
        data: all rows; `seed` deals them out to the folds.
        settings: of each training. What they hold out is held out of the other folds, to choose the
            weights: no row is judged by a model that it was used for.
        folds: how many, from 2 to half the number of rows.
        seed: of the folds and the densities.
        progress: called with the number of finished folds and of all.

    Raises `InputError` for a number of folds that cannot be; `CapabilityError` for models without
    normalized densities, which few rows cannot judge.
    """
    whole("folds", folds, least=2)
    if len(data) < 2 * folds:
        raise InputError(f"folds={folds} of {len(data)} rows: each needs two rows or more")
    order = torch.randperm(len(data), generator=resolve(seed))
    fold = torch.empty(len(data), dtype=torch.int64)
    value = torch.empty(len(data), dtype=torch.float64)
    name, kind, converged = "", "", True
    for k, rows in enumerate(torch.tensor_split(order, folds)):
        fold[rows] = k
        known = data.take(torch.ones(len(data), dtype=torch.bool).index_fill(0, rows, False))
        model = make(known)
        if model.capabilities.log_prob in ("unnormalized", "none"):
            raise CapabilityError(
                f"a {type(model).__name__} has no normalized densities, by which few rows could "
                "judge it: collect more rows, or hold out more of them (train.holdout)"
            )
        fit(model, known, settings=settings, progress=False)
        found = held_out_likelihood(model, data.take(rows), len(rows), seed)
        assert found is not None
        value[rows] = found.value.detach().double().cpu()
        name, kind = type(model).__name__, found.kind
        converged = converged and not found.unconverged
        if progress is not None:
            progress(k + 1, folds)
    return CrossValidation(name, kind, fold, value, converged)


def _mean(values: Tensor, converged: bool) -> Estimate:
    spread = float(values.std()) / math.sqrt(len(values))
    return Estimate(float(values.mean()), spread, len(values), converged)
