"""A training step of flow matching with exact transport in each batch, beside torchcfm.

The same perceptron and optimizer on both sides, on one thread of torch; the time of forty steps,
in turns. torchcfm solves each batch where it trains, by POT; ours is solved one
batch ahead in a thread of its own.

    make bench-env                                     # peers, in an environment of their own
    .venv-bench/bin/python benchmarks/coupling_step.py --write
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

import pushforward as pf
import record
import timing
import trainings

ROWS, WIDTH = 10_000, 64
TASKS = {"8gaussians to two moons": 2, "normal laws in 64 dimensions": 64}


class Perceptron(nn.Module):
    """Three hidden layers of SELU units, and time as one more input: the network of torchcfm."""

    shares_time = False

    def __init__(self, dim: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Linear(dim + 1, WIDTH)]
        for _ in range(2):
            layers += [nn.SELU(), nn.Linear(WIDTH, WIDTH)]
        self.layers = nn.Sequential(*layers, nn.SELU(), nn.Linear(WIDTH, dim))

    def forward(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        """The velocity."""
        return self.layers(torch.cat([x, t[:, None]], 1))


def data(dim: int) -> tuple[Tensor, Tensor]:
    """Source and target."""
    if dim == 2:
        return pf.data.load("8gaussians", n=ROWS).x, pf.data.load("two_moons", n=ROWS).x
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, ROWS, dim, generator=generator)
    return a, 0.7 * b + dim**-0.5


def ours(dim: int, batch: int, steps: int, coupling: str) -> Callable[[], float]:
    """`pf.fit`, without averages of the weights and validation, which the other side lacks too."""
    a, b = (pf.data.load(x) for x in data(dim))
    kind: dict[str, Any] = {"batch_size": batch, "holdout": 0.0, "ema": 0.0, "device": "cpu"}

    def case() -> float:
        model = pf.FlowMatching(Perceptron(dim), coupling=coupling)
        run = trainings.fit(
            model, b, source=a, steps=steps, progress=False, log_every=steps, **kind
        )
        # Of the loop: what is made once before it is not a step.
        return run.history[-1]["seconds"]

    return case


def theirs(dim: int, batch: int, steps: int) -> Callable[[], float]:
    """The loop of torchcfm's own examples."""
    from torchcfm.conditional_flow_matching import ExactOptimalTransportConditionalFlowMatcher

    a, b = data(dim)
    matcher = ExactOptimalTransportConditionalFlowMatcher(sigma=0.0)

    def case() -> float:
        net = Perceptron(dim)
        start = time.perf_counter()
        optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
        for _ in range(steps):
            rows, others = torch.randint(ROWS, (2, batch))
            t, x_t, u_t = matcher.sample_location_and_conditional_flow(a[rows], b[others])
            loss = (net(x_t, t) - u_t).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return time.perf_counter() - start

    return case


def measure(steps: int, turns: int, batches: tuple[int, ...]) -> list[dict[str, Any]]:
    """One row for each task and batch size."""
    rows = []
    peer = "torchcfm" if find_spec("torchcfm") else "ours, independent"
    for task, dim in TASKS.items():
        for batch in batches:
            cases = {
                "ours": ours(dim, batch, steps, "ot"),
                "ours, independent": ours(dim, batch, steps, "independent"),
            }
            if peer == "torchcfm":
                cases[peer] = theirs(dim, batch, steps)
            found, base = timing.ratios(cases, peer, turns)
            row = {"task": task, "batch": batch, f"{peer}_ms": 1e3 * base / steps}
            rows.append(row | {name: ratio._asdict() for name, ratio in found.items()})
            print(row | {name: ratio.text() for name, ratio in found.items()}, flush=True)
    return rows


def main() -> None:
    """Measure and, if asked to, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    parser.add_argument("--smoke", action="store_true", help="a few steps, nothing written")
    options = parser.parse_args()
    timing.one_thread()
    torch.manual_seed(0)
    if options.smoke:
        measure(2, 1, (32,))
        return
    rows = measure(40, 3, (128, 512))
    if not options.write:
        return
    if not find_spec("torchcfm"):
        raise SystemExit("torchcfm is not installed here: make bench-env")
    head = ["", "batch", "torchcfm, ms", "ours / torchcfm", "ours, independent pairs / torchcfm"]
    body = [
        [
            row["task"],
            str(row["batch"]),
            f"{row['torchcfm_ms']:.1f}",
            *(timing.Ratio(**row[name]).text() for name in ("ours", "ours, independent")),
        ]
        for row in rows
    ]
    results = {"environment": record.environment("torchcfm", "pot", "scipy"), "rows": rows}
    record.save("coupling_step", results, record.table(head, body))


if __name__ == "__main__":
    main()
