"""Pictures restored: super-resolution and inpainting of digits and of patches of photographs.

A diffusion model of each kind of picture is the prior of all guided samplers; networks of pairs and
conditional Schrödinger bridges learn each task by itself. Pictures are held out: a tenth of the
digits, and another photograph. Nineteen draws of each picture are compared with the truth.

    python benchmarks/restoration.py --runs runs/restoration --write
    python benchmarks/restoration.py --runs runs/restoration --tasks digits-x2 --part one.jsonl
    python benchmarks/restoration.py --merge one.jsonl two.jsonl --write
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

import pushforward as pf
import record
import shared
import timing
from pushforward import inverse
from pushforward.errors import ConvergenceWarning
from pushforward.metrics import Estimate, psnr, ssim
from pushforward.models import RegressedSource
from pushforward.processes import Bridge
from pushforward.schrodinger import CouplingCache, OuterIterations
from restored_pictures import NOISE, TASKS, Task, World, fitted, measured, prior, world

DRAWS, WINDOW = 19, 7
"""Of each picture, and of SSIM."""
RANKS = {"80 %": (2, 17), "90 %": (1, 18)}
"""How many of 19 draws of a pixel lie below the truth, in so many cases if all are exchangeable."""
BRIDGE_STEPS = 20


# -- how they are drawn ---------------------------------------------------------------------------


class Found(NamedTuple):
    """Draws `(n, m, C, H, W)`, the networks whose evaluations count, and seconds of training."""

    draw: Callable[[], Tensor]
    networks: tuple[nn.Module, ...] = ()
    training: float = 0.0
    facts: Callable[[], dict[str, Any]] = dict


def interpolated(own: World, task: Task, y: Tensor) -> Found:
    """Bicubic interpolation; of a mask the state nearest to the mean picture that gives `y`."""
    shape = own.train.event_shape
    if isinstance(task.operator, inverse.Downsample):
        size = shape[1:]
        return Found(lambda: functional.interpolate(y, size, mode="bicubic")[None])
    mean = own.train.x.mean(0, keepdim=True)
    lacking = y - task.operator(mean)
    return Found(lambda: (mean + task.operator.svd(shape).pseudo_inverse(lacking))[None])


def normal(own: World, task: Task, y: Tensor) -> Found:
    """The posterior in closed form as if pictures were normally distributed."""
    shape = own.train.event_shape
    flat = own.train.x.double().flatten(1)
    mean, cov = flat.mean(0), torch.cov(flat.T)
    a = task.operator(torch.eye(len(mean)).reshape(-1, *shape)).double().flatten(1).T
    spread = a @ cov @ a.T + (NOISE * own.span) ** 2 * torch.eye(len(a))
    gain = torch.linalg.solve(spread, a @ cov).T
    means = mean + (y.double().flatten(1) - a @ mean) @ gain.T
    left = cov - gain @ a @ cov
    values, vectors = torch.linalg.eigh((left + left.T) / 2)
    root = vectors * values.clamp(min=0).sqrt()

    def draw() -> Tensor:
        g = torch.Generator().manual_seed(0)
        z = torch.randn(DRAWS, len(y), len(mean), generator=g, dtype=torch.float64)
        return (means + z @ root.T).float().unflatten(2, shape)

    return Found(draw)


def guided(own: World, task: Task, y: Tensor, model: pf.Diffusion, method: str) -> Found:
    """Guided by a likelihood. RePaint takes what is measured for exact."""
    noise = "exact" if method == "repaint" else own.noise
    options = {"particles": own.particles} if method == "tds" else {}
    post: Any = model.posterior(y, task.operator, noise, method, **options)

    def weights() -> dict[str, Any]:
        bad = sum(not bool(one.converged.all()) for one in post.particles)
        return {"particles": own.particles, "degenerate": bad / len(y)}

    steps = own.sampling // 2 if method == "daps" else own.sampling
    return Found(
        lambda: post.sample(DRAWS, seed=0, steps=steps, check=False), (model.predictor.net,),
        facts=weights if method == "tds" else dict,
    )  # fmt: skip


def amortized(own: World, task: Task, y: Tensor) -> Found:
    """Flow matching of pictures given their measurements."""
    pairs = pf.data.Data(own.train.x, measured(own, task.operator, own.train.x, 1).flatten(1))
    torch.manual_seed(0)
    model = pf.FlowMatching(own.told(task.operator), label_dropout=0.0)
    seconds = fitted(model, pairs, own.pairs, own.batch)
    post = model.posterior(y.flatten(1))
    return Found(
        lambda: post.sample(DRAWS, seed=0, steps=own.sampling), (model.predictor.net,), seconds
    )


def bridged(own: World, task: Task, y: Tensor, *, count: int, regressed: bool) -> Found:
    """A conditional Schrödinger bridge in standard deviations: from noise, or from a regression.

    With one outer iteration it is CSGM, what it starts from.
    """
    center, width = own.train.x.mean(), own.train.x.std()
    low = measured(own, task.operator, own.train.x, 1).flatten(1)
    pairs = pf.data.Data((own.train.x - center) / width, (low - center) / width)
    torch.manual_seed(0)
    nets = [own.told(task.operator) for _ in range(2)]
    rounds = OuterIterations(max(count, 2), max(own.pairs // count, 1), first="forward")
    model = pf.SchrodingerBridge(
        *nets, Bridge(0.5 if regressed else 0.5**0.5), "dsbm-ipf", rounds,
        CouplingCache(rows=min(len(pairs), 20 * own.batch)), steps=BRIDGE_STEPS, ema=0.99,
        start=RegressedSource(1) if regressed else None,
    )  # fmt: skip
    # The first step of another iteration ends the one before it.
    steps = rounds.total_steps if count > 1 else rounds.steps + 1
    options = {"holdout": 0.0, "lr": 1e-3, "schedule": "constant", "ema": 0.99}
    seconds = fitted(model, pairs, steps, own.batch, **options)

    def draw() -> Tensor:
        contexts = (y.flatten(1) - center) / width
        drawn = [model.sample(DRAWS, c, seed=k) for k, c in enumerate(contexts)]
        return center + width * torch.stack(drawn, 1)

    return Found(draw, training=seconds, facts=lambda: {"evaluations": BRIDGE_STEPS})


GUIDED = ("pigdm", "mmps", "diffpir", "dps", "daps", "tds", "repaint")
BRIDGES = {
    "CSGM": {"count": 1, "regressed": False},
    "CDSB": {"count": 3, "regressed": False},
    "CDSB-C": {"count": 3, "regressed": True},
}
METHODS = ("truth", "interpolated", "normal", *GUIDED, "amortized", *BRIDGES)


def suits(name: str, method: str) -> bool:
    """RePaint takes masks alone; derivatives of a U-Net and bridges of photographs take long."""
    if method == "repaint":
        return name == "digits-half"
    if method in BRIDGES:
        return name != "photographs-x2"
    return not (method == "mmps" and name.startswith("photographs"))


def found(name: str, method: str, runs: Path | None, smoke: bool) -> Found:
    """Draws of a method for the pictures of a task."""
    task = TASKS[name]
    own = world(task.world, smoke)
    y = measured(own, task.operator, own.truth, 2)
    if method == "truth":
        return Found(lambda: own.truth[None])
    if method in GUIDED:
        model, seconds = prior(task.world, runs, smoke)
        return guided(own, task, y, model, method)._replace(training=seconds)
    if method in BRIDGES:
        return bridged(own, task, y, **BRIDGES[method])
    known = {"interpolated": interpolated, "normal": normal, "amortized": amortized}
    return known[method](own, task, y)


# -- judges ---------------------------------------------------------------------------------------


def judged(own: World, task: Task, x: Tensor) -> dict[str, Any]:
    """Draws beside the truth: values, and standard errors over pictures."""
    truth, mean = own.truth, x.mean(0)
    y = measured(own, task.operator, truth, 2)
    misfit = (task.operator(x.flatten(0, 1)) - y.repeat(len(x), *(1,) * (y.ndim - 1))).flatten(1)
    # One draw of each picture at a time: as many as there are truths, whose distance is the floor.
    near = [own.textures.distance(draw) for draw in x]
    values: dict[str, Any] = {
        "PSNR of mean": error(psnr(mean, truth, value_range=own.span)),
        "PSNR of a draw": error(psnr(x[0], truth, value_range=own.span)),
        "SSIM": error(ssim(mean, truth, value_range=own.span, window=WINDOW)),
        "misfit": float((misfit / (NOISE * own.span)).square().mean().sqrt()),
        "Fréchet": sum(near) / len(near),
    }
    if len(x) < DRAWS:
        return values
    below = (x < truth).sum(0) + 0.5 * (x == truth).sum(0)
    varies = truth.std(0) > 0
    if isinstance(task.operator, inverse.Mask):
        varies &= ~task.operator.observed
    for name, (least, most) in RANKS.items():
        inside = ((below >= least) & (below <= most)).float()
        values[name] = error(inside[:, varies].mean(1))
    return values


def error(values: Tensor) -> tuple[float, float] | None:
    """The mean over pictures and its standard error; nothing where the truth is among them."""
    if not bool(values.isfinite().all()):
        return None
    return float(values.mean()), float(values.std() / len(values) ** 0.5)


def run(task: str, method: str, runs: Path | None, smoke: bool) -> dict[str, Any] | None:
    """One method on one task; nothing where it does not suit."""
    if not suits(task, method):
        return None
    own, evaluated = world(TASKS[task].world, smoke), 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        way = found(task, method, runs, smoke)

        def count(_: nn.Module, args: tuple[Any, ...]) -> None:
            nonlocal evaluated
            evaluated += len(args[0])

        hooks = [net.register_forward_pre_hook(count) for net in way.networks]
        begin = time.process_time()
        x = way.draw()
        seconds = time.process_time() - begin
    for hook in hooks:
        hook.remove()
    pictures = len(own.truth)
    cost = {"evaluations": evaluated / x.shape[:2].numel(), "seconds": seconds / pictures}
    told = {"training": way.training, "pictures": pictures} | way.facts()
    return judged(own, TASKS[task], x) | cost | told


# -- table ----------------------------------------------------------------------------------------

HEAD = ("PSNR of mean", "PSNR of a draw", "SSIM", "misfit", "Fréchet", *RANKS)


def text(results: list[dict[str, Any]]) -> str:
    """A table for each task."""
    parts = []
    for name, task in TASKS.items():
        own = [
            r for method in METHODS for r in results if (r["task"], r["method"]) == (name, method)
        ]
        if not own:
            continue
        rows = [
            [_title(r["method"], task), *(_cell(r.get(key), key) for key in HEAD),
             f"{r['evaluations']:.0f}", f"{r['seconds']:.2f}", _training(r)]
            for r in own
        ]  # fmt: skip
        head = ["", *HEAD, "evaluations", "s a picture", "s of training"]
        parts.append(
            f"**{task.title}**, {own[0]['pictures']} pictures\n\n{record.table(head, rows)}"
        )
        parts += [
            f"The weights of `tds` degenerate for {r['degenerate']:.0%} of the pictures: few of "
            f"{r['particles']} particles have descendants in the end, or `log p(y)` is uncertain."
            for r in own
            if "degenerate" in r
        ]
    return "\n\n".join(parts)


def _title(method: str, task: Task) -> str:
    if method == "interpolated":
        return "bicubic" if isinstance(task.operator, inverse.Downsample) else "mean picture"
    names = {"normal": "normal distribution", "amortized": "amortized flow matching"}
    return f"`{method}`" if method in GUIDED else names.get(method, method)


def _cell(value: Any, key: str) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.2f}" if key == "misfit" else f"{value:.0f}"
    if key in RANKS:
        value = [100 * part for part in value]
    return str(Estimate(*value, 1))


def _training(result: dict[str, Any]) -> str:
    if result["method"] in GUIDED:
        return "of the prior"
    return f"{result['training']:.0f}" if result["training"] else "–"


def main() -> None:
    """Train, draw, judge, print, and with `--write` record."""
    parser = shared.arguments(
        __doc__,
        tasks=(TASKS, "which tasks"),
        methods=(METHODS, "which methods"),
    )
    parser.add_argument("--runs", type=Path, help="a folder that keeps the priors")
    options = parser.parse_args()
    timing.one_thread()
    cases = [{"task": a, "method": b} for a, b in product(options.tasks, options.methods)]
    if options.smoke:
        cases = [{"task": "digits-half", "method": method} for method in METHODS]
        cases += [{"task": "photographs-x4", "method": "amortized"}]
    runs = None if options.smoke else options.runs
    results = shared.gathered(options, cases, partial(run, runs=runs, smoke=options.smoke))
    print(text(results))
    if options.write:
        facts = {"environment": record.environment(), "draws": DRAWS, "noise": NOISE}
        record.save("restoration", facts | {"results": results}, text(results))


if __name__ == "__main__":
    main()
