"""What a user gets without choosing anything: every family with its defaults, on many data sets.

Each model is `FAMILY.for_data(data)`, trained by `fit(model, data, seed=seed)` and nothing else, as
`pushforward train DATA --model FAMILY` does. It is judged by rows that it never saw, beside the
truth where the density is known, beside the Gaussian mixture everywhere, and beside what other
libraries show as their first example, trained for as many seconds (`peers.py`).

    make bench-env
    .venv-bench/bin/python benchmarks/defaults.py --data wine --families mixture flow --part a.jsonl
    .venv-bench/bin/python benchmarks/defaults.py --merge a.jsonl b.jsonl --write

`--part FILE` adds each result to a file as soon as it is there, and leaves out what the file has:
a run can be stopped and taken up. Each process has a file of its own. `--merge` puts such files
together, and what was recorded before, `results/defaults.json`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import laws
import pushforward as pf
import record
import timing
import trainings
from entries import cell, mean
from judged_data import DATA, Sides
from peers import PEERS, Trained
from pushforward.cli.examining import serious
from pushforward.report.glance import faults_of_samples
from pushforward.report.judging import evaluated, labels_like, log_density
from pushforward.spaces import Euclidean
from pushforward.training import Settings
from pushforward.training.judge import overfitting

SEEDS = (0, 1, 2, 3, 4)
PICTURES = ("digits", "fashion-mnist")
ONLY = {"fashion-mnist": ("diffusion", "vae")}
"""Where one family takes hours, not all of them are asked for."""
FEW = 128
"""Held-out pictures for likelihoods, which cost a hundred evaluations of a large network each."""
MIXTURE = "mixture"
CLEAR = 2.0
"""Standard errors from which on a difference from the mixture counts."""


# -- methods ------------------------------------------------------------------------------------

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    MIXTURE: ("mixture", {}),
    "kernel density": ("kde", {}),
    "ppca": ("ppca", {}),
    "diffusion": ("diffusion", {}),
    "matching": ("matching", {}),
    "score": ("score", {}),
    "vae": ("vae", {}),
    "flow": ("flow", {}),
    "energy": ("energy", {}),
    "gan, js": ("gan", {}),
    "gan, wasserstein": ("gan", {"discrepancy": "wasserstein"}),
    "gan, mmd": ("gan", {"discrepancy": "mmd"}),
}
METHODS = (*FAMILIES, *PEERS)


def ours(method: str, sides: Sides, seed: int, points: int | None, smoke: bool) -> dict[str, Any]:
    """A family trained and judged, with what a user is told before, meanwhile and after.

    The likelihood is that of the first `points` held-out rows, by default of all.
    """
    family, options = FAMILIES[method]
    train, test = sides
    torch.manual_seed(seed)
    model: Any = pf.registry.find("models", family).for_data(train, **options)
    doubts = [finding.title for finding in serious(Settings(seed=seed), model, train)]
    few: dict[str, Any] = {"steps": 2, "batch_size": 8} if smoke else {}
    start = time.process_time()
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        done = trainings.fit(model, train, progress=False, seed=seed, **few)
        training = time.process_time() - start
        n = len(test)
        labels = labels_like(model, train, n, seed)
        options = model.understood("sample", seed=seed, batch_size=512)
        # The first call of all may have to load or compile what it needs.
        model.sample(2, None if labels is None else labels[:2], **options)
        start = time.process_time()
        samples = model.sample(n, labels, **options)
        drawing = (time.process_time() - start) * 1000 / n
        likelihood = None
        if model.capabilities.log_prob not in ("unnormalized", "none"):
            likelihood = log_density(model, test, points, seed=seed)
        evaluation = evaluated(model.space, samples, test, train, seed=seed, log_prob=likelihood)
        overfit = overfitting(done.history, done.best, done.weights)
        told = [overfit] if overfit else []
        told += [*faults_of_samples(model.space, samples, train), *model.warnings(test.x, test.c)]
    told += [str(w.message) for w in raised if isinstance(w.message, pf.errors.ConvergenceWarning)]
    numbers = model.buffers() if model.closed_form else model.parameters()
    return {
        "kind": model.capabilities.log_prob,
        "labels": labels is not None,
        "steps": done.step,
        "stopped_early": done.stopped_early,
        "training": training,
        "seconds": drawing,
        "parameters": sum(part.numel() for part in numbers),
        "doubts": doubts,
        "warnings": list(dict.fromkeys([*told, *evaluation.warnings])),
        "evaluation": evaluation.to_dict(),
        "log_prob": None if likelihood is None else _rounded(likelihood.value),
    }


def theirs(method: str, sides: Sides, seed: int, seconds: float) -> dict[str, Any]:
    """A peer trained for some seconds of a processor and judged; it warns of nothing."""
    train, test = sides
    shift, scale = train.x.mean(0), train.x.std(0)
    torch.manual_seed(seed)
    start = time.process_time()
    trained: Trained = PEERS[method].train((train.x - shift) / scale, seconds)
    training = time.process_time() - start
    start = time.process_time()
    with torch.no_grad():
        samples = trained.sample(len(test)) * scale + shift
    drawing = (time.process_time() - start) * 1000 / len(test)
    likelihood = None
    if trained.log_prob is not None:
        with torch.no_grad():
            value = trained.log_prob((test.x - shift) / scale).detach() - scale.log().sum()
        likelihood = pf.LogProb(value, torch.zeros_like(value), "exact", 1)
    evaluation = evaluated(Euclidean(), samples, test, train, seed=seed, log_prob=likelihood)
    return {
        "kind": "none" if likelihood is None else "exact",
        "labels": False,
        "steps": trained.steps,
        "training": training,
        "seconds": drawing,
        "parameters": sum(p.numel() for p in trained.net.parameters()),
        "doubts": [],
        "warnings": [],
        "evaluation": evaluation.to_dict(),
        "log_prob": None if likelihood is None else _rounded(likelihood.value),
    }


def _rounded(values: Tensor) -> list[float]:
    return [round(value, 4) for value in values.tolist()]


def run(
    name: str, method: str, seed: int, smoke: bool, known: list[dict[str, Any]]
) -> dict[str, Any] | str:
    """One result, or why there is none."""
    try:
        sides = DATA[name](seed)
    except (ModuleNotFoundError, pf.errors.PushforwardError) as error:
        return f"no data: {error}"
    if smoke:
        sides = Sides(sides.train.take(torch.arange(100)), sides.test.take(torch.arange(30)))
    about: dict[str, Any] = {"data": name, "method": method, "seed": seed, "failed": None}
    try:
        if method in FAMILIES:
            found = ours(method, sides, seed, FEW if name in PICTURES else None, smoke)
        else:
            rival = next((r for r in known if _key(r) == (name, PEERS[method].rival, seed)), None)
            if rival is None or rival["failed"]:
                return f"needs the seconds of {PEERS[method].rival}"
            if name in PICTURES:
                return "knows no pictures"
            if find_spec(PEERS[method].package) is None:
                return f"no {PEERS[method].package} here: make bench-env"
            found = theirs(method, sides, seed, 0.0 if smoke else rival["training"])
    except Exception as error:
        if smoke:
            raise
        # What a library raises is its result here, and no end of the others' hours.
        return about | {"failed": f"{type(error).__name__}: {error}"}
    truth = laws.log_density(name, sides.test.x) if name not in PICTURES else None
    return about | found | {"truth": None if truth is None else -float(truth.mean())}


def _key(result: dict[str, Any]) -> tuple[str, str, int]:
    return result["data"], result["method"], result["seed"]


# -- tables -------------------------------------------------------------------------------------


def beside_the_mixture(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The results with the difference of paired rows from the mixture in the place of the rows."""
    mixtures = {(r["data"], r["seed"]): r for r in results if r["method"] == MIXTURE}
    found = []
    for result in results:
        rival = mixtures.get((result["data"], result["seed"]), {})
        new = {key: value for key, value in result.items() if key != "log_prob"}
        if result["method"] != MIXTURE:
            # What is said of the mixture word for word is said of the data: that they are few.
            common = rival.get("warnings", ())
            new["warnings"] = [text for text in result.get("warnings", ()) if text not in common]
        if result["method"] != MIXTURE and result.get("log_prob") and rival.get("log_prob"):
            behind = torch.tensor(rival["log_prob"]).double() - torch.tensor(result["log_prob"])
            new["behind"] = [float(behind.mean()), float(behind.std() / len(behind) ** 0.5)]
        found.append(new)
    return found


def text(results: list[dict[str, Any]]) -> str:
    """A table per data set."""
    results = beside_the_mixture(results)
    parts = []
    for name in DATA:
        own = [result for result in results if result["data"] == name]
        if own:
            parts.append(f"**{name}**\n\n{_of_one(name, own)}")
    return "\n\n".join(parts)


def _of_one(name: str, results: list[dict[str, Any]]) -> str:
    unit = "bits per dimension" if name in PICTURES else "NLL"
    shown = ["classifier accuracy", "sliced W2"]
    if pf.data.toys.modes(name) is not None:
        shown = ["near a mode", "modes found", *shown]
    head = ["", unit, "behind the mixture", *shown]
    fine = [result for result in results if not result["failed"]]
    truths = list({r["seed"]: r["truth"] for r in fine if r["truth"] is not None}.values())
    truth = mean(truths, 0.0) if truths else "–"
    body = [["real data", truth, "", *(cell(fine, row, "floor") for row in shown), *[""] * 5]]
    for method in METHODS:
        own = [result for result in results if result["method"] == method]
        good = [result for result in own if not result["failed"]]
        failed = f"{len(own) - len(good)} of {len(own)} failed"
        if not own:
            continue
        if not good:
            body.append([method, failed, *[""] * (len(shown) + 6)])
            continue
        cells = [cell(good, unit, "value"), _behind(good)]
        cells += [cell(good, row, "value") for row in shown]
        for key in ("training", "seconds"):
            cells.append(f"{statistics.fmean(result[key] for result in good):.2g}")
        steps, size = (
            f"{statistics.median(result[key] for result in good):,.0f}"
            for key in ("steps", "parameters")
        )
        said = "–" if method in PEERS else _said(good)
        called = method if len(good) == len(own) else f"{method} ({failed})"
        body.append([called, *cells, steps, size, said])
    return record.table([*head, "training s", "s / 1,000", "steps", "parameters", "warnings"], body)


def _behind(results: list[dict[str, Any]]) -> str:
    """The mean difference from the mixture, and how many of its errors that is.

    Tests of different seeds share rows of a table, and few seeds know their spread badly: the error
    is the larger one of that over seeds and that over rows.
    """
    pairs = [result["behind"] for result in results if "behind" in result]
    if not pairs:
        return "–"
    value = statistics.fmean(pair[0] for pair in pairs)
    error = (statistics.fmean(pair[1] ** 2 for pair in pairs) / len(pairs)) ** 0.5
    if len(pairs) > 1:
        spread = statistics.stdev(pair[0] for pair in pairs) / len(pairs) ** 0.5
        error = max(error, spread)
    return f"{value:+.3f} ({value / max(error, 1e-9):+.1f})"


def _said(results: list[dict[str, Any]]) -> str:
    """How many runs warned of something, and how many were worse than the mixture in silence."""
    warned = sum(bool(result["warnings"]) for result in results)
    silent = sum(
        not result["warnings"] and result["behind"][0] > CLEAR * result["behind"][1]
        for result in results
        if "behind" in result
    )
    unsaid = f", **{silent} worse unsaid**" if silent else ""
    return f"{warned} of {len(results)}{unsaid}"


def main() -> None:
    """Train, judge, print, and with `--write` record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="a few steps, to see that it runs")
    parser.add_argument("--write", action="store_true", help="record the results")
    parser.add_argument("--data", nargs="+", default=list(DATA), choices=DATA, help="which data")
    parser.add_argument(
        "--families", nargs="+", default=list(METHODS), choices=METHODS, help="which of them"
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS), help="which seeds")
    parser.add_argument("--part", type=Path, help="add each result to this file (.jsonl)")
    parser.add_argument("--merge", nargs="+", type=Path, help="files of parts, to put together")
    options = parser.parse_args()
    if options.part and options.part.suffix != ".jsonl":
        parser.error(f"--part is a file of lines, NAME.jsonl, not {options.part}")
    if options.smoke:
        options.data, options.seeds = ["correlated", "wine"], [0]
        options.families = [MIXTURE, "matching", "gan, mmd", "torchcfm, its MLP"]
    timing.one_thread()
    if options.merge:
        # The last of two that are the same was measured last.
        results = list({_key(r): r for r in record.parts(options.merge)}.values())
    else:
        results = record.taken_up(options.part) if options.part else []
        for seed in options.seeds:
            for name in options.data:
                for method in options.families:
                    _add(results, name, method, seed, options)
    print(text(results))
    if options.write:
        facts = {"environment": record.environment("scikit-learn", *_packages())}
        record.save("defaults", facts | {"results": beside_the_mixture(results)}, text(results))


def _add(
    results: list[dict[str, Any]], name: str, method: str, seed: int, options: argparse.Namespace
) -> None:
    """Measure what the results do not have yet, and keep it."""
    if method not in ONLY.get(name, METHODS) or any(
        _key(result) == (name, method, seed) for result in results
    ):
        return
    found = run(name, method, seed, options.smoke, results)
    if isinstance(found, str):
        print(f"{name} {method} {seed}: {found}", flush=True)
        return
    results.append(found)
    if options.part:
        with options.part.open("a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")
    own = [result for result in results if _key(result)[::2] == (name, seed)]
    lines = [line for line in text(own).splitlines() if line.startswith(f"| {method}")]
    said = [f"  ! {warning}" for warning in found.get("warnings", ())]
    print(f"{name} {seed}", *lines, *said, sep="\n", flush=True)


def _packages() -> list[str]:
    return [peer.package for peer in PEERS.values()]


if __name__ == "__main__":
    main()
