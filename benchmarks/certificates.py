"""Certificates of samplers beside the exact error of their samples.

Worlds are normal laws and mixtures on the line, where the law of what a sampler draws is exact:
`KL(p_stop | samples)` stands beside the bound of `pf.certify` and beside those of the literature.

    python benchmarks/certificates.py --write
    python benchmarks/certificates.py --tables random learned --part two.jsonl   # in pieces,
    python benchmarks/certificates.py --merge one.jsonl two.jsonl --write         # and together
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import pushforward as pf
import record
import shared
import timing
import trainings
from pushforward import Transport, grids, registry, samplers, schedules, theory
from pushforward.analytic import AnalyticMixture
from pushforward.certificates import KnownLaw, certify, published_bounds, scheme_of, step_costs
from pushforward.certificates.subjects import RowContexts, law_in_units, subject_of
from pushforward.distributions import GaussianMixture
from pushforward.divergences import gaussian
from pushforward.processes import Gaussian

DOUBLE = torch.float64
CERTIFIED = ("ddpm", "relative-score", "exponential")
TABLES = ("slack", "random", "planted", "learned")
RANDOM, SEEDS = 50, 20


def mixture(means: list[float], stds: list[float], weights: list[float]) -> GaussianMixture:
    """On the line."""
    spread = torch.tensor(stds, dtype=DOUBLE).square()
    return GaussianMixture(
        torch.tensor(means, dtype=DOUBLE)[:, None], spread, torch.tensor(weights, dtype=DOUBLE)
    )


def normal(mean: list[float], variances: list[float]) -> GaussianMixture:
    """With independent coordinates."""
    return GaussianMixture(*(torch.tensor([row], dtype=DOUBLE) for row in (mean, variances)))


LINE = mixture([-2.0, 1.5], [0.3, 0.5], [0.3, 0.7])
WORLDS = {
    "N((1, -1), I/4)": normal([1.0, -1.0], [0.25, 0.25]),
    "N(0, diag(.05, .2, 1, 3))": normal([0.0] * 4, [0.05, 0.2, 1.0, 3.0]),
    "mixture on the line": LINE,
}
HORIZON, STOP = 5.0, 0.002


def exact(data: GaussianMixture, process: Gaussian) -> Transport:
    """The exact posterior mean."""
    return Transport(AnalyticMixture(data).model(process), process)


def wrong_score(
    data: GaussianMixture, process: Gaussian, error: Callable[[Tensor, Tensor, float], Tensor]
) -> Transport:
    """The exact score plus an error, a function of state, score and noise level."""
    good = AnalyticMixture(data).model(process)

    def model(x: Tensor, t: Any, c: Any = None) -> Tensor:
        k = process.schedule.at(t)
        score = (k.alpha * good(x, t) - x) / k.sigma**2
        return (x + k.sigma**2 * (score + error(x, score, k.sigma))) / k.alpha

    return Transport(model, process)


def final(
    name: str, transport: Transport, data: GaussianMixture, times: list[float], points: int = 1201
) -> float:
    """`KL(p_stop | samples)` of a sampler, without any Monte Carlo error."""
    rule, k = registry.resolve("samplers", name), transport.process.schedule.at(times[-1])
    if len(data.means) == 1:
        d = len(data.mean)
        noise = k.sigma**2 * torch.eye(d, dtype=DOUBLE)
        law = k.alpha * data.mean, k.alpha**2 * data.covariance + noise
        return gaussian.kl(*law, *theory.moments_of_samples(rule, transport, times, d))
    x = torch.linspace(-9, 9, points, dtype=DOUBLE)
    q = theory.density_of_samples(rule, transport, times, x)
    log_p = data.noised(k.alpha, k.sigma).log_prob(x[:, None])
    return float((x[1] - x[0]) * (log_p.exp() * (log_p - q.clamp(min=1e-300).log())).sum())


def slack(world: str, sampler: str, steps: int, smoke: bool = False) -> dict[str, Any]:
    """An exact model, with published bounds beside."""
    data, process = WORLDS[world], Gaussian(schedules.OU(horizon=HORIZON))
    grid = "log-snr"
    times = registry.resolve("grids", grid)(process.schedule, steps, start=1.0, stop=STOP)
    transport = exact(data, process)
    x = data.sample(100 if smoke else 1000, seed=0)
    found = certify(
        transport, x, sampler=sampler, steps=steps, law=data, grid=grid, start=1.0, stop=STOP,
        denoise=False,
    )  # fmt: skip
    scheme = scheme_of(registry.resolve("samplers", sampler))
    bounds = published_bounds(data, process, times, scheme, 0.0)
    return {
        "final": final(sampler, transport, data, times),
        "bound": found.bound,
        "stderr": found.stderr,
        "published": {b.name: [b.value, b.of, b.applies] for b in bounds},
    }


def random_world(seed: int) -> dict[str, Any]:
    """A random law, schedule, grid, number of steps and error of the score; all samplers."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=generator, dtype=DOUBLE)

    schedule = (schedules.VP(), schedules.OU(horizon=3.0), schedules.Cosine())[seed % 3]
    process, steps = Gaussian(schedule), int(uniform(5, 60))
    if seed % 2:
        w = uniform(0.2, 1.0, 3)
        data = GaussianMixture(uniform(-2, 2, 3, 1), uniform(0.05, 0.5, 3), w / w.sum())
    else:
        d = 1 + seed % 5
        data = GaussianMixture(uniform(-2, 2, 1, d), uniform(0.05, 3.0, 1, d))
    scale, shift = float(uniform(-0.1, 0.1)), float(uniform(-0.2, 0.2))
    transport = wrong_score(data, process, lambda x, score, sigma: scale * score + shift)
    grid = ("log-snr", "quadratic")[(seed // 2) % 2]
    times = registry.resolve("grids", grid)(process.schedule, steps, stop=0.05)
    found: dict[str, Any] = {"steps": steps}
    for name in CERTIFIED:
        certificate = certify(
            transport, data.sample(1000, seed=seed), sampler=name, steps=steps, law=data,
            grid=grid, stop=0.05, denoise=False, seed=seed,
        )  # fmt: skip
        end = final(name, transport, data, times, points=801)
        found[name] = [end, certificate.bound, certificate.stderr]
    return found


PLANTED: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "none": lambda x, score, sigma: 0 * x,
    "0.1": lambda x, score, sigma: 0 * x + 0.1,
    "0.3": lambda x, score, sigma: 0 * x + 0.3,
    "0.3 sin 2x": lambda x, score, sigma: 0.3 * torch.sin(2 * x),
    "5% of the score": lambda x, score, sigma: 0.05 * score,
    "20% of the score": lambda x, score, sigma: 0.2 * score,
    "0.1 / sigma": lambda x, score, sigma: 0 * x + 0.1 / sigma,
}


def planted(error: str, smoke: bool = False) -> dict[str, Any]:
    """The SDE and the probability flow of one and the same score."""
    process = Gaussian(schedules.OU(rate=0.5, horizon=6.0))
    steps, stop = (40, 0.05) if smoke else (300, 1e-3)
    transport = wrong_score(LINE, process, PLANTED[error])
    times = grids.LogSNRGrid()(process.schedule, steps, start=1.0, stop=stop)
    found = certify(
        transport, LINE.sample(100 if smoke else 1000, seed=0), steps=steps, law=LINE,
        start=1.0, stop=stop, denoise=False,
    )  # fmt: skip
    return {
        "bound": found.bound,
        "stderr": found.stderr,
        "score": found.terms["score error"].value,
        "sde": final("ddpm", transport, LINE, times, points=1401),
        "ode": flow_divergence(transport, times),
    }


def flow_divergence(transport: Transport, times: list[float]) -> float:
    """`KL(p_stop | samples)` of the probability flow: a map of the line, by its derivative."""
    first = transport.process.schedule.at(times[0])
    base = torch.linspace(-6.5, 6.5, 20_001, dtype=DOUBLE)
    x = base[:, None] * first.sigma
    end = samplers.run(samplers.Heun(), transport, x, times)[:, 0]
    slope = torch.gradient(end, spacing=float(base[1] - base[0]))[0]
    log_q = -0.5 * base.square() - 0.5 * math.log(2 * math.pi) - slope.log()
    k = transport.process.schedule.at(times[-1])
    log_p = LINE.noised(k.alpha, k.sigma).log_prob(end[:, None])
    # Over the points where the samples are, weighed by the law of the data.
    return float(torch.trapezoid(log_p.exp() * (log_p - log_q), end))


def learned(seed: int, smoke: bool = False) -> dict[str, Any]:
    """The score term of a trained network: the estimate of 500 rows beside the integral."""
    data = LINE.sample(2500, seed=seed).float()
    torch.manual_seed(seed)
    model = pf.Diffusion(pf.nn.MLP(1, width=32, depth=2))
    settings = {"batch_size": 256, "lr": 2e-3, "holdout": 0.0, "progress": False}
    trainings.fit(model, data[:2000], steps=20 if smoke else 400, seed=seed, **settings)
    options = {"steps": 50, "denoise": False, "stop": 0.02, "seed": seed}
    known = certify(model, data[2000:], law=LINE, **options)
    drawn = certify(model, data[2000:], **options)
    subject = subject_of(model, RowContexts(), data.dtype)
    law = law_in_units(LINE, subject, model.inward(data[:2]))
    start = model.process.interval[0]
    times = registry.resolve("grids", model.grid)(
        model.process.schedule, 50, start=start, stop=0.02
    )
    term = known.terms["score error"]
    return {
        "true": score_error(subject.predict, law, model.process, times),
        "value": term.value,
        "stderr": term.stderr,
        "upper": drawn.terms["score error"].value,
        "upper_stderr": drawn.terms["score error"].stderr,
        "bound": known.bound,
    }


@torch.no_grad()
def score_error(predict: Any, law: KnownLaw, process: Gaussian, times: list[float]) -> float:
    """The score term of `ddpm` by quadrature over the line."""
    x, total = torch.linspace(-9, 9, 6001, dtype=DOUBLE)[:, None], 0.0
    scheme = scheme_of(samplers.Ancestral())
    for cost in step_costs(scheme, process.schedule, times):
        density = law.mixture.noised(cost.alpha, cost.sigma).log_prob(x).exp()
        gap = predict(x, cost.t) - law.posterior_mean(x, cost.alpha, cost.sigma)
        mean = float(torch.trapezoid(density * gap.square()[:, 0], x[:, 0]))
        total += 0.5 * (cost.ends[1] - cost.ends[0]) * mean
    return total


def run(table: str, smoke: bool = False, **case: Any) -> dict[str, Any]:
    """One row."""
    if table == "random":
        return random_world(**case)
    return {"slack": slack, "planted": planted, "learned": learned}[table](smoke=smoke, **case)


def cases(tables: list[str], smoke: bool) -> list[dict[str, Any]]:
    """All rows."""
    found: list[dict[str, Any]] = []
    steps = (20,) if smoke else (30, 130, 400)
    if "slack" in tables:
        found += [
            {"table": "slack", "world": w, "sampler": s, "steps": n}
            for w in WORLDS for s in CERTIFIED[:2] for n in steps
        ]  # fmt: skip
    if "random" in tables:
        found += [{"table": "random", "seed": k} for k in range(2 if smoke else RANDOM)]
    if "planted" in tables:
        found += [{"table": "planted", "error": e} for e in list(PLANTED)[: 2 if smoke else None]]
    if "learned" in tables:
        found += [{"table": "learned", "seed": k} for k in range(1 if smoke else SEEDS)]
    return found


def tables(results: list[dict[str, Any]]) -> str:
    """Everything as Markdown."""
    of = {name: [r for r in results if r["table"] == name] for name in TABLES}
    texts = []
    if of["slack"]:
        names = ("finite Fisher information", "second moment", "Strasman et al. 2025")
        rows = [
            [
                r["world"], r["sampler"], str(r["steps"]), f"{r['final']:.2e}", f"{r['bound']:.2e}",
                f"{r['bound'] / r['final']:.1f}",
                *(
                    f"{r['published'][n][0]:.2e}" if r["published"][n][2] else "–" for n in names
                ),
                f"{r['published']['Benton et al. 2024'][0]:.2e}",
            ]
            for r in of["slack"]
        ]  # fmt: skip
        head = ["data", "sampler", "steps", "KL of the samples", "certificate", "ratio", *names]
        head.append("Benton et al. 2024, constant 1")
        texts.append(f"**Exact models, in nats**\n\n{record.table(head, rows)}")
    if of["random"]:
        rows = []
        for name in CERTIFIED:
            found = [r[name] for r in of["random"]]
            ratios = sorted(bound / end for end, bound, _ in found)
            broken = sum(end > bound + 3 * error for end, bound, error in found)
            middle = ratios[len(ratios) // 2]
            rows.append(
                [name, str(len(found)), str(broken), f"{ratios[0]:.2f}", f"{middle:.2f}",
                 f"{ratios[-1]:.1f}"]
            )  # fmt: skip
        head = ["sampler", "worlds", "broken", "least ratio", "median", "largest"]
        texts.append(f"**Random laws, schedules, grids, errors**\n\n{record.table(head, rows)}")
    if of["planted"]:
        rows = [
            [
                r["error"], f"{r['score']:.4f}", f"{r['bound']:.4f} ± {r['stderr']:.4f}",
                f"{r['sde']:.4f}", f"{r['bound'] / r['sde']:.2f}", f"{r['ode']:.4f}",
                _beside(r["ode"], r),
            ]
            for r in of["planted"]
        ]  # fmt: skip
        head = ["error of the score", "its term", "certificate", "KL of `ddpm`", "ratio",
                "KL of the flow", "which is"]  # fmt: skip
        texts.append(f"**The SDE and the flow of one score**\n\n{record.table(head, rows)}")
    if of["learned"]:
        found = of["learned"]
        covered = sum(abs(r["value"] - r["true"]) <= 2 * r["stderr"] for r in found)
        above = sum(r["upper"] >= r["true"] - 2 * r["upper_stderr"] for r in found)
        keys = ("true", "value", "upper", "stderr")
        mean = {k: sum(r[k] for r in found) / len(found) for k in keys}
        texts.append(
            "**The score error of trained networks**\n\nThe estimate of 500 held-out rows is "
            f"within two standard errors of the integral over the line in {covered} of "
            f"{len(found)} trainings. The upper bound without the law is above the integral, or "
            f"below by at most two standard errors, in {above}. Means: integral "
            f"{mean['true']:.4f} nats, estimate {mean['value']:.4f} with a standard error of "
            f"{mean['stderr']:.4f}, upper bound {mean['upper']:.4f}."
        )
    return "\n\n".join(texts)


def _beside(flow: float, r: dict[str, Any]) -> str:
    """Where the flow stands beside what is true of the SDE."""
    if flow > r["bound"] + 3 * r["stderr"]:
        return "above the certificate"
    return "above the term of the score" if flow > 1.01 * r["score"] + 1e-3 else "below both"


def main() -> None:
    """Measure, print, and with `--write` record."""
    options = shared.arguments(__doc__, tables=(TABLES, "which tables")).parse_args()
    timing.one_thread()
    rows = cases(options.tables, options.smoke)
    results = shared.gathered(options, rows, lambda **case: run(smoke=options.smoke, **case))
    text = tables(results)
    print(text)
    if options.write:
        facts = {"environment": record.environment(), "results": results}
        record.save("certificates", facts, text)


if __name__ == "__main__":
    main()
