"""Data of posteriors: files that the user has, since the library ships none."""

from __future__ import annotations

import ast
import csv
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from pushforward.errors import InputError

__all__ = ["constants_of", "numbers_of", "source_of"]

_UCI = "the UCI machine learning repository"

SOURCES = {
    "ionosphere": (("ionosphere.csv", "ionosphere.data"), _UCI),
    "sonar": (("sonar.csv", "sonar.all-data"), _UCI),
    "credit": (("german.data-numeric",), f"{_UCI} (Statlog German credit data)"),
    "cancer": (("breast_cancer.data", "wdbc.data"), f"{_UCI}, or scikit-learn, which ships it"),
    "pines-126": (
        ("pines_126.csv", "finpines.csv"),
        "the R package spatstat.data (finpines, scaled to the unit square)",
    ),
    "pines-127": (
        ("pines_127.csv",),
        "the digitized copy with 127 rows that goes with denoising diffusion samplers",
    ),
    "sp500": (
        ("sp500_closing_prices.py",),
        "the package inference-gym 0.0.5 (inference_gym/internal/datasets), which may be installed",
    ),
}
"""The names that a file of some data may have, and where it comes from."""


def source_of(what: str, folder: str | Path | None) -> Path:
    """The file of some data in a folder, or in an installed package.

    Raises `InputError` that says which file is missing, and where it comes from.
    """
    names, source = SOURCES[what]
    if folder is not None:
        place = Path(folder)
        if place.is_file():
            return place
        for name in names:
            if (place / name).is_file():
                return place / name
    elif (installed := _installed(what)) is not None:
        return installed
    where = (
        "no folder of data was given (data=)" if folder is None else f"{folder} does not hold it"
    )
    raise InputError(
        f"the {what} data are not part of the library, and {where}: put {' or '.join(names)} into "
        f"a folder, from {source}"
    )


def _installed(what: str) -> Path | None:
    """The file in a package that is installed; the package is not imported."""
    package, path = {
        "cancer": ("sklearn", "datasets/data/breast_cancer.csv"),
        "sp500": ("inference_gym", "internal/datasets/sp500_closing_prices.py"),
    }.get(what, ("", ""))
    spec = find_spec(package) if package else None
    for root in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (Path(root) / path).is_file():
            return Path(root) / path
    return None


def numbers_of(path: Path, letters: dict[str, float] | None = None) -> Tensor:
    """A table of numbers, `(rows, columns)`, in double precision.

    Cells are parted by commas or spaces; some `letters` stand for numbers, lines that begin with
    `#` and empty ones are left out, and so is a first line of text. Raises `InputError` for others.
    """
    rows: list[list[float]] = []
    with path.open(newline="", encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip() or line.startswith("#"):
                continue
            cells = next(csv.reader([line])) if "," in line else line.split()
            try:
                rows.append([(letters or {}).get(cell.strip()) or float(cell) for cell in cells])
            except ValueError as error:
                if not rows:
                    continue
                raise InputError(f"{path} has no numbers in line {number}: {error}") from None
    if not rows or len({len(row) for row in rows}) != 1:
        raise InputError(f"{path} is no table of numbers with rows of one length")
    return torch.tensor(rows, dtype=torch.float64)


def constants_of(path: Path) -> dict[str, Tensor]:
    """Arrays `NAME = np.array([...]).reshape(...)` of a Python file, which is read, not run.

    Raises `InputError` for a file without any.
    """
    found: dict[str, Tensor] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            lists = [part for part in ast.walk(node.value) if isinstance(part, ast.List)]
            shapes = [
                ast.literal_eval(call.args[0])
                for call in ast.walk(node.value)
                if isinstance(call, ast.Call)
                and isinstance(call.func, ast.Attribute)
                and call.func.attr == "reshape"
            ]
            if lists:
                values = torch.tensor(ast.literal_eval(lists[0]), dtype=torch.float64)
                found[node.targets[0].id] = values.reshape(shapes[0]) if shapes else values
    if not found:
        raise InputError(f"{path} holds no arrays of numbers")
    return found
