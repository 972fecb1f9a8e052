"""Spectra of fields in a report: lines beside those of the data, and rows of an evaluation."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from pushforward.data import Data
from pushforward.metrics import Row, energy_spectrum, last_wavenumber, ratio_of_energies
from pushforward.report.charts import line_chart
from pushforward.report.page import section

__all__ = ["rows_of_spectra", "spectra_section"]

_SHOWN = 6
"""Variables that are drawn."""


def rows_of_spectra(samples: Any, test: Data, train: Data) -> tuple[Row, ...]:
    """A row of an evaluation for each variable of fields without masked cells; none for other data.

    The mean modulus of the logarithm of the ratio of mean spectra, over the wavenumbers that the
    grid resolves and the held-out data have some energy in (`metrics.last_wavenumber`); the floor
    is that of training data.

    >>> import torch
    >>> rows_of_spectra(None, Data(torch.zeros(2, 2)), Data(torch.zeros(2, 2)))
    ()
    """
    rows = []
    for channel, name, window in _variables(test):
        part = slice(channel, channel + 1)
        sides = [x[:, part] for x in (samples, train.x, test.x)]
        if any(len(side) < 4 for side in sides) or _resolved(test) < 1:
            return ()
        shells = [energy_spectrum(side, window=window) for side in sides]
        sizes = tuple(test.x.shape[2:])
        last = last_wavenumber(shells[2], sizes)
        values = [
            (float(one.distance(last)), float(one.distance_stderr(last)))
            for one in (ratio_of_energies(side, shells[2], sizes) for side in shells[:2])
        ]
        note = "mean modulus of the log ratio of spectra"
        rows.append(Row(f"spectrum of {name}", *values[0], *values[1], "lower", note))
    return tuple(rows)


def spectra_section(samples: Any, data: Data) -> str:
    """The spectra of samples beside those of the data; nothing for other data."""
    charts = []
    for channel, name, window in list(_variables(data))[:_SHOWN]:
        part = slice(channel, channel + 1)
        shells = {
            side: energy_spectrum(x[:, part], window=window)
            for side, x in (("samples", samples), ("data", data.x))
        }
        last = last_wavenumber(shells["data"], tuple(data.x.shape[2:]))
        series = {
            side: [
                (math.log10(k), math.log10(energy) if energy > 0 else math.nan)
                for k, energy in enumerate(x.mean((0, 1))[1 : last + 1].tolist(), start=1)
            ]
            for side, x in shells.items()
        }
        chart = line_chart(series, "log10 of the wavenumber, waves per domain", "log10 of energy")
        charts.append(f"<h3>{html.escape(name)}</h3>{chart}")
    if not charts:
        return ""
    note = (
        "Half the mean square of a field, by shells of wavenumbers. Fields that are not periodic "
        "are taken through a Hann window; variables with masked cells have no spectrum. "
        "What lies beyond the last wavenumber in which the data have a billionth of their energy "
        "is left out."
    )
    return section("Spectra", "".join(charts), note)


def _variables(data: Data) -> Iterator[tuple[int, str, bool]]:
    """The channels that have a value in every cell, with their names, and whether a window is
    needed."""
    found = data.schema.fields
    if found is None or not isinstance(data.x, Tensor):
        return
    window = set(found.periodic) != set(found.dims)
    for channel, name in enumerate(found.channel_names):
        if found.present is None or bool(found.present[channel].all()):
            yield channel, name, window


def _resolved(data: Data) -> int:
    """The largest wavenumber below half of the shorter side."""
    return math.ceil(min(data.x.shape[2:]) / 2) - 1
