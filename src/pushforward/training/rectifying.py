"""`rectify`: flows trained again on their own pairs until they are straight.

Liu, Gong & Liu 2023.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from pushforward import checks, samplers, state
from pushforward._files import replacing, write_text
from pushforward._random import derived_seed, even_rows, start_noise
from pushforward._shapes import per_event_sum
from pushforward.data import Data, load
from pushforward.errors import InputError
from pushforward.metrics.estimate import Estimate
from pushforward.models import FlowMatching
from pushforward.models.model import parts_of
from pushforward.training.fitting import fit
from pushforward.training.objective import labels_for
from pushforward.training.run import Run, Status
from pushforward.training.settings import Settings
from pushforward.training.sizing import sized

__all__ = ["Rectification", "Round", "rectify", "straightness"]

_PAIRS, _JUDGED = range(2)

_PATHS = 1000
"""How many paths, and pairs, are measured."""

_AT_ONCE = 2**24
"""Numbers of paths that are kept at once."""


@dataclass(frozen=True)
class Round:
    """One round of training, and how straight the flow is after it.

    Args:
        run: what `fit` returned.
        straightness: `int E |(Z_1 - Z_0) - v(Z_t, t)|^2 dt`, zero for straight paths.
        cost: `E |Z_1 - Z_0|^2` of the flow.
    """

    run: Run = field(repr=False)
    straightness: Estimate
    cost: Estimate


@dataclass(frozen=True)
class Rectification:
    """The result of `rectify`.

    Args:
        model: the flow of the last round.
        rounds: one a round.
        cost: `E |X_1 - X_0|^2` of the pairs that the first round was trained on.
        distilled: the map of one step, if it was asked for: use it with `sampler="euler", steps=1`.
        status: `finished`, or `interrupted` (resume it).
    """

    model: Any = field(repr=False)
    rounds: tuple[Round, ...]
    cost: Estimate
    distilled: Any = field(repr=False, default=None)
    status: Status = "finished"

    @property
    def bound(self) -> float:
        """`cost / rounds`, above which the least straightness of exact flows cannot be."""
        return self.cost.value / max(1, len(self.rounds))

    def __str__(self) -> str:
        lines = [f"cost of the first pairs {self.cost}"]
        for k, each in enumerate(self.rounds, start=1):
            lines.append(
                f"round {k}: straightness {each.straightness} (least so far at most "
                f"{self.cost.value / k:.4g} if exact), cost {each.cost}"
            )
        return "\n".join(lines)


def rectify(
    model: FlowMatching,
    data: Any,
    *,
    source: Any = None,
    rounds: int = 2,
    pairs: int = 10_000,
    distill: bool = False,
    solver_steps: int = 50,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    seed: int = 0,
    **options: Any,
) -> Rectification:
    r"""Train a flow, and train it again on the pairs that it makes, `rounds` times in all.

    A flow along straight lines between pairs moves the distributions the same way at no larger
    convex cost, and its own pairs cross less. With exact flows the straightness
    `S = int E |(Z_1 - Z_0) - v(Z_t, t)|^2 dt` of the best of `K` rounds is at most
    `E |X_1 - X_0|^2 / K` (Liu, Gong & Liu 2023, theorem 3.7). A straight flow is solved in one
    step; `distill` teaches the last one's pairs to a map of one step.

    Args:
        model: a `FlowMatching` along the plain `Linear` path.
        data, source: as for `fit`; without a source the flow starts from noise.
        rounds: at least one. The first is a plain `fit`.
        pairs: how many the flow makes for each further round, and for `distill`.
        distill: end with a map of one step.
        solver_steps: Heun steps per pair and per measured path.
        out: the folder: a run folder for each round, and the pairs in files beside them.
        resume: go on in `out`, exactly as if never stopped. Pairs are read again, and made again,
            the same, where their file is missing or damaged.
        seed: of the training, unless `options` name another, and of the pairs.
        options: of `fit`, such as `steps`, for every round. Rounds after the first hold nothing out
            and keep the units of the first.

    Raises `InputError` for another model or path, numbers out of range, and what `fit` refuses.

    >>> import pushforward as pf
    >>> data = pf.data.load("two_moons", n=200)
    >>> done = rectify(pf.FlowMatching.for_data(data), data, rounds=2, pairs=100, steps=3,
    ...                progress=False)
    >>> len(done.rounds), done.rounds[1].run.step
    (2, 3)
    """
    if not model.reflows:
        raise InputError("what is rectified is a FlowMatching model with path='linear'")
    rounds, pairs = checks.whole("rounds", rounds), checks.whole("pairs", pairs, 2)
    folder = None if out is None else Path(out)
    target = load(data)
    start = None if source is None else load(source)
    options = {"seed": seed, **options}
    options.pop("resume", None)

    def trained(flow: FlowMatching, name: str, x0: Data, x1: Any, **more: Any) -> Run:
        place = None if folder is None else folder / name
        return fit(flow, x0, source=x1, out=place, resume=resume, **{**options, **more})

    run = trained(model, "round-1", target, start)
    own = options.get("settings") or Settings()
    own = dataclasses.replace(own, batch_size=options.get("batch_size") or own.batch_size)
    size = sized(own, model, len(target), target.symbols).batch
    cost = _first_cost(model, target, start, size, seed)
    done = [_judged(run, target, solver_steps, seed)]
    last, stopped = model, run.status != "finished"
    again = {"holdout": 0.0, "standardize": False}

    def learned(flow: FlowMatching, k: int, name: str) -> tuple[FlowMatching, Run]:
        """The next model, on the pairs that a flow makes."""
        file = None if folder is None else folder / f"pairs-{k}.safetensors"
        own = derived_seed(seed, _PAIRS, k)
        x0, x1 = _cached(flow, target, start, pairs, solver_steps, own, file)
        pupil = flow.reflow(distill=name == "distilled")
        return pupil, trained(pupil, name, x0, x1, **again)

    for k in range(2, rounds + 1):
        if stopped:
            break
        last, run = learned(last, k, f"round-{k}")
        done.append(_judged(run, target, solver_steps, seed))
        stopped = run.status != "finished"
    distilled = None
    if distill and not stopped:
        distilled, run = learned(last, rounds + 1, "distilled")
        stopped = run.status != "finished"
    result = Rectification(
        last, tuple(done), cost, distilled, "interrupted" if stopped else "finished"
    )
    if folder is not None:
        _write(folder, result)
    return result


@torch.no_grad()
def straightness(
    model: FlowMatching, n: int = 1000, *, steps: int = 50, seed: int = 0, c: Any = None
) -> tuple[Estimate, Estimate]:
    """How far a flow is from straight lines, and its cost `E |Z_1 - Z_0|^2`, in squared data units.

    In those of standardized columns, if it has a source and `scale="columns"`.

    Over `n` paths by Heun's method; the integral over time by the trapezoidal rule on its steps.
    `c` is a label or context for all paths, or one for each.

    >>> import pushforward as pf
    >>> still = pf.FlowMatching(pf.nn.MLP(2, width=8), event_shape=2)    # moves nothing as yet
    >>> [estimate.value for estimate in straightness(still, 10, steps=4)]
    [0.0, 0.0]
    """
    start = model._starts(n, start_noise(seed, slice(0, n), model.device), seed)
    units: Any = model.known_units()
    scale = 1.0 if _by_columns(model) else units.scale
    context = model.condition.required(c, n, model.device)
    transport = model._transport(context)
    times = [1 - k / steps for k in range(steps + 1)]
    size = max(1, _AT_ONCE // (start[0].numel() * len(times)))
    found: list[tuple[Tensor, Tensor]] = []
    with model.evaluating():
        for part in parts_of(n, size):
            flow = transport(part)
            path = samplers.trajectory(samplers.Heun(), flow, start[part], times)
            line = path[0] - path[-1]
            gaps = torch.stack([
                per_event_sum(((line - flow.dynamics(x, t).velocity) * scale).square())
                for x, t in zip(path, times, strict=True)
            ])  # fmt: skip
            bent = torch.trapezoid(gaps, dx=1 / steps, dim=0)
            found.append((bent, per_event_sum((line * scale).square())))
    bends, costs = (torch.cat(column) for column in zip(*found, strict=True))
    return _mean(bends), _mean(costs)


def _by_columns(model: FlowMatching) -> bool:
    """Whether costs are those of standardized columns, and not in data units."""
    return model.has_source and model.scale == "columns"


def _judged(run: Run, data: Data, steps: int, seed: int) -> Round:
    own = derived_seed(seed, _JUDGED)
    c = _labels(run.model, data, _PATHS, torch.Generator().manual_seed(own))
    return Round(run, *straightness(run.model, _PATHS, steps=steps, seed=own, c=c))


def _labels(flow: FlowMatching, data: Data, n: int, generator: torch.Generator) -> Any:
    """Labels or contexts as in the data, for a flow that takes them."""
    if not flow.capabilities.conditional or data.c is None:
        return None
    return state.take(data.c, torch.randint(0, len(data), (n,), generator=generator))


def _mean(values: Tensor) -> Estimate:
    values = values.double()
    return Estimate(float(values.mean()), float(values.std()) / len(values) ** 0.5, len(values))


@torch.no_grad()
def _first_cost(
    model: FlowMatching, data: Data, start: Data | None, size: int, seed: int
) -> Estimate:
    """The cost of the pairs that the first round learned from, on some of the data.

    Joined in batches of the size of training, and without a source in units of the noise, as there.
    """
    generator = torch.Generator().manual_seed(derived_seed(seed, _JUDGED))
    rows = torch.randperm(len(data), generator=generator)[:_PATHS]
    labels = labels_for(model, data)
    x0, c = data.x[rows], None if labels is None else state.take(labels, rows)
    if start is None:
        units = copy.deepcopy(model.known_units()).cpu()
        z1 = torch.randn(x0.shape, generator=generator)
        x1 = units(z1[_joined(model, units.standardized(x0).to(z1), c, z1, size, generator)])
    else:
        partners = model.pair(data.x, labels, start.x)
        if partners is None:
            x1 = start.x[even_rows(len(x0), len(start), generator)]
            x1 = x1[_joined(model, x0, c, x1, size, generator)]
        else:
            x1 = start.x[partners[rows]]
    if _by_columns(model):
        units = copy.deepcopy(model.known_units()).cpu()
        x0, x1 = units.standardized(x0), units.standardized(x1)
    return _mean(per_event_sum((x0 - x1).square()))


def _joined(
    model: FlowMatching,
    x0: Tensor,
    c: Tensor | None,
    x1: Tensor,
    size: int,
    generator: torch.Generator,
) -> Tensor:
    """The order in which the coupling joins a source, batch by batch."""
    order = torch.arange(len(x0))
    for part in torch.arange(len(x0)).split(size):
        found = model.couple(
            x0[part], None if c is None else state.take(c, part), x1[part], generator
        )
        if found is not None:
            order[part] = part[found]
    return order


def _cached(
    flow: FlowMatching,
    data: Data,
    start: Data | None,
    n: int,
    steps: int,
    seed: int,
    file: Path | None,
) -> tuple[Data, Data]:
    """The pairs of a flow in data units, target and source, from their file if it holds them."""
    about = {"flow": _digest(flow), "n": str(n), "steps": str(steps), "seed": str(seed)}
    if file is not None and file.is_file():
        try:
            with safetensors.safe_open(file, "pt") as kept:
                same = kept.metadata() == about
            if same:
                return _as_data(safetensors.torch.load_file(file), data)
        except (safetensors.SafetensorError, OSError):
            pass  # made again below, the same
    generator = torch.Generator().manual_seed(seed)
    if start is None:
        z1 = torch.randn(n, *data.event_shape, generator=generator)
        x1 = copy.deepcopy(flow.known_units()).cpu()(z1)
    else:
        z1 = x1 = start.x[even_rows(n, len(start), generator)]
    c = _labels(flow, data, n, generator)
    x0 = flow.forward(z1.to(flow.device), c, steps=steps, batch_size=2048).cpu()
    tensors = {"x0": x0, "x1": x1}
    if c is not None:
        tensors["c"] = c
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as partial:
            safetensors.torch.save_file(tensors, partial, metadata=about)
    return _as_data(tensors, data)


def _digest(flow: FlowMatching) -> str:
    """What tells the weights and units of one flow from those of another."""
    digest = hashlib.sha256()
    for name, tensor in flow.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def _as_data(tensors: dict[str, Tensor], like: Data) -> tuple[Data, Data]:
    """Pairs as data of the kind that the first round had, but not on its levels."""
    unlabeled = replace(like.schema, classes=())
    plain = replace(
        like,
        x=like.x[:0].new_zeros(1, *like.event_shape),
        c=None,
        schema=unlabeled,
        levels=None,
        dropped=0,
        rows=None,
        origin=None,
        source="pairs of a flow",
    )
    schema = like.schema if "c" in tensors else unlabeled
    target = replace(plain, x=tensors["x0"], c=tensors.get("c"), schema=schema)
    return target, replace(plain, x=tensors["x1"])


def _write(folder: Path, result: Rectification) -> None:
    """`rectified.json`: what was measured after each round."""
    found = {
        "status": result.status,
        "cost": vars(result.cost),
        "rounds": [
            {"straightness": vars(r.straightness), "cost": vars(r.cost)} for r in result.rounds
        ],
    }
    write_text(folder / "rectified.json", json.dumps(found, indent=2) + "\n")
