"""Ensembles of the frames that follow a store, as a store; killed at any moment, it can go on."""

from __future__ import annotations

import hashlib
import shutil
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from pushforward import checks
from pushforward._files import check_writable, replacing
from pushforward._random import derived_seed
from pushforward.data import Schema, write
from pushforward.data.declared import require_room
from pushforward.data.field_files import STORES, to_xarray
from pushforward.data.stores import xarray_of
from pushforward.errors import InputError, SamplingError
from pushforward.forecasting.doubts import doubts_of
from pushforward.forecasting.forecaster import Forecaster
from pushforward.forecasting.recent import Recent, recent_frames
from pushforward.forecasting.rolling import require_windows, rolled_out, stride_of
from pushforward.models import on_domain
from pushforward.training.interrupts import Interrupts
from pushforward.training.lock import Lock
from pushforward.training.newest_checkpoint import NewestCheckpoint
from pushforward.training.progress import Progress

__all__ = ["forecast", "schema_of_model"]

_TOGETHER = 16
"""Members that are drawn together: what a member is does not depend on how many there are."""


def schema_of_model(model: Forecaster) -> Schema:
    """What the data of a trained model were. Raises `InputError` unless these were windows."""
    known = Schema.from_description((model.learned_from or {}).get("schema"))
    require_windows(known)
    return known


def forecast(
    model: Forecaster,
    source: Any,
    members: int = 16,
    leads: int | None = None,
    *,
    stride: int | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    resume: bool = False,
    progress: bool = True,
    callback: Callable[[int], Any] | None = None,
    reading: dict[str, Any] | None = None,
    **options: Any,
) -> Any:
    """An ensemble of the frames that follow the last ones of a store.

    The model is given as many of the last frames as in training, and its leads are drawn together,
    or each straight from the frames given where it has learned direct leads: the members at each
    lead are then draws, and the frames of one member are no film. Further leads follow from those
    of each member. What comes out has the dimensions `member` and
    that of time, with the times that follow at the step of the data, and the grid, the names, the
    units, the types and the attributes of the data. Packed integers come out as the numbers that
    they stand for, of the type that scale and offset make of them.

    Args:
        model: trained on windows, `load(..., forecast="20:8")`; one of patches of a domain
            forecasts the whole of it.
        source: a NetCDF file, a Zarr store or an `xarray` object, of which the last rows are read.
        members: how many; members of the same number are the same in any larger ensemble.
        leads: how many frames ahead; by default those that the model has learned.
        stride: after how many frames a member goes on from its own; all leads of the model by
            default. 1 goes frame by frame.
        out: a `.zarr` or `.nc` to write, not there yet; beside it lies, until it is whole, a folder
            `OUT.partial`.
        seed: of all noise.
        resume: go on from `OUT.partial`, if there is one, to the same numbers.
        progress: show how far it is.
        callback: called with the number of leads, of all members, that there are.
        reading: options of `data.load` for the source.
        options: of `model.sample`, such as `steps=`.

    Returns an `xarray.Dataset`, or the path of what was written. Raises `InputError` as
    `recent_frames` and `stride_of` do, and for a place that is taken; `SamplingError` for frames
    that are not finite; `KeyboardInterrupt` when what there is has been saved. Warns of frames
    without the units or coordinates of the data of the model, of those left out, and of variables
    that lie further than six standard deviations from its training data.
    """
    checks.whole("members", members)
    schema = schema_of_model(model)
    if schema.patches is not None:
        learned: Any = model
        model, schema = on_domain(learned, **schema.patches.placing), schema.whole
    windows, _ = require_windows(schema)
    leads = windows.leads if leads is None else checks.whole("leads", leads)
    each = stride_of(windows, leads, stride)
    place = None if out is None else Path(out)
    if place is not None:
        _check_place(place)
    recent = recent_frames(source, schema, **(reading or {}))
    for said in (*recent.notes, *doubts_of(model, recent, schema)):
        warnings.warn(said, stacklevel=2)
    require_room((members, leads, *recent.frames.shape[1:]), "float32", "the ensemble")
    work = _Work(recent, schema, leads, members, seed, options, each)
    with ExitStack() as stack:
        folder = None
        if place is not None:
            told = work.described(model)
            folder = NewestCheckpoint(place.with_name(f"{place.name}.partial"), told)
            folder.check(resume)
            stack.enter_context(Lock(folder.path))
        bar = stack.enter_context(Progress("forecast", members * leads, show=progress))
        asked = stack.enter_context(Interrupts())

        def told_of(done: int) -> None:
            bar(done)
            if callback is not None:
                callback(done)

        x = work.run(model, folder, told_of, lambda: bool(asked.requested))
        fields = recent.continued(leads)
        if place is None or folder is None:
            return xarray_of("return fields").decode_cf(
                to_xarray(x, fields), decode_timedelta=False
            )
        write(place, x, space=model.space, schema=Schema(fields=fields))
        shutil.rmtree(folder.path)
    return place


class _Work:
    """Groups of members, each rolled out stride by stride."""

    def __init__(
        self,
        recent: Recent,
        schema: Schema,
        leads: int,
        members: int,
        seed: int,
        options: dict[str, Any],
        stride: int,
    ) -> None:
        self.recent, self.schema, self.leads, self.members = recent, schema, leads, members
        self.seed, self.options, self.stride = seed, options, stride

    def described(self, model: Forecaster) -> dict[str, Any]:
        """What tells this forecast from others."""
        digest = hashlib.sha256()
        for parameter in model.parameters():
            digest.update(parameter.detach().cpu().contiguous().numpy().data)
        return {
            "model": type(model).__qualname__,
            "weights": digest.hexdigest(),
            "data": self.recent.identity,
            "leads": self.leads,
            "members": self.members,
            "stride": self.stride,
            "seed": self.seed,
            **{name: repr(value) for name, value in sorted(self.options.items())},
        }

    def run(
        self,
        model: Forecaster,
        folder: NewestCheckpoint | None,
        told: Callable[[int], None],
        ended: Callable[[], bool],
    ) -> Tensor:
        """All members, `(members, leads, C, *sizes)`."""
        found = [] if folder is None else _finished(folder.path)
        standing = None if folder is None else folder.restore()
        past = self.recent.frames[None]
        for group in range(len(found), -(-self.members // _TOGETHER)):
            count = min(_TOGETHER, self.members - group * _TOGETHER)
            known = past.expand(count, *past.shape[1:])
            there = known[:, :0]
            if standing is not None and int(standing["group"]) == group:
                there = standing["frames"]
            own = derived_seed(self.seed, group)
            while (at := there.shape[1]) < self.leads:
                ahead = min(self.stride, self.leads - at)
                before = torch.cat([known, there], 1)
                drawn = rolled_out(
                    model, before, self.schema, ahead, seed=derived_seed(own, at), **self.options
                )
                if not bool(drawn.isfinite().all()):
                    raise SamplingError(
                        f"the forecast is not finite after {at} leads: take more --steps, and see "
                        "whether the training has converged"
                    )
                there = torch.cat([there, drawn], 1)
                if folder is not None:
                    kept = {"frames": there.contiguous(), "group": torch.tensor(group)}
                    folder.save(group * self.leads + there.shape[1], kept, finished=False)
                told(group * _TOGETHER * self.leads + count * there.shape[1])
                if ended() and folder is not None:
                    raise KeyboardInterrupt
            if folder is not None:
                with replacing(folder.path / f"members-{group:08d}.safetensors") as partial:
                    safetensors.torch.save_file({"frames": there.contiguous()}, partial)
            found.append(there)
        return torch.cat(found)


def _finished(folder: Path) -> list[Tensor]:
    """The groups of members that are whole, those before the first that is not."""
    found: list[Tensor] = []
    while (file := folder / f"members-{len(found):08d}.safetensors").is_file():
        found.append(safetensors.torch.load_file(file)["frames"])
    return found


def _check_place(place: Path) -> None:
    if place.suffix not in STORES:
        raise InputError(f"a forecast goes to {' or '.join(STORES)}, not {place.name!r}")
    check_writable(place)
    if place.exists():
        raise InputError(f"{place} is there already: remove it, or write elsewhere")
