"""How good ensembles of fields are, lead by lead, with errors that know of time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.metrics import (
    Estimate,
    RankHistogram,
    energy_score,
    energy_spectrum,
    fair_crps,
    fractions_skill,
    mean_band,
    rank_histogram,
    variogram_score,
)

__all__ = ["EnsembleScores", "independent_ranks", "mean_spectrum", "scored", "skill"]

_CELLS = 64
"""Values of a variable between which the variogram score looks; larger fields are coarsened, and
those with a mask thinned."""

_EMPTY = 1e-6
"""Of the largest energy of a wavenumber: those below, such as what a solver cuts off, are empty."""

_THINNED = 4
"""Every so manieth cell and start counts for the test of a rank histogram."""


@dataclass(frozen=True)
class EnsembleScores:
    """What an ensemble scores at each lead.

    Args:
        members: how many there are; one for a forecast without spread.
        crps: the fair CRPS, the modulus of the error of one member, `(N, leads, C)`.
        energy, variogram: the scores of whole fields, each variable over its own standard deviation
            in the truth, `(N, leads)`; of one member the energy score is the distance.
        spread: the mean variance times `(M + 1) / M`, `(N, leads, C)`; NaN of one member.
        error: the mean square error of the mean of the members, `(N, leads, C)`.
        ranks: of the truth among the members, for each lead and variable; `None` of one member.
        spectrum: the mean modulus of the log ratio of spectra to those of the truth, `(leads, C)`,
            over wavenumbers at which the truth has some energy; NaN where cells lack.
        energies: the mean spectra of the members, `(leads, C, K)`, of wavenumbers from 1 to below
            half of the grid.
        fractions: the fractions skill, `(leads, C)`; NaN where nothing is above the threshold, or
            cells lack.
    """

    members: int
    crps: Tensor
    energy: Tensor
    variogram: Tensor
    spread: Tensor
    error: Tensor
    ranks: list[list[RankHistogram]] | None
    spectrum: Tensor
    energies: Tensor
    fractions: Tensor

    def mean(self, name: str, lead: int, channel: int | None = None) -> Estimate:
        """The mean of a score over starts, with its error by the block bootstrap in time."""
        series = getattr(self, name)[:, lead]
        return _mean(series if channel is None else series[:, channel])

    def spread_skill(self, lead: int, channel: int) -> Estimate:
        """The spread over the error, 1 of a reliable ensemble: the root of a ratio of means."""
        a, b = self.spread[:, lead, channel], self.error[:, lead, channel]
        ratio = float(a.mean() / b.mean())
        if not 0 <= ratio < math.inf:
            return Estimate(math.nan, math.nan, len(a))
        error = _mean(a - ratio * b).stderr / float(b.mean())
        value = math.sqrt(ratio)
        return Estimate(value, error / (2 * value) if value > 0 else math.nan, len(a))


def skill(scores: Tensor, reference: Tensor) -> Estimate:
    """`1 - mean(scores) / mean(reference)` of starts in the order of time, with the error of the
    linearized ratio by the block bootstrap; NaN beside a reference that is never wrong.

    >>> a = torch.tensor([1.0, 1.1, 0.9, 1.0, 1.05, 0.95])
    >>> round(skill(a, 2 * a).value, 6)
    0.5
    """
    if not float(reference.mean()) > 0:
        return Estimate(math.nan, math.nan, len(scores))
    ratio = float(scores.mean() / reference.mean())
    off = _mean(scores - ratio * reference)
    return Estimate(1 - ratio, off.stderr / float(reference.mean()), len(scores))


def scored(
    ensemble: Tensor,
    truth: Tensor,
    *,
    present: Tensor | None = None,
    weights: Tensor | None = None,
    thresholds: Tensor | None = None,
    periodic: bool = False,
    seed: int = 0,
) -> EnsembleScores:
    """The scores of an ensemble of forecasts, start by start and lead by lead.

    Args:
        ensemble: `(M, N, leads, C, *sizes)`, starts in the order of time.
        truth: `(N, leads, C, *sizes)`.
        present: where there are values, `(C, *sizes)`; everywhere by default.
        weights: of the cells, `(*sizes)`, for the CRPS, spread and error.
        thresholds: above which the fractions skill counts, one for each variable.
        periodic: whether the ends of both dimensions meet.
        seed: of ranks among equal values.

    Raises `InputError` for shapes that do not fit, fewer than four starts, NaN or infinity.
    """
    if ensemble.shape[1:] != truth.shape or truth.ndim not in (4, 5) or len(truth) < 4:
        raise InputError(
            "an ensemble is (M, N, leads, C, *sizes) beside a truth of (N, leads, C, *sizes), with "
            f"4 starts or more: not {tuple(ensemble.shape)} and {tuple(truth.shape)}"
        )
    members, leads, channels = len(ensemble), *truth.shape[1:3]
    parts: dict[str, list[Any]] = {name: [] for name in ("crps", "spread", "error")}
    spectrum = torch.full((leads, channels), math.nan, dtype=torch.float64)
    fractions = spectrum.clone()
    shells = max(1, math.ceil(min(truth.shape[3:]) / 2) - 1)
    energies = torch.full((leads, channels, shells), math.nan, dtype=torch.float64)
    ranks: list[list[RankHistogram]] = []
    for lead in range(leads):
        rows: dict[str, list[Tensor]] = {name: [] for name in parts}
        histograms: list[RankHistogram] = []
        for channel in range(channels):
            x, y = ensemble[:, :, lead, channel], truth[:, lead, channel]
            where = None if present is None else present[channel]
            a, b, share = _cells(x, y, where, weights)
            one = fair_crps(a, b) if members > 1 else (a[0] - b).abs().double()
            rows["crps"].append((one * share).sum(1))
            mean = a.double().mean(0)
            rows["error"].append(((mean - b).square() * share).sum(1))
            wide = a.double().var(0) * (members + 1) / members if members > 1 else mean * math.nan
            rows["spread"].append((wide * share).sum(1))
            if members > 1:
                histograms.append(rank_histogram(a, b, seed=seed))
            if where is None or bool(where.all()):
                energies[lead, channel] = own = mean_spectrum(x.flatten(0, 1), periodic)[:shells]
                spectrum[lead, channel] = _distance(own, mean_spectrum(y, periodic)[:shells])
                if thresholds is not None and y.ndim == 3:
                    level = float(thresholds[channel])
                    fractions[lead, channel] = _fractions(x, y, level, periodic)
        ranks.append(histograms)
        for name, found in rows.items():
            parts[name].append(torch.stack(found, 1))
    whole = {name: torch.stack(found, 1) for name, found in parts.items()}
    energy, variogram = _of_fields(ensemble, truth, present)
    return EnsembleScores(
        members,
        whole["crps"],
        energy,
        variogram,
        whole["spread"],
        whole["error"],
        ranks if members > 1 else None,
        spectrum,
        energies,
        fractions,
    )


def mean_spectrum(x: Tensor, periodic: bool) -> Tensor:
    """The mean spectrum of fields `(N, *sizes)`, without shell 0, `(K,)`; those that are not
    periodic go through a Hann window."""
    return energy_spectrum(x[:, None], window=not periodic).mean((0, 1))[1:]


def _distance(own: Tensor, truth: Tensor) -> float:
    """The mean modulus of the log ratio, over wavenumbers at which the truth has some energy."""
    there = truth > _EMPTY * truth.max()
    ratio = own[there].log() - truth[there].log()
    found = float(ratio.abs().mean()) if len(ratio) else math.nan
    return found if math.isfinite(found) else math.nan


def independent_ranks(
    ensemble: Tensor, truth: Tensor, *, apart: int, seed: int = 0
) -> RankHistogram:
    """The ranks at few cells and starts, far enough apart for the test against a flat histogram.

    Args:
        ensemble: `(M, N, *sizes)`, of one variable at one lead.
        truth: `(N, *sizes)`.
        apart: of the starts.
        seed: of ranks among equal values.
    """
    few = (
        slice(None, None, max(1, apart)),
        *(slice(None, None, _THINNED) for _ in truth.shape[1:]),
    )
    return rank_histogram(ensemble[(slice(None), *few)], truth[few], seed=seed)


def _cells(
    x: Tensor, y: Tensor, where: Tensor | None, weights: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Members `(M, N, cells)`, truth `(N, cells)` and what share of the mean each cell has."""
    share = torch.ones(y.shape[1:], dtype=torch.float64)
    if weights is not None:
        share = weights.double().expand(y.shape[1:])
    keep = torch.ones(y.shape[1:], dtype=torch.bool) if where is None else where
    share = share[keep]
    return x[:, :, keep], y[:, keep], share / share.sum()


def _of_fields(ensemble: Tensor, truth: Tensor, present: Tensor | None) -> tuple[Tensor, Tensor]:
    """The energy and the variogram score of all variables together, `(N, leads)` each."""
    keep = torch.ones(truth.shape[2:], dtype=torch.bool) if present is None else present
    channels = range(truth.shape[2])
    scales = [truth[:, :, k][:, :, keep[k]].double().std().clamp(min=1e-300) for k in channels]
    scale = torch.stack(scales).reshape(-1, *(1 for _ in truth.shape[3:]))
    energy, variogram = [], []
    for lead in range(truth.shape[1]):
        x, y = ensemble[:, :, lead].double() / scale, truth[:, lead].double() / scale
        a, b = x[:, :, keep], y[:, keep]
        energy.append(energy_score(a, b) if len(a) > 1 else (a[0] - b).norm(dim=1))
        few = (a, b) if present is not None or y.ndim < 4 else (_coarse(x), _coarse(y))
        step = -(-few[1][0].numel() // (_CELLS * truth.shape[2]))
        x, y = few[0].flatten(2)[:, :, ::step], few[1].flatten(1)[:, ::step]
        # The score has no use for a spread, but asks for two members.
        variogram.append(variogram_score(x if len(x) > 1 else x.expand(2, *x.shape[1:]), y))
    return torch.stack(energy, 1), torch.stack(variogram, 1)


def _coarse(x: Tensor) -> Tensor:
    """Fields `(*, H, W)` as means over blocks of cells, few enough."""
    while x.shape[-2] * x.shape[-1] > _CELLS and min(x.shape[-2:]) > 1:
        height, width = (2 * (side // 2) for side in x.shape[-2:])
        x = x[..., :height, :width].unflatten(-1, (-1, 2)).mean(-1)
        x = x.unflatten(-2, (-1, 2)).mean(-2)
    return x


def _fractions(x: Tensor, y: Tensor, threshold: float, periodic: bool) -> float:
    """The fractions skill in neighborhoods of five cells; NaN where nothing is above."""
    width = 5 if min(y.shape[1:]) >= 5 else 1
    try:
        return fractions_skill(x[:, :, None], y[:, None], threshold, width=width, periodic=periodic)
    except InputError:
        return math.nan


def _mean(series: Tensor) -> Estimate:
    value = float(series.mean())
    if not math.isfinite(value):
        return Estimate(math.nan, math.nan, len(series))
    band = mean_band(series)
    return Estimate(value, float(band.stderr), len(series))
