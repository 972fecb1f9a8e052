"""The page of forecasts that were verified: films, scores by lead, spread and ranks."""

from __future__ import annotations

import html
import math
from pathlib import Path
from typing import Any

import torch

from pushforward._files import write_bytes
from pushforward.errors import MissingExtraError
from pushforward.forecasting import Verification
from pushforward.forecasting.verification import MODEL
from pushforward.report.charts import line_chart
from pushforward.report.films import film
from pushforward.report.page import figure, page, section, table, warnings_box
from pushforward.report.pictures import data_uri

__all__ = ["write_forecasts"]

PAGE = "forecast.html"

_SHOWN = 4
"""Variables that are shown."""


def write_forecasts(run: Path, found: Verification) -> Path:
    """Write `forecast.html` to a run folder: a page that loads nothing from anywhere."""
    body = [
        f"<header><h1>Forecasts of {html.escape(run.name)}</h1>"
        f'<p class="lead">{found.starts} starts, {found.leads} leads, a lead every '
        f"{html.escape(found.step)}, {found.scores[MODEL].members} members</p></header>",
        warnings_box(found.notes),
        section(
            "Films",
            _films(found),
            "The frames that are given, and then what followed beside three members and the mean "
            "of all. A single member should look like the truth; their mean is smooth where the "
            "future is open.",
        ),
        section(
            "Fair CRPS by lead",
            "".join(_crps(found, k) for k in range(len(found.variables))),
            "Lower is better. One standard error, by blocks of starts in time. A forecast without "
            "spread counts with the modulus of its error. Skill is one minus the ratio of means.",
        ),
        section("Spread and ranks", _spread(found), "The spread over the error of the mean is 1 "
                "for a reliable ensemble, and ranks of the truth among the members are flat."),
        section(
            "Spectra",
            _spectra(found),
            "Half the mean square by shells of wavenumbers, of members and of the truth. A mean "
            "and a regression lose the small scales that are not known.",
        ),
        section("Whole fields", _fields(found), "Lower is better, but for the fractions skill of "
                "values that one in ten of the training data exceeds. The distance of spectra is "
                "the mean modulus of their log ratio."),
    ]  # fmt: skip
    path = run / PAGE
    write_bytes(path, page(f"Forecasts of {run.name} · pushforward", body).encode())
    return path


def _films(found: Verification) -> str:
    if found.pictures["truth"].ndim != 5:
        return "<p>Films are of fields of two dimensions.</p>"
    past, truth, mean = (found.pictures[name] for name in ("past", "truth", "mean"))
    members = found.pictures["members"]
    titles = [f"given, {k} before" for k in range(past.shape[1] - 1, -1, -1)]
    titles[-1] = "given, the last one"
    titles += [f"lead {k + 1}" for k in range(found.leads)]
    made = []
    for channel, variable in enumerate(found.variables[:_SHOWN]):
        for start in range(len(truth)):
            before = past[start, :, channel]
            sides = [("truth", truth[start]), *((f"member {k + 1}", one[start])
                     for k, one in enumerate(members)), ("mean", mean[start])]  # fmt: skip
            panels = [(name, torch.cat([before, one[:, channel]])) for name, one in sides]
            try:
                picture = film(panels, titles, upward=found.upward)
            except MissingExtraError as error:
                return f"<p>{html.escape(str(error))}</p>"
            made.append(figure(data_uri(picture), f"{variable}, start {start + 1}"))
    return "".join(made)


def _crps(found: Verification, channel: int) -> str:
    """A chart and a table of one variable."""
    names = list(found.scores)
    series: dict[str, Any] = {}
    rows = []
    for lead in range(found.leads):
        cells = [str(lead + 1)]
        for name in names:
            one = found.scores[name].mean("crps", lead, channel)
            series.setdefault(_short(name), []).append((float(lead + 1), one.value))
            cells.append(html.escape(str(one)))
        cells += [html.escape(str(found.skill(n, lead, channel))) for n in names if n != MODEL]
        rows.append(cells)
    head = ["lead", *map(_short, names), *(f"skill over {_short(n)}" for n in names if n != MODEL)]
    chart = line_chart(series, "lead", "fair CRPS")
    return f"<h3>{html.escape(found.variables[channel])}</h3>{chart}{table(head, rows)}"


def _spread(found: Verification) -> str:
    own = found.scores[MODEL]
    if own.ranks is None:
        return "<p>One member has no spread.</p>"
    rows = []
    charts = []
    for channel, variable in enumerate(found.variables):
        for lead in range(found.leads):
            ranks = own.ranks[lead][channel]
            rows.append(
                [
                    html.escape(variable),
                    str(lead + 1),
                    html.escape(str(own.spread_skill(lead, channel))),
                    f"{ranks.divergence:.4f}",
                    _number(found.flat[lead][channel]),
                ]
            )
        series = {}
        for lead in sorted({0, found.leads - 1}):
            counts = own.ranks[lead][channel].counts.double()
            share = (counts / counts.mean()).tolist()
            series[f"lead {lead + 1}"] = [(float(k), v) for k, v in enumerate(share)]
        chart = line_chart(series, "rank of the truth", "frequency over that of a flat one")
        charts.append(f"<h3>{html.escape(variable)}</h3>{chart}")
    head = ["variable", "lead", "spread over error", "nats from flat", "p of flat, thinned"]
    return table(head, rows) + "".join(charts[:_SHOWN])


def _spectra(found: Verification) -> str:
    """The spectra of what is forecast beside those of the truth."""
    charts = []
    for channel, variable in enumerate(found.variables[:_SHOWN]):
        for lead in sorted({0, found.leads - 1}):
            named = {_short(name): one.energies for name, one in found.scores.items()}
            series = {
                name: [
                    (math.log10(k), math.log10(v) if v > 0 else math.nan)
                    for k, v in enumerate(energies[lead, channel].tolist(), start=1)
                ]
                for name, energies in {"truth": found.energies, **named}.items()
                if energies is not None
            }
            chart = line_chart(series, "log10 of the wavenumber", "log10 of energy")
            charts.append(f"<h3>{html.escape(variable)}, lead {lead + 1}</h3>{chart}")
    return "".join(charts)


def _fields(found: Verification) -> str:
    rows = []
    for lead in range(found.leads):
        for name, one in found.scores.items():
            cells = [str(lead + 1), _short(name)]
            cells += [html.escape(str(one.mean(score, lead))) for score in ("energy", "variogram")]
            for part in (one.spectrum[lead], one.fractions[lead]):
                cells.append(" / ".join(_number(float(v)) for v in part))
            rows.append(cells)
    variables = " / ".join(found.variables)
    head = ["lead", "forecast", "energy score", "variogram score",
            f"distance of spectra: {variables}", f"fractions skill: {variables}"]  # fmt: skip
    return table(head, rows)


def _short(name: str) -> str:
    """A name that fits into a legend."""
    return "advected" if name == "advected persistence" else name


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3g}"
