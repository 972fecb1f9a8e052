"""What a glance at samples shows: no numbers, all alike, or far from all data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward import state
from pushforward._random import resolve
from pushforward._records import read_sealed, read_sealed_json
from pushforward.data import Data
from pushforward.metrics.units import training_units
from pushforward.report.beside_mixture import behind_mixture
from pushforward.report.drawing import Drawn, draw, seconds_for
from pushforward.report.judging import as_written, warnings_of_model
from pushforward.report.pictures import Look
from pushforward.spaces import Space

__all__ = ["Glance", "faults_of_samples", "glance"]

_DRAWN = 1000
_POINTS = 1000
_FEWEST = 40
"""Samples, and rows of data on each side, from which on distances are compared."""

_FAR = 2.5
"""How many times the usual distance is far. Models of all kinds stay below 2.1 after a minute of
training, and come near 1 after a long one; points all over the plane have 3 for the moons and 46
for 25 modes, and normal samples twice as wide as digits have 3.5. In many dimensions a spread that
is `a` times too large gives `sqrt((1 + a^2) / 2)`."""

_NOTICED = 0.05
"""In units of the spread of the data: nearer is the thickness of a line, and no other place."""


@dataclass(frozen=True)
class Glance:
    """Samples of a model, and what is wrong with them and with the model, in sentences."""

    drawn: Drawn
    faults: tuple[str, ...]


def glance(
    run: Path,
    model: Any,
    data: Data,
    samples: Any = None,
    labels: Any = None,
    *,
    show: bool = False,
) -> Glance:
    """Draw samples of the model of a run folder, unless there are some, and look at them.

    As many are drawn as a picture shows and as a share of the time of the training pays for.
    """
    if samples is not None:
        drawn = Drawn(samples, asked=0, labels=labels)
    else:
        manifest = read_sealed_json(run / "manifest.json")
        n = min(Look(model.space, data.resident().x).many, _DRAWN)
        drawn = draw(model, data, n, seconds_for(manifest.get("seconds", 0.0)), show=show)
    settings = read_sealed(run / "config.yaml")["training"]
    train, held = data, None
    if settings["holdout"]:
        train, held = data.split(settings["holdout"], settings["seed"])
        held = held.resident()
    data, train = data.resident(), train.resident()
    seen = as_written(model.space, drawn.states, data)
    faults = [*faults_of_samples(model.space, seen, data), *warnings_of_model(model, train, held)]
    if samples is None and held is not None:
        # With samples comes an evaluation, which says so itself.
        behind = behind_mixture(model, train, held)
        faults += [] if behind is None else [behind]
    return Glance(drawn, tuple(faults))


def faults_of_samples(space: Space, samples: Any, data: Data) -> Iterator[str]:
    """What is wrong with samples of any model, in sentences, beside the data that it learned from.

    >>> from pushforward.spaces import Euclidean
    >>> g = torch.Generator().manual_seed(0)
    >>> corners = torch.randn(200, 2, generator=g).sign()
    >>> data = Data(corners + 0.05 * torch.randn(200, 2, generator=g))
    >>> even = 4 * torch.rand(200, 2, generator=g) - 2
    >>> for fault in faults_of_samples(Euclidean(), even, data):
    ...     print(fault[:55])
    Samples are 41 times as far from the data as other data
    """
    fine = state.finite_rows(samples)
    if not bool(fine.all()):
        yield f"{int((~fine).sum())} of {len(fine)} samples are not finite."
        return
    if len(fine) < 2:
        return
    some = state.take(data.x, slice(_POINTS))
    spread, known = (float(space.features(x).double().std(0).mean()) for x in (samples, some))
    if spread < 1e-3 * known:
        yield "All samples are nearly the same: the model has collapsed."
        return
    yield from _elsewhere(space, samples, data)


def _elsewhere(space: Space, samples: Any, data: Data) -> Iterator[str]:
    """Whether samples are farther from data than other rows of the data, in the median."""
    n = min(state.rows(samples), len(data) // 2, _POINTS)
    if n < _FEWEST:
        return
    order = torch.randperm(len(data), generator=resolve(0))
    known, others = (
        _numbers(space, state.take(data.x, rows)) for rows in (order[:n], order[n : 2 * n])
    )
    shift, scale = training_units(known, common_scale=space.common_scale(data.event_shape))
    drawn = _numbers(space, state.take(samples, slice(n)))
    reference, *others_scaled = ((x - shift) / scale for x in (known, drawn, others))
    found, usual = (float(torch.cdist(x, reference).amin(1).median()) for x in others_scaled)
    width = float((reference - reference.mean(0)).square().sum(1).mean().sqrt())
    # Rows that repeat leave no room between them; what lies there is told by the doctor.
    if usual > 0 and found > max(_FAR * usual, _NOTICED * width):
        yield (
            f"Samples are {found / usual:.2g} times as far from the data as other data are: the "
            "model has spread over places without data, or has not learned yet. Train for more "
            "steps or take a larger model, and look at the picture."
        )


def _numbers(space: Space, x: Any) -> Tensor:
    return space.features(x).detach().cpu().double().flatten(1)
