"""Where to stop: the bound of the total variation and the truth, of `benchmarks/bounds.py`.

python docs/pictures/where_to_stop.py            # into docs/assets/pictures
python docs/pictures/where_to_stop.py --smoke    # writes nothing
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from drawing import Theme, draw

_RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "bounds.json"
_LINES = {
    "tv_bound": "bound of the distance to the data",
    "tv": "distance of the samples to the data",
    "early": "distance of the noised data to the data",
}


def rows() -> list[dict[str, Any]]:
    """From much noise to little."""
    results = json.loads(_RESULTS.read_text(encoding="utf-8"))["results"]
    return [row for row in results if row["table"] == "stopping"]


def paint(figure: Figure, theme: Theme) -> None:
    """Three curves, and a mark where two of them are least."""
    axes, found = figure.subplots(), rows()
    stops = [row["stop"] for row in found]
    for (key, label), color in zip(_LINES.items(), theme.colors, strict=False):
        values = [row[key] for row in found]
        axes.plot(stops, values, label=label, color=color)
        if key != "early":
            least = min(range(len(values)), key=values.__getitem__)
            axes.plot(stops[least], values[least], "o", color=color)
    axes.set_xscale("log")
    axes.set_xlabel("time at which sampling stops")
    axes.set_ylabel("total variation")
    axes.set_ylim(bottom=0)
    axes.grid(axis="y")
    axes.legend()


def main() -> None:
    """Draw it, and print where each is least."""
    found = rows()
    for key, label in _LINES.items():
        best = min(found, key=lambda row: row[key])
        print(f"{label}: least, {best[key]:.3f}, at {best['stop']:g}")
    draw("where-to-stop", (6.4, 3.4), paint)


if __name__ == "__main__":
    main()
