"""What is known of built-in targets, recomputed; chains beside their moments; intervals of log Z.

`references` recomputes `log Z` by tempered sequential Monte Carlo from two starts, beside what each
target states; `moments` compares draws of NUTS with the moments that are known, and with the ground
truths of inference-gym, read from its files; `coverage` counts how many of one hundred intervals
hold the truth; `peers` compares effective sample sizes per gradient with blackjax, if that is
installed. Targets whose data are missing are left out, and named.

    python benchmarks/targets.py --data FOLDER --gym FOLDER --write
    python benchmarks/targets.py --tables references --names seeds sonar --data FOLDER
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import record
import shared
import timing
from pushforward import evidence, mcmc, registry, targets
from pushforward.errors import ConvergenceError, InputError
from pushforward.targets.data_files import constants_of

TABLES = ("references", "moments", "coverage", "peers")
NAMES = (
    "funnel", "funnel-1", "banana", "student", "mixture-40", "many-well", "many-well-5", "dw-4",
    "lj-13", "ionosphere", "sonar", "credit", "credit-1", "credit-centered", "cancer", "cancer-1",
    "seeds", "brownian", "eight-schools", "eight-schools-noncentered", "lgcp-126", "lgcp-127",
)  # fmt: skip
FEWER: dict[str, dict[str, Any]] = {
    name: {"islands": 2, "particles": 256, "most": 4, "aim": 0.05}
    for name in ("lgcp-126", "lgcp-127")
}
"""Of 1,600 numbers, with products of matrices as large."""
SEEDS = (0,)
COVERED = ("ionosphere", "sonar", "credit-1")
PEERS = ("student", "banana", "eight-schools-noncentered")
DATA: dict[str, Path | None] = {"data": None, "gym": None}
SMALL: dict[str, bool] = {"smoke": False}


def target_of(name: str) -> targets.Target | None:
    """A built-in target; `None` where its data are missing."""
    make = registry.find("targets", name)
    try:
        needs = name in ("ionosphere", "sonar") or name.startswith(("credit", "cancer", "lgcp"))
        found: targets.Target = make(data=DATA["data"]) if needs else make()
    except InputError as error:
        print(f"{name} is left out: {error}")
        return None
    return found


def references(name: str, seed: int) -> dict[str, Any] | None:
    """`log Z` by two starts, beside what is stated."""
    target = target_of(name)
    if target is None:
        return None
    begin = time.process_time()
    size = FEWER.get(name, {})
    if SMALL["smoke"]:
        size = {"islands": 2, "particles": 16}
    try:
        found = evidence.log_z(target, seed=seed, **size)
    except ConvergenceError as error:
        return {"converged": False, "method": str(error), "stated": target.reference.log_z}
    known = target.reference
    return {
        "value": round(found.value, 4), "stderr": round(found.stderr, 4),
        "lower": round(found.lower, 4), "upper": round(found.upper, 4),
        "converged": found.converged, "method": found.method, "stated": known.log_z,
        "error of what is stated": known.stderr, "runs": len(found.runs),
        "seconds": round(time.process_time() - begin, 1),
    }  # fmt: skip


_GYM: dict[str, tuple[str, Callable[[dict[str, Tensor]], tuple[Tensor, Tensor]]]] = {
    "eight-schools": (
        "eight_schools.py",
        lambda c: (
            torch.cat([c[f"IDENTITY_{k}_MEAN"].flatten() for k in _SCHOOLS]),
            torch.cat([c[f"IDENTITY_{k}_MEAN_STANDARD_ERROR"].flatten() for k in _SCHOOLS]),
        ),
    ),
    "brownian": (
        "brownian_motion_unknown_scales_missing_middle_observations.py",
        lambda c: (
            torch.cat([c[f"IDENTITY_{k}_MEAN"].flatten() for k in _BRIDGE]),
            torch.cat([c[f"IDENTITY_{k}_MEAN_STANDARD_ERROR"].flatten() for k in _BRIDGE]),
        ),
    ),
    "credit-centered": (
        "german_credit_numeric_logistic_regression.py",
        # Its column of ones comes last.
        lambda c: (c["IDENTITY_MEAN"].roll(1), c["IDENTITY_MEAN_STANDARD_ERROR"].roll(1)),
    ),
}  # fmt: skip
_SCHOOLS = ("AVG_EFFECT", "LOG_STDDEV", "SCHOOL_EFFECTS")
_BRIDGE = ("INNOVATION_NOISE_SCALE", "OBSERVATION_NOISE_SCALE", "LOCS")


def moments(name: str, seed: int) -> dict[str, Any] | None:
    """The largest distance of means from the truth, in standard errors."""
    target = target_of(name)
    truth = None if target is None else truth_of(name, target)
    if target is None or truth is None:
        return None
    draws = {"draws": 20, "warmup": 20} if SMALL["smoke"] else {"draws": 500, "warmup": 500}
    found = target.chains(32, seed=seed, **draws)
    own = found.summary()
    mean, error = truth
    far = ((own.mean - mean) / torch.hypot(own.mcse, error)).abs()
    return {
        "worst z": round(float(far.max()), 2), "numbers": far.numel(),
        "r_hat": round(float(own.r_hat.max()), 4), "ess": round(float(own.bulk.min()), 1),
        "warnings": found.warnings(target.names),
    }  # fmt: skip


def truth_of(name: str, target: targets.Target) -> tuple[Tensor, Tensor] | None:
    """Means and their standard errors: of the reference, or of inference-gym."""
    known = target.reference
    if known.mean is not None:
        return known.mean, torch.zeros_like(known.mean)
    if name in _GYM and DATA["gym"] is not None:
        file, read = _GYM[name]
        return read(constants_of(DATA["gym"] / "targets" / "ground_truth" / file))
    return None


def coverage(name: str, seed: int) -> dict[str, Any] | None:
    """Of intervals at 90 %, of eight runs each, how many hold the truth, how many are trusted."""
    target = target_of(name)
    if target is None or target.reference.log_z is None:
        return None
    noise = torch.Generator().manual_seed(seed)
    start = evidence.laplace_start(target, target.start(64, generator=noise), inflate=1.5)
    # As many moves between the states of a chain as by default, and far fewer particles.
    pilot = evidence.temper(target, start, 4, 128, thin=4, generator=noise)
    repeats = 4 if SMALL["smoke"] else 100
    runs = evidence.temper(
        target, start, 8 * repeats, 128, ladder=pilot.ladder, thin=4, generator=noise
    )
    found = [evidence.combined(part, "smc", 1.0) for part in runs.log_z.split(8)]
    truth = target.reference.log_z
    held = sum(one.lower <= truth <= one.upper for one in found)
    mean = sum(one.stderr for one in found) / repeats
    trusted = sum(one.converged for one in found)
    return {"held": held, "of": repeats, "trusted": trusted, "mean stderr": round(mean, 4)}


def peers(name: str, seed: int) -> dict[str, Any] | None:
    """Effective sample sizes per gradient after warm-up, here and of blackjax."""
    target = target_of(name)
    if target is None:
        return None
    draws = {"draws": 20, "warmup": 20} if SMALL["smoke"] else {"draws": 500, "warmup": 500}
    begin = time.perf_counter()
    found = mcmc.sample_chains(target, target.start(8, seed=seed), seed=seed, **draws)
    seconds = time.perf_counter() - begin
    size = float(mcmc.bulk_ess(found.x).min())
    result = {
        "ess per gradient": round(size / float(found.evaluations.sum()), 4),
        "seconds": round(seconds, 1),
    }
    try:
        import peers_of_chains
    except ImportError as error:
        print(f"blackjax is left out: {error}")
        return result
    return result | peers_of_chains.blackjax_nuts(name, target.start(8, seed=seed), seed, **draws)


RUNS: dict[str, Callable[[str, int], dict[str, Any] | None]] = {
    "references": references, "moments": moments, "coverage": coverage, "peers": peers,
}  # fmt: skip


def run(table: str, name: str, seed: int) -> dict[str, Any] | None:
    """One row of a table."""
    return RUNS[table](name, seed)


def text(results: list[dict[str, Any]]) -> str:
    """A table of references, and the others with what their rows have."""
    parts = []
    for table in TABLES:
        own = [
            r | ({"warned of": "yes" if r["warnings"] else "no"} if "warnings" in r else {})
            for r in results
            if r["table"] == table
        ]
        if own and table == "references":
            head = ["target", "log Z, known", "training-free", "90 %", "trusted", "CPU seconds"]
            parts.append(record.table(head, [_reference_row(r) for r in own]))
        elif own:
            left_out = ("table", "seed", "warnings")
            keys = [key for key in dict.fromkeys(k for r in own for k in r) if key not in left_out]
            rows = [[str(r.get(key, "–")) for key in keys] for r in own]
            parts.append(record.table(keys, rows))
    return "\n\n".join(parts)


def _reference_row(result: dict[str, Any]) -> list[str]:
    """Cells of a target; where two starts disagree, the interval covers both."""
    stated = result["stated"]
    known = "–" if stated is None else f"{stated:.4f}"
    if stated is not None and result.get("error of what is stated"):
        known += f" ± {result['error of what is stated']:g}"
    if "value" not in result:
        return [result["name"], known, result["method"], "–", "no", "–"]
    return [
        result["name"], known, f"{result['value']:.4f} ± {result['stderr']:.4f}",
        f"[{result['lower']:.3f}, {result['upper']:.3f}]",
        "yes" if result["converged"] else "**no**", str(result["seconds"]),
    ]  # fmt: skip


def main() -> None:
    """Recompute, print, and with `--write` record."""
    parser = shared.arguments(
        __doc__,
        tables=(TABLES, "which"),
        names=(NAMES, "of targets"),
        seeds=(SEEDS, "of all randomness"),
    )
    parser.add_argument("--data", type=Path, help="the folder with the data of posteriors")
    parser.add_argument("--gym", type=Path, help="the folder inference_gym, for its ground truths")
    options = parser.parse_args()
    timing.one_thread()
    DATA.update(data=options.data, gym=options.gym)
    SMALL["smoke"] = options.smoke
    if options.smoke:
        options.names, options.seeds = ["student", "many-well-5"], [0]
    chosen = {"coverage": COVERED, "peers": PEERS}
    cases = [
        {"table": table, "name": name, "seed": seed}
        for table in options.tables
        for seed in options.seeds
        for name in options.names
        if name in chosen.get(table, NAMES)
    ]
    results = shared.gathered(options, cases, run)
    print(text(results))
    if options.write:
        facts = {"environment": record.environment(), "results": results}
        record.save("targets", facts, text(results))


if __name__ == "__main__":
    main()
