"""Functions: regression beside Gaussian processes, grids that are refined, temperatures of Spain.

Regression is that of neural diffusion processes (Dutordoir et al. 2023) with the law that their
documentation states: x uniform on [-2, 2]^d, 50 targets, 1 to 10 d contexts, a squared exponential
or a Matern 5/2 covariance of variance one and length sqrt(d) / 4, and noise of deviation .05 in
contexts and targets. Log-likelihoods are joint, by target. The exact score is that of the same law
on the points of each task, with `spaces.Functions` noise of Matern 1/2, and contexts come in by
`guidance.MMPS` alone. Its sampler is a deterministic one, for a Gaussian an affine map of the
noise: what it draws has a density in closed form, and no estimate is between.

    python benchmarks/functions.py --parts regression grids --write
    python benchmarks/functions.py --parts learned --write
    python benchmarks/functions.py --parts noise --write
    python benchmarks/functions.py --parts aemet --aemet aemet.csv --write

The learned rows are of a `models.FunctionDiffusion` with attention over points, a neural diffusion
process, on functions of one coordinate that are known at 60 of 400 places. Its log-likelihood is
that of its own probability flow given the contexts, and beside it stands the published estimator:
a normal distribution fitted to 128 draws. How smooth the noise may be is measured by the default
network on a grid.

The temperatures are daily means at 73 stations, as in the package `fda.usc` of R: a table with a
row for each station.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import pushforward as pf
import record
import trainings
from function_worlds import NOISE, WORLDS, World, regressed
from pushforward import grids, inverse, processes, samplers, schedules
from pushforward.guidance import MMPS
from pushforward.protocols import Transport
from pushforward.spaces import Functions, Spectral, kernels

PARTS = ("regression", "learned", "noise", "grids", "aemet")
RESULTS = Path(__file__).parent / "results" / "functions.json"

TARGETS = 50
CASES = [(kernel, d) for kernel in ("squared exponential", "Matern 5/2") for d in (1, 2, 3)]

# Of Dutordoir et al. (2023): means over functions with 1.96 standard errors, on their own data,
# which are of another law (one random key for signal and noise, length d / 4).
PUBLISHED = {
    ("squared exponential", 1): ("0.478 ± 0.037", "0.668 ± 0.028"),
    ("squared exponential", 2): ("-0.672 ± 0.046", "-0.446 ± 0.034"),
    ("squared exponential", 3): ("-1.157 ± 0.038", "-0.936 ± 0.028"),
    ("Matern 5/2", 1): ("-0.001 ± 0.042", "0.189 ± 0.034"),
    ("Matern 5/2", 2): ("-1.052 ± 0.033", "-0.850 ± 0.027"),
    ("Matern 5/2", 3): ("-1.330 ± 0.033", "-1.139 ± 0.021"),
}


def kernel_of(name: str, d: int) -> kernels.CovarianceKernel:
    """The covariance of a case."""
    length = math.sqrt(d) / 4
    if name == "Matern 5/2":
        return kernels.Matern(2.5, length)
    return kernels.SquaredExponential(length)


def task(name: str, d: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, int]:
    """Points, their covariance with noise, values there, and how many are contexts."""
    contexts = int(torch.randint(1, 10 * d + 1, (), generator=generator))
    points = 4 * torch.rand(contexts + TARGETS, d, dtype=torch.float64, generator=generator) - 2
    gaps = (points[:, None] - points[None]).square().sum(-1).sqrt()
    covariance = kernel_of(name, d)(gaps) + NOISE**2 * torch.eye(len(points)).double()
    factor = torch.linalg.cholesky(covariance)
    y = factor @ torch.randn(len(points), dtype=torch.float64, generator=generator)
    return points, covariance, y, contexts


def score(mean: Tensor, covariance: Tensor, y: Tensor) -> float:
    """The joint log-density of the targets, by target."""
    law = torch.distributions.MultivariateNormal(mean, covariance)
    return float(law.log_prob(y)) / len(y)


def fitted(x: Tensor, y: Tensor) -> float:
    """What draws `(128, n)` score, by their own mean and covariance: the published estimator, which
    is biased."""
    spread = torch.cov(x.mT) + 1e-6 * torch.eye(len(y)).double()
    return score(x.mean(0), spread, y)


def exact_draws(mean: Tensor, covariance: Tensor, generator: torch.Generator) -> Tensor:
    """128 of the conditional distribution."""
    factor = torch.linalg.cholesky(covariance)
    return mean + torch.randn(128, len(mean), dtype=torch.float64, generator=generator) @ factor.mT


def guided(points: Tensor, covariance: Tensor, y: Tensor, m: int, steps: int) -> float:
    """The score of the law that a sampler draws by the exact score and guidance by contexts."""
    n, d = points.shape
    space = Functions(kernels.Matern(0.5, 0.25), points=points, domain=d * [(-2.0, 2.0)])
    root = space.root((n,))
    colors = root.color(torch.eye(n).double()).mT  # R, of noise at the points
    white = root.whiten(root.whiten(covariance.reshape(n, n)).mT.contiguous())
    process = processes.Gaussian(schedules.VP())
    values, vectors = torch.linalg.eigh((white + white.mT) / 2)

    def weights(t: Any) -> tuple[Tensor, Tensor]:
        alpha, sigma = (float(torch.as_tensor(v).flatten()[0]) for v in process.schedule.values(t))
        total = alpha**2 * values + sigma**2
        return alpha * values / total, sigma**2 * values / total

    def model(w: Tensor, t: Any, c: Any = None) -> Tensor:
        return (w @ vectors) * weights(t)[0] @ vectors.mT

    def spread(w: Tensor, t: Any) -> Tensor:
        own = (vectors * weights(t)[1]) @ vectors.mT
        return own.expand(len(w), n, n)

    measured = inverse.Measurement(
        y[:m], inverse.Matrix(colors[:m].contiguous()), inverse.GaussianNoise(1e-3), (n,)
    )
    predict = MMPS(model, process, measured, covariance=spread)
    times = grids.LogSNRGrid()(process.clock, steps)
    sigma = float(process.schedule.at(times[0]).sigma)
    basis = torch.cat([torch.zeros(1, n), sigma * torch.eye(n)]).double()
    # The noise that is left at the last time stays: the law is that of a flow, not of its means.
    x = samplers.run(samplers.Heun(), Transport(predict, process), basis, times)
    alpha = float(process.schedule.at(times[-1]).alpha)
    drawn = x @ colors.mT / alpha
    slope = (drawn[1:] - drawn[0])[:, m:]
    return score(drawn[0, m:], slope.mT @ slope, y[m:])


def regression(options: argparse.Namespace) -> list[dict[str, Any]]:
    """All rows of a table of regression, by case."""
    found = []
    for name, d in CASES:
        generator = torch.Generator().manual_seed(options.seed)
        rows: dict[str, list[float]] = {"exact": [], "floor": [], "guided": [], "gap": []}
        for k in range(options.functions):
            points, covariance, y, m = task(name, d, generator)
            mean, spread = regressed(covariance, y, m)
            rows["exact"].append(score(mean, spread, y[m:]))
            rows["floor"].append(fitted(exact_draws(mean, spread, generator), y[m:]))
            if k < options.guided:
                rows["guided"].append(guided(points, covariance, y, m, options.steps))
                rows["gap"].append(rows["guided"][-1] - rows["exact"][-1])
        own = {key: _mean(values) for key, values in rows.items()}
        found.append({"part": "regression", "kernel": name, "d": d, "seed": options.seed, **own})
        print(json.dumps(found[-1]), flush=True)
    return found


def learned(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A trained model beside the exact row, world by world."""
    found = []
    for name in options.worlds:
        world, start = WORLDS[name], time.process_time()
        model = trained(world, options)
        seconds = time.process_time() - start
        generator = torch.Generator().manual_seed(1000 + options.seed)
        rows: dict[str, list[float]] = {"exact": [], "floor": [], "flow": [], "fitted": []}
        for k in range(options.tests):
            m = int(torch.randint(1, 11, (), generator=generator))
            points = 4 * torch.rand(1, m + TARGETS, 1, dtype=torch.float64, generator=generator) - 2
            y, place = world.draw(points, generator)[0], points[0]
            own = pf.models.at_points(model, points=place)
            whole = y.float().reshape(1, 1, -1)
            first = (torch.arange(len(y)) < m).expand_as(whole)
            contexts = torch.where(first, whole, torch.nan)
            targets = torch.where(first, torch.nan, whole)
            density = pf.models.log_prob_given(
                own,
                targets,
                contexts,
                steps=options.flow,
                divergence="hutchinson",
                probes=4,
                seed=k,
            )
            drawn = own.infill(contexts.expand(128, -1, -1), seed=k)[:, 0, m:].double()
            exact = world.conditional(place, y, m, 128, generator)
            rows["exact"].append(world.log_prob(place, y, m) / TARGETS)
            rows["floor"].append(fitted(exact, y[m:]))
            rows["flow"].append(float(density.value) / TARGETS)
            rows["fitted"].append(fitted(drawn, y[m:]))
        means = {key: _mean(values) for key, values in rows.items()}
        about = {"training": options.training, "seconds": seconds, "seed": options.seed}
        found.append({"part": "learned", "world": name, **about, **means})
        print(json.dumps(found[-1]), flush=True)
    return found


def trained(world: World, options: argparse.Namespace) -> pf.models.FunctionDiffusion:
    """A model of functions that are known at 60 places each, of 400 that all have in common."""
    generator = torch.Generator().manual_seed(options.seed)
    pool = 4 * torch.rand(400, 1, dtype=torch.float64, generator=generator) - 2
    at = torch.rand(options.known, 400, generator=generator).argsort(1)[:, : TARGETS + 10]
    values = torch.full((options.known, 1, 400), torch.nan)
    drawn = world.draw(pool[at], generator).float()
    values.scatter_(2, at.unsqueeze(1), drawn.unsqueeze(1))
    # Values with independent errors, at points of which some are very near each other.
    noise = kernels.White()
    space = Functions(noise, points=pool, domain=[(-2.0, 2.0)], masked=True)
    torch.manual_seed(options.seed)
    places = space.unit_points((400,)).float()
    net = pf.nn.PointAttention(1, places, width=64, depth=5, given=True)
    # As many contexts as there may be, and all other points are targets.
    model = pf.models.FunctionDiffusion(
        net, processes.Gaussian(space=space), "velocity", given=0.9, most=0.2, left_out=0.0
    )
    data = pf.data.load(values.numpy(), kind="functions", channels=1, missing="nan")
    trainings.fit(
        model, data, steps=options.training, batch_size=32, lr=2e-3, holdout=0.0,
        seed=options.seed, progress=False,
    )  # fmt: skip
    return model


def noise_rows(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Densities by a Fourier operator trained alike with noise of several lengths.

    The data are Matern 5/2 processes on 64 points with white noise of their own.
    """
    n, found = 64, []
    gaps = (torch.arange(n)[:, None] - torch.arange(n)).abs().double() / n
    for length, deviation in ((0.0625, 0.05), (0.2, 0.01)):
        covariance = kernels.Matern(2.5, length)(gaps) + deviation**2 * torch.eye(n).double()
        law = torch.distributions.MultivariateNormal(torch.zeros(n).double(), covariance)
        torch.manual_seed(options.seed)
        data = pf.data.load(law.sample((options.known // 2,)).float().numpy(), kind="functions")
        test = law.sample((options.tests // 2,))
        exact = law.log_prob(test) / n
        for own in (0.1, 0.02, 0.005):
            space = Functions(Spectral(kernels.Matern(0.5, own)))
            torch.manual_seed(options.seed)
            model = pf.Diffusion.for_data(data, process=processes.Gaussian(space=space))
            start = time.process_time()
            trainings.fit(
                model, data, steps=options.training, batch_size=32, lr=2e-3, holdout=0.0,
                seed=options.seed, progress=False,
            )  # fmt: skip
            seconds = time.process_time() - start
            density = model.log_prob(
                test.float().unsqueeze(1), steps=options.flow, divergence="hutchinson", probes=4,
                seed=options.seed,
            )  # fmt: skip
            gap = _mean((exact - density.value.double() / n).tolist())
            about = {"training": options.training, "seconds": seconds, "seed": options.seed}
            law_of = {"length": length, "deviation": deviation, "noise length": own}
            found.append({"part": "noise", **law_of, **about, "gap": gap})
            print(json.dumps(found[-1]), flush=True)
    return found


def grid_rows() -> list[dict[str, Any]]:
    """The data, a Matern 3/2 process, beside noise of trace class and white noise.

    Exactly, by modes: the information between a function and its noisy version at t = 1/2 of the
    VP schedule, and the least error of E[x_0 | x_t], in L2 norm.
    """
    found = []
    alpha, sigma = (float(v) for v in schedules.VP().values(0.5))
    for n in (32, 64, 128, 256, 512):
        data = Spectral(kernels.Matern(1.5, 0.2)).root((n,), (False,)).eigenvalues
        row: dict[str, Any] = {"part": "grids", "n": n}
        for name, noise in (
            ("trace class", Spectral(kernels.Matern(0.5, 0.1)).root((n,), (False,)).eigenvalues),
            # The identity matrix: its operator has the volume of a cell for eigenvalues.
            ("white", torch.full_like(data, 1 / n)),
        ):
            ratio = alpha**2 * data / (sigma**2 * noise)
            row[f"{name}, information"] = float(0.5 * ratio.log1p().sum())
            row[f"{name}, error"] = float((data / (1 + ratio)).sum())
        found.append(row)
    return found


def moments(x: Tensor) -> dict[str, Tensor]:
    """Pointwise moments of curves `(N, n)`, and their mean autocorrelation by lag."""
    mean, std = x.mean(0), x.std(0, correction=0)
    z = (x - mean) / std
    own = x - x.mean(1, keepdim=True)
    power = torch.fft.rfft(own, 2 * x.shape[1]).abs().square()
    correlation = torch.fft.irfft(power)[:, : x.shape[1]]
    return {
        "mean": mean,
        "variance": std.square(),
        "skewness": z.pow(3).mean(0),
        "kurtosis": z.pow(4).mean(0),
        "autocorrelation": (correlation / correlation[:, :1]).mean(0),
    }


def aemet(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Curves of temperature: moments beside a bootstrap, and distances to training curves."""
    data = pf.data.load(options.aemet, kind="functions")
    space = pf.spaces.space_of(data)
    process = processes.Gaussian(space=space)
    x = data.x[:, 0].double()
    known, generator = moments(x), torch.Generator().manual_seed(0)
    floors: dict[str, list[float]] = {name: [] for name in known}
    for _ in range(200):
        again = x[torch.randint(len(x), (len(x),), generator=generator)]
        for name, value in moments(again).items():
            floors[name].append(float((value - known[name]).square().mean()))
    gaps = torch.cdist(x, x) / x.shape[1] ** 0.5
    own = gaps.fill_diagonal_(math.inf).min(1).values
    found = []
    for seed in range(options.seeds):
        start = time.process_time()
        torch.manual_seed(seed)
        model = pf.Diffusion.for_data(data, process=process)
        trainings.fit(
            model, data, steps=options.training, batch_size=32, lr=2e-3, holdout=0.0, seed=seed,
            progress=False,
        )  # fmt: skip
        drawn = model.sample(500, steps=40, seed=seed)[:, 0].double()
        near = (torch.cdist(drawn, x) / x.shape[1] ** 0.5).min(1).values
        made = moments(drawn)
        found.append(
            {
                "part": "aemet",
                "seed": seed,
                "steps": options.training,
                "seconds": time.process_time() - start,
                "error": {k: float((made[k] - known[k]).square().mean()) for k in known},
                "floor": {k: statistics.fmean(v) for k, v in floors.items()},
                "nearest": float(near.median()),
                "nearest of data": float(own.median()),
                "copies": float((near < 0.5 * own.min()).double().mean()),
            }
        )
        print(json.dumps(found[-1]), flush=True)
    return found


def _for_steps(options: argparse.Namespace, steps: int) -> argparse.Namespace:
    """The options with steps of training, so many unless a number was asked for."""
    return argparse.Namespace(**{**vars(options), "training": options.training or steps})


def _mean(values: list[float]) -> dict[str, float]:
    """The mean of some functions, its standard error, and how many they are."""
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else math.nan
    return {"mean": statistics.fmean(values), "stderr": error, "n": len(values)}


def _cell(found: dict[str, float], digits: int = 3) -> str:
    return f"{found['mean']:.{digits}f} ± {found['stderr']:.{digits}f}"


def text(results: list[dict[str, Any]]) -> str:
    """The tables of the documentation."""
    parts = []
    rows = [row for row in results if row["part"] == "regression"]
    if rows:
        head = ["", "exact", "exact score, guided, less exact", "128 exact draws, fitted",
                "published NDP", "published GP"]  # fmt: skip
        body = [
            [
                f"{row['kernel']}, d = {row['d']}",
                _cell(row["exact"]),
                _cell(row["gap"], 4),
                _cell(row["floor"]),
                *PUBLISHED[row["kernel"], row["d"]],
            ]
            for row in rows
        ]
        parts.append(
            "Regression on the documented law: log-likelihood by target in nats, mean and standard "
            f"error over {rows[0]['exact']['n']} functions ({rows[0]['gap']['n']} of them guided); "
            "the published rows are of data of another law:\n\n" + record.table(head, body)
        )
    rows = [row for row in results if row["part"] == "learned"]
    if rows:
        head = ["", "exact", "learned, by its flow", "128 exact draws, fitted",
                "128 learned draws, fitted"]  # fmt: skip
        body = [
            [row["world"], *(_cell(row[key], 2) for key in ("exact", "flow", "floor", "fitted"))]
            for row in rows
        ]
        modes = " No normal distribution that is fitted has the modes of the laws with several."
        spent = ", ".join(f"{row['training']} steps in {row['seconds']:.0f} s" for row in rows)
        parts.append(
            "A small neural diffusion process, trained for little on each law of functions of one "
            f"coordinate ({spent} of processor time): log-likelihood by target in nats, mean and "
            f"standard error over {rows[0]['exact']['n']} functions with 1 to 10 contexts. After "
            "128,000 steps of a larger network the published one has 0.478 ± 0.037 by the fitted "
            "estimator, on data of another law, where a Gaussian process has 0.668 ± 0.028."
            + (modes if len(rows) > 1 else "")
            + "\n\n"
            + record.table(head, body)
        )
    rows = [row for row in results if row["part"] == "noise"]
    if rows:
        cases = list(dict.fromkeys((row["length"], row["deviation"]) for row in rows))
        lengths = list(dict.fromkeys(row["noise length"] for row in rows))
        of = {(row["length"], row["noise length"]): _cell(row["gap"]) for row in rows}
        head = ["data", *(f"noise of length {own}" for own in lengths)]
        body = [
            [f"length {length}, white part {part}", *(of[length, own] for own in lengths)]
            for length, part in cases
        ]
        parts.append(
            "Matern 5/2 functions with a white part on a grid of 64, the default network, "
            f"{rows[0]['training']} steps ({rows[0]['seconds']:.0f} s of a processor) with Matern "
            "1/2 noise: nats by value that the density of the model misses, mean and standard "
            f"error over {rows[0]['gap']['n']} functions:\n\n" + record.table(head, body)
        )
    rows = [row for row in results if row["part"] == "grids"]
    if rows:
        names = [name for name in rows[0] if name not in ("part", "n")]
        body = [[str(row["n"]), *(f"{row[name]:.4f}" for name in names)] for row in rows]
        parts.append(
            "Matern 3/2 functions on finer grids, noised to t = 1/2: information in nats, and the "
            "least squared error of the denoised function:\n\n"
            + record.table(["points", *names], body)
        )
    rows = [row for row in results if row["part"] == "aemet"]
    if rows:
        body = []
        for name in rows[0]["error"]:
            errors = [row["error"][name] for row in rows]
            cells = [f"{value:.2g}" for value in errors]
            published = "0.13 (488 evaluations)" if name == "mean" else "–"
            body.append([name, ", ".join(cells), f"{rows[0]['floor'][name]:.2g}", published])
        seconds = statistics.fmean(row["seconds"] for row in rows)
        nearest = ", ".join(f"{row['nearest']:.2f}" for row in rows)
        copies = ", ".join(f"{row['copies']:.0%}" for row in rows)
        parts.append(
            f"73 curves of daily temperature, {rows[0]['steps']} steps of training in "
            f"{seconds:.0f} s of processor time: mean squared error of pointwise moments of 500 "
            "samples in degrees, an entry for each seed, beside that of a bootstrap of the "
            "stations, and FFM (Kerrigan, Migliorini & Smyth 2024b), in units that are not "
            "stated:\n\n"
            + record.table(["", "functional diffusion", "bootstrap", "FFM"], body)
            + "\n\nThe median sample is "
            + f"{nearest} degrees (root mean square over the year) from its nearest training "
            + f"curve, where a station is {rows[0]['nearest of data']:.2f} from its nearest other; "
            + f"{copies} of the samples are nearer than half the smallest distance between "
            "stations. The moments are of the training curves: a model that copied them would have "
            "the errors of a bootstrap, and only the distances tell it from one that has learned."
        )
    return "\n\n".join(parts)


def main() -> None:
    """Measure, print, and with `--write` record."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--parts", nargs="+", default=["regression", "grids"], choices=PARTS)
    parser.add_argument("--aemet", help="the table of temperatures")
    parser.add_argument("--functions", type=int, default=512)
    parser.add_argument("--guided", type=int, default=32)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--worlds", nargs="+", default=list(WORLDS), choices=WORLDS)
    parser.add_argument(
        "--training", type=int, help="steps; 3000, of noise 600, of temperatures 1000"
    )
    parser.add_argument("--known", type=int, default=16384, help="functions to learn from")
    parser.add_argument("--tests", type=int, default=64, help="functions to test a model on")
    parser.add_argument("--flow", type=int, default=32, help="steps of densities")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smoke", action="store_true", help="a few, to see that it runs")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if options.smoke:
        options.functions, options.guided, options.steps = 2, 2, 4
        options.training, options.known, options.tests, options.flow = 2, 64, 2, 4
    if "aemet" in options.parts and not options.aemet:
        parser.error("--parts aemet needs --aemet FILE")
    kept = json.loads(RESULTS.read_text())["results"] if RESULTS.exists() else []
    again = {(part, world) for part in options.parts for world in (None, *options.worlds)}
    results = [row for row in kept if (row["part"], row.get("world")) not in again]
    if "regression" in options.parts:
        results += regression(options)
    if "learned" in options.parts:
        results += learned(_for_steps(options, 3000))
    if "noise" in options.parts:
        results += noise_rows(_for_steps(options, 600))
    if "grids" in options.parts:
        results += grid_rows()
    if "aemet" in options.parts:
        results += aemet(_for_steps(options, 1000))
    results.sort(key=lambda row: PARTS.index(row["part"]))
    print(text(results))
    if options.write:
        facts = {"environment": record.environment(), "results": results}
        record.save("functions", facts, text(results))


if __name__ == "__main__":
    main()
