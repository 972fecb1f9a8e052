"""Fashion-MNIST: the samples and the likelihood of a trained run.

Pictures are judged by a classifier of the real ones, which is trained once and kept in the run's
folder: the Fréchet distance of its features to those of the test pictures, and its decisions.

    pushforward train --recipe recipes/fashion-mnist.yaml --out runs/fashion
    python benchmarks/fashion.py --run runs/fashion --write
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from torch import Tensor

import pushforward as pf
import record
import timing
import trainings
from pushforward import metrics
from pushforward.data import Data
from pushforward.report.painters import image_grid

PICTURE = Path(__file__).parents[1] / "docs" / "assets" / "pictures" / "fashion-samples.png"
COLUMNS = 12
STOPS = (0.001, 0.002, 0.003, 0.004, 0.006)


class Plan(NamedTuple):
    """How much to draw and to compute."""

    samples: int
    likelihoods: int
    sampler_steps: int = 20
    flow_steps: int = 64
    probes: int = 2
    bound_steps: int = 500
    bound_pictures: int = 16
    judge_steps: int = 3000
    features: int = 64


SMOKE = Plan(24, 4, 3, 4, 2, 20, 4, 2, 4)


def budget(run: Path) -> dict[str, Any]:
    """What training took, as the run's own folder tells it."""
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    training = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))["training"]
    last = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1]
    return {
        "parameters": manifest["parameters"],
        "steps": manifest["step"],
        "batch_size": training["batch_size"],
        "images_seen": manifest["step"] * training["batch_size"],
        "precision": training["precision"],
        "seconds": json.loads(last)["seconds"],
        "device": manifest["device"],
    }


def judge_of(run: Path, train: Data, plan: Plan) -> metrics.FeatureClassifier:
    """The classifier in the run's folder, made there if need be."""
    path = run / "judge.safetensors"
    if not path.exists():
        assert train.c is not None
        made = metrics.train_features(
            train.x, train.c, width=plan.features, steps=plan.judge_steps, seed=0
        )
        made.save(path)
    return metrics.FeatureClassifier.load(path)


def draw(model: Any, labels: Tensor | None, guidance: float, plan: Plan, data: Data) -> Tensor:
    """Samples, rounded to levels of gray as real pictures are."""
    x = model.sample(
        plan.samples,
        labels,
        guidance=guidance,
        steps=plan.sampler_steps,
        seed=0,
        batch_size=128,
    )
    assert data.value_range is not None
    return x.round().clamp(*data.value_range)


def likelihood(model: Any, train: Data, test: Data, plan: Plan) -> dict[str, Any]:
    """Bits per dimension of some test pictures without their labels, by the flow and by the bound.

    The flow gives a density of pictures with uniform noise over their levels, the bound the
    probability of the levels themselves: either bounds the length of a code for them.
    """

    def bounded(x: Tensor, steps: int, stop: float) -> Tensor:
        return model.variational_bound(x, steps=steps, level=1.0, stop=stop, seed=0).bits_per_dim

    few = _some(test, plan.likelihoods)
    spread = metrics.dequantized(few, test.levels, test.value_range, seed=0)
    flow = model.log_prob(spread, probes=plan.probes, steps=plan.flow_steps, seed=0, batch_size=64)
    dimension = few[0].numel()
    bits = metrics.bits_per_dimension(
        flow, dimension, levels=test.levels, value_range=test.value_range
    )
    known = _some(train, plan.bound_pictures)
    stop = min(STOPS, key=lambda t: float(bounded(known, plan.bound_steps // 10, t).mean()))
    bound = bounded(few, plan.bound_steps, stop)
    return {
        "pictures": plan.likelihoods,
        "flow": [bits.value, bits.stderr],
        "flow_error": float(flow.error.abs().mean()) / (dimension * math.log(2)),
        "bound": [float(bound.mean()), float(bound.std()) / math.sqrt(len(bound))],
        "bound_stop": stop,
    }


def measure(run: Path, train: Data, test: Data, plan: Plan) -> tuple[dict[str, Any], Tensor]:
    """All numbers, and conditional samples: a row of pictures for each class."""
    judge, model = judge_of(run, train, plan), pf.load(run)
    assert test.c is not None
    real = judge.features(test.x)
    classes = judge.classes
    labels = torch.arange(plan.samples) % classes
    rows: dict[str, dict[str, Any]] = {}

    def note(name: str, x: Tensor, of: Tensor | None) -> None:
        features = judge.features(x)
        row: dict[str, Any] = {
            "frechet": _pair(metrics.frechet_distance(features, real)),
            "frechet_infinity": _pair(metrics.frechet_infinity(features, real)),
        }
        if of is not None:
            row["accuracy"] = _pair(judge.accuracy(x, of))
            row["accuracies"] = [e.value for e in metrics.class_accuracy(judge, x, of)]
        rows[name] = row
        print(name, row, flush=True)

    note("training pictures", _some(train, plan.samples), None)
    note("unconditional", draw(model, None, 1.0, plan, test), None)
    conditional = draw(model, labels, 1.0, plan, test)
    note("conditional", conditional, labels)
    note("conditional, guidance 2", draw(model, labels, 2.0, plan, test), labels)
    results = {
        "budget": budget(run),
        "plan": plan._asdict(),
        "test_pictures": len(test),
        "judge_accuracy": _pair(judge.accuracy(test.x, test.c)),
        "rows": rows,
        "bits_per_dimension": likelihood(model, train, test, plan),
    }
    return results, torch.cat([conditional[labels == k][:COLUMNS] for k in range(classes)])


def _pair(estimate: metrics.Estimate) -> list[float]:
    return [estimate.value, estimate.stderr]


def _some(data: Data, count: int) -> Tensor:
    return data.x[torch.randperm(len(data), generator=_seeded())[:count]]


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def text(results: dict[str, Any]) -> str:
    """The budget, a table of the samples, and the likelihood."""

    def cell(pair: list[float] | None) -> str:
        return "–" if pair is None else str(metrics.Estimate(*pair, n=1))

    spent, plan, bits = results["budget"], results["plan"], results["bits_per_dimension"]
    budget = (
        f"**Budget**: {spent['parameters']:,} parameters, {spent['steps']:,} steps of "
        f"{spent['batch_size']} pictures ({spent['images_seen']:,} in all), {spent['precision']}, "
        f"{spent['seconds'] / 60:.0f} minutes on {spent['device']}."
    )
    rows = [
        [name, *(cell(row.get(key)) for key in ("frechet", "frechet_infinity", "accuracy"))]
        for name, row in results["rows"].items()
    ]
    rows.append(["test pictures", "–", "–", cell(results["judge_accuracy"])])
    head = [
        f"{plan['samples']:,} pictures, samples of {plan['sampler_steps']} steps",
        f"Fréchet distance to {results['test_pictures']:,} test pictures",
        "the same, extrapolated",
        "class accuracy",
    ]
    likelihood = (
        f"**Bits per dimension** of {bits['pictures']} test pictures: {cell(bits['flow'])} by the "
        f"probability flow ({plan['flow_steps']} steps, {plan['probes']} probes, discretization "
        f"error about {bits['flow_error']:.3f}), {cell(bits['bound'])} by the variational bound of "
        f"{plan['bound_steps']:,} steps down to t = {bits['bound_stop']:g}."
    )
    return "\n\n".join([budget, record.table(head, rows), likelihood])


def small(folder: Path) -> tuple[Path, Data, Data]:
    """A run of a few steps on pictures of noise, where Fashion-MNIST need not be at hand."""
    x = torch.randint(0, 256, (120, 1, 8, 8), generator=_seeded()).float()
    facts: dict[str, Any] = {"kind": "image", "levels": 256, "value_range": (0.0, 255.0)}
    train, test = Data(x, torch.arange(120) % 10, **facts).split(0.5)
    net = pf.nn.UNet(width=8, blocks=1, num_classes=10)
    run = trainings.fit(pf.Diffusion(net), train, out=folder, steps=2, batch_size=8, progress=False)
    assert run.path is not None
    return run.path, train, test


def main() -> None:
    """Judge, print, and with `--write` record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, default=Path("runs/fashion"), help="the run's folder")
    parser.add_argument("--samples", type=int, default=2000, help="how many of each kind to draw")
    parser.add_argument("--likelihoods", type=int, default=64, help="of how many test pictures")
    parser.add_argument("--smoke", action="store_true", help="a tiny run, to see that it runs")
    parser.add_argument("--write", action="store_true", help="record the results")
    options = parser.parse_args()
    timing.one_thread()
    if options.smoke:
        with tempfile.TemporaryDirectory() as folder:
            results, pictures = measure(*small(Path(folder) / "run"), SMOKE)
    else:
        train, test = pf.data.load("fashion-mnist"), pf.data.load("fashion-mnist-test")
        plan = Plan(options.samples, options.likelihoods)
        results, pictures = measure(options.run, train, test, plan)
    print(text(results))
    if options.write:
        PICTURE.write_bytes(image_grid(pictures, 0.0, 255.0, columns=COLUMNS))
        record.save("fashion", {"environment": record.environment()} | results, text(results))


if __name__ == "__main__":
    main()
