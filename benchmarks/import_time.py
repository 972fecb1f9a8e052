"""How long it takes to start: the package over torch, and the command's help over Python.

Fresh interpreters, interleaved, medians of the processor's seconds:

    .venv-bench/bin/python benchmarks/import_time.py --write
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import record

CASES = {
    "python": "pass",
    "import pushforward": "import pushforward",
    "pushforward --help": "from pushforward.cli import main; main(['--help'])",
    "import torch": "import torch",
    "pushforward.Diffusion, fit, load": (
        "import torch, pushforward as pf; pf.Diffusion, pf.fit, pf.data.load, pf.nn.UNet"
    ),
    "diffusers: UNet2DModel, DDIMScheduler": (
        "import torch; from diffusers import UNet2DModel, DDIMScheduler"
    ),
    "azula: denoise, sample": "import torch, azula.denoise, azula.sample",
    "flow_matching: path, solver": "import torch, flow_matching.path, flow_matching.solver",
}


def case(code: str) -> Callable[[], float]:
    """Seconds of the processor for a fresh interpreter that runs some code."""

    def seconds() -> float:
        start = _of_children()
        subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
        return _of_children() - start

    return seconds


def _of_children() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def measure(turns: int, warm: bool = True) -> dict[str, float]:
    """The median seconds of each case that can run here, by default with files read before."""
    cases = {
        name: case(code)
        for name, code in CASES.items()
        if ":" not in name or find_spec(name.partition(":")[0])
    }
    for run in cases.values() if warm else ():
        run()
    found: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(turns):
        for name, run in cases.items():
            found[name].append(run())
    return {name: statistics.median(values) for name, values in found.items()}


def text(seconds: dict[str, float]) -> str:
    """Seconds, and what is left over the bare interpreter or over torch."""
    rows = []
    for name, value in seconds.items():
        over = (
            "python"
            if name.startswith(("import pushforward", "pushforward --"))
            else "import torch"
        )
        more = "" if name in ("python", "import torch") else f"{value - seconds[over]:+.2f} s over "
        rows.append([f"`{name}`", f"{value:.2f} s", more + (over if more else "")])
    return record.table(["a fresh interpreter that runs", "takes", ""], rows)


def main() -> None:
    """Measure, print, and with `--write` record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="once, to see that it runs")
    parser.add_argument("--write", action="store_true", help="record the results")
    options = parser.parse_args()
    seconds = measure(1, warm=False) if options.smoke else measure(9)
    print(text(seconds))
    if options.write:
        facts: dict[str, Any] = {
            "environment": record.environment("diffusers", "azula", "flow_matching"),
            "seconds": {name: round(value, 4) for name, value in seconds.items()},
        }
        record.save("import_time", facts, text(seconds))


if __name__ == "__main__":
    main()
