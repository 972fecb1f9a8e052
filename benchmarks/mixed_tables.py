"""Tables with categories: a joint model beside a copula, rows drawn again, and CTGAN.

Two tables. `known` is drawn from a law that this file writes down: a category, a number and a count
that depend on it, money with a mass at zero, and words with missing cells. `affairs` is a survey of
6,366 rows (Fair 1978) that ships with statsmodels, read from its installation. Every method sees
the same training rows; each number stands beside its floor, that of the training rows themselves.

    python benchmarks/mixed_tables.py --write

CTGAN (`pip install ctgan`) is measured where it is installed, with its defaults but for the epochs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

import pushforward as pf
import record
import shared
import trainings
from pushforward.metrics import Estimate
from pushforward.report.judging import evaluated

METHODS = ("table", "copula", "bootstrap", "ctgan")
TABLES = ("known", "affairs")
SEEDS = (0, 1, 2)
SHOWN = ("columns", "pairs of columns", "learned from them", "classifier accuracy", "memorization",
         "copied rows")  # fmt: skip
ROWS, STEPS, EPOCHS = 3000, 2000, 60


def known(rows: int, seed: int) -> dict[str, list[str]]:
    """Rows of a law in which everything depends on one category."""
    g = np.random.default_rng(seed)
    kind = g.choice(3, rows, p=[0.5, 0.3, 0.2])
    age = 30 + 10 * kind + g.normal(0, 5, rows)
    visits = g.poisson(1 + 2 * kind)
    spent = np.where(
        g.random(rows) < 0.6 - 0.2 * kind, 0.0, np.exp(4 + kind + g.normal(0, 1, rows))
    )
    town = np.where(g.random(rows) < 0.7, kind, g.choice(3, rows))
    gone = g.random(rows) < 0.1
    names = ("Bonn", "Oslo", "Rome")
    return {
        "kind": [("basic", "plus", "pro")[k] for k in kind],
        "age": [f"{v:.1f}" for v in age],
        "visits": [str(v) for v in visits],
        "spent": [f"{v:.2f}" for v in spent],
        "town": ["" if lost else names[k] for k, lost in zip(town, gone, strict=True)],
    }  # fmt: skip


def loaded(table: str, smoke: bool) -> Any:
    """A table as `Data`, or `None` where the package that it ships with is not installed."""
    if table == "known":
        return pf.data.load(known(400 if smoke else ROWS, 0), kinds="auto")
    spec = find_spec("statsmodels")
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(next(iter(spec.submodule_search_locations))) / "datasets" / "fair" / "fair.csv"
    words = {"occupation": "category", "occupation_husb": "category"}
    return pf.data.load(str(path), kinds=words)


def drawn(method: str, train: Any, n: int, seed: int, smoke: bool) -> Any:
    """Samples of a method that was trained on some rows, as states."""
    if method == "ctgan":
        return _ctgan(train, n, seed, 1 if smoke else EPOCHS)
    torch.manual_seed(seed)
    model = pf.registry.find("models", method).for_data(train)
    settings = pf.training.Settings(
        steps=3 if smoke else STEPS, batch_size=256, holdout=0.0, seed=seed
    )
    model = trainings.fit(model, train, settings=settings, progress=False).model
    steps = model.understood("sample", steps=4 if smoke else 100)
    return model.sample(n, seed=seed, **steps)


def _ctgan(train: Any, n: int, seed: int, epochs: int) -> Any:
    """CTGAN on the same cells: missing ones are a word, or the mean of a number."""
    import pandas
    from ctgan import CTGAN

    coded = train.schema.mixed
    frame = pandas.DataFrame(coded.values(train.x))
    words = [c.name for c in coded.columns if not c.kind.numeric or c.units is None]
    for name in frame:
        if name in words:
            frame[name] = frame[name].astype(str)
        else:
            frame[name] = frame[name].fillna(frame[name].mean())
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    peer = CTGAN(epochs=epochs)
    peer.fit(frame, words)
    made = peer.sample(n)
    cells = {}
    for column in coded.columns:
        own = made[column.name].tolist()
        if column.name in words:
            cells[column.name] = ["" if v in ("None", "nan") else _word(v, column) for v in own]
        else:
            low, high = column.limits
            cells[column.name] = [column.written(min(max(float(v), low), high)) for v in own]
    return coded.states(cells, coded.notation, "CTGAN")


def _word(value: Any, column: Any) -> str:
    return column.written(float(value)) if column.kind.numeric else str(value)


def measured(table: str, method: str, seed: int, smoke: bool) -> dict[str, Any]:
    """One method on one table, judged by the rows that it has not seen."""
    data = loaded(table, smoke)
    absent = method == "ctgan" and find_spec("ctgan") is None
    if data is None or absent:
        return {"table": table, "method": method, "seed": seed, "rows": None}
    train, test = data.split(0.3, seed=0)
    start = time.perf_counter()
    x = drawn(method, train, len(test), seed, smoke)
    seconds = time.perf_counter() - start
    found = evaluated(None, x, test, train, seed=seed)
    rows = {name: vars(found[name]) for name in SHOWN}
    return {"table": table, "method": method, "seed": seed, "rows": rows, "seconds": seconds}


def text(results: list[dict[str, Any]]) -> str:
    """A table for each data set; means over seeds."""
    found = []
    for table in dict.fromkeys(result["table"] for result in results):
        own = [r for r in results if r["table"] == table and r["rows"] is not None]
        lines = []
        for method in dict.fromkeys(result["method"] for result in own):
            runs = [r for r in own if r["method"] == method]
            cells = [_mean([r["rows"][name] for r in runs], "value") for name in SHOWN]
            seconds = np.mean([r["seconds"] for r in runs])
            lines.append([method, *cells, f"{seconds:.0f}"])
        if own:
            floors = [_mean([r["rows"][name] for r in own], "floor") for name in SHOWN]
            lines.append(["real rows", *floors, "–"])
            found.append(f"`{table}`:\n\n" + record.table(["method", *SHOWN, "seconds"], lines))
    return "\n\n".join(found)


def _mean(rows: list[dict[str, Any]], key: str) -> str:
    values = [row[key] for row in rows]
    own = float(np.mean([row["stderr" if key == "value" else "floor_stderr"] for row in rows]))
    spread = float(np.std(values, ddof=1) / len(values) ** 0.5) if len(set(values)) > 1 else 0.0
    return str(Estimate(float(np.mean(values)), max(own, spread), len(values)))


def main() -> None:
    """Measure, print, and with `--write` record."""
    parser = shared.arguments(
        __doc__, tables=(TABLES, "tables"), methods=(METHODS, "methods"), seeds=(SEEDS, "seeds")
    )
    options: argparse.Namespace = parser.parse_args()
    torch.set_num_threads(1)
    cases = [
        {"table": table, "method": method, "seed": seed}
        for table in (options.tables[:1] if options.smoke else options.tables)
        for method in options.methods
        for seed in (options.seeds[:1] if options.smoke else options.seeds)
    ]
    run: Callable[..., dict[str, Any]] = lambda **case: measured(**case, smoke=options.smoke)  # noqa: E731
    results = shared.gathered(options, cases, run)
    print(text(results))
    if options.write:
        facts = {"environment": record.environment("ctgan", "statsmodels"), "results": results}
        record.save("mixed_tables", facts, text(results))


if __name__ == "__main__":
    main()
