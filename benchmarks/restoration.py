"""Digits restored: super-resolution and inpainting by guided samplers.

One diffusion model is the prior of every method. With `--amortized` flow matching is trained on
pairs of a digit and its measurement, too, for each task by itself. Several draws of each digit are
compared with the truth: PSNR of their mean and of one draw, SSIM of the mean, the misfit in units
of the noise, how often the truth lies within the central 80 % of the draws of a pixel, and the
Fréchet distance of pixels between draws and digits.

    .venv/bin/python benchmarks/restoration.py --run runs/restoration --write
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import pushforward as pf
import record
from pushforward import inverse
from pushforward.errors import ConvergenceWarning
from pushforward.metrics import frechet_distance, psnr, ssim

RANGE, NOISE, DRAWS = 16.0, 0.32, 9
TASKS: dict[str, inverse.LinearOperator] = {
    "4 x 4 to 8 x 8": inverse.Downsample(2),
    "2 x 2 to 8 x 8": inverse.Downsample(4),
    "right half": inverse.Mask(torch.arange(8).expand(8, 8) < 4),
}
METHODS = ("pigdm", "diffpir", "dps")
HEAD = ["task", "method", "PSNR of mean", "PSNR of a draw", "SSIM", "misfit", "80 % intervals",
        "Fréchet", "s per digit"]  # fmt: skip


def prior(run: Path | None, train: Any, steps: int) -> Any:
    """The diffusion model of a run, or a new one."""
    if run is not None:
        return pf.load(run)
    torch.manual_seed(0)
    model = pf.Diffusion(pf.nn.MLP(train.event_shape, width=384, depth=4))
    pf.fit(model, train, steps=steps, batch_size=128, seed=0)
    return model


def amortized(operator: inverse.LinearOperator, train: Any, steps: int) -> Any:
    """Flow matching of digits given their measurements, flattened."""
    noise = inverse.GaussianNoise(NOISE)
    y = noise.sample(operator(train.x), torch.Generator().manual_seed(1)).flatten(1)
    torch.manual_seed(0)
    net = pf.nn.MLP(train.event_shape, width=384, depth=4, context=y.shape[1])
    model = pf.FlowMatching(net, label_dropout=0.0)
    pf.fit(model, pf.data.Data(train.x, y), steps=steps, batch_size=128, seed=0)
    return model


def judged(
    x: Tensor, truth: Tensor, operator: inverse.LinearOperator, y: Tensor, digits: Tensor
) -> dict[str, Any]:
    """Draws `(n, m, 1, 8, 8)` beside the truth."""
    mean = x.mean(0)
    rank = (x < truth).sum(0) + 0.5 * (x == truth).sum(0)
    # Of nine draws eight gaps of ten lie within the outermost ones.
    inside = (rank >= 1) & (rank <= DRAWS - 1)
    varies = truth.std(0) > 0
    misfit = (operator(x.flatten(0, 1)) - y.repeat(len(x), *(1,) * (y.ndim - 1))) / NOISE
    frechet = frechet_distance(x.flatten(0, 1).flatten(1), digits.flatten(1))
    return {
        "psnr_mean": float(psnr(mean, truth, value_range=RANGE).mean()),
        "psnr_draw": float(psnr(x[0], truth, value_range=RANGE).mean()),
        "ssim": float(ssim(mean, truth, value_range=RANGE).mean()),
        "misfit": float(misfit.square().mean().sqrt()),
        "coverage": float(inside[:, varies].float().mean()),
        "frechet": float(frechet.value),
    }


def measure(options: Any, smoke: bool) -> list[dict[str, Any]]:
    """All methods on all tasks."""
    data = pf.data.load("digits", label=False)
    train, test = data.split(holdout=0.1, seed=0)
    truth = test.x[: 8 if smoke else options.pictures]
    training, steps = (3, 4) if smoke else (options.training, options.steps)
    model, results = prior(None if smoke else options.run, train, training), []
    for task, operator in TASKS.items():
        y = inverse.GaussianNoise(NOISE).sample(operator(truth), torch.Generator().manual_seed(2))
        for method in (*METHODS, *(("amortized",) if options.amortized else ())):
            post: Any
            if method == "amortized":
                post = amortized(operator, train, training).posterior(y.flatten(1))
                drawing = {"steps": steps}
            else:
                post = model.posterior(y, operator, NOISE, method)
                drawing = {"steps": steps, "check": False}
            begin = time.perf_counter()
            x = post.sample(DRAWS, seed=0, **drawing)
            seconds = (time.perf_counter() - begin) / len(truth)
            found = {"task": task, "method": method, "seconds": seconds}
            results.append(found | judged(x, truth, operator, y, data.x))
            print(results[-1], flush=True)
    return results


def text(results: list[dict[str, Any]]) -> str:
    """The table of the documentation."""
    rows = [
        [
            r["task"], f"`{r['method']}`" if r["method"] != "amortized" else r["method"],
            f"{r['psnr_mean']:.2f}", f"{r['psnr_draw']:.2f}", f"{r['ssim']:.3f}",
            f"{r['misfit']:.2f}", f"{r['coverage']:.0%}", f"{r['frechet']:.0f}",
            f"{r['seconds']:.2f}",
        ]
        for r in results
    ]  # fmt: skip
    return record.table(HEAD, rows)


def main() -> None:
    """Measure, print, and with `--write` record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, help="a trained diffusion model of the digits")
    parser.add_argument("--pictures", type=int, default=120, help="digits that are restored")
    parser.add_argument("--steps", type=int, default=100, help="of every sampler")
    parser.add_argument("--training", type=int, default=4000, help="steps of every training")
    parser.add_argument("--amortized", action="store_true", help="train a network on pairs, too")
    parser.add_argument("--smoke", action="store_true", help="a few steps, to see that it runs")
    parser.add_argument("--write", action="store_true", help="record the results")
    options = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        results = measure(options, options.smoke)
    print(text(results))
    if options.write:
        facts = {
            "environment": record.environment(),
            "settings": {"noise": NOISE, "draws": DRAWS, "pictures": options.pictures,
                         "steps": options.steps, "training": options.training},
        }  # fmt: skip
        record.save("restoration", facts | {"results": results}, text(results))


if __name__ == "__main__":
    main()
