"""A certificate as a page, and as a section of a report: a bar for each term."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pushforward._records import parse_json
from pushforward.report.page import page, section, table, warnings_box

__all__ = ["certificate_page", "certificate_section"]

_FILE = "certificate.json"
_WIDTH = 260


def certificate_page(found: Mapping[str, Any], title: str) -> str:
    """One page of the plain values of a `Certificate` (`to_dict`)."""
    return page(title, [f"<h1>{html.escape(title)}</h1>", *_parts(found)])


def certificate_section(run: Path) -> str:
    """The section of a run folder that has a certificate; nothing for another."""
    path = run / _FILE
    if not path.is_file():
        return ""
    return "".join(_parts(parse_json(path.read_text(encoding="utf-8"), str(path))))


def _parts(found: Mapping[str, Any]) -> list[str]:
    spread = f" ± {found['stderr']:.2g}" if found["stderr"] else ""
    vacuous = " (vacuous)" if found["vacuous"] else ""
    note = (
        f"KL(data with the noise that is left | samples of {found['sampler']}, {found['steps']} "
        f"steps) is at most {found['bound']:.4g}{spread} nats, the total variation at most "
        f"{found['total_variation']:.3g}{vacuous}. It rests on: {'; '.join(found['assumptions'])}. "
        "It holds for this sampler alone."
    )
    most = max((t["value"] for t in found["terms"].values() if t["unit"] == "nats"), default=1.0)
    rows = []
    for name, term in found["terms"].items():
        error = f" ± {term['stderr']:.2g}" if term["stderr"] else ""
        bar = _bar(term["value"], term["stderr"], most) if term["unit"] == "nats" else ""
        value = f"{term['value']:.4g}{error} {term['unit']}"
        if term.get("interval") is not None:
            low, high = term["interval"]
            value += f", 95% in [{low:.3g}, {high:.3g}]"
        rows.append([html.escape(name), value, bar, term["kind"], html.escape(term["why"])])
    head = ["term", "value", "", "kind", "from"]
    return [
        section("Certificate", table(head, rows), note),
        warnings_box(list(found["warnings"])),
    ]


def _bar(value: float, error: float, most: float) -> str:
    """A bar as long as a value, with two standard errors to each side."""
    if not math.isfinite(value) or most <= 0:
        return ""

    def place(v: float) -> float:
        return round(max(0.0, min(v / most, 1.15)) * _WIDTH / 1.2, 1)

    line = f'x1="{place(value - 2 * error)}" x2="{place(value + 2 * error)}" y1="10" y2="10"'
    return (
        f'<svg class="interval" style="width:{_WIDTH}px" viewBox="0 0 {_WIDTH} 20" role="img" '
        f'aria-label="{value:.4g}"><rect x="0" y="4" width="{max(place(value), 0.5)}" height="12" '
        f'fill="#2a5caa" opacity="0.55"/><line class="value" {line}/></svg>'
    )
