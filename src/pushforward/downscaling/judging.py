"""How good fields made without pairs are: distributions beside those of fine ones, and consistency.

No row compares cells with a truth: there is none that belongs to a coarse field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from pushforward.downscaling.refinement import Refinement
from pushforward.downscaling.unpaired import Unpaired
from pushforward.errors import InputError
from pushforward.metrics import (
    Evaluation,
    MeanBand,
    Row,
    autocovariance,
    correlation_of,
    cumulants,
    energy_spectrum,
    kolmogorov_smirnov,
    kolmogorov_smirnov_error,
    last_wavenumber,
    mean_band,
    quantile_band,
    ratio_of_energies,
    source_squares,
)

__all__ = ["judge", "require_counts"]

_TAILS = (0.99, 0.999)
_CUMULANTS = ("variance", "third cumulant", "fourth cumulant")

Derived = Mapping[str, Callable[[Tensor], Tensor]]


def judge(
    made: Tensor,
    source: Tensor,
    truth: Tensor,
    data: Unpaired,
    *,
    names: Sequence[str] = (),
    derived: Derived | None = None,
    largest: int | None = None,
    window: bool = False,
) -> Evaluation:
    """Fields made of coarse ones beside fine fields that were held out, as a table.

    For each variable: spectra, up to the waves that the coarse grid knows and up to all; the
    distribution of cells and of means over space, by Kolmogorov and Smirnov; cumulants, tails and
    the correlation in space; the distance from the source by the waves of the coarse grid, beside
    that of unrelated fields; and the spread of an ensemble. Rows are in the order of time: every
    error is by blocks of them, `metrics.mean_band`. Floors are those of the fine fields that the
    method was fitted to, in the place of what it made.

    Args:
        made: `(N, C, H, W)`, or members `(n, N, C, H, W)`; members of one time are no rows of
            their own.
        source: the coarse fields that they were made of, on the fine grid, `(N, C, H, W)`.
        truth: fine fields of other times, `(M, C, H, W)`.
        data: what the method was fitted to.
        names: of the variables.
        derived: more variables by name, functions of fields `(*, C, H, W)` to `(*, H, W)`, such as
            a condensation rate; they have rows of their mean and their tails.
        largest: the last wavenumber of spectra; by default the last in which the fields held out
            have some energy, `metrics.last_wavenumber`, as solvers without aliasing leave some out.
        window: of domains that are not periodic (`energy_spectrum`); correlations in space, which
            go on at the other end, are then left out.

    Raises `InputError` for shapes that do not fit, and for fewer than eight rows.
    """
    members = made if made.ndim == 5 else made[None]
    if members.shape[1:] != source.shape or truth.shape[1:] != source.shape[1:]:
        raise InputError(
            f"fields of {tuple(made.shape)} made of {tuple(source.shape)} and judged by "
            f"{tuple(truth.shape)} do not fit: one for each source, all on the fine grid"
        )
    require_counts(len(source), len(truth), len(data.target))
    channels = source.shape[1]
    names = tuple(names) or tuple(f"variable {k}" for k in range(channels))
    cut = data.grid.cutoff
    rows: list[Row] = []
    for k, name in enumerate(names):
        own = slice(k, k + 1)
        sides = _Sides(members[:, :, own], truth[:, own], data.target[:, own])
        rows += _spectra(sides, name, cut, largest, window)
        rows += _distributions(sides, name)
        if not window:
            rows += _correlation(sides, name)
        if len(members) > 1:
            rows += _spread(sides, name)
    rows += _consistency(members, source, data.grid, names, cut)
    for name, function in (derived or {}).items():
        sides = _Sides(*(function(x).unsqueeze(-3) for x in (members, truth, data.target)))
        rows += _of_derived(sides, name)
    few = mean_band(energy_spectrum(truth, window=window)[..., 1 : cut + 2]).effective
    warnings = []
    if few < 30:
        warnings.append(
            f"The {len(truth)} fields held out are worth {few:.0f} independent ones: errors may "
            "cover a few per cent less than they say. Take more of them, or further apart."
        )
    counts = len(members) * len(source), len(truth), len(data.target)
    return Evaluation(tuple(rows), tuple(warnings), len(source), *counts, 0)


def require_counts(sources: int, truth: int, target: int) -> None:
    """Raise `InputError` for fewer fields than errors by blocks of rows can be made of."""
    if min(sources, truth, target) < 8:
        raise InputError(
            f"{sources} fields, {truth} held out and {target} to fit are too few to judge by: give "
            "eight of each or more"
        )


class _Sides:
    """One variable of what was made, held out, and fitted to."""

    def __init__(self, made: Tensor, truth: Tensor, fitted: Tensor) -> None:
        self.members, self.truth, self.fitted = made, truth, fitted
        # Members of a time are further cells of its row.
        self.made = made.movedim(0, 2)

    def energies(self, window: bool) -> list[Tensor]:
        """Spectra of all three, the mean over members."""
        made = torch.stack([energy_spectrum(x, window=window) for x in self.members]).mean(0)
        return [made, *(energy_spectrum(x, window=window) for x in (self.truth, self.fitted))]


def _spectra(sides: _Sides, name: str, cut: int, largest: int | None, window: bool) -> list[Row]:
    made, truth, fitted = sides.energies(window)
    sizes = tuple(sides.truth.shape[2:])
    found, floor = (ratio_of_energies(x, truth, sizes) for x in (made, fitted))
    largest = last_wavenumber(truth, sizes) if largest is None else largest
    return [
        Row(
            f"spectrum of {name}, k <= {k}", float(found.distance(k)),
            float(found.distance_stderr(k)), float(floor.distance(k)),
            float(floor.distance_stderr(k)), "lower", "mean modulus of the log ratio of spectra",
        )
        for k in dict.fromkeys((min(cut, largest), largest))
    ]  # fmt: skip


def _distributions(sides: _Sides, name: str) -> list[Row]:
    rows = []
    every: tuple[tuple[str, Callable[[Tensor], Tensor]], ...] = (
        ("cells", lambda x: x.flatten(2)),
        ("means over space", lambda x: x.flatten(2).mean(2)),
    )
    for what, of in every:
        made = torch.cat([of(x) for x in sides.members])
        found, floor = (
            float(kolmogorov_smirnov(x, of(sides.truth))) for x in (made, of(sides.fitted))
        )
        # Of members of a time, the values of its row.
        own = (
            torch.cat([of(x) for x in sides.members], 2)
            if made.ndim == 3
            else torch.stack([of(x) for x in sides.members], 2)
        )
        errors = [
            float(kolmogorov_smirnov_error(x, of(sides.truth))) for x in (own, of(sides.fitted))
        ]
        note = "Kolmogorov-Smirnov distance of distributions"
        rows.append(Row(f"{what} of {name}", found, errors[0], floor, errors[1], "lower", note))
    both = [cumulants(x) for x in (sides.made, sides.truth)]
    for k, what in enumerate(_CUMULANTS):
        rows.append(_beside(f"{what} of {name}", both[0], both[1], k, "of all cells"))
    return rows + _tails(sides, name)


def _tails(sides: _Sides, name: str) -> list[Row]:
    both = [quantile_band(x, _TAILS) for x in (sides.made, sides.truth)]
    return [
        _beside(f"quantile {level:g} of {name}", both[0], both[1], k, "of all cells")
        for k, level in enumerate(_TAILS)
    ]


def _correlation(sides: _Sides, name: str) -> list[Row]:
    made = torch.stack([autocovariance(x) for x in sides.members]).mean(0)
    found, truth, floor = (
        mean_band(x, of=correlation_of)
        for x in (made, autocovariance(sides.truth), autocovariance(sides.fitted))
    )

    def off(one: MeanBand) -> tuple[float, float]:
        gap = (one.mean - truth.mean)[0, 1:].abs()
        # Neighboring distances are off together: the error of their mean is at most theirs.
        error = (one.stderr.square() + truth.stderr.square()).sqrt()[0, 1:]
        return float(gap.mean()), float(error.mean())

    note = "mean modulus of the difference of correlations by distance"
    return [Row(f"correlation in space of {name}", *off(found), *off(floor), "lower", note)]


def _consistency(
    members: Tensor, source: Tensor, grid: Refinement, names: Sequence[str], cut: int
) -> list[Row]:
    """What a coarse grid sees of the fields beside their sources, by variable."""

    def distances(x: Tensor) -> MeanBand:
        squares = source_squares(grid.low_pass(x), source)
        return mean_band(squares[..., : cut + 1].sum(2), of=torch.sqrt)

    every = [distances(x) for x in members]
    value, error = (torch.stack([getattr(e, k) for e in every]).mean(0) for k in ("mean", "stderr"))
    other = distances(members[0].roll(len(source) // 2, 0)).mean
    return [
        Row(
            f"distance of {name} from the source", float(value[k]), float(error[k]),
            better="lower",
            note=f"of waves up to {cut}, in standard deviations; {float(other[k]):.3g} unrelated",
        )
        for k, name in enumerate(names)
    ]  # fmt: skip


def _spread(sides: _Sides, name: str) -> list[Row]:
    """The deviation of members of one time, over that of all fields."""
    each = sides.members.var(0).flatten(1).mean(1)
    whole = (sides.truth - sides.truth.mean()).square().mean().sqrt()
    band = mean_band(each, of=lambda mean: mean.sqrt() / float(whole))
    note = "deviation of members, over that of the fields held out"
    return [
        Row(f"spread of {name}", float(band.mean), float(band.stderr), better="floor", note=note)
    ]


def _of_derived(sides: _Sides, name: str) -> list[Row]:
    means = [mean_band(x.flatten(2).mean(2)) for x in (sides.made, sides.truth)]
    rows = [_beside(f"mean of {name}", means[0], means[1], 0, "of all cells", whole=True)]
    return rows + _tails(sides, name)


def _beside(
    name: str, made: MeanBand, truth: MeanBand, k: int, note: str, *, whole: bool = False
) -> Row:
    """A number of what was made beside that of the fields held out."""

    def number(part: Tensor) -> float:
        return float(part.flatten()[0] if whole else part[0, k])

    return Row(
        name, number(made.mean), number(made.stderr), number(truth.mean), number(truth.stderr),
        "floor", note,
    )  # fmt: skip
