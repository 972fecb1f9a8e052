"""Normalizing flows beside zuko and normflows: likelihood at equal training time, and speed.

The same transforms, widths and depths; the same data, standardized before; the same optimizer. Each
is trained for the same processor time, with the step of least loss on a tenth of the training data
in the end. Speed is that of a training step on 256 states, and of the density and a draw of as
many. The affine autoregressive layers of normflows run the other way, fast in the draw and slow in
the density, and are left out.

    make bench-env
    .venv-bench/bin/python benchmarks/flows.py --write
"""

from __future__ import annotations

import argparse
import copy
import math
import statistics
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

import pushforward as pf
import record
import timing
from pushforward.metrics import Estimate, dequantized

KINDS = {"affine autoregressive": 5, "spline autoregressive": 3, "spline coupling": 4}
"""The transforms, and how many of them."""
WIDTH, BINS, BATCH = 128, 8, 256
PLANE = ("two_moons", "8gaussians", "checkerboard")
BUDGET = {"digits": 6.0} | dict.fromkeys(PLANE, 2.5)
"""Seconds of a processor in training."""
PEERS = ("zuko", "normflows")


class Flow(NamedTuple):
    """What all libraries can do: mean negative log-likelihood, log-densities, draws."""

    module: nn.Module
    loss: Callable[[Tensor], Tensor]
    log_prob: Callable[[Tensor], Tensor]
    sample: Callable[[int], Tensor]


def ours(kind: str, d: int) -> Flow:
    """A `NormalizingFlow`."""
    name = {"affine autoregressive": "maf"}.get(kind, kind.replace(" ", "-"))
    options: dict[str, Any] = {} if name == "maf" else {"bins": BINS}
    data = pf.data.Data(torch.zeros(2, d))
    model = pf.NormalizingFlow.for_data(
        data, kind=name, layers=KINDS[kind], width=WIDTH, depth=2, **options
    )
    return Flow(
        model,
        lambda x: model.loss(x).mean(),
        lambda x: model.log_prob(x).value,
        lambda n: model.sample(n),
    )


def zuko(kind: str, d: int) -> Flow:
    """A lazy flow of zuko, made with each call as its users do."""
    import zuko

    options: dict[str, Any] = {"transforms": KINDS[kind], "hidden_features": (WIDTH, WIDTH)}
    if kind == "affine autoregressive":
        flow = zuko.flows.MAF(d, **options)
    else:
        passes = 2 if kind == "spline coupling" else None
        flow = zuko.flows.NSF(d, bins=BINS, passes=passes, **options)
    return Flow(
        flow,
        lambda x: -flow().log_prob(x).mean(),
        lambda x: flow().log_prob(x),
        lambda n: flow().sample((n,)),
    )


def normflows(kind: str, d: int) -> Flow:
    """Layers of normflows, in alternating orders."""
    import normflows as nf

    parts: list[nn.Module] = []
    for k in range(KINDS[kind]):
        if kind == "spline autoregressive":
            options = {"num_bins": BINS, "permute_mask": bool(k % 2)}
            parts += [nf.flows.AutoregressiveRationalQuadraticSpline(d, 1, WIDTH, **options)]
        else:
            options = {"num_bins": BINS, "reverse_mask": bool(k % 2)}
            parts += [nf.flows.CoupledRationalQuadraticSpline(d, 1, WIDTH, **options)]
    flow = nf.NormalizingFlow(nf.distributions.DiagGaussian(d, trainable=False), parts)
    return Flow(flow, flow.forward_kld, flow.log_prob, lambda n: flow.sample(n)[0])


LIBRARIES = {"pushforward": ours, "zuko": zuko, "normflows": normflows}


def those(kind: str) -> list[str]:
    """The libraries at hand that have a transform in the direction of ours."""
    missing = ("normflows",) if kind == "affine autoregressive" else ()
    return [n for n in LIBRARIES if n not in missing and (n not in PEERS or find_spec(n))]


class Task(NamedTuple):
    """Standardized data, and what to add to a log-density for the data's own units."""

    train: Tensor
    held: Tensor
    test: Tensor
    shift: float


def task(name: str, seed: int, smoke: bool) -> Task:
    """Data to learn from, to choose the best step by, and to judge by."""
    if name == "digits":
        data = pf.data.load("digits", label=False)
        generator = torch.Generator().manual_seed(seed)
        x = dequantized(data.x, data.levels, data.value_range, generator=generator).flatten(1)
        whole, test = pf.data.Data(x).split(0.1, seed=0)
    else:
        whole = pf.data.load(name, n=5000, seed=seed, label=False)
        test = pf.data.load(name, n=5000, seed=1000 + seed, label=False)
    train, held = whole.split(0.1, seed=seed)
    if smoke:
        train = train.take(torch.arange(300))
    mean, std = train.x.mean(0), train.x.std(0) + 1e-3
    parts = [(part.x - mean) / std for part in (train, held, test)]
    return Task(*parts, -float(std.log().sum()))


def fitted(flow: Flow, of: Task, budget: float, seed: int, steps: int | None) -> tuple[Any, int]:
    """The negative log-likelihoods of the test data `(N,)` after training, and its steps."""
    optimizer = torch.optim.Adam(flow.module.parameters(), lr=1e-3)
    generator = torch.Generator().manual_seed(seed)
    best, kept, spent, looks, count = math.inf, None, 0.0, 0, 0
    flow.module.train()
    while spent < budget and (steps is None or count < steps):
        start = time.process_time()
        rows = torch.randint(len(of.train), (BATCH,), generator=generator)
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * (1 + math.cos(math.pi * spent / budget)) / 2
        _step(flow, optimizer, of.train[rows])
        spent += time.process_time() - start
        count += 1
        if spent > (looks + 1) * budget / 20 or count == steps:
            looks += 1
            value = -float(_judged(flow, of.held).mean())
            if value < best:
                best, kept = value, copy.deepcopy(flow.module.state_dict())
    if kept is not None:
        flow.module.load_state_dict(kept)
    return -_judged(flow, of.test) - of.shift, count


def qualities(name: str, seed: int, smoke: bool) -> Iterator[dict[str, Any]]:
    """Every transform of every library, learned from one set."""
    of = task(name, seed, smoke)
    for kind in KINDS:
        for library in those(kind):
            torch.manual_seed(seed)
            flow = LIBRARIES[library](kind, of.train.shape[1])
            nll, steps = fitted(flow, of, BUDGET[name], seed, 2 if smoke else None)
            value, error = float(nll.mean()), float(nll.std() / len(nll) ** 0.5)
            entry = {"data": name, "seed": seed, "kind": kind, "library": library}
            yield entry | {"value": value, "stderr": error, "steps": steps}


def _step(flow: Flow, optimizer: torch.optim.Optimizer, x: Tensor) -> None:
    optimizer.zero_grad()
    flow.loss(x).backward()
    # All of them diverge now and then without.
    nn.utils.clip_grad_norm_(flow.module.parameters(), 5.0)
    optimizer.step()


@torch.no_grad()
def _judged(flow: Flow, x: Tensor) -> Tensor:
    flow.module.eval()
    found = torch.cat([flow.log_prob(part) for part in x.split(1000)])
    flow.module.train()
    return found


def speeds(kind: str, d: int, turns: int) -> Iterator[dict[str, Any]]:
    """The time of each library over ours, after some steps away from the identity."""
    torch.manual_seed(0)
    x = torch.randn(1000, d) * torch.rand(d).add(0.5)
    flows = {name: LIBRARIES[name](kind, d) for name in those(kind)}
    optimizers = {n: torch.optim.Adam(f.module.parameters(), lr=1e-3) for n, f in flows.items()}
    for name, flow in flows.items():
        for _ in range(30 if turns > 1 else 1):
            _step(flow, optimizers[name], x[torch.randint(len(x), (BATCH,))] ** 3 / 4)

    def work(name: str, what: str) -> Callable[[], object]:
        flow = flows[name]
        if what == "training step":
            flow.module.train()
            return lambda: _step(flow, optimizers[name], x[:BATCH])
        run = {"density": lambda: flow.log_prob(x[:BATCH]), "draw": lambda: flow.sample(BATCH)}[
            what
        ]
        return torch.no_grad()(run)

    for what in ("training step", "density", "draw"):
        cases = {name: timing.worked(work(name, what)) for name in flows}
        # Numbers of one turn each: a slow draw need not be repeated as often.
        found, base = timing.ratios(cases, "pushforward", 2 if what == "draw" and d > 2 else turns)
        ratios = {name: ratio._asdict() for name, ratio in found.items()}
        yield {"kind": kind, "d": d, "what": what, "seconds": base, "ratios": ratios}


def text(quality: list[dict[str, Any]], speed: list[dict[str, Any]]) -> str:
    """One table of likelihoods, one of times."""
    names = list(dict.fromkeys(row["data"] for row in quality))
    libraries = list(dict.fromkeys(row["library"] for row in quality))
    body = []
    for kind in KINDS:
        for library in libraries:
            if not any((row["kind"], row["library"]) == (kind, library) for row in quality):
                continue
            cells = []
            for name in names:
                own = [
                    row for row in quality
                    if (row["data"], row["kind"], row["library"]) == (name, kind, library)
                ]  # fmt: skip
                cells.append(_cell(own))
            body.append([kind, library, *cells])
    first = record.table(["negative log-likelihood, nats", "", *names], body)
    peers = [name for name in libraries if name != "pushforward"]
    body = [
        [
            row["kind"], str(row["d"]), row["what"], f"{1000 * row['seconds']:.3g}",
            *(_ratio(row["ratios"].get(peer)) for peer in peers),
        ]
        for row in speed
    ]  # fmt: skip
    head = ["", "dimension", "", "ours, ms", *(f"{peer} / ours" for peer in peers)]
    return f"{first}\n\n{record.table(head, body)}"


def _ratio(found: dict[str, float] | None) -> str:
    return "–" if found is None else timing.Ratio(**found).text()


def _cell(rows: list[dict[str, Any]]) -> str:
    values = [row["value"] for row in rows]
    if not values:
        return "–"
    error = rows[0]["stderr"]
    if len(values) > 1:
        error = statistics.stdev(values) / len(values) ** 0.5
    steps = statistics.fmean(row["steps"] for row in rows)
    return f"{Estimate(statistics.fmean(values), error, len(values))} ({steps:,.0f} steps)"


def main() -> None:
    """Train, time, print, and with `--write` record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="a few steps, to see that it runs")
    parser.add_argument("--write", action="store_true", help="record the results")
    parser.add_argument("--seeds", type=int, default=3, help="of the sets in the plane")
    smoke = (options := parser.parse_args()).smoke
    timing.one_thread()
    speed = [
        row
        for d in ((2,) if smoke else (2, 128))
        for kind in KINDS
        for row in speeds(kind, d, 1 if smoke else 9)
    ]
    quality = [
        row
        for name in (("two_moons",) if smoke else (*PLANE, "digits"))
        for seed in range(1 if smoke or name == "digits" else options.seeds)
        for row in qualities(name, seed, smoke)
    ]
    print(text(quality, speed))
    if options.write:
        facts = {"environment": record.environment(*PEERS), "budget": BUDGET}
        facts |= {"quality": quality, "speed": speed}
        record.save("flows", facts, text(quality, speed))


if __name__ == "__main__":
    main()
