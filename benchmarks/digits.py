"""Digits: samples and likelihood of a diffusion model, beside other models of the same pictures.

All are fitted to the same 8x8 digits and judged by `pf.evaluate` with the same held-out ones: ours,
the same network trained and sampled with diffusers' DDPM scheduler, and a Gaussian mixture and a
kernel density of scikit-learn.

    make bench-env                                     # peers, in an environment of their own
    .venv-bench/bin/python benchmarks/digits.py --write
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any, NamedTuple

import torch
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import KFold
from sklearn.neighbors import KernelDensity
from torch import Tensor, nn

import pushforward as pf
import record
import timing
import trainings
from pushforward.training import Settings

SEEDS = (0, 1)
STEPS = 4000
BATCH = 64
COPIES = 16
COMPONENTS = (3, 5, 8, 10, 15, 20)
FLOORS = (1e-3, 1e-2, 3e-2, 0.1)
BANDWIDTHS = (0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.5)
SHOWN = (
    "sliced W2",
    "energy distance",
    "classifier accuracy",
    "precision",
    "recall",
    "memorization",
    "near copies",
    "bits per dimension",
)
PEERS = ("diffusers", "scikit-learn")


class Split(NamedTuple):
    """Digits to learn and to judge by, also with uniform noise over the cell of each level."""

    train: pf.data.Data
    test: pf.data.Data
    spread_train: Tensor
    spread_test: Tensor


class Drawn(NamedTuple):
    """Samples of one method, how it was fitted, and log-densities of the held-out digits if any."""

    name: str
    fitted: str
    samples: Tensor
    log_prob: pf.LogProb | None = None


Method = Callable[[Split, int, int], Iterator[Drawn]]


def split(smoke: bool) -> Split:
    """The parts that `pushforward train digits` learns from and `evaluate` judges by."""
    train, test = pf.data.load("digits").split(0.1, seed=0)
    if smoke:
        train, test = train.take(torch.arange(200)), test.take(torch.arange(20))
    return Split(train, test, spread(train, COPIES, 1), spread(test, 1, 0))


def spread(data: pf.data.Data, copies: int, seed: int) -> Tensor:
    """Copies with uniform noise: a density of these bounds the probability of the levels."""
    many = data.x.repeat(copies, 1, 1, 1)
    return pf.metrics.dequantized(many, data.levels, data.value_range, seed=seed)


def network(seed: int) -> nn.Module:
    """The library's choice for pictures of this size, the same for both libraries."""
    torch.manual_seed(seed)
    return pf.nn.default_network((1, 8, 8))


def ours(data: Split, steps: int, seed: int) -> Iterator[Drawn]:
    """Defaults throughout, but for the length of training."""
    model = pf.Diffusion(network(seed))
    start = time.process_time()
    settings = Settings(steps=steps, batch_size=BATCH, holdout=0.0, seed=seed)
    trainings.fit(model, data.spread_train, settings=settings, progress=False)
    fitted = _spent(steps, start)
    samples = model.sample(len(data.test), seed=seed)
    fine = min(64, steps)
    log_prob = model.log_prob(data.spread_test, steps=fine, seed=seed, batch_size=64)
    yield Drawn("pushforward, 20 steps", fitted, samples, log_prob)


def diffusers(data: Split, steps: int, seed: int) -> Iterator[Drawn]:
    """The loop of its documentation: the noise is predicted, and data lie in [-1, 1]."""
    from diffusers import DDPMScheduler, DPMSolverMultistepScheduler

    # Optimizer, rates, clipping and average are those of `fit`.
    settings = Settings(steps=steps, batch_size=BATCH, holdout=0.0, seed=seed)
    net, scheduler = network(seed), DDPMScheduler()
    average = copy.deepcopy(net).eval().requires_grad_(False)
    weights = list(average.parameters()), list(net.parameters())
    optimizer = torch.optim.AdamW(net.parameters(), settings.lr, weight_decay=0.0, fused=True)
    generator = torch.Generator().manual_seed(seed)
    # The cells of the levels 0 to 16 end at -1/2 and 33/2.
    inward = (data.spread_train - 8) / 8.5
    start = time.process_time()
    for k, rows in zip(range(steps), _batches(len(inward), generator), strict=False):
        x = inward[rows]
        noise = torch.randn(x.shape, generator=generator)
        t = torch.randint(0, 1000, (len(x),), generator=generator)
        noisy = scheduler.add_noise(x, noise, t)
        (net(noisy, t / 1000) - noise).square().mean().backward()
        nn.utils.clip_grad_norm_(net.parameters(), settings.clip)
        optimizer.param_groups[0]["lr"] = settings.rate(k)
        optimizer.step()
        optimizer.zero_grad()
        torch._foreach_lerp_(*weights, 1 - min(settings.ema, (1 + k) / (10 + k)))
    fitted = _spent(steps, start)
    for kind, calls in ((DDPMScheduler, min(1000, steps)), (DPMSolverMultistepScheduler, 20)):
        sampler = kind()
        sampler.set_timesteps(calls)
        generator.manual_seed(seed)
        x = torch.randn(data.test.x.shape, generator=generator)
        for t in sampler.timesteps:
            with torch.no_grad():
                noise = average(x, (t / 1000).float().expand(len(x)))
            x = sampler.step(noise, t, x, generator=generator).prev_sample
        short = kind.__name__.removesuffix("Scheduler")
        yield Drawn(f"diffusers {short}, {calls:,} steps", fitted, 8 + 8.5 * x)


def _spent(steps: int, start: float) -> str:
    # Of a processor, as other work on the machine would lengthen the minutes of a clock.
    return f"{steps:,} steps, {(time.process_time() - start) / 60:.1f} min of a core"


def _batches(n: int, generator: torch.Generator) -> Iterator[Tensor]:
    while True:
        yield from torch.randperm(n, generator=generator).split(BATCH)


def mixture(data: Split, steps: int, seed: int) -> Iterator[Drawn]:
    """Full covariances; their number and floor are the best on a tenth of the training digits."""
    fewer, judged = data.train.split(0.1, seed=seed)
    known = _rows(spread(fewer, COPIES, 1))
    unseen = _rows(spread(judged, 1, 2))

    def fitted(x: Any, components: int, floor: float) -> GaussianMixture:
        model = GaussianMixture(components, reg_covar=floor, random_state=seed, max_iter=200)
        return model.fit(x)

    tried = [(components, floor) for components in COMPONENTS for floor in FLOORS]
    few = tried[: len(tried) if steps == STEPS else 1]
    chosen = max(few, key=lambda pair: fitted(known, *pair).score(unseen))
    model = fitted(_rows(data.spread_train), *chosen)
    fitted_as = f"{chosen[0]} components, floor {chosen[1]:g}"
    yield _drawn("Gaussian mixture", fitted_as, model.sample(len(data.test))[0], model, data)


def kernel_density(data: Split, steps: int, seed: int) -> Iterator[Drawn]:
    """A normal kernel at every training digit, its width the best in a five-fold validation."""
    levels, judged = _rows(data.train.x), _rows(spread(data.train, 1, 2))
    folds = list(KFold(5, shuffle=True, random_state=seed).split(levels))

    def score(width: float) -> float:
        fit = KernelDensity(bandwidth=width).fit
        return sum(fit(levels[known]).score(judged[unseen]) for known, unseen in folds)

    width = max(BANDWIDTHS, key=score)
    model = KernelDensity(bandwidth=width).fit(levels)
    samples = model.sample(len(data.test), random_state=seed)
    yield _drawn("kernel density", f"bandwidth {width:g}", samples, model, data)


def _rows(x: Tensor) -> Any:
    return x.flatten(1).double().numpy()


def _drawn(name: str, fitted: str, samples: Any, model: Any, data: Split) -> Drawn:
    value = torch.from_numpy(model.score_samples(_rows(data.spread_test)))
    x = torch.from_numpy(samples).float().reshape(data.test.x.shape)
    return Drawn(name, fitted, x, pf.LogProb(value, torch.zeros_like(value), "exact", 1))


def judged(drawn: Drawn, data: Split, seed: int) -> dict[str, Any]:
    """All of the evaluation, as plain values."""
    levels, value_range = data.test.levels, data.test.value_range
    found = pf.evaluate(
        drawn.samples,
        data.test.x,
        data.train.x,
        seed=seed,
        log_prob=drawn.log_prob,
        levels=levels,
        value_range=value_range,
    )
    error = getattr(drawn.log_prob, "error", None)
    more = {} if error is None else {"log_prob_error_nats": float(error.abs().mean())}
    facts = {"method": drawn.name, "fitted": drawn.fitted, "seed": seed}
    return facts | more | found.to_dict()


def text(results: list[dict[str, Any]]) -> str:
    """A row per method: means over seeds, with the error of one, and the fit of the first."""
    methods = list(dict.fromkeys(result["method"] for result in results))
    # At one seed the floor is the same for all methods.
    rows = [["training digits", "–", *_cells(results, "floor", "floor_stderr")]]
    for method in methods:
        own = [result for result in results if result["method"] == method]
        rows.append([method, own[0]["fitted"], *_cells(own, "value", "stderr")])
    return record.table(["", "fitted", *SHOWN], rows)


def _cells(results: list[dict[str, Any]], value: str, stderr: str) -> list[str]:
    cells = []
    for name in SHOWN:
        found = [row for result in results for row in result["rows"] if row["name"] == name]
        if not found or found[0][value] is None:
            cells.append("–")
            continue
        # The held-out digits are the same for all seeds, so that the mean knows them no better.
        mean, error = (statistics.fmean(row[key] for row in found) for key in (value, stderr))
        cells.append(str(pf.metrics.Estimate(mean, error, len(found))))
    return cells


def main() -> None:
    """Fit, judge, print, and with `--write` record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="a few steps, to see that it runs")
    parser.add_argument("--write", action="store_true", help="record the results")
    options = parser.parse_args()
    timing.one_thread()
    data = split(options.smoke)
    methods: list[Method] = [mixture, kernel_density, ours]
    if find_spec("diffusers"):
        methods.append(diffusers)
    steps, seeds = (4, SEEDS[:1]) if options.smoke else (STEPS, SEEDS)
    results = []
    for method in methods:
        for seed in seeds:
            for drawn in method(data, steps, seed):
                results.append(judged(drawn, data, seed))
                print(text(results).splitlines()[-1], flush=True)
    print(text(results))
    if options.write:
        facts = {"environment": record.environment(*PEERS), "steps": steps, "batch_size": BATCH}
        record.save("digits", facts | {"results": results}, text(results))


if __name__ == "__main__":
    main()
