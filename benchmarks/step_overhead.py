"""Time per network evaluation while sampling, over the time of the bare network.

Whole runs as users call them, from the first noise to the last state, one thread, medians:

    make bench-env                                     # peers, in an environment of their own
    .venv-bench/bin/python benchmarks/step_overhead.py --write
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

import pushforward as pf
import record
import timing

STEPS = 50
AIM = 1.3
"""On a network of a quarter of a millisecond, where a loop written by hand costs 1.22."""

SAMPLERS = (
    "flow euler", "euler", "ddim", "ddpm", "sde", "heun", "dpm++2m", "adams4", "dpm++2m-sde",
    "deis", "unipc", "adams",
)  # fmt: skip
PEERS = ("diffusers", "azula", "flow_matching", "torchebm")


@dataclasses.dataclass(frozen=True)
class Workload:
    """A network and a batch of states for it."""

    name: str
    net: nn.Module
    shape: tuple[int, ...]
    aim: float


def workloads() -> list[Workload]:
    """From a network that costs less than Python's own overhead to one that costs much more."""
    torch.manual_seed(0)
    return [
        Workload("MLP 2 x 128, batch 256", pf.nn.MLP(2, width=128, depth=2), (256, 2), AIM),
        Workload("U-Net 8x8, batch 16", pf.nn.default_network((1, 8, 8)), (16, 1, 8, 8), 1.05),
    ]


def bare(
    net: Callable[[Tensor, Tensor], Tensor], shape: tuple[int, ...], steps: int
) -> Callable[[], Tensor]:
    """The network alone, as often as there are steps."""
    x, t = torch.randn(shape), torch.tensor(0.5).expand(shape[0])

    @torch.no_grad()
    def run() -> Tensor:
        out = x
        for _ in range(steps):
            out = net(x, t)
        return out

    return run


def ours(net: nn.Module, shape: tuple[int, ...], steps: int) -> dict[str, Callable[[], Tensor]]:
    """Samplers of `Diffusion.sample`."""
    return {name: _ours(net, shape, steps, name) for name in SAMPLERS}


def ours_compiled(
    net: nn.Module, shape: tuple[int, ...], steps: int
) -> dict[str, Callable[[], Tensor]]:
    """The same with a compiled step; the few that stand for the rest."""

    def runner(name: str) -> Callable[[], Tensor]:
        return _ours(net, shape, steps, name, pf.samplers.Compiled)

    return {name: runner(name) for name in COMPILED}


COMPILED = ("flow euler", "euler", "ddim", "sde", "heun", "dpm++2m", "adams")


def _ours(
    net: nn.Module,
    shape: tuple[int, ...],
    steps: int,
    name: str,
    wrap: Callable[[Any], Any] = lambda sampler: sampler,
) -> Callable[[], Tensor]:
    flow = name == "flow euler"
    schedule = pf.schedules.Rectified() if flow else pf.schedules.VP()
    model = pf.Diffusion(
        net,
        pf.processes.Gaussian(schedule),
        predict="velocity" if flow else "noise",
        event_shape=shape[1:],
    )
    model.eval().fit_units(torch.randn(100, *shape[1:]))
    sampler = wrap(pf.registry.resolve("samplers", name.removeprefix("flow ")))
    return lambda: model.sample(shape[0], sampler=sampler, steps=steps, denoise=False, seed=0)


def diffusers(
    net: nn.Module, shape: tuple[int, ...], steps: int
) -> dict[str, Callable[[], Tensor]]:
    """The loop of its documentation around its schedulers."""
    from diffusers import (
        DDIMScheduler,
        DDPMScheduler,
        DEISMultistepScheduler,
        DPMSolverMultistepScheduler,
        EulerDiscreteScheduler,
        FlowMatchEulerDiscreteScheduler,
        HeunDiscreteScheduler,
        UniPCMultistepScheduler,
    )

    def runner(kind: Any, **options: Any) -> Callable[[], Tensor]:
        scheduler = kind(**options)

        @torch.no_grad()
        def run() -> Tensor:
            scheduler.set_timesteps(steps)
            x = torch.randn(shape) * getattr(scheduler, "init_noise_sigma", 1.0)
            scale = getattr(scheduler, "scale_model_input", lambda x, t: x)
            for t in scheduler.timesteps:
                out = net(scale(x, t), (t / 1000).float().expand(len(x)))
                x = scheduler.step(out, t, x).prev_sample
            return x

        return run

    return {
        "flow euler": runner(FlowMatchEulerDiscreteScheduler),
        "euler": runner(EulerDiscreteScheduler),
        "ddim": runner(DDIMScheduler, clip_sample=False),
        "ddpm": runner(DDPMScheduler, clip_sample=False),
        "heun": runner(HeunDiscreteScheduler),
        "dpm++2m": runner(DPMSolverMultistepScheduler),
        "dpm++3m": runner(DPMSolverMultistepScheduler, solver_order=3),
        "dpm++2m-sde": runner(DPMSolverMultistepScheduler, algorithm_type="sde-dpmsolver++"),
        "deis": runner(DEISMultistepScheduler, solver_order=3),
        "unipc": runner(UniPCMultistepScheduler),
    }


def azula(net: nn.Module, shape: tuple[int, ...], steps: int) -> dict[str, Callable[[], Tensor]]:
    """Its samplers around its plainest denoiser."""
    from azula import sample
    from azula.denoise import SimpleDenoiser
    from azula.noise import VPSchedule

    denoiser = SimpleDenoiser(_Backbone(net), VPSchedule())

    def runner(kind: Any, **options: Any) -> Callable[[], Tensor]:
        @torch.no_grad()
        def run() -> Tensor:
            sampler = kind(denoiser, steps=steps, silent=True, **options)
            return sampler(sampler.init(shape))

        return run

    return {
        "euler": runner(sample.EulerSampler),
        "ddim": runner(sample.DDIMSampler),
        "ddpm": runner(sample.DDPMSampler),
        "sde": runner(sample.ItoSampler),
        "heun": runner(sample.HeunSampler),
        "adams": runner(sample.zABSampler),
    }


class _Backbone(nn.Module):
    """The network with one time for all states, as azula calls it."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, t: Tensor, **rest: Any) -> Tensor:
        return self.net(x, t.expand(len(x)))


def flow_matching(
    net: nn.Module, shape: tuple[int, ...], steps: int
) -> dict[str, Callable[[], Tensor]]:
    """Its ODE solver at fixed steps."""
    from flow_matching.solver import ODESolver

    # Its times run from noise at 0 to data at 1.
    solver = ODESolver(lambda x, t: net(x, (1 - t).expand(len(x))))

    def runner(method: str) -> Callable[[], Tensor]:
        return lambda: solver.sample(torch.randn(shape), step_size=1 / steps, method=method)

    return {"flow euler": runner("euler"), "heun": runner("midpoint")}


def torchebm(net: nn.Module, shape: tuple[int, ...], steps: int) -> dict[str, Callable[[], Tensor]]:
    """Its flow sampler with fixed steps."""
    from torchebm.samplers import FlowSampler

    def runner(**options: Any) -> Callable[[], Tensor]:
        sampler = FlowSampler(net, integrator="euler_maruyama", **options)
        return lambda: sampler.sample(n_samples=shape[0], dim=shape[1:], n_steps=steps)

    return {
        "flow euler": runner(),
        "sde": runner(mode="sde", interpolant="vp", prediction="noise", last_step=None),
    }


def count(net: nn.Module, run: Callable[[], object]) -> int:
    """How often a run evaluates the network."""
    calls = 0

    def note(*_: Any) -> None:
        nonlocal calls
        calls += 1

    handle = net.register_forward_hook(note)
    run()
    handle.remove()
    return calls


def measure(work: Workload, steps: int, turns: int, compiled: bool) -> dict[str, Any]:
    """Ratios per network evaluation for all libraries that are installed."""
    libraries: dict[str, Callable[..., dict[str, Callable[[], Tensor]]]] = {"pushforward": ours}
    builders = {
        "diffusers": diffusers,
        "azula": azula,
        "flow_matching": flow_matching,
        "torchebm": torchebm,
    }
    libraries |= {name: builders[name] for name in PEERS if find_spec(name)}
    net = work.net.eval().requires_grad_(False)
    cases = {"bare": timing.worked(bare(net, work.shape, steps))}
    evaluations = {}
    for library, build in libraries.items():
        for sampler, run in build(net, work.shape, steps).items():
            cases[f"{library}/{sampler}"] = timing.worked(run)
            evaluations[f"{library}/{sampler}"] = count(net, run)
    found, base = timing.ratios(cases, "bare", turns)
    rows = _per_evaluation(found, steps, evaluations)
    result: dict[str, Any] = {"workload": work.name, "aim": work.aim}
    result |= {"bare_us": round(base / steps * 1e6, 1)}
    if compiled:
        cases = {"bare": timing.worked(bare(torch.compile(net), work.shape, steps))}
        for sampler, run in ours_compiled(net, work.shape, steps).items():
            cases[f"compiled/{sampler}"] = timing.worked(run)
            # A hook would be compiled into the graph; these take the evaluations of the others.
            evaluations[f"compiled/{sampler}"] = evaluations[f"pushforward/{sampler}"]
        found, base = timing.ratios(cases, "bare", turns)
        rows |= _per_evaluation(found, steps, evaluations)
        result["compiled_us"] = round(base / steps * 1e6, 1)
    return result | {"per_evaluation": rows, "evaluations": evaluations}


def _per_evaluation(
    found: dict[str, timing.Ratio], steps: int, evaluations: dict[str, int]
) -> dict[str, list[float]]:
    return {
        name: [round(value * steps / evaluations[name], 3) for value in ratio]
        for name, ratio in found.items()
    }


def text(results: list[dict[str, Any]]) -> str:
    """A table per workload: samplers down, libraries across."""
    parts = []
    for result in results:
        libraries = ("pushforward", "compiled", *PEERS)
        rows = []
        for sampler in SAMPLERS:
            cells = [sampler, f"{result['aim']:.2f}"]
            for library in libraries:
                value = result["per_evaluation"].get(f"{library}/{sampler}")
                cells.append("–" if value is None else timing.Ratio(*value).text())
            rows.append(cells)
        title = f"**{result['workload']}**: the bare network takes {result['bare_us']:.0f} µs"
        if "compiled_us" in result:
            title += f", compiled {result['compiled_us']:.0f} µs"
        heads = ["sampler", "aim", "pushforward", "pushforward, compiled", *PEERS]
        parts.append(f"{title}.\n\n" + record.table(heads, rows))
    return "\n\n".join(parts)


def main() -> None:
    """Measure, print, and with `--write` record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="two steps, to see that it runs")
    parser.add_argument("--write", action="store_true", help="record the results")
    options = parser.parse_args()
    timing.one_thread()
    steps, turns = (2, 1) if options.smoke else (STEPS, 9)
    results = [measure(work, steps, turns, not options.smoke) for work in workloads()]
    print(text(results))
    if options.write:
        facts = {"environment": record.environment(*PEERS), "steps": steps, "turns": turns}
        record.save("step_overhead", facts | {"results": results}, text(results))


if __name__ == "__main__":
    main()
