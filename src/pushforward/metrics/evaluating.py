"""`evaluate`: all metrics at once, beside the same metrics of real data, with warnings.

States of any kind are judged by their features, numbers in which distances mean something, and by
the frequencies of what is one of a few kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pushforward import state
from pushforward._random import resolve
from pushforward.errors import InputError
from pushforward.estimates import LogProb
from pushforward.metrics._points import checked
from pushforward.metrics.classifier import classifier_accuracy
from pushforward.metrics.energy_distance import energy_distance
from pushforward.metrics.estimate import Estimate
from pushforward.metrics.evaluation import Better, Evaluation, Row
from pushforward.metrics.intrinsic_dimension import dimension_row
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
from pushforward.metrics.total_variation import total_variation
from pushforward.metrics.units import training_units
from pushforward.metrics.warnings import warnings_of

__all__ = ["FEWEST", "FREQUENCIES", "evaluate"]

Progress = Callable[[int, int], None]

FEWEST = 20
"""The least number of points of each kind."""

FREQUENCIES = "total variation distance of the frequencies"
"""The note of the rows of categories."""

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
    _Comparison("energy distance", energy_distance, "lower", "0: the same distribution", "std"),
    _Comparison("classifier accuracy", classifier_accuracy, "lower", "0.5: cannot be told apart"),
    _Comparison("precision", precision, "higher", "share of samples that look real"),
    _Comparison("recall", recall, "higher", "share of real data that is covered"),
)
_KINDS = _Comparison("", total_variation, "lower", FREQUENCIES)
_COPYING = _Comparison(
    "memorization", memorization, "floor", "0.5: as far from the training data as held-out data"
)
_COPIES = _Comparison(
    "near copies",
    near_copies,
    "lower",
    "share nearer to a training point than 99% of held-out data",
)


def evaluate(
    samples: Any,
    test: Any,
    train: Any,
    *,
    features: Callable[[Any], Tensor] | None = None,
    corners: Callable[[Any], Tensor] | None = None,
    categories: Callable[[Any], Mapping[str, Tensor]] | None = None,
    common_scale: bool = False,
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
    standard deviations of the features of the training data (`training_units`).

    Args:
        samples: a batch of states, in the units of the data: a tensor `(N, *event)`, or a tuple of
            batches.
        test: held-out data, disjoint from the training data.
        train: the training data.
        features: the numbers `(N, k)` of a batch that distances are taken between, such as
            `model.space.features`; by default the entries of a tensor.
        corners: more numbers `(N, m)` of a batch, which keep their unit: 0 and 1 for the kinds that
            something may be of, such as the words of a column. Two kinds are as far apart as two
            rows of a feature in the mean, however many kinds there are and however rare they are;
            each in units of its deviation, many kinds would outweigh all else.
        categories: what of a batch is one of a few kinds, such as `model.space.categories`:
            integers `(N,)` by name, or several for each state one after the other. Each has a row
            with the total variation distance of the frequencies.
        common_scale: all features share a unit and are scaled alike, as pixels are; by default each
            has its own scale. A space says which (`model.space.common_scale`).
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
    seen = _Seen(samples, test, train, features or _entries, corners, common_scale)
    size = _size(seen, max_points)
    _check_likelihood(log_prob, state.rows(test), levels, value_range)
    generator = resolve(seed)
    drawn = state.to(_some(samples, size, generator), "cpu")
    if levels is not None and value_range is not None:
        drawn = _rounded(drawn, levels, value_range)
    held_out = state.to(_some(test, size, generator), "cpu")
    order = torch.randperm(state.rows(train), generator=generator)
    known = state.to(state.take(train, order[:size]), "cpu")
    few, few_held_out, real = (seen.scaled(x) for x in (drawn, held_out, known))
    # Real data in the place of samples must not be among the training data that they may copy.
    half = min(size, len(order) // 2)
    copying = (_COPYING, _COPIES) if size >= _FEWEST_FOR_COPIES else (_COPYING,)
    kinds = [{} if categories is None else categories(x) for x in (drawn, known, held_out)]
    total = 2 * (len(_COMPARISONS) + len(copying) + len(kinds[0]))
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
        value = measured(comparison.metric, few, few_held_out)
        floor = measured(comparison.metric, real, few_held_out)
        rows.append(_row(comparison, value, floor))
    for name in kinds[0]:
        value, floor = (
            measured(total_variation, _each(x[name], size), _each(kinds[2][name], size))
            for x in kinds[:2]
        )
        rows.append(_row(_KINDS._replace(name=name), value, floor))
    rows += dimension_row(few, real)
    all_known = seen.scaled_train
    for comparison in copying:
        value = measured(comparison.metric, few, few_held_out, all_known)
        floor = measured(comparison.metric, real[:half], few_held_out, all_known[order[half:]])
        rows.append(_row(comparison, value, floor))
    if modes is not None:
        rows += _mode_rows(drawn, known, *modes)
    if log_prob is not None:
        numbers = state.numel(state.event_shape(test))
        rows += _likelihood_rows(log_prob, numbers, levels, value_range)
    sets = seen.scaled(samples), seen.scaled(test), all_known
    discrete = not any(leaf.is_floating_point() for leaf in state.leaves(train))
    about = {"values": samples, "value_range": value_range} if value_range is not None else {}
    return Evaluation(
        tuple(rows),
        warnings_of(rows, *sets, size, log_prob, discrete=discrete, **about),
        size,
        len(sets[0]),
        len(sets[1]),
        len(sets[2]),
        seed,
    )


class _Seen:
    """Three sets of states as judges see them: features, in units of the training data."""

    def __init__(
        self,
        samples: Any,
        test: Any,
        train: Any,
        features: Callable[[Any], Tensor],
        corners: Callable[[Any], Tensor] | None,
        common_scale: bool,
    ) -> None:
        named = {"samples": samples, "test": test, "train": train}
        for name, x in named.items():
            if isinstance(x, Tensor):
                checked(x, name, FEWEST)
        shapes = {name: state.event_shape(x) for name, x in named.items()}
        if len(set(shapes.values())) > 1:
            listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            raise InputError(f"events must have one shape, but are {listed}")
        self.features, self.corners = features, corners
        for name, x in named.items():
            checked(self._numbers(x), name, FEWEST)
        known = self._numbers(train)
        self._double = known.dtype == torch.float64
        self.shift, self.scale = training_units(known, common_scale=common_scale)
        self.scaled_train = self._beside_corners(self._in_units(known), train)
        self.sizes = [state.rows(x) for x in named.values()]

    def scaled(self, x: Any) -> Tensor:
        """The features of some states, `(n, k)`, on the CPU."""
        return self._beside_corners(self._in_units(self._numbers(x)), x)

    def _numbers(self, x: Any) -> Tensor:
        return self.features(state.map_leaves(Tensor.detach, x)).cpu()

    def _beside_corners(self, numbers: Tensor, x: Any) -> Tensor:
        if self.corners is None:
            return numbers
        return torch.cat([numbers, self.corners(x).detach().cpu().to(numbers)], 1)

    def _in_units(self, numbers: Tensor) -> Tensor:
        # In single precision for all sets: copies stay copies, and train may be large. But not
        # before the units are off, where single precision could not carry the numbers.
        if self._double:
            return ((numbers.double() - self.shift) / self.scale).float()
        return (numbers.float() - self.shift.float()) / self.scale.float()


def _entries(x: Tensor) -> Tensor:
    """The numbers of a tensor, row by row."""
    if not isinstance(x, Tensor):
        raise InputError(
            f"states are {type(x).__name__}: say what to measure of them, as in "
            "features=model.space.features"
        )
    return x.flatten(1) if x.ndim > 1 else x[:, None]


def _some(x: Any, n: int, generator: torch.Generator) -> Any:
    """`n` states drawn without replacement; all of them if there are no more."""
    if state.rows(x) <= n:
        return x
    return state.take(x, torch.randperm(state.rows(x), generator=generator)[:n])


def _each(kinds: Tensor, n: int) -> Tensor:
    """Kinds with a row for each of `n` states."""
    return kinds.reshape(n, -1)


def _rounded(x: Tensor, levels: int, value_range: tuple[float, float]) -> Tensor:
    """The nearest level of quantized data: the gaps between levels alone would tell samples."""
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
    good, best = found.quality, floor.quality
    return [
        Row("modes found", found.modes, 0.0, floor.modes, 0.0, "higher",
            f"of {len(centers)}, with {found.needed[0]} samples or more: half the mode's weight"),
        Row("near a mode", good.value, good.stderr, best.value, best.stderr, "higher",
            "precision: share of samples within three standard deviations of a mode"),
    ]  # fmt: skip


def _likelihood_rows(
    log_prob: LogProb,
    dimension: int,
    levels: int | None,
    value_range: tuple[float, float] | None,
) -> list[Row]:
    note = "at most: a bound" if log_prob.kind == "bound" else f"by {log_prob.kind}"
    if bad := log_prob.unconverged:
        note += f", {bad} of {len(log_prob.value)} not converged"
    nats = negative_log_likelihood(log_prob)
    note = f"of held-out data, {note}"
    rows = [Row("NLL", nats.value, nats.stderr, None, None, "lower", note, "nats", nats.converged)]
    if levels is not None:
        bits = bits_per_dimension(log_prob, dimension, levels=levels, value_range=value_range)
        note = "bounds the code length if taken at dequantized data only"
        known = bits.value, bits.stderr, None, None
        rows.append(Row("bits per dimension", *known, "lower", note, "bits", bits.converged))
    return rows


def _size(seen: _Seen, max_points: int) -> int:
    """How many points to compare."""
    if max_points < FEWEST:
        raise InputError(f"max_points={max_points}: at least {FEWEST} are needed")
    return min(*seen.sizes, max_points)


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
