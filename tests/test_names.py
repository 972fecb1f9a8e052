"""A public class has its name for itself: a stranger who finds it has found the one there is."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path
from types import ModuleType

import pytest

from pushforward import models, nn, transforms

SOURCE = Path(__file__).parents[1] / "src" / "pushforward"


def test_public_classes_have_names_of_their_own() -> None:
    homes = defaultdict(list)
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(str(path.relative_to(SOURCE)))
    twice = {name: where for name, where in homes.items() if len(where) > 1}
    assert not twice


@pytest.mark.parametrize("package", [models, nn, transforms], ids=lambda own: own.__name__)
def test_no_module_hides_what_is_found_late(package: ModuleType) -> None:
    """Importing a module sets its name in its package: where the package finds its names when they
    are asked for, a function of the same name would be the module from then on."""
    assert package.__file__ is not None
    modules = {path.stem for path in Path(package.__file__).parent.iterdir()}
    assert not modules & set(dir(package))
