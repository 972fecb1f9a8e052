"""How long a large table and a folder of pictures take to read, and how much memory, beside peers.

Each reader ends with float32 numbers in memory, in a process of its own; imports are not counted.
Readers take turns, medians of the processor's seconds and of the peak of the memory:

    .venv-bench/bin/python benchmarks/reading.py --write
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import record

TABLE, PICTURES = "a table", "a folder of pictures"

# What is imported, and an expression that reads `path`.
READERS = {
    TABLE: {
        "pushforward": (
            "import pushforward as pf, pyarrow.csv, pandas; pf.data.load",
            "pf.data.load(path)",
        ),
        "pushforward, standard library": (
            "import pushforward as pf; from pushforward.data import tables; tables.SMALL = 1 << 60",
            "pf.data.load(path)",
        ),
        "pandas": ("import pandas", "pandas.read_csv(path).to_numpy('float32')"),
        "pyarrow": (
            "import numpy as np, pyarrow.csv, pandas",
            "np.stack([column.to_numpy() for column in pyarrow.csv.read_csv(path).columns], -1)"
            ".astype('float32')",
        ),
        "numpy.loadtxt": (
            "import numpy as np",
            "np.loadtxt(path, dtype='float32', delimiter=',', skiprows=1)",
        ),
    },
    PICTURES: {
        "pushforward": ("import pushforward as pf, PIL.Image; pf.data.load", "pf.data.load(path)"),
        "a loop over Pillow": (
            "import os, numpy as np, PIL.Image",
            "np.stack([np.asarray(PIL.Image.open(os.path.join(path, name)))"
            " for name in sorted(os.listdir(path))]).astype('float32')",
        ),
    },
}
NEEDS = {"pandas": "pandas", "pyarrow": "pyarrow", "a loop over Pillow": "PIL"}

_CHILD = """
import resource, sys, time
{imports}
path = sys.argv[1]
unit = 1024 if sys.platform == "linux" else 1024**2
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
before, start = peak(), time.process_time()
kept = {read}
print(time.process_time() - start, peak() - before)
"""


class Reading(NamedTuple):
    """Seconds of the processor, and MiB over those of the imports."""

    seconds: float
    memory: float


def read(path: Path, imports: str, expression: str) -> Reading:
    """Read a file in a fresh interpreter, on one thread."""
    code = _CHILD.format(imports=imports, read=expression)
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "ARROW", "OPENBLAS")}
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        check=True, capture_output=True, text=True, env=os.environ | threads,
    )  # fmt: skip
    seconds, memory = map(float, done.stdout.split())
    return Reading(seconds, memory)


def make_table(path: Path, rows: int, columns: int = 20) -> None:
    """Normal numbers with the digits that tell doubles apart in practice, and a header."""
    random = np.random.default_rng(0)
    with path.open("w") as file:
        file.write(",".join(f"x{k}" for k in range(columns)) + "\n")
        for start in range(0, rows, 10_000):
            some = random.standard_normal((min(10_000, rows - start), columns))
            np.savetxt(file, some, delimiter=",", fmt="%.7f")


def make_pictures(folder: Path, count: int, size: int = 32) -> None:
    """Color pictures of noise over a slope, as PNG."""
    from PIL import Image

    folder.mkdir()
    random = np.random.default_rng(0)
    slope = np.linspace(0, 200, size)[:, None, None]
    for i in range(count):
        pixels = slope + random.integers(0, 56, (size, size, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i:05d}.png")


def measure(path: Path, kind: str, turns: int) -> list[dict[str, Any]]:
    """The medians of each reader that can run here."""
    usable = {
        name: how
        for name, how in READERS[kind].items()
        if name not in NEEDS or find_spec(NEEDS[name])
    }
    found: dict[str, list[Reading]] = {name: [] for name in usable}
    for _ in range(turns):
        for name, how in usable.items():
            found[name].append(read(path, *how))
    return [
        {
            "kind": kind,
            "reader": name,
            "seconds": round(statistics.median(r.seconds for r in readings), 4),
            "memory": round(statistics.median(r.memory for r in readings), 1),
        }
        for name, readings in found.items()
    ]


def text(results: Sequence[dict[str, Any]], sizes: dict[str, str]) -> str:
    """A table for each kind of data."""
    parts = []
    for kind, size in sizes.items():
        rows = [row for row in results if row["kind"] == kind]
        ours = next(row["seconds"] for row in rows if row["reader"] == "pushforward")
        cells = [
            [
                row["reader"],
                f"{row['seconds']:.2f} s",
                f"{row['seconds'] / ours:.2f}",
                f"{row['memory']:.0f} MiB",
            ]
            for row in rows
        ]
        head = [size, "takes", "over pushforward", "peak of the memory"]
        parts.append(record.table(head, cells))
    return "\n\n".join(parts)


def main() -> None:
    """Measure, print, and with `--write` record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small, to see that it runs")
    parser.add_argument("--write", action="store_true", help="record the results")
    options = parser.parse_args()
    rows, count, turns = (2_000, 20, 1) if options.smoke else (1_000_000, 5_000, 5)
    with tempfile.TemporaryDirectory() as folder:
        table, pictures = Path(folder) / "table.csv", Path(folder) / "pictures"
        make_table(table, rows)
        make_pictures(pictures, count)
        size = table.stat().st_size / 1e6
        sizes = {
            TABLE: f"a CSV of {rows:,} x 20 numbers, {size:.0f} MB",
            PICTURES: f"{count:,} PNG pictures of 32 x 32 pixels",
        }
        results = measure(table, TABLE, turns) + measure(pictures, PICTURES, turns)
    environment = record.environment("numpy", "pandas", "pyarrow", "pillow")
    print(text(results, sizes))
    print(f"\nload {environment['load']}")
    if options.write:
        facts = {"environment": environment, "results": results}
        record.save("reading", facts, text(results, sizes))


if __name__ == "__main__":
    main()
