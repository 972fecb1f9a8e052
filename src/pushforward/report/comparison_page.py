"""A comparison as one self-contained page: warnings, the table, and samples side by side."""

from __future__ import annotations

import html
from pathlib import Path

from pushforward import state
from pushforward._files import write_bytes
from pushforward.data import Data
from pushforward.report.comparison import Comparison
from pushforward.report.page import figure, page, section, table, warnings_box
from pushforward.report.pictures import Look, data_uri, side_by_side, subsample

__all__ = ["write_comparison"]

_WIDTH = 1640


def write_comparison(path: Path, comparison: Comparison, data: Data) -> Path:
    """Write the page of a comparison to a file, and its pictures alone to a PNG beside it."""
    head, *body = comparison.cells()
    rows = [[html.escape(cell) for cell in line] for line in body]
    look = Look(comparison.space, data.x, data.schema.axis_names)
    most = max(map(state.rows, comparison.samples.values()))
    named = {"data": subsample(data.x, most), **comparison.samples}
    drawn = {name: look.picture(x) for name, x in named.items()}
    pictures = "".join(
        figure(data_uri(png), _caption(name, look.missing(named[name])), smooth=not look.sharp)
        for name, png in drawn.items()
    )
    title = f"Models of {comparison.data}"
    content = [
        f"<header><h1>{html.escape(title)}</h1></header>",
        warnings_box(comparison.warnings),
        section(
            "Measured on held-out data",
            table(head, rows),
            "One standard error beside each number. Real data is training data in the place of "
            "samples: what a perfect model would reach. NLL is in nats per data point; for a bound "
            "it is at most that.",
        ),
        section("Samples", f'<div class="{look.layout}">{pictures}</div>'),
    ]
    write_bytes(path.with_suffix(".png"), side_by_side(drawn))
    write_bytes(path, page(f"{title} · pushforward", content, _WIDTH).encode())
    return path


def _caption(name: str, missing: str) -> str:
    return f"{name}; {missing}" if missing else name
