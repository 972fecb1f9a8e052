"""Time per training step over the time of a loop written by hand.

All train the same network on batches of the same data to predict the noise, with AdamW, clipped
gradients, a learning-rate schedule, averaged weights and a look at every loss for NaN. The
reference does that as directly as torch allows; `fit` is used as users call it; the other
libraries, which have no trainer, serve inside the same loop with what they have: noise, path,
schedule or average.

    make bench-env                                     # peers, in an environment of their own
    .venv-bench/bin/python benchmarks/training_overhead.py --write
"""

from __future__ import annotations

import argparse
import copy
import math
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

AIM = 1.05
PEERS = ("diffusers", "azula", "flow_matching")
WARMUP = 5

Loss = Callable[[nn.Module, Tensor, torch.Generator], Tensor]


def workloads() -> dict[str, tuple[nn.Module, Tensor, int, int]]:
    """A network, data, a batch size and how many steps to time, for each name."""
    torch.manual_seed(0)
    return {
        "MLP 2-d, width 128, batch 256": (pf.nn.MLP(2), torch.randn(4096, 2), 256, 200),
        "U-Net 8x8, batch 64": (
            pf.nn.default_network((1, 8, 8)),
            torch.randn(1024, 1, 8, 8),
            64,
            20,
        ),
    }


def by_hand(net: nn.Module, x: Tensor, generator: torch.Generator) -> Tensor:
    """The squared error of the noise under the VP schedule."""
    t = 1e-3 + (1 - 1e-3) * torch.rand(len(x), generator=generator)
    total = t * (0.1 + 0.5 * 19.9 * t)
    shape = (len(x),) + (1,) * (x.ndim - 1)
    alpha = torch.exp(-0.5 * total).view(shape)
    sigma = torch.sqrt(-torch.expm1(-total)).view(shape)
    noise = torch.randn(x.shape, generator=generator)
    return (net(alpha * x + sigma * noise, t) - noise).square().mean()


def with_diffusers() -> Loss:
    """Noise by its scheduler."""
    from diffusers import DDPMScheduler

    scheduler = DDPMScheduler()

    def loss(net: nn.Module, x: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.randn(x.shape, generator=generator)
        t = torch.randint(0, 1000, (len(x),), generator=generator)
        x_t = scheduler.add_noise(x, noise, t)
        return (net(x_t, t / 1000) - noise).square().mean()

    return loss


def with_azula() -> Loss:
    """Its denoiser's own loss."""
    from azula.denoise import SimpleDenoiser
    from azula.noise import VPSchedule

    schedule = VPSchedule()

    class Backbone(nn.Module):
        """Its call has keyword arguments."""

        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor, t: Tensor, **rest: Any) -> Tensor:
            return self.net(x, t)

    made: dict[int, SimpleDenoiser] = {}

    def loss(net: nn.Module, x: Tensor, generator: torch.Generator) -> Tensor:
        denoiser = made.setdefault(id(net), SimpleDenoiser(Backbone(net), schedule))
        t = torch.rand(len(x), generator=generator)
        return denoiser.loss(x, t).mean()

    return loss


def with_flow_matching() -> Loss:
    """Its straight path, with the velocity as the target."""
    from flow_matching.path import CondOTProbPath

    path = CondOTProbPath()

    def loss(net: nn.Module, x: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.randn(x.shape, generator=generator)
        t = torch.rand(len(x), generator=generator)
        sample = path.sample(t=t, x_0=noise, x_1=x)
        return (net(sample.x_t, 1 - t) - sample.dx_t).square().mean()

    return loss


def loop(loss_of: Loss, original: nn.Module, data: Tensor, batch: int, steps: int) -> float:
    """Seconds for the steps of the loop written by hand."""
    net = copy.deepcopy(original)
    optimizer = torch.optim.AdamW(net.parameters(), 1e-3, fused=True)
    average = copy.deepcopy(net).requires_grad_(False)
    weights = list(average.parameters()), list(net.parameters())
    generator = torch.Generator().manual_seed(0)
    order = torch.cat(
        [torch.randperm(len(data)) for _ in range(1 + (WARMUP + steps) * batch // len(data))]
    )
    start = 0.0
    for k in range(WARMUP + steps):
        if k == WARMUP:
            start = time.process_time()
        x = data.index_select(0, order[k * batch : (k + 1) * batch])
        loss = loss_of(net, x, generator)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(net.parameters(), 1.0, foreach=True)
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * 0.5 * (1 + math.cos(math.pi * k / (WARMUP + steps)))
        optimizer.step()
        optimizer.zero_grad()
        torch._foreach_lerp_(*weights, 1e-3)
        if not math.isfinite(loss.item() + norm.item()):
            raise SystemExit("diverged")
    return time.process_time() - start


class Clock:
    """A tracker that takes the times of the log lines, the first after the warm-up."""

    def __init__(self) -> None:
        self.marks: dict[int, float] = {}

    def log(self, step: int, metrics: dict[str, Any]) -> None:
        """Note when a step was logged."""
        self.marks[step] = time.process_time()

    def close(self) -> None:
        """Nothing to write."""


def fitted(net: nn.Module, data: Tensor, batch: int, steps: int) -> float:
    """Seconds for the same steps of `fit`, with all that it does between them."""
    clock = Clock()
    trainings.fit(
        pf.Diffusion(copy.deepcopy(net), predict="noise", times="uniform"),
        data,
        steps=WARMUP + steps,
        batch_size=batch,
        holdout=0.0,
        log_every=WARMUP,
        trackers=(clock,),
        progress=False,
    )
    return clock.marks[WARMUP + steps] - clock.marks[WARMUP]


def measure(name: str, smoke: bool) -> dict[str, Any]:
    """Ratios to the loop written by hand, for all libraries that are installed."""
    net, data, batch, steps = workloads()[name]
    steps, turns = (5, 1) if smoke else (steps, 9)
    builders = {
        "diffusers": with_diffusers,
        "azula": with_azula,
        "flow_matching": with_flow_matching,
    }
    losses = {"by hand": by_hand} | {p: builders[p]() for p in PEERS if find_spec(p)}
    cases: dict[str, Callable[[], float]] = {
        library: lambda loss=loss: loop(loss, net, data, batch, steps)
        for library, loss in losses.items()
    }
    cases["pushforward"] = lambda: fitted(net, data, batch, steps)
    found, base = timing.ratios(cases, "by hand", turns)
    ratios = {library: [round(v, 3) for v in ratio] for library, ratio in found.items()}
    return {
        "workload": name,
        "steps": steps,
        "turns": turns,
        "by_hand_us": round(base / steps * 1e6, 1),
        "ratios": ratios,
    }


def text(results: list[dict[str, Any]]) -> str:
    """Workloads down, libraries across."""
    libraries = ("pushforward", *PEERS)
    rows = []
    for result in results:
        cells = [result["workload"], f"{result['by_hand_us']:.0f} µs", f"{AIM:.2f}"]
        for library in libraries:
            value = result["ratios"].get(library)
            cells.append("–" if value is None else timing.Ratio(*value).text())
        rows.append(cells)
    return record.table(["network", "by hand", "aim", *libraries], rows)


def main() -> None:
    """Measure, print, and with `--write` record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="a few steps, to see that it runs")
    parser.add_argument("--write", action="store_true", help="record the results")
    options = parser.parse_args()
    timing.one_thread()
    results = [measure(name, options.smoke) for name in workloads()]
    print(text(results))
    if options.write:
        facts = {"environment": record.environment(*PEERS)}
        record.save("training_overhead", facts | {"results": results}, text(results))


if __name__ == "__main__":
    main()
