"""How any model is judged by held-out data: labels for its samples, metrics, and its likelihood."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import torch

from pushforward import config, state
from pushforward._random import resolve
from pushforward.data import Data
from pushforward.data.levels import one_hot_columns
from pushforward.data.rounding import rounded
from pushforward.errors import InputError
from pushforward.estimates import LogProb
from pushforward.metrics import Calibration, Evaluation, calibrate, dequantized, evaluate
from pushforward.metrics.evaluating import FEWEST
from pushforward.metrics.likelihood import level_width
from pushforward.models import GenerativeModel, conditional_sampler, log_prob_given
from pushforward.report.frames_in_time import for_frames
from pushforward.report.molecule_judging import evaluated_molecules
from pushforward.report.point_sets import rows_of_sets
from pushforward.report.right_captions import right_captions
from pushforward.report.spectra import rows_of_spectra
from pushforward.report.table_judging import evaluated_table
from pushforward.report.texts import rows_of_texts
from pushforward.spaces import Space

__all__ = [
    "as_written",
    "calibrated",
    "conditions",
    "evaluated",
    "held_out_likelihood",
    "labels_like",
    "log_density",
    "told_for",
    "warnings_of_model",
]

_FEWEST_UNSEEN = 100
_FEWEST_RANKED, _RANKED_AMONG = 40, 19

Progress = Callable[[int, int], None]


def conditions(model: GenerativeModel, data: Data, rows: Any) -> Any:
    """The labels or contexts of some rows, for a model that takes them; `None` otherwise."""
    if not model.condition.conditional or data.c is None:
        return None
    return state.take(data.c, rows)


def labels_like(model: GenerativeModel, data: Data, n: int, seed: int) -> Any:
    """`n` labels as frequent as in the data, for a model that takes them; `None` otherwise."""
    return conditions(model, data, torch.randint(0, len(data), (n,), generator=resolve(seed)))


def told_for(
    model: GenerativeModel, train: Data, test: Data, n: int, seed: int
) -> tuple[Any, Data]:
    """What `n` samples are told that are held against data, and the data to hold them against.

    Labels are as frequent as in training. Contexts are those of one half of the held-out rows, at
    random, and samples are held against the other half: beside the rows whose contexts they have,
    samples would be too much alike for two independent sets.

    Raises `InputError` for contexts of fewer rows than make two halves.
    """
    if test.context_shape is None or not model.condition.conditional:
        return labels_like(model, train, n, seed), test
    if len(test) < 2 * FEWEST:
        raise InputError(
            f"samples in given contexts need {2 * FEWEST} held-out rows, half of them for the "
            f"contexts, not {len(test)}: train with a larger train.holdout, or cross-validate with "
            "--folds 5"
        )
    order = torch.randperm(len(test), generator=resolve(seed))
    ours, theirs = order.tensor_split(2)
    told = conditions(model, test, ours[torch.arange(n) % len(ours)])
    return told, test.take(theirs.sort().values)


def warnings_of_model(model: GenerativeModel, train: Data, held: Data | None) -> list[str]:
    """What a model says of itself beside held-out data, or those of training if these are few."""
    data = train if held is None or len(held) < _FEWEST_UNSEEN else held
    x = data.x
    if data.levels is not None and model.dequantize:
        # As it learned from them: a critic that never saw a level itself would tell it by that.
        x = dequantized(x, data.levels, data.value_range, seed=0)
    return model.warnings(x, conditions(model, data, slice(None)))


def as_written(space: Space, x: Any, data: Data) -> Any:
    """States with whole numbers and the few levels of columns as files have them.

    Beside data that take these values alone, all others would be told apart by that.
    """
    return rounded(x, space, data.schema)


def evaluated(
    space: Space, samples: Any, test: Data, train: Data, *, told: Any = None, **options: Any
) -> Evaluation:
    """Samples of a space beside held-out data: `metrics.evaluate` with what space and data say.

    Samples are judged as they are written, rounded to the values that the columns take. If they
    were `told` vectors of context, both are judged together with these: the joint distribution
    tells whether a state fits to its context, which those of the states alone do not. Words among
    the contexts are as far apart as numbers are. If they were told captions of scenes, there is a
    row for the share that shows what they say. Texts have rows of their n-grams.
    """
    if test.schema.molecules is not None:
        return evaluated_molecules(samples, test, train, **options)
    if test.schema.mixed is not None:
        return evaluated_table(samples, test, train, **options)
    if space.gaps:
        test, train = (dataclasses.replace(d, x=space.completed(d.x)) for d in (test, train))
    written = as_written(space, samples, test)
    if told is not None and test.context_size is not None and test.levels is None:
        words = one_hot_columns(test.schema.given, test.context_size)
        return evaluate(
            (written, told),
            (test.x, test.c),
            (train.x, train.c),
            features=lambda pair: torch.cat([space.features(pair[0]), pair[1][:, ~words]], 1),
            corners=(lambda pair: pair[1][:, words]) if bool(words.any()) else None,
            categories=lambda pair: space.categories(pair[0]),
            common_scale=False,
            modes=train.modes,
            **options,
        )
    found = evaluate(
        written,
        test.x,
        train.x,
        features=space.features,
        categories=space.categories,
        common_scale=space.common_scale(state.event_shape(train.x)),
        levels=test.levels,
        value_range=test.value_range,
        modes=train.modes,
        **options,
    )
    # Spectra have errors by blocks of rows already.
    found = for_frames(found, test)
    right = right_captions(written, told, test)
    more = (
        *rows_of_texts(written, test, train),
        *rows_of_spectra(written, test, train),
        *rows_of_sets(written, test, train),
        *(() if right is None else (right,)),
    )
    return dataclasses.replace(found, rows=(*found.rows, *more)) if more else found


def calibrated(
    model: GenerativeModel, test: Data, n: int, *, seed: int, **options: Any
) -> Calibration | None:
    """Calibration of a model of some columns given others, by about `n` samples.

    Each of some held-out rows is ranked among 19 samples for what it was given; each check rejects
    an exact model with a chance of 1 %. `None` for other models and data, and for fewer than 40
    rows. `options` are those of the model's `sample`.
    """
    real = isinstance(test.x, torch.Tensor) and test.x.is_floating_point()
    if not test.schema.given or not model.condition.conditional or not real:
        return None
    if len(test) < _FEWEST_RANKED:
        return None
    rows = min(len(test), max(_FEWEST_RANKED, n // (_RANKED_AMONG + 1)))
    some = test.take(torch.randperm(len(test), generator=resolve(seed))[:rows])
    return calibrate(
        conditional_sampler(model, **options), (some.x, some.c), draws=_RANKED_AMONG, alpha=0.01,
        names=test.columns, seed=seed,
    )  # fmt: skip


def held_out_likelihood(
    model: GenerativeModel,
    data: Data,
    points: int,
    seed: int,
    progress: Progress | None = None,
    batch_size: int | None = None,
) -> LogProb | None:
    """Log-densities of the first held-out points; `None` for a model without normalized ones, and
    where some of the points lack numbers.

    So many go through a network at a time, by default what fits into a GiB.
    """
    kind = model.capabilities.log_prob
    if kind in ("unnormalized", "none"):
        return None
    if model.space.gaps and not bool(state.finite_rows(data.x).all()):
        return None
    # Enough for a report; `logprob` takes its time.
    asked = {"steps": 32, "probes": 4} if kind == "ode" else {}
    each: dict[str, Any] = {"progress": progress, "batch_size": batch_size}
    return log_density(model, data, points, seed=seed, **each, **asked)


@torch.no_grad()
def log_density(
    model: GenerativeModel, data: Data, points: int | None = None, *, seed: int, **options: Any
) -> LogProb:
    """Log-densities of the first points of some data, quantized or not, in nats.

    Quantized data are spread uniformly over the cells of their levels. A model of the levels
    themselves gives them probabilities, which are turned into densities that are constant on a
    cell, so that both are compared in the same unit.

    Of the `options`, those count that the model's `log_prob` takes. Of functions with missing
    values the density is that of the values that are there, `given` others if there are any.
    """
    model.normalize(seed=seed)
    first, given = slice(points), options.pop("given", None)
    x, labels = state.take(data.x, first), conditions(model, data, first)
    if data.schema.functions is not None and (given is not None or bool(x.isnan().any())):
        options = config.understood(log_prob_given, seed=seed, **options)
        return log_prob_given(model, x, None if given is None else given[first], labels, **options)
    options = model.understood("log_prob", seed=seed, **options)
    if data.schema.mixed is not None:
        found = model.log_prob(x, labels, **options)
        return dataclasses.replace(found, value=found.value + data.schema.mixed.log_slope(x))
    if data.levels is None or data.value_range is None:
        return model.log_prob(x, labels, **options)
    if model.discrete:
        found = model.log_prob(x, labels, **options)
        numbers = state.numel(state.event_shape(x))
        volume = numbers * math.log(level_width(data.levels, data.value_range))
        return dataclasses.replace(found, value=found.value - volume)
    x = dequantized(x, data.levels, data.value_range, seed=seed)
    return model.log_prob(x, labels, **options)
