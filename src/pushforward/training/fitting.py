"""`fit`: from a model and data to a run."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward import state
from pushforward._random import derived_seed
from pushforward.data import Data, Schema, load
from pushforward.errors import InputError, TrainingError
from pushforward.models import GenerativeModel, Trainable
from pushforward.models.calls import shape_forgotten_if_refused
from pushforward.models.checkpoints import HeldWeights, checkpoints_in
from pushforward.models.learned_from import lasting
from pushforward.parallel import agree
from pushforward.training.average import Average
from pushforward.training.budget import counted_out
from pushforward.training.checkpoint import Checkpoints
from pushforward.training.engine import Engine, start
from pushforward.training.folder import RunFolder
from pushforward.training.judge import Judge
from pushforward.training.loop import VALIDATION, Loop
from pushforward.training.objective import Objective, check_labels, dequantize, labels_for
from pushforward.training.optimizing import make_optimizer
from pushforward.training.position import Position
from pushforward.training.randomness import private, turn
from pushforward.training.run import Run, Status
from pushforward.training.settings import Settings, merged
from pushforward.training.sizing import sized
from pushforward.training.trackers import Tracker
from pushforward.training.validation import Validation
from pushforward.training.without_data import without_data

__all__ = ["fit"]

_PREPARE = 4  # beside the keys of the loop


def fit(
    model: Any,
    data: Any,
    *,
    source: Any = None,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    device: str = "auto",
    trackers: Sequence[Tracker] = (),
    progress: bool = True,
    settings: Settings | None = None,
    **changes: Any,
) -> Run:
    """Train a model on data, anything that `pushforward.data.load` takes, or on its own density.

    Args:
        model: any model of `pushforward`, or your own: a `models.GenerativeModel` that is
            `models.Trainable`. States of its space are what the data must be.
        data: a built-in name, a file, a folder of images, an array, a tensor, a data set; or `None`
            for a `models.LearnedSampler`.
        source: what the model starts from in the place of noise: data of the same kind, for a model
            that maps one distribution to another. Its columns are matched with those of the data by
            name, or by position where it has none.
        out: the run folder; nothing is written without one.
        resume: go on from the newest checkpoint in `out`, exactly as if never stopped.
        device: `auto`, `cpu`, `cuda` or `mps`; the model stays there.
        trackers: further places for the metrics, beside `metrics.jsonl`.
        progress: show a progress bar, or lines where there is no terminal.
        settings: see `Settings`; each of its fields can also be given by name.

    On return the model holds the averaged weights that validated best, or the last ones where these
    are as good but for one standard error, nothing is held out, or the loss does not measure
    quality: `run.weights` says which. A run whose
    validation loss has been rising stops early: see `patience` of `Settings`. Ctrl-C and SIGTERM
    save and return with status `interrupted`. Under `torchrun` all its processes train one model,
    and the first writes.

    Raises `InputError` before anything is written for settings out of range, data of one row, a run
    folder in use, a resumed run that differs from the one begun, or data that the model cannot
    take; `TrainingError` with the run in its `.run` when loss or gradients are no longer finite:
    the model then holds the averaged weights that validated best, or those of the last checkpoint
    if nothing is held out. The same error ends a run whose folder can no longer be written, or was
    moved or deleted: what was complete in it stays as it was.

    >>> import torch, pushforward as pf
    >>> model = pf.Diffusion(pf.nn.MLP(2, width=16))
    >>> run = fit(model, torch.randn(100, 2, generator=torch.Generator().manual_seed(0)),
    ...           steps=3, progress=False)
    >>> run.status, run.step
    ('finished', 3)
    """
    settings = merged(settings, changes)
    _check_model(model)
    folder = None if out is None else RunFolder(Path(out))
    data, settings = without_data(model, data, settings)
    data = load(data, space=model.space)
    if folder is not None and resume:
        # Those of a run that goes on, whatever the order of their columns now.
        data = _as_begun(data, folder.data())
        settings = folder.as_begun(settings)
    _check_rows(data)
    start_data = None
    if source is not None:
        # Found by name; the source's own labels teach nothing.
        found = load(source, space=model.space, like=data.schema, label=False)
        data, found = _alike(data, found)
        start_data = _source(model, found, data)
        _check_rows(start_data)
    if model.closed_form:
        # It is fitted before the first step, and no step changes it.
        settings = dataclasses.replace(settings, steps=1, budget=None)
    settings, budget = sized(settings, model, len(data), data.symbols), settings.budget
    check_labels(model, data)
    if data.c is not None and not model.capabilities.conditional:
        warnings.warn(
            f"this {type(model).__name__} takes no labels: those of {data.name} are ignored; "
            "label=False leaves them out",
            stacklevel=2,
        )
    train, held = data.split(settings.holdout, settings.seed) if settings.holdout else (data, None)
    fabric = start(device, settings)
    about, held_source = {"data": data.describe()}, None
    if start_data is not None:
        about["source"] = start_data.describe()
        if settings.holdout:
            start_data, held_source = start_data.split(settings.holdout, settings.seed)
    prints = [part["fingerprint"] for part in about.values()]
    if not agree(fabric, [*prints, settings.describe()]):
        raise InputError(
            "the processes were given different data or settings: read the data from one file, or "
            "make it with a fixed seed"
        )
    with _writing(folder, fabric), private(fabric.device):
        # Dropout in what is prepared, or rehearsed, draws from the global generators.
        drawn = turn(derived_seed(settings.seed, _PREPARE, 0), fabric.device)
        began = time.monotonic()
        with drawn, shape_forgotten_if_refused(model):
            resident = train.resident()
            seen, origin, told = resident.x, None, labels_for(model, resident)
            if start_data is not None:
                origin = start_data.resident().x
                model.keep_source(origin)
            if settings.standardize:
                model.fit_units(seen, origin)
                model.fit_contexts(told)
            model.to(fabric.device).train()
            noise = torch.Generator().manual_seed(derived_seed(settings.seed, _PREPARE))
            known = dequantize(model, train, seen, noise)
            model.prepare(known, told, generator=noise)
            objective = Objective(model, train, fabric.device, start_data)
            objective.rehearse()
        description: dict[str, Any] = {}
        tensors: dict[str, Tensor] = {}
        if folder is not None:
            parts = {"model": model.describe(tensors), "training": settings.describe()}
            description = {"run": ""} | about | parts
            folder.check(description, settings, resume)
            description["run"] = folder.identity(resume)
        optimizer = make_optimizer(model, settings)
        engine = Engine(fabric, settings, objective, optimizer)
        if settings.budget is not None:
            with turn(derived_seed(settings.seed, _PREPARE, 1), fabric.device):
                spent = time.monotonic() - began
                settings = counted_out(settings, engine, held, held_source, spent)
            description["training"] = settings.describe()
        prepared = time.monotonic() - began
        # Made after the processes have agreed on the first one's weights.
        average = Average(model, settings.ema)
        store = None if folder is None else Checkpoints(folder, tensors)
        validation = judge = None
        if held is not None:
            noise_seed = derived_seed(settings.seed, VALIDATION)
            validation = Validation(objective, held, held_source, settings.batch, noise_seed)
        # A model in closed form is fitted by what prepares others.
        position, losses = Position(seconds=prepared), None
        if store is not None and resume:
            rows = 0 if validation is None else validation.rows
            restored = store.restore(description, model, average, optimizer, rows)
            position, losses = restored or (position, losses)
        if not agree(fabric, position.step):
            raise InputError(
                f"the processes see different checkpoints in {out}: a run of several machines "
                "resumes from a folder that they share"
            )
        if position.step > settings.length:
            raise InputError(f"the run is at step {position.step}, past steps={settings.steps}")
        if folder is not None and resume:
            folder.warn_of_new_length(settings, position.step)
        if store is not None:
            left = settings.length - position.step
            _in_first(
                fabric,
                lambda: store.require_space(model, optimizer, left, settings.checkpoint_every),
            )
        if position.scaler:
            fabric.strategy.precision.load_state_dict(position.scaler)
        if validation is not None and model.loss_measures_quality:
            judge = Judge(position, settings.patience, losses)
        loop = Loop(settings, engine, average, validation, judge, position)
        facts = about | {
            "seed": settings.seed,
            "split": {"holdout": settings.holdout, "seed": settings.seed},
            "parameters": sum(p.numel() for p in model.parameters()),
            "device": str(fabric.device),
            "processes": fabric.world_size,
            "budget": budget,
        }
        model.learned_from = lasting(about["data"])
        run = _train(loop, folder, store, description, facts, trackers, progress)
    if run.status == "diverged":
        kept = len(checkpoints_in(folder.path)) if folder else 0
        where = f", and {kept} checkpoints in {folder.path} are kept" if folder and kept else ""
        raise TrainingError(
            f"training diverged {loop.fault}. The model holds its averaged weights again, "
            f"{run.weights}{where}. Try a lower lr (now {settings.peak:g}), clip=1.0 (now "
            f"{settings.clip:g}), standardize=True, or look at the data with `pushforward doctor`",
            run,
        )
    return run


def _as_begun(data: Data, known: Mapping[str, Any]) -> Data:
    """Data with the columns and the classes of a run, of whose data something is `known`.

    Raises `InputError` for columns or labels that the run does not know.
    """
    schema = Schema.from_description(known.get("schema"))
    return load(data, like=schema) if schema.columns else data


def _check_rows(data: Data) -> None:
    """Raise `InputError` for a single row, which shows no distribution."""
    if len(data) == 1:
        raise InputError(
            f"{data.name} has one row of {data.words}, and one data point shows no distribution. "
            "If this is one series of many points, reshape it to (N, 1)"
        )


def _check_model(model: Any) -> None:
    """Raise `InputError` for what is no model that can be trained."""
    if not isinstance(model, GenerativeModel):
        lacking = "a models.GenerativeModel"
    elif not isinstance(model, Trainable):
        lacking = "models.Trainable"
    else:
        return
    raise InputError(
        f"fit trains a model, and {type(model).__name__} is not {lacking}: derive it from "
        "models.GenerativeModel and models.Trainable, or wrap the network, as in "
        "pf.Diffusion(net)"
    )


def _source(model: Any, source: Data, target: Data) -> Data:
    """The source of a model that takes one. Raises `InputError` if either does not fit."""
    if not model.takes_source:
        raise InputError(
            f"a {type(model).__name__} starts from noise, not from a source: FlowMatching and "
            "SchrodingerBridge map one distribution to another"
        )
    if source.event_shape != target.event_shape:
        raise InputError(
            f"source {source.name} has states of shape {source.event_shape}, but the target "
            f"{target.name} of {target.event_shape}: bring them to one shape first"
        )
    return source


def _alike(*sides: Data) -> list[Data]:
    """Both data sets in the precision of the finer one, since one map of units serves both."""
    double = any(leaf.dtype == torch.float64 for side in sides for leaf in state.leaves(side.x))
    if not double:
        return list(sides)
    return [dataclasses.replace(side, x=state.to(side.x, dtype=torch.float64)) for side in sides]


def _train(
    loop: Loop,
    folder: RunFolder | None,
    store: Checkpoints | None,
    description: dict[str, Any],
    facts: dict[str, Any],
    trackers: Sequence[Tracker],
    progress: bool,
) -> Run:
    """Run the loop; the first process writes, the others only compute."""
    model, at = loop.model, loop.position
    if not loop.engine.fabric.is_global_zero:
        folder, store, trackers, progress = None, None, (), False
    if folder is not None and store is not None:
        loop.history = folder.begin(description, at.step)
        store.sweep(at.step)
        trackers = (*trackers, folder.log())

    def report(status: str) -> None:
        if folder is not None:
            speed = {"seconds": round(at.seconds, 3), "step": at.step, "best": at.best}
            early = {"stopped_early": loop.stopped_early}
            folder.write_manifest({"status": status} | speed | early | facts)

    try:
        try:
            report("running")
            status = loop.run(description, store, trackers, progress)
        except BaseException:
            with contextlib.suppress(OSError):
                report("failed")
            raise
        finally:
            for tracker in trackers:
                tracker.close()
            loop.pairing.close()
        report(status)
    except OSError as error:
        weights = _settle(loop, "failed")
        raise TrainingError(
            f"training stopped at step {at.step}: {_told(error)}. What was complete stays as it "
            "was: mend that and go on with resume=True (--resume)",
            Run(model, loop.history, at.best, None, "failed", at.step, weights),
        ) from error
    weights = _settle(loop, status)
    loop.engine.fabric.barrier()
    path = None if folder is None else folder.path
    early = loop.stopped_early
    return Run(model, loop.history, at.best, path, status, at.step, weights, early)


def _settle(loop: Loop, status: Status) -> HeldWeights:
    """Give the model the averaged weights that it is to be used with; which these are.

    If it is judged those that validated best, or the last that were as good but for chance;
    otherwise the last, or the last that were finite.
    """
    at, average, model = loop.position, loop.average, loop.model
    if at.best is not None and not at.takes_last:
        average.go_back()
        held = HeldWeights("best", int(at.best["step"]), at.step)
    elif status == "diverged":
        average.go_back()
        held = HeldWeights("step", loop.good_step, at.step)
    else:
        held = HeldWeights("last", at.step, at.step)
    model.load_state_dict(average.model.state_dict())
    model.holds = held
    model.eval()
    return held


def _told(error: OSError) -> str:
    """A fault of the system in words, with its file."""
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}" if error.filename else reason


@contextlib.contextmanager
def _writing(folder: RunFolder | None, fabric: Any) -> Iterator[None]:
    """Keep the run folder for the first of the processes.

    Raises `InputError` in all of them if another run is being written there, or it cannot be.
    """
    with contextlib.ExitStack() as stack:
        refusal: InputError | None = None
        if folder is not None and fabric.is_global_zero:
            try:
                stack.enter_context(folder.writer())
            except InputError as error:
                refusal = error
        if refusal is None and agree(fabric, ""):
            yield
            return
        if refusal is not None:
            agree(fabric, str(refusal))
            raise refusal
        raise InputError("the first process cannot write the run folder: see its message")


def _in_first(fabric: Any, check: Callable[[], None]) -> None:
    """A check of what only the first process can see. Raises its `InputError` in all of them."""
    refusal: InputError | None = None
    if fabric.is_global_zero:
        try:
            check()
        except InputError as error:
            refusal = error
    fine = agree(fabric, "" if refusal is None else str(refusal))
    if refusal is not None:
        raise refusal
    if not fine:
        raise InputError("the first process cannot write the run folder: see its message")
