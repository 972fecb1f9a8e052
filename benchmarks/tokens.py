"""Samplers and bounds of tokens beside exact laws: a Markov source with its exact denoiser.

**Laws.** A stationary Markov chain of 4 symbols and 4 sites, 256 sequences, with the exact
posterior in the place of a network: what is left is the error of the sampler. Total variation from
the source and the entropy that is missing, of 4,000 draws; the row `source` is what as many draws
of the source itself give. A sampler that shows tokens in the order of its confidence has no law
that is known, and none of those that use it report whether theirs is right.

**Hitting.** First hitting beside tau-leaping in up to 1,000 steps on a chain of 8 sites with its
exact denoiser: total variation of the two tokens at each pair of neighboring sites, and what a
sequence takes, in evaluations and in processor time.

**Bounds.** A chain of 27 symbols and 64 sites: the evidence bound of the exact model beside the
entropy, in bits per symbol.

**Precision.** The share of 2^18 symbols of chance 2^-24 each behind one of all the rest, by the
Gumbel trick in single precision and by ours, in 400,000 draws.

    python benchmarks/tokens.py --write
"""

from __future__ import annotations

import math
import time
from typing import Any

import torch

import record
import shared
from pushforward import Transport, grids, processes, registry, samplers, spaces
from pushforward._random import categories, resolve
from pushforward.analytic import AnalyticMarkov, AnalyticTokens

SYMBOLS, SITES, DRAWS = 4, 4, 4_000
PARTS = ("laws", "hitting", "bounds", "precision")
MASKING = ("pinned", "tau-leap", "euler-leap", "remdm", "gibbs", "confidence", "entropy-bounded")
UNIFORM = ("pinned", "tau-leap", "gibbs", "uniformization")
RARE = 2**18


def source(symbols: int, sites: int) -> AnalyticMarkov:
    """A chain whose symbols say much of each other."""
    u = torch.rand(symbols, symbols, generator=torch.Generator().manual_seed(0)).double()
    weights = -torch.log(u).pow(3)
    return AnalyticMarkov(weights.abs() / weights.abs().sum(1, keepdim=True), sites)


def law(process: str, sampler: str, steps: int, seed: int, draws: int) -> dict[str, Any]:
    """How far what a sampler draws is from the source."""
    chain = source(SYMBOLS, SITES)
    exact = AnalyticTokens.markov(chain.transition, SITES).data.probabilities.flatten()
    began = time.perf_counter()
    if sampler == "source":
        x = chain.sample(draws, seed=seed)
    else:
        x = drawn(process, registry.resolve("samplers", sampler), steps, seed, draws, chain)
    seconds = time.perf_counter() - began
    code = (x * SYMBOLS ** torch.arange(SITES - 1, -1, -1)).sum(1)
    found = code.bincount(minlength=SYMBOLS**SITES).double() / draws
    # The plug-in entropy, and what it misses in the mean (Miller 1955).
    plugged = -float(torch.xlogy(found, found).sum())
    entropy = plugged + (int((found > 0).sum()) - 1) / (2 * draws)
    return {
        "tv": float((found - exact).abs().sum() / 2),
        "missing": chain.entropy - entropy,
        "seconds": seconds,
    }


def drawn(
    name: str, rule: Any, steps: int, seed: int, draws: int, chain: AnalyticMarkov
) -> torch.Tensor:
    """Draws of a sampler, all that is left at its last time shown at once."""
    space = spaces.Tokens(SYMBOLS)
    process = processes.Masking(space) if name == "masking" else processes.Jumps(space)
    start, stop = (1.0, 1e-3) if name == "masking" else (0.999, 1e-3)
    times = grids.UniformGrid()(process.schedule, steps, start=start, stop=stop)
    if isinstance(rule, samplers.Uniformization):
        # Rates grow like the inverse of the time at both ends: bounds of short steps are tight.
        stop = 0.01
        near = torch.logspace(-3, math.log10(0.5), steps // 2).double()
        times = [*(1 - near).tolist(), *torch.linspace(0.5, 0.01, 9)[1:].tolist()]
    transport = Transport(chain.model(process), process)
    x = process.prior((chain.sites,)).sample(draws, seed=seed)
    x = samplers.run(rule, transport, x, times, seed=seed + 1)
    return process.finish(transport.model(x, stop), x, stop, resolve(seed + 2))


def hitting(sampler: str, steps: int, seed: int, draws: int) -> dict[str, Any]:
    """How far the pairs of a sampler are from those of a longer source, and what they take."""
    sites = 2 * SITES
    chain = source(SYMBOLS, sites)
    exact = AnalyticTokens.markov(chain.transition, 2).data.probabilities
    began = time.process_time()
    if sampler == "source":
        x = chain.sample(draws, seed=seed)
    else:
        rule = registry.resolve("samplers", sampler)
        x = drawn("masking", rule, steps, seed, draws, chain)
    seconds = time.process_time() - began
    pairs = torch.stack([x[:, :-1], x[:, 1:]], -1) @ torch.tensor([SYMBOLS, 1])
    far = [
        float((pair.bincount(minlength=SYMBOLS**2) / draws - exact.flatten()).abs().sum() / 2)
        for pair in pairs.mT
    ]
    return {
        "tv": sum(far) / len(far),
        # Of the mean over pairs, as if they were independent.
        "stderr": torch.tensor(far).std().item() / len(far) ** 0.5,
        "evaluations": steps,
        "seconds": seconds,
    }


def bound(process: str, draws: int, seed: int) -> dict[str, Any]:
    """The bound of the exact model on draws of the source, beside the entropy."""
    chain, space = source(27, 64), spaces.Tokens(27)
    made = processes.Masking(space) if process == "masking" else processes.Jumps(space)
    start = 1.0 if process == "masking" else 0.999
    x = chain.sample(draws, seed=seed)
    transport = Transport(chain.model(made), made)
    found = samplers.evidence_bound(transport, x, start, 1e-3, draws=64, seed=seed)
    unit = 64 * math.log(2)
    gap = chain.log_prob(x) - found.value
    return {
        "entropy": chain.entropy / unit,
        "bound": -float(found.value.mean()) / unit,
        "gap": float(gap.mean()) / unit,
        "error": float(gap.std()) / draws**0.5 / unit,
    }


def precision(how: str, draws: int, seed: int) -> dict[str, Any]:
    """The share of the rare symbols in draws of a known source."""
    generator, share = resolve(seed), RARE * 2.0**-24
    if how == "double":
        weights = torch.full((RARE + 1,), 2.0**-24, dtype=torch.float64)
        weights[0] = 1 - share
        rare = categories(weights, draws, generator) > 0
    else:
        # The largest of 2^18 numbers of 24 bits, by its own law, stands for all of them.
        v = torch.rand(draws, generator=generator, dtype=torch.float64)
        largest = ((v.log() / RARE).exp() * 2.0**24).floor() * 2.0**-24
        own = torch.rand(draws, generator=generator)
        ours, other = (-torch.log(-torch.log(u.float().clamp_min(1e-38))) for u in (largest, own))
        rare = ours - 24 * math.log(2) > other + math.log1p(-share)
    found = float(rare.double().mean())
    entropy = -(1 - found) * math.log1p(-found) - found * math.log(found / RARE)
    truth = -(1 - share) * math.log1p(-share) - share * math.log(share / RARE)
    return {"share": found / share, "missing": truth - entropy}


def measured(part: str, **case: Any) -> dict[str, Any]:
    """One row."""
    return {"laws": law, "hitting": hitting, "bounds": bound, "precision": precision}[part](**case)


def text(results: list[dict[str, Any]]) -> str:
    """The tables of the documentation."""
    found = []
    own = [r for r in results if r["part"] == "laws"]
    if own:
        steps = sorted({r["steps"] for r in own if r["steps"]})
        rows = []
        for process, sampler in dict.fromkeys((r["process"], r["sampler"]) for r in own):
            mine = {
                r["steps"]: r for r in own if (r["process"], r["sampler"]) == (process, sampler)
            }
            cells = []
            for count in steps:
                r = mine.get(count, mine.get(0))
                cells.append(f"{r['tv']:.3f} ({r['missing']:+.3f})" if r else "")
            rows.append([process, f"`{sampler}`" if sampler != "source" else sampler, *cells])
        head = ["process", "sampler", *(f"{count} steps" for count in steps)]
        found.append(record.table(head, rows))
    own = [r for r in results if r["part"] == "hitting"]
    if own:
        rows = [
            [f"`{r['sampler']}`" if r["sampler"] != "source" else "source",
             str(r["evaluations"] or ""), f"{r['tv']:.4f} ± {r['stderr']:.4f}",
             f"{r['seconds']:.1f}"]
            for r in own
        ]  # fmt: skip
        head = ["masking, 8 sites", "evaluations", "total variation of pairs", "seconds"]
        found.append(record.table(head, rows))
    own = [r for r in results if r["part"] == "bounds"]
    if own:
        rows = [
            [r["process"], f"{r['entropy']:.4f}", f"{r['bound']:.4f}",
             f"{r['gap']:+.4f} ± {r['error']:.4f}"]
            for r in own
        ]  # fmt: skip
        head = ["process", "entropy, bits per symbol", "bound of the same sequences' mean", "gap"]
        found.append(record.table(head, rows))
    own = [r for r in results if r["part"] == "precision"]
    if own:
        rows = [[r["how"], f"{r['share']:.3f}", f"{r['missing']:+.4f}"] for r in own]
        head = ["draws by", "rare symbols, over the truth", "missing entropy, nats"]
        found.append(record.table(head, rows))
    return "\n\n".join(found)


def main() -> None:
    """Measure, print, and with `--write` record."""
    options = shared.arguments(__doc__, parts=(PARTS, "parts")).parse_args()
    draws = 500 if options.smoke else DRAWS
    counts = (4,) if options.smoke else (4, 16, 64)
    cases: list[dict[str, Any]] = [
        {"part": "laws", "process": "", "sampler": "source", "steps": 0, "seed": 0, "draws": draws},
        *(
            {"part": "laws", "process": process, "sampler": sampler, "steps": steps, "seed": 0,
             "draws": draws}
            for process, names in (("masking", MASKING), ("uniform", UNIFORM))
            for sampler in names
            for steps in (counts if sampler != "uniformization" else (max(counts),))
        ),
        {"part": "laws", "process": "masking", "sampler": "first-hitting", "steps": 4, "seed": 0,
         "draws": draws},
        *(
            {"part": "hitting", "sampler": sampler, "steps": steps, "seed": 0,
             "draws": 5 * draws // 2}
            for sampler, steps in (
                ("source", 0),
                ("first-hitting", 2 * SITES),
                *(("tau-leap", steps) for steps in ((8,) if options.smoke else (8, 40, 200, 1000))),
            )
        ),
        *(
            {"part": "bounds", "process": process, "draws": 64 if options.smoke else 200, "seed": 0}
            for process in ("masking", "uniform")
        ),
        *({"part": "precision", "how": how, "draws": 400_000, "seed": 0}
          for how in ("double", "single, Gumbel")),
    ]  # fmt: skip
    results = shared.gathered(options, [c for c in cases if c["part"] in options.parts], measured)
    print(text(results))
    if options.write:
        facts = {"environment": record.environment(), "results": results}
        record.save("tokens", facts, text(results))


if __name__ == "__main__":
    main()
