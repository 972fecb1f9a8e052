"""The floors of the house: a file imports only from lower floors.

The source is read, never run. An import inside a function counts like any other, since hiding an
import does not lower a floor; messages say where it stands.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
from collections import deque
from collections.abc import Container, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "pushforward"

# From the ground up. Units on one floor do not see each other, so that the order of the list is
# all there is to know; what belongs together is a package.
FLOORS = (
    ("F0", ("_covariance_names", "_data_names", "_downscaling_names")),
    ("F0", ("errors", "_axes", "_lazy", "_memory", "_names", "_notebook", "_precision", "_shapes")),
    (
        "F0",
        (
            "_kinds",
            "checks",
            "registry",
            "state",
            "_regular",
            "_roots",
            "_part_noise",
            "_patches",
            "_row_noise",
            "_softmax",
        ),
    ),
    ("F0", ("_distances", "_gaussian_kernels", "vocabulary")),
    (
        "F0",
        (
            "_extras",
            "_files",
            "_records",
            "_random",
            "_autograd",
            "_bessel",
            "_beta",
            "_legendre",
            "condition",
            "config",
        ),
    ),
    ("F0", ("_draws", "estimates", "importance", "molecules", "parallel", "protocols")),
    ("F1", ("schedules", "spaces", "transforms")),
    ("F1", ("times", "grids", "parametrizations")),
    ("F2", ("mcmc", "ot")),
    ("F2", ("distributions", "discrepancies", "inverse", "score_matching")),
    ("F3", ("energy_training",)),
    ("F3", ("couplings", "dynamics", "filtering", "metrics", "targets")),
    ("F3", ("evidence",)),
    ("F3", ("divergences", "processes")),
    ("F4", ("guidance", "analytic", "path_space")),
    ("F5", ("learned_samplers",)),
    ("F5", ("samplers", "weightings", "latent")),
    ("F5", ("schrodinger",)),
    ("F6", ("models", "theory")),
    ("F7", ("certificates", "compression", "support")),
    ("F7", ("data",)),
    ("F7", ("training",)),
    ("F7", ("downscaling", "fluids", "forecasting", "sbi", "simulation")),
    ("F7", ("report",)),
    ("F7", ("cli",)),
    ("F7", ("__main__",)),
)

# Networks are apart: they know torch and the ground floor, and only the top floors know them.
APART = "nn"
GROUND = frozenset(unit for name, units in FLOORS for unit in units if name == "F0")
ABOVE_GROUND = frozenset(unit for _, units in FLOORS for unit in units) - GROUND | {APART}

# Stricter than the floors, and through any number of steps: who never reaches whom.
# A process reads a network through the tables of `parametrizations`, and knows no network.
_APPLICATIONS = {"nn", "guidance", "samplers", "models"}
NEVER = {
    **{
        unit: ABOVE_GROUND - {unit}
        for unit in ("schedules", "spaces", "transforms", "nn", "metrics", "data", "ot")
    },
    "dynamics": _APPLICATIONS,
    "processes": _APPLICATIONS,
    "guidance": {"samplers"},
    "samplers": {"guidance"},
}

# Imported where they are used, never when a module is loaded. The command line may load what it
# prints with.
LAZY = {
    *(
        "constriction",
        "h5py",
        "lightning",
        "lightning_fabric",
        "matplotlib",
        "netCDF4",
        "openpyxl",
        "ot",
        "pandas",
        "PIL",
        "pillow_heif",
        "pyarrow",
        "rich",
        "scipy",
    ),
    *("ase", "rdkit", "sklearn", "tblite", "tensorboard", "tokenizers", "tqdm", "typer"),
}
LAZY_IN_CLI = LAZY - {"rich", "typer"}

# What loads before torch is needed.
WITHOUT_TORCH = (
    "pushforward",
    "pushforward.errors",
    "pushforward._extras",
    "pushforward.registry",
    "pushforward.cli",
)

# No branch on the space: these units name no concrete space, but for the modules that are listed.
SPACES = {"Euclidean", "Hilbert", "Torus", "Sphere", "Tokens", "PointCloud", "Points"}
WITHOUT_SPACES = ("models", "training", "report", "cli", "metrics")
MAY_NAME_A_SPACE = {
    "pushforward.models.model": "states are vectors unless a model says otherwise",
    "pushforward.models.normalizing_flow": "the base of angles is uniform on the torus",
}
# Nothing but processes and their readers names the Gaussian process, but for these.
MAY_NAME_GAUSSIAN = {
    **dict.fromkeys(
        [
            f"pushforward.certificates.{k}"
            for k in ("budget", "flows", "published", "published_flows", "subjects")
        ],
        "certificates are about Gaussian noise",
    ),
    "pushforward.models.denoiser": "posteriors by guidance are those of Gaussian noise",
    "pushforward.models.diffusion": "the default of a diffusion model",
    "pushforward.samplers.compiled": "a compiled step holds a process of plain noise",
    "pushforward.sbi.methods": "scores of posteriors are learned on its cosine schedule",
    "pushforward.theory.exact_laws": "one step of any noise, with the noise in the open",
    "pushforward.theory.orders": "orders of convergence are measured on it",
}

LONGEST_FILE = 400
NAMELESS = {"util", "utils", "helper", "helpers", "misc", "common", "tools"}


_tree = cache(ast.parse)
"""What is read again and again."""


class Import(NamedTuple):
    """One import statement: who asks for what, and where."""

    module: str
    target: str
    line: int
    place: str
    """`module` if it runs when the module is loaded, else `function` or `typing`."""


class House:
    """The modules of a package and what they import, read from the source."""

    def __init__(self, source: Path) -> None:
        self.root = source.name
        self.files = {self._name(path, source): path for path in sorted(source.rglob("*.py"))}
        self.lazy_names = {
            module: homes for module, path in self.files.items() if (homes := self._homes(path))
        }
        self.imports = {
            module: list(self._imports(module, _tree(path.read_text())))
            for module, path in self.files.items()
        }

    @staticmethod
    def _name(path: Path, source: Path) -> str:
        parts = path.relative_to(source.parent).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @staticmethod
    def _homes(init: Path) -> dict[str, str]:
        """The lazy names of a package and the modules they come from (`_HOMES`)."""
        for node in _tree(init.read_text()).body:
            named = node.targets[0] if isinstance(node, ast.Assign) else None
            if isinstance(named, ast.Name) and named.id == "_HOMES":
                return ast.literal_eval(node.value)
        return {}

    def _imports(self, module: str, tree: ast.Module) -> Iterator[Import]:
        for node, place in _walk(tree, "module"):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(module, alias.name, node.lineno, place)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{module}:{node.lineno} imports relatively"
                targets = {self._target(node.module, alias.name): None for alias in node.names}
                for target in targets:
                    yield Import(module, target, node.lineno, place)

    def _target(self, module: str, name: str) -> str:
        """`from module import name` asks for a submodule if there is one of that name."""
        if home := self.lazy_names.get(module, {}).get(name):
            return f"{module}.{home}"
        return f"{module}.{name}" if f"{module}.{name}" in self.files else module

    def inside(self, module: str) -> list[Import]:
        """What a module imports of the package itself, the lazy root excepted."""
        return [i for i in self.imports[module] if i.target.startswith(f"{self.root}.")]

    def unit(self, module: str) -> str:
        """The name that stands in the table of floors."""
        return module.split(".")[1] if "." in module else module

    def chain(self, start: str, units: Container[str]) -> list[Import]:
        """The shortest chain of imports from a module into one of the units, empty if none."""
        origin: dict[str, Import | None] = {start: None}
        queue = deque([start])
        while queue:
            module = queue.popleft()
            if module != start and self.unit(module) in units:
                chain = []
                while (step := origin[module]) is not None:
                    chain.append(step)
                    module = step.module
                return chain[::-1]
            for step in self.inside(module):
                known = step.target in origin or step.target not in self.files
                if step.place != "typing" and not known:
                    origin[step.target] = step
                    queue.append(step.target)
        return []

    def loaded_at_import(self, start: str) -> dict[str, list[Import]]:
        """Every module that loading `start` loads, and the chain that leads there."""
        chains: dict[str, list[Import]] = {start: []}
        queue = deque([start])
        while queue:
            module = queue.popleft()
            for step in self.imports.get(module, ()):
                if step.place == "module":
                    # Loading a.b.c loads a and a.b first.
                    for name in _with_parents(step.target):
                        if name not in chains:
                            chains[name] = [*chains[module], step]
                            queue.append(name)
        return chains


def _walk(node: ast.AST, place: str) -> Iterator[tuple[ast.AST, str]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for part in child.body:
                yield part, "typing"
            for part in child.orelse:
                yield from _walk(part, place)
            continue
        inner = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield child, place
        yield from _walk(child, "function" if inner else place)


def _with_parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:k]) for k in range(1, len(parts) + 1)]


def _tell(chain: list[Import]) -> str:
    steps = [f"{i.module} (line {i.line}, {i.place}) -> {i.target}" for i in chain]
    return "\n    ".join(steps)


def unplaced(house: House) -> list[str]:
    """Modules that no floor holds."""
    known = {unit for _, units in FLOORS for unit in units} | {APART, house.root}
    return sorted({m for m in house.files if house.unit(m) not in known})


def upward(house: House) -> list[str]:
    """Imports that do not go down."""
    level = {unit: k for k, (_, units) in enumerate(FLOORS) for unit in units}
    name = {unit: floor for floor, units in FLOORS for unit in units}
    found = []
    for module in house.files:
        here = house.unit(module)
        if here == house.root:
            continue
        for step in house.inside(module):
            there = house.unit(step.target)
            if there == here:
                continue
            if APART in (here, there):
                # The table of NEVER holds the networks to the ground floor.
                fits = here == APART or level.get(here, -1) >= level["models"]
            else:
                fits = level.get(there, len(level)) < level.get(here, -1)
            if not fits:
                floors = f"{name.get(here, here)} does not import from {name.get(there, there)}"
                found.append(f"{floors}: {_tell([step])}")
    return found


def forbidden(house: House) -> list[str]:
    """Chains of imports that reach what their start never imports."""
    found = []
    for unit, others in NEVER.items():
        for module in house.files:
            if house.unit(module) == unit and (chain := house.chain(module, others)):
                found.append(f"{unit} never imports {house.unit(chain[-1].target)}:")
                found.append("    " + _tell(chain))
    return found


def heavy(house: House) -> list[str]:
    """Optional or slow packages that are loaded with a module instead of where they are used."""
    found = []
    for module in house.files:
        lazy = LAZY_IN_CLI if house.unit(module) in ("cli", "__main__") else LAZY
        for step in house.imports[module]:
            if step.place == "module" and step.target.split(".")[0] in lazy:
                found.append(_tell([step]))
    return found


def torch_too_early(house: House) -> list[str]:
    """Chains by which torch is loaded where it is not needed."""
    found = []
    for start in WITHOUT_TORCH:
        if start in house.files:
            loaded = house.loaded_at_import(start)
            found += [_tell(chain) for name, chain in loaded.items() if name == "torch"]
    return found


@pytest.fixture(scope="module")
def house() -> House:
    return House(SOURCE)


def _none(found: list[str]) -> None:
    assert not found, "\n" + "\n".join(found)


def test_every_module_has_a_floor(house: House) -> None:
    _none([f"{module}: name its floor in tests/test_architecture.py" for module in unplaced(house)])


def test_imports_go_down(house: House) -> None:
    _none(upward(house))


def test_who_never_imports_whom(house: House) -> None:
    _none(forbidden(house))


def test_heavy_packages_are_imported_where_they_are_used(house: House) -> None:
    _none(heavy(house))


def test_torch_is_not_loaded_by_the_package_or_its_command_line(house: House) -> None:
    _none(torch_too_early(house))


def test_files_are_short_and_have_names(house: House) -> None:
    for module, path in house.files.items():
        lines = len(path.read_text().splitlines())
        assert lines <= LONGEST_FILE, f"{module} has {lines} lines: split it by idea"
        assert not NAMELESS & set(module.split(".")), f"{module}: name the idea"


def named(house: House, units: Container[str], names: set[str]) -> dict[str, list[str]]:
    """Modules of some units that name one of some classes in their code, and where."""
    found: dict[str, list[str]] = {}
    for module, path in house.files.items():
        if house.unit(module) in units:
            for node in ast.walk(_tree(path.read_text())):
                name = node.id if isinstance(node, ast.Name) else getattr(node, "attr", None)
                if isinstance(node, ast.Name | ast.Attribute) and name in names:
                    found.setdefault(module, []).append(f"{module}:{node.lineno} names {name}")
    return found


def test_nothing_above_the_processes_names_a_space(house: House) -> None:
    found = named(house, WITHOUT_SPACES, SPACES)
    assert set(found) == set(MAY_NAME_A_SPACE), found


def test_nothing_but_processes_names_the_gaussian_one(house: House) -> None:
    others = {house.unit(module) for module in house.files} - {"processes", "analytic"}
    found = named(house, others, {"Gaussian"})
    assert set(found) == set(MAY_NAME_GAUSSIAN), found


def test_a_space_that_is_named_is_seen(tmp_path: Path) -> None:
    files = {
        "models/one.py": "from pushforward.spaces import Torus\nx = Torus()",
        "models/two.py": "# Torus\nx = 'Torus'",
        "spaces.py": "class Torus: ...",
    }
    found = named(_house(tmp_path, files), WITHOUT_SPACES, SPACES)
    assert found == {"pushforward.models.one": ["pushforward.models.one:2 names Torus"]}


def test_loading_every_module_loads_nothing_heavy(house: House) -> None:
    """The reading above, confirmed by running: other packages may load things behind our back."""
    modules = [m for m in house.files if house.unit(m) not in ("cli", "__main__")]
    code = (
        "import importlib, sys, torch\n"
        "before = set(sys.modules)\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        f"print(sorted({LAZY!r} & (set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


# The rules themselves: each is broken once in a small house, and must be seen to break.


def _house(folder: Path, files: dict[str, str]) -> House:
    for name, text in {"__init__.py": "", **files}.items():
        path = folder / "pushforward" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return House(folder / "pushforward")


def test_an_upward_import_is_seen(tmp_path: Path) -> None:
    files = {"schedules.py": "", "grids.py": "from pushforward.schedules import VP"}
    assert upward(_house(tmp_path / "good", files)) == []
    files = {"grids.py": "", "schedules.py": "def f():\n    from pushforward import grids"}
    assert upward(_house(tmp_path / "bad", files)) == [
        "F1 does not import from F1: pushforward.schedules (line 2, function) -> pushforward.grids"
    ]


def test_a_lazy_name_leads_to_its_home(tmp_path: Path) -> None:
    files = {
        "__init__.py": "_HOMES = {'fit': 'training'}",
        "training.py": "",
        "samplers.py": "from pushforward import fit",
    }
    assert len(upward(_house(tmp_path, files))) == 1


def test_a_forbidden_chain_is_named(tmp_path: Path) -> None:
    files = {
        "metrics/__init__.py": "",
        "metrics/distance.py": "from pushforward import config",
        "config.py": "from pushforward.distributions import Normal",
        "distributions/__init__.py": "from pushforward.distributions.normal import Normal",
        "distributions/normal.py": "",
    }
    assert forbidden(_house(tmp_path, files)) == [
        "metrics never imports distributions:",
        "    pushforward.metrics.distance (line 1, module) -> pushforward.config\n"
        "    pushforward.config (line 1, module) -> pushforward.distributions",
    ]


def test_networks_are_for_the_top_floors(tmp_path: Path) -> None:
    house = _house(
        tmp_path,
        {
            "nn/__init__.py": "from pushforward.errors import InputError",
            "errors.py": "",
            "models.py": "from pushforward import nn",
            "samplers.py": "from pushforward import nn",
        },
    )
    assert len(upward(house)) == 1
    assert "samplers" in upward(house)[0]
    assert forbidden(house) == []


def test_a_heavy_import_and_an_early_torch_are_seen(tmp_path: Path) -> None:
    files = {
        "__init__.py": "from pushforward import errors",
        "errors.py": "from pushforward.config import build",
        "config.py": "import torch.nn\ndef draw():\n    import matplotlib",
        "report.py": "from matplotlib import pyplot",
    }
    house = _house(tmp_path, files)
    assert heavy(house) == ["pushforward.report (line 1, module) -> matplotlib"]
    assert torch_too_early(house)[0].endswith("pushforward.config (line 1, module) -> torch.nn")


def test_a_module_without_a_floor_is_seen(tmp_path: Path) -> None:
    assert unplaced(_house(tmp_path, {"attic.py": ""})) == ["pushforward.attic"]


@pytest.mark.parametrize("unit", ["grids", "times"])
def test_a_public_class_name_has_one_home(unit: str) -> None:
    homes: dict[str, set[str]] = {}
    for path in SOURCE.rglob("*.py"):
        for node in _tree(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, set()).add(str(path.relative_to(SOURCE)))
    here = {name for name, files in homes.items() if f"{unit}.py" in files}
    # `ot.Grid` is a regular grid of points in space.
    assert {name for name in here if len(homes[name]) > 1} <= {"Grid"}
