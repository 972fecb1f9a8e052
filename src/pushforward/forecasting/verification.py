"""Forecasts of a model beside those that anybody has, on windows held out in time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from pushforward import checks, state
from pushforward._random import derived_seed
from pushforward.data import Data, Schema
from pushforward.data.declared import require_room
from pushforward.data.window_rows import frames_of
from pushforward.errors import InputError
from pushforward.forecasting.forecaster import Forecaster
from pushforward.forecasting.references import reference_forecasts
from pushforward.forecasting.rolling import require_windows, rolled_out
from pushforward.forecasting.scores import (
    EnsembleScores,
    independent_ranks,
    scored,
    skill,
)
from pushforward.metrics import Estimate, decorrelation_time

__all__ = ["FEWEST", "MODEL", "Verification", "ensembles", "verify", "with_leads"]

MODEL = "model"
"""What the forecasts that are verified are called."""

_EXTREME = 0.9
"""The quantile of the training data above which the fractions skill counts."""

_NARROW = 0.8
"""A spread over the error, or its inverse, that is told."""

FEWEST = 8
"""Windows that a verification wants at least."""


@dataclass(frozen=True)
class Verification:
    """What forecasts score at each lead, beside others.

    Args:
        scores: by name, the `model` first.
        variables: the channels of a frame, with their units.
        step: the time from one lead to the next, in words.
        starts: how many forecasts there are.
        flat: for each lead and variable the p-value of a flat rank histogram, of ranks that are
            nearly independent.
        thresholds: of the fractions skill, for each variable.
        notes: what to know of it, a sentence each.
        pictures: some forecasts to look at: `past`, `truth` and `mean`, `(k, T, C, *sizes)`, and
            `members`, `(m, k, T, C, *sizes)`; NaN in cells without values.
        energies: the mean spectra of the truth, `(leads, C, K)`, as those of `EnsembleScores`.
        upward: whether the first row of cells is at the bottom of a map.
    """

    scores: Mapping[str, EnsembleScores]
    variables: tuple[str, ...]
    step: str
    starts: int
    flat: list[list[float]]
    thresholds: tuple[float, ...]
    notes: tuple[str, ...] = ()
    pictures: Mapping[str, Tensor] = field(default_factory=dict)
    energies: Tensor | None = None
    upward: bool = False

    @property
    def leads(self) -> int:
        """How many leads are judged."""
        return self.scores[MODEL].crps.shape[1]

    def skill(self, other: str, lead: int, channel: int) -> Estimate:
        """The skill of the model in the fair CRPS over another forecast, a ratio of means."""
        own, its = self.scores[MODEL].crps, self.scores[other].crps
        return skill(own[:, lead, channel], its[:, lead, channel])

    def to_dict(self) -> dict[str, Any]:
        """Plain values, by variable and lead."""
        rows = []
        for channel, name in enumerate(self.variables):
            for lead in range(self.leads):
                own = self.scores[MODEL]
                row: dict[str, Any] = {"variable": name, "lead": lead + 1}
                row["crps"] = {
                    key: _plain(one.mean("crps", lead, channel)) for key, one in self.scores.items()
                }
                row["skill"] = {
                    key: _plain(self.skill(key, lead, channel))
                    for key in self.scores
                    if key != MODEL
                }
                row["spectrum"] = {
                    key: _number(one.spectrum[lead, channel]) for key, one in self.scores.items()
                }
                row["fractions_skill"] = {
                    key: _number(one.fractions[lead, channel]) for key, one in self.scores.items()
                }
                if own.ranks is not None:
                    row["spread_skill"] = _plain(own.spread_skill(lead, channel))
                    row["ranks"] = own.ranks[lead][channel].counts.tolist()
                    row["flat"] = _number(self.flat[lead][channel])
                rows.append(row)
        fields = [
            {
                "lead": lead + 1,
                **{
                    score: {k: _plain(one.mean(score, lead)) for k, one in self.scores.items()}
                    for score in ("energy", "variogram")
                },
            }
            for lead in range(self.leads)
        ]
        return {
            "starts": self.starts,
            "members": self.scores[MODEL].members,
            "step": self.step,
            "thresholds": dict(zip(self.variables, self.thresholds, strict=True)),
            "rows": rows,
            "fields": fields,
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        lines = [
            f"{self.starts} forecasts of {self.leads} leads, a lead every {self.step}; "
            f"{self.scores[MODEL].members} members; fair CRPS (lower is better)"
        ]
        others = [name for name in self.scores if name != MODEL]
        for channel, variable in enumerate(self.variables):
            head = [variable, MODEL, *others, "spread/error"]
            table = [head]
            for lead in range(self.leads):
                cells = [str(lead + 1)]
                for name in (MODEL, *others):
                    cells.append(str(self.scores[name].mean("crps", lead, channel)))
                own = self.scores[MODEL]
                cells.append("" if own.ranks is None else str(own.spread_skill(lead, channel)))
                table.append(cells)
            widths = [max(len(row[k]) for row in table) for k in range(len(head))]
            lines.append("")
            lines += ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()
                      for row in table]  # fmt: skip
        return "\n".join([*lines, *(f"! {note}" for note in self.notes)])


def ensembles(
    model: Forecaster,
    past: Tensor,
    schema: Schema,
    leads: int,
    members: int,
    *,
    stride: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], Any] | None = None,
    **options: Any,
) -> Tensor:
    """Forecasts from several starts, `(N, past, C, *sizes)` to `(members, N, leads, C, *sizes)`.

    Member `m` follows from the seed and `m`; a `stride` is that of `rolled_out`, and the options
    are those of `model.sample`.
    """
    found = []
    for member in range(members):
        own = derived_seed(seed, member)
        found.append(rolled_out(model, past, schema, leads, stride=stride, seed=own, **options))
        if progress is not None:
            progress(member + 1, members)
    return torch.stack(found)


def verify(
    model: Forecaster,
    test: Data,
    train: Data,
    *,
    members: int = 16,
    starts: int = 64,
    beside: Mapping[str, Forecaster] | None = None,
    stride: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], Any] | None = None,
    **options: Any,
) -> Verification:
    """Score the forecasts of a model on windows that it has not seen.

    Beside climatology, persistence and advected persistence, and other models: one whose forecasts
    have no spread (`models.FrameRegression`) counts once.

    Args:
        model: draws windows, in data units.
        test: windows held out, with as many leads as are judged, which may be more than the model
            has learned (`with_leads`, also of a model of direct leads).
        train: windows that it was trained on.
        members: of an ensemble.
        starts: forecasts, evenly spread over the windows.
        beside: other models, by name, that are given the same frames.
        stride: of all of them, that of `rolled_out`.
        seed: of all noise.
        progress: called with the number of finished and of all members.
        options: of `model.sample`.

    Raises `InputError` for data that are no windows, or fewer than eight of them, and windows whose
    leads are not together.
    """
    checks.whole("members", members, least=2)
    windows, frames = require_windows(test.schema)
    if windows.direct:
        raise InputError(
            f"{test.name} has a row for each lead, and a verification looks at all leads of a "
            "start: load what is held out with like=forecasting.with_leads(data.schema, leads)"
        )
    if len(test) < FEWEST:
        raise InputError(
            f"a verification wants {FEWEST} windows that are held out, and {test.name} has "
            f"{len(test)}: hold out more (train.holdout), or judge fewer leads"
        )
    count = min(checks.whole("starts", starts, least=FEWEST), len(test))
    rows = torch.linspace(0, len(test) - 1, count).round().long()
    shape = (members, count, windows.leads, *frames.event_shape)
    require_room(shape, "float64", "the ensemble")
    truth = frames_of(state.take(test.x, rows), frames)
    past = frames_of(state.take(test.c, rows), frames)
    own = ensembles(
        model, past, train.schema, windows.leads, members, stride=stride, seed=seed,
        progress=progress, **options,
    )  # fmt: skip
    found = {MODEL: own}
    for name, other in (beside or {}).items():
        count_of = 1 if other.capabilities.deterministic else members
        theirs = Schema.from_description((other.learned_from or {}).get("schema"))
        theirs = theirs if theirs.windows is not None else train.schema
        more = ensembles(other, past, theirs, windows.leads, count_of, stride=stride, seed=seed)
        found[name] = more
    found |= reference_forecasts(train, past, windows.leads)
    grid = frames.grid_options()
    thresholds = _thresholds(train, frames.event_shape[0])
    periodic = set(frames.dims) <= set(frames.periodic)
    told: dict[str, Any] = {
        "present": grid["mask"],
        "weights": grid["weights"],
        "thresholds": thresholds,
        "periodic": periodic,
        "seed": seed,
    }
    scores = {name: scored(x, truth, **told) for name, x in found.items()}
    few = torch.linspace(0, count - 1, min(2, count)).round().long()
    shown = {"past": past, "truth": truth, "mean": own.mean(0), "members": own[:3]}
    return Verification(
        scores,
        tuple(grid["names"]),
        str(windows.step),
        count,
        _flat(own, truth, grid["mask"], seed),
        tuple(thresholds.tolist()),
        _notes(scores, truth, windows, rows),
        {
            name: frames.with_gaps(x[:, few] if name == "members" else x[few])
            for name, x in shown.items()
        },
        scored(truth[None], truth, **told).energies,
        grid["upward"],
    )


def _thresholds(train: Data, channels: int) -> Tensor:
    """What one in ten values of the training data lies above."""
    assert train.schema.frames is not None
    rows = torch.linspace(0, len(train) - 1, min(64, len(train))).round().long()
    first = frames_of(state.take(train.x, rows), train.schema.frames)[:, 0]
    found = []
    for channel in range(channels):
        values = first[:, channel].flatten().double()
        step = max(1, len(values) // 100_000)
        found.append(torch.quantile(values[::step], _EXTREME))
    return torch.stack(found)


def _flat(ensemble: Tensor, truth: Tensor, present: Tensor | None, seed: int) -> list[list[float]]:
    """The p-values of flat ranks, of cells and starts that are nearly independent."""
    found = []
    for lead in range(truth.shape[1]):
        own = []
        for channel in range(truth.shape[2]):
            x, y = ensemble[:, :, lead, channel], truth[:, lead, channel]
            if present is not None and not bool(present[channel].all()):
                own.append(math.nan)
                continue
            tau = decorrelation_time((x.mean(0) - y).flatten(1))
            apart = len(y) if math.isinf(tau) else math.ceil(tau)
            own.append(independent_ranks(x, y, apart=apart, seed=seed).p_value)
        found.append(own)
    return found


def _notes(
    scores: Mapping[str, EnsembleScores], truth: Tensor, windows: Any, rows: Tensor
) -> tuple[str, ...]:
    """Where another forecast is as good, and how few starts tell how much."""
    notes = []
    own = scores[MODEL].crps.mean(0)
    for name, one in scores.items():
        if name == MODEL:
            continue
        worse = (own >= one.crps.mean(0)).nonzero()
        if len(worse):
            leads = sorted({int(lead) + 1 for lead, _ in worse})
            notes.append(
                f"{name} is as good as the model or better at lead{'s' if len(leads) > 1 else ''} "
                f"{', '.join(map(str, leads))}"
            )
    notes += _unreliable(scores[MODEL])
    tau = decorrelation_time(truth.flatten(1))
    if math.isinf(tau) or len(truth) / tau < 10:
        notes.append(
            "the starts are too close in time to count as many: errors may be too small, hold out "
            "a longer stretch"
        )
    return tuple(notes)


def _unreliable(own: EnsembleScores) -> list[str]:
    """Where members differ by far less, or by far more, than the forecast is wrong."""
    if own.ranks is None:
        return []
    leads, channels = own.spectrum.shape
    found = [own.spread_skill(lead, k) for lead in range(leads) for k in range(channels)]
    sure = [one for one in found if abs(math.log(max(one.value, 1e-9))) > 2 * _error_of_log(one)]
    low = min((one.value for one in sure if one.value < _NARROW), default=None)
    high = max((one.value for one in sure if one.value > 1 / _NARROW), default=None)
    notes = []
    if low is not None:
        notes.append(
            f"members are too much alike: their spread is as low as {low:.2g} times the error. "
            "Take more steps of the sampler, or train longer"
        )
    if high is not None:
        notes.append(f"members differ too much: their spread is up to {high:.2g} times the error")
    return notes


def _error_of_log(one: Estimate) -> float:
    """The standard error of the logarithm; infinite where nothing is known of it."""
    error = one.stderr / one.value if one.value > 0 else math.nan
    return error if math.isfinite(error) else math.inf


def _plain(estimate: Estimate) -> dict[str, float | None]:
    return {"value": _number(estimate.value), "stderr": _number(estimate.stderr)}


def _number(value: Any) -> float | None:
    """A number for JSON, which has no NaN."""
    found = float(value)
    return found if math.isfinite(found) else None


def with_leads(schema: Schema, leads: int) -> Schema:
    """The schema of windows with so many leads together, for forecasts that are rolled out beyond
    those of a model, or whose leads are direct. Raises `InputError` for data that are no windows.
    """
    windows, frames = require_windows(schema)
    longer = replace(windows, leads=checks.whole("leads", leads), direct=False)
    if schema.patches is not None:
        whole = longer.of_leads(windows.of_frames(schema.patches.domain))
        schema = replace(schema, patches=replace(schema.patches, domain=whole))
    return replace(schema, windows=longer, fields=longer.of_leads(frames))
