"""Models of any kinds beside each other, judged by the same held-out data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pushforward import state
from pushforward.data import Data, load
from pushforward.errors import InputError
from pushforward.metrics.estimate import Estimate
from pushforward.metrics.evaluating import FREQUENCIES
from pushforward.metrics.evaluation import Evaluation, Row
from pushforward.models import (
    GaussianMixtureModel,
    GenerativeModel,
    KernelDensity,
    ProbabilisticPCA,
)
from pushforward.report.beside_mixture import incomparable, told_labels
from pushforward.report.judging import (
    as_written,
    evaluated,
    held_out_likelihood,
    told_for,
    warnings_of_model,
)
from pushforward.spaces import Space
from pushforward.training import fit

__all__ = ["Comparison", "Entry", "baselines", "compare"]

Progress = Callable[[int, int], None]

SHOWN = (
    "NLL",
    "bits per dimension",
    "sliced W2",
    "MMD²",
    "classifier accuracy",
    "precision",
    "recall",
    "modes found",
    "near a mode",
)
"""The measurements of the table, those that there are."""

_CLEAR = 2.0


@dataclass(frozen=True)
class Entry:
    """One model of a comparison.

    Args:
        name: what it is called.
        model: its class.
        parameters: how many numbers were fitted.
        evaluation: what was measured.
        kind: of its log-densities.
        labels: whether it was told the labels of what it was judged by.
        seconds: of sampling 1,000 states.
        training: seconds of training, if known.
        baseline: whether it is one of the models to beat.
        warnings: what the model says of itself.
        told_labels: what it knows of the rows and the baselines do not, in a sentence; its NLL is
            flattered by that.
        incomparable: why its NLL is not to be held against theirs at all, in a sentence.
    """

    name: str
    model: str
    parameters: int
    evaluation: Evaluation
    kind: str
    labels: bool
    seconds: float
    training: float | None = None
    baseline: bool = False
    warnings: tuple[str, ...] = ()
    told_labels: str | None = None
    incomparable: str | None = None

    def row(self, name: str) -> Row | None:
        """A measurement, if it was made."""
        return next((row for row in self.evaluation.rows if row.name == name), None)


@dataclass(frozen=True)
class Comparison:
    """What a comparison found; `str()` is its table.

    Args:
        data: the name of the data.
        entries: the models, in the order given, baselines last.
        samples: of each model, by name.
        space: where all of them are.
    """

    data: str
    entries: tuple[Entry, ...]
    samples: Mapping[str, Any]
    space: Space

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know before choosing one of the models."""
        return tuple(_warnings(self.entries))

    @property
    def columns(self) -> list[str]:
        """The measurements that at least one model has, frequencies of kinds last."""
        found = {row.name: row for entry in self.entries for row in entry.evaluation.rows}
        kinds = [name for name, row in found.items() if row.note == FREQUENCIES]
        return [name for name in SHOWN if name in found] + kinds

    def cells(self) -> list[list[str]]:
        """The table as text: a header, a line per model, and real data in the place of samples."""
        head = ["model", *self.columns, "kind", "s / 1,000", "training s", "parameters"]
        body = []
        for entry in self.entries:
            found = [entry.row(name) for name in self.columns]
            kind = entry.kind + (", labels given" if entry.labels else "")
            training = "-" if entry.training is None else f"{entry.training:.3g}"
            rest = [kind, f"{entry.seconds:.2g}", training, f"{entry.parameters:,}"]
            body.append([entry.name, *(_cell(row) for row in found), *rest])
        floor = ["real data"]
        for name in self.columns:
            row = self.entries[0].row(name)
            known = row is not None and row.floor is not None
            floor.append(_number(row.floor, row.floor_stderr) if row and known else "-")
        return [head, *body, [*floor, "", "", "", ""]]

    def to_dict(self) -> dict[str, Any]:
        """Plain values only, for JSON."""
        entries = [{**asdict(e), "evaluation": e.evaluation.to_dict()} for e in self.entries]
        return {"data": self.data, "entries": entries, "warnings": list(self.warnings)}

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        lines = self.cells()
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        text = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        ]
        notes = [f"! {warning}" for warning in self.warnings]
        return "\n".join([*text, *([""] if notes else []), *notes])


def compare(
    models: Mapping[str, GenerativeModel],
    train: Data,
    test: Data,
    *,
    n: int = 1000,
    points: int = 256,
    seed: int = 0,
    training: Mapping[str, float] | None = None,
    beside: bool = True,
    progress: Progress | None = None,
) -> Comparison:
    """Judge models of any kinds by the same held-out data, beside baselines.

    States are compared in the space of the first model. On R^d a kernel density, a mixture and
    probabilistic PCA stand beside: their densities are in the same units there.

    Args:
        models: trained models by name.
        train: what they were trained on, which also gives the floors.
        test: what none has seen.
        n: samples of each.
        points: held-out points for the likelihood.
        seed: of all draws.
        training: seconds of training by name, if known.
        beside: also fit the baselines to `train`.
        progress: called with the number of finished models and of all.

    Raises `InputError` for no model, or one of other events.

    >>> import torch, pushforward as pf
    >>> train, test = pf.data.load("two_moons").take(torch.arange(600)).split(0.5, seed=0)
    >>> found = compare({}, train, test, n=100, points=50)
    >>> [entry.name for entry in found.entries]
    ['kernel density', 'Gaussian mixture', 'probabilistic PCA']
    """
    everything: dict[str, GenerativeModel] = dict(models)
    for name, model in models.items():
        if model.event_shape not in (None, train.event_shape):
            raise InputError(
                f"{name} is a model of events {model.event_shape}, but {train.name} has events "
                f"{train.event_shape}"
            )
    taken: dict[str, float] = {}
    space = next((model.space for model in models.values()), GenerativeModel.space)
    fitted = baselines(train, taken) if beside and space.linear else {}
    fitted = {name: model for name, model in fitted.items() if name not in models}
    known = taken | dict(training or {})
    everything |= fitted
    if not everything:
        raise InputError("nothing to compare: give at least one model")
    entries, samples = [], {}
    for k, (name, model) in enumerate(everything.items(), start=1):
        entry, samples[name] = _judged(name, model, space, train, test, n, points, seed)
        about = {"training": known.get(name), "baseline": name in fitted}
        entries.append(Entry(**{**entry, **about}))
        if progress is not None:
            progress(k, len(everything))
    return Comparison(train.name, tuple(entries), samples, space)


def baselines(train: Data, seconds: dict[str, float]) -> dict[str, Any]:
    """The models to beat, fitted to data; the time that each took is added to `seconds`."""
    made: dict[str, Any] = {
        "kernel density": KernelDensity(),
        "Gaussian mixture": GaussianMixtureModel(),
        "probabilistic PCA": ProbabilisticPCA(),
    }
    train = load(train, label=False)
    for name, model in made.items():
        start = time.perf_counter()
        fit(model, train, holdout=0.0, progress=False)
        seconds[name] = time.perf_counter() - start
    return made


def _judged(
    name: str,
    model: Any,
    space: Space,
    train: Data,
    test: Data,
    n: int,
    points: int,
    seed: int,
) -> tuple[dict[str, Any], Any]:
    labels, test = told_for(model, train, test, n, seed)
    options = model.understood("sample", seed=seed, batch_size=512)
    # The first call of all may have to load or compile what it needs.
    model.sample(2, None if labels is None else state.take(labels, slice(2)), **options)
    start = time.perf_counter()
    x = model.sample(n, labels, **options)
    seconds = (time.perf_counter() - start) * 1000 / n
    likelihood = held_out_likelihood(model, test, points, seed)
    judged = {"told": labels, "seed": seed, "log_prob": likelihood}
    evaluation = evaluated(space, x, test, train, **judged)
    numbers = [p.numel() for p in model.parameters()]
    if model.closed_form:
        numbers = [b.numel() for b in model.buffers()]
    about = {
        "name": name,
        "model": type(model).__name__,
        "parameters": sum(numbers),
        "evaluation": evaluation,
        "kind": model.capabilities.log_prob,
        "labels": labels is not None,
        "seconds": seconds,
        "warnings": tuple(warnings_of_model(model, train, test)),
        "told_labels": told_labels(model, train, "the baselines are"),
        "incomparable": incomparable(model, train, "the baselines leave"),
    }
    return about, as_written(space, x, train)


def _warnings(entries: tuple[Entry, ...]) -> list[str]:
    """What each model says of itself, where samples are bad, and who does not beat a baseline."""
    found = []
    beside = any(entry.baseline for entry in entries)
    for entry in entries:
        if entry.baseline:
            continue
        if beside and entry.row("NLL") is not None:
            notes = entry.told_labels, entry.incomparable
            found += [f"{entry.name}: {text}" for text in notes if text is not None]
        found += [f"{entry.name}: {text}" for text in entry.warnings]
        found += [f"{entry.name}: {text}" for text in entry.evaluation.warnings]
        if rivals := list(_beside(entry, [e for e in entries if e.baseline])):
            found.append(f"{entry.name} {'; it '.join(rivals)}.")
    return found


def _beside(entry: Entry, baselines: list[Entry]) -> Iterator[str]:
    """Where a model is clearly worse than a baseline, or clearly better in nothing."""
    names = ["NLL", "sliced W2", "classifier accuracy"]
    if entry.incomparable is not None:
        names.remove("NLL")
    for rival in baselines:
        pairs = {name: (entry.row(name), rival.row(name)) for name in names}
        lost = [name for name, (mine, theirs) in pairs.items() if _beaten(mine, theirs)]
        if entry.told_labels is not None:
            # Ahead by what it was told is no win, and behind in spite of it is a loss.
            pairs.pop("NLL", None)
        if lost:
            yield f"is worse than the {rival.name} in {', '.join(lost)}"
        elif entry.model != rival.model and not any(
            _beaten(theirs, mine) for mine, theirs in pairs.values()
        ):
            yield f"does not beat the {rival.name}"


def _beaten(mine: Row | None, theirs: Row | None) -> bool:
    if mine is None or theirs is None or not (mine.converged and theirs.converged):
        return False
    spread = (mine.stderr**2 + theirs.stderr**2) ** 0.5
    return bool(mine.value - theirs.value > _CLEAR * spread)


def _cell(row: Row | None) -> str:
    return "-" if row is None else str(row.estimate)


def _number(value: float | None, error: float | None) -> str:
    return "-" if value is None else str(Estimate(value, error or 0.0, 0))
