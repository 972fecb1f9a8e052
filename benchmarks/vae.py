"""Variational autoencoders beside pythae: bounds at equal training time, and speed.

The 8x8 digits, in black and white or standardized with uniform noise over the cell of each level;
the same networks behind the same shift and scale; the same likelihoods, those that pythae has. Each
model is trained twice for the same processor time: in one loop with one optimizer, and by the
trainer of its library. All are judged by one estimator.

    make bench-env
    .venv-bench/bin/python benchmarks/vae.py --write
"""

from __future__ import annotations

import argparse
import copy
import io
import logging
import math
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr
from importlib.util import find_spec
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

import pushforward as pf
import record
import timing
import trainings
from pushforward.latent import BernoulliDecoder, DiagonalEncoder, GaussianDecoder, VampPrior
from pushforward.metrics import Estimate, dequantized
from pushforward.nn import Perceptron

KINDS = ("Bernoulli", "Bernoulli, importance-weighted", "Bernoulli, VampPrior", "Gaussian")
OWN = "Gaussian, learned deviation"
"""What pythae has no counterpart of: its Gaussian decoder has deviation one."""
SIZE, LATENT, WIDTH, DEPTH = 64, 16, 128, 3
BATCH, SAMPLES, COMPONENTS, DRAWN = 128, 8, 50, 1000
BUDGET = 8.0
"""Seconds of a processor in training."""
LOOP, TRAINER = "one loop", "own trainer"
PEERS = ("pythae",)


class Task(NamedTuple):
    """Digits to learn from, to choose the best step by, and to judge by, `(n, 64)`."""

    train: Tensor
    held: Tensor
    test: Tensor


class Learner(NamedTuple):
    """What both libraries can do, and the trained law as one of our models."""

    module: nn.Module
    loss: Callable[[Tensor], Tensor]
    sample: Callable[[int], object]
    train: Callable[[int, int], int]
    """By the library's own trainer, for about so many steps, with a seed."""
    law: Callable[[], pf.VAE]


def task(kind: str, seed: int, smoke: bool) -> Task:
    """Black and white, or standardized with noise."""
    data = pf.data.load("digits", label=False)
    if kind.startswith("Bernoulli"):
        x = (data.x > 7.5).float().flatten(1)
    else:
        generator = torch.Generator().manual_seed(seed)
        x = dequantized(data.x, data.levels, data.value_range, generator=generator).flatten(1)
    whole, test = pf.data.Data(x).split(0.1, seed=0)
    train, held = whole.split(0.1, seed=seed)
    if smoke:
        train, test = train.take(torch.arange(200)), test.take(torch.arange(20))
    if kind.startswith("Bernoulli"):
        return Task(train.x, held.x, test.x)
    mean, std = train.x.mean(0), train.x.std(0)
    return Task(*((part.x - mean) / std for part in (train, held, test)))


def _model(kind: str, encoder: nn.Module, decoder: nn.Module, x: Tensor) -> pf.VAE:
    """One of our models around two networks."""
    if kind.startswith("Bernoulli"):
        noise: Any = BernoulliDecoder(decoder)
    else:
        noise = GaussianDecoder(decoder, "scalar" if kind == OWN else 1.0)
    prior = VampPrior(SIZE, COMPONENTS) if kind.endswith("VampPrior") else None
    samples = SAMPLES if kind.endswith("weighted") else 1
    encoder = DiagonalEncoder(encoder, LATENT)
    model = pf.VAE(encoder, noise, prior, samples=samples, event_shape=SIZE)
    if kind.startswith("Bernoulli"):
        model.fit_units(x)
    model.prepare(x, generator=torch.Generator().manual_seed(0))
    return model


def _networks() -> tuple[nn.Module, nn.Module]:
    return Perceptron(SIZE, 2 * LATENT, WIDTH, DEPTH), Perceptron(LATENT, SIZE, WIDTH, DEPTH)


def ours(kind: str, of: Task) -> Learner:
    """A `VAE`."""
    model = _model(kind, *_networks(), of.train)

    def fit(steps: int, seed: int) -> int:
        share = len(of.held) / (len(of.held) + len(of.train))
        settings: dict[str, Any] = {"batch_size": BATCH, "progress": False, "seed": seed}
        settings |= {"standardize": kind.startswith("Bernoulli"), "holdout": share}
        best = trainings.fit(model, torch.cat([of.train, of.held]), steps=steps, **settings).model
        model.load_state_dict(best.state_dict())
        return steps

    return Learner(model, lambda x: model.loss(x).mean(), model.sample, fit, lambda: model)


class _Softplus(nn.Module):
    """An encoder of log-variances as one of what `softplus` makes deviations."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        mean, log_variance = self.net(x).chunk(2, -1)
        std = (0.5 * log_variance).exp()
        return torch.cat([mean, std + torch.log(-torch.expm1(-std))], -1)


def pythae(kind: str, of: Task) -> Learner:
    """Its VAE, IWAE or VAMP around the same networks."""
    from pythae import models, samplers, trainers
    from pythae.data.datasets import BaseDataset, DatasetOutput
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    quiet()
    inward, outward = _networks()
    binary = kind.startswith("Bernoulli")
    units = _model(kind, inward, outward, of.train).units
    assert units is not None

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.units, self.net = units, inward

        def forward(self, x: Tensor) -> Any:
            mean, log_variance = self.net(self.units.standardized(x)).chunk(2, -1)
            return ModelOutput(embedding=mean, log_covariance=log_variance)

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.net = outward

        def forward(self, z: Tensor) -> Any:
            h = self.net(z)
            return ModelOutput(reconstruction=h.sigmoid() if binary else h)

    options: dict[str, Any] = {"input_dim": (SIZE,), "latent_dim": LATENT}
    options["reconstruction_loss"] = "bce" if binary else "mse"
    parts: tuple[nn.Module, nn.Module] = Encoder(), Decoder()
    if kind.endswith("VampPrior"):
        config = models.VAMPConfig(number_components=COMPONENTS, **options)
        model = models.VAMP(config, *parts)
        sampler = samplers.VAMPSampler(model)
    elif kind.endswith("weighted"):
        model = models.IWAE(models.IWAEConfig(number_samples=SAMPLES, **options), *parts)
        sampler = samplers.NormalSampler(model)
    else:
        model = models.VAE(models.VAEConfig(**options), *parts)
        sampler = samplers.NormalSampler(model)
    model.device = "cpu"

    def fit(steps: int, seed: int) -> int:
        epoch = math.ceil(len(of.train) / BATCH)
        epochs = max(1, round(steps / epoch))
        with tempfile.TemporaryDirectory() as folder, redirect_stderr(io.StringIO()):
            settings = trainers.BaseTrainerConfig(
                output_dir=folder, num_epochs=epochs, learning_rate=1e-3, no_cuda=True, seed=seed,
                per_device_train_batch_size=BATCH, per_device_eval_batch_size=BATCH,
            )  # fmt: skip
            sets = [BaseDataset(x, torch.zeros(len(x))) for x in (of.train, of.held)]
            trainer = trainers.BaseTrainer(model, *sets, training_config=settings)
            trainer.train()
        model.load_state_dict(trainer._best_model.state_dict())
        return epochs * epoch

    def law() -> pf.VAE:
        found = _model(kind, _Softplus(inward), outward, of.train)
        if isinstance(found.prior, VampPrior):
            with torch.no_grad():
                raw = model.pseudo_inputs(model.idle_input)
                found.prior.inputs.copy_(units.standardized(raw))
        return found

    return Learner(
        model,
        lambda x: model(DatasetOutput(data=x)).loss,
        lambda n: sampler.sample(n, batch_size=n),
        fit,
        law,
    )


def quiet() -> None:
    """Keep a library's log of its progress out of the tables."""
    for name in logging.root.manager.loggerDict:
        if name.startswith("pythae"):
            logging.getLogger(name).setLevel(logging.ERROR)


LIBRARIES = {"pushforward": ours, "pythae": pythae}


def looped(learner: Learner, of: Task, budget: float, seed: int) -> int:
    """The steps that were made: Adam, a cosine, and the step of least loss on what is held out."""
    optimizer = torch.optim.Adam(learner.module.parameters(), lr=1e-3)
    generator = torch.Generator().manual_seed(seed)
    best, kept, spent, looks, count = math.inf, None, 0.0, 0, 0
    learner.module.train()
    while spent < budget or count < 2:
        start = time.process_time()
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * (1 + math.cos(math.pi * min(1.0, spent / (budget or 1)))) / 2
        rows = torch.randint(len(of.train), (BATCH,), generator=generator)
        _step(learner, optimizer, of.train[rows])
        spent += time.process_time() - start
        count += 1
        if spent > (looks + 1) * budget / 40:
            looks += 1
            with torch.no_grad():
                value = float(sum(learner.loss(of.held) for _ in range(8)))
            if value < best:
                best, kept = value, copy.deepcopy(learner.module.state_dict())
    if kept is not None:
        learner.module.load_state_dict(kept)
    return count


def trained(learner: Learner, budget: float, seed: int) -> int:
    """The steps that the library's own trainer made in the time, as a short run foretells."""
    if not budget:
        return learner.train(2, seed)
    start_weights = copy.deepcopy(learner.module.state_dict())
    learner.train(13, seed)
    seconds = []
    for steps in (26, 130):
        start = time.process_time()
        learner.train(steps, seed)
        seconds.append(time.process_time() - start)
    rate = (seconds[1] - seconds[0]) / (130 - 26)
    learner.module.load_state_dict(start_weights)
    return learner.train(max(1, round((budget - seconds[0]) / rate)), seed)


def _step(learner: Learner, optimizer: torch.optim.Optimizer, x: Tensor) -> None:
    optimizer.zero_grad()
    learner.loss(x).backward()
    optimizer.step()


def judged(model: pf.VAE, x: Tensor, annealed: bool, smoke: bool) -> dict[str, Any]:
    """Nats of test data by the bound, by importance and by annealed importance sampling."""
    few = {"samples": 4} if smoke else {}
    found = {
        "bound": model.log_prob(x, method="bound", seed=0, **few),
        "importance": model.log_prob(x, seed=0, **({"samples": 500} | few)),
    }
    if annealed:
        steps = 2 if smoke else 30
        found["annealed"] = model.log_prob(x, method="annealed", steps=steps, seed=0, **few)
    return {
        name: {
            "value": -float(each.value.mean()),
            # Of the estimate itself, for these data; the data's own share is common to all models.
            "stderr": float(each.stderr.square().sum().sqrt()) / len(x),
            "unconverged": each.unconverged / len(x),
        }
        for name, each in found.items()
    }


def speeds(kind: str, libraries: list[str], turns: int) -> list[dict[str, Any]]:
    """The time of each library over ours."""
    of = task(kind, 0, turns == 1)
    torch.manual_seed(0)
    learners = {name: LIBRARIES[name](kind, of) for name in libraries}
    optimizers = {n: torch.optim.Adam(a.module.parameters(), lr=1e-3) for n, a in learners.items()}

    def step(name: str) -> None:
        for _ in range(10):
            _step(learners[name], optimizers[name], of.train[:BATCH])

    def train(name: str) -> None:
        # The digits make twelve batches, of which pythae uses all.
        learners[name].train(2 if turns == 1 else 120, 0)

    def draw(name: str) -> None:
        learners[name].module.eval()
        for _ in range(10):
            learners[name].sample(DRAWN)

    rows = []
    for what, work, count in (
        ("training step", step, 10),
        (f"{DRAWN:,} samples", draw, 10),
        *([("step of the own trainer", train, 120)] if kind == KINDS[0] else []),
    ):
        cases = {name: timing.worked(lambda w=work, n=name: w(n)) for name in libraries}
        found, base = timing.ratios(cases, "pushforward", min(turns, 2) if count > 10 else turns)
        ratios = {name: ratio._asdict() for name, ratio in found.items()}
        rows.append({"kind": kind, "what": what, "seconds": base / count, "ratios": ratios})
    return rows


def text(quality: list[dict[str, Any]], speed: list[dict[str, Any]]) -> str:
    """One table of bounds, one of times."""
    body = []
    cases = dict.fromkeys((row["kind"], row["training"], row["library"]) for row in quality)
    for case in cases:
        own = [row for row in quality if (row["kind"], row["training"], row["library"]) == case]
        cells = [
            _cell([row[name] for row in own if name in row])
            for name in ("bound", "importance", "annealed")
        ]
        body.append([*case, *cells, f"{statistics.fmean(row['steps'] for row in own):,.0f}"])
    head = ["nats", "trained by", "", "negative bound", "importance, 500", "annealed", "steps"]
    first = record.table(head, body)
    peers = list(dict.fromkeys(peer for row in speed for peer in row["ratios"]))
    body = [
        [
            row["kind"], row["what"], f"{1000 * row['seconds']:.3g}",
            *(timing.Ratio(**row["ratios"][peer]).text() for peer in peers),
        ]
        for row in speed
    ]  # fmt: skip
    second = record.table(["", "", "ours, ms", *(f"{peer} / ours" for peer in peers)], body)
    return f"{first}\n\n{second}"


def _cell(rows: list[dict[str, float]]) -> str:
    """The mean over seeds, and the share of the test data whose values cannot be trusted.

    Results recorded before rows said so have no share.
    """
    if not rows:
        return "–"
    share = statistics.fmean(row.get("unconverged", 0.0) for row in rows)
    values = [row["value"] for row in rows]
    error = rows[0]["stderr"]
    if len(values) > 1:
        error = statistics.stdev(values) / len(values) ** 0.5
    found = str(Estimate(statistics.fmean(values), error, len(values)))
    return f"{found} ({share:.0%} not converged)" if share else found


def main() -> None:
    """Train, time, print, and with `--write` record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="a few steps, to see that it runs")
    parser.add_argument("--write", action="store_true", help="record the results")
    parser.add_argument("--seeds", type=int, default=3, help="of first weights, split and noise")
    smoke = (options := parser.parse_args()).smoke
    timing.one_thread()
    warnings.filterwarnings("ignore", module="pythae")
    libraries = ["pushforward", *(peer for peer in PEERS if find_spec(peer))]
    speed = [
        row for kind in (KINDS[:1] if smoke else KINDS)
        for row in speeds(kind, libraries, 1 if smoke else 9)
    ]  # fmt: skip
    quality = []
    for seed in range(1 if smoke else options.seeds):
        for kind in KINDS[:1] if smoke else (*KINDS, OWN):
            of = task(kind, seed, smoke)
            for training in (LOOP, TRAINER) if kind == KINDS[0] else (LOOP,):
                for library in ["pushforward"] if kind == OWN else libraries:
                    torch.manual_seed(seed)
                    learner = LIBRARIES[library](kind, of)
                    budget = 0.0 if smoke else BUDGET
                    if training == LOOP:
                        steps = looped(learner, of, budget, seed)
                    else:
                        steps = trained(learner, budget, seed)
                    entry = {"kind": kind, "training": training, "library": library, "seed": seed}
                    entry |= {"steps": steps} | judged(
                        learner.law(), of.test, seed == 0 and kind == KINDS[0], smoke
                    )
                    quality.append(entry)
                    print(*entry.values(), flush=True)
    quality.sort(key=lambda row: ((*KINDS, OWN).index(row["kind"]), row["training"] == TRAINER))
    print(text(quality, speed))
    if options.write:
        facts = {"environment": record.environment(*PEERS), "budget": BUDGET}
        record.save("vae", facts | {"quality": quality, "speed": speed}, text(quality, speed))


if __name__ == "__main__":
    main()
