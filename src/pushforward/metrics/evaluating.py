"""`evaluate`: all metrics at once, beside the same metrics of real data, with warnings."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.errors import InputError
from pushforward.estimates import LogProb
from pushforward.metrics._points import checked, subsample
from pushforward.metrics.classifier import classifier_accuracy
from pushforward.metrics.energy_distance import energy_distance
from pushforward.metrics.estimate import Estimate
from pushforward.metrics.evaluation import Better, Evaluation, Row
from pushforward.metrics.likelihood import (
    bits_per_dimension,
    level_width,
    negative_log_likelihood,
)
from pushforward.metrics.memorization import memorization, near_copies
from pushforward.metrics.mmd import mmd
from pushforward.metrics.mode_coverage import mode_coverage
from pushforward.metrics.precision_recall import precision, recall
from pushforward.metrics.sliced_wasserstein import sliced_wasserstein
from pushforward.metrics.units import training_units
from pushforward.metrics.warnings import warnings_of

__all__ = ["FEWEST", "evaluate"]

Progress = Callable[[int, int], None]

FEWEST = 20
"""The least number of points of each kind."""

_FEWEST_FOR_COPIES = 100  # held-out points for a quantile at one in a hundred


class _Comparison(NamedTuple):
    name: str
    metric: Callable[..., Estimate]
    better: Better
    note: str
    unit: str = ""


_COMPARISONS = (
    _Comparison("sliced W2", sliced_wasserstein, "lower", "how far mass has to move", "std"),
    _Comparison("MMD²", mmd, "lower", "0: no difference seen by a kernel"),
    _Comparison("energy distance", energy_distance, "lower", "0: the same law", "std"),
    _Comparison("classifier accuracy", classifier_accuracy, "lower", "0.5: cannot be told apart"),
    _Comparison("precision", precision, "higher", "share of samples that look real"),
    _Comparison("recall", recall, "higher", "share of real data that is covered"),
)
_COPYING = _Comparison(
    "memorization", memorization, "floor", "0.5: as far from the training data as held-out data"
)
_COPIES = _Comparison(
    "near copies", near_copies, "lower", "share of samples at a training point, 0.01 expected"
)


def evaluate(
    samples: Tensor,
    test: Tensor,
    train: Tensor,
    *,
    seed: int = 0,
    max_points: int = 2000,
    log_prob: LogProb | None = None,
    levels: int | None = None,
    value_range: tuple[float, float] | None = None,
    modes: tuple[Tensor, float] | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Judge samples by held-out data, and put beside each number what real data reach.

    The floor of each metric is the same statistic at the same size, of points of the training data
    in the place of the samples: no model can be expected to do better. Lengths are measured in
    standard deviations of the training data (`training_units`).

    Args:
        samples: `(N, *event)`, in the units of the data.
        test: held-out data, `(M, *event)`, disjoint from the training data.
        train: the training data, `(K, *event)`.
        seed: of the subsamples, directions and classifiers.
        max_points: the largest number of points on each side, drawn by `seed` from larger sets.
            Memorization is always looked for in all of the training data.
        log_prob: log-densities of the held-out data, one a row, in the units of the data; with them
            the table has NLL and, for quantized data, bits per dimension.
        levels, value_range: of quantized data, as in `Data`: samples are compared after rounding to
            the levels, which a picture goes through when it is saved. `value_range` alone is used
            to tell samples that leave it.
        modes: centers `(K, d)` and the scale of the modes, of data that are a known mixture of
            Gaussians; with them the table has the modes found (`mode_coverage`).
        progress: called with the number of finished measurements and of all.

    Raises `InputError` for different events, fewer than 20 points of a kind, and NaN or infinity,
    naming the set and how many rows.

    >>> g = torch.Generator().manual_seed(0)
    >>> train, test, samples = torch.randn(3, 200, 2, generator=g)
    >>> result = evaluate(samples + torch.tensor([2.0, 0.0]), test, train)
    >>> result["sliced W2"].value > 1 > result["sliced W2"].floor
    True
    """
    size = _size(samples, test, train, max_points)
    _check_likelihood(log_prob, len(test), levels, value_range)
    shift, scale = training_units(train)
    generator = resolve(seed)

    def scaled(x: Tensor) -> Tensor:
        # In single precision for all sets: copies stay copies, and train may be large.
        return (x.detach().flatten(1).cpu().float() - shift.float()) / scale.float()

    drawn = subsample(samples.cpu(), size, generator)
    few = scaled(_rounded(drawn, levels, value_range))
    held_out = scaled(subsample(test.cpu(), size, generator))
    order = torch.randperm(len(train), generator=generator)
    known = train[order[:size].to(train.device)]
    real = scaled(known)
    # Real data in the place of samples must not be among the training data that they may copy.
    half = min(size, len(train) // 2)
    copying = (_COPYING, _COPIES) if size >= _FEWEST_FOR_COPIES else (_COPYING,)
    total = 2 * (len(_COMPARISONS) + len(copying))
    done = 0

    def measured(metric: Callable[..., Estimate], *sets: Tensor) -> Estimate:
        nonlocal done
        estimate = metric(*sets, seed=seed)
        done += 1
        if progress is not None:
            progress(done, total)
        return estimate

    rows = []
    for comparison in _COMPARISONS:
        value = measured(comparison.metric, few, held_out)
        floor = measured(comparison.metric, real, held_out)
        rows.append(_row(comparison, value, floor))
    all_known = scaled(train)
    rest_known = all_known[order[half:]]
    for comparison in copying:
        value = measured(comparison.metric, few, held_out, all_known)
        floor = measured(comparison.metric, real[:half], held_out, rest_known)
        rows.append(_row(comparison, value, floor))
    if modes is not None:
        rows += _mode_rows(drawn, known.cpu(), *modes)
    if log_prob is not None:
        rows += _likelihood_rows(log_prob, test[0].numel(), levels, value_range)
    return Evaluation(
        tuple(rows),
        warnings_of(rows, samples, test, train, size, log_prob, value_range),
        size,
        len(samples),
        len(test),
        len(train),
        seed,
    )


def _rounded(x: Tensor, levels: int | None, value_range: tuple[float, float] | None) -> Tensor:
    """The nearest level of quantized data: the gaps between levels alone would tell samples."""
    if levels is None or value_range is None:
        return x
    low, _ = value_range
    width = level_width(levels, value_range)
    return ((x - low) / width).round().clamp(0, levels - 1) * width + low


def _row(comparison: _Comparison, value: Estimate, floor: Estimate) -> Row:
    return Row(
        comparison.name,
        value.value,
        value.stderr,
        floor.value,
        floor.stderr,
        comparison.better,
        comparison.note,
        comparison.unit,
    )


def _mode_rows(drawn: Tensor, real: Tensor, centers: Tensor, std: float) -> list[Row]:
    found, floor = (mode_coverage(x, centers, std) for x in (drawn, real))
    near = "a sample within three standard deviations"
    good, best = found.quality, floor.quality
    return [
        Row("modes found", found.modes, 0.0, floor.modes, 0.0, "higher",
            f"of {len(centers)}, with {near}"),
        Row("near a mode", good.value, good.stderr, best.value, best.stderr, "higher",
            "share of samples within three standard deviations"),
    ]  # fmt: skip


def _likelihood_rows(
    log_prob: LogProb,
    dimension: int,
    levels: int | None,
    value_range: tuple[float, float] | None,
) -> list[Row]:
    note = "at most: a bound" if log_prob.kind == "bound" else f"by {log_prob.kind}"
    nats = negative_log_likelihood(log_prob)
    rows = [Row("NLL", nats.value, nats.stderr, note=f"of held-out data, {note}", unit="nats")]
    if levels is not None:
        bits = bits_per_dimension(log_prob, dimension, levels=levels, value_range=value_range)
        note = "bounds the code length if taken at dequantized data only"
        rows.append(Row("bits per dimension", bits.value, bits.stderr, note=note, unit="bits"))
    return rows


def _size(samples: Tensor, test: Tensor, train: Tensor, max_points: int) -> int:
    """How many points to compare, after all checks of the three sets."""
    named = {"samples": samples, "test": test, "train": train}
    for name, x in named.items():
        checked(x, name, FEWEST)
    shapes = {name: tuple(x.shape[1:]) for name, x in named.items()}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise InputError(f"events must have one shape, but are {listed}")
    if max_points < FEWEST:
        raise InputError(f"max_points={max_points}: at least {FEWEST} are needed")
    return min(len(samples), len(test), len(train), max_points)


def _check_likelihood(
    log_prob: LogProb | None,
    rows: int,
    levels: int | None,
    value_range: tuple[float, float] | None,
) -> None:
    """Before minutes are spent on the rest."""
    if levels is not None:
        level_width(levels, value_range)
    if log_prob is not None:
        negative_log_likelihood(log_prob)
        if len(log_prob.value) > rows:
            raise InputError(
                f"{len(log_prob.value)} log-probabilities for {rows} held-out points: they are "
                "taken at test data"
            )
