"""What to know before trusting samples, in plain words."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.estimates import LogProb
from pushforward.metrics.evaluation import Row

__all__ = ["warnings_of"]

_CLEAR = 3.0  # standard errors: by chance in about one of 700 cases
_FEW = 500
_REPEATED = 0.01
_OUTSIDE = 0.001
_FAR = 3.0
_FEW_COPIES = 3
_KIND = 0.01


def warnings_of(
    rows: Sequence[Row],
    samples: Tensor,
    test: Tensor,
    train: Tensor,
    points: int,
    log_prob: LogProb | None = None,
    *,
    values: Tensor | None = None,
    value_range: tuple[float, float] | None = None,
    discrete: bool = False,
) -> tuple[str, ...]:
    """The warnings of an evaluation, the gravest first; none if nothing stands out.

    The sets are features `(N, k)` in units of the training data; `points` of each were compared.
    `values` are the samples in the units of the data, which have a `value_range`. Of `discrete`
    states many are equal by nature.

    >>> x = torch.arange(600.0)[:, None]
    >>> warnings_of([], x[:1].expand(600, 1), x, x + 0.5, 600)
    ('600 of 600 samples are exact copies of another sample: the model has collapsed there.',)
    """
    table = {row.name: row for row in rows}
    return (
        *_of_copies(table),
        *_of_the_sets(samples, test, train, discrete),
        *_of_quality(table),
        *_of_range(values, value_range),
        *_of_the_far(samples, train),
        *_of_likelihood(table, log_prob),
        *_of_sizes(points),
    )


def _of_copies(table: dict[str, Row]) -> Iterator[str]:
    row = table.get("near copies")
    if row is not None and _worse(row):
        yield (
            f"{row.value:.1%} of the samples lie closer to a training point than 99% of held-out "
            f"data do ({row.floor:.1%} of real data): the model may be copying training data."
        )
    row = table.get("memorization")
    if row is not None and row.value > 0.5 and _worse(row):
        yield (
            f"In {row.value:.0%} of comparisons a sample lies closer to the training data than a "
            "held-out point (50% expected): the model may be copying training data."
        )


def _of_the_sets(samples: Tensor, test: Tensor, train: Tensor, discrete: bool) -> Iterator[str]:
    repeated = _repeated(samples)
    # Among more states more are equal: as many real ones show how many that are.
    n = min(len(samples), len(train))
    order = torch.randperm(len(train), generator=resolve(0), device="cpu")[:n].to(train.device)
    expected, seen = _repeated(train[order]), _repeated(samples[:n])
    if repeated > _REPEATED * len(samples) and seen > 2 * expected + 3 * math.sqrt(1 + expected):
        yield (
            f"{repeated} of {len(samples)} samples are exact copies of another sample: the model "
            "has collapsed there."
        )
    leaked = 0 if discrete else _shared(test, train)
    if leaked:
        yield (
            f"{leaked} of {len(test)} held-out rows are exact copies of training rows: copying by "
            "the model is harder to see, and the likelihood of held-out data is flattered."
        )


def _of_quality(table: dict[str, Row]) -> Iterator[str]:
    row = table.get("classifier accuracy")
    if row is not None and row.floor is not None:
        if row.floor_stderr is not None and row.floor - 0.5 > _CLEAR * row.floor_stderr:
            yield (
                f"Training and held-out data can be told apart themselves (accuracy "
                f"{row.floor:.2f}): the split is not random, and no model can match both."
            )
        if _worse(row):
            yield (
                f"A small network tells samples from real data in {row.value:.0%} of cases "
                f"({row.floor:.0%} for real data against real data)."
            )
    row = table.get("precision")
    if row is not None and _worse(row):
        yield (
            f"{row.value:.0%} of the samples look like real data where {row.floor:.0%} of real "
            "data do: part of the samples is unlike any data."
        )
    row = table.get("recall")
    if row is not None and _worse(row):
        yield (
            f"The samples cover {row.value:.0%} of real data where other real data cover "
            f"{row.floor:.0%}: some kinds of data are missing."
        )


def _of_range(values: Tensor | None, value_range: tuple[float, float] | None) -> Iterator[str]:
    if values is None or value_range is None:
        return
    low, high = value_range
    slack = 0.05 * (high - low)
    outside = float(((values < low - slack) | (values > high + slack)).double().mean())
    if outside > _OUTSIDE:
        yield (
            f"{outside:.1%} of the sampled values lie more than 5% outside {low:g}..{high:g}, "
            "where data have none."
        )


def _of_the_far(samples: Tensor, train: Tensor) -> Iterator[str]:
    """Samples that no data come near: they also spoil averages and the k-NN metrics."""
    sizes = [x.abs().amax(-1) for x in (samples, train)]
    far = int((sizes[0] > _FAR * sizes[1].max().clamp_min(1)).sum())
    if far:
        yield (
            f"{far} of {len(samples)} samples lie more than {_FAR:g} times as far out as any "
            "training point: the sampler may have diverged there, and the distances count them."
        )


def _of_likelihood(table: dict[str, Row], log_prob: LogProb | None) -> Iterator[str]:
    row = table.get("NLL")
    if row is None or log_prob is None:
        return
    if not row.converged:
        yield (
            f"{log_prob.unconverged} of {len(log_prob.value)} log-densities have not converged: "
            "the likelihood and its error are not to be trusted. Give its estimate more samples, "
            "chains or temperatures, or another method."
        )
    if log_prob.error is None:
        return
    error = float(log_prob.error.abs().mean())
    if error > row.stderr:
        yield (
            f"The likelihood's discretization error of {error:.2g} nats exceeds its standard error "
            f"of {row.stderr:.2g}: take more steps."
        )


def _of_sizes(points: int) -> Iterator[str]:
    if points < _FEW:
        yield (
            f"Only {points} points on each side: differences below the error bars cannot be seen."
        )


def _worse(row: Row) -> bool:
    return row.excess is not None and row.excess > _CLEAR


def _repeated(x: Tensor) -> int:
    """How many rows equal another row."""
    count = torch.unique(x, dim=0, return_counts=True)[1]
    return int(count[count > 1].sum())


def _shared(test: Tensor, train: Tensor) -> int:
    """How many rows of `test` are among those of `train`.

    A row that makes up much of the data, such as an empty set, is a kind and no copy.
    """
    known = Counter(row.tobytes() for row in train.numpy())
    many = max(_FEW_COPIES, _KIND * len(train))
    return sum(0 < known[row.tobytes()] <= many for row in test.numpy())
