"""A public class has its name for itself: a stranger who finds it has found the one there is."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "pushforward"

# Short names that mean the like in two tables, and those still to be told apart.
SHARED = {
    "Affine",  # parametrizations and transforms
    "Coupling",  # couplings and transforms
    "Data",  # parametrizations and data
    "EDM",  # parametrizations, weightings and schedules
    "LogSNR",  # times and grids
    "Path",  # processes and schrodinger
    "Rectified",  # schedules and training
    "Solution",  # transforms and samplers
    "Uniform",  # times and grids
}


def test_public_classes_have_names_of_their_own() -> None:
    homes = defaultdict(list)
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(str(path.relative_to(SOURCE)))
    twice = {name: where for name, where in homes.items() if len(where) > 1}
    assert twice.keys() <= SHARED, {k: v for k, v in twice.items() if k not in SHARED}
