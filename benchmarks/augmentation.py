"""Does it help to add samples? A classifier on few labeled rows, with and without drawn ones.

A model is trained on the same few labeled rows as the classifier and draws more rows of each class;
the classifier, a logistic regression, learns from both. `table` is the known law of
`mixed_tables.py`, its category to be told from the other columns; `digits` are 8 x 8 digits, drawn
by a diffusion model of the labels. Accuracy is on rows that neither has seen.

    python benchmarks/augmentation.py --write
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

import mixed_tables
import pushforward as pf
import record
import shared
import trainings
from pushforward.metrics import Estimate
from pushforward.training import Settings

DATA = ("table", "digits")
LABELED = (30, 100, 300)
TIMES = (0, 1, 5)
SEEDS = (0, 1, 2, 3, 4)
TEST = 800
STEPS = 600


def accuracy(x: Tensor, c: Tensor, test: tuple[Tensor, Tensor]) -> float:
    """Of a logistic regression with a ridge of one, by Newton-like steps of L-BFGS."""
    mean, scale = x.mean(0), x.std(0).clamp_min(1e-3)
    z, unseen = (x - mean) / scale, (test[0] - mean) / scale
    kinds = int(max(c.max(), test[1].max())) + 1
    weight = torch.zeros(z.shape[1] + 1, kinds, requires_grad=True)
    fit = torch.optim.LBFGS([weight], max_iter=60, line_search_fn="strong_wolfe")

    def logits(inputs: Tensor) -> Tensor:
        return inputs @ weight[:-1] + weight[-1]

    def loss() -> Tensor:
        fit.zero_grad()
        found = functional.cross_entropy(logits(z), c, reduction="sum")
        found = found + weight[:-1].square().sum() / 2
        found.backward()
        return found

    fit.step(loss)
    return float((logits(unseen).argmax(1) == test[1]).float().mean())


def of_table(labeled: int, seed: int, smoke: bool) -> tuple[Any, ...]:
    """Features and classes of a few rows and of unseen ones, and what draws more."""
    data = pf.data.load(mixed_tables.known(2 * TEST + labeled, seed), kinds="auto")
    order = torch.arange(len(data))
    few, test = data.take(order[:labeled]), data.take(order[labeled : labeled + TEST])
    coded = data.schema.mixed
    sizes = [column.size for column in coded.columns if column.size]

    def split(x: Any) -> tuple[Tensor, Tensor]:
        # The first column is the class.
        seen = torch.cat([coded.shown(x), coded.indicators(x)[:, sizes[0] :]], 1)
        return seen.float(), x[1][:, 0]

    torch.manual_seed(seed)
    model = pf.models.TableDiffusion.for_data(few)
    settings = Settings(steps=3 if smoke else STEPS, batch_size=128, holdout=0.0, seed=seed)
    model = trainings.fit(model, few, settings=settings, progress=False).model

    def draw(n: int) -> tuple[Tensor, Tensor]:
        x = pf.state.take(few.x, torch.arange(n) % labeled)
        known = tuple(torch.zeros_like(part, dtype=torch.bool) for part in x)
        known[1][:, 0] = True
        return split(model.infill(x, known, steps=4 if smoke else 60, seed=seed))

    return split(few.x), split(test.x), draw


def of_digits(labeled: int, seed: int, smoke: bool) -> tuple[Any, ...]:
    """The same of digits."""
    data = pf.data.load("digits")
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
    few, test = data.take(order[:labeled]), data.take(order[labeled : labeled + TEST])
    torch.manual_seed(seed)
    net = pf.nn.MLP((1, 8, 8), width=128, depth=3, num_classes=10)
    model = pf.Diffusion(net, event_shape=(1, 8, 8))
    settings = Settings(steps=3 if smoke else STEPS, batch_size=128, holdout=0.0, seed=seed)
    model = trainings.fit(model, few, settings=settings, progress=False).model

    def draw(n: int) -> tuple[Tensor, Tensor]:
        c = few.c[torch.arange(n) % labeled]
        return model.sample(n, c, steps=4 if smoke else 20, seed=seed).flatten(1), c

    return (few.x.flatten(1), few.c), (test.x.flatten(1), test.c), draw


def measured(data: str, labeled: int, seed: int, smoke: bool) -> dict[str, Any]:
    """The accuracy without drawn rows, and with so many times the labeled ones."""
    x, test, draw = (of_table if data == "table" else of_digits)(labeled, seed, smoke)
    found = {}
    for times in TIMES:
        both = x
        if times:
            more = draw(times * labeled)
            both = tuple(torch.cat(pair) for pair in zip(x, more, strict=True))
        found[str(times)] = accuracy(*both, test)
    return {"data": data, "labeled": labeled, "seed": seed, "accuracy": found}


def text(results: list[dict[str, Any]]) -> str:
    """Accuracies, and what is gained row by row of the seeds."""
    head = ["data", "labeled rows", "alone", *(f"gain of {t} x as many" for t in TIMES[1:])]
    lines = []
    for data, labeled in dict.fromkeys((r["data"], r["labeled"]) for r in results):
        own = [r["accuracy"] for r in results if (r["data"], r["labeled"]) == (data, labeled)]
        alone = np.array([found["0"] for found in own])
        gains = [np.array([found[str(t)] for found in own]) - alone for t in TIMES[1:]]
        lines.append([data, str(labeled), *map(_mean, (alone, *gains))])
    return record.table(head, lines)


def _mean(values: np.ndarray) -> str:
    error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return str(Estimate(float(values.mean()), float(error), len(values)))


def main() -> None:
    """Measure, print, and with `--write` record."""
    parser = shared.arguments(__doc__, data=(DATA, "data"), seeds=(SEEDS, "seeds"))
    options: argparse.Namespace = parser.parse_args()
    torch.set_num_threads(1)
    cases = [
        {"data": data, "labeled": labeled, "seed": seed}
        for data in options.data
        for labeled in (LABELED[:1] if options.smoke else LABELED)
        for seed in (options.seeds[:1] if options.smoke else options.seeds)
    ]
    run: Callable[..., dict[str, Any]] = lambda **case: measured(**case, smoke=options.smoke)  # noqa: E731
    results = shared.gathered(options, cases, run)
    print(text(results))
    if options.write:
        facts = {"environment": record.environment(), "results": results}
        record.save("augmentation", facts, text(results))


if __name__ == "__main__":
    main()
