"""The error of samplers against network evaluations, on analytic models, ours and other libraries'.

Every sampler starts from the same states and gets the exact posterior mean, so that what differs is
the sampler alone. The last evaluation always denoises the end of the path.

    make bench-env                                     # peers, in an environment of their own
    .venv-bench/bin/python benchmarks/solver_error.py --write
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import math
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import pushforward as pf
import record
import timing
from pushforward import grids, registry, samplers

NFE = (5, 8, 10, 15, 20, 50)
SCHEDULE = pf.schedules.VP()
PROCESS = pf.processes.Gaussian(SCHEDULE)
PEERS = ("diffusers", "azula", "k-diffusion", "scikit-learn")

# From states at the schedule's `t_max` to denoised states, in a number of evaluations.
Method = Callable[[Tensor, int], Tensor]
# The posterior mean at a state and its coefficients: all that a library needs to know of a problem.
Mean = Callable[[Tensor, Tensor | float, Tensor | float], Tensor]


def problems() -> dict[str, tuple[pf.analytic.AnalyticMixture, int, int]]:
    """Analytic models of unit variance, with how many paths and how many samples are judged."""
    ring = pf.analytic.AnalyticMixture.ring().data.means.double()
    generator = torch.Generator().manual_seed(3)
    means = torch.randn(4, 16, generator=generator).double()
    factor = torch.randn(4, 16, 16, generator=generator).double() / 8
    wide = pf.distributions.GaussianMixture(
        means, factor @ factor.mT + 0.05 * torch.eye(16).double()
    )
    digits = pf.data.load("digits").x.flatten(1).double()
    digits = (digits - digits.mean()) / digits.std()
    return {
        "8 Gaussians in 2-d": (
            pf.analytic.AnalyticMixture(pf.distributions.GaussianMixture(ring / 1.43, 0.14**2)),
            500,
            4000,
        ),
        "4 Gaussians in 16-d": (pf.analytic.AnalyticMixture(wide), 500, 4000),
        "mixture on 1,797 digits, 64-d": (
            pf.analytic.AnalyticMixture(pf.distributions.GaussianMixture(digits, 0.1**2)),
            100,
            600,
        ),
    }


def levels(rule: grids.Grid, count: int) -> Tensor:
    """The noise levels `sigma / alpha` of `count` evaluations."""
    times = rule(SCHEDULE, count - 1)
    return torch.tensor([s / a for a, s in map(SCHEDULE.values, times)], dtype=torch.float64)


def ours(mean: Mean, fitted: Callable[[int, str], grids.Grid]) -> dict[str, Method]:
    """Our samplers on the default grid, and recommended ones on a grid fitted to the problem."""

    def model(x: Tensor, t: Any, c: Any = None) -> Tensor:
        return mean(x, *SCHEDULE.values(t))

    transport = pf.Transport(model, PROCESS)

    def method(name: str, rule: Callable[[int], grids.Grid]) -> Method:
        sampler = registry.resolve("samplers", name)

        def run(x: Tensor, count: int) -> Tensor:
            steps = (count - 1) // sampler.evaluations
            times = rule(steps)(SCHEDULE, steps)
            return model(samplers.run(sampler, transport, x, times, seed=0), times[-1])

        return run

    plain = {
        f"ours {name}": method(name, lambda steps: grids.LogSNRGrid())
        for name in ("ddim", "heun", "dpm++2m", "deis", "unipc", "unipc3", "adams", "adams4")
    }
    best = {
        f"ours {name}, fitted grid": method(name, lambda steps, name=name: fitted(steps, name))
        for name in ("adams", "adams4")
    }
    return plain | best


def diffusers(mean: Mean) -> dict[str, Method]:
    """Its schedulers around the exact noise, on its own default spacing and on two grids."""
    import diffusers as library

    library.utils.logging.set_verbosity_error()

    def method(kind: Any, rule: grids.Grid | None, **options: Any) -> Method:
        betas = {"beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}

        def run(x: Tensor, count: int) -> Tensor:
            scheduler = kind(**betas, **options)
            heun = kind is library.HeunDiscreteScheduler
            steps = count // 2 if heun else count
            scheduler.set_timesteps(steps)
            if rule is not None:
                u = levels(rule, steps).float()
                if heun:
                    u = torch.cat([u[:1], u[1:].repeat_interleave(2)])
                scheduler.sigmas = torch.cat([u, torch.zeros(1)])
                scheduler.timesteps = torch.arange(len(u), 0, -1).float()
            # Its variance-exploding schedulers keep x / alpha.
            exploding = heun
            alpha, _ = SCHEDULE.values(SCHEDULE.t_max)
            state = x / alpha if exploding else x
            for k, t in enumerate(scheduler.timesteps):
                u = scheduler.sigmas[k]
                a = 1 / (1 + u**2) ** 0.5
                point = state * a if exploding else state
                noise = (point - a * mean(point, a, a * u)) / (a * u)
                state = scheduler.step(noise, t, state).prev_sample
            return state

        return run

    dpm, unipc = library.DPMSolverMultistepScheduler, library.UniPCMultistepScheduler
    karras, log_snr = grids.KarrasGrid(), grids.LogSNRGrid()
    to_zero = {"final_sigmas_type": "zero"}
    return {
        "diffusers DPM++ 2M": method(dpm, None, **to_zero),
        "diffusers DPM++ 2M, Karras grid": method(dpm, karras, **to_zero),
        "diffusers DPM++ 2M, our grid": method(dpm, log_snr, **to_zero),
        "diffusers DPM++ 3M, our grid": method(dpm, log_snr, solver_order=3, **to_zero),
        "diffusers UniPC": method(unipc, None, **to_zero),
        "diffusers UniPC, Karras grid": method(unipc, karras, **to_zero),
        "diffusers UniPC, our grid": method(unipc, log_snr, **to_zero),
        "diffusers Heun, Karras grid": method(library.HeunDiscreteScheduler, karras),
    }


def azula(mean: Mean) -> dict[str, Method]:
    """Its Adams-Bashforth samplers on its own grid and on ours."""
    from azula import denoise, noise, sample

    class Exact(noise.Schedule):
        def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
            return SCHEDULE(t.double().clamp(SCHEDULE.t_min, 1.0))

    class Denoiser(denoise.Denoiser):
        schedule = Exact()

        def forward(self, x: Tensor, t: Tensor, **rest: Any) -> Any:
            return denoise.DiracPosterior(mean=mean(x, *self.schedule(t)))

    def method(kind: Any, rule: grids.Grid, **options: Any) -> Method:
        class Placed(kind):
            @property
            def timesteps(self) -> Tensor:
                return torch.tensor(rule(SCHEDULE, self.steps), dtype=torch.float64)

        def run(x: Tensor, count: int) -> Tensor:
            steps = (count - 1) // (2 if kind is sample.HeunSampler else 1)
            end = Placed(Denoiser(), steps=steps, silent=True, **options)(x.double()).float()
            return mean(end, *SCHEDULE.values(SCHEDULE.t_min))

        return run

    own, better = grids.UniformGrid(), grids.LogSNRGrid()
    return {
        "azula zAB": method(sample.zABSampler, own),
        "azula zEAB": method(sample.zEABSampler, own),
        "azula zEAB, our grid": method(sample.zEABSampler, better),
        "azula xEAB, our grid": method(sample.xEABSampler, better),
        "azula Heun, our grid": method(sample.HeunSampler, better),
    }


def k_diffusion(mean: Mean) -> dict[str, Method]:
    """Its sampling module, on Karras' grid and on ours."""
    sampling = _k_sampling()

    def method(name: str, rule: grids.Grid) -> Method:
        def denoised(y: Tensor, u: Tensor, **rest: Any) -> Tensor:
            a = 1 / (1 + u[0] ** 2) ** 0.5
            return mean(a * y, a, a * u[0])

        def run(x: Tensor, count: int) -> Tensor:
            steps = (count + 1) // 2 if name == "sample_heun" else count
            u = torch.cat([levels(rule, steps).float(), torch.zeros(1)])
            start = x / SCHEDULE.values(SCHEDULE.t_max)[0]
            return getattr(sampling, name)(denoised, start, u, disable=True)

        return run

    return {
        "k-diffusion dpmpp_2m, Karras grid": method("sample_dpmpp_2m", grids.KarrasGrid()),
        "k-diffusion dpmpp_2m, our grid": method("sample_dpmpp_2m", grids.LogSNRGrid()),
        "k-diffusion heun, Karras grid": method("sample_heun", grids.KarrasGrid()),
        "k-diffusion lms, Karras grid": method("sample_lms", grids.KarrasGrid()),
    }


@functools.cache
def _k_sampling() -> Any:
    """The module alone: the package imports all that it can be trained and judged with."""
    spec = importlib.util.find_spec("k_diffusion")
    assert spec is not None
    assert spec.origin is not None
    package = types.ModuleType("k_diffusion")
    package.__path__ = [str(Path(spec.origin).parent)]
    tools = types.ModuleType("k_diffusion.utils")
    tools.append_dims = lambda x, n: x.reshape(x.shape + (1,) * (n - x.ndim))  # type: ignore[attr-defined]
    package.utils = tools  # type: ignore[attr-defined]
    stubs = {"k_diffusion": package, "k_diffusion.utils": tools}
    if importlib.util.find_spec("trampoline") is None:
        # Only its stochastic samplers need it.
        stubs["torchsde"] = types.ModuleType("torchsde")
    sys.modules.update(stubs)
    return importlib.import_module("k_diffusion.sampling")


# Looked up at once, before parts of a package stand in for the whole.
INSTALLED = [
    build
    for name, build in (("diffusers", diffusers), ("azula", azula), ("k_diffusion", k_diffusion))
    if importlib.util.find_spec(name)
]


def measure(
    problem: pf.analytic.AnalyticMixture, paths: int, draws: int, counts: Sequence[int]
) -> Any:
    """The two errors of every method at every number of evaluations, and the sampling floor."""

    def mean(x: Tensor, alpha: Any, sigma: Any) -> Tensor:
        return problem.data.posterior_mean(x.double(), float(alpha), float(sigma)).to(x.dtype)

    start = problem.noised(PROCESS, SCHEDULE.t_max).sample(draws, seed=0).float()
    grid_cache: dict[tuple[int, str], grids.Grid] = {}

    def fitted(steps: int, name: str) -> grids.Grid:
        key = (steps, name)
        if key not in grid_cache:
            few = problem.noised(PROCESS, SCHEDULE.t_max).sample(64, seed=1)
            transport = pf.Transport(problem.model(PROCESS), PROCESS)
            rule = registry.resolve("samplers", name)
            grid_cache[key] = samplers.fit_grid(transport, few, steps=max(3, steps), sampler=rule)
        return grid_cache[key]

    methods = ours(mean, fitted)
    for build in INSTALLED:
        methods |= build(mean)
    accurate = samplers.Multistep(order=3, predict="noise", corrector=True)
    fine = grids.LogSNRGrid()(SCHEDULE, 400)
    transport = pf.Transport(problem.model(PROCESS), PROCESS)
    exact = transport.model(
        samplers.run(accurate, transport, start[:paths].double(), fine), fine[-1]
    )
    reference, other = (problem.data.sample(draws, seed=seed).float() for seed in (10, 11))
    floor = pf.metrics.sliced_wasserstein(other, reference, seed=0)
    rows = {}
    for name, run in methods.items():
        distances, laws = [], []
        for count in counts:
            end = run(start, count).float()
            distances.append(float((end[:paths] - exact).square().mean().sqrt()))
            laws.append(pf.metrics.sliced_wasserstein(end, reference, seed=0).value)
        rows[name] = {"distance": distances, "sliced_w2": laws}
        print(f"{name:36}", " ".join(f"{d:.4f}" for d in distances), flush=True)
    return {"floor": floor.value, "floor_stderr": floor.stderr, "rows": rows}


def text(results: dict[str, Any], counts: Sequence[int]) -> str:
    """Two tables per problem."""
    parts = []
    for name, result in results.items():
        for key, title in (
            ("distance", "distance to the exact end of the path, root mean square per coordinate"),
            (
                "sliced_w2",
                "sliced W2 to an exact sample, whose floor is "
                f"{result['floor']:.4f} ± {result['floor_stderr']:.4f}",
            ),
        ):
            rows = [
                [method, *(f"{value:.4f}" if math.isfinite(value) else "∞" for value in row[key])]
                for method, row in result["rows"].items()
            ]
            columns = [list(column) for column in zip(*(row[1:] for row in rows), strict=True)]
            for k, column in enumerate(columns):
                least = min(column, key=lambda cell: math.inf if cell == "∞" else float(cell))
                for row in rows:
                    if row[k + 1] == least:
                        row[k + 1] = f"**{least}**"
            head = ["evaluations", *map(str, counts)]
            parts.append(f"**{name}**: {title}.\n\n{record.table(head, rows)}")
    return "\n\n".join(parts)


def main() -> None:
    """Measure, print, and with `--write` record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="one problem, few states")
    parser.add_argument("--write", action="store_true", help="record the results")
    options = parser.parse_args()
    timing.one_thread()
    counts = (5,) if options.smoke else NFE
    results = {}
    for name, (problem, paths, draws) in problems().items():
        if options.smoke:
            paths, draws = 20, 60
        results[name] = measure(problem, paths, draws, counts)
        if options.smoke:
            break
    print(text(results, counts))
    if options.write:
        facts = {"environment": record.environment(*PEERS), "evaluations": list(counts)}
        record.save("solver_error", facts | {"results": results}, text(results, counts))


if __name__ == "__main__":
    main()
