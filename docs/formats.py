"""The matrix of `docs/formats.md`: each kind of file through each command.

python docs/formats.py            # a minute; prints the matrix
python docs/formats.py --write    # into docs/formats.md
python docs/formats.py --smoke    # one kind of file
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import netCDF4
import numpy as np
import pandas
import scipy.io
import xarray
from PIL import Image

from pushforward.cli import main

PAGE = Path(__file__).with_name("formats.md")
COMMANDS = ("doctor", "train", "sample", "logprob", "evaluate")
ROWS = 240


class Kind(NamedTuple):
    """A kind of file.

    Args:
        path: the name of the file or folder, whose suffix samples get as well.
        what: in words.
        make: writes one.
        options: of `doctor` and `train`.
        model: a quick one for such data.
    """

    path: str
    what: str
    make: Callable[[Path], None]
    options: tuple[str, ...] = ("--label", "kind")
    model: str = "flow"


def people() -> pandas.DataFrame:
    """A table with a column of each type: counts, truths, few levels, any number, and words."""
    random = np.random.default_rng(0)
    return pandas.DataFrame(
        {
            "age": random.integers(18, 90, ROWS),
            "smokes": random.random(ROWS) < 0.4,
            "visits": random.integers(0, 4, ROWS),
            "dose": random.choice([0.5, 1.0, 2.5], ROWS),
            "height": random.normal(170, 10, ROWS).round(1),
            "kind": random.choice(["ant", "bee"], ROWS),
        }
    )


def counts() -> tuple[np.ndarray, np.ndarray]:
    """An array of integers, and labels."""
    random = np.random.default_rng(0)
    x = random.poisson(5.0, (ROWS, 3)).astype(np.int32)
    return x, random.choice(np.array([2019, 2021], dtype=np.int16), ROWS)


def curves() -> np.ndarray:
    """Functions at nine points."""
    random = np.random.default_rng(0)
    return np.sin(np.linspace(0, 2, 9) + random.uniform(0, 6, (ROWS, 1)))


def _curves(path: Path) -> None:
    pandas.DataFrame(curves(), columns=[f"t{k}" for k in range(9)]).to_csv(path, index=False)


def _values(path: Path) -> None:
    x = curves()
    table = {"id": np.repeat(np.arange(ROWS), 9), "t": np.tile(np.arange(9), ROWS), "y": x.ravel()}
    pandas.DataFrame(table).to_csv(path, index=False)


def _text(**options: Any) -> Callable[[Path], None]:
    return lambda path: people().to_csv(path, index=False, **options)


def _germany(path: Path) -> None:
    lines = people().to_csv(index=False, sep=";", decimal=",").splitlines()
    path.write_text("\n".join([lines[0], "years;;;mg;cm;", *lines[1:]]) + "\n", encoding="utf-8")


def _hdf5(path: Path) -> None:
    x, labels = counts()
    with h5py.File(path, "w") as file:
        file["x"], file["y"] = x, labels


def _netcdf(path: Path) -> None:
    x, labels = counts()
    with netCDF4.Dataset(path, "w") as file:
        for name, size in (("row", ROWS), ("column", 3)):
            file.createDimension(name, size)
        file.createVariable("x", x.dtype, ("row", "column"))[:] = x
        file.createVariable("y", labels.dtype, ("row",))[:] = labels


def _fields(path: Path) -> None:
    random = np.random.default_rng(0)
    made = xarray.Dataset(
        {"t": (("time", "y", "x"), random.normal(280, 10, (ROWS, 4, 4)), {"units": "K"})},
        {"time": np.arange(ROWS), "x": np.arange(4.0), "y": np.arange(4.0)},
    )
    if path.suffix == ".nc":
        made.to_netcdf(path)
    else:
        made.to_zarr(path, zarr_format=2, consolidated=True)


def _words(count: int) -> list[str]:
    random = np.random.default_rng(0)
    return ["".join(random.choice(list("acgt"), 6)) for _ in range(count)]


def _lines(path: Path) -> None:
    path.write_text("\n".join(_words(ROWS)) + "\n", encoding="utf-8")


def _book(path: Path) -> None:
    path.write_text(". ".join(_words(4 * ROWS)) + ".\n", encoding="utf-8")


def _fasta(path: Path) -> None:
    records = (f">gene {k}\n{word.upper()}\n" for k, word in enumerate(_words(ROWS)))
    path.write_text("".join(records), encoding="utf-8")


def _pictures(path: Path) -> None:
    random = np.random.default_rng(0)
    for k in range(ROWS):
        pixels = random.integers(0, 128, (4, 4, 3), dtype=np.uint8) + np.uint8(127 * (k % 2))
        file = path / ("dark", "light")[k % 2] / f"{k}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)


OPERATOR = ("model.net.class=fourier-operator", "model.net.width=8", "model.net.depth=1")
SMALL = ("model.net.class=transformer", "model.net.width=8", "model.net.depth=1",
         "model.net.heads=2")  # fmt: skip
KINDS = (
    Kind("people.csv", "text, commas", _text()),
    Kind("germany.csv", "text, semicolons and decimal commas, a line of units", _germany,
         ("--label", "kind", "data.decimal=,", "data.skip=[2]")),
    Kind("bare.csv", "text without names", _text(header=False), ("--label", "5")),
    Kind("people.tsv", "text, tabs", _text(sep="\t")),
    Kind("people.txt", "text, spaces", _text(sep=" ")),
    Kind("people.csv.gz", "packed text", _text()),
    Kind("people.parquet", "columns", lambda path: people().to_parquet(path)),
    Kind("people.feather", "columns of Arrow", lambda path: people().to_feather(path)),
    Kind("people.xlsx", "a spreadsheet", lambda path: people().to_excel(path, index=False)),
    Kind("people.jsonl", "lines of JSON",
         lambda path: people().to_json(path, orient="records", lines=True)),
    Kind("counts.npy", "an array", lambda path: np.save(path, counts()[0]), ()),
    Kind("counts.npz", "arrays by name",
         lambda path: np.savez(path, x=counts()[0], y=counts()[1]), ()),
    Kind("counts.mat", "arrays of MATLAB",
         lambda path: scipy.io.savemat(path, {"x": counts()[0], "y": counts()[1]}), ()),
    Kind("counts.h5", "arrays of HDF5", _hdf5, ()),
    Kind("counts.nc", "arrays of NetCDF", _netcdf, ("--label", "y")),
    Kind("fields.nc", "fields of NetCDF", _fields, (), "vae"),
    Kind("fields.zarr", "fields of Zarr", _fields, (), "vae"),
    Kind("curves.csv", "functions, a row each", _curves, ("--space", "functions", *OPERATOR),
         "diffusion"),
    Kind("values.csv", "functions, a row for each value", _values,
         ("--space", "functions", "--id", "id", *OPERATOR), "diffusion"),
    Kind("curves.npy", "functions in an array",
         lambda path: np.save(path, curves()), ("--space", "functions", *OPERATOR), "diffusion"),
    Kind("book.txt", "a text", _book, ("data.window=8", *SMALL), "diffusion"),
    Kind("lines.txt", "lines of text", _lines, ("data.kind=lines", *SMALL), "diffusion"),
    Kind("genes.fasta", "records of FASTA", _fasta, SMALL, "diffusion"),
    Kind("pictures", "a folder of pictures", _pictures, (), "vae"),
)  # fmt: skip


def call(*words: object) -> str:
    """What is wrong with a command: its last line if it fails, or nothing."""
    heard = io.StringIO()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(heard):
            main(["--quiet", *map(str, words)])
    except SystemExit as end:
        if end.code:
            return heard.getvalue().strip().splitlines()[-1]
    return ""


def tried(kind: Kind, folder: Path) -> dict[str, str]:
    """What is wrong with each command for a kind of file: nothing, it is hoped.

    The file, the run and the samples, `new` with the suffix of the file, stay in the folder.
    """
    file, run = folder / kind.path, folder / "run"
    new = folder / kind.path.replace(kind.path.partition(".")[0], "new")
    kind.make(file)
    short = ("--model", kind.model, "--steps", 5, "--out", run)
    # Of a model in steps a few are enough: nothing has been learned.
    few = ("--steps", 6) if kind.model == "diffusion" else ()
    return {
        "doctor": call("doctor", file, *kind.options),
        "train": call("train", file, *kind.options, *short),
        "sample": call("sample", run, "-n", 60, *few, "--out", new),
        "logprob": call("logprob", run, new, "-n", 10),
        "evaluate": call("evaluate", run, "-n", 20, "--points", 4),
    }


def row(kind: Kind, found: dict[str, str]) -> str:
    """A line of the matrix."""
    suffix = Path(kind.path).name.partition(".")[2]
    name = f"`.{suffix}`" if suffix else "a folder"
    cells = ("yes" if not wrong else f"no: {wrong}" for wrong in found.values())
    return f"| {name} | {kind.what} | {' | '.join(cells)} |"


def matrix(kinds: tuple[Kind, ...]) -> list[str]:
    """The lines of the matrix, each cell of which is run."""
    lines = [f"| file | | {' | '.join(COMMANDS)} |", "| --- " * (2 + len(COMMANDS)) + "|"]
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder:
            lines.append(row(kind, tried(kind, Path(folder))))
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--smoke", action="store_true")
    asked = parser.parse_args()
    lines = matrix(KINDS[:1] if asked.smoke else KINDS)
    print("\n".join(lines))
    if asked.write and not asked.smoke:
        text = PAGE.read_text(encoding="utf-8")
        before, rest = text.split("<!-- matrix -->\n")[0], text.split("<!-- end -->\n")[1]
        body = "\n".join(lines)
        made = f"{before}<!-- matrix -->\n\n{body}\n\n<!-- end -->\n{rest}"
        PAGE.write_text(made, encoding="utf-8")
